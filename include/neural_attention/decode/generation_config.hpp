// The settings of a search for texts, under the names of Hugging Face's generation_config.json.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"

namespace neural_attention {

/// A setting in a file that changes results, is not supported, and matters only for some searches.
struct UnsupportedSetting {
  enum class Matters {
    Always,
    Sampling,     ///< with do_sample
    Beams,        ///< with more than one beam
    OneBeam,      ///< with one beam, drawn or not
    Contrastive,  ///< with one beam and a top_k above 1, not drawn
  };
  Matters matters = Matters::Always;
  std::string what;  ///< the setting and what is supported
};

/// When the beam search of a sentence is done; in files `false`, `true` and `"never"`.
enum class EarlyStopping {
  Heuristic,  ///< no live beam would beat the worst result kept if it ended now
  Always,     ///< num_beams results are finished
  Never       ///< no live beam can beat the worst result kept, however long it grows
};

/// The choices as files and flags call them; JSON has the words true and false for the first two.
inline constexpr Named<EarlyStopping> named_early_stopping[] = {{"true", EarlyStopping::Always},
                                                                {"false", EarlyStopping::Heuristic},
                                                                {"never", EarlyStopping::Never},
                                                                {"True", EarlyStopping::Always},
                                                                {"False", EarlyStopping::Heuristic}};
constexpr const auto& names_of(EarlyStopping) { return named_early_stopping; }

/// Limits of lengths count the tokens of a result, its prompt (often a start token alone) and the end token too; the
/// length of length_penalty leaves out the prompt. Token ids that are not given (-1) are the model's own.
struct GenerationConfig {
  int num_beams = 1;             ///< 1: greedy, or sampling with do_sample
  int num_return_sequences = 1;  ///< results a sentence, the best first; at most num_beams unless sampled
  int max_length = 512;
  int max_new_tokens = 0;       ///< most tokens after a prompt, in place of max_length; 0: not given
  int min_length = 0;           ///< no end before a result has this many tokens, the end token not counted
  int min_new_tokens = 0;       ///< tokens after a prompt before the end, in place of min_length; 0: not given
  double length_penalty = 1.0;  ///< a beam scores Σ log p / n^this, n its tokens after the prompt, with the end
  EarlyStopping early_stopping = EarlyStopping::Heuristic;
  double repetition_penalty = 1.0;  ///< of tokens in the history: a score below 0 times this, others divided by it
  int no_repeat_ngram_size = 0;     ///< no run of this many tokens occurs twice; 0: anything goes
  std::vector<std::vector<int>> bad_words_ids;  ///< token sequences that never occur
  std::vector<int> suppress_tokens;             ///< tokens that never occur; ids outside the vocabulary do not count
  std::vector<int> begin_suppress_tokens;       ///< the same for the first token, or the one after forced_bos_token_id
  bool renormalize_logits = false;              ///< probabilities sum to 1 again after tokens were ruled out
  int decoder_start_token_id = -1;
  int eos_token_id = -1;
  std::vector<int> further_eos_token_ids;  ///< each of these ends a result as well
  int pad_token_id = -1;
  int forced_bos_token_id = -1;                ///< the first token after the start; -1: any
  int forced_eos_token_id = -1;                ///< the only token allowed at the length limit; -1: any
  std::vector<std::string> stop_strings = {};  ///< a text ends in front of these; only a TextGenerator knows texts

  bool do_sample = false;  ///< draw tokens instead of searching; needs num_beams 1
  double temperature = 1.0;
  int top_k = 50;      ///< draw among the likeliest; 0: among all
  double top_p = 1.0;  ///< draw among the fewest tokens that have this much probability together
  double min_p = 0.0;  ///< draw among tokens with at least this share of the likeliest one's probability; 0: among all
  std::uint64_t seed = 42;

  std::string file = {};                             ///< where the settings were read; empty: nowhere
  std::vector<UnsupportedSetting> unsupported = {};  ///< of that file
  std::string other_keys = {};  ///< a file's further keys, as a JSON object; saving writes them again

  /// A search compares, for each text, up to twice the square of its beams.
  static constexpr int most_beams = 1000;

  /// The groups of flags in --help: one for a search, and one for drawing tokens.
  static constexpr const char* search = "Search, as in generate(); defaults from generation_config.json";
  static constexpr const char* sampling = "Sampling";

