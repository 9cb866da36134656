// Gradient checks of layers and of whole models in double; recomputation gives the same bits; embeddings with their
// factor.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_gradients
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;

namespace {

LayerConfig layer_config(double dropout, Activation f = Activation::Silu, NormPlace place = NormPlace::Post) {
  LayerConfig config;
  config.attention = attention_config(4, 2, dropout, {}, {});
  config.d_ff = 6;
  config.activation = f;
  config.dropout = dropout;
  config.activation_dropout = dropout;
  config.norm_place = place;
  return config;
}

const std::vector<int> target_lengths{3, 1, 4};
const std::vector<int> source_lengths{2, 5, 1};

/// A decoder layer as a module of one input: the rows of the target, then those of the encoder's output.
template <class Layer>
class DecoderModule {
 public:
  using Saved = typename Layer::Saved;

  explicit DecoderModule(Layer layer) : layer_(std::move(layer)) {}

  static void visit(auto& self, auto&& visitor) { visitor("", self.layer_); }

  int rows() const { return target_.total() + source_.total(); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    memory_ = x.slice(target_.total(), source_.total());
    return layer_.forward(pass, x.slice(0, target_.total()), saved, DecoderContext<B>{target_, source_, memory_, {}});
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const bool fresh = !dx;
    if (fresh) {
      dx = pass.scratch.rows(rows(), dy.cols);
      pass.backend(ops::Fill<B>{.x = dx, .value = 0.0});
    }
    const auto own = dx.slice(0, target_.total());
    const DecoderContext<B> context{target_, source_, memory_, dx.slice(target_.total(), source_.total())};
    const auto result = layer_.backward(pass, dy, saved, fresh ? Rows<B>{} : own, context);
    if (fresh) pass.backend(ops::Copy<B>{.x = result, .y = own});
    return dx;
  }

 private:
  Layer layer_;
  Ragged target_{target_lengths}, source_{source_lengths};
  mutable Rows<B> memory_;
};

template <class P>
GradientOptions zero_key_biases() {
  GradientOptions options;
  if constexpr (std::is_same_v<P, LinearProjections> || std::is_same_v<P, tiny::Mixed>)
    options.zero = {"*k_proj.bias"};
  else if constexpr (std::is_same_v<P, paper::marian>)
    options.zero = {"*k_proj.3.bias"};
  else
    options.zero = {"*k_proj.2.bias"};
  return options;
}

/// Of a layer whose context is the packing alone: an encoder's or a causal one.
template <class P, template <class, class, class> class Layers = EncoderLayer>
void check_layer(double dropout, Activation f, NormPlace place = NormPlace::Post) {
  B backend(1);
  const Ragged offsets(target_lengths);
  using Layer = Layers<B, P, BartNames>;
  const auto config = layer_config(dropout, f, place);
  Layer plain(config);
  Recompute<B, Layer> recomputed{Layer(config)};
  const auto report = check_module(backend, plain, 8, 4, zero_key_biases<P>(), offsets);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 2 * 17u);
  const auto again = check_module(backend, recomputed, 8, 4, zero_key_biases<P>(), offsets);
  BOOST_TEST(again.ok(), again.text());
  BOOST_TEST(again.tensors.size() == report.tensors.size());
}

template <class P>
void check_decoder_layer(double dropout, Activation f, NormPlace place = NormPlace::Post) {
  B backend(1);
  using Layer = DecoderLayer<B, P>;
  const auto config = layer_config(dropout, f, place);
  DecoderModule<Layer> plain{Layer(config)};
  DecoderModule<Recompute<B, Layer>> recomputed{Recompute<B, Layer>(Layer(config))};
  const auto report = check_module(backend, plain, plain.rows(), 4, zero_key_biases<P>());
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 2 * 27u);
  const auto again = check_module(backend, recomputed, plain.rows(), 4, zero_key_biases<P>());
  BOOST_TEST(again.ok(), again.text());
  BOOST_TEST(again.tensors.size() == report.tensors.size());
}

/// y, dx and all gradients of one pass, in both forms of backward.
template <class M>
std::vector<ModuleRun<B>> passes(M module, int rows, int outputs, const auto&... context) {
  B backend(1);
  ParameterStore<B> store(backend, module, Purpose::Training);
  testing::randomise(backend, store, 5);
  const OwnedRows<B> x(backend, rows, 4, random_normal(5, 1, rows * 4));
  const auto dy = random_normal(5, 2, outputs * 4);
  std::vector<ModuleRun<B>> runs;
  runs.push_back(run_module(backend, module, store, x.rows, dy, {}, {}, context...));
  runs.push_back(run_module(backend, module, store, x.rows, dy, random_normal(5, 3, rows * 4), {}, context...));
  return runs;
}

