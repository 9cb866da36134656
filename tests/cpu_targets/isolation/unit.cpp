// Compiled once for each instruction set, UNIT: the address of a function is all that it shows.
#include "shared.hpp"

extern const Computation UNIT;
const Computation UNIT = compute;
