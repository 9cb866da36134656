// The instruction sets for which a program may hold kernels, and the choice among them at run time. A build names those
// that it has in NEURAL_ATTENTION_CPU_TARGETS; cmake/cpu_targets.cmake has the compiler's options for each.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>

#include "neural_attention/core/errors.hpp"
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace neural_attention::cpu_targets {

/// What the flags of the program allow. Runs wherever the program does.
struct baseline {
  static constexpr const char* name = "baseline";
  static bool supported() { return true; }
};

#if defined(__x86_64__) && defined(__GNUC__)
/// supported() asks the processor and, by the compiler's function, whether the system saves the registers. A set with a
/// type `Rest` has nothing but its own kernel of int8 products, and takes all others from there.
struct avx2 {
  static constexpr const char* name = "avx2";
  static bool supported() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
  }
};

struct avx2_vnni {
  static constexpr const char* name = "avx2_vnni";
  using Rest = avx2;
  static bool supported() { return avx2::supported() && has_avx_vnni(); }

 private:
  /// Not every compiler's __builtin_cpu_supports knows it. It uses the registers of AVX2.
  static bool has_avx_vnni() {
    constexpr unsigned avx_vnni = 1u << 4;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avx_vnni);
  }
};

struct avx512 {
  static constexpr const char* name = "avx512";
  static bool supported() {
    return avx2::supported() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  }
};

struct avx512_vnni {
  static constexpr const char* name = "avx512_vnni";
  using Rest = avx512;
  static bool supported() { return avx512::supported() && __builtin_cpu_supports("avx512vnni"); }
};

struct avx512_bf16 {
  static constexpr const char* name = "avx512_bf16";
  static bool supported() { return avx512_vnni::supported() && __builtin_cpu_supports("avx512bf16"); }
};
#endif

/// A set that a program has kernels for.
struct InstructionSet {
  const char* name;
  bool supported;
};

/// The last of `sets` that is supported or, if `forced` is a name, the set of that name; "" and null are no name.
/// Throws ConfigError if there is no such set or it is not supported.
inline std::size_t choose(std::span<const InstructionSet> sets, const char* forced) {
  const std::string name = forced ? forced : "";
  std::string usable;
  std::size_t chosen = sets.size();
  bool known = false;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (name == sets[i].name) known = true;
    if (!sets[i].supported) continue;
    usable += (usable.empty() ? "" : ", ") + std::string(sets[i].name);
    if (name.empty() || name == sets[i].name) chosen = i;
  }
  if (chosen == sets.size())
    throw ConfigError("NEURAL_ATTENTION_CPU is \"" + name + "\", " +
                      (known ? "which this processor lacks" : "for which this program has no kernels") +
                      "; it can be one of: " + usable);
  return chosen;
}

/// The set that the environment variable NEURAL_ATTENTION_CPU names, or the best.
inline std::size_t choose(std::span<const InstructionSet> sets) {
  return choose(sets, std::getenv("NEURAL_ATTENTION_CPU"));
}

}  // namespace neural_attention::cpu_targets
