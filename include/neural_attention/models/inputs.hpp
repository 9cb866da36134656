// What models make of token ids before their first layer: x [tokens, d]. An input has
//   Tokens                         the batch that it reads
//   words()                        the embedding, whose matrix a tied head shares
//   forward(pass, tokens, saved), backward(pass, dx, tokens, saved)
//   check(tokens)                  throws ShapeError if tokens do not fit
// and, for decoders, next(pass, ids, positions), which is forward of any tokens. `allocate`, where there is one, makes
// what is no parameter.
#pragma once

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "neural_attention/core/encoder_batch.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/normalization.hpp"
#include "neural_attention/nn/part_names.hpp"
#include "neural_attention/nn/positions.hpp"

namespace neural_attention {

/// x = factor · E[ids] + sinusoid[positions], as Marian's. Its matrix has the name of the input itself.
template <class B>
class SinusoidalInput {
 public:
  using Tokens = PackedTokens;
  struct Saved {};

  /// Throws ConfigError if the table of positions would have too many numbers.
  SinusoidalInput(Embedding<B> words, double factor, int positions, int width)
      : words_(std::move(words)), factor_(factor), position_count_(positions), width_(width) {
    SinusoidalPositions<B>::size(positions, width);
  }

  static void visit(auto& self, auto&& visitor) { Embedding<B>::visit(self.words_, visitor); }
  void allocate(B& backend) { positions_ = SinusoidalPositions<B>(backend, position_count_, width_); }

  Rows<B> next(const Pass<B>& pass, std::span<const int> ids, std::span<const int> positions) const {
    const auto x = pass.saved.rows(static_cast<int>(ids.size()), width_);
    words_.forward(pass, ids, factor_, Into::Write, x);
    positions_.add(pass, positions, x);
    return x;
  }
  Rows<B> forward(const Pass<B>& pass, const PackedTokens& tokens, Saved&) const {
    return next(pass, tokens.ids(), tokens.positions());
  }
  void backward(const Pass<B>& pass, Rows<B> dx, const PackedTokens& tokens, const Saved&) {
    words_.backward(pass, dx, tokens.ids(), factor_);
  }

  void check(const PackedTokens& tokens, const char* side = "sequence's", const char* sequence = "sequence") const {
    checks::tokens(tokens, words_.weight.rows, position_count_, side, sequence);
  }

  Embedding<B>& words() { return words_; }
  const Embedding<B>& words() const { return words_; }
  int positions() const { return position_count_; }
  int width() const { return width_; }

 private:
  Embedding<B> words_;
  SinusoidalPositions<B> positions_;
  double factor_;
  int position_count_, width_;
};

/// x = E[ids] + P[positions], both learned, as in GPT-2 and OPT.
template <class B, class Names = BartNames>
class LearnedInput {
 public:
  using Tokens = PackedTokens;
  struct Saved {};

  LearnedInput(Embedding<B> words, Embedding<B> positions)
      : words_(std::move(words)), positions_(std::move(positions)) {
    positions_.weight.quantizable = false;  // a few rows, which every token meets
  }

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::words, self.words_);
    visitor(Names::positions, self.positions_);
  }

  Rows<B> next(const Pass<B>& pass, std::span<const int> ids, std::span<const int> positions) const {
    const auto x = pass.saved.rows(static_cast<int>(ids.size()), width());
    words_.forward(pass, ids, 1.0, Into::Write, x);
    positions_.forward(pass, positions, 1.0, Into::Add, x);
    return x;
  }
  Rows<B> forward(const Pass<B>& pass, const PackedTokens& tokens, Saved&) const {
    return next(pass, tokens.ids(), tokens.positions());
  }
  void backward(const Pass<B>& pass, Rows<B> dx, const PackedTokens& tokens, const Saved&) {
    words_.backward(pass, dx, tokens.ids(), 1.0);
    positions_.backward(pass, dx, tokens.positions(), 1.0);
  }

  void check(const PackedTokens& tokens, const char* side = "sequence's", const char* sequence = "sequence") const {
    checks::tokens(tokens, words_.weight.rows, positions(), side, sequence);
  }

  Embedding<B>& words() { return words_; }
  const Embedding<B>& words() const { return words_; }
  int positions() const { return positions_.weight.rows; }
  int width() const { return words_.weight.cols; }

 private:
  Embedding<B> words_, positions_;
};

/// x = LN(E[ids] + T[types] + P[position rows]), as in BERT. The first row of P that a token may have is `padding` + 1.
template <class B>
class BertInput {
 public:
  using Tokens = EncoderBatch;
  struct Saved {
    typename LayerNorm<B>::Saved norm;
  };

  BertInput(Embedding<B> words, Embedding<B> positions, Embedding<B> types, LayerNorm<B> norm, int padding)
      : words_(std::move(words)),
        positions_(std::move(positions)),
        types_(std::move(types)),
        norm_(std::move(norm)),
        padding_(padding) {
    positions_.weight.quantizable = types_.weight.quantizable = false;  // a few rows, which every token meets
  }

  static void visit(auto& self, auto&& visitor) {
    visitor(BertNames::words, self.words_);
    visitor(BertNames::positions, self.positions_);
    visitor("token_type_embeddings", self.types_);
    visitor("LayerNorm", self.norm_);
  }

  Rows<B> forward(const Pass<B>& pass, const EncoderBatch& batch, Saved& saved) const {
    const auto sum = pass.saved.rows(batch.tokens.total(), words_.weight.cols);
    words_.forward(pass, batch.tokens.ids(), 1.0, Into::Write, sum);
    types_.forward(pass, batch.token_types, 1.0, Into::Add, sum);
    positions_.forward(pass, batch.position_rows, 1.0, Into::Add, sum);
    return norm_.forward(pass, sum, saved.norm);
  }
  void backward(const Pass<B>& pass, Rows<B> dx, const EncoderBatch& batch, const Saved& saved) {
    dx = norm_.backward(pass, dx, saved.norm);
    words_.backward(pass, dx, batch.tokens.ids(), 1.0);
    types_.backward(pass, dx, batch.token_types, 1.0);
    positions_.backward(pass, dx, batch.position_rows, 1.0);
  }

  void check(const EncoderBatch& batch) const {
    checks::ids("sequence's", batch.tokens.ids(), words_.weight.rows);
    checks::one_each("token type", std::ssize(batch.token_types), "token", batch.tokens.total());
    checks::one_each("position row", std::ssize(batch.position_rows), "token", batch.tokens.total());
    checks::in_table("type", batch.token_types, types_.weight.rows);
    int last = padding_;
    for (const int row : batch.position_rows) last = std::max(last, row);
    checks::length("sequence", last - padding_, positions_.weight.rows - padding_ - 1);
    checks::in_table("position row", batch.position_rows, positions_.weight.rows);
  }

  Embedding<B>& words() { return words_; }
  const Embedding<B>& words() const { return words_; }

 private:
  Embedding<B> words_, positions_, types_;
  LayerNorm<B> norm_;
  int padding_;
};

}  // namespace neural_attention
