// What the tests of decoding share: a tiny model whose sentences end now and then, and sources of many lengths.
#pragma once

#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/decode/generate.hpp"

namespace decoding {

namespace na = neural_attention;

using Ids = std::vector<int>;
using Sentences = std::vector<Ids>;

inline constexpr int eos = 0;
inline constexpr int positions = 24;

inline na::MarianConfig config(int vocabulary, bool pre_norm = false, const na::AttentionOptions& attention = {}) {
  auto result = tiny::config(2, 16, 0.3);  // of training alone: decoding drops nothing
  result.attention = attention;
  result.normalize_before = pre_norm;
  result.vocab_size = vocabulary;
  result.pad_token_id = vocabulary - 1;
  result.encoder_ffn_dim = result.decoder_ffn_dim = 24;
  result.max_position_embeddings = positions;
  return result;
}

inline na::TranslationBatch batch_of(const Sentences& sources, int pad) {
  na::TranslationBatch batch(pad);
  for (const auto& source : sources) batch.push(source, {});
  return batch;
}

template <class BackendType, class P>
struct Subject {
  using B = BackendType;
  using Model = na::Marian<B, P>;

  /// `end` is added to the logit of the end token: some sentences shall reach it and others not.
  explicit Subject(std::uint64_t seed, int vocabulary = 31, double end = 1.6, bool pre_norm = false,
                   const na::AttentionOptions& attention = {})
      : model(backend, config(vocabulary, pre_norm, attention), seed, na::Purpose::Inference) {
    na::RandomStream random({seed, 7, 7});
    for (int id = 0; id < vocabulary; ++id) set_bias(id, 0.3 * random.normal() + (id == eos ? end : 0.0));
  }

  int vocabulary() const { return model.config().vocab_size; }
  int pad() const { return model.config().pad_token_id; }
  void set_bias(int id, double value) {
    const auto& bias = *model.parameters().find("final_logits_bias");
    backend(na::ops::FillOf<typename B::Real>{.x = model.parameters().value(bias).columns(id, 1),
                                              .value = static_cast<typename B::Real>(value)});
  }

  std::vector<std::vector<na::Hypothesis>> generate(const Sentences& sources, const na::GenerationConfig& how) {
    na::Generator<Model> generator(backend, model);
    return generator(batch_of(sources, pad()), how);
  }

  /// Logits of what follows `history` (the start token and what was chosen so far), from the whole decoder without a
  /// cache.
  std::vector<double> logits_after(const Ids& source, const Ids& history) {
    auto target = Ids(history.begin() + 1, history.end());
    target.push_back(eos);  // what the newest position should predict; not read
    na::TranslationBatch batch(history.front());
    batch.push(source, target);
    const auto pass = memory.begin_inference();
    const auto hidden = model.decode(pass, batch, model.encode(pass, batch, saved), saved);
    const auto logits = pass.scratch.rows(1, vocabulary());
    model.logits(pass, hidden.slice(hidden.rows - 1, 1), logits);
    std::vector<typename B::Scalar> host(static_cast<std::size_t>(vocabulary()));
    backend(na::ops::Download<B>{.x = logits, .values = host});
    return {host.begin(), host.end()};
  }

  B backend{1};
  Model model;
  na::PassMemory<B> memory{backend};
  typename Model::Saved saved;
};

/// `count` sources, from the end token alone to as long as the model allows.
inline Sentences sources(int vocabulary, int count = 10) {
  constexpr int lengths[] = {5, 0, positions - 1, 1, 9, 14, 2, 7, 3, 11};
  na::RandomStream random({21, 0, 0});
  Sentences result;
  for (int s = 0; s < count; ++s) {
    Ids ids;
    for (int i = 0; i < lengths[s % 10]; ++i)
      ids.push_back(1 + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 2))));
    ids.push_back(eos);
    result.push_back(ids);
  }
  return result;
}

}  // namespace decoding
