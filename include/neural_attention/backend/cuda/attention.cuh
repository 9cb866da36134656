// Attention over packed sequences for any head widths, in float; backend/cpu/attention.hpp has the formulas. Scores
// exist only as tiles of 16 queries × 16 keys, one thread for each score. The 16 threads of a row hold its running
// maximum and sum, and divide the columns of its result among them. Separate kernels compute the gradients of queries
// and the gradients of keys and values, so that no two blocks write to one place.
#pragma once

#include <algorithm>
#include <cassert>
#include <vector>

#include "neural_attention/backend/cuda/attention_scores.cuh"
#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/dropout.cuh"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cuda_backend {

inline constexpr int attention_tile = 16, attention_threads = attention_tile * attention_tile;

/// Rows first … first+count-1 of one side of a sequence, and where its queries and keys lie.
struct AttentionTile {
  int sequence, first, count, queries_begin, queries, keys_begin, keys;
  static constexpr int ints = 7;
};

enum class TilesOf { Queries, Keys };

/// Appends the tiles of all sequences, of at most `most` rows each, one after another as ints. Returns their number.
inline int add_attention_tiles(const Ragged& queries, const Ragged& keys, TilesOf side, int most,
                               std::vector<int>& tiles) {
  const auto before = tiles.size();
  for (int s = 0; s < queries.sequences(); ++s) {
    const int length = side == TilesOf::Keys ? keys.length(s) : queries.length(s);
    for (int first = 0; first < length; first += most) {
      const int count = length - first < most ? length - first : most;
      tiles.insert(tiles.end(), {s, first, count, queries.begin(s), queries.length(s), keys.begin(s), keys.length(s)});
    }
  }
  return static_cast<int>(tiles.size() - before) / AttentionTile::ints;
}

/// The arguments of a call that its kernels share.
struct AttentionCall : Scores {
  AttentionCall(const AttentionShape& shape, const DropoutMask& mask, int key_columns, int value_columns)
      : Scores(shape),
        heads(shape.heads),
        width(key_columns / shape.heads),
        value_width(value_columns / shape.heads),
        causal(shape.causal),
        dropping(static_cast<bool>(mask)),
        keep(mask) {}
  int heads;
  int width, value_width;  ///< columns of a head of the keys, and of the values
  bool causal, dropping;
  Keep keep;

  /// The factor of a probability.
  __device__ float factor(int sequence, int head, int query, int key) const {
    if (!dropping) return 1.0f;
    const auto stream = static_cast<std::uint32_t>(keep.first_row + sequence) * static_cast<std::uint32_t>(heads) +
                        static_cast<std::uint32_t>(head);
    const auto block = (static_cast<std::uint32_t>(query) << 16) + static_cast<std::uint32_t>(key / group);
    return keep.key.words(stream, block)[key % group] >= keep.threshold ? keep.scale : 0.0f;
  }
};

/// A tile of `attention_tile` rows in shared memory. Rows are padded by one float, so that the threads of a warp read
/// from different banks.
struct SharedTile {
  float* data;
  int width;
  __device__ float* row(int i) const { return data + i * (width + 1); }
  static constexpr std::size_t size(int width) { return std::size_t{attention_tile} * (width + 1); }

  /// Loads rows first … first+count-1 of head `head`; the rest is 0.
  template <class T>
  __device__ void load(RowsOf<T> x, int first, int count, int head) const {
    for (int i = static_cast<int>(threadIdx.x); i < attention_tile * width; i += attention_threads) {
      const int r = i / width, c = i % width;
      row(r)[c] = r < count ? static_cast<float>(x.row(first + r)[head * width + c]) : 0.0f;
    }
  }
};

template <class T>
__device__ float dot(const T* a, const T* b, int n) {
  float sum = 0.0f;
  for (int c = 0; c < n; ++c) sum += static_cast<float>(a[c]) * static_cast<float>(b[c]);
  return sum;
}

/// The columns of a result row that one thread sums: c = lane, lane + 16, …
template <int Columns>
struct RowSums {
  float at[Columns] = {};

