// Translator: string in, string out, on one const model and for any number of threads at once. A request tokenizes its
// lines, sorts them by length and cuts them into batches. Each batch borrows a worker, which has its own backend with
// threads and memory, and waits if none is free. Nothing is kept for a backward pass, and there are no gradients.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/models/attention_map.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/services/translation.hpp"
#include "neural_attention/text/services/vocabulary_rows.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/models/paper.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#endif

namespace neural_attention::text {

struct TranslatorOptions {
  int workers = 1;            ///< batches that are decoded at the same time
  int threads = 0;            ///< of each worker; 0: the workers share available_threads()
  int batch_size = 64;        ///< sentences, or samples of them, that are decoded together, at most
  int batch_tokens = 8192;    ///< their source tokens, once for each beam or sample; a longer sentence is alone
  int max_source_tokens = 0;  ///< longer sources are cut, </s> counted and kept; 0: at the model's positions
  Precision precision = Precision::Float32;  ///< of products, if the backend's type does not say it
  /// Whether spaces in front of English punctuation marks and contractions go; unset: as the tokenizer's folder says.
  std::optional<bool> clean_up_spaces = {};
};

/// All const functions may be called from several threads at once. The model and the tokenizer must outlive it, and the
/// model must not change during a request.
template <class Model, class Tokenizer>
class Translator {
  static_assert(sizeof(CheckDecodable<Model>));
  static_assert(std::same_as<typename Model::Prompts, TranslationBatch>,
                "a Translator needs a model whose Prompts are a TranslationBatch");

 public:
  using B = typename Model::Backend;

  /// `how` is the config of requests that bring none. Throws ConfigError if an option makes no sense.
  Translator(const Model& model, const Tokenizer& tokenizer, GenerationConfig how, TranslatorOptions options = {});
  /// A temporary would be gone before the first request.
  Translator(const Model&, const Tokenizer&&, GenerationConfig, TranslatorOptions = {}) = delete;
  Translator(const Model&&, const Tokenizer&, GenerationConfig, TranslatorOptions = {}) = delete;

