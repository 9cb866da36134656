// Warm starts: a whole model computes what its linear original did, exactly or as nearly as predicted; what cannot is
// refused and leaves the model as it was.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_warm_start
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "golden_file.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/fenced.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;

namespace {

constexpr int width = 8;  // of the models

template <template <class> class P>
using All = Projections<P, P, P, P>;

template <class B>
using GeluNeural = Stack<B, Linear, Gelu, Linear>;
template <class B>
using SiluNeural = Stack<B, Linear, Silu, Linear>;
template <class B>
using MishNeural = Stack<B, Linear, Mish, Linear>;
/// One that nobody told how it begins.
template <class B>
using Odd = Stack<B, Linear, LayerNorm, Gelu, Linear>;

}  // namespace

template <class B>
struct neural_attention::ProjectorName<GeluNeural<B>> {
  static constexpr std::string_view value = "gelu_neural";
};
template <class B>
struct neural_attention::ProjectorName<SiluNeural<B>> {
  static constexpr std::string_view value = "silu_neural";
};
template <class B>
struct neural_attention::ProjectorName<MishNeural<B>> {
  static constexpr std::string_view value = "mish_neural";
};
template <class B>
struct neural_attention::ProjectorName<Odd<B>> {
  static constexpr std::string_view value = "odd";
};

namespace {

/// The types of whole models: a model of each of them would take this file a minute to compile.
template <class B>
using Any = Choice<B, Linear, SequentialLinear, Neural, PlainNeural, GeluNeural, SiluNeural, MishNeural, ResidualNeural,
                   ResidualPlainNeural, Identity, NonlinearQuery, Pattention, LinearSilu, GatedSilu, GluSilu, Odd>;

/// The logits [target tokens · vocabulary] of the tiny sentences, on the host.
template <class B, class P>
std::vector<double> logits(B& backend, const Marian<B, P>& model) {
  PassMemory<B> memory(backend);
  typename Marian<B, P>::Saved saved;
  const auto pass = memory.begin_inference();
  const auto batch = tiny::batch(tiny::pairs());
  const auto decoded = model.decode(pass, batch, model.encode(pass, batch, saved), saved);
  const auto result = pass.scratch.rows(decoded.rows, model.config().vocab_size);
  model.logits(pass, decoded, result);
  const auto host = download(backend, result);
  return {host.begin(), host.end()};
}

/// The config with that projector in every role.
MarianConfig with(const std::string& projector, MarianConfig config = tiny::config(2, width)) {
  for_each_role([&](const char*, ProjectorConfig& of) { of.type = projector; }, config);
  return config;
}

/// A linear model with values everywhere, and another that has its tensors but for the projectors.
template <class B, class P = All<Any>>
struct Pair {
  explicit Pair(const MarianConfig& config, B& on, const std::string& linear = "linear")
      : backend(on), original(on, with(linear)), model(on, config, 7) {
    randomise(backend, original.parameters(), 5);
    for (const auto& entry : original.parameters().entries())
      if (entry.name.find("_proj.") == std::string::npos)
        backend(ops::Copy<B>{.x = original.parameters().value(entry),
                             .y = model.parameters().value(*model.parameters().find(entry.name))});
  }

  WarmStartReport start(const WarmStartOptions& options = {}) {
    return warm_start(backend, model, linear_maps(backend, original.parameters()), options);
  }
  /// Of the logits, relative to the largest.
  double difference() { return golden::difference(logits(backend, model), logits(backend, original)); }

