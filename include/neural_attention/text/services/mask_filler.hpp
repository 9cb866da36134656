// MaskFiller: takes a text with <mask> and returns the most likely tokens in its place, for each <mask> by itself, like
// Hugging Face's fill-mask. Unlike its `sequence`, the text keeps special tokens even if there is only one mask. Works
// on one const model, for any number of threads at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/keep_weights.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "neural_attention/text/services/vocabulary_rows.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/models/paper.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#endif

namespace neural_attention::text {

/// A candidate for the place of one <mask>.
struct MaskCandidate {
  int id = 0;
  double probability = 0.0;
  std::string token;  ///< its bytes, which may be a part of a character
  std::string text;   ///< with the token in its place; other masks, and special tokens in the text, stay
};

struct MaskFillerOptions {
  int workers = 1;                           ///< requests that are answered at the same time
  int threads = 0;                           ///< of each worker; 0: the workers share available_threads()
  Precision precision = Precision::Float32;  ///< of products, if the backend's type does not say it
};

/// Model is a type like Roberta, Tokenizer like ByteBpe. Both must outlive it, and the model must not change during a
/// request; between requests it may, and its parameters' refresh() is called then. On the CPU each worker keeps packed
/// copies of the weights, which take as much memory again.
template <class Model, class Tokenizer>
class MaskFiller {
  static_assert(sizeof(CheckFillsMasks<Model>));

 public:
  using B = typename Model::Backend;

  /// Throws ConfigError if an option makes no sense, the vocabulary has no <mask>, or it has more ids than the model.
  MaskFiller(const Model& model, const Tokenizer& tokenizer, MaskFillerOptions options = {});
  /// A temporary would be gone before the first request.
  MaskFiller(const Model&, const Tokenizer&&, MaskFillerOptions = {}) = delete;
  MaskFiller(const Model&&, const Tokenizer&, MaskFillerOptions = {}) = delete;

  /// For each <mask> of `text`, from left to right, its `count` most likely tokens, the best first. Throws ConfigError
  /// if the text has no <mask> or more tokens than the model reads, or if the count is below 1; TextError if it is not
  /// UTF-8; and NumericError if the model's output is not finite.
  std::vector<std::vector<MaskCandidate>> operator()(std::string_view text, int count = 5) const;

 private:
  struct Worker {
    Worker(int threads, Precision precision) : backend(worker_backend<B>(threads, precision)), memory(backend) {}

    B backend;
    PassMemory<B> memory;
    typename Model::Saved saved;
  };

  static WorkerPool<Worker> workers(const MaskFillerOptions& options);

  /// Whether nothing is NaN or +inf, and something is above -inf.
  static bool can_be_chosen_from(const std::vector<typename B::Scalar>& logits);

  /// Softmax in double over all logits of one row, then the largest ones.
  std::vector<MaskCandidate> best(const std::vector<typename B::Scalar>& logits, std::vector<int> ids, int place,
                                  int count) const;

  const Model* model_;
  const Tokenizer* tokenizer_;
  int mask_;
  std::vector<int> pieces_;  // the ids that have one
  WorkerPool<Worker> workers_;
};

template <class Model, class Tokenizer>
MaskFiller<Model, Tokenizer>::MaskFiller(const Model& model, const Tokenizer& tokenizer, MaskFillerOptions options)
    : model_(&model), tokenizer_(&tokenizer), mask_(tokenizer.mask_id()), workers_(workers(options)) {
  require_rows(model.config().vocab_size, tokenizer.vocab_size());
  for (int id = 0; id < model.config().vocab_size; ++id)
    if (tokenizer.has_piece(id)) pieces_.push_back(id);
}

template <class Model, class Tokenizer>
std::vector<std::vector<MaskCandidate>> MaskFiller<Model, Tokenizer>::operator()(std::string_view text,
                                                                                 int count) const {
  if (count < 1) throw ConfigError("the number of candidates must be at least 1, not " + std::to_string(count));
  if (const auto fault = utf8_fault(text); !fault.empty()) throw TextError(fault);
  const auto ids = tokenizer_->encode_sequence(text);
  std::vector<int> places, originals;
  for (std::size_t place = 0; place < ids.size(); ++place)
    if (ids[place] == mask_) places.push_back(static_cast<int>(place));
  if (places.empty()) throw ConfigError("the text has no " + std::string(Tokenizer::mask) + " to be filled");
  const int longest = model_->config().longest_sequence();
  if (static_cast<int>(ids.size()) > longest)
    throw ConfigError("the text has " + std::to_string(ids.size()) +
                      " tokens, <s> and </s> included; the model reads " + std::to_string(longest));
  originals.assign(places.size(), mask_);
  MaskedBatch batch(model_->config().pad_token_id);
  batch.push(ids, places, originals);

  const auto worker = workers_.lease();
  const auto pass = worker->memory.begin_inference();
  const KeepWeights keep(pass.backend, *model_);  // a text has so few tokens that packing takes as long as products
  const auto logits = model_->masked_logits(pass, batch, worker->saved);
  std::vector<std::vector<MaskCandidate>> results;
  std::vector<typename B::Scalar> row(static_cast<std::size_t>(logits.cols));
  for (std::size_t i = 0; i < places.size(); ++i) {
    pass.backend(ops::Download<B>{.x = logits.slice(static_cast<int>(i), 1), .values = row});
    if (!can_be_chosen_from(row))
      throw NumericError("the model's logits for <mask> " + std::to_string(i + 1) + " of the text are not finite");
    results.push_back(best(row, ids, places[i], count));
  }
  return results;
}

template <class Model, class Tokenizer>
WorkerPool<typename MaskFiller<Model, Tokenizer>::Worker> MaskFiller<Model, Tokenizer>::workers(
    const MaskFillerOptions& options) {
  const int threads = threads_of_each(options.workers, options.threads);
  return {options.workers, [&] { return std::make_unique<Worker>(threads, options.precision); }};
}

template <class Model, class Tokenizer>
bool MaskFiller<Model, Tokenizer>::can_be_chosen_from(const std::vector<typename B::Scalar>& logits) {
  bool some = false;
  for (const auto logit : logits) {
    if (!(double(logit) < INFINITY)) return false;
    some = some || double(logit) > -INFINITY;
  }
  return some;
}

template <class Model, class Tokenizer>
std::vector<MaskCandidate> MaskFiller<Model, Tokenizer>::best(const std::vector<typename B::Scalar>& logits,
                                                              std::vector<int> ids, int place, int count) const {
  const auto largest = double(*std::max_element(logits.begin(), logits.end()));
  double sum = 0.0;
  for (const auto logit : logits) sum += std::exp(double(logit) - largest);
  auto order = pieces_;  // a row without a piece has its share of the sum, as in Hugging Face's, but is no candidate
  const auto end = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), end, order.end(), [&](int a, int b) {
    const auto x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<MaskCandidate> candidates;
  for (auto id = order.begin(); id != end; ++id) {
    ids[static_cast<std::size_t>(place)] = *id;
    const std::vector<int> inside(ids.begin() + 1, ids.end() - 1);
    candidates.push_back({*id, std::exp(double(logits[static_cast<std::size_t>(*id)]) - largest) / sum,
                          tokenizer_->decode({&*id, 1}), tokenizer_->decode(inside)});
  }
  return candidates;
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template class MaskFiller<paper::Roberta, ByteBpe>;
#endif

}  // namespace neural_attention::text
