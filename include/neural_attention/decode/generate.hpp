// Generator: continuations of prompts as Hugging Face's generate finds them: greedily, by beam search, or drawn at
// random. Sources are encoded once, prompts of any lengths are read in one pass; then all live rows (sequences, beams
// or samples) go through the decoder together with cached keys and values, and a sequence that is done leaves with all
// its rows. It knows no model but the contract Decodable.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/keep_weights.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/decode/beam_search.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/decode/live_rows.hpp"

namespace neural_attention {

/// A result that has grown by a token, for those who watch a Generator.
struct GrownResult {
  int prompt;                ///< its place in the batch
  int sample;                ///< of this prompt; -1 in a beam search, in whose rounds candidates grow
  std::span<const int> ids;  ///< all so far, without prompt and end
  int end;                   ///< the token that ended it, or -1
  bool last;                 ///< no token follows, whatever the watcher says

  /// The watcher of a Generator without a watcher.
  static bool goes_on(const GrownResult&) { return true; }
};

/// Serves one thread at a time. Several generators may share one const model, each with its own backend.
template <class Model>
class Generator {
  static_assert(sizeof(CheckDecodable<Model>));

 public:
  using B = typename Model::Backend;
  using Prompts = typename Model::Prompts;
  using Results = std::vector<std::vector<Hypothesis>>;

  Generator(B& backend, const Model& model) : model_(&model), memory_(backend) {}

  /// num_return_sequences results of each prompt, or fewer, but at least one, if the rules leave no more: results of a
  /// beam search with the best first, samples in the order of their draws. A result to which the rules leave no token
  /// ends there. Of a TranslationBatch only sources and prefixes are read. Throws ConfigError if `how` makes no
  /// sense, ShapeError if the prompts do not fit the model or are as long as results may be, and NumericError if
  /// the model's output is not finite.
  /// watch(GrownResult) receives every token as it comes and says whether its result continues; one that does not is
  /// complete as it is. In a beam search it is asked about candidates that have not ended, of which some are dropped.
  /// Samples are numbered from first_sample, and their draws follow from the number, so many samples can be made in
  /// parts.
  template <class Watch = bool (*)(const GrownResult&)>
  Results operator()(const Prompts& prompts, const GenerationConfig& how, Watch&& watch = GrownResult::goes_on,
                     int first_sample = 0) {
    auto config = resolved(how, model_->config());
    if (!config.stop_strings.empty())
      throw ConfigError("stop_strings end texts, but this search knows tokens alone: give them to a TextGenerator");
    model_->check_prompts(prompts);
    const PackedTokens histories = model_->histories(prompts, config.decoder_start_token_id);
    const int sequences = histories.offsets().sequences();
    if (sequences == 0) return {};
    check_lengths(histories.offsets(), config);
    config.max_length = config.limit(histories.offsets().longest());
    check_rows(sequences, config);
    return config.num_beams > 1 ? search(prompts, histories, config, watch)
                                : extend(prompts, histories, config, watch, first_sample);
  }

 private:
  static void check_lengths(const Ragged& histories, const GenerationConfig& how) {
    for (int s = 0; s < histories.sequences(); ++s) {
      if (histories.length(s) == 0) throw ShapeError("prompt " + std::to_string(s) + " of a batch has no tokens");
      if (histories.length(s) >= how.max_length)
        throw ShapeError("prompt " + std::to_string(s) + " of a batch has " + std::to_string(histories.length(s)) +
                         " tokens, which leaves no room: a result has at most " + std::to_string(how.max_length) +
                         " with its prompt");
    }
  }

  /// Throws ConfigError if there are more rows and tokens than caches can count.
  void check_rows(int sentences, const GenerationConfig& how) const {
    const int rows = how.num_beams > 1 ? how.num_beams : how.num_return_sequences;
    sizes::checked("decoding " + std::to_string(sentences) + (sentences == 1 ? " sentence" : " sentences together") +
                       " with " + std::to_string(rows) + " beams or samples each",
                   sizes::product(sizes::product(sentences, rows), how.max_length), "tokens to remember",
                   model_->cache_bytes());
  }

  /// The work that one more token of all live rows needs.
  struct Turn {
    bool chooses = false;  ///< some rows may go on with several tokens
    bool goes_on = false;  ///< some rows have room for further tokens

