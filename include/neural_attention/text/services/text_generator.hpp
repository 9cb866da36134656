// TextGenerator: the beginning of a text in, its continuation out, at once or as tokens come, on one const model and
// for any number of threads at once. Prompts of different lengths are continued together in batches; each batch borrows
// a worker, which has its own backend with threads and memory, and waits if none is free.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/text/services/generated_text.hpp"
#include "neural_attention/text/services/text_pieces.hpp"
#include "neural_attention/text/services/text_stream.hpp"
#include "neural_attention/text/services/vocabulary_rows.hpp"

namespace neural_attention::text {

struct TextGeneratorOptions {
  int workers = 1;      ///< batches that are continued at the same time
  int threads = 0;      ///< of each worker; 0: the workers share available_threads()
  int batch_size = 32;  ///< texts that grow together at most; the beams of a prompt are never parted
  Precision precision = Precision::Float32;  ///< of products, if the backend's type does not say it
};

/// How texts are continued: the search, and strings before the first of which a text ends. Which of them is first does
/// not depend on tokens: a stop string may begin and end inside of one.
struct TextGenerationConfig : GenerationConfig {
  /// `stops`, if there are any, replace the stop strings of `how`. NOLINTNEXTLINE(google-explicit-constructor)
  TextGenerationConfig(GenerationConfig how = {}, std::vector<std::string> stops = {})
      : GenerationConfig(std::move(how)) {
    if (!stops.empty()) stop_strings = std::move(stops);
  }
};

/// All const functions may be called from several threads at once. The model and the tokenizer must outlive it, and the
/// model must not change during a request. Tokenizer has encode(text), decode(ids), which joins what each id stands
/// for, and vocab_size(), and may have has_piece(id) and is_special(id), whose text is left out.
template <class Model, class Tokenizer>
class TextGenerator {
  static_assert(sizeof(CheckDecodable<Model>));
  static_assert(std::same_as<typename Model::Prompts, PackedTokens>,
                "a TextGenerator needs a model whose Prompts are PackedTokens");

 public:
  using B = typename Model::Backend;
  using OnPiece = TextPieces::OnPiece;
  using Wanted = TextPieces::Wanted;
  using OnText = std::function<bool(const TextPiece&)>;

  /// `how` is the config of requests that bring none. Throws ConfigError if an option makes no sense, or if the
  /// tokenizer has more ids than the model.
  TextGenerator(const Model& model, const Tokenizer& tokenizer, TextGenerationConfig how,
                TextGeneratorOptions options = {});
  /// A temporary would be gone before the first request.
  TextGenerator(const Model&, const Tokenizer&&, TextGenerationConfig, TextGeneratorOptions = {}) = delete;
  TextGenerator(const Model&&, const Tokenizer&, TextGenerationConfig, TextGeneratorOptions = {}) = delete;

