// The number of threads to use when the user does not say: the value of OMP_NUM_THREADS, otherwise one thread for each
// CPU that this process may use, but no more than its control group (a container's limit) allows.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// `text` as a number above 0; nothing if it is anything else.
std::optional<int> positive_integer(const char* text);

/// The CPUs in the process's affinity mask, which taskset, containers and launchers set: their numbers, in order. Where
/// the system does not say, those from 0 to the number of CPUs.
std::vector<int> allowed_cpu_numbers();
/// How many they are; at least 1.
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

/// What a value of OMP_NUM_THREADS asks for: the number before the first comma, as further ones are of nested teams.
/// Nothing if it is not a number above 0.
std::optional<int> requested_threads(const char* value);

/// At least 1; `requested` is a value of OMP_NUM_THREADS.
int available_threads(const char* requested, int cpus, std::optional<int> limit);
int available_threads();

/// The number of threads that suits one of several processes on a host, which may use the CPUs `mine`: `all` has
/// those of each process, `mine` included. The processes that may use a CPU share it evenly, and all of them share
/// `limit`, the CPUs that their control group allows. At least 1.
int shared_cpus(std::span<const int> mine, std::span<const std::vector<int>> all, std::optional<int> limit);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/core/impl/available_threads.hpp"
#endif