    void add(int forced, int length, int limit) {
      chooses = chooses || forced < 0;
      goes_on = goes_on || length + 1 < limit;
    }
    bool decodes() const { return chooses || goes_on; }
  };

  template <class Watch>
  Results search(const Prompts& prompts, const PackedTokens& histories, const GenerationConfig& how, Watch& watch) {
    const auto pass = memory_.begin_inference();
    LiveRows<Model> rows(pass, *model_, prompts, histories, how, how.num_beams, saved_);
    const KeepWeights keep(pass.backend, *model_);  // an encoder has used its own once
    Results results(static_cast<std::size_t>(histories.offsets().sequences()));
    struct Live {
      std::size_t sentence;
      BeamSearch beams;
    };
    std::vector<Live> live;
    const auto prompt = [&](std::size_t s) { return histories.sequence(static_cast<int>(s)); };
    for (std::size_t s = 0; s < results.size(); ++s) live.push_back({s, BeamSearch(how, prompt(s))});
    std::vector<BeamCandidate> candidates;
    std::vector<int> parents;
    const auto wanted = static_cast<std::size_t>(std::min(BeamSearch::wanted(how), model_->config().vocab_size));

    for (bool first = true; !live.empty(); first = false) {
      const ArenaScope scope(pass.scratch);
      // At first, all beams of a sentence are alike and share one row.
      const auto rows_of = [&](const BeamSearch& beams) { return first ? 1 : beams.beams().size(); };
      Turn turn;
      const auto forced_for = [&](const Live& one) {
        return rows.forced(one.beams.length(), prompt(one.sentence).size());
      };
      for (const auto& one : live)
        turn.add(forced_for(one), one.beams.length(), how.limit(std::ssize(prompt(one.sentence))));
      std::span<const double> log_sums;
      std::span<const int> tokens;
      if (turn.decodes()) {
        rows.clear();
        for (const auto& [sentence, beams] : live)
          for (const auto& beam : beams.beams().first(rows_of(beams))) rows.push(beam.history, prompt(sentence).size());
        rows.decode();  // after a forced token as well: later ones look back at all
      }
      if (turn.chooses) {
        if (!how.renormalize_logits || rows.penalizes()) log_sums = rows.log_sum_exp();
        rows.penalize(log_sums);
        rows.rule_out();
        if (how.renormalize_logits) log_sums = rows.log_sum_exp();
        tokens = rows.likeliest(static_cast<int>(wanted));
      }

      parents.clear();
      std::size_t first_row = 0, kept = 0;
      for (std::size_t i = 0; i < live.size(); ++i) {
        auto& beams = live[i].beams;
        const auto count = rows_of(beams);
        const int forced = forced_for(live[i]);
        const auto row_of = [&](std::size_t beam) { return first_row + std::min(beam, count - 1); };
        candidates.clear();
        for (std::size_t b = 0; b < beams.beams().size(); ++b) {
          // At first, the other beams are copies of the first, and rank behind all that it offers.
          if (first && std::ssize(candidates) >= BeamSearch::wanted(how)) break;
          const double so_far = beams.beams()[b].log_probability;
          const auto beam = static_cast<int>(b);
          if (forced >= 0) {
            candidates.push_back({so_far, beam, forced});
            continue;
          }
          const auto row = row_of(b);
          for (auto at = row * wanted; at < (row + 1) * wanted && tokens[at] >= 0; ++at)
            candidates.push_back({double(rows.likeliest_logits()[at]) - log_sums[row] + so_far, beam, tokens[at]});
        }
        const int sentence = static_cast<int>(live[i].sentence);
        beams.advance(candidates, [&](std::span<const int> ids) {
          return watch(GrownResult{sentence, -1, ids, -1, false});
        });
        if (beams.done()) {
          results[live[i].sentence] = beams.results(how.num_return_sequences);
        } else {
          for (const auto& beam : beams.beams())
            parents.push_back(static_cast<int>(row_of(static_cast<std::size_t>(beam.parent))));
          if (kept != i) live[kept] = std::move(live[i]);
          ++kept;
        }
        first_row += count;
      }
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(kept), live.end());
      if (!live.empty()) rows.reorder(parents);
    }
    return results;
  }

