// Arrays with random content for benchmarks.
#pragma once

#include <cstddef>
#include <vector>

#include "neural_attention/core/operations.hpp"
#include "neural_attention/core/random.hpp"

namespace bench {

template <class B>
class Arrays {
 public:
  explicit Arrays(B& backend) : backend_(backend) {}

  /// rows × cols numbers, uniform in [-1, 1).
  template <class T = typename B::Scalar>
  neural_attention::RowsOf<T> random(int rows, int cols) {
    std::vector<T> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    neural_attention::RandomStream stream({1, 0, static_cast<std::uint32_t>(memory_.size())});
    for (auto& value : values) value = static_cast<T>(2 * stream.uniform() - 1);
    const auto array = uninitialized<T>(rows, cols);
    backend_(neural_attention::ops::UploadOf<T>{.values = values, .x = array});
    return array;
  }

  template <class T>
  neural_attention::RowsOf<T> copy(neural_attention::RowsOf<T> x) {
    const auto array = uninitialized<T>(x.rows, x.cols);
    backend_(neural_attention::ops::CopyOf<T>{.x = x, .y = array});
    return array;
  }

  template <class T = typename B::Scalar>
  neural_attention::RowsOf<T> uninitialized(int rows, int cols) {
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    memory_.push_back(backend_.allocate(count * sizeof(T)));
    return {static_cast<T*>(memory_.back().data()), rows, cols};
  }

 private:
  B& backend_;
  std::vector<typename B::Memory> memory_;
};

}  // namespace bench
