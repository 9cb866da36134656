// Position embeddings: y_i += P[position_i], P [positions, d], y [n, d], where P is a fixed table of sines and cosines.
// For a learned table, use Embedding.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// A fixed table [positions, d]: sin(p / 10000^(2i/d)) in columns 0 … d/2-1 and cos in d/2 … d-1 (Hugging Face Marian).
template <class B>
class SinusoidalPositions {
  using Scalar = typename B::Scalar;

 public:
  SinusoidalPositions() = default;  ///< none yet
  /// Throws ConfigError if the table is too large.
  SinusoidalPositions(B& backend, int positions, int width)
      : memory_(backend.allocate(static_cast<std::size_t>(size(positions, width)) * sizeof(Scalar))),
        table_(static_cast<Scalar*>(memory_.data()), positions, width) {
    std::vector<Scalar> host;
    host.reserve(static_cast<std::size_t>(table_.size()));
    for (int p = 0; p < positions; ++p)
      for (int c = 0; c < width; ++c) host.push_back(static_cast<Scalar>(value(p, c, width)));
    backend(ops::Upload<B>{.values = host, .x = table_});
  }

  /// The size of a table. Throws ConfigError if it is too large.
  static int size(int positions, int width) {
    return sizes::checked("a table of " + std::to_string(positions) + " positions of width " + std::to_string(width),
                          sizes::product(positions, width), "numbers", sizeof(Scalar));
  }

  /// Column c of position p.
  static double value(int p, int c, int width) {
    const int sines = (width + 1) / 2;
    const int pair = c < sines ? c : c - sines;
    const double angle = p / std::pow(10000.0, 2.0 * pair / width);
    return c < sines ? std::sin(angle) : std::cos(angle);
  }

  int positions() const { return table_.rows; }

  /// y_i += table[positions_i]
  void add(const Pass<B>& pass, std::span<const int> positions, Rows<B> y) const {
    pass.backend(ops::Embedding<B>{.ids = positions, .table = table_, .into = Into::Add, .y = y});
  }

 private:
  typename B::Memory memory_;
  Rows<B> table_;
};

}  // namespace neural_attention