  /// += Σ_j factors[j] · rows[j]
  __device__ void add(const float* factors, const SharedTile& rows, int lane) {
    for (int j = 0; j < attention_tile; ++j) {
      for (int m = 0; m < Columns; ++m)
        if (const int c = lane + m * attention_tile; c < rows.width) at[m] += factors[j] * rows.row(j)[c];
    }
  }
  __device__ void scale(float factor) {
    for (float& one : at) one *= factor;
  }
  template <class T>
  __device__ void store(T* row, int width, int lane) const {
    for (int m = 0; m < Columns; ++m)
      if (const int c = lane + m * attention_tile; c < width) row[c] = static_cast<T>(at[m]);
  }
};

template <class T, int Columns>
__global__ void attention_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<T> q, RowsOf<T> k, RowsOf<T> v,
                                 RowsOf<T> out, RowsOf<float> log_sum_exp) {
  const auto tile = tiles[blockIdx.x / call.heads];
  const int head = static_cast<int>(blockIdx.x) % call.heads, width = call.width, value_width = call.value_width;
  const int i = static_cast<int>(threadIdx.x) / attention_tile, j = static_cast<int>(threadIdx.x) % attention_tile;
  float* const memory = shared_memory<float>();
  const auto size = SharedTile::size(width), value_size = SharedTile::size(value_width);
  const SharedTile queries{memory, width}, keys{memory + size, width}, values{memory + 2 * size, value_width};
  float* const probabilities = memory + 2 * size + value_size + i * attention_tile;
  queries.load(q, tile.queries_begin + tile.first, tile.count, head);
  RowSums<Columns> result;
  float top = -INFINITY, sum = 0.0f;
  const int query = tile.first + i;
  const int end = call.causal && tile.first + tile.count < tile.keys ? tile.first + tile.count : tile.keys;
  for (int k0 = 0; k0 < end; k0 += attention_tile) {
    const int count = tile.keys - k0 < attention_tile ? tile.keys - k0 : attention_tile;
    __syncthreads();  // all have read the last keys
    keys.load(k, tile.keys_begin + k0, count, head);
    values.load(v, tile.keys_begin + k0, count, head);
    __syncthreads();
    const bool seen = i < tile.count && j < count && (!call.causal || k0 + j <= query);
    const float score = seen ? call.score(dot(queries.row(i), keys.row(j), width)) : -INFINITY;
    const float highest = fmaxf(top, warp_max<attention_tile>(score));
    const float shrink = highest == -INFINITY ? 1.0f : expf(top - highest);
    const float probability = seen ? expf(score - highest) : 0.0f;
    sum = sum * shrink + warp_sum<attention_tile>(probability);
    top = highest;
    probabilities[j] = seen ? probability * call.factor(tile.sequence, head, query, k0 + j) : 0.0f;
    __syncwarp();
    result.scale(shrink);
    result.add(probabilities, values, j);
    __syncwarp();
  }
  if (i >= tile.count) return;
  const int row = tile.queries_begin + query;
  if (sum > 0.0f) result.scale(1.0f / sum);
  result.store(out.row(row) + head * value_width, value_width, j);
  if (j == 0) log_sum_exp.row(row)[head] = top + logf(sum);
}

/// dots [rows, heads] = Σ_c dout_ic out_ic within each head; a warp a row and head.
template <class T>
__global__ void attention_dots_kernel(RowsOf<T> dout, RowsOf<T> out, int heads, float* dots) {
  const int at =
      static_cast<int>(blockIdx.x) * (attention_threads / warp_size) + static_cast<int>(threadIdx.x) / warp_size;
  if (at >= dout.rows * heads) return;
  const int row = at / heads, head = at % heads, width = dout.cols / heads;
  float sum = 0.0f;
  for (int c = head * width + static_cast<int>(threadIdx.x) % warp_size; c < (head + 1) * width; c += warp_size)
    sum += static_cast<float>(dout.row(row)[c]) * static_cast<float>(out.row(row)[c]);
  sum = warp_sum(sum);
  if (threadIdx.x % warp_size == 0) dots[at] = sum;
}

template <class T>
void attention_dots(RowsOf<T> dout, RowsOf<T> out, int heads, float* dots, Stream stream) {
  const int blocks = pieces(std::ptrdiff_t{dout.rows} * heads, attention_threads / warp_size);
  launch("attention_dots", attention_dots_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(attention_threads), 0,
         stream, dout, out, heads, dots);
}

/// Of one query and key: the probability with its factor, and the gradient of the product, scale · dS.
struct ScoreGradient {
  float probability = 0.0f, gradient = 0.0f;
};

