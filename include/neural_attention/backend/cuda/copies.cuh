// Many copies in one launch: decoding appends to its caches and moves rows in them when beams part. Several blocks
// share a copy; their number follows from the largest copy.
#pragma once

#include <algorithm>
#include <cstddef>

#include "neural_attention/backend/cuda/device.cuh"

namespace neural_attention::cuda_backend {

/// Two matrices of one shape.
template <class T>
struct CopyPair {
  RowsOf<T> from, to;
};

inline constexpr int copy_threads = 128;

template <class T, bool Aligned>
__global__ void copy_pairs_kernel(const CopyPair<T>* pairs) {
  const auto pair = pairs[blockIdx.x];
  const int cols = pair.from.cols, groups = (cols + group - 1) / group;
  const auto all = std::ptrdiff_t{pair.from.rows} * groups;
  for (auto i = static_cast<std::ptrdiff_t>(blockIdx.y * copy_threads + threadIdx.x); i < all;
       i += static_cast<std::ptrdiff_t>(gridDim.y * copy_threads)) {
    const int row = static_cast<int>(i / groups), first = static_cast<int>(i % groups) * group;
    const T* const from = pair.from.row(row) + first;
    T* const to = pair.to.row(row) + first;
    if constexpr (Aligned) {
      *reinterpret_cast<Group<T>*>(to) = *reinterpret_cast<const Group<T>*>(from);
    } else {
      for (int j = 0; j < group; ++j)
        if (first + j < cols) to[j] = from[j];
    }
  }
}

/// to = from for `count` pairs, which lie on the device. `largest` is the number of elements of the largest; `whole`
/// says that all rows are aligned.
template <class T>
void copy_pairs(const CopyPair<T>* pairs, int count, std::ptrdiff_t largest, bool whole, Stream stream) {
  constexpr int groups_of_thread = 8, most_blocks = 64;
  const int blocks = std::clamp(pieces(largest, group * copy_threads * groups_of_thread), 1, most_blocks);
  const auto run = [&]<bool Aligned>() {
    launch("copy_pairs", copy_pairs_kernel<T, Aligned>,
           dim3(static_cast<unsigned>(count), static_cast<unsigned>(blocks)), dim3(copy_threads), 0, stream, pairs);
  };
  with_bools(run, whole);
}

}  // namespace neural_attention::cuda_backend