  const GenerationConfig& generation() const { return how_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  /// Translates one line. Throws ConfigError if `how` makes no sense, TextError if the line is not UTF-8, and
  /// NumericError if the model's output is not finite.
  Translation translate(std::string_view line) const { return translate(line, how_); }
  Translation translate(std::string_view line, const GenerationConfig& how) const;

  /// One result for each line. Random draws depend on the number of a line, which counts from `first_line`, so
  /// translating a text piece by piece gives the same results as translating it at once. on_batch hears of each batch,
  /// in the calling thread, and may translate as well.
  std::vector<Translation> translate(std::span<const std::string> lines) const { return translate(lines, how_); }
  std::vector<Translation> translate(std::span<const std::string> lines, const GenerationConfig& how,
                                     std::size_t first_line = 0,
                                     const std::function<void(const TranslationProgress&)>& on_batch = {}) const;

  /// What each head of each decoder layer attended to in the source while the candidate was written: query i is the
  /// position that produced token i of the candidate, the last one the position that produced its end, if it ended.
  /// Throws ShapeError if there is no such candidate, or it has no tokens or more than the model has positions.
  std::vector<AttentionMap> cross_attention(const Translation& translation, std::size_t candidate = 0) const;

  /// The pieces of `ids`, as labels of attention maps.
  std::vector<std::string> pieces(std::span<const int> ids) const;

 private:
  struct Worker {
    Worker(int threads, Precision precision, const Model& model)
        : backend(worker_backend<B>(threads, precision)), generator(backend, model), memory(backend) {}

    B backend;
    Generator<Model> generator;
    PassMemory<B> memory;
    typename Model::Saved saved;
  };

  static WorkerPool<Worker> workers(const Model& model, const TranslatorOptions& options);

  static void require_utf8(std::string_view line, std::size_t number);

  Translation encoded(std::string_view line) const;

  void run(std::vector<Translation>& results, const GenerationConfig& how, std::size_t first_line,
           const std::function<void(const TranslationProgress&)>& on_batch) const;

  /// The text of a result. An end token that is an ordinary piece, such as a full stop, belongs to the text, as in
  /// Hugging Face.
  std::string decoded(const Hypothesis& hypothesis) const;

  /// The results of a sentence that are searched together: all beams, and no more samples than a batch may have.
  int rows_at_once(const GenerationConfig& how) const {
    return how.do_sample ? std::min(how.num_return_sequences, options_.batch_size) : how.num_beams;
  }

  /// The number of sentences of `order` in the next batch; sampled sentences of a batch follow one another.
  std::size_t batch_length(const std::vector<Translation>& results, std::span<const std::size_t> order,
                           const GenerationConfig& how) const;

  const Model* model_;
  const Tokenizer* tokenizer_;
  GenerationConfig how_;
  TranslatorOptions options_;
  std::vector<int> never_;  // rows of the model without a piece
  WorkerPool<Worker> workers_;
};

template <class Model, class Tokenizer>
Translator<Model, Tokenizer>::Translator(const Model& model, const Tokenizer& tokenizer, GenerationConfig how,
                                         TranslatorOptions options)
    : model_(&model),
      tokenizer_(&tokenizer),
      how_(std::move(how)),
      options_(options),
      workers_(workers(model, options)) {
  if (options.batch_size < 1) throw ConfigError("a batch needs at least one sentence");
  if (options.batch_tokens < 1) throw ConfigError("a batch needs at least one token");
  if (options.max_source_tokens < 0 || options.max_source_tokens == 1)
    throw ConfigError("a source needs room for a token and its end");
  require_rows(model.config().vocab_size, tokenizer.vocab_size());
  never_ = ids_without_piece(tokenizer, model.config().vocab_size);
  resolved(how_, model.config());
}

template <class Model, class Tokenizer>
Translation Translator<Model, Tokenizer>::translate(std::string_view line, const GenerationConfig& how) const {
  require_utf8(line, 1);
  std::vector<Translation> results = {encoded(line)};
  run(results, how, 0, {});
  return std::move(results.front());
}

template <class Model, class Tokenizer>
std::vector<Translation> Translator<Model, Tokenizer>::translate(
    std::span<const std::string> lines, const GenerationConfig& how, std::size_t first_line,
    const std::function<void(const TranslationProgress&)>& on_batch) const {
  for (std::size_t i = 0; i < lines.size(); ++i) require_utf8(lines[i], first_line + i + 1);
  std::vector<Translation> results;
  results.reserve(lines.size());
  for (const auto& line : lines) results.push_back(encoded(line));
  run(results, how, first_line, on_batch);
  return results;
}

template <class Model, class Tokenizer>
std::vector<AttentionMap> Translator<Model, Tokenizer>::cross_attention(const Translation& translation,
                                                                        std::size_t candidate) const {
  static_assert(sizeof(CheckShowsAttention<Model, TranslationBatch>));
  if (candidate >= translation.candidates.size())
    throw ShapeError("there is no candidate " + std::to_string(candidate + 1) + ": the translation has " +
                     std::to_string(translation.candidates.size()));
  TranslationBatch pair(resolved(how_, model_->config()).decoder_start_token_id);
  pair.push(translation.source_ids, translation.candidates[candidate].produced());
  const auto worker = workers_.lease();
  const auto pass = worker->memory.begin_inference();
  return model_->cross_attention(pass, pair, worker->saved);
}

template <class Model, class Tokenizer>
std::vector<std::string> Translator<Model, Tokenizer>::pieces(std::span<const int> ids) const {
  std::vector<std::string> result;
  for (const int id : ids) result.push_back(tokenizer_->vocabulary().piece(id));
  return result;
}

template <class Model, class Tokenizer>
WorkerPool<typename Translator<Model, Tokenizer>::Worker> Translator<Model, Tokenizer>::workers(
    const Model& model, const TranslatorOptions& options) {
  const int threads = threads_of_each(options.workers, options.threads);
  return {options.workers, [&] { return std::make_unique<Worker>(threads, options.precision, model); }};
}

template <class Model, class Tokenizer>
void Translator<Model, Tokenizer>::require_utf8(std::string_view line, std::size_t number) {
  if (const auto fault = utf8_fault(line); !fault.empty())
    throw TextError("line " + std::to_string(number) + ": " + fault);
}

template <class Model, class Tokenizer>
Translation Translator<Model, Tokenizer>::encoded(std::string_view line) const {
  const HostWork work("tokenizing");
  Translation result;
  // White space alone is no text, even if the tokenizer has a piece for it.
  result.source_ids = tokenizer_->source_ids(strip(line).empty() ? std::string_view() : line);
  result.source_tokens = static_cast<int>(result.source_ids.size());
  const int positions = model_->config().max_position_embeddings;
  const int limit = options_.max_source_tokens > 0 ? std::min(options_.max_source_tokens, positions) : positions;
  truncate(result.source_ids, limit, tokenizer_->eos_id());
  result.truncated = result.source_tokens > limit;
  return result;
}

template <class Model, class Tokenizer>
void Translator<Model, Tokenizer>::run(std::vector<Translation>& results, const GenerationConfig& how,
                                       std::size_t first_line,
                                       const std::function<void(const TranslationProgress&)>& on_batch) const {
  auto config = resolved(how, model_->config());
  config.suppress_tokens.insert(config.suppress_tokens.end(), never_.begin(), never_.end());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].source_ids.size() > 1)
      order.push_back(i);
    else
      results[i].candidates.emplace_back();
  }
  // Draws are functions of a sentence's place in its batch, so sampled lines keep their order.
  if (!config.do_sample)
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return results[a].source_ids.size() > results[b].source_ids.size();
    });
  TranslationProgress progress{results.size() - order.size(), 0};
  const int at_once = rows_at_once(config);
  TranslationBatch batch(config.decoder_start_token_id);
  for (std::span<const std::size_t> rest(order); !rest.empty();) {
    const auto sentences = rest.first(batch_length(results, rest, config));
    rest = rest.subspan(sentences.size());
    batch.clear();
    batch.source.begin_at({0, static_cast<int>(first_line + sentences.front())});
    for (const auto i : sentences) batch.push(results[i].source_ids, {});
    const int rows = config.do_sample ? config.num_return_sequences : at_once;
    for (int first = 0; first < rows; first += at_once) {  // more than once for many samples
      auto part = config;
      if (config.do_sample) part.num_return_sequences = std::min(at_once, rows - first);
      auto found = [&] {
        const auto worker = workers_.lease();  // on_batch may translate as well
        const HostWork work("searching");
        return worker->generator(batch, part, &GrownResult::goes_on, first);
      }();
      for (std::size_t s = 0; s < sentences.size(); ++s)
        for (auto& hypothesis : found[s])
          results[sentences[s]].candidates.push_back(
              {decoded(hypothesis), hypothesis.score, std::move(hypothesis.ids), hypothesis.end});
    }
    for (const auto i : sentences) {
      auto& candidates = results[i].candidates;
      if (candidates.empty()) candidates.emplace_back();
      progress.tokens += candidates.front().ids.size();
    }
    progress.lines += sentences.size();
    if (on_batch) on_batch(progress);
  }
}

