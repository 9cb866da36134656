// Arrays with random content for benchmarks.
#pragma once

#include <vector>

#include "neural_attention/core/random.hpp"
#include "neural_attention/core/rows.hpp"

namespace bench {

template <class B>
class Arrays {
 public:
  explicit Arrays(B& backend) : backend_(backend) {}

  /// rows × cols numbers, uniform in [-1, 1).
  neural_attention::Rows<B> random(int rows, int cols) {
    using Scalar = typename B::Scalar;
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    std::vector<Scalar> values(count);
    neural_attention::RandomStream stream({1, 0, static_cast<std::uint32_t>(memory_.size())});
    for (auto& value : values) value = static_cast<Scalar>(2 * stream.uniform() - 1);
    memory_.push_back(backend_.allocate(count * sizeof(Scalar)));
    const neural_attention::Rows<B> array{static_cast<Scalar*>(memory_.back().data()), rows, cols};
    backend_.upload(values, array);
    return array;
  }

 private:
  B& backend_;
  std::vector<typename B::Memory> memory_;
};

}  // namespace bench