  /// Every key of generation_config.json that is a member here, and the seed.
  static void knobs(auto&& use, auto&... configs) {
    use(Knob("num_beams", "Beams of the search; 1: greedy", from_to(1, most_beams)).flag(search), configs.num_beams...);
    use(Knob("length_penalty",
             "The score of a result is its sum of log p / length^this, the prompt not counted; above 0 favours longer "
             "results")
            .flag(search),
        configs.length_penalty...);
    use(Knob("min_length", "Tokens before a result may end, including the start token", at_least(0)).flag(search),
        configs.min_length...);
    use(Knob("max_length", "Most tokens of a result, including start and end", at_least(2)).flag(search),
        configs.max_length...);
    use(Knob("max_new_tokens", "Most tokens of a result after its prompt, in place of max_length; 0: max_length counts",
             at_least(0))
            .flag(search),
        configs.max_new_tokens...);
    use(Knob("min_new_tokens",
             "Tokens after a prompt before a result may end, in place of min_length; 0: min_length counts", at_least(0))
            .flag(search),
        configs.min_new_tokens...);
    use(Knob("early_stopping",
             "When a sentence is done: with num_beams results, when no beam looks better, or when none can become "
             "better")
            .flag(search),
        configs.early_stopping...);
    use(Knob("repetition_penalty", "Above 1: tokens that occurred before, also in the prompt, become less likely",
             above(0))
            .flag(search),
        configs.repetition_penalty...);
    use(Knob("no_repeat_ngram_size", "No sequence of this many tokens occurs twice; 0: no limit", at_least(0))
            .flag(search),
        configs.no_repeat_ngram_size...);
    use(Knob(
            "num_return_sequences",
            "Results per sentence. Above 1, each gets its own line, as in Marian: LINE ||| TEXT ||| F0= SUM ||| SCORE, "
            "LINE from 0 and SUM of log p",
            at_least(1))
            .flag(search),
        configs.num_return_sequences...);
    use(Knob("bad_words_ids", "Sequences of tokens that never occur"), configs.bad_words_ids...);
    use(Knob("suppress_tokens", "Tokens that never occur"), configs.suppress_tokens...);
    use(Knob("begin_suppress_tokens", "Tokens that are never the first"), configs.begin_suppress_tokens...);
    use(Knob("renormalize_logits", "Renormalize probabilities after tokens are ruled out"),
        configs.renormalize_logits...);
    use(token_knob("decoder_start_token_id", "The token that a result begins with"), configs.decoder_start_token_id...);
    use(token_knob("eos_token_id", "The token that ends a result, or a list of such tokens"), configs.eos_token_id...);
    use(token_knob("pad_token_id", "Padding"), configs.pad_token_id...);
    use(token_knob("forced_bos_token_id", "The first token after the start"), configs.forced_bos_token_id...);
    use(token_knob("forced_eos_token_id", "The only token allowed at the length limit"),
        configs.forced_eos_token_id...);
    use(Knob("stop_strings", "A text that continues a prompt ends in front of these, a string or a list of strings"),
        configs.stop_strings...);
    use(Knob("do_sample", "Draw tokens at random instead of searching").flag(sampling), configs.do_sample...);
    use(Knob("temperature", "Above 1: flatter probabilities", above(0)).flag(sampling), configs.temperature...);
    use(Knob("top_k", "Draw among this many most likely tokens; 0: among all", at_least(0)).flag(sampling),
        configs.top_k...);
    use(Knob("top_p", "Draw among the fewest tokens that together have this probability", above_up_to(0, 1))
            .flag(sampling),
        configs.top_p...);
    use(Knob("min_p", "Draw among tokens with at least this share of the highest probability", from_to(0, 1))
            .flag(sampling),
        configs.min_p...);
    use(Knob("seed", "Seed of the draws").flag_alone(sampling), configs.seed...);
  }

  /// Most tokens of a result with its prompt of `prompt` tokens; max_length if max_new_tokens is not given.
  int limit(std::int64_t prompt) const {
    return max_new_tokens == 0 ? max_length
                               : static_cast<int>(std::min(prompt + max_new_tokens, std::int64_t{max_length}));
  }

  /// Tokens of a result with its prompt before it may end.
  std::int64_t least(std::int64_t prompt) const { return min_new_tokens > 0 ? prompt + min_new_tokens : min_length; }

  bool ends(int token) const { return token == eos_token_id || contains(further_eos_token_ids, token); }

  /// The first value that makes no sense or is not supported, as a sentence; empty if there is none. Ignores settings
  /// that the search does not use.
  std::string fault() const {
    if (auto fault = fault_of_ranges(); !fault.empty()) return fault;
    if (!do_sample && num_return_sequences > num_beams)
      return "num_return_sequences is " + std::to_string(num_return_sequences) + ", but only " +
             std::to_string(num_beams) + " beams are searched";
    for (const auto& word : bad_words_ids)
      if (word.empty()) return "bad_words_ids holds an empty sequence";
    for (const auto& [name, token] :
         {std::pair{"forced_bos_token_id", forced_bos_token_id}, std::pair{"forced_eos_token_id", forced_eos_token_id}})
      if (token >= 0 && contains(suppress_tokens, token))
        return std::string(name) + " is " + std::to_string(token) + ", which suppress_tokens rules out";
    if (auto fault = fault_of_sampling(); do_sample && !fault.empty()) return fault;
    for (const auto& setting : unsupported)
      if (matters(setting.matters)) return setting.what;
    return {};
  }