  B& backend;
  Marian<B, All<Any>> original;
  Marian<B, P> model;
};

MarianConfig with_expansion(int expansion) {
  auto config = tiny::config(2, width);
  for_each_role([&](const char*, ProjectorConfig& projector) { projector.hidden = HiddenWidth::times(expansion); },
                config);
  return config;
}

MarianConfig with_columns(int columns) {
  auto config = tiny::config(2, width);
  for_each_role([&](const char*, ProjectorConfig& of) { of.hidden = HiddenWidth::columns(columns); }, config);
  return config;
}

template <class B>
constexpr double rounding = std::is_same_v<typename B::Scalar, double> ? 1e-12 : 1e-5;

/// Logits equal the original's but for rounding, in every role and for several hidden widths.
template <class B>
void require_exact(const std::string& projector, WarmStartForm form, const std::string& original = "linear") {
  for (const int expansion : {2, 3}) {
    B backend(1);
    Pair<B> pair(with(projector, with_expansion(expansion)), backend, original);
    BOOST_TEST(pair.difference() > 0.01);
    const auto report = pair.start();
    BOOST_TEST(pair.difference() <= rounding<B>);
    BOOST_TEST(report.projectors.size() == 4u * (2 + 2 * 2));
    for (const auto& started : report.projectors) {
      BOOST_TEST((started.start.form == form), started.prefix);
      BOOST_TEST(started.start.expected_error == 0.0);
    }
  }
}

using Backends = std::tuple<Cpu<double>, Cpu<float>, Fenced<Cpu<float>>>;

/// ‖row - expected row‖ / ‖expected row‖
std::vector<double> row_errors(const std::vector<double>& found, const std::vector<double>& expected, int cols) {
  std::vector<double> errors;
  for (std::size_t r = 0; r < expected.size(); r += static_cast<std::size_t>(cols)) {
    double difference = 0.0, size = 0.0;
    for (std::size_t c = r; c < r + static_cast<std::size_t>(cols); ++c) {
      difference += (found[c] - expected[c]) * (found[c] - expected[c]);
      size += expected[c] * expected[c];
    }
    errors.push_back(std::sqrt(difference / size));
  }
  return errors;
}

using D = Cpu<double>;

LinearMap random_map(int in, int out) {
  return {in, out, random_normal(3, 1, std::ptrdiff_t{in} * out, 1.0 / std::sqrt(in)), random_normal(3, 2, out, 0.5)};
}

/// A single projector, what it gives for 200 rows of white noise, and what the map gives.
template <template <class> class P>
struct Single {
  explicit Single(const ProjectorConfig& config)
      : projector(config), store(backend, projector, Purpose::Inference), map(random_map(config.d_in, config.d_out)) {
    store.initialise(4);
  }

  WarmStart start(const WarmStartOptions& options = {}) {
    WarmStarter<D> starter(backend, options);
    const auto result = starter.start("k_proj", projector, map);
    starter.commit();
    return result;
  }

  std::vector<double> outputs() {
    PassMemory<D> memory(backend);
    const auto pass = memory.begin_inference();
    typename P<D>::Saved saved;
    return download(backend, projector.forward(pass, x.rows, saved));
  }

  std::vector<double> expected() {
    const auto in = download(backend, x.rows);
    std::vector<double> y;
    for (int r = 0; r < rows; ++r)
      for (int o = 0; o < map.out; ++o) {
        double sum = map.bias[static_cast<std::size_t>(o)];
        for (int i = 0; i < map.in; ++i)
          sum += map.weight[static_cast<std::size_t>(o * map.in + i)] * in[static_cast<std::size_t>(r * map.in + i)];
        y.push_back(sum);
      }
    return y;
  }

