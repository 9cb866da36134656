// Compiles the decomposition of matrices once, for programs that link neural_attention::compiled.
#include "neural_attention/backend/cpu/impl/matrix_factors.hpp"

template neural_attention::MatrixFactors<double> neural_attention::factored(std::span<const double>, int, int, int);
