// Definitions of what core/available_threads.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/compiled.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace neural_attention {

NEURAL_ATTENTION_INLINE std::optional<int> positive_integer(const char* text) {
  if (!text || *text < '0' || *text > '9') return std::nullopt;
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (*end != '\0' || number < 1 || number > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(number);
}

NEURAL_ATTENTION_INLINE std::vector<int> allowed_cpu_numbers() {
  std::vector<int> numbers;
#if defined(__linux__)
  // One element of the mask has room for 1024 CPUs; the kernel refuses a mask that is too short for the machine.
  for (std::size_t size = 1; size <= 64; size *= 2) {
    std::vector<cpu_set_t> mask(size);
    const auto bytes = size * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) != 0) continue;
    for (std::size_t cpu = 0; cpu < 8 * bytes; ++cpu)
      if (CPU_ISSET_S(cpu, bytes, mask.data())) numbers.push_back(static_cast<int>(cpu));
    return numbers;
  }
#endif
  numbers.resize(std::max(1u, std::thread::hardware_concurrency()));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}
NEURAL_ATTENTION_INLINE int allowed_cpus() { return std::max(1, static_cast<int>(allowed_cpu_numbers().size())); }

namespace available_threads_detail {

/// The first line of a file without its line end; nothing if the file cannot be read.
inline std::optional<std::string> first_line(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "r");
  if (!file) return std::nullopt;
  char line[256];
  const bool read = std::fgets(line, sizeof line, file) != nullptr;
  std::fclose(file);
  if (!read) return std::nullopt;
  std::string text = line;
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

/// quota / period, rounded up; nothing if the quota is "max" or -1.
inline std::optional<int> share(const std::string& quota, const std::string& period) {
  const auto of = positive_integer(quota.c_str()), in = positive_integer(period.c_str());
  if (!of || !in) return std::nullopt;
  return *of / *in + (*of % *in > 0);
}

/// The limit that a group's folder sets, in the files of either version.
inline std::optional<int> limit_in(const std::string& folder) {
  if (const auto line = first_line(folder + "/cpu.max")) {  // "<quota> <period>"
    const auto space = std::min(line->find(' '), line->size());
    return share(line->substr(0, space), line->substr(std::min(space + 1, line->size())));
  }
  const auto quota = first_line(folder + "/cpu.cfs_quota_us"), period = first_line(folder + "/cpu.cfs_period_us");
  return quota && period ? share(*quota, *period) : std::nullopt;
}

/// The group's name and the folder where its tree is mounted, from one line of the membership file. Nothing if the
/// group cannot limit CPU time.
struct Group {
  std::string tree, name;
};
inline std::optional<Group> group_of(std::string_view line, const std::string& mount) {
  const auto first = line.find(':');
  const auto second = first == std::string_view::npos ? std::string_view::npos : line.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string controllers(line.substr(first + 1, second - first - 1)), name(line.substr(second + 1));
  if (controllers.empty()) return Group{mount, name};  // version 2
  if (("," + controllers + ",").find(",cpu,") == std::string::npos) return std::nullopt;
  return Group{mount + "/cpu", name};
}

}  // namespace available_threads_detail

NEURAL_ATTENTION_INLINE std::optional<int> control_group_cpus(const ControlGroupFiles& files) {
  namespace detail = available_threads_detail;
  std::optional<int> least;
  std::FILE* const membership = std::fopen(files.membership.c_str(), "r");
  if (!membership) return least;
  char line[4096];
  while (std::fgets(line, sizeof line, membership)) {
    std::string_view text = line;
    if (text.ends_with('\n')) text.remove_suffix(1);
    auto group = detail::group_of(text, files.mount);
    if (!group) continue;
    for (auto& name = group->name;; name.resize(name.rfind('/'))) {
      while (name.ends_with('/')) name.pop_back();
      const auto limit = detail::limit_in(group->tree + name);
      if (limit && (!least || *limit < *least)) least = limit;
      if (name.rfind('/') == std::string::npos) break;
    }
  }
  std::fclose(membership);
  return least;
}

NEURAL_ATTENTION_INLINE std::optional<int> requested_threads(const char* value) {
  if (!value) return std::nullopt;
  const std::string_view all = value;
  return positive_integer(std::string(all.substr(0, all.find(','))).c_str());
}

NEURAL_ATTENTION_INLINE int available_threads(const char* requested, int cpus, std::optional<int> limit) {
  if (const auto number = requested_threads(requested)) return *number;
  return std::max(1, limit ? std::min(cpus, *limit) : cpus);
}
NEURAL_ATTENTION_INLINE int available_threads() {
  return available_threads(std::getenv("OMP_NUM_THREADS"), allowed_cpus(), control_group_cpus());
}

NEURAL_ATTENTION_INLINE int shared_cpus(std::span<const int> mine, std::span<const std::vector<int>> all,
                                        std::optional<int> limit) {
  double share = 1e-6;  // against rounding: three thirds are one
  for (const int cpu : mine)
    share += 1.0 / static_cast<double>(std::max<std::ptrdiff_t>(1, std::ranges::count_if(all, [&](const auto& one) {
                                                                  return std::ranges::find(one, cpu) != one.end();
                                                                })));
  const int cpus = static_cast<int>(share);
  return std::max(1, limit ? std::min(cpus, *limit / std::max(1, static_cast<int>(all.size()))) : cpus);
}

}  // namespace neural_attention
