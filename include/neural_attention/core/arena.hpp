// A stack of device memory in chained blocks that never move. Rewinding to a mark frees everything above it. The stack
// grows only to a high-water mark: after one step of every size, a step allocates nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "neural_attention/core/operations.hpp"

namespace neural_attention {

template <class B>
class Arena {
 public:
  /// A position on the stack.
  struct Mark {
    std::size_t block = 0;
    std::size_t used = 0;
  };

  explicit Arena(B& backend) : backend_(&backend) {}

  /// Uninitialised rows × cols elements on top of the stack, contiguous, 64-byte aligned.
  template <class T = typename B::Scalar>
  RowsOf<T> rows(int rows, int cols) {
    return {static_cast<T*>(push(bytes<T>(rows, cols))), rows, cols};
  }

  /// The same, but each row begins at a multiple of 16 elements, as tensor cores need it. For logits, which are as wide
  /// as the vocabulary. Contiguous only if cols is such a multiple.
  template <class T = typename B::Scalar>
  RowsOf<T> aligned_rows(int rows, int cols) {
    constexpr std::ptrdiff_t multiple = 16;
    const auto stride = (cols + multiple - 1) / multiple * multiple;
    return {static_cast<T*>(push(bytes<T>(rows, stride))), rows, cols, stride};
  }

  Mark mark() const { return top_; }
  void rewind(Mark mark) { top_ = mark; }

  /// Rewinds to `mark` but keeps `result`, a view of contiguous rows above it, and moves it down to the mark.
  template <class T>
  RowsOf<T> rewind_keeping(Mark mark, RowsOf<T> result) {
    rewind(mark);
    const auto kept = rows<T>(result.rows, result.cols);
    if (kept.data != result.data) (*backend_)(ops::CopyOf<T>{.x = result, .y = kept});
    return kept;
  }

  /// Empties the stack. If it has more than one block, joins them, so that later steps use one block.
  void reset() {
    rewind({});
    if (blocks_.size() < 2) return;
    const auto total = capacity();
    blocks_.clear();
    add_block(total);
  }

  /// Bytes held.
  std::size_t capacity() const {
    std::size_t total = 0;
    for (const auto& block : blocks_) total += block.bytes;
    return total;
  }

 private:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t smallest_block = std::size_t{1} << 20, smallest_returned = std::size_t{1} << 25;

  template <class T>
  static std::size_t bytes(int rows, std::ptrdiff_t cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(T);
  }

  struct Block {
    typename B::Memory memory;
    std::size_t bytes;
  };

  void* push(std::size_t bytes) {
    bytes = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    const auto first_empty = std::min(blocks_.size(), top_.block + (top_.used > 0 ? 1 : 0));
    while (top_.block < blocks_.size() && top_.used + bytes > blocks_[top_.block].bytes) top_ = {top_.block + 1, 0};
    if (top_.block == blocks_.size()) replace_from(first_empty, std::max(bytes, next_block()));
    auto* const result = static_cast<std::byte*>(blocks_[top_.block].memory.data()) + top_.used;
    top_.used += bytes;
    return result;
  }

  /// The least size of a further block. Joining blocks frees them; glibc returns blocks of 32 MiB and more to the
  /// system, and smaller ones may leave holes, so there are few of these.
  std::size_t next_block() const {
    const auto held = capacity();
    return held < 4 * smallest_block ? std::max(smallest_block, held) : std::max(smallest_returned, held / 4);
  }

  /// Frees the blocks from `first` on, which are empty and too small, and adds one of at least their size.
  void replace_from(std::size_t first, std::size_t bytes) {
    std::size_t freed = 0;
    for (auto i = first; i < blocks_.size(); ++i) freed += blocks_[i].bytes;
    blocks_.resize(first);
    top_ = {first, 0};
    add_block(std::max(bytes, freed));
  }

  void add_block(std::size_t bytes) { blocks_.push_back({backend_->allocate(bytes), bytes}); }

  B* backend_;
  std::vector<Block> blocks_;
  Mark top_;
};

/// Rewinds an arena at the end of a scope: for temporaries.
template <class B>
class ArenaScope {
 public:
  explicit ArenaScope(Arena<B>& arena) : arena_(arena), mark_(arena.mark()) {}
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;
  ~ArenaScope() { arena_.rewind(mark_); }

 private:
  Arena<B>& arena_;
  typename Arena<B>::Mark mark_;
};

}  // namespace neural_attention
