// Models of one's own from the library's parts: a causal language model and a classifier of sequences. Their gradients
// are right, they learn, a directory keeps them, and neither touches a body.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_own_models
#include <boost/test/unit_test.hpp>
#include <span>
#include <string>
#include <vector>

#include "models/causal_lm.hpp"
#include "models/model_gradients.hpp"
#include "models/sequence_classifier.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/save_model.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/testing/poisoned.hpp"
#include "neural_attention/train/training_step.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using own::CausalLm, own::CausalLmConfig, own::ClassifierConfig, own::LabelledBatch, own::SequenceClassifier;

namespace {

using Causal = CausalLm<Cpu<float>, paper::marian>;
using Classifier = SequenceClassifier<Cpu<float>, LinearProjections>;

static_assert(Trainable<Causal, CausalBatch> && Stored<Causal> && Decodable<Causal> && !FillsMasks<Causal>);
static_assert(Trainable<Classifier, LabelledBatch> && Stored<Classifier> && !Decodable<Classifier>);
static_assert(!Trainable<Classifier, MaskedBatch> && !Trainable<Causal, LabelledBatch>);

CausalLmConfig causal_config(int width = 16, double dropout = 0.0) {
  CausalLmConfig config;
  config.vocab_size = 11;
  config.d_model = width;
  config.heads = 2;
  config.d_ff = width + 2;
  config.max_position_embeddings = 12;
  config.dropout = dropout;
  config.init_std = 0.3;
  return config;
}

ClassifierConfig classifier_config(int width = 16, double dropout = 0.0) {
  ClassifierConfig config;
  config.vocab_size = 11;
  config.hidden_size = width;
  config.num_hidden_layers = config.num_attention_heads = 2;
  config.intermediate_size = width + 2;
  config.max_position_embeddings = 14;
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout;
  config.initializer_range = 0.3;
  config.num_labels = 3;
  return config;
}

/// Sequence `number`, of random tokens.
std::vector<int> random_ids(std::uint32_t number) {
  RandomStream random({5, number, 0});
  std::vector<int> ids(2 + random.below(9));
  for (auto& id : ids) id = 2 + static_cast<int>(random.below(9));
  return ids;
}

CausalBatch causal_batch(int count) {
  CausalBatch batch;
  for (int s = 0; s < count; ++s) batch.push(random_ids(static_cast<std::uint32_t>(s)));
  return batch;
}

LabelledBatch labelled_batch(int count) {
  LabelledBatch batch(1);
  for (int s = 0; s < count; ++s) batch.push(random_ids(static_cast<std::uint32_t>(s)), s % 3);
  return batch;
}

template <template <class, class> class Model, class P>
void check_gradients(const auto& config, const auto& batch, double smoothing, const char* key_bias) {
  using B = Poisoned<Cpu<double>>;
  B backend(1);
  Model<B, P> model(backend, config, 1);
  GradientOptions options;
  options.zero = {key_bias};
  const auto report = check_model_loss(backend, model, batch, smoothing, options);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 2u + 2u * 16u);
}

/// Losses of the first and the last of `steps` steps on one batch.
template <class Model, class Batch>
std::pair<double, double> train(Cpu<float>& backend, Model& model, Batch batch, int steps) {
  StepOptions options;
  options.learning_rate = 3e-3;
  TrainingStep<Model> step(backend, model, options, {});
  std::pair<double, double> losses;
  for (int i = 0; i < steps; ++i) {
    const auto result = step.run(std::span(&batch, 1));
    losses.second = result.loss.negative_log_likelihood / double(result.loss.tokens);
    if (i == 0) losses.first = losses.second;
  }
  return losses;
}

