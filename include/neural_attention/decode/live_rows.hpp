// The live rows of a batch in decoding: sequences, or beams and samples of sequences. Each turn takes a history for
// each row and leaves logits [rows, vocabulary] on the scratch stack, from which tokens can be ruled out and chosen.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/decode/logits_processors.hpp"

namespace neural_attention {

template <class Model>
class LiveRows {
 public:
  using B = typename Model::Backend;
  using Scalar = typename B::Scalar;

  /// `how` is resolved: it has the ids of a model. Row i is prompt i at first, and `histories` has what its results
  /// begin with: all but the last token of each are read here, in one pass. There may be up to `rows_per_prompt` times
  /// as many rows.
  LiveRows(const Pass<B>& pass, const Model& model, const typename Model::Prompts& prompts,
           const PackedTokens& histories, const GenerationConfig& how, int rows_per_prompt,
           typename Model::Saved& saved)
      : pass_(&pass),
        model_(&model),
        processors_(how),
        state_(model.begin_decoding(pass, prompts, how.max_length - 1, rows_per_prompt, saved)) {
    PackedTokens before;
    for (int s = 0; s < histories.offsets().sequences(); ++s) {
      const auto history = histories.sequence(s);
      before.push(history.first(history.size() - 1));
    }
    if (before.total() > 0) model.append(pass, before, state_);
  }

  /// The one token that may follow a history of `length` tokens, of which `prompt` are its prompt, or -1.
  int forced(int length, std::size_t prompt) const { return processors_.forced(length, prompt); }

  void clear() {
    newest_.clear();
    lengths_.clear();
    forbidden_.clear();
    forbidden_rows_.clear();
    seen_.clear();
  }
  /// Adds the next row: a prompt of `prompt` tokens and what followed it. All but its last token have been decoded.
  void push(std::span<const int> history, std::size_t prompt) {
    const auto row = static_cast<int>(newest_.size());
    newest_.push_back(history.back());
    lengths_.push_back(history.size());
    processors_.forbid(history, prompt, forbidden_);
    forbidden_rows_.resize(forbidden_.size(), row);
    if (processors_.penalizes()) remember(row, history);
  }
  std::size_t size() const { return newest_.size(); }

  /// Decodes the newest tokens: new logits on the scratch stack.
  void decode() {
    logits_ = pass_->scratch.aligned_rows(static_cast<int>(size()), model_->config().vocab_size);
    model_->decode_next(*pass_, newest_, state_, logits_);
  }
  bool penalizes() const { return processors_.penalizes(); }
  /// Makes tokens of the histories less likely, as repetition_penalty says, by their logits or, in a beam search, by
  /// their log-probabilities: logits - log_sums. It works on a copy on the host.
  void penalize(std::span<const double> log_sums = {}) {
    if (!penalizes()) return;
    scores_.resize(size() * static_cast<std::size_t>(logits_.cols));
    pass_->backend(ops::Download<B>{.x = logits_, .values = scores_});
    for (const auto& [row, token] : seen_) {
      const double sum = log_sums.empty() ? 0.0 : log_sums[row];
      if (sum == -std::numeric_limits<double>::infinity()) continue;  // all tokens are ruled out
      auto& logit = scores_[row * static_cast<std::size_t>(logits_.cols) + static_cast<std::size_t>(token)];
      logit = static_cast<Scalar>(processors_.penalized(double(logit) - sum) + sum);
    }
    pass_->backend(ops::Upload<B>{.values = scores_, .x = logits_});
  }
  void rule_out() {
    pass_->backend(ops::Assign<B>{
        .x = logits_, .rows = forbidden_rows_, .cols = forbidden_, .value = -std::numeric_limits<Scalar>::infinity()});
  }

  /// log Σ exp of each row's logits. Throws NumericError if that is neither finite nor -inf.
  std::span<const double> log_sum_exp() {
    sums_.resize(size());
    pass_->backend(ops::LogSumExp<B>{.x = logits_, .sums = sums_});
    for (std::size_t row = 0; row < size(); ++row)
      if (!(sums_[row] < std::numeric_limits<double>::infinity()))
        throw NumericError("the model's logits at position " + std::to_string(lengths_[row] - 1) +
                           " of a result are not finite");
    return sums_;
  }

  /// The `count` most likely tokens of each row and their logits, [rows, count]: see B::top_k.
  std::span<const int> likeliest(int count) {
    tokens_.resize(size() * static_cast<std::size_t>(count));
    values_.resize(tokens_.size());
    pass_->backend(ops::TopK<B>{.x = logits_, .k = count, .values = values_, .columns = tokens_});
    return tokens_;
  }
  std::span<const Scalar> likeliest_logits() const { return values_; }

  /// A token of each row, drawn with one uniform number each; -1 as in ops::Sample.
  std::span<const int> sample(const SamplingShape& shape, std::span<const double> uniforms) {
    tokens_.resize(size());
    pass_->backend(ops::Sample<B>{.x = logits_, .how = shape, .uniforms = uniforms, .columns = tokens_});
    return tokens_;
  }

  /// Row i continues row parents[i].
  void reorder(std::span<const int> parents) { state_.reorder(pass_->backend, parents); }

 private:
  /// Adds each token of a row's history once.
  void remember(int row, std::span<const int> history) {
    marks_.resize(static_cast<std::size_t>(model_->config().vocab_size));
    ++mark_;
    for (const int token : history)
      if (std::exchange(marks_[static_cast<std::size_t>(token)], mark_) != mark_)
        seen_.push_back({static_cast<std::size_t>(row), token});
  }

  const Pass<B>* pass_;
  const Model* model_;
  LogitsProcessors processors_;
  typename Model::DecoderState state_;
  Rows<B> logits_;
  std::vector<int> newest_, forbidden_, forbidden_rows_, tokens_;
  std::vector<std::size_t> lengths_;  ///< of the histories
  std::vector<double> sums_;
  std::vector<Scalar> values_, scores_;
  std::vector<std::pair<std::size_t, int>> seen_;  ///< rows and tokens of their histories
  std::vector<std::size_t> marks_;                 ///< of each token: the history that had it last
  std::size_t mark_ = 0;
};

}  // namespace neural_attention
