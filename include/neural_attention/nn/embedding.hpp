// Embedding: y_i = factor · E[id_i], E [vocabulary, d], y [n, d]; and the sinusoidal position table of Marian.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "neural_attention/core/step.hpp"
#include "neural_attention/nn/projector_config.hpp"

namespace neural_attention {

/// The row of `padding` (or -1) starts at zero and gets no gradient from here, as PyTorch's padding_idx: the gradient
/// that a tied output layer adds to `weight` still reaches it.
template <class B>
class Embedding {
 public:
  Embedding(int vocabulary, int width, int padding, Initial initial)
      : weight(vocabulary, width, padded(initial, padding)), padding_(padding) {}

  static void visit(auto& self, auto&& visitor) { visitor("weight", self.weight); }

  /// ids must be in 0 … vocabulary-1: checked at the batch boundary, not here. `y` is written, or added to.
  void forward(Step<B>& step, std::span<const int> ids, double factor, bool accumulate, Rows<B> y) const {
    step.backend.embedding(ids, weight.value, factor, accumulate, y);
  }

  void backward(Step<B>& step, Rows<B> dy, std::span<const int> ids, double factor) {
    step.backend.embedding_backward(dy, ids, factor, padding_, weight.gradient);
  }

  Parameter<B> weight;

 private:
  static Initial padded(Initial initial, int padding) {
    initial.zero_row = padding;
    return initial;
  }

  int padding_;
};

/// A fixed table [positions, d]: sin(p / 10000^(2i/d)) in columns 0 … d/2-1 and cos in d/2 … d-1 (Hugging Face Marian).
template <class B>
class SinusoidalPositions {
 public:
  SinusoidalPositions(B& backend, int positions, int width)
      : memory_(backend.allocate(static_cast<std::size_t>(positions) * width * sizeof(Scalar))),
        table_(static_cast<Scalar*>(memory_.data()), positions, width) {
    std::vector<Scalar> host;
    host.reserve(static_cast<std::size_t>(table_.size()));
    const int sines = (width + 1) / 2;
    for (int p = 0; p < positions; ++p)
      for (int c = 0; c < width; ++c) {
        const int pair = c < sines ? c : c - sines;
        const double angle = p / std::pow(10000.0, 2.0 * pair / width);
        host.push_back(static_cast<Scalar>(c < sines ? std::sin(angle) : std::cos(angle)));
      }
    backend.upload(host, table_);
  }

  int positions() const { return table_.rows; }

  /// y_i += table[positions_i]
  void add(Step<B>& step, std::span<const int> positions, Rows<B> y) const {
    step.backend.embedding(positions, table_, 1.0, true, y);
  }

 private:
  using Scalar = typename B::Scalar;

  typename B::Memory memory_;
  Rows<B> table_;
};

}  // namespace neural_attention