  /// Greedy decoding, or samples: each row goes its own way.
  template <class Watch>
  Results extend(const Prompts& prompts, const PackedTokens& histories, const GenerationConfig& how, Watch& watch,
                 int first_sample) {
    const int samples = how.num_return_sequences, sequences = histories.offsets().sequences();
    const auto pass = memory_.begin_inference();
    LiveRows<Model> rows(pass, *model_, prompts, histories, how, samples, saved_);
    const KeepWeights keep(pass.backend, *model_);
    Results results(static_cast<std::size_t>(sequences), std::vector<Hypothesis>(static_cast<std::size_t>(samples)));
    struct Live {
      int sentence, sample;
      std::vector<int> history;

      int length() const { return static_cast<int>(history.size()); }
    };
    std::vector<Live> live;
    std::vector<int> parents;
    const auto prompt_length = [&](int s) { return static_cast<std::size_t>(histories.offsets().length(s)); };
    for (int s = 0; s < sequences; ++s)
      for (int i = 0; i < samples; ++i) {
        const auto prompt = histories.sequence(s);
        live.push_back({s, i, {prompt.begin(), prompt.end()}});
        parents.push_back(s);
      }
    rows.reorder(parents);

    std::vector<double> uniforms;
    while (!live.empty()) {
      const ArenaScope scope(pass.scratch);
      Turn turn;
      const auto limit = [&](const Live& one) { return how.limit(histories.offsets().length(one.sentence)); };
      const auto forced_for = [&](const Live& one) { return rows.forced(one.length(), prompt_length(one.sentence)); };
      for (const auto& one : live) turn.add(forced_for(one), one.length(), limit(one));
      std::span<const int> tokens;
      if (turn.decodes()) {
        rows.clear();
        uniforms.clear();
        for (const auto& one : live) {
          rows.push(one.history, prompt_length(one.sentence));
          if (how.do_sample)
            uniforms.push_back(uniform(how.seed, histories.place().first_sequence + one.sentence,
                                       first_sample + one.sample, one.length()));
        }
        rows.decode();
      }
      if (turn.chooses) {
        rows.penalize();
        rows.rule_out();
        tokens = how.do_sample ? rows.sample({how.temperature, how.top_k, how.top_p, how.min_p}, uniforms)
                               : rows.likeliest(1);
        // Nothing was chosen: the rules exclude all tokens, or a logit is NaN or +inf, for which this throws.
        if (std::find(tokens.begin(), tokens.end(), -1) != tokens.end()) rows.log_sum_exp();
      }

      parents.clear();
      for (std::size_t i = 0; i < live.size(); ++i) {
        auto& [sentence, sample, history] = live[i];
        const int length = live[i].length(), forced = forced_for(live[i]);
        const int token = forced >= 0 ? forced : tokens[i];
        const bool ends = how.ends(token) || token < 0;  // -1: the rules leave nothing
        if (!ends) history.push_back(token);
        const bool last = ends || length + 1 == limit(live[i]);
        const auto ids = std::span<const int>(history).subspan(prompt_length(sentence));
        if (!watch(GrownResult{sentence, sample, ids, ends ? token : -1, last}) || last) {
          auto& result = results[static_cast<std::size_t>(sentence)][static_cast<std::size_t>(sample)];
          result.ids.assign(ids.begin(), ids.end());
          result.end = ends ? token : -1;
          continue;
        }
        if (parents.size() != i) live[parents.size()] = std::move(live[i]);
        parents.push_back(static_cast<int>(i));
      }
      const bool some_left = parents.size() < live.size();
      live.erase(live.begin() + std::ssize(parents), live.end());
      if (some_left && !live.empty()) rows.reorder(parents);
    }
    return results;
  }

  /// A number in [0, 1) that depends only on the arguments.
  static double uniform(std::uint64_t seed, int sentence, int sample, int length) {
    static constexpr auto site = name_hash("sample");
    const RandomKey key{seed, static_cast<std::uint32_t>(length), site};
    const auto words = key.words(static_cast<std::uint32_t>(sentence), static_cast<std::uint32_t>(sample));
    return unit_interval(words[0]) +
           unit_interval(words[1] >> 11 << 11) * 0x1p-32;  // 53 bits, so that 1 is not reached
  }

  const Model* model_;
  PassMemory<B> memory_;
  typename Model::Saved saved_;
};

}  // namespace neural_attention