  static constexpr int rows = 200;
  D backend{1};
  P<D> projector;
  ParameterStore<D> store;
  LinearMap map;
  OwnedRows<D> x{backend, rows, map.in, random_normal(9, 1, std::ptrdiff_t{rows} * map.in)};
};

auto says(const std::string& first, const std::string& second) {
  return [=](const Error& error) {
    const std::string text = error.what();
    return text.find(first) != std::string::npos && text.find(second) != std::string::npos;
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(exact)

BOOST_AUTO_TEST_CASE_TEMPLATE(linear, B, Backends) {
  require_exact<B>("linear", WarmStartForm::Copied);
  require_exact<B>("sequential_linear", WarmStartForm::Copied);
  require_exact<B>("linear", WarmStartForm::Copied, "sequential_linear");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(without_layer_norm, B, Backends) {
  require_exact<B>("plain_neural", WarmStartForm::Exact);
  require_exact<B>("plain_neural", WarmStartForm::Exact, "sequential_linear");
  require_exact<B>("gelu_neural", WarmStartForm::Exact);
  require_exact<B>("silu_neural", WarmStartForm::Exact);
  require_exact<B>("glu_silu", WarmStartForm::Exact);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(residual, B, Backends) {
  require_exact<B>("residual", WarmStartForm::Exact);
  require_exact<B>("plain_residual", WarmStartForm::Exact);
}

// Every role holds another type behind the same Choice.
BOOST_AUTO_TEST_CASE_TEMPLATE(behind_a_choice, B, Backends) {
  B backend(1);
  auto config = with("linear", with_expansion(2));
  config.query.type = "plain_neural";
  config.key.type = "residual";
  config.value.type = "plain_residual";
  Pair<B> pair(config, backend);
  const auto report = pair.start();
  BOOST_TEST(pair.difference() <= rounding<B>);
  BOOST_TEST(pair.model.parameters().find("model.decoder.layers.1.self_attn.k_proj.mlp.3.weight") != nullptr);
  for (const auto& projector : report.projectors)
    BOOST_TEST((projector.start.form ==
                (projector.prefix.ends_with("out_proj") ? WarmStartForm::Copied : WarmStartForm::Exact)),
               projector.prefix);
}

BOOST_AUTO_TEST_CASE(products_of_two_matrices) {
  for (const int hidden : {6, 9}) {
    Single<DeepLinear> deep({.d_in = 6, .d_out = 6, .hidden = HiddenWidth::columns(hidden)});
    BOOST_TEST((deep.start().form == WarmStartForm::Exact));
    BOOST_TEST(golden::difference(deep.outputs(), deep.expected()) <= 1e-13);
  }
  Single<LowRank> wider({.d_in = 6, .d_out = 9, .hidden = HiddenWidth::columns(7)});
  BOOST_TEST((wider.start().form == WarmStartForm::Exact));
  BOOST_TEST(golden::difference(wider.outputs(), wider.expected()) <= 1e-13);
}

// The bottleneck keeps the largest singular values, so no matrix of its rank is nearer; the error is what it says.
BOOST_AUTO_TEST_CASE(a_bottleneck) {
  Single<LowRank> narrow({.d_in = 6, .d_out = 6, .hidden = HiddenWidth::columns(3)});
  const auto start = narrow.start();
  BOOST_TEST((start.form == WarmStartForm::Near));
  BOOST_TEST(start.expected_error > 0.01);
  BOOST_TEST(start.expected_error < 0.9);
  const auto relative = [&](const std::vector<double>& found, const std::vector<double>& expected) {
    double difference = 0.0, size = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      difference += (found[i] - expected[i]) * (found[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    return std::sqrt(difference / size);
  };
  Single<LowRank> wide({.d_in = 6, .d_out = 6, .hidden = HiddenWidth::columns(5)});
  const double five = wide.start().expected_error;
  BOOST_TEST(five < start.expected_error);
  BOOST_TEST(relative(narrow.outputs(), narrow.expected()) > 0.2 * start.expected_error);
  BOOST_TEST(relative(narrow.outputs(), narrow.expected()) < 3.0 * start.expected_error);
}

// Whatever its coefficients were, it begins with those of which r(x) - r(-x) = x.
BOOST_AUTO_TEST_CASE(rational_networks) {
  Single<RationalNeural> rational({.d_in = 6, .d_out = 6});
  BOOST_TEST((rational.start().form == WarmStartForm::Exact));
  BOOST_TEST(golden::difference(rational.outputs(), rational.expected()) <= 1e-14);
}

BOOST_AUTO_TEST_CASE(gated_networks) {
  Single<GatedSilu> silu({.d_in = 6, .d_out = 5, .hidden = HiddenWidth::columns(5)});
  Single<GatedGelu> gelu({.d_in = 6, .d_out = 6, .hidden = HiddenWidth::columns(8)});
  BOOST_TEST((silu.start().form == WarmStartForm::Exact));
  BOOST_TEST((gelu.start().form == WarmStartForm::Exact));
  BOOST_TEST(golden::difference(silu.outputs(), silu.expected()) <= 1e-14);
  BOOST_TEST(golden::difference(gelu.outputs(), gelu.expected()) <= 1e-14);
}

BOOST_AUTO_TEST_CASE(halves_of_a_gated_map) {
  Single<GluSilu> subject({.d_in = 6, .d_out = 4});
  BOOST_TEST((subject.start().form == WarmStartForm::Exact));
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) <= 1e-14);
  subject.map = random_map(6, 6);
  BOOST_CHECK_EXCEPTION(subject.start(), ShapeError, says("k_proj: ", "6 to 4 elements, the linear map 6 to 6"));
}

// Units that the map does not need keep their first layer: they can learn, but have no say yet.
BOOST_AUTO_TEST_CASE(further_units_can_learn) {
  Single<PlainNeural> subject({.d_in = 6, .d_out = 6, .hidden = HiddenWidth::times(3)});
  const auto before = download(subject.backend, subject.projector.get<0>().weight.value);
  subject.start();
  const auto first = download(subject.backend, subject.projector.get<0>().weight.value);
  const auto last = download(subject.backend, subject.projector.get<2>().weight.value);
  for (std::size_t i = 12 * 6; i < first.size(); ++i) BOOST_TEST((first[i] == before[i] && first[i] != 0.0));
  for (std::size_t i = 0; i < last.size(); ++i)
    if (i % 18 >= 12) BOOST_TEST(last[i] == 0.0);
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) <= 1e-14);
}

BOOST_AUTO_TEST_CASE(another_output_width) {
  Single<PlainNeural> narrower({.d_in = 6, .d_out = 5, .hidden = HiddenWidth::times(2)}),
      wider({.d_in = 6, .d_out = 9, .hidden = HiddenWidth::times(3)});
  for (auto* const subject : {&narrower, &wider}) {
    subject->start();
    BOOST_TEST(golden::difference(subject->outputs(), subject->expected()) <= 1e-14);
  }
}

// A residual projector that was trained before loses its network's output.
BOOST_AUTO_TEST_CASE(residual_after_training) {
  Single<ResidualNeural> subject({.d_in = 6, .d_out = 6});
  randomise(subject.backend, subject.store, 8);
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) > 0.1);
  subject.start();
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) <= 1e-14);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(near)

