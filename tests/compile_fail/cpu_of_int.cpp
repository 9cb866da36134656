// expect: Cpu<T> computes in float or double
// A backend of integers is refused in one sentence.
#include <neural_attention/neural_attention.hpp>

neural_attention::Cpu<int> backend;