void require_equal(const std::vector<ModuleRun<B>>& plain, const std::vector<ModuleRun<B>>& recomputed) {
  BOOST_REQUIRE(plain.size() == recomputed.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    BOOST_REQUIRE(!plain[i].y.empty());
    BOOST_TEST(plain[i].y == recomputed[i].y);
    BOOST_REQUIRE(!plain[i].dx.empty());
    BOOST_TEST(plain[i].dx == recomputed[i].dx);
    BOOST_REQUIRE(!plain[i].gradients.empty());
    BOOST_TEST((plain[i].gradients == recomputed[i].gradients));
    BOOST_TEST(plain[i].violations.empty());
    BOOST_TEST(recomputed[i].violations.empty());
  }
}

template <class P>
void check_marian(MarianConfig config, double smoothing, GradientOptions options) {
  B backend(1);
  Marian<B, P> model(backend, config, 1);
  typename Marian<B, P>::Saved saved;
  // The decoder starts with a usual token: the padding's row has, by definition, no gradient from its lookups, which a
  // numeric gradient cannot know.
  const auto batch = tiny::batch(tiny::pairs(), 2);
  constexpr double factor = 0.1;
  const auto report = check_loss(
      backend, model.parameters(),
      [&](const Pass<B>& pass) { return factor * model.loss(pass, batch, smoothing, saved).smoothed; },
      [&](const Pass<B>& pass) {
        StepOutcome sums;
        model.loss_and_gradient(pass, batch, smoothing, factor, Into::Write, &sums, saved);
        BOOST_TEST(model.loss(pass, batch, smoothing, saved).tokens == 11);
        return factor * sums.smoothed_loss;
      },
      options);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 43u);
  BOOST_TEST(report.tensors.front().name == "model.shared.weight");
  std::ptrdiff_t zeros = 0;
  for (const auto& tensor : report.tensors) zeros += tensor.zero_expected;
  BOOST_TEST(zeros == 3 * config.encoder_layers);
}

template <class P>
void check_variant(bool checkpointing = false) {
  for (const double dropout : {0.0, 0.1}) {
    auto config = tiny::config(1, 4, dropout);
    config.gradient_checkpointing = checkpointing;
    check_marian<P>(config, dropout == 0.0 ? 0.0 : 0.1, zero_key_biases<P>());
  }
}

template <class P>
std::pair<StepOutcome, std::vector<double>> gradients_of(bool checkpointing) {
  B backend(1);
  auto config = tiny::config(3, 4, 0.1);
  config.gradient_checkpointing = checkpointing;
  Marian<B, P> model(backend, config, 1);
  typename Marian<B, P>::Saved saved;
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training(7, 2);
  StepOutcome sums;
  model.loss_and_gradient(pass, tiny::batch(tiny::pairs()), 0.1, 0.1, Into::Write, &sums, saved);
  const auto gradients = model.parameters().gradients();
  return {sums, download(backend, gradients)};
}

