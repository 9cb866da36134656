// The backward pass of attention_mma.cuh, for heads of 32 or 64 columns. As in attention.cuh, one kernel computes the
// gradients of queries, another the gradients of keys and values. As operands, probabilities and the gradients of
// scores are rounded to bfloat16.
#pragma once

#include <cassert>

#include "neural_attention/backend/cuda/attention_mma.cuh"

namespace neural_attention::cuda_backend {

inline constexpr int widest_mma_backward = 64;  ///< what the registers hold

/// log_sum_exp and dots are [rows, heads], contiguous.
template <int Width, bool Capped>
__global__ void __launch_bounds__(mma_warps* warp_size)
    attention_mma_query_gradient_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<bfloat16> dout,
                                        RowsOf<bfloat16> q, RowsOf<bfloat16> k, RowsOf<bfloat16> v,
                                        const float* log_sum_exp, const float* dots, RowsOf<bfloat16> dq) {
  const auto tile = tiles[blockIdx.x / call.heads];
  const MmaPlace at(tile, call);
  const int first = tile.queries_begin + at.first;
  const MmaTile<Width> keys{shared_memory<bfloat16>()}, values{keys.data + MmaTile<Width>::size};
  FragmentA queries[Width / 16], gradients[Width / 16];
  load_rows<Width>(at, q, first, queries);
  load_rows<Width>(at, dout, first, gradients);
  float log_sums[2], row_dots[2];
  unrolled<2>([&](auto half) {
    const int row = at.row + 8 * half, place = (first + row) * call.heads + at.head;
    log_sums[half] = row < at.left ? log_sum_exp[place] : 0.0f;
    row_dots[half] = row < at.left ? dots[place] : 0.0f;
  });
  FragmentD result[Width / 8] = {};
  const int end = call.causal && tile.first + tile.count < tile.keys ? tile.first + tile.count : tile.keys;
  for (int k0 = 0; k0 < end; k0 += mma_keys) {
    const int count = tile.keys - k0 < mma_keys ? tile.keys - k0 : mma_keys;
    __syncthreads();  // all have read the last keys
    keys.load(k, tile.keys_begin + k0, count, at.col);
    values.load(v, tile.keys_begin + k0, count, at.col);
    __syncthreads();
    if (at.left <= 0 || (call.causal && k0 > at.first + 15)) continue;  // the same for all lanes
    MmaScores scores = {}, of_probabilities = {};
    multiply_transposed<Width>(at.lane, queries, keys, scores);
    multiply_transposed<Width>(at.lane, gradients, values, of_probabilities);
    unrolled<2>([&](auto half) {
      const int query = at.first + at.row + 8 * half;
      const int seen = call.causal && query + 1 - k0 < count ? query + 1 - k0 : count;
      unrolled<mma_keys / 8>([&](auto block) {
        const int key = 8 * block + at.pair;
        float factors[2] = {1.0f, 1.0f};
        if (call.dropping && key < seen)
          drop_pair(call, tile.sequence, at.head, query, k0 + key, factors[0], factors[1]);
        unrolled<2>([&](auto i) {
          float& product = scores[block][2 * half + i];
          const float score = call.score<Capped>(product);
          const float p = key + i < seen ? expf(score - log_sums[half]) : 0.0f;
          product =
              call.slope<Capped>(score) * p * (factors[i] * of_probabilities[block][2 * half + i] - row_dots[half]);
        });
      });
    });
    multiply<Width>(at.lane, scores, keys, result);
  }
  if (at.left > 0) store_rows<Width>(at, result, {1.0f, 1.0f}, dq, first);
}

