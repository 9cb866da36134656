#include <neural_attention/neural_attention.hpp>

const void* other_version() { return &neural_attention::version_string; }