__device__ inline ScoreGradient score_gradient(const AttentionCall& call, const AttentionTile& tile, int head,
                                               int query, int key, const float* q, const float* k, const float* v,
                                               const float* dout, const float* log_sum_exp, const float* dots) {
  const int at = (tile.queries_begin + query) * call.heads + head;
  const float score = call.score(dot(q, k, call.width)), p = expf(score - log_sum_exp[at]);
  const float factor = call.factor(tile.sequence, head, query, key);
  return {p * factor, call.slope(score) * p * (factor * dot(dout, v, call.value_width) - dots[at])};
}

/// log_sum_exp and dots are [rows, heads], contiguous.
template <class T, int Columns>
__global__ void attention_query_gradient_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<T> dout,
                                                RowsOf<T> q, RowsOf<T> k, RowsOf<T> v, const float* log_sum_exp,
                                                const float* dots, RowsOf<T> dq) {
  const auto tile = tiles[blockIdx.x / call.heads];
  const int head = static_cast<int>(blockIdx.x) % call.heads, width = call.width, value_width = call.value_width;
  const int i = static_cast<int>(threadIdx.x) / attention_tile, j = static_cast<int>(threadIdx.x) % attention_tile;
  float* const memory = shared_memory<float>();
  const auto size = SharedTile::size(width), value_size = SharedTile::size(value_width);
  const SharedTile queries{memory, width}, keys{memory + size, width}, gradients{memory + 2 * size, value_width},
      values{memory + 2 * size + value_size, value_width};
  float* const of_scores = memory + 2 * (size + value_size) + i * attention_tile;
  queries.load(q, tile.queries_begin + tile.first, tile.count, head);
  gradients.load(dout, tile.queries_begin + tile.first, tile.count, head);
  RowSums<Columns> result;
  const int query = tile.first + i;
  const int end = call.causal && tile.first + tile.count < tile.keys ? tile.first + tile.count : tile.keys;
  for (int k0 = 0; k0 < end; k0 += attention_tile) {
    const int count = tile.keys - k0 < attention_tile ? tile.keys - k0 : attention_tile;
    __syncthreads();
    keys.load(k, tile.keys_begin + k0, count, head);
    values.load(v, tile.keys_begin + k0, count, head);
    __syncthreads();
    const bool seen = i < tile.count && j < count && (!call.causal || k0 + j <= query);
    of_scores[j] = seen ? score_gradient(call, tile, head, query, k0 + j, queries.row(i), keys.row(j), values.row(j),
                                         gradients.row(i), log_sum_exp, dots)
                              .gradient
                        : 0.0f;
    __syncwarp();
    result.add(of_scores, keys, j);
    __syncwarp();
  }
  if (i < tile.count) result.store(dq.row(tile.queries_begin + query) + head * width, width, j);
}

/// The tiles are tiles of the keys: a row of threads belongs to a key, its threads to the queries of a tile.
template <class T, int Columns>
__global__ void attention_key_gradient_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<T> dout,
                                              RowsOf<T> q, RowsOf<T> k, RowsOf<T> v, const float* log_sum_exp,
                                              const float* dots, RowsOf<T> dk, RowsOf<T> dv) {
  const auto tile = tiles[blockIdx.x / call.heads];
  const int head = static_cast<int>(blockIdx.x) % call.heads, width = call.width, value_width = call.value_width;
  const int i = static_cast<int>(threadIdx.x) / attention_tile, j = static_cast<int>(threadIdx.x) % attention_tile;
  float* const memory = shared_memory<float>();
  const auto size = SharedTile::size(width), value_size = SharedTile::size(value_width);
  const SharedTile keys{memory, width}, queries{memory + size, width}, values{memory + 2 * size, value_width},
      gradients{memory + 2 * size + value_size, value_width};
  float* const probabilities = memory + 2 * (size + value_size) + i * attention_tile;
  float* const of_scores = probabilities + attention_tile * attention_tile;
  keys.load(k, tile.keys_begin + tile.first, tile.count, head);
  values.load(v, tile.keys_begin + tile.first, tile.count, head);
  RowSums<Columns> of_key, of_value;
  const int key = tile.first + i;
  for (int q0 = call.causal ? tile.first : 0; q0 < tile.queries; q0 += attention_tile) {
    const int count = tile.queries - q0 < attention_tile ? tile.queries - q0 : attention_tile;
    __syncthreads();
    queries.load(q, tile.queries_begin + q0, count, head);
    gradients.load(dout, tile.queries_begin + q0, count, head);
    __syncthreads();
    const bool seen = i < tile.count && j < count && (!call.causal || key <= q0 + j);
    const auto score = seen ? score_gradient(call, tile, head, q0 + j, key, queries.row(j), keys.row(i), values.row(i),
                                             gradients.row(j), log_sum_exp, dots)
                            : ScoreGradient{};
    probabilities[j] = score.probability;
    of_scores[j] = score.gradient;
    __syncwarp();
    of_value.add(probabilities, gradients, j);
    of_key.add(of_scores, queries, j);
    __syncwarp();
  }
  if (i >= tile.count) return;
  const int row = tile.keys_begin + key;
  of_key.store(dk.row(row) + head * width, width, j);
  of_value.store(dv.row(row) + head * value_width, value_width, j);
}

