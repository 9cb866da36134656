// Compiles the core's functions that are no templates once, for programs that link neural_attention::compiled.
#include "neural_attention/core/impl/available_threads.hpp"
#include "neural_attention/core/impl/nearest_name.hpp"
#include "neural_attention/core/impl/threads.hpp"