// With every ReLU open the projector gives y / sqrt(1 + rms(y)²/C²), whose relative error is about rms(y)²/(2C²).
BOOST_AUTO_TEST_CASE(layer_norm_form_is_off_as_predicted) {
  for (const double c : {10.0, 100.0, 1000.0}) {
    Single<Neural> subject({.d_in = 12, .d_out = 12});
    const auto start = subject.start({.layer_norm_shift = c});
    BOOST_TEST((start.form == WarmStartForm::Near));
    const auto expected = subject.expected();
    const auto errors = row_errors(subject.outputs(), expected, 12);
    double mean = 0.0;
    for (std::size_t r = 0; r < errors.size(); ++r) {
      double square = 0.0;
      for (std::size_t i = 12 * r; i < 12 * r + 12; ++i) square += expected[i] * expected[i] / 12;
      BOOST_TEST(std::abs(errors[r] - (1.0 - 1.0 / std::sqrt(1.0 + square / (c * c + 1e-5)))) <= 1e-11 + 1e-15 * c);
      BOOST_TEST(errors[r] <= square / (2 * c * c) * (1 + 1e-6) + 1e-12);
      mean += errors[r] / static_cast<double>(errors.size());
    }
    BOOST_TEST(mean < 1.1 * start.expected_error);
    BOOST_TEST(mean > 0.8 * start.expected_error);
  }
}