/// The tiles are tiles of the keys: scores are transposed, and a row belongs to a key.
template <int Width, bool Capped>
__global__ void __launch_bounds__(mma_warps* warp_size)
    attention_mma_key_gradient_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<bfloat16> dout,
                                      RowsOf<bfloat16> q, RowsOf<bfloat16> k, RowsOf<bfloat16> v,
                                      const float* log_sum_exp, const float* dots, RowsOf<bfloat16> dk,
                                      RowsOf<bfloat16> dv) {
  __shared__ float log_sums[mma_keys], row_dots[mma_keys];
  const auto tile = tiles[blockIdx.x / call.heads];
  const MmaPlace at(tile, call);
  const int first = tile.keys_begin + at.first;
  const MmaTile<Width> queries{shared_memory<bfloat16>()}, gradients{queries.data + MmaTile<Width>::size};
  FragmentA keys[Width / 16], values[Width / 16];
  load_rows<Width>(at, k, first, keys);
  load_rows<Width>(at, v, first, values);
  FragmentD of_key[Width / 8] = {}, of_value[Width / 8] = {};
  for (int q0 = call.causal ? tile.first : 0; q0 < tile.queries; q0 += mma_keys) {
    const int count = tile.queries - q0 < mma_keys ? tile.queries - q0 : mma_keys;
    __syncthreads();  // all have read the last queries
    queries.load(q, tile.queries_begin + q0, count, at.col);
    gradients.load(dout, tile.queries_begin + q0, count, at.col);
    static_assert(mma_keys <= mma_warps * warp_size);
    if (const int i = static_cast<int>(threadIdx.x); i < count) {
      const int place = (tile.queries_begin + q0 + i) * call.heads + at.head;
      log_sums[i] = log_sum_exp[place];
      row_dots[i] = dots[place];
    }
    __syncthreads();
    if (at.left <= 0 || (call.causal && q0 + count <= at.first)) continue;  // the same for all lanes
    MmaScores scores = {}, of_probabilities = {};
    multiply_transposed<Width>(at.lane, keys, queries, scores);
    multiply_transposed<Width>(at.lane, values, gradients, of_probabilities);
    unrolled<2>([&](auto half) {
      const int key = at.first + at.row + 8 * half;
      unrolled<mma_keys / 8>([&](auto block) {
        unrolled<2>([&](auto i) {
          const int j = 8 * block + at.pair + i;
          const bool seen = j < count && (!call.causal || key <= q0 + j);
          float &product = scores[block][2 * half + i], &gradient = of_probabilities[block][2 * half + i];
          const float score = call.score<Capped>(product);
          const float p = seen ? expf(score - log_sums[j]) : 0.0f;
          const float factor = seen ? call.factor(tile.sequence, at.head, q0 + j, key) : 0.0f;
          gradient = seen ? call.slope<Capped>(score) * p * (factor * gradient - row_dots[j]) : 0.0f;
          product = p * factor;
        });
      });
    });
    multiply<Width>(at.lane, scores, gradients, of_value);
    multiply<Width>(at.lane, of_probabilities, queries, of_key);
  }
  if (at.left <= 0) return;
  store_rows<Width>(at, of_key, {1.0f, 1.0f}, dk, first);
  store_rows<Width>(at, of_value, {1.0f, 1.0f}, dv, first);
}

/// Like attention_backward(), for a call that suits_mma() with at most widest_mma_backward columns; the tiles have
/// mma_queries rows.
inline void attention_mma_backward(const int* query_tiles, int query_count, const int* key_tiles, int key_count,
                                   RowsOf<bfloat16> dout, RowsOf<bfloat16> q, RowsOf<bfloat16> k, RowsOf<bfloat16> v,
                                   RowsOf<bfloat16> out, RowsOf<float> log_sum_exp, const AttentionShape& shape,
                                   const DropoutMask& mask, RowsOf<bfloat16> dq, RowsOf<bfloat16> dk,
                                   RowsOf<bfloat16> dv, float* dots, Stream stream) {
  assert(log_sum_exp.contiguous());
  const AttentionCall call(shape, mask, q.cols, v.cols);
  assert(call.width == call.value_width);
  const dim3 threads(mma_warps * warp_size);
  const auto blocks = [&](int tiles) { return dim3(static_cast<unsigned>(tiles * shape.heads)); };
  attention_dots(dout, out, shape.heads, dots, stream);
  const auto run = [&]<int Width, bool Capped>() {
    constexpr auto bytes = 2 * MmaTile<Width>::size * sizeof(bfloat16);
    launch("attention_mma_query_gradient", attention_mma_query_gradient_kernel<Width, Capped>, blocks(query_count),
           threads, bytes, stream, reinterpret_cast<const AttentionTile*>(query_tiles), call, dout, q, k, v,
           log_sum_exp.data, dots, dq);
    launch("attention_mma_key_gradient", attention_mma_key_gradient_kernel<Width, Capped>, blocks(key_count), threads,
           bytes, stream, reinterpret_cast<const AttentionTile*>(key_tiles), call, dout, q, k, v, log_sum_exp.data,
           dots, dk, dv);
  };
  const auto of_width = [&]<int Width>() {
    call.capped() ? run.template operator()<Width, true>() : run.template operator()<Width, false>();
  };
  if (call.width == 32) return of_width.template operator()<32>();
  assert(call.width == widest_mma_backward);
  of_width.template operator()<widest_mma_backward>();
}

}  // namespace neural_attention::cuda_backend
