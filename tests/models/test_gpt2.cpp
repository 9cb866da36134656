// GPT-2 beyond the comparison with Hugging Face's values: gradients with dropout and with every setting, initial
// weights, what it refuses, and that recomputing, parts of a step and threads change no bit.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_gpt2
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "models/model_gradients.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/models/matching.hpp"
#include "neural_attention/testing/poisoned.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;

namespace {

using Query = published::karbevski2026_query;
using PlainNeurals = Projections<PlainNeural, PlainNeural, PlainNeural, PlainNeural>;
using Linears = Gpt2<Cpu<float>, LinearProjections>;

static_assert(Trainable<Linears, CausalBatch> && Stored<Linears> && Decodable<Linears> && !FillsMasks<Linears>);

/// `zero` is a pattern of what has no gradient, because softmax does not see it.
template <class P>
void check_gradients(const Gpt2Config& config, double smoothing, std::vector<std::string> zero) {
  using B = Poisoned<Cpu<double>>;
  B backend(1);
  Gpt2<B, P> model(backend, config, 1);
  GradientOptions options;
  options.zero = std::move(zero);
  const auto report = check_model_loss(backend, model, tiny::causal_batch(tiny::texts()), smoothing, options);
  BOOST_TEST(report.ok(), report.text());
}

const std::string key = "transformer.h.*.attn.c_attn.k_proj.";

/// The root mean square of a tensor.
template <class Model>
double rms(Cpu<float>& backend, const Model& model, const std::string& name) {
  const auto* const entry = model.parameters().find(name);
  BOOST_TEST_REQUIRE(entry != nullptr, name);
  std::vector<float> values(static_cast<std::size_t>(entry->size()));
  backend(ops::Download<Cpu<float>>{.x = model.parameters().value(*entry), .values = values});
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

void require_near(double found, double expected, const char* name) {
  BOOST_TEST(std::abs(found / expected - 1) < 0.02, name << " has " << found << ", not " << expected);
}

/// The parameters after some steps of training, each made of so many parts.
template <class P>
std::vector<float> trained(const Gpt2Config& config, int threads, std::size_t parts) {
  Cpu<float> backend(threads);
  Gpt2<Cpu<float>, P> model(backend, config, 7);
  StepOptions options;
  options.learning_rate = 1e-2;
  TrainingStep<Gpt2<Cpu<float>, P>> step(backend, model, options, {});
  const auto texts = tiny::texts();
  std::vector<CausalBatch> batches;
  for (std::size_t i = 0; i < parts; ++i)
    batches.push_back(tiny::causal_batch(texts, i * texts.size() / parts, texts.size() / parts));
  for (int i = 0; i < 5; ++i) step.run(std::span(batches));
  return tiny::values(backend, model.parameters());
}

void refused(const Gpt2Config& config, const std::string& message) {
  BOOST_CHECK_EXCEPTION(config.validate(), ConfigError, [&](const ConfigError& error) {
    BOOST_TEST(error.what() == message);
    return true;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE(of_projectors) {
  check_gradients<LinearProjections>(tiny::gpt2_config(), 0.0, {key + "bias"});
  check_gradients<Query>(tiny::gpt2_config(2, 0.1), 0.1, {key + "bias"});
  check_gradients<PlainNeurals>(tiny::gpt2_config(2, 0.1), 0.0, {key + "2.bias"});
  check_gradients<Projections<GatedSilu, Neural, Linear, Neural>>(tiny::gpt2_config(), 0.0, {key + "3.bias"});
}

BOOST_AUTO_TEST_CASE(without_biases) {
  auto config = tiny::gpt2_config(2, 0.1);
  config.bias = false;
  check_gradients<LinearProjections>(config, 0.0, {});
  check_gradients<Projections<Neural, PlainNeural, Linear, Neural>>(config, 0.1, {});
  Cpu<double> backend(1);
  const Gpt2<Cpu<double>, paper::marian> model(backend, config);
  for (const auto& entry : model.parameters().entries()) BOOST_TEST(!entry.name.ends_with("bias"), entry.name);
}

BOOST_AUTO_TEST_CASE(of_every_setting) {
  for (const bool checkpointing : {false, true}) {
    auto config = tiny::gpt2_config(3, 0.1);
    config.gradient_checkpointing = checkpointing;
    config.scale_attn_weights = false;
    config.scale_attn_by_inverse_layer_idx = true;
    config.activation_function = Activation::Gelu;
    config.embd_pdrop = 0.3;
    check_gradients<LinearProjections>(config, 0.1, {key + "bias"});
  }
}

BOOST_AUTO_TEST_CASE(of_options_with_two_projectors) {
  auto config = tiny::gpt2_config(3, 0.1);
  config.scale_attn_by_inverse_layer_idx = true;
  config.attention.soft_cap = 2.0;
  config.attention.qk_norm = QueryKeyNorm::Rms;
  config.attention.learned_scale = LearnedScale::PerHead;
  config.attention.gate = GateKind::PerElement;
  config.attention.value_residual = ValueResidualKind::Learned;
  check_gradients<Query>(config, 0.1, {});
  config.bias = false;
  config.attention.gate = GateKind::PerHead;
  config.attention.value_residual = ValueResidualKind::Fixed;
  check_gradients<PlainNeurals>(config, 0.0, {});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(model)

BOOST_AUTO_TEST_CASE(begins_as_hugging_face_says) {
  Cpu<float> backend(2);
  auto config = gpt2_small(500);
  const Linears model(backend, config, 3, Purpose::Inference);
  const double scaled = 0.02 / std::sqrt(8.0);
  const auto near = [&](const char* name, double expected) { require_near(rms(backend, model, name), expected, name); };
  near("transformer.wte.weight", 0.02);
  near("transformer.wpe.weight", 0.02);
  near("transformer.h.1.attn.c_attn.q_proj.weight", 0.02);
  near("transformer.h.1.attn.c_attn.v_proj.weight", 0.02);
  near("transformer.h.1.attn.c_proj.weight", scaled);
  near("transformer.h.3.mlp.c_fc.weight", 0.02);
  near("transformer.h.3.mlp.c_proj.weight", scaled);
  BOOST_TEST(rms(backend, model, "transformer.h.2.ln_1.weight") == 1.0);
  for (const char* bias : {"transformer.h.2.ln_1.bias", "transformer.h.2.mlp.c_fc.bias", "transformer.ln_f.bias"})
    BOOST_TEST(rms(backend, model, bias) == 0.0);
}

// It is no map in front of a sum, whatever the output projector is.
BOOST_AUTO_TEST_CASE(begins_with_usual_gates) {
  const auto check = [](auto&& model, Cpu<float>& backend) {
    require_near(rms(backend, model, "transformer.h.1.attn.gate_proj.weight"), 0.02, "gate_proj");
  };
  Cpu<float> backend(2);
  auto config = gpt2_small(500);
  config.attention.gate = GateKind::PerElement;
  check(Linears(backend, config, 3, Purpose::Inference), backend);
  check(Gpt2<Cpu<float>, PlainNeurals>(backend, config, 3, Purpose::Inference), backend);
}

// The usual factor of each layer.
BOOST_AUTO_TEST_CASE(begins_with_learned_scales_of_the_layers) {
  Cpu<float> backend(1);
  auto config = tiny::gpt2_config(3);
  config.scale_attn_by_inverse_layer_idx = true;
  config.attention.learned_scale = LearnedScale::PerHead;
  for (const bool by_width : {true, false}) {
    config.scale_attn_weights = by_width;
    const Linears model(backend, config, 3, Purpose::Inference);
    for (int i = 0; i < 3; ++i) {
      const auto& entry = *model.parameters().find("transformer.h." + std::to_string(i) + ".attn.scale");
      std::vector<float> found(2);
      backend(ops::Download<Cpu<float>>{.x = model.parameters().value(entry), .values = found});
      const double expected = (by_width ? 1.0 / std::sqrt(2.0) : 1.0) / (i + 1);  // of heads two wide
      for (const float factor : found) BOOST_TEST(std::abs(factor - expected) <= 1e-7);
    }
  }
}

// GPT-2 small as published: 124,439,808 parameters. The query of arXiv 2603.13381 has as many elements as a matrix, and
// two gains in the place of a bias.
BOOST_AUTO_TEST_CASE(has_the_published_size) {
  const auto config = gpt2_base();
  const auto size = model_size<Linears>(config, {.tokens = 1024});
  BOOST_TEST(size.parameters == 124'439'808);
  const std::int64_t d = 768, tokens = 1024, layer = 2 * tokens * 12 * d * d + 4 * d * tokens * (tokens + 1) / 2;
  BOOST_TEST(size.flops == 12 * layer + 2 * tokens * d * 50257);
  using Bent = Gpt2<Cpu<float>, Query>;
  BOOST_TEST(model_size<Bent>(config).parameters == 124'439'808 + 12 * d);
}

BOOST_AUTO_TEST_CASE(same_bits_in_parts_with_threads_and_recomputed) {
  for (const double dropout : {0.0, 0.2}) {
    auto config = tiny::gpt2_config(3, dropout);
    const auto expected = trained<Query>(config, 1, 1);
    BOOST_TEST(trained<Query>(config, 2, 1) == expected);
    BOOST_TEST(trained<Query>(config, 7, 1) == expected);
    config.gradient_checkpointing = true;
    BOOST_TEST(trained<Query>(config, 2, 1) == expected);
    BOOST_TEST(trained<Query>(config, 2, 2) == trained<Query>(config, 1, 2));
  }
}

BOOST_AUTO_TEST_CASE(is_chosen_at_run_time) {
  Cpu<float> backend(1);
  auto config = tiny::gpt2_config();
  config.query.type = "nonlinear_query";
  const AnyModel<Linears, Gpt2<Cpu<float>, Query>> any(backend, config);
  BOOST_TEST((any.get<Gpt2<Cpu<float>, Query>>() != nullptr));

  config = tiny::gpt2_config();
  set_layer_projectors(config, "query", "0=linear,1-=nonlinear_query");
  using Chosen = Projections<AnyProjector, Linear, Linear, Linear>;
  const Gpt2<Cpu<float>, Chosen> mixed(backend, config);
  BOOST_TEST(mixed.parameters().find("transformer.h.0.attn.c_attn.q_proj.weight") != nullptr);
  BOOST_TEST(mixed.parameters().find("transformer.h.1.attn.c_attn.q_proj.mlp.1.weight") != nullptr);
}

BOOST_AUTO_TEST_CASE(refuses_what_makes_no_sense) {
  auto config = tiny::gpt2_config();
  config.n_head = 3;
  refused(config, "a width of 4 cannot be split into 3 attention heads (n_head)");
  config = tiny::gpt2_config();
  config.eos_token_id = 9;
  refused(config, "eos_token_id is 9, outside the vocabulary of 9");
  config.eos_token_id = -2;
  refused(config, "eos_token_id is -2, outside the vocabulary of 9");
  config.eos_token_id = config.bos_token_id = -1;
  config.validate();
  config.scale_attn_by_inverse_layer_idx = true;
  config.attention.scale = 0.5;
  refused(config,
          "scale_attn_by_inverse_layer_idx is true, but attention_scale or qk_norm l2 sets the factor on the scores");
  config = tiny::gpt2_config();
  config.scale_attn_weights = false;
  config.attention.qk_norm = QueryKeyNorm::L2;
  refused(config, "scale_attn_weights is false, but attention_scale or qk_norm l2 sets the factor on the scores");
  config = tiny::gpt2_config();
  config.n_inner = -1;
  refused(config, "n_inner must be at least 0, not -1");
  config = tiny::gpt2_config();
  config.n_embd = 1'000'000'000;
  config.n_head = 1;
  config.n_inner = 0;
  BOOST_CHECK_THROW(Linears::inspect(config, [](const Linears&) {}), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(generation)

// Without a token that ends a text, results are as long as they may be, and min_length rules nothing out.
BOOST_AUTO_TEST_CASE(needs_no_end) {
  Cpu<float> backend(1);
  auto config = tiny::gpt2_config();
  config.bos_token_id = config.eos_token_id = -1;
  const Linears model(backend, config, 3);
  Generator<Linears> generate(backend, model);
  auto how = generation_defaults(config);
  BOOST_TEST(how.forced_eos_token_id == -1);
  BOOST_TEST(how.bad_words_ids.empty());
  PackedTokens prompts;
  prompts.push(std::vector{1, 2, 3});
  prompts.push(std::vector{4});
  for (const int beams : {1, 3})
    for (const int least : {0, 7}) {
      how.num_beams = beams;
      how.min_length = least;
      const auto results = generate(prompts, how);
      BOOST_TEST(results.at(0).at(0).ids.size() == 6u);
      BOOST_TEST(results.at(1).at(0).ids.size() == 8u);
    }
}

BOOST_AUTO_TEST_CASE(refuses_prompts_that_do_not_fit) {
  Cpu<float> backend(1);
  const Linears model(backend, tiny::gpt2_config(), 3);
  Generator<Linears> generate(backend, model);
  const auto refused = [&](const std::vector<int>& prompt, const std::string& message) {
    PackedTokens prompts;
    prompts.push(prompt);
    BOOST_CHECK_EXCEPTION(generate(prompts, generation_defaults(model.config())), ShapeError,
                          [&](const ShapeError& error) {
                            BOOST_TEST(error.what() == message);
                            return true;
                          });
  };
  refused({}, "prompt 0 of a batch has no tokens");
  refused({1, 9}, "a prompt's token has the id 9, but the model's vocabulary has 9 entries");
  refused(std::vector<int>(10, 1), "a prompt of 10 tokens is longer than the model's 9 positions");
}

BOOST_AUTO_TEST_SUITE_END()