// Further units and an odd width change the variance, which the gain allows for.
BOOST_AUTO_TEST_CASE(other_widths) {
  for (const auto& config :
       {ProjectorConfig{.d_in = 12, .d_out = 12, .hidden = HiddenWidth::times(3), .initial = {true}},
        ProjectorConfig{.d_in = 9, .d_out = 7, .hidden = HiddenWidth::times(2), .initial = {true}},
        ProjectorConfig{.d_in = 9, .d_out = 13, .hidden = HiddenWidth::times(3), .initial = {true}}}) {
    Single<Neural> subject(config);
    const auto start = subject.start({.layer_norm_shift = 100.0});
    double mean = 0.0;
    for (const double error : row_errors(subject.outputs(), subject.expected(), config.d_out))
      mean += error / Single<Neural>::rows;
    BOOST_TEST(mean < 1.3 * start.expected_error);
    BOOST_TEST(mean > 0.6 * start.expected_error);
    BOOST_TEST(start.expected_error < 2e-4);
  }
}

BOOST_AUTO_TEST_CASE(whole_model) {
  std::vector<double> differences;
  for (const double c : {10.0, 100.0}) {
    D backend(1);
    Pair<D> pair(with("neural", with_expansion(2)), backend);
    const auto report = pair.start({.layer_norm_shift = c});
    for (const auto& projector : report.projectors) BOOST_TEST((projector.start.form == WarmStartForm::Near));
    differences.push_back(pair.difference());
  }
  BOOST_TEST(differences[0] < 0.05);
  BOOST_TEST(differences[0] / differences[1] > 90.0);
  BOOST_TEST(differences[0] / differences[1] < 110.0);
}

BOOST_AUTO_TEST_CASE(roles_of_their_own) {
  Cpu<float> backend(1);
  Pair<Cpu<float>, tiny::Mixed> pair(with_expansion(2), backend);
  const auto report = pair.start();
  BOOST_TEST(pair.difference() < 1e-3);
  for (const auto& projector : report.projectors) {
    const auto form = projector.prefix.ends_with("q_proj")   ? WarmStartForm::Near
                      : projector.prefix.ends_with("v_proj") ? WarmStartForm::Exact
                                                             : WarmStartForm::Copied;
    BOOST_TEST((projector.start.form == form), projector.prefix);
  }
  BOOST_TEST(report.projectors.front().prefix == "model.encoder.layers.0.self_attn.k_proj");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sources)

BOOST_AUTO_TEST_CASE(may_leave_places_alone) {
  D backend(1);
  Pair<D> pair(with("plain_neural", with_expansion(2)), backend);
  const auto before = tiny::values(backend, pair.model.parameters());
  const auto maps = linear_maps(backend, pair.original.parameters());
  BOOST_TEST(warm_start(backend, pair.model, [](const std::string&) { return std::nullopt; }).projectors.empty());
  BOOST_TEST((tiny::values(backend, pair.model.parameters()) == before));
  const std::string only = "model.decoder.layers.1.encoder_attn.v_proj";
  const auto report = warm_start(
      backend, pair.model, [&](const std::string& prefix) { return prefix == only ? maps(prefix) : std::nullopt; });
  BOOST_TEST(report.projectors.size() == 1u);
  for (const auto& entry : pair.model.parameters().entries()) {
    const auto now = download(backend, pair.model.parameters().value(entry));
    const bool same = std::equal(now.begin(), now.end(), before.begin() + entry.offset);
    BOOST_TEST(same != (entry.name.starts_with(only) && entry.name != only + ".2.bias"), entry.name);
  }
}

