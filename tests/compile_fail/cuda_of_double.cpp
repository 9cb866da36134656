// expect: Cuda<T> computes in float or bfloat16
// A GPU backend of double is refused in one sentence.
#include <neural_attention/cuda.hpp>

neural_attention::Cuda<double> backend;
