// Rows: a view of a row-major matrix [rows, cols], one row for each token. Ragged: where each sequence begins in such
// rows. Batches are packed: sequences lie one after another without padding, and only attention and positions read the
// offsets.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <span>
#include <vector>

#include "neural_attention/core/language.hpp"
#include "neural_attention/core/sizes.hpp"

namespace neural_attention {

/// A view of `rows` × `cols` elements; row i begins at data + i · stride. It owns nothing; an empty view means "none".
/// The memory belongs to a backend, and the host may be unable to read it. The functions are constexpr so that device
/// code may call them.
template <class T>
struct RowsOf {
  T* data = nullptr;
  int rows = 0;
  int cols = 0;
  std::ptrdiff_t stride = 0;

  RowsOf() = default;
  constexpr RowsOf(T* first, int row_count, int col_count, std::ptrdiff_t row_stride)
      : data(first), rows(row_count), cols(col_count), stride(row_stride) {}
  constexpr RowsOf(T* first, int row_count, int col_count) : RowsOf(first, row_count, col_count, col_count) {}

  constexpr explicit operator bool() const { return data != nullptr; }
  constexpr T* row(int i) const { return data + i * stride; }
  constexpr std::ptrdiff_t size() const { return std::ptrdiff_t{rows} * cols; }
  constexpr bool contiguous() const { return stride == cols || rows <= 1; }

  /// Columns first … first+count-1 of every row, such as one attention head.
  constexpr RowsOf columns(int first, int count) const {
    assert(first >= 0 && count >= 0 && first + count <= cols);
    return {data + first, rows, count, stride};
  }
  /// Rows first … first+count-1.
  constexpr RowsOf slice(int first, int count) const {
    assert(first >= 0 && count >= 0 && first + count <= rows);
    return {row(first), count, cols, stride};
  }
};

/// Activations of backend B.
template <class B>
using Rows = RowsOf<typename B::Scalar>;

/// Where packed sequences begin in their optimizer step, which may have several parts. Random masks are functions of
/// this place, so the parts draw the same masks as the undivided batch.
struct Place {
  int first_row = 0;
  int first_sequence = 0;

  bool operator==(const Place&) const = default;
};

/// Offsets of packed sequences: sequence s has the rows begin(s) … begin(s)+length(s)-1. Lives on the host.
class Ragged {
 public:
  Ragged() = default;
  explicit Ragged(std::span<const int> lengths) {
    for (const int length : lengths) push(length);
  }

  void clear() {
    offsets_.resize(1);
    longest_ = 0;
  }
  /// Throws ConfigError, and adds nothing, if there would be more rows than an int counts.
  void push(std::ptrdiff_t length) {
    assert(length >= 0);
    offsets_.push_back(sizes::checked("a batch", sizes::sum(total(), length), "tokens", sizeof(int)));
    longest_ = std::max(longest_, static_cast<int>(length));
  }
  int sequences() const { return static_cast<int>(offsets_.size()) - 1; }
  int begin(int s) const { return offsets_[s]; }
  int length(int s) const { return offsets_[s + 1] - offsets_[s]; }
  int total() const { return offsets_.back(); }
  int longest() const { return longest_; }
  /// Where each sequence begins, and after the last one the number of rows.
  std::span<const int> offsets() const { return offsets_; }
  /// The sequence that a row belongs to.
  int sequence_of(int row) const {
    assert(row >= 0 && row < total());
    return static_cast<int>(std::upper_bound(offsets_.begin(), offsets_.end(), row) - offsets_.begin()) - 1;
  }

 private:
  std::vector<int> offsets_ = {0};
  int longest_ = 0;
};

}  // namespace neural_attention