BOOST_AUTO_TEST_CASE(linear_maps_know_linear_projectors_only) {
  D backend(1);
  auto config = with("linear", with_expansion(2));
  config.query.type = "neural";
  config.value.type = "plain_neural";
  config.output.type = "sequential_linear";
  Marian<D, All<Any>> model(backend, config);
  const auto maps = linear_maps(backend, model.parameters());
  const std::string attention = "model.encoder.layers.0.self_attn.";
  BOOST_TEST(!maps(attention + "q_proj").has_value());
  BOOST_TEST(maps(attention + "k_proj").has_value());
  BOOST_TEST(!maps(attention + "v_proj").has_value());
  BOOST_TEST(maps(attention + "out_proj").has_value());
  BOOST_TEST(!maps(attention + "nothing").has_value());
  BOOST_TEST(maps(attention + "out_proj")->weight.size() == std::size_t{width * width});
}

namespace {

/// A projector of one's own that says how it begins.
template <class B>
struct Doubled : PlainNeural<B> {
  using PlainNeural<B>::PlainNeural;
  Doubled(const ProjectorConfig& config) : PlainNeural<B>(config) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, typename PlainNeural<B>::Saved& saved) const {
    const auto y = PlainNeural<B>::forward(pass, x, saved);
    pass.backend(ops::Scale<B>{.x = y, .factor = 2.0});
    return y;
  }

