// Attention forward on tensor cores, for bfloat16 and heads of 32, 64 or 128 columns, values as wide as keys. It works
// like attention.cuh, but a warp takes 16 queries, a block takes 64, and keys and values come 64 at a time. Scores stay
// in registers, where the scores of a warp are an operand of the product with the values. Probabilities are rounded to
// bfloat16 for this product; their sum is not.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>

#include "neural_attention/backend/cuda/attention.cuh"
#include "neural_attention/backend/cuda/mma.cuh"

namespace neural_attention::cuda_backend {

inline constexpr int mma_warps = 4, mma_queries = 16 * mma_warps, mma_keys = 64;

/// Whether these kernels can compute heads of `width` columns of all of these matrices: groups of 8 numbers must begin
/// at multiples of 16 bytes.
template <class... Matrices>
bool suits_mma(int width, Matrices... matrices) {
  const auto aligned = [](RowsOf<bfloat16> x) {
    return x.stride % 8 == 0 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
  };
  return (width == 32 || width == 64 || width == 128) && (aligned(matrices) && ...);
}

/// Up to mma_keys rows of a head in shared memory. Rows are padded by 16 bytes, so that the rows that a warp reads at a
/// time lie in different banks.
template <int Width>
struct MmaTile {
  static constexpr int pitch = Width + 8;
  static constexpr std::size_t size = std::size_t{mma_keys} * pitch;
  bfloat16* data;