template <class Model, class Tokenizer>
std::string Translator<Model, Tokenizer>::decoded(const Hypothesis& hypothesis) const {
  const HostWork work("joining tokens");
  const auto text = [&](std::span<const int> ids) {
    return options_.clean_up_spaces ? tokenizer_->decode(ids, *options_.clean_up_spaces) : tokenizer_->decode(ids);
  };
  if (hypothesis.end < 0 || hypothesis.end == tokenizer_->eos_id()) return text(hypothesis.ids);
  auto ids = hypothesis.ids;
  ids.push_back(hypothesis.end);
  return text(ids);
}

template <class Model, class Tokenizer>
std::size_t Translator<Model, Tokenizer>::batch_length(const std::vector<Translation>& results,
                                                       std::span<const std::size_t> order,
                                                       const GenerationConfig& how) const {
  const auto rows = static_cast<std::size_t>(rows_at_once(how));
  const auto sentences = static_cast<std::size_t>(options_.batch_size) / (how.do_sample ? rows : 1);
  std::size_t count = 0, tokens = 0;
  for (const auto i : order) {
    tokens += rows * results[i].source_ids.size();
    const bool full = count == sentences || tokens > static_cast<std::size_t>(options_.batch_tokens) ||
                      (how.do_sample && i != order.front() + count);
    if (count > 0 && full) break;
    ++count;
  }
  return count;
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template class Translator<paper::Marian, MarianTokenizer>;
#endif

}  // namespace neural_attention::text
