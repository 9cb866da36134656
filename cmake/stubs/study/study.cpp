// Compiles the statistics of experiments once, for programs that link neural_attention::compiled.
#include "neural_attention/study/impl/paired_comparison.hpp"
#include "neural_attention/study/impl/verdict.hpp"
