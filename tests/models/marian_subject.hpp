// Marian of tests/golden/marian, its batch, and the searches that were made of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/golden_searches.hpp"
#include "models/golden_subject.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/models/marian.hpp"

namespace golden {

template <class B, class P>
class MarianSubject : public GoldenSubject<na::Marian<B, P>> {
  using Base = GoldenSubject<na::Marian<B, P>>;
  using Base::keep;
  using Base::keep_logits;

 public:
  using Base::about;
  using Base::batch;
  using Base::load;
  using Base::memory;
  using Base::model;
  using Base::saved;
  static constexpr const char* family = "marian";
  static constexpr const char* key = "k_proj.";  ///< part of the names of key projections

  MarianSubject(const std::string& preset, File& goldens, int number = 1,
                na::Precision precision = na::Precision::Float32)
      : Base("marian/" + preset, number, precision, "dropout",
             [](const nlohmann::json& json, const std::string& path) { return na::io::marian_config(json, path); }) {
    BOOST_REQUIRE(about.at("config").at("decoder_start_token_id") == model.config().pad_token_id);
    load(goldens);
    sources = goldens.sequences("input.source_ids", "input.source_offsets");
    const auto targets = goldens.sequences("input.target_ids", "input.target_offsets");
    BOOST_REQUIRE(sources.size() == targets.size());
    BOOST_REQUIRE(!sources.empty());
    for (std::size_t i = 0; i < sources.size(); ++i) batch.push(sources[i], targets[i]);
  }

  int attentions() const {
    const auto& config = model.config();
    return config.encoder_layers + 2 * config.decoder_layers;
  }

  void forward(Results& results) {
    const auto pass = memory.begin_training();
    model.check(batch);
    const auto encoded = model.encode(pass, batch, saved);
    const auto decoded = model.decode(pass, batch, encoded, saved);
    keep(results, "output.encoder_embedding", saved.body.encoder.input);
    keep(results, "output.decoder_embedding", saved.body.decoder.input);
    keep(results, "output.encoder_layer.", pass, model.body().encoder(), saved.body.encoder);
    keep(results, "output.decoder_layer.", pass, model.body().decoder(), saved.body.decoder);
    keep(results, "output.encoder", encoded);
    keep(results, "output.decoder", decoded);
    keep_logits(results, pass, decoded);
  }

  std::vector<std::vector<int>> sources;
};

/// Calls check.operator()<P>(preset) for every committed model, with the projections of its config as types.
template <class Check>
void each_marian_preset(Check&& check) {
  using na::Linear, na::Neural, na::PlainNeural, na::Projections;
  check.template operator()<na::LinearProjections>("linear");
  check.template operator()<na::paper::marian>("paper_marian");
  check.template operator()<na::paper::marian>("pre_norm");
  check.template operator()<na::paper::marian>("value_residual");
  check.template operator()<na::paper::marian_baseline>("paper_marian_baseline");
  check.template operator()<Projections<PlainNeural, PlainNeural, PlainNeural, PlainNeural>>("plain_neural");
  check.template operator()<Projections<Linear, Neural, PlainNeural, Neural>>("mixed");
  using Residual = na::Projections<na::ResidualNeural, na::ResidualNeural, na::ResidualNeural, na::ResidualNeural>;
  check.template operator()<Residual>("residual");
}

}  // namespace golden
