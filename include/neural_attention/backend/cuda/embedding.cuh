// Rows by index: embedding lookup and its gradient, gathering and scattering. Indices lie on the device. Each row of
// the table sums the gradients of its tokens in order; IdGroups lists them, made on the host, where the ids come from.
#pragma once

#include <cassert>
#include <span>
#include <vector>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::cuda_backend {

/// y_i = factor · x[rows_i], or y_i += … .
template <class T, bool Accumulate>
struct GatherMap {
  RowsOf<T> x;
  const int* rows;
  float factor;
  RowsOf<T> y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto values = load<Aligned>(x.row(rows[row]) + col, count);
    Group<float> old{};
    if constexpr (Accumulate) old = load<Aligned>(y.row(row) + col, count);
    for (int i = 0; i < group; ++i) values.at[i] = values.at[i] * factor + old.at[i];
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T>
void gather(RowsOf<T> x, const int* rows, double factor, Into into, RowsOf<T> y, Stream stream) {
  assert(x.cols == y.cols);
  const auto run = [&]<bool Accumulate>() {
    map("gather", GatherMap<T, Accumulate>{x, rows, static_cast<float>(factor), y}, y.rows, y.cols,
        aligned(x) && aligned(y), stream);
  };
  with_bools(run, into == Into::Add);
}

/// y[rows_i] += x_i; the rows differ.
template <class T>
struct ScatterMap {
  RowsOf<T> x;
  const int* rows;
  RowsOf<T> y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    T* const to = y.row(rows[row]) + col;
    const auto values = load<Aligned>(x.row(row) + col, count);
    auto sums = load<Aligned>(to, count);
    for (int i = 0; i < group; ++i) sums.at[i] += values.at[i];
    store<Aligned>(to, count, sums);
  }
};

template <class T>
void scatter_add(RowsOf<T> x, const int* rows, RowsOf<T> y, Stream stream) {
  assert(x.cols == y.cols);
  map("scatter_add", ScatterMap<T>{x, rows, y}, x.rows, x.cols, aligned(x) && aligned(y), stream);
}

/// The tokens of each id, for embedding_backward. Group g has the id ids[g] and the tokens tokens[begin[g]] …
/// tokens[begin[g+1]-1], in order.
class IdGroups {
 public:
  /// Ids are below `vocabulary`; tokens with the id `padding` are left out.
  void assign(std::span<const int> all, int vocabulary, int padding) {
    place_.assign(static_cast<std::size_t>(vocabulary), 0);
    int used = 0;
    count_ = 0;
    for (const int id : all)
      if (id != padding && place_[id]++ == 0) ++count_;
    for (int id = 0; id < vocabulary; ++id) used += place_[id];
    packed_.resize(static_cast<std::size_t>(2 * count_ + 1 + used));
    int at = 0, first = 0;
    for (int id = 0; id < vocabulary; ++id) {
      const int tokens = place_[id];
      if (tokens == 0) continue;
      packed_[at] = id;
      packed_[count_ + at++] = first;
      place_[id] = first;
      first += tokens;
    }
    packed_[2 * count_] = first;
    for (int token = 0; token < static_cast<int>(all.size()); ++token)
      if (all[token] != padding) packed_[2 * count_ + 1 + place_[all[token]]++] = token;
  }

  int count() const { return count_; }
  /// ids [count], begin [count + 1], tokens: one after another.
  const std::vector<int>& packed() const { return packed_; }

 private:
  std::vector<int> packed_, place_;  // place_: the number of tokens of an id, then the place of its next one
  int count_ = 0;
};

/// dtable[ids_g] += factor · Σ dy over the tokens of group g.
template <class T>
struct EmbeddingBackwardMap {
  RowsOf<T> dy;
  const int *ids, *begin, *tokens;
  float factor;
  RowsOf<float> dtable;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    float* const to = dtable.row(ids[row]) + col;
    auto sums = load<Aligned>(to, count);
    for (int i = begin[row]; i < begin[row + 1]; ++i) {
      const auto values = load<Aligned>(dy.row(tokens[i]) + col, count);
      for (int j = 0; j < group; ++j) sums.at[j] += factor * values.at[j];
    }
    store<Aligned>(to, count, sums);
  }
};

/// `groups` is the packed() of an IdGroups with `count` groups, on the device.
template <class T>
void embedding_backward(RowsOf<T> dy, int count, const int* groups, double factor, RowsOf<float> dtable,
                        Stream stream) {
  assert(dtable.cols == dy.cols);
  const EmbeddingBackwardMap<T> f{dy,    groups, groups + count, groups + 2 * count + 1, static_cast<float>(factor),
                                  dtable};
  map("embedding_backward", f, count, dy.cols, aligned(dy) && aligned(dtable), stream);
}

}  // namespace neural_attention::cuda_backend
