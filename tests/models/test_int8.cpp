// Models for Int8Inference equal, bit by bit, models in float on a backend that rounds the weights of each operation
// when it meets them; their memory; and what cannot be done with them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_int8
#include <boost/test/unit_test.hpp>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "backend/int8_weights.hpp"
#include "io/model_tensors.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/attention/pattention.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "scratch.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;

/// Rounds the weights of all linear maps, and tables of `words` rows.
class Rounding : public B {
 public:
  using B::operator();

  explicit Rounding(int words) : B(2), words_(words) {}

  void operator()(const ops::Linear<B>& op) {
    const Weights weights(op.w);
    auto rounded = op;
    rounded.w = {};
    rounded.quantized = &weights.view;
    B::operator()(rounded);
  }
  void operator()(const ops::Embedding<B>& op) {
    if (op.table.rows != words_) return B::operator()(op);
    const Weights table(op.table);
    auto rounded = op;
    rounded.table = {};
    rounded.quantized = &table.view;
    B::operator()(rounded);
  }

 private:
  int words_;
};

template <class Model, class Batch>
LossSum loss(typename Model::Backend& backend, const Model& model, const Batch& batch) {
  PassMemory<typename Model::Backend> memory(backend);
  typename Model::Saved saved;
  return model.loss(memory.begin_inference(), batch, 0.1, saved);
}

/// A model that was written in float and is read as int8, and the same in float on a backend that rounds.
template <template <class, class> class ModelOf, class P, class Config>
struct Pair {
  explicit Pair(const Config& config)
      : rounding(config.vocab_size),
        backend(2),
        wanted(rounding, config, 3, Purpose::Inference),
        model(backend, config, std::nullopt, Purpose::Int8Inference) {
    fill_with_noise(rounding, wanted);
    io::save_model(folder.path.string(), rounding, wanted);
    io::load_model(folder.path.string(), backend, model);
  }

  template <class Batch>
  void require_same_loss(const Batch& batch) {
    const auto got = loss(backend, model, batch), want = loss(rounding, wanted, batch);
    BOOST_TEST(got.smoothed == want.smoothed);
    BOOST_TEST(got.negative_log_likelihood == want.negative_log_likelihood);
    BOOST_TEST(got.negative_log_likelihood > 0.0);
  }
  template <class Batch>
  void require_same_texts(const Batch& batch) {
    for (const int beams : {1, 3}) {
      auto how = generation_defaults(model.config());
      how.num_beams = beams;
      how.max_length = 8;
      Generator<ModelOf<B, P>> generate(backend, model);
      Generator<ModelOf<Rounding, P>> expect(rounding, wanted);
      const auto got = generate(batch, how), want = expect(batch, how);
      BOOST_TEST_REQUIRE(got.size() == want.size());
      for (std::size_t i = 0; i < want.size(); ++i) {
        BOOST_TEST(got[i].front().ids == want[i].front().ids, boost::test_tools::per_element());
        BOOST_TEST(got[i].front().score == want[i].front().score);
      }
    }
  }
  /// The names of what is held as integers.
  std::set<std::string> held() const {
    std::set<std::string> names;
    for (const auto& entry : model.parameters().entries())
      if (entry.quantized) names.insert(entry.name);
    return names;
  }

  Scratch folder;
  Rounding rounding;
  B backend;
  ModelOf<Rounding, P> wanted;
  ModelOf<B, P> model;
};

MarianConfig marian_config() {
  auto config = tiny::config(2, 8);
  config.vocab_size = 19;
  return config;
}

using Neuronal = Projections<Neural, Pattention, PlainNeural, Neural>;

}  // namespace

BOOST_AUTO_TEST_SUITE(int8_models)

BOOST_AUTO_TEST_CASE(marian_equals_one_whose_weights_are_rounded_on_the_way) {
  Pair<Marian, LinearProjections, MarianConfig> linear(marian_config());
  linear.require_same_loss(tiny::batch(tiny::pairs()));
  linear.require_same_texts(tiny::batch(tiny::pairs()));
  const auto held = linear.held();
  BOOST_TEST(held.size() == 1u + 2 * (4 + 2) + 2 * (8 + 2));
  BOOST_TEST(held.contains("model.shared.weight"));
  BOOST_TEST(held.contains("model.decoder.layers.1.encoder_attn.out_proj.weight"));
  BOOST_TEST(held.contains("model.encoder.layers.0.fc2.weight"));
  Pair<Marian, Neuronal, MarianConfig> neural(marian_config());
  neural.require_same_loss(tiny::batch(tiny::pairs()));
  neural.require_same_texts(tiny::batch(tiny::pairs()));
}

BOOST_AUTO_TEST_CASE(roberta_equals_one_whose_weights_are_rounded_on_the_way) {
  auto config = tiny::roberta_config(2);
  config.vocab_size = 13;
  Pair<Roberta, LinearProjections, RobertaConfig> pair(config);
  pair.require_same_loss(tiny::masked_batch(tiny::masked_sequences()));
  const auto held = pair.held();
  BOOST_TEST(held.size() == 1u + 2 * (4 + 2) + 1);
  BOOST_TEST(held.contains("lm_head.dense.weight"));
  BOOST_TEST(!held.contains("roberta.embeddings.position_embeddings.weight"));
}

