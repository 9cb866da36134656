// Poisoned: a test backend whose new memory is full of NaN, so that a result that depends on unwritten memory is NaN as
// well. Everything else is inherited.
#pragma once

#include <cstddef>
#include <limits>

#include "neural_attention/core/operations.hpp"

namespace neural_attention::testing {

/// For tests of small models: one allocation holds at most 2^31 scalars.
template <class Base>
class Poisoned : public Base {
 public:
  using Scalar = typename Base::Scalar;
  using Memory = typename Base::Memory;
  using Base::Base;

  Memory allocate(std::size_t bytes) {
    auto memory = Base::allocate(bytes);
    const auto count = static_cast<int>(bytes / sizeof(Scalar));
    if (count > 0)
      (*this)(ops::Fill<Base>{.x = {static_cast<Scalar*>(memory.data()), 1, count},
                              .value = static_cast<Scalar>(std::numeric_limits<float>::quiet_NaN())});
    return memory;
  }
};

}  // namespace neural_attention::testing
