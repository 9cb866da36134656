// The number of threads to use when the user does not say: the value of OMP_NUM_THREADS, otherwise one thread for each
// CPU that this process may use, but no more than its control group (a container's limit) allows.
#pragma once

#include <optional>
#include <string>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// `text` as a number above 0; nothing if it is anything else.
std::optional<int> positive_integer(const char* text);

/// The number of CPUs in the process's affinity mask, which taskset sets.
int allowed_cpus();

/// The files in which Linux names a process's control groups.
struct ControlGroupFiles {
  std::string membership =
      "/proc/self/cgroup";  ///< lines such as 0::/user.slice (version 2) or 4:cpu,cpuacct:/docker/1
  std::string mount = "/sys/fs/cgroup";
};

/// The number of CPUs that the control groups of this process allow, rounded up; nothing if there is no limit. Groups
/// are nested, and the limits of all outer groups apply. A container may see its own group at the top of the tree but
/// read the name that it has outside, so missing folders are ignored.
std::optional<int> control_group_cpus(const ControlGroupFiles& files = {});

/// At least 1. Ignores a value of OMP_NUM_THREADS that is not a number above 0.
int available_threads(const char* requested, int cpus, std::optional<int> limit);
int available_threads();

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/core/impl/available_threads.hpp"
#endif
