// Compiled once for each instruction set, UNIT: the address of a function is all that it shows. PLANTED is an
// instruction that the unit has besides.
#include "shared.hpp"

extern const Computation UNIT;
#if defined(PLANTED)
static float planted(const std::vector<float>& x, int index) {
  asm volatile(PLANTED);
  return compute(x, index);
}
const Computation UNIT = planted;
#else
const Computation UNIT = compute;
#endif
