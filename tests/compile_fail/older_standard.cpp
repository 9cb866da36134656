// expect: NeuralAttention needs C++20: compile with -std=c++20 or newer
// standard: c++17
// lines: 12
// An older standard gives this one error, whichever header comes first.
#include <neural_attention/neural_attention.hpp>
