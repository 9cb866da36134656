// The live rows of a batch in decoding: sentences, or beams and samples of sentences. Each turn takes a history for
// each row and leaves logits [rows, vocabulary] on the scratch stack, from which tokens can be ruled out and chosen.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/decode/logits_processors.hpp"

namespace neural_attention {

template <class Model>
class LiveRows {
 public:
  using B = typename Model::Backend;
  using Scalar = typename B::Scalar;

  /// `how` is resolved: it has the ids of a model. Row i is sentence i at first; there may be up to `rows_per_sentence`
  /// times as many.
  LiveRows(const Pass<B>& pass, const Model& model, const TranslationBatch& batch, const GenerationConfig& how,
           int rows_per_sentence, typename Model::Saved& saved)
      : pass_(&pass),
        model_(&model),
        processors_(how),
        state_(model.begin_decoding(pass, batch, how.max_length - 1, rows_per_sentence, saved)) {}

  /// The one token that may follow histories of `length` tokens, or -1.
  int forced(int length) const { return processors_.forced(length); }

  void clear() {
    newest_.clear();
    positions_.clear();
    forbidden_.clear();
    forbidden_rows_.clear();
  }
  /// Adds the next row, the start token and what followed it. All but its last token have been decoded.
  void push(std::span<const int> history) {
    const auto row = static_cast<int>(newest_.size());
    newest_.push_back(history.back());
    positions_.push_back(static_cast<int>(history.size()) - 1);
    processors_.forbid(history, forbidden_);
    forbidden_rows_.resize(forbidden_.size(), row);
  }
  std::size_t size() const { return newest_.size(); }

  /// Decodes the newest tokens: new logits on the scratch stack.
  void decode() {
    logits_ = pass_->scratch.aligned_rows(static_cast<int>(size()), model_->config().vocab_size);
    model_->decode_next(*pass_, newest_, positions_, state_, logits_);
  }
  void rule_out() {
    pass_->backend(ops::Assign<B>{
        .x = logits_, .rows = forbidden_rows_, .cols = forbidden_, .value = -std::numeric_limits<Scalar>::infinity()});
  }

  /// log Σ exp of each row's logits. Throws NumericError where that is neither finite nor -inf.
  std::span<const double> log_sum_exp() {
    sums_.resize(size());
    pass_->backend(ops::LogSumExp<B>{.x = logits_, .sums = sums_});
    for (std::size_t row = 0; row < size(); ++row)
      if (!(sums_[row] < std::numeric_limits<double>::infinity()))
        throw NumericError("the model's logits at position " + std::to_string(positions_[row]) +
                           " of a translation are not finite");
    return sums_;
  }

  /// The `count` likeliest tokens of each row and their logits, [rows, count]: see B::top_k.
  std::span<const int> likeliest(int count) {
    tokens_.resize(size() * static_cast<std::size_t>(count));
    values_.resize(tokens_.size());
    pass_->backend(ops::TopK<B>{.x = logits_, .k = count, .values = values_, .columns = tokens_});
    return tokens_;
  }
  std::span<const Scalar> likeliest_logits() const { return values_; }

  /// A token of each row, drawn by one uniform number each; -1 as in B::sample.
  std::span<const int> sample(const SamplingShape& shape, std::span<const double> uniforms) {
    tokens_.resize(size());
    pass_->backend(ops::Sample<B>{.x = logits_, .how = shape, .uniforms = uniforms, .columns = tokens_});
    return tokens_;
  }

  /// Row i becomes what row parents[i] was.
  void reorder(std::span<const int> parents) { state_.reorder(pass_->backend, parents); }

 private:
  const Pass<B>* pass_;
  const Model* model_;
  LogitsProcessors processors_;
  typename Model::DecoderState state_;
  Rows<B> logits_;
  std::vector<int> newest_, positions_, forbidden_, forbidden_rows_, tokens_;
  std::vector<double> sums_;
  std::vector<Scalar> values_;
};

}  // namespace neural_attention
