// The CUDA backend, instantiated once for all tests, with kernels that run on the CPU.
#include "cuda/mma_emulation.hpp"
// Of cmake/stubs, behind the words that it needs:
#include "cuda.cu"
