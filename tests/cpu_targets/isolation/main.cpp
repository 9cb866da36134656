// Calls the units that the processor can run, and itself what they share.
#include <cstring>

#include "shared.hpp"

extern const Computation baseline;
extern const Computation avx2;
extern const Computation avx512;

namespace {

/// Whether `unit` computes what this file does, and what it throws is caught.
bool agrees(Computation unit) {
  std::vector<float> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 9) - 4.0f;
  for (int index = 0; index < 4; ++index)  // small integers: exact in any order
    if (unit(x, index) != compute(x, index)) return false;
  try {
    unit({}, 0);
  } catch (const Failure& failure) {
    return std::strlen(failure.what()) > 20;
  }
  return false;
}

}  // namespace

int main() {
  __builtin_cpu_init();
  if (!agrees(baseline)) return 1;
  if (__builtin_cpu_supports("avx2") && !agrees(avx2)) return 2;
  if (__builtin_cpu_supports("avx512vl") && !agrees(avx512)) return 3;
  return 0;
}