  WarmStart start_from(const LinearMap& map, WarmStarter<B>& starter) {
    auto half = map;
    for (auto* const values : {&half.weight, &half.bias})
      for (auto& v : *values) v *= 0.5;
    return starter.start(static_cast<PlainNeural<B>&>(*this), half);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(types_of_ones_own_say_how) {
  Single<Doubled> subject({.d_in = 6, .d_out = 6});
  subject.start();
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) <= 1e-14);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(without_biases)

namespace {

constexpr bool no_bias = false;
const ProjectorConfig without_bias{
    .d_in = 6, .d_out = 6, .hidden = HiddenWidth::times(2), .initial = {true}, .bias = no_bias};

/// It begins as a map without a bias, and says why it cannot begin as one with a bias.
template <template <class> class P>
void require_start(WarmStartForm form) {
  Single<P> subject(without_bias);
  for (const auto& entry : subject.store.entries()) BOOST_TEST(!entry.name.ends_with("bias"), entry.name);
  const auto bias = std::exchange(subject.map.bias, std::vector<double>(6));
  BOOST_TEST((subject.start().form == form));
  BOOST_TEST(golden::difference(subject.outputs(), subject.expected()) <= 1e-13);
  subject.map.bias = bias;
  BOOST_CHECK_EXCEPTION(subject.start(), ShapeError,
                        says("k_proj: ", "the projector has no bias, but the linear map has one"));
}

template <template <class> class P>
void require_refused_start(const std::string& why) {
  Single<P> subject(without_bias);
  subject.map.bias.assign(6, 0.0);
  BOOST_CHECK_EXCEPTION(subject.start(), ConfigError, says("k_proj: ", why));
}

}  // namespace

BOOST_AUTO_TEST_CASE(forms_that_need_none) {
  require_start<Linear>(WarmStartForm::Copied);
  require_start<SequentialLinear>(WarmStartForm::Copied);
  require_start<PlainNeural>(WarmStartForm::Exact);
  require_start<GeluNeural>(WarmStartForm::Exact);
  require_start<SiluNeural>(WarmStartForm::Exact);
  require_start<RationalNeural>(WarmStartForm::Exact);
  require_start<DeepLinear>(WarmStartForm::Exact);
  require_start<LowRank>(WarmStartForm::Exact);
  require_start<ResidualNeural>(WarmStartForm::Exact);
  require_start<ResidualPlainNeural>(WarmStartForm::Exact);
}

BOOST_AUTO_TEST_CASE(forms_that_need_them) {
  require_refused_start<Neural>("a network with a LayerNorm needs biases");
  require_refused_start<GatedSilu>("a gated network without biases");
  require_refused_start<GatedGelu>("a gated network without biases");
  require_refused_start<GluSilu>("a gated map without biases");
  require_refused_start<JointQkv>("joint_qkv has a non-linear map in front");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(refused)

namespace {

template <class Error = ConfigError>
void require_refused(const MarianConfig& config, const std::string& prefix, const std::string& why) {
  D backend(1);
  Pair<D> pair(config, backend);
  const auto before = tiny::values(backend, pair.model.parameters());
  BOOST_CHECK_EXCEPTION(pair.start(), Error, says("model.encoder.layers.0.self_attn." + prefix + ": ", why));
  BOOST_TEST((tiny::values(backend, pair.model.parameters()) == before));
}

}  // namespace

BOOST_AUTO_TEST_CASE(too_few_hidden_units) {
  require_refused(with("plain_neural", with_expansion(1)), "k_proj", "at least 16 hidden units");
  require_refused(with("neural", with_expansion(1)), "k_proj", "but has 8");
  BOOST_CHECK_THROW(Single<PlainNeural>({.d_in = 6, .d_out = 7, .hidden = HiddenWidth::times(2)}).start(), ConfigError);
  BOOST_CHECK_THROW(Single<Neural>({.d_in = 1, .d_out = 1, .hidden = HiddenWidth::times(2)}).start(), ConfigError);
}

// What was planned for the keys and values before is not written either.
BOOST_AUTO_TEST_CASE(forms_without_a_linear_start) {
  const auto refused_in = [](ProjectorConfig MarianConfig::*role, const std::string& projector,
                             const std::string& prefix, const std::string& why) {
    auto config = with("linear", with_expansion(2));
    (config.*role).type = projector;
    require_refused(config, prefix, why);
  };
  refused_in(&MarianConfig::query, "mish_neural", "q_proj", "ReLU, GELU and SiLU");
  refused_in(&MarianConfig::output, "odd", "out_proj", "start_from");
  refused_in(&MarianConfig::query, "identity", "q_proj", "no weights");
  refused_in(&MarianConfig::query, "nonlinear_query", "q_proj", "no matrix");
  refused_in(&MarianConfig::key, "pattention", "k_proj", "normalises its scores");
  refused_in(&MarianConfig::key, "linear_silu", "k_proj", "'linear_silu' has no warm start");
  require_refused(with("gated_silu", with_columns(7)), "k_proj", "at least 8 hidden units, the width of its output");
  auto narrow = with("linear", with_expansion(2));
  narrow.attention.value_width = 4;
  require_refused<ShapeError>(narrow, "v_proj", "maps 8 to 4 elements, the linear map 8 to 8");
}

BOOST_AUTO_TEST_CASE(maps_that_do_not_fit) {
  Single<Linear> linear({.d_in = 6, .d_out = 6});
  linear.map = random_map(6, 5);
  BOOST_CHECK_EXCEPTION(linear.start(), ShapeError, says("k_proj: ", "6 to 6 elements, the linear map 6 to 5"));
  Single<PlainNeural> plain({.d_in = 6, .d_out = 6});
  for (const auto& map : {random_map(5, 6), random_map(6, 5), random_map(6, 48)}) {  // 48: too wide for the units, too
    plain.map = map;
    BOOST_CHECK_THROW(plain.start(), ShapeError);
  }
  for (const auto& map : {LinearMap{}, LinearMap{6, 6, {1.0}, {1.0}}}) {
    plain.map = map;
    BOOST_CHECK_THROW(plain.start(), ConfigError);
  }
}

BOOST_AUTO_TEST_CASE(options) {
  for (const double c : {0.0, -1.0, std::nan(""), HUGE_VAL})
    BOOST_CHECK_THROW(Single<Neural>({.d_in = 6, .d_out = 6}).start({.layer_norm_shift = c}), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()
