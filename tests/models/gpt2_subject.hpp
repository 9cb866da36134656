// GPT-2 of tests/golden/gpt2, its batch, and the prompts of the searches that were made of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/golden_subject.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/io/gpt2_config_json.hpp"
#include "neural_attention/models/gpt2.hpp"

namespace golden {

template <class B, class P>
class Gpt2Subject : public GoldenSubject<na::Gpt2<B, P>> {
  using Base = GoldenSubject<na::Gpt2<B, P>>;
  using Base::keep;
  using Base::keep_logits;

 public:
  using Base::about;
  using Base::batch;
  using Base::load;
  using Base::memory;
  using Base::model;
  using Base::saved;
  static constexpr const char* family = "gpt2";
  static constexpr const char* key = "k_proj.";  ///< part of the names of key projections

  Gpt2Subject(const std::string& preset, File& goldens, int number = 1,
              na::Precision precision = na::Precision::Float32)
      : Base("gpt2/" + preset, number, precision, "resid_pdrop",
             [](const nlohmann::json& json, const std::string& path) { return na::io::gpt2_config(json, path); }) {
    load(goldens);
    for (const auto& text : goldens.sequences("input.ids", "input.offsets")) batch.push(text);
  }

  int attentions() const { return model.config().n_layer; }

  std::vector<std::vector<int>> prompts() const { return about.at("prompts"); }

  void forward(Results& results) {
    const auto pass = memory.begin_training();
    model.check(batch);
    const auto states = model.decode(pass, batch, saved);
    keep(results, "output.embedding", saved.body.layers.input);
    keep(results, "output.layer.", pass, model.body().layers(), saved.body.layers);
    keep(results, "output.states", states);
    keep_logits(results, pass, states);
  }
};

/// Calls check.operator()<P>(preset) for every committed model, with the projections of its config as types.
template <class Check>
void each_gpt2_preset(Check&& check) {
  using na::GatedSilu, na::Linear, na::Neural, na::PlainNeural, na::Projections;
  check.template operator()<na::LinearProjections>("linear");
  check.template operator()<na::LinearProjections>("linear_without_bias");
  check.template operator()<na::LinearProjections>("value_residual");
  check.template operator()<na::published::karbevski2026_query>("nonlinear_query");
  check.template operator()<Projections<GatedSilu, GatedSilu, Linear, GatedSilu>>("gated");
  check.template operator()<Projections<PlainNeural, PlainNeural, PlainNeural, PlainNeural>>("plain_neural");
  check.template operator()<Projections<PlainNeural, Neural, Linear, PlainNeural>>("plain_neural_without_bias");
}

}  // namespace golden
