// The C++ blocks of docs/ that are no programs, each where its text says that it stands. tests/docs/CMakeLists.txt
// takes them from the documents.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cpp_blocks
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

#include "docs/documents.hpp"
#include "neural_attention/models/bodies.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/nn/cross_entropy.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

namespace na = neural_attention;

#include "projectors_2.inc"
#include "projectors_3.inc"
#include "projectors_5.inc"
#include "projectors_6.inc"
#include "projectors_8.inc"

// A module that declares its two functions as architecture.md shows them.
template <class B>
using Rows = na::Rows<B>;
template <class B>
using Pass = na::Pass<B>;
template <class B>
class Module {
 public:
  struct Saved {
    typename na::Linear<B>::Saved linear;
  };
  explicit Module(const na::ProjectorConfig& config) : linear_(config) {}
  static void visit(auto& self, auto&& visitor) { visitor("linear", self.linear_); }
#include "architecture_1.inc"

 private:
  na::Linear<B> linear_;
};

template <class B>
Rows<B> Module<B>::forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
  return linear_.forward(pass, x, saved.linear);
}

template <class B>
Rows<B> Module<B>::backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx) {
  return linear_.backward(pass, dy, saved.linear, dx);
}

// What model_of_your_own.md shows: a model in ten lines, and a head, of a model.
#include "model_of_your_own_1.inc"
#include "model_of_your_own_3.inc"
template <class B, class P>
class Lengths : public na::ModelBase<Lengths<B, P>, na::MarianConfig, na::DecoderBody<B, P, na::LearnedInput<B>>,
                                     LengthHead<B>, na::CausalBatch> {
  using Base = typename Lengths::ModelBase;

 public:
  using Base::Base;
  static typename Base::Parts parts(const na::MarianConfig& config) {
    const auto table = [&](int rows) { return na::Embedding<B>(rows, config.d_model, -1, na::Initial::normal(0.5)); };
    return {"body",
            {{table(config.vocab_size), table(config.max_position_embeddings)}, 1, config.decoder_layer()},
            "head",
            LengthHead<B>(config.d_model)};
  }
};

// An operation as architecture.md shows it.
template <class B>
void run_linear(B& backend, Rows<B> x, Rows<B> weight, Rows<B> bias, Rows<B> y) {
  using na::Activation;
  namespace ops = na::ops;
#include "architecture_2.inc"
}
using Floats = Rows<na::Cpu<float>>;
template void run_linear(na::Cpu<float>&, Floats, Floats, Floats, Floats);

namespace {

// Compiled only: a model of base size is too large for a test.
[[maybe_unused]] void model_with_projectors(na::Cpu<float>& cpu, int vocabulary) {
#include "projectors_1.inc"
#include "projectors_9.inc"
}

// The same.
[[maybe_unused]] void model_with_options_of_attention(){
#include "attention_options_1.inc"
}

na::MarianConfig tiny_config() {
  auto config = na::marian_small(8);
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_layers = config.decoder_layers = 1;
  return config;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(architecture)

BOOST_AUTO_TEST_CASE(a_module_has_the_two_functions) { BOOST_TEST(proved<Module>("Module")); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(model_of_your_own)

using B = na::testing::Poisoned<na::Cpu<double>>;

template <class Model>
void check_gradients(const typename Model::Config& config) {
  B backend(1);
  Model model(backend, config, 1);
  typename Model::Saved saved;
  na::CausalBatch batch;
  batch.push(std::vector{1, 3, 2, 5});
  na::testing::GradientOptions options;
  options.zero = {"*k_proj.bias"};
  const auto report = na::testing::check_loss(
      backend, model.parameters(),
      [&](const na::Pass<B>& pass) { return model.loss(pass, batch, 0.1, saved).smoothed; },
      [&](const na::Pass<B>& pass) {
        na::StepOutcome sums;
        model.loss_and_gradient(pass, batch, 0.1, 1.0, na::Into::Write, &sums, saved);
        return sums.smoothed_loss;
      },
      options);
  BOOST_TEST(report.ok(), report.text());
}

BOOST_AUTO_TEST_CASE(a_model_in_ten_lines_has_right_gradients_and_generates) {
  auto config = na::gpt2_small(8);
  config.n_embd = 4;
  config.n_layer = config.n_head = 2;
  config.initializer_range = 0.5;
  config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0;
  check_gradients<TextModel<B, na::LinearProjections>>(config);

  na::Cpu<float> backend(1);
  const TextModel<na::Cpu<float>, na::LinearProjections> model(backend, config);
  na::PackedTokens prompt;
  prompt.push(std::vector{1, 3});
  auto how = na::generation_defaults(config);
  how.min_new_tokens = how.max_new_tokens = 5;
  BOOST_TEST(na::Generator(backend, model)(prompt, how).front().front().ids.size() == 5U);
}

BOOST_AUTO_TEST_CASE(a_head_has_right_gradients) {
  auto config = tiny_config();
  config.d_model = 4;
  config.encoder_attention_heads = config.decoder_attention_heads = 2;
  config.max_position_embeddings = 6;
  config.dropout = 0.0;
  check_gradients<Lengths<B, na::LinearProjections>>(config);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(projectors)

BOOST_AUTO_TEST_CASE(a_control_is_matched) {
  const int vocabulary = 32'000;
#include "projectors_10.inc"
  const auto page = documents::text_of(documents::source_folder() / "docs/projectors.md");
  BOOST_TEST((page.find("```\n" + control.text() + "```\n") != std::string::npos), control.text());
}

BOOST_AUTO_TEST_CASE(those_of_ones_own_have_right_gradients) {
  BOOST_TEST(proved<Deep>("Deep"));
  BOOST_TEST(proved<Normed>("Normed"));
  BOOST_TEST(proved<Gated>("Gated"));
}

BOOST_AUTO_TEST_CASE(a_linear_model_becomes_a_neural_one) {
  na::Cpu<float> cpu(1);
  const na::Marian<na::Cpu<float>, na::LinearProjections> linear(cpu, tiny_config());
  na::Marian<na::Cpu<float>, na::paper::marian> neural(cpu, tiny_config());
#include "projectors_4.inc"
  BOOST_TEST(report.projectors.size() == 12u);  // three attentions
}

BOOST_AUTO_TEST_CASE(a_choice_takes_the_type_that_the_config_names) {
  auto config = tiny_config();
#include "projectors_7.inc"
  config.key.d_in = config.key.d_out = config.d_model;
  Any<na::Cpu<float>> key(config.key);
  const auto is_deep = [](auto& projector) {
    return std::is_same_v<std::remove_cvref_t<decltype(projector)>, Deep<na::Cpu<float>>>;
  };
  BOOST_TEST(key.with_chosen(is_deep));
  using Attention = na::MultiHeadAttention<na::Cpu<float>, AnyAttention>;
  static_assert(std::is_class_v<Attention>);
}

BOOST_AUTO_TEST_SUITE_END()
