// How many processes a launcher such as mpirun started together with this one, before MPI is asked.
#pragma once

#include <cstdlib>

#include "neural_attention/core/available_threads.hpp"

namespace examples {

#if defined(EXAMPLES_MPI)
inline constexpr bool built_with_mpi = true;
#else
inline constexpr bool built_with_mpi = false;
#endif

/// 1 if no launcher did, or one that does not say. Slurm's variable counts only if its srun also speaks PMIx: it is in
/// the environment of batch scripts, too.
inline int launched_ranks() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const auto ranks = neural_attention::positive_integer(std::getenv(name))) return *ranks;
  if (std::getenv("PMIX_RANK"))
    if (const auto ranks = neural_attention::positive_integer(std::getenv("SLURM_STEP_NUM_TASKS"))) return *ranks;
  return 1;
}

}  // namespace examples