  const TextGenerationConfig& generation() const { return how_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  /// Continues one prompt; an empty one begins with the model's start token. on_piece gets the text as it comes, in
  /// whole characters and without what may become a stop string, and ends it by returning false. All pieces together
  /// are the text. A beam search knows its text when it is done, and then gives it at once. Callbacks must not ask this
  /// generator for texts, which would wait for the worker that makes the text they hear of. Throws ConfigError if `how`
  /// makes no sense or the prompt leaves no room, TextError if it is not UTF-8 or cannot be encoded, and NumericError
  /// if the model's output is not finite.
  Continuation generate(std::string_view prompt) const { return generate(prompt, how_); }
  Continuation generate(std::string_view prompt, const TextGenerationConfig& how, const OnPiece& on_piece = {}) const {
    return generate_while(prompt, how, on_piece, {});
  }

  /// The tokens of a prompt, which generate takes as well. Throws as generate does for a prompt that cannot be
  /// continued.
  std::vector<int> prompt_ids(std::string_view prompt) const { return prompt_ids(prompt, how_); }
  std::vector<int> prompt_ids(std::string_view prompt, const TextGenerationConfig& how) const {
    auto ids = encoded(prompt, "the prompt");
    check_length(ids.size(), resolved(how, model_->config()), "the prompt");
    return ids;
  }

  /// The same as a range, whose pieces a thread of its own makes: for (const auto& piece : generator.stream(prompt)).
  /// Errors come out of the loop. Leaving the loop ends the text, and a beam search, at the next token, and waits for
  /// that: also for a worker, if others have them all. The generator must outlive the range.
  TextPieces stream(std::string_view prompt) const& { return stream(prompt, how_); }
  TextPieces stream(std::string_view prompt, const TextGenerationConfig& how) const& {
    return TextPieces([this, prompt = std::string(prompt), how](const OnPiece& on_piece, const Wanted& wanted) {
      return generate_while(prompt, how, on_piece, wanted);
    });
  }

  /// A temporary would be gone before the loop begins.
  TextPieces stream(std::string_view) const&& = delete;
  TextPieces stream(std::string_view, const TextGenerationConfig&) const&& = delete;

  /// One result for each prompt. Random draws depend on the number of a prompt, which counts from `first_prompt`, and
  /// on the number of the sample, so texts are the same in any batches. on_text hears of all texts, from the calling
  /// thread, and ends the one that it returns false for.
  std::vector<Continuation> generate(std::span<const std::string> prompts) const { return generate(prompts, how_); }
  std::vector<Continuation> generate(std::span<const std::string> prompts, const TextGenerationConfig& how,
                                     std::size_t first_prompt = 0, const OnText& on_text = {}) const;
  /// The same for prompts of prompt_ids(). Throws ShapeError for one without tokens and for ids beyond the vocabulary.
  std::vector<Continuation> generate(std::span<const std::vector<int>> prompts, const TextGenerationConfig& how,
                                     std::size_t first_prompt = 0, const OnText& on_text = {}) const;

 private:
  struct Worker {
    Worker(int threads, Precision precision, const Model& model)
        : backend(worker_backend<B>(threads, precision)), generator(backend, model) {}

    B backend;
    Generator<Model> generator;
  };

  /// A text that grows: its tokens so far, and their text.
  struct Growing {
    explicit Growing(const TextGenerationConfig& how) : stream(how.stop_strings) {}

    TextStream stream;
    std::size_t read = 0;  ///< ids
    TextEnd end = TextEnd::Length;
  };

  static WorkerPool<Worker> workers(const Model& model, const TextGeneratorOptions& options);

  static std::string name_of(std::size_t prompt) { return "prompt " + std::to_string(prompt + 1); }
  std::vector<int> encoded(std::string_view prompt, const std::string& name) const;
  /// Throws ConfigError unless a token can follow the prompt.
  void check_length(std::size_t tokens, const GenerationConfig& how, const std::string& name) const;

  Continuation generate_while(std::string_view prompt, const TextGenerationConfig& how, const OnPiece& on_piece,
                              const Wanted& wanted) const;
  /// `wanted`, if it is not empty, is asked at every token.
  void run(std::vector<Continuation>& results, const TextGenerationConfig& how, std::size_t first_prompt,
           const OnText& on_text, const Wanted& wanted = {}) const;
  /// The ids of a text so far, the token that ended it or -1, and whether no more follow.
  struct Progress {
    std::span<const int> ids;
    int end;
    bool last;
  };
  /// Reads the new ids of a text and gives what is settled. Whether more is wanted.
  bool grow(Growing& text, const Progress& now, std::size_t prompt, std::size_t candidate, const OnText& on_text) const;
  bool stops(std::span<const int> ids, const TextGenerationConfig& how) const;
  /// The bytes that stand for a token in a text.
  std::string bytes(int id) const;

  const Model* model_;
  const Tokenizer* tokenizer_;
  TextGenerationConfig how_;
  TextGeneratorOptions options_;
  std::vector<int> never_;  // rows of the model without a piece
  WorkerPool<Worker> workers_;
};

template <class Model, class Tokenizer>
TextGenerator<Model, Tokenizer>::TextGenerator(const Model& model, const Tokenizer& tokenizer, TextGenerationConfig how,
                                               TextGeneratorOptions options)
    : model_(&model),
      tokenizer_(&tokenizer),
      how_(std::move(how)),
      options_(options),
      workers_(workers(model, options)) {
  if (options.batch_size < 1) throw ConfigError("a batch needs at least one text");
  const int rows = model.config().vocab_size;
  require_rows(rows, tokenizer.vocab_size());
  for (int id = 0; id < rows; ++id) {
    bool has_piece = id < tokenizer.vocab_size();
    if constexpr (requires { tokenizer.has_piece(id); }) has_piece = tokenizer.has_piece(id);
    if (!has_piece) never_.push_back(id);
  }
  resolved(how_, model.config());
}

template <class Model, class Tokenizer>
Continuation TextGenerator<Model, Tokenizer>::generate_while(std::string_view prompt, const TextGenerationConfig& how,
                                                             const OnPiece& on_piece, const Wanted& wanted) const {
  if (on_piece && how.num_return_sequences > 1)
    throw ConfigError("num_return_sequences is " + std::to_string(how.num_return_sequences) +
                      ", but one text is to be given piece by piece");
  std::vector<Continuation> results(1);
  results.front().prompt_ids = encoded(prompt, name_of(0));
  run(results, how, 0, on_piece ? OnText([&](const TextPiece& piece) { return on_piece(piece.text); }) : OnText(),
      wanted);
  return std::move(results.front());
}

template <class Model, class Tokenizer>
std::vector<Continuation> TextGenerator<Model, Tokenizer>::generate(std::span<const std::string> prompts,
                                                                    const TextGenerationConfig& how,
                                                                    std::size_t first_prompt,
                                                                    const OnText& on_text) const {
  std::vector<Continuation> results(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i)
    results[i].prompt_ids = encoded(prompts[i], name_of(first_prompt + i));
  run(results, how, first_prompt, on_text);
  return results;
}

template <class Model, class Tokenizer>
std::vector<Continuation> TextGenerator<Model, Tokenizer>::generate(std::span<const std::vector<int>> prompts,
                                                                    const TextGenerationConfig& how,
                                                                    std::size_t first_prompt,
                                                                    const OnText& on_text) const {
  std::vector<Continuation> results(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) results[i].prompt_ids = prompts[i];
  run(results, how, first_prompt, on_text);
  return results;
}

template <class Model, class Tokenizer>
WorkerPool<typename TextGenerator<Model, Tokenizer>::Worker> TextGenerator<Model, Tokenizer>::workers(
    const Model& model, const TextGeneratorOptions& options) {
  const int threads = threads_of_each(options.workers, options.threads);
  return {options.workers, [&] { return std::make_unique<Worker>(threads, options.precision, model); }};
}

template <class Model, class Tokenizer>
std::vector<int> TextGenerator<Model, Tokenizer>::encoded(std::string_view prompt, const std::string& name) const {
  const HostWork work("tokenizing");
  if (const auto fault = utf8_fault(prompt); !fault.empty()) throw TextError(name + ": " + fault);
  std::vector<int> ids;
  try {
    ids = tokenizer_->encode(prompt);
  } catch (const TextError& error) {
    throw TextError(name + ": " + error.what());
  }
  if (!ids.empty()) return ids;
  int start = -1;
  if constexpr (requires { model_->config().bos_token_id; }) start = model_->config().bos_token_id;
  if (start < 0) throw ConfigError(name + " is empty, and the model has no start token (bos_token_id) to begin with");
  return {start};
}

template <class Model, class Tokenizer>
void TextGenerator<Model, Tokenizer>::check_length(std::size_t tokens, const GenerationConfig& how,
                                                   const std::string& name) const {
  const auto has = name + " has " + std::to_string(tokens) + " tokens";
  const auto reads = static_cast<std::size_t>(model_->config().max_position_embeddings);
  if (tokens > reads) throw ConfigError(has + ", but the model reads " + std::to_string(reads));
  if (tokens >= static_cast<std::size_t>(how.limit(static_cast<std::int64_t>(tokens))))
    throw ConfigError(has + ", which leaves no room: max_length is " + std::to_string(how.max_length) +
                      ", the prompt included");
}

template <class Model, class Tokenizer>
void TextGenerator<Model, Tokenizer>::run(std::vector<Continuation>& results, const TextGenerationConfig& how,
                                          std::size_t first_prompt, const OnText& on_text, const Wanted& wanted) const {
  auto config = resolved(how, model_->config());
  config.stop_strings.clear();  // grow() and stops() look for them
  config.suppress_tokens.insert(config.suppress_tokens.end(), never_.begin(), never_.end());
  for (const auto& stop : how.stop_strings) {
    if (stop.empty()) throw ConfigError("a stop string is empty");
    if (const auto fault = utf8_fault(stop); !fault.empty()) throw TextError("a stop string: " + fault);
  }
  for (std::size_t i = 0; i < results.size(); ++i)
    check_length(results[i].prompt_ids.size(), config, name_of(first_prompt + i));
  std::vector<std::size_t> order(results.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Draws are functions of a prompt's place in its batch, so sampled prompts keep their order.
  if (!config.do_sample)
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return results[a].prompt_ids.size() > results[b].prompt_ids.size();
    });
  const bool beams = config.num_beams > 1;
  const int rows = beams ? config.num_beams : config.num_return_sequences;
  const int rows_at_once = beams ? rows : std::min(rows, options_.batch_size);
  const auto together = static_cast<std::size_t>(std::max(1, options_.batch_size / rows_at_once));
  const auto ask = [&] { return !wanted || wanted(); };
  PackedTokens batch;
  for (std::span<const std::size_t> rest(order); !rest.empty();) {
    const auto prompts = rest.first(std::min(together, rest.size()));
    rest = rest.subspan(prompts.size());
    batch.clear();
    batch.begin_at({0, static_cast<int>(first_prompt + prompts.front())});
    for (const auto i : prompts) batch.push(results[i].prompt_ids);
    for (int first = 0; first < rows; first += rows_at_once) {  // more than once for many samples
      auto part = config;
      if (!beams) part.num_return_sequences = std::min(rows_at_once, rows - first);
      const auto samples = static_cast<std::size_t>(beams ? 0 : part.num_return_sequences);
      std::vector<Growing> growing(prompts.size() * samples, Growing(how));
      const auto number = [&](std::size_t sample) { return static_cast<std::size_t>(first) + sample; };
      const auto worker = workers_.lease();
      const auto watch = [&](const GrownResult& grown) {
        if (grown.sample < 0) return ask() && !stops(grown.ids, how);
        const auto place = static_cast<std::size_t>(grown.prompt), sample = static_cast<std::size_t>(grown.sample);
        auto& text = growing[place * samples + sample];
        const bool goes_on = grow(text, {grown.ids, grown.end, grown.last}, prompts[place], number(sample), on_text);
        if (!goes_on || ask()) return goes_on;
        if (!grown.last) text.end = TextEnd::Cancelled;
        return false;
      };
      auto found = worker->generator(batch, part, watch, first);
      for (std::size_t p = 0; p < prompts.size(); ++p)
        for (std::size_t c = 0; c < found[p].size(); ++c) {
          auto& hypothesis = found[p][c];
          Growing whole(how);
          auto& text = beams ? whole : growing[p * samples + c];
          if (beams) grow(text, {.ids = hypothesis.ids, .end = hypothesis.end, .last = true}, prompts[p], c, on_text);
          results[prompts[p]].candidates.push_back(
              {std::string(text.stream.taken()), hypothesis.score, std::move(hypothesis.ids), text.end});
        }
    }
  }
}

template <class Model, class Tokenizer>
bool TextGenerator<Model, Tokenizer>::grow(Growing& text, const Progress& now, std::size_t prompt,
                                           std::size_t candidate, const OnText& on_text) const {
  for (; text.read < now.ids.size(); ++text.read) text.stream.push(bytes(now.ids[text.read]));
  if (now.end >= 0) text.stream.push(bytes(now.end));  // an ordinary piece, such as a line's end, belongs to the text
  const bool stopped = text.stream.stopped();
  if (now.last) text.stream.end();
  text.end = stopped ? TextEnd::StopString : now.end >= 0 ? TextEnd::EndToken : TextEnd::Length;
  const auto piece = text.stream.take();
  const bool wanted = piece.empty() || !on_text || on_text({prompt, candidate, piece});
  if (!wanted && !stopped && !now.last) text.end = TextEnd::Cancelled;
  return wanted && !stopped;
}

template <class Model, class Tokenizer>
bool TextGenerator<Model, Tokenizer>::stops(std::span<const int> ids, const TextGenerationConfig& how) const {
  if (how.stop_strings.empty()) return false;
  TextStream stream(how.stop_strings);
  return std::any_of(ids.begin(), ids.end(), [&](int id) { return stream.push(bytes(id)); });
}

template <class Model, class Tokenizer>
std::string TextGenerator<Model, Tokenizer>::bytes(int id) const {
  if constexpr (requires { tokenizer_->is_special(id); })
    if (tokenizer_->is_special(id)) return {};
  return tokenizer_->decode(std::span<const int>(&id, 1));
}

}  // namespace neural_attention::text