template <class P>
void check_checkpointing() {
  const auto [plain_loss, plain] = gradients_of<P>(false);
  const auto [loss, recomputed] = gradients_of<P>(true);
  BOOST_TEST(plain_loss.smoothed_loss == loss.smoothed_loss);
  BOOST_TEST(plain_loss.negative_log_likelihood == loss.negative_log_likelihood);
  BOOST_REQUIRE(!plain.empty());
  BOOST_TEST(plain == recomputed);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(layers)

BOOST_AUTO_TEST_CASE(encoder_layer) {
  check_layer<LinearProjections>(0.0, Activation::Silu);
  check_layer<LinearProjections>(0.1, Activation::Gelu);
  check_layer<paper::marian>(0.1, Activation::Relu);
  check_layer<LinearProjections>(0.0, Activation::Silu, NormPlace::Pre);
  check_layer<paper::marian>(0.1, Activation::Gelu, NormPlace::Pre);
}

BOOST_AUTO_TEST_CASE(causal_layer) {
  check_layer<LinearProjections, CausalLayer>(0.1, Activation::Gelu);
  check_layer<LinearProjections, CausalLayer>(0.1, Activation::Silu, NormPlace::Pre);
}

BOOST_AUTO_TEST_CASE(decoder_layer) {
  check_decoder_layer<LinearProjections>(0.0, Activation::Silu);
  check_decoder_layer<LinearProjections>(0.1, Activation::Mish);
  check_decoder_layer<paper::marian>(0.1, Activation::Silu);
  check_decoder_layer<LinearProjections>(0.0, Activation::Silu, NormPlace::Pre);
  check_decoder_layer<paper::marian>(0.1, Activation::Relu, NormPlace::Pre);
}

BOOST_AUTO_TEST_CASE(recomputing_gives_the_same_bits) {
  const Ragged offsets(target_lengths);
  using Encoder = EncoderLayer<B, paper::marian>;
  const auto encoder = [&](bool recompute, NormPlace place) {
    return passes(Recompute<B, Encoder>(Encoder(layer_config(0.1, Activation::Silu, place)), recompute), 8, 8, offsets);
  };
  using Decoder = DecoderLayer<B, paper::marian>;
  const auto decoder = [&](bool recompute, NormPlace place) {
    return passes(DecoderModule(Recompute<B, Decoder>(Decoder(layer_config(0.1, Activation::Silu, place)), recompute)),
                  16, 8);
  };
  for (const auto place : {NormPlace::Post, NormPlace::Pre}) {
    require_equal(encoder(false, place), encoder(true, place));
    require_equal(decoder(false, place), decoder(true, place));
  }
  require_equal(passes(Linear<B>(4, 4), 7, 7), passes(Recompute<B, Linear<B>>(Linear<B>(4, 4)), 7, 7));
  require_equal(passes(Neural<B>(ProjectorConfig{4, 4}), 7, 7),
                passes(Recompute<B, Neural<B>>(Neural<B>(ProjectorConfig{4, 4})), 7, 7));
  const FeedForward<B> feed_forward(4, 6, Activation::Silu, 0.1, {});
  require_equal(passes(feed_forward, 7, 7), passes(Recompute<B, FeedForward<B>>(feed_forward), 7, 7));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(marian)

BOOST_AUTO_TEST_CASE(linear_projectors) { check_variant<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(neural_projectors) { check_variant<neural_attention::paper::marian>(); }
BOOST_AUTO_TEST_CASE(plain_projectors) { check_variant<tiny::AllPlain>(); }
BOOST_AUTO_TEST_CASE(mixed_projectors) { check_variant<tiny::Mixed>(); }
BOOST_AUTO_TEST_CASE(recomputed) { check_variant<neural_attention::paper::marian>(true); }

BOOST_AUTO_TEST_CASE(two_layers) {
  auto config = tiny::config(2, 4, 0.1);
  config.scale_embedding = false;
  config.activation_function = Activation::Gelu;
  check_marian<LinearProjections>(config, 0.1, zero_key_biases<LinearProjections>());
}

BOOST_AUTO_TEST_CASE(pre_norm) {
  for (const bool checkpointing : {false, true}) {
    auto config = tiny::config(2, 4, 0.1);
    config.normalize_before = true;
    config.gradient_checkpointing = checkpointing;
    check_marian<LinearProjections>(config, 0.1, zero_key_biases<LinearProjections>());
    check_marian<neural_attention::paper::marian>(config, 0.1, zero_key_biases<neural_attention::paper::marian>());
  }
}

BOOST_AUTO_TEST_CASE(recomputing_gives_the_same_bits) {
  check_checkpointing<LinearProjections>();
  check_checkpointing<neural_attention::paper::marian>();
}

// Without scale_embedding, the layers of both sides begin with the embeddings themselves and the positions.
BOOST_AUTO_TEST_CASE(inputs_have_the_factor_of_scale_embedding) {
  for (const bool scaled : {true, false}) {
    B backend(1);
    auto config = tiny::config(2, 4);
    config.scale_embedding = scaled;
    const double factor = scaled ? 2.0 : 1.0;  // √4
    const Marian<B, LinearProjections> model(backend, config, 1);
    Marian<B, LinearProjections>::Saved saved;
    PassMemory<B> memory(backend);
    const auto pass = memory.begin_training();
    const auto batch = tiny::batch(tiny::pairs(), 2);
    model.decode(pass, batch, model.encode(pass, batch, saved), saved);
    const auto table = download(backend, model.parameters().value(*model.parameters().find("model.shared.weight")));
    const auto check = [&](Rows<B> input, const PackedTokens& tokens) {
      const auto found = download(backend, input);
      BOOST_TEST_REQUIRE(found.size() == tokens.ids().size() * 4);
      for (std::size_t t = 0; t < tokens.ids().size(); ++t)
        for (std::size_t c = 0; c < 4; ++c) {
          const double position = model.position_value(tokens.positions()[t], static_cast<int>(c));
          const double word = table[static_cast<std::size_t>(tokens.ids()[t]) * 4 + c];
          BOOST_TEST(std::abs(found[4 * t + c] - (factor * word + position)) <= 1e-14);
        }
    };
    check(saved.body.encoder.input, batch.source);
    check(saved.body.decoder.input, batch.decoder_input);
  }
}

BOOST_AUTO_TEST_SUITE_END()
