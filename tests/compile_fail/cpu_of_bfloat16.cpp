// expect: for products of bfloat16 numbers make a Cpu<float> with Precision::BFloat16
// The CPU stores no bfloat16: the message says what does what is wanted.
#include <neural_attention/core/bfloat16.hpp>
#include <neural_attention/neural_attention.hpp>

neural_attention::Cpu<neural_attention::bfloat16> backend;
