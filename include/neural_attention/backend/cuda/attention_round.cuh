// Attention outside training: one query for each sequence over its cache, for decoding, and the probabilities of one
// sequence, for display. For decoding, a block takes a query and a head. Eight lanes share a key and its value, so a
// block works at 16 keys at a time; each of these 16 parts keeps its own maximum, sum and result, which are joined in
// order.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>

#include "neural_attention/backend/cuda/attention.cuh"
#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/loss.cuh"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cuda_backend {

inline constexpr int round_threads = 128, round_lanes = 8, round_parts = round_threads / round_lanes;

/// What a query attends to: the first `length` rows of the keys and of the values.
template <class T>
struct CachedRows {
  RowsOf<T> keys, values;
  int length;
};

/// One of round_lanes lanes takes this part of a head's columns: every eighth group of columns.
template <int Groups>
struct LaneColumns {
  Group<float> at[Groups] = {};

  /// Calls use(index of the lane's group, first column, count).
  template <class Use>
  static __device__ void for_each(int width, Use&& use) {
    for (int m = 0; m < Groups; ++m) {
      const int col = (m * round_lanes + static_cast<int>(threadIdx.x) % round_lanes) * group;
      if (col < width) use(m, col, width - col < group ? width - col : group);
    }
  }
  template <bool Aligned, class T>
  __device__ void load_from(const T* row, int width) {
    for_each(width, [&](int m, int col, int count) { at[m] = load<Aligned>(row + col, count); });
  }
  __device__ float dot(const LaneColumns& other) const {
    float sum = 0.0f;
    for (int m = 0; m < Groups; ++m)
      for (int i = 0; i < group; ++i) sum += at[m].at[i] * other.at[m].at[i];
    return sum;
  }
};

/// exp(top - highest), the factor by which a part of a softmax shrinks; a part whose scores are all -∞ has nothing to
/// shrink.
__device__ inline float shrink(float top, float highest) { return top == -INFINITY ? 1.0f : expf(top - highest); }

template <class T, int Groups, bool Aligned>
__global__ void attention_round_kernel(RowsOf<T> q, const CachedRows<T>* sequences, int heads, Scores scores,
                                       RowsOf<T> out) {
  __shared__ float tops[round_parts], sums[round_parts];
  float* const results = shared_memory<float>();  // [round_parts, value_width]
  const int row = static_cast<int>(blockIdx.x) / heads, head = static_cast<int>(blockIdx.x) % heads;
  const int width = q.cols / heads, value_width = out.cols / heads;
  const int first = head * width, first_value = head * value_width;
  const int part = static_cast<int>(threadIdx.x) / round_lanes;
  const auto sequence = sequences[row];
  LaneColumns<Groups> query, key, value, result;
  query.template load_from<Aligned>(q.row(row) + first, width);
  float top = -INFINITY, sum = 0.0f;
  for (int first_key = 0; first_key < sequence.length; first_key += round_parts) {
    const int j = first_key + part;
    const bool there = j < sequence.length;
    if (there) {
      key.template load_from<Aligned>(sequence.keys.row(j) + first, width);
      value.template load_from<Aligned>(sequence.values.row(j) + first_value, value_width);
    }
    const float score = scores.score(warp_sum<round_lanes>(query.dot(key)));
    if (!there) continue;
    const float highest = fmaxf(top, score), before = shrink(top, highest);
    const float probability = score == -INFINITY ? 0.0f : expf(score - highest);
    top = highest;
    sum = sum * before + probability;
    for (int m = 0; m < Groups; ++m)
      for (int i = 0; i < group; ++i)
        result.at[m].at[i] = result.at[m].at[i] * before + probability * value.at[m].at[i];
  }
  if (threadIdx.x % round_lanes == 0) {
    tops[part] = top;
    sums[part] = sum;
  }
  LaneColumns<Groups>::for_each(value_width, [&](int m, int col, int count) {
    store<false>(results + part * value_width + col, count, result.at[m]);
  });
  __syncthreads();
  float highest = -INFINITY, total = 0.0f;
  for (const float one : tops) highest = fmaxf(highest, one);
  for (int i = 0; i < round_parts; ++i) total += sums[i] * shrink(tops[i], highest);
  for (int c = static_cast<int>(threadIdx.x); c < value_width; c += round_threads) {
    float joined = 0.0f;
    for (int i = 0; i < round_parts; ++i) joined += results[i * value_width + c] * shrink(tops[i], highest);
    out.row(row)[first_value + c] = static_cast<T>(sequence.length > 0 ? joined / total : 0.0f);
  }
}

/// Row i of q and out belongs to sequences[i], which lies on the device; `whole` says that all rows of keys and values
/// are aligned.
template <class T>
void attention_round(RowsOf<T> q, const CachedRows<T>* sequences, bool whole, const AttentionShape& shape,
                     RowsOf<T> out, Stream stream) {
  assert(q.cols % shape.heads == 0 && out.cols % shape.heads == 0 && out.rows == q.rows);
  const int width = q.cols / shape.heads, value_width = out.cols / shape.heads;
  with_columns(std::max(width, value_width), [&]<int Columns>() {
    constexpr int groups = Columns * attention_tile / (round_lanes * group);
    const auto run = [&]<bool Aligned>() {
      launch("attention_round", attention_round_kernel<T, groups, Aligned>,
             dim3(static_cast<unsigned>(q.rows * shape.heads)), dim3(round_threads),
             std::size_t{round_parts} * value_width * sizeof(float), stream, q, sequences, shape.heads, Scores(shape),
             out);
    };
    with_bools(run, whole && aligned(q) && width % group == 0 && value_width % group == 0);
  });
}

inline constexpr int probability_warps = 4;  ///< of a block

/// A warp takes a row of out: head · n + i.
template <class T>
__global__ void attention_probabilities_kernel(RowsOf<T> q, RowsOf<T> k, int heads, Scores scores, bool causal,
                                               RowsOf<T> out) {
  const int row = static_cast<int>(blockIdx.x) * probability_warps + static_cast<int>(threadIdx.x) / warp_size;
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  if (row >= out.rows) return;
  const int width = q.cols / heads, head = row / q.rows, query = row % q.rows;
  const int seen = causal && query < k.rows ? query + 1 : k.rows;
  const auto score = [&](int key) {
    return scores.score(dot(q.row(query) + head * width, k.row(key) + head * width, width));
  };
  SoftmaxSums mine{-INFINITY, 0.0f, 0.0f};
  for (int key = lane; key < seen; key += warp_size) mine.add(score(key));
  const float top = warp_max(mine.largest), sum = warp_sum(mine.exponentials * shrink(mine.largest, top));
  for (int key = lane; key < k.rows; key += warp_size)
    out.row(row)[key] = static_cast<T>(key < seen ? expf(score(key) - top) / sum : 0.0f);
}

template <class T>
void attention_probabilities(RowsOf<T> q, RowsOf<T> k, const AttentionShape& shape, RowsOf<T> out, Stream stream) {
  assert(q.cols == k.cols && q.cols % shape.heads == 0 && out.rows == shape.heads * q.rows && out.cols == k.rows);
  launch("attention_probabilities", attention_probabilities_kernel<T>,
         dim3(static_cast<unsigned>(pieces(out.rows, probability_warps))), dim3(probability_warps * warp_size), 0,
         stream, q, k, shape.heads, Scores(shape), shape.causal, out);
}

}  // namespace neural_attention::cuda_backend