  __device__ const bfloat16* at(int row, int col) const { return data + row * pitch + col; }
  /// Loads rows first … first+count-1 from column `col` on; the rest is 0.
  __device__ void load(RowsOf<bfloat16> x, int first, int count, int col) const {
    struct alignas(16) Eight {
      bfloat16 at[8];
    };
    constexpr int of_row = Width / 8, threads = mma_warps * warp_size, turns = mma_keys * of_row / threads;
    static_assert(mma_keys * of_row % threads == 0);
    Eight values[turns] = {};  // loaded together: storing each at once would wait for it
    unrolled<turns>([&](auto turn) {
      const int i = turn * threads + static_cast<int>(threadIdx.x), row = i / of_row;
      if (row < count) values[turn] = *reinterpret_cast<const Eight*>(x.row(first + row) + col + i % of_row * 8);
    });
    unrolled<turns>([&](auto turn) {
      const int i = turn * threads + static_cast<int>(threadIdx.x);
      *reinterpret_cast<Eight*>(data + i / of_row * pitch + i % of_row * 8) = values[turn];
    });
  }
};

/// Two neighbouring numbers, the first of which has an even place.
struct alignas(4) Pair {
  bfloat16 at[2];
};
__device__ inline std::uint32_t load_pair(const bfloat16* x) {
  return std::bit_cast<std::uint32_t>(*reinterpret_cast<const Pair*>(x));
}
__device__ inline void store_pair(bfloat16* x, std::uint32_t pair) {
  *reinterpret_cast<Pair*>(x) = std::bit_cast<Pair>(pair);
}

/// A warp's part of the work: 16 rows of a tile and a head, and a lane's places in fragments (see mma.cuh).
struct MmaPlace {
  __device__ MmaPlace(const AttentionTile& tile, const AttentionCall& call)
      : head(static_cast<int>(blockIdx.x) % call.heads),
        col(head * call.width),
        lane(static_cast<int>(threadIdx.x) % warp_size),
        row(lane / 4),
        pair(lane % 4 * 2),
        first(tile.first + static_cast<int>(threadIdx.x) / warp_size * 16),
        left(tile.first + tile.count - first) {}
  int head, col, lane, row, pair;
  int first, left;  ///< the warp's first row, and the number of rows from there on: 0 or less for some warps
};

/// The 16 rows of a warp, beginning with row `first` of x, as left operands.
template <int Width>
__device__ void load_rows(const MmaPlace& at, RowsOf<bfloat16> x, int first, FragmentA (&a)[Width / 16]) {
  unrolled<Width / 16>([&](auto step) {
    unrolled<4>([&](auto i) {
      const int row = at.row + i % 2 * 8;
      const auto* const from = x.row(first + row) + at.col + 16 * step + i / 2 * 8 + at.pair;
      a[step][i] = row < at.left ? load_pair(from) : 0;
    });
  });
}

/// The rows that exist receive factors[half] · d, with half 0 for rows at.row, 1 for rows at.row + 8.
template <int Width>
__device__ void store_rows(const MmaPlace& at, const FragmentD (&d)[Width / 8], const float (&factors)[2],
                           RowsOf<bfloat16> x, int first) {
  unrolled<2>([&](auto half) {
    const int row = at.row + 8 * half;
    if (row >= at.left) return;
    bfloat16* const to = x.row(first + row) + at.col + at.pair;
    unrolled<Width / 8>([&](auto c) {
      store_pair(to + 8 * c, pair_of(d[c][2 * half] * factors[half], d[c][2 * half + 1] * factors[half]));
    });
  });
}

/// A [16, mma_keys] of floats.
using MmaScores = FragmentD[mma_keys / 8];

/// d += A bᵀ, A [16, Width], b [mma_keys, Width]
template <int Width>
__device__ void multiply_transposed(int lane, const FragmentA (&a)[Width / 16], const MmaTile<Width>& b, MmaScores& d) {
  unrolled<mma_keys / 8>([&](auto block) {
    unrolled<Width / 32>([&](auto two_steps) {
      constexpr int step = 2 * two_steps;
      FragmentB one, two;
      load_fragments<Holds::ColumnsOfB>(b.at(8 * block + lane % 8, 16 * step + lane / 8 * 8), one, two);
      multiply_add(d[block], a[step], one);
      multiply_add(d[block], a[step + 1], two);
    });
  });
}

/// d [16, Width] += a b, a [16, mma_keys] rounded to bfloat16, b [mma_keys, Width]
template <int Width>
__device__ void multiply(int lane, const MmaScores& a, const MmaTile<Width>& b, FragmentD (&d)[Width / 8]) {
  unrolled<mma_keys / 16>([&](auto two_blocks) {
    constexpr int block = 2 * two_blocks;
    const FragmentD &one = a[block], &two = a[block + 1];
    const FragmentA rounded = {pair_of(one[0], one[1]), pair_of(one[2], one[3]), pair_of(two[0], two[1]),
                               pair_of(two[2], two[3])};
    unrolled<Width / 16>([&](auto two_cols) {
      constexpr int c = 2 * two_cols;
      FragmentB of_first, of_second;
      load_fragments<Holds::RowsOfB>(b.at(8 * block + lane % 16, 8 * c + lane / 16 * 8), of_first, of_second);
      multiply_add(d[c], rounded, of_first);
      multiply_add(d[c + 1], rounded, of_second);
    });
  });
}

/// Multiplies by the factors of the probabilities of keys `key` and `key` + 1, `key` even.
__device__ inline void drop_pair(const AttentionCall& call, int sequence, int head, int query, int key, float& first,
                                 float& second) {
  const auto stream =
      static_cast<std::uint32_t>(call.keep.first_row + sequence) * static_cast<std::uint32_t>(call.heads) +
      static_cast<std::uint32_t>(head);
  const auto block = (static_cast<std::uint32_t>(query) << 16) + static_cast<std::uint32_t>(key / group);
  const auto words = call.keep.key.words(stream, block);
  first *= words[key % group] >= call.keep.threshold ? call.keep.scale : 0.0f;
  second *= words[key % group + 1] >= call.keep.threshold ? call.keep.scale : 0.0f;
}

template <int Width, bool Capped>
__global__ void __launch_bounds__(mma_warps* warp_size)
    attention_mma_kernel(const AttentionTile* tiles, AttentionCall call, RowsOf<bfloat16> q, RowsOf<bfloat16> k,
                         RowsOf<bfloat16> v, RowsOf<bfloat16> out, RowsOf<float> log_sum_exp) {
  const auto tile = tiles[blockIdx.x / call.heads];
  const MmaPlace at(tile, call);
  const MmaTile<Width> keys{shared_memory<bfloat16>()}, values{keys.data + MmaTile<Width>::size};
  FragmentA queries[Width / 16];
  load_rows<Width>(at, q, tile.queries_begin + at.first, queries);
  FragmentD result[Width / 8] = {};
  float top[2] = {-INFINITY, -INFINITY}, sum[2] = {};  // of rows at.row and at.row + 8; the sum is this lane's part
  const int end = call.causal && tile.first + tile.count < tile.keys ? tile.first + tile.count : tile.keys;
  for (int k0 = 0; k0 < end; k0 += mma_keys) {
    const int count = tile.keys - k0 < mma_keys ? tile.keys - k0 : mma_keys;
    __syncthreads();  // all have read the last keys
    keys.load(k, tile.keys_begin + k0, count, at.col);
    values.load(v, tile.keys_begin + k0, count, at.col);
    __syncthreads();
    if (at.left <= 0 || (call.causal && k0 > at.first + 15)) continue;  // the same for all lanes
    MmaScores scores = {};
    multiply_transposed<Width>(at.lane, queries, keys, scores);
    unrolled<2>([&](auto half) {
      const int query = at.first + at.row + 8 * half;
      const int seen = call.causal && query + 1 - k0 < count ? query + 1 - k0 : count;
      float highest = top[half];
      unrolled<mma_keys / 8>([&](auto block) {
        unrolled<2>([&](auto i) {
          float& score = scores[block][2 * half + i];
          score = 8 * block + at.pair + i < seen ? call.score<Capped>(score) : -INFINITY;
          highest = fmaxf(highest, score);
        });
      });
      highest = warp_max<4>(highest);
      const float shrink = highest == -INFINITY ? 1.0f : expf(top[half] - highest);
      top[half] = highest;
      sum[half] *= shrink;
      unrolled<Width / 8>([&](auto block) { unrolled<2>([&](auto i) { result[block][2 * half + i] *= shrink; }); });
      unrolled<mma_keys / 8>([&](auto block) {
        float &one = scores[block][2 * half], &two = scores[block][2 * half + 1];
        const int key = 8 * block + at.pair;
        one = key < seen ? expf(one - highest) : 0.0f;
        two = key + 1 < seen ? expf(two - highest) : 0.0f;
        sum[half] += one + two;
        if (call.dropping && key < seen) drop_pair(call, tile.sequence, at.head, query, k0 + key, one, two);
      });
    });
    multiply<Width>(at.lane, scores, values, result);
  }
  if (at.left <= 0) return;
  float factors[2];
  unrolled<2>([&](auto half) {
    const float total = warp_sum<4>(sum[half]);
    factors[half] = total > 0.0f ? 1.0f / total : 1.0f;
    const int row = at.row + 8 * half;
    if (at.lane % 4 == 0 && row < at.left)
      log_sum_exp.row(tile.queries_begin + at.first + row)[at.head] = top[half] + logf(total);
  });
  store_rows<Width>(at, result, factors, out, tile.queries_begin + at.first);
}

/// Like attention(), for a call that suits_mma(); the tiles have mma_queries rows.
inline void attention_mma(const int* tiles, int count, RowsOf<bfloat16> q, RowsOf<bfloat16> k, RowsOf<bfloat16> v,
                          const AttentionShape& shape, const DropoutMask& mask, RowsOf<bfloat16> out,
                          RowsOf<float> log_sum_exp, Stream stream) {
  const AttentionCall call(shape, mask, q.cols, v.cols);
  assert(call.width == call.value_width);
  const auto run = [&]<int Width, bool Capped>() {
    launch("attention_mma", attention_mma_kernel<Width, Capped>, dim3(static_cast<unsigned>(count * shape.heads)),
           dim3(mma_warps * warp_size), 2 * MmaTile<Width>::size * sizeof(bfloat16), stream,
           reinterpret_cast<const AttentionTile*>(tiles), call, q, k, v, out, log_sum_exp);
  };
  const auto of_width = [&]<int Width>() {
    call.capped() ? run.template operator()<Width, true>() : run.template operator()<Width, false>();
  };
  if (call.width == 32) return of_width.template operator()<32>();
  if (call.width == 64) return of_width.template operator()<64>();
  assert(call.width == 128);
  of_width.template operator()<128>();
}

}  // namespace neural_attention::cuda_backend