// Its files have maps transposed and joined.
BOOST_AUTO_TEST_CASE(gpt2_equals_one_whose_weights_are_rounded_on_the_way) {
  auto config = tiny::gpt2_config();
  config.vocab_size = 13;
  Pair<Gpt2, LinearProjections, Gpt2Config> pair(config);
  pair.require_same_loss(tiny::causal_batch(tiny::texts()));
  PackedTokens prompts;
  for (const std::vector<int>& prompt : {std::vector{5, 8}, {3, 2, 1}}) prompts.push(prompt);
  pair.require_same_texts(prompts);
  BOOST_TEST(!pair.held().contains("transformer.wpe.weight"));
  BOOST_TEST(pair.held().contains("transformer.h.1.attn.c_attn.v_proj.weight"));
}

BOOST_AUTO_TEST_CASE(initial_values_are_rounded_too) {
  const auto config = marian_config();
  Rounding rounding(config.vocab_size);
  B backend(1);
  const Marian<Rounding, Neuronal> wanted(rounding, config, 7, Purpose::Inference);
  const Marian<B, Neuronal> model(backend, config, 7, Purpose::Int8Inference);
  const auto batch = tiny::batch(tiny::pairs());
  BOOST_TEST(loss(backend, model, batch).smoothed == loss(rounding, wanted, batch).smoothed);
}

BOOST_AUTO_TEST_CASE(threads_and_other_sentences_change_no_bit) {
  const auto config = marian_config();
  B one(1), seven(7);
  const Marian<B, Neuronal> model(one, config, 7, Purpose::Int8Inference);
  const auto all = tiny::batch(tiny::pairs());
  BOOST_TEST(loss(one, model, all).smoothed == loss(seven, model, all).smoothed);
  auto how = generation_defaults(config);
  how.num_beams = 2;
  how.max_length = 8;
  Generator generate(one, model), shared(seven, model);
  const auto together = generate(all, how), again = shared(all, how);
  for (std::size_t i = 0; i < together.size(); ++i) {
    const auto alone = generate(tiny::batch(tiny::pairs(), i, 1), how);
    BOOST_TEST(alone.front().front().score == together[i].front().score);
    BOOST_TEST(again[i].front().score == together[i].front().score);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(refused)

BOOST_AUTO_TEST_CASE(backends_without_int8) {
  Cpu<double> backend(1);
  using Model = Marian<Cpu<double>, LinearProjections>;
  BOOST_CHECK_EXCEPTION(Model(backend, marian_config(), 3, Purpose::Int8Inference), ConfigError, says("Cpu<float>"));
}

BOOST_AUTO_TEST_CASE(float_values_of_what_has_none) {
  B backend(1);
  Marian<B, LinearProjections> model(backend, marian_config(), 3, Purpose::Int8Inference);
  const auto& store = model.parameters();
  BOOST_CHECK_EXCEPTION(store.value(*store.find("model.shared.weight")), ConfigError,
                        says({"model.shared.weight", "int8"}));
  BOOST_CHECK_EXCEPTION(store.require_gradients(), ConfigError, says("inference"));
  const Scratch folder;
  BOOST_CHECK_EXCEPTION(io::save_parameters((folder.path / "x.safetensors").string(), backend, store), ConfigError,
                        says("int8"));
  // A module that passes on no more than the value.
  std::vector<float> x(8), y(8);
  BOOST_CHECK_EXCEPTION(backend(ops::Linear<B>{.x = {x.data(), 1, 8}, .w = {}, .y = {y.data(), 1, 8}}), ConfigError,
                        says("quantized"));
}

BOOST_AUTO_TEST_CASE(numbers_that_are_not_finite) {
  B backend(1);
  const Scratch folder;
  Marian<B, LinearProjections> saved(backend, marian_config(), 3, Purpose::Inference);
  const auto& store = saved.parameters();
  const auto row = store.value(*store.find("model.encoder.layers.1.fc1.weight")).slice(2, 1);
  backend(ops::Fill<B>{.x = row, .value = std::numeric_limits<float>::infinity()});
  io::save_model(folder.path.string(), backend, saved);
  Marian<B, LinearProjections> model(backend, marian_config(), std::nullopt, Purpose::Int8Inference);
  BOOST_CHECK_EXCEPTION(io::load_model(folder.path.string(), backend, model), FileError,
                        says({"model.safetensors", "row 2 of model.encoder.layers.1.fc1.weight", "not finite"}));
}

BOOST_AUTO_TEST_CASE(parameters_that_begin_anew) {
  B backend(1);
  const Scratch folder;
  const Marian<B, LinearProjections> saved(backend, marian_config(), 3, Purpose::Inference);
  io::save_model(folder.path.string(), backend, saved);
  Marian<B, LinearProjections> model(backend, marian_config(), std::nullopt, Purpose::Int8Inference);
  for (const io::LoadOptions& how :
       {io::LoadOptions{.projections = io::LoadOptions::Projections::Warm}, io::LoadOptions{.reinitialise = {"*"}}})
    BOOST_CHECK_EXCEPTION(io::load_model(folder.path.string(), backend, model, how), ConfigError, says("int8"));
}

BOOST_AUTO_TEST_SUITE_END()
