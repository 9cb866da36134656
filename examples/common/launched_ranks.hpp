// How many processes a launcher such as mpirun started together with this one, before MPI is asked.
#pragma once

#include <cstdlib>
#include <string>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"

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

/// Throws ConfigError if a launcher started several processes, but the command has no work that they share, or this
/// program was built without MPI.
inline void require_shared_work(bool shares_work) {
  const int ranks = launched_ranks();
  if (ranks == 1) return;
  const auto were_started = std::to_string(ranks) + " processes were started, ";
  if (!shares_work)
    throw neural_attention::ConfigError(were_started + "and this command cannot share its work among processes");
  if (!built_with_mpi)
    throw neural_attention::ConfigError(
        were_started +
        "but this program was built without MPI, so each would do all the work; cmake --workflow --preset mpi builds "
        "it with MPI");
}

/// Of a command that has no work to share.
inline void require_single_process() { require_shared_work(false); }

}  // namespace examples
