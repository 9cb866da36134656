// Where training drops numbers, and how many: the rate at each place of each model, by its config, as in Hugging Face's
// code.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_dropout_rates
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <map>
#include <string>

#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace neural_attention;

namespace {

using Rates = std::map<std::string, double>;

/// Notes the mask of each operation that has one.
class Noting : public Cpu<float> {
  using Base = Cpu<float>;

 public:
  using Base::Base;

  template <ops::OperationOf<float> Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    if constexpr (requires { op.mask.key.site; })
      if (op.mask) {
        const auto [noted, first] = rates.emplace(op.mask.key.site, op.mask.rate);
        BOOST_TEST((first || noted->second == op.mask.rate), "one place has two rates");
      }
    return Base::operator()(op);
  }

  std::map<std::uint32_t, double> rates;
};

/// The rates of a training step; a place that `expected` does not have is named by its number.
template <class Model>
Rates rates_of(const typename Model::Config& config, const auto& batch, const Rates& expected) {
  Noting backend(1);
  Model model(backend, config, 1);
  PassMemory<Noting> memory(backend);
  typename Model::Saved saved;
  StepOutcome sums;
  model.loss_and_gradient(memory.begin_training(), batch, 0.0, 1.0, Into::Write, &sums, saved);
  Rates found;
  for (const auto& [site, rate] : backend.rates) {
    auto name = std::to_string(site);
    for (const auto& one : expected)
      if (name_hash(one.first) == site) name = one.first;
    found[name] = rate;
  }
  return found;
}

template <class Model>
void check(typename Model::Config config, const auto& batch, const Rates& expected) {
  for (const bool checkpointing : {false, true}) {
    config.gradient_checkpointing = checkpointing;
    const auto found = rates_of<Model>(config, batch, expected);
    for (const auto& [name, rate] : expected) {
      BOOST_TEST(found.count(name) == 1u, name << " drops nothing");
      if (found.count(name) == 1) BOOST_TEST(found.at(name) == rate, name << " has the rate " << found.at(name));
    }
    BOOST_TEST(found.size() == expected.size(), "more places drop");
  }
}

/// What each of two layers has, under `prefix`, its number and these names.
void add_layers(Rates& rates, const std::string& prefix, const Rates& of_layer) {
  for (const char* layer : {"0.", "1."})
    for (const auto& [name, rate] : of_layer) rates[prefix + layer + name] = rate;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rates)

BOOST_AUTO_TEST_CASE(of_marian) {
  auto config = tiny::config(2);
  config.dropout = 0.1;
  config.attention_dropout = 0.2;
  config.activation_dropout = 0.3;
  Rates expected = {{"model.encoder.dropout", 0.1}, {"model.decoder.dropout", 0.1}};
  Rates of_layer = {{"self_attn.dropout", 0.2},
                    {"self_attn_layer_norm.dropout", 0.1},
                    {"activation_dropout", 0.3},
                    {"final_layer_norm.dropout", 0.1}};
  add_layers(expected, "model.encoder.layers.", of_layer);
  of_layer["encoder_attn.dropout"] = 0.2;
  of_layer["encoder_attn_layer_norm.dropout"] = 0.1;
  add_layers(expected, "model.decoder.layers.", of_layer);
  for (const bool pre_norm : {false, true}) {
    config.normalize_before = pre_norm;
    check<Marian<Noting, LinearProjections>>(config, tiny::batch(tiny::pairs()), expected);
  }
}

BOOST_AUTO_TEST_CASE(of_roberta) {
  auto config = tiny::roberta_config(2);
  config.hidden_dropout_prob = 0.1;
  config.attention_probs_dropout_prob = 0.2;
  Rates expected = {{"roberta.embeddings.dropout", 0.1}};
  add_layers(expected, "roberta.encoder.layer.",
             {{"attention.self.dropout", 0.2},
              {"attention.output.LayerNorm.dropout", 0.1},
              {"output.LayerNorm.dropout", 0.1}});
  check<Roberta<Noting, LinearProjections>>(config, tiny::masked_batch(tiny::masked_sequences()), expected);
}

BOOST_AUTO_TEST_CASE(of_gpt2) {
  auto config = tiny::gpt2_config(2);
  config.resid_pdrop = 0.1;
  config.embd_pdrop = 0.2;
  config.attn_pdrop = 0.3;
  Rates expected = {{"transformer.drop", 0.2}};
  add_layers(expected, "transformer.h.", {{"attn.attn_dropout", 0.3}, {"ln_1.dropout", 0.1}, {"ln_2.dropout", 0.1}});
  check<Gpt2<Noting, LinearProjections>>(config, tiny::causal_batch(tiny::texts()), expected);
}

BOOST_AUTO_TEST_SUITE_END()
