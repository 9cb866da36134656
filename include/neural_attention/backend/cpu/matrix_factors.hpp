// A matrix as the product of two through an inner width, by its singular values (Eckart & Young 1936).
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/compiled.hpp"

namespace neural_attention {

/// W [out, in] = last · first, or near it. Row after row.
template <class T>
struct MatrixFactors {
  std::vector<T> first;  ///< [min(inner, in, out), in]
  std::vector<T> last;   ///< [out, inner]; zeros in the columns that have no row of `first`
  T left_out = 0;        ///< of the norm of W, what the inner width cannot hold; 0 if it holds all
};

/// The nearest product to `weight` [out, in], whose singular values both factors share equally. A template, so that
/// header-only programs compile it only if they call it.
template <class T>
MatrixFactors<T> factored(std::span<const T> weight, int out, int in, int inner);

}  // namespace neural_attention

#if defined(NEURAL_ATTENTION_COMPILED)
extern template neural_attention::MatrixFactors<double> neural_attention::factored(std::span<const double>, int, int,
                                                                                   int);
#else
#include "neural_attention/backend/cpu/impl/matrix_factors.hpp"
#endif