  /// The first token outside a vocabulary of this size, as a sentence; empty if there is none. Those that are only
  /// suppressed may be outside.
  std::string fault_of_tokens(int vocab_size) const {
    std::string fault;
    const auto check = [&](const std::string& name, int id) {
      if (fault.empty() && (id < 0 || id >= vocab_size))
        fault = name + " is " + std::to_string(id) + ", outside the vocabulary of " + std::to_string(vocab_size);
    };
    knobs(
        [&]<class T>(const Knob& knob, const T& value) {
          if constexpr (std::is_same_v<T, int>)
            if (knob.token && value != -1) check(knob.name, value);
        },
        *this);
    for (const int id : further_eos_token_ids) check("a token of eos_token_id", id);
    for (const auto& word : bad_words_ids)
      for (const int id : word) check("a token of bad_words_ids", id);
    return fault;
  }

  /// Throws ConfigError for a fault; the error names the file that the settings come from.
  void validate() const { refuse(fault()); }
  /// The same, also for a token outside a vocabulary of this size.
  void validate(int vocab_size) const {
    validate();
    refuse(fault_of_tokens(vocab_size));
  }

 private:
  static bool contains(const std::vector<int>& tokens, int token) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  }

  void refuse(const std::string& fault) const {
    if (!fault.empty())
      throw ConfigError(file.empty() ? fault : fault + " (settings that were not given come from " + file + ")");
  }

  std::string fault_of_ranges() const {
    std::string fault;
    knobs(
        [&](const Knob& knob, const auto& value) {
          const bool judged = knob.group == sampling                                ? do_sample
                              : &value == static_cast<const void*>(&length_penalty) ? num_beams > 1
                                                                                    : !knob.token;
          if (judged && fault.empty()) fault = fault_of(knob, value);
        },
        *this);
    return fault;
  }

  std::string fault_of_sampling() const {
    if (num_beams > 1) return "do_sample needs num_beams 1: sampling along beams is not supported";
    constexpr double coldest = 1e-30;  // its inverse is far from float's largest number
    if (temperature < coldest) return "temperature must be at least 1e-30, not " + number_text(temperature);
    return {};
  }

  bool matters(UnsupportedSetting::Matters when) const {
    switch (when) {
      case UnsupportedSetting::Matters::Sampling:
        return do_sample;
      case UnsupportedSetting::Matters::Beams:
        return num_beams > 1;
      case UnsupportedSetting::Matters::OneBeam:
        return num_beams == 1;
      case UnsupportedSetting::Matters::Contrastive:
        return num_beams == 1 && !do_sample && top_k > 1;
      case UnsupportedSetting::Matters::Always:
        break;
    }
    return true;
  }
};

/// How a model with this config decodes without a generation_config.json: greedily, up to the last position. One that
/// continues texts may choose any token; another one never chooses pad, and there the sentence must end.
template <class ModelConfig>
GenerationConfig generation_defaults(const ModelConfig& model) {
  GenerationConfig how;
  how.max_length = model.max_position_embeddings;
  if constexpr (requires { requires ModelConfig::continues_texts; }) return how;
  how.bad_words_ids = {{model.pad_token_id}};
  how.renormalize_logits = true;
  how.forced_eos_token_id = model.eos_token_id;
  return how;
}

/// `how` with the model's ids in place of -1, which stays if the model has no such token.
template <class ModelConfig>
GenerationConfig with_token_ids(GenerationConfig how, const ModelConfig& model) {
  if (how.decoder_start_token_id == -1) how.decoder_start_token_id = model.pad_token_id;
  if (how.eos_token_id == -1) how.eos_token_id = model.eos_token_id;
  if (how.pad_token_id == -1) how.pad_token_id = model.pad_token_id;
  return how;
}

/// The same, with max_length limited to the model's positions, and not otherwise where max_new_tokens limits results,
/// as a search needs it. Throws ConfigError if a value makes no sense or a token is outside the vocabulary.
template <class ModelConfig>
GenerationConfig resolved(const GenerationConfig& given, const ModelConfig& model) {
  auto how = with_token_ids(given, model);
  how.validate(model.vocab_size);
  for (auto* const tokens : {&how.suppress_tokens, &how.begin_suppress_tokens})
    std::erase_if(*tokens, [&](int id) { return id < 0 || id >= model.vocab_size; });
  const int longest = model.max_position_embeddings + 1;  // nothing follows the last token
  how.max_length = how.max_new_tokens > 0 ? longest : std::min(how.max_length, longest);
  return how;
}

/// One result of a search.
struct Hypothesis {
  std::vector<int> ids;  ///< without prompt and end
  double score = 0.0;    ///< of a beam search: Σ log p / n^length_penalty, n counts ids and end; otherwise 0
  int end = -1;          ///< the token that ended it; -1: none did

  bool operator==(const Hypothesis&) const = default;
};

}  // namespace neural_attention
