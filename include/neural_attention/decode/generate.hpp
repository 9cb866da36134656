// Generator: translations of a batch as Hugging Face's generate finds them: greedily, by beam search, or drawn at
// random. Sources are encoded once; all live rows (sentences, beams or samples) go through the decoder together with
// cached keys and values, and a sentence that is done leaves with all its rows.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/decode/beam_search.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/decode/live_rows.hpp"

namespace neural_attention {

/// While it lives, the backend may keep what it makes of the weights of linear maps, which do not change.
template <class B>
class KeepWeights {
 public:
  explicit KeepWeights(B& backend) : backend_(backend) { backend_.keep_weights(true); }
  KeepWeights(const KeepWeights&) = delete;
  KeepWeights& operator=(const KeepWeights&) = delete;
  ~KeepWeights() { backend_.keep_weights(false); }

 private:
  B& backend_;
};

/// Serves one thread at a time. Several generators may use one const model at once, each with a backend of its own.
template <class Model>
class Generator {
 public:
  using B = typename Model::Backend;
  using Results = std::vector<std::vector<Hypothesis>>;

  Generator(B& backend, const Model& model) : model_(&model), memory_(backend) {}

  /// num_return_sequences results of each sentence, or fewer, but at least one, where the rules leave no more: those of
  /// a beam search with the best first, samples in the order of their draws. A result to which the rules leave no token
  /// ends there. `batch` needs sources only. Throws ConfigError where `how`
  /// makes no sense, ShapeError where the batch does not fit the model, and NumericError where the model's output is
  /// not finite.
  Results operator()(const TranslationBatch& batch, const GenerationConfig& how) {
    const auto config = resolved(how, model_->config());
    model_->check(batch);
    for (int s = 0; s < batch.sentences(); ++s)
      if (batch.source.offsets().length(s) == 0)
        throw ShapeError("source sentence " + std::to_string(s) + " of a batch has no tokens");
    if (batch.sentences() == 0) return {};
    check_rows(batch.sentences(), config);
    return config.num_beams > 1 ? search(batch, config) : extend(batch, config);
  }

 private:
  /// Throws ConfigError where there are more rows and tokens than caches can count.
  void check_rows(int sentences, const GenerationConfig& how) const {
    const auto& config = model_->config();
    const int rows = how.num_beams > 1 ? how.num_beams : how.num_return_sequences;
    const auto bytes =
        sizes::product(2 * sizeof(typename B::Scalar), sizes::product(config.decoder_layers, config.d_model));
    sizes::checked("decoding " + std::to_string(sentences) + (sentences == 1 ? " sentence" : " sentences together") +
                       " with " + std::to_string(rows) + " beams or samples each",
                   sizes::product(sizes::product(sentences, rows), how.max_length), "tokens to remember", bytes);
  }

  Results search(const TranslationBatch& batch, const GenerationConfig& how) {
    const auto pass = memory_.begin(false);
    LiveRows<Model> rows(pass, *model_, batch, how, how.num_beams, saved_);
    const KeepWeights keep(pass.backend);  // the encoder has used its own once
    Results results(static_cast<std::size_t>(batch.sentences()));
    struct Live {
      std::size_t sentence;
      BeamSearch beams;
    };
    std::vector<Live> live;
    for (std::size_t s = 0; s < results.size(); ++s) live.push_back({s, BeamSearch(how)});
    std::vector<BeamCandidate> candidates;
    std::vector<int> parents;
    const auto wanted = static_cast<std::size_t>(std::min(BeamSearch::wanted(how), model_->config().vocab_size));

    for (int length = 1; length < how.max_length && !live.empty(); ++length) {
      const ArenaScope scope(pass.scratch);
      // At first all beams of a sentence are alike and share one row.
      const auto rows_of = [&](const BeamSearch& beams) { return length == 1 ? 1 : beams.beams().size(); };
      const int forced = rows.forced(length);
      std::span<const double> log_sums;
      std::span<const int> tokens;
      if (forced < 0 || length + 1 < how.max_length) {
        rows.clear();
        for (const auto& [sentence, beams] : live)
          for (const auto& beam : beams.beams().first(rows_of(beams))) rows.push(beam.history);
        rows.decode();  // behind a forced token as well: later ones look back at all
      }
      if (forced < 0) {
        if (!how.renormalize_logits) log_sums = rows.log_sum_exp();
        rows.rule_out();
        if (how.renormalize_logits) log_sums = rows.log_sum_exp();
        tokens = rows.likeliest(static_cast<int>(wanted));
      }

      parents.clear();
      std::size_t first_row = 0, kept = 0;
      for (std::size_t i = 0; i < live.size(); ++i) {
        auto& beams = live[i].beams;
        const auto count = rows_of(beams);
        const auto row_of = [&](std::size_t beam) { return first_row + std::min(beam, count - 1); };
        candidates.clear();
        for (std::size_t b = 0; b < beams.beams().size(); ++b) {
          // At first the other beams are copies of the first, which rank behind all that it offers.
          if (length == 1 && std::ssize(candidates) >= BeamSearch::wanted(how)) break;
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
        beams.advance(candidates);
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
  Results extend(const TranslationBatch& batch, const GenerationConfig& how) {
    const int samples = how.num_return_sequences;
    const auto pass = memory_.begin(false);
    LiveRows<Model> rows(pass, *model_, batch, how, samples, saved_);
    const KeepWeights keep(pass.backend);
    Results results(static_cast<std::size_t>(batch.sentences()),
                    std::vector<Hypothesis>(static_cast<std::size_t>(samples)));
    struct Live {
      int sentence, sample;
      std::vector<int> history;
    };
    std::vector<Live> live;
    std::vector<int> parents;
    for (int s = 0; s < batch.sentences(); ++s)
      for (int i = 0; i < samples; ++i) {
        live.push_back({s, i, {how.decoder_start_token_id}});
        parents.push_back(s);
      }
    rows.reorder(parents);

    std::vector<double> uniforms;
    for (int length = 1; length < how.max_length && !live.empty(); ++length) {
      const ArenaScope scope(pass.scratch);
      const int forced = rows.forced(length);
      std::span<const int> tokens;
      if (forced < 0 || length + 1 < how.max_length) {
        rows.clear();
        uniforms.clear();
        for (const auto& one : live) {
          rows.push(one.history);
          if (how.do_sample)
            uniforms.push_back(
                uniform(how.seed, batch.source.place().first_sequence + one.sentence, one.sample, length));
        }
        rows.decode();
      }
      if (forced < 0) {
        rows.rule_out();
        tokens = how.do_sample ? rows.sample({how.temperature, how.top_k, how.top_p, how.min_p}, uniforms)
                               : rows.likeliest(1);
        // Nothing was chosen: the rules leave nothing, or a logit is NaN or +inf, for which this throws.
        if (std::find(tokens.begin(), tokens.end(), -1) != tokens.end()) rows.log_sum_exp();
      }

      parents.clear();
      for (std::size_t i = 0; i < live.size(); ++i) {
        auto& [sentence, sample, history] = live[i];
        const int token = forced >= 0 ? forced : tokens[i];
        const bool ends = how.ends(token) || token < 0;  // -1: the rules leave nothing
        if (!ends) history.push_back(token);
        if (ends || length + 1 == how.max_length) {
          auto& result = results[static_cast<std::size_t>(sentence)][static_cast<std::size_t>(sample)];
          result.ids.assign(history.begin() + 1, history.end());
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

  /// In [0, 1), a function of its arguments.
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