/// Calls use.template operator()<Columns>() for the columns of the wider heads.
template <class Use>
void with_columns(int width, Use&& use) {
  if (width <= 2 * attention_tile) return use.template operator()<2>();
  if (width <= 4 * attention_tile) return use.template operator()<4>();
  if (width <= 8 * attention_tile) return use.template operator()<8>();
  if (width <= 16 * attention_tile) return use.template operator()<16>();
  throw ConfigError("attention on the GPU takes heads of at most 256 columns, not " + std::to_string(width));
}

/// `tiles` are `count` tiles of the queries, on the device.
template <class T>
void attention(const int* tiles, int count, RowsOf<T> q, RowsOf<T> k, RowsOf<T> v, const AttentionShape& shape,
               const DropoutMask& mask, RowsOf<T> out, RowsOf<float> log_sum_exp, Stream stream) {
  const AttentionCall call(shape, mask, q.cols, v.cols);
  const auto floats =
      2 * SharedTile::size(call.width) + SharedTile::size(call.value_width) + attention_tile * attention_tile;
  with_columns(std::max(call.width, call.value_width), [&]<int Columns>() {
    launch("attention", attention_kernel<T, Columns>, dim3(static_cast<unsigned>(count * shape.heads)),
           dim3(attention_threads), floats * sizeof(float), stream, reinterpret_cast<const AttentionTile*>(tiles), call,
           q, k, v, out, log_sum_exp);
  });
}

/// The tiles of the queries and of the keys lie on the device; `dots` is a workspace of q.rows · heads floats.
template <class T>
void attention_backward(const int* query_tiles, int query_count, const int* key_tiles, int key_count, RowsOf<T> dout,
                        RowsOf<T> q, RowsOf<T> k, RowsOf<T> v, RowsOf<T> out, RowsOf<float> log_sum_exp,
                        const AttentionShape& shape, const DropoutMask& mask, RowsOf<T> dq, RowsOf<T> dk, RowsOf<T> dv,
                        float* dots, Stream stream) {
  assert(log_sum_exp.contiguous());
  const AttentionCall call(shape, mask, q.cols, v.cols);
  const dim3 threads(attention_threads);
  const auto size = 2 * (SharedTile::size(call.width) + SharedTile::size(call.value_width)),
             scores = std::size_t{attention_tile} * attention_tile;
  const auto blocks = [&](int tiles) { return dim3(static_cast<unsigned>(tiles * shape.heads)); };
  attention_dots(dout, out, shape.heads, dots, stream);
  with_columns(std::max(call.width, call.value_width), [&]<int Columns>() {
    launch("attention_query_gradient", attention_query_gradient_kernel<T, Columns>, blocks(query_count), threads,
           (size + scores) * sizeof(float), stream, reinterpret_cast<const AttentionTile*>(query_tiles), call, dout, q,
           k, v, log_sum_exp.data, dots, dq);
    launch("attention_key_gradient", attention_key_gradient_kernel<T, Columns>, blocks(key_count), threads,
           (size + 2 * scores) * sizeof(float), stream, reinterpret_cast<const AttentionTile*>(key_tiles), call, dout,
           q, k, v, log_sum_exp.data, dots, dk, dv);
  });
}

}  // namespace neural_attention::cuda_backend