/// Trains a model a little, saves it and reads it again.
template <class Model>
Model saved_and_loaded(Cpu<float>& backend, const Model& model) {
  const Scratch scratch;
  const auto folder = scratch.path.string();
  io::save_model(folder, backend, model);
  const auto config = io::load_config<typename Model::Config>(folder + "/config.json");
  io::check_model_files<Model>(folder, config);
  Model loaded(backend, config, std::nullopt, Purpose::Inference);
  const auto report = io::load_model(folder, backend, loaded);
  BOOST_TEST(report.loaded.size() == model.parameters().entries().size());
  BOOST_TEST(tiny::values(backend, loaded.parameters()) == tiny::values(backend, model.parameters()));
  return loaded;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(causal_lm)

BOOST_AUTO_TEST_CASE(has_right_gradients) {
  check_gradients<CausalLm, LinearProjections>(causal_config(4), causal_batch(3), 0.1, "*k_proj.bias");
  check_gradients<CausalLm, paper::marian>(causal_config(4, 0.1), causal_batch(3), 0.0, "*k_proj.3.bias");
}

BOOST_AUTO_TEST_CASE(learns_and_says_what_it_learnt) {
  Cpu<float> backend(1);
  Causal model(backend, causal_config(32), 1);
  const auto batch = causal_batch(4);
  const auto [first, last] = train(backend, model, batch, 150);
  BOOST_TEST(first > 1.8);
  BOOST_TEST(last < 0.4);  // the first tokens of the sequences leave some doubt

  const auto loaded = saved_and_loaded(backend, model);
  Generator<Causal> generate(backend, loaded);
  auto how = generation_defaults(loaded.config());
  how.forced_eos_token_id = -1;
  for (std::uint32_t s = 0; s < 4; ++s) {
    const auto ids = random_ids(s);
    if (ids.size() < 4) continue;
    PackedTokens prompts;
    prompts.push(std::span(ids).first(2));
    how.max_length = static_cast<int>(ids.size());
    const auto results = generate(prompts, how);
    BOOST_TEST(results.at(0).at(0).ids == std::vector<int>(ids.begin() + 2, ids.end()),
               boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(refuses_what_does_not_fit) {
  Cpu<float> backend(1);
  const Causal model(backend, causal_config(), 1);
  Causal::Saved saved;
  PassMemory<Cpu<float>> memory(backend);
  const auto pass = memory.begin_inference();
  const auto refused = [&](const CausalBatch& batch, const std::string& message) {
    BOOST_CHECK_EXCEPTION(model.loss(pass, batch, 0.0, saved), ShapeError,
                          [&](const ShapeError& error) { return error.what() == message; });
  };
  CausalBatch batch;
  batch.push(std::vector<int>(14, 2));
  refused(batch, "a sequence of 13 tokens is longer than the model's 12 positions");
  batch.clear();
  batch.push(std::vector{2, 11});
  refused(batch, "a target token has the id 11, but the model's vocabulary has 11 entries");
  batch.labels.clear();
  refused(batch, "a batch has 0 labels for 1 tokens: each token needs one");
}

BOOST_AUTO_TEST_CASE(is_one_of_the_models_of_a_program) {
  Cpu<float> backend(1);
  using Linears = CausalLm<Cpu<float>, LinearProjections>;
  const AnyModel<Causal, Linears> any(backend, causal_config(), 1);
  BOOST_TEST(any.get<Linears>() != nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(classifier)

BOOST_AUTO_TEST_CASE(has_right_gradients) {
  check_gradients<SequenceClassifier, LinearProjections>(classifier_config(4), labelled_batch(3), 0.1,
                                                         "*self.key.bias");
  check_gradients<SequenceClassifier, paper::roberta>(classifier_config(4, 0.1), labelled_batch(3), 0.0,
                                                      "*self.key.2.bias");
}

BOOST_AUTO_TEST_CASE(learns_and_is_kept) {
  Cpu<float> backend(1);
  Classifier model(backend, classifier_config(), 1);
  const auto batch = labelled_batch(9);
  const auto [first, last] = train(backend, model, batch, 100);
  BOOST_TEST(first > 0.9);
  BOOST_TEST(last < 0.1);

  const auto loaded = saved_and_loaded(backend, model);
  BOOST_TEST(loaded.parameters().find("classifier.out_proj.weight") != nullptr);
  BOOST_TEST(loaded.parameters().find("roberta.encoder.layer.1.output.LayerNorm.bias") != nullptr);
  Classifier::Saved saved;
  PassMemory<Cpu<float>> memory(backend);
  BOOST_TEST(loaded.loss(memory.begin_inference(), batch, 0.0, saved).negative_log_likelihood < 0.9);
  auto wrong = batch;
  wrong.labels.front() = 3;
  BOOST_CHECK_EXCEPTION(loaded.check(wrong), ShapeError, [](const ShapeError& error) {
    return error.what() == std::string("a sequence is of class 3, but the model has 3");
  });
}

BOOST_AUTO_TEST_SUITE_END()
