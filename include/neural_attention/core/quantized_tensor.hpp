// The memory of a matrix that a ParameterStore holds as integers of eight bits: its own, or a file's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "neural_attention/core/quantized_rows.hpp"

namespace neural_attention {

/// Modules have the address of view(), so a tensor does not move. Until it has integers, the view is empty.
class QuantizedTensor {
 public:
  QuantizedTensor(int rows, int cols) : rows_(rows), cols_(cols) {}
  QuantizedTensor(const QuantizedTensor&) = delete;
  QuantizedTensor& operator=(const QuantizedTensor&) = delete;

  const QuantizedRows& view() const { return view_; }
  std::span<const float> scales() const { return scales_; }
  /// Of the integers, wherever they lie, and of what belongs to each row; 0 without integers.
  std::int64_t bytes() const {
    return view_.data ? std::int64_t{rows_} * cols_ + std::ssize(scales_) * std::int64_t{sizeof(float)} +
                            std::ssize(sums_) * std::int64_t{sizeof(std::int32_t)}
                      : 0;
  }

  /// Takes the integers [rows, cols] that lie at `integers` and that `keeper` keeps there, and a scale for each row.
  /// They are already checked.
  void hold(const std::int8_t* integers, std::shared_ptr<const void> keeper, std::vector<float> scales) {
    keeper_ = std::move(keeper);
    scales_ = std::move(scales);
    sums_.resize(static_cast<std::size_t>(rows_));
    for (int r = 0; r < rows_; ++r) {
      const auto* const row = integers + std::ptrdiff_t{r} * cols_;
      sums_[static_cast<std::size_t>(r)] = std::accumulate(row, row + cols_, std::int32_t{0});
    }
    view_ = {integers, scales_.data(), sums_.data(), rows_, cols_};
  }

 private:
  int rows_, cols_;
  QuantizedRows view_;
  std::shared_ptr<const void> keeper_;
  std::vector<float> scales_;
  std::vector<std::int32_t> sums_;
};

}  // namespace neural_attention
