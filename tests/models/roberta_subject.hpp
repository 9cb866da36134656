// RoBERTa of tests/golden/roberta, and its batch.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/golden_subject.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/models/roberta.hpp"

namespace golden {

template <class B, class P>
class RobertaSubject : public GoldenSubject<na::Roberta<B, P>> {
  using Base = GoldenSubject<na::Roberta<B, P>>;
  using Base::keep;
  using Base::keep_logits;

 public:
  using Base::about;
  using Base::batch;
  using Base::load;
  using Base::memory;
  using Base::model;
  using Base::saved;
  static constexpr const char* family = "roberta";
  static constexpr const char* key = "self.key.";  ///< part of the names of key projections

  RobertaSubject(const std::string& preset, File& goldens, int number = 1,
                 na::Precision precision = na::Precision::Float32)
      : Base("roberta/" + preset, number, precision, "hidden_dropout_prob",
             [](const nlohmann::json& json, const std::string& path) { return na::io::roberta_config(json, path); }) {
    load(goldens);
    const auto sequences = goldens.sequences("input.ids", "input.offsets");
    const auto rows = goldens.read<int>("input.masked_rows"), labels = goldens.read<int>("input.labels");
    BOOST_REQUIRE(rows.size() == labels.size());
    std::vector<int> places, originals;
    std::size_t next = 0;
    int first = 0;
    for (const auto& ids : sequences) {
      places.clear();
      originals.clear();
      const int end = first + static_cast<int>(ids.size());
      for (; next < rows.size() && rows[next] < end; ++next) {
        places.push_back(rows[next] - first);
        originals.push_back(labels[next]);
      }
      batch.push(ids, places, originals);
      first = end;
    }
    BOOST_REQUIRE(batch.labels.size() == labels.size());
  }

  int attentions() const { return model.config().num_hidden_layers; }

  void forward(Results& results) {
    const auto pass = memory.begin_training();
    model.check(batch);
    const auto hidden = model.encode(pass, batch, saved);
    keep(results, "output.embedding", saved.body.layers.input);
    keep(results, "output.layer.", pass, model.body().layers(), saved.body.layers);
    const auto states = model.masked_states(pass, hidden, batch, saved);
    keep(results, "output.masked_states", states);
    keep_logits(results, pass, states);
  }
};

/// Calls check.operator()<P>(preset) for every committed model, with the projections of its config as types.
template <class Check>
void each_roberta_preset(Check&& check) {
  using na::Linear, na::Neural, na::PlainNeural, na::Projections;
  check.template operator()<na::LinearProjections>("linear");
  check.template operator()<na::paper::roberta>("paper_roberta");
  check.template operator()<na::paper::roberta>("pre_norm");
  check.template operator()<na::paper::roberta>("value_residual");
  check.template operator()<na::LinearProjections>("fixed_value_residual");
  check.template operator()<Projections<Neural, Neural, Neural, Neural>>("neural");
  check.template operator()<Projections<Linear, Neural, PlainNeural, na::ResidualNeural>>("mixed");
  check.template operator()<Projections<PlainNeural, PlainNeural, PlainNeural, PlainNeural>>("plain");
}

}  // namespace golden
