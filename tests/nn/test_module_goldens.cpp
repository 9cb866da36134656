// Modules, operations, optimizers and schedules against PyTorch and Hugging Face: tests/reference/module_goldens.py
// wrote inputs, outputs and gradients in float64.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE nn_module_goldens
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "attention/attention_module.hpp"
#include "golden_file.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/positions.hpp"
#include "neural_attention/nn/sequential.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/train/schedules.hpp"
#include "nn/golden_module.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;
using Values = std::vector<double>;

namespace {

constexpr double tolerance = 1e-9;

golden::File& goldens() {
  static golden::File file("modules/modules.safetensors");
  return file;
}

void compare(const std::string& name, const Values& found) {
  const double difference = golden::difference(found, goldens().read<double>(name));
  BOOST_TEST(difference <= tolerance, name << " differs by " << difference);
}

double number(const std::string& name) { return goldens().read<double>(name).at(0); }
int integer(const std::string& name) { return goldens().read<int>(name).at(0); }

/// A golden matrix [rows, cols] (a vector is one row) in memory of the backend.
OwnedRows<B> load(B& backend, const std::string& name) {
  const auto shape = goldens().shape(name);
  const auto rows = shape.size() == 2 ? static_cast<int>(shape[0]) : 1;
  return {backend, rows, static_cast<int>(shape.back()), goldens().read<double>(name)};
}

OwnedRows<B> filled(B& backend, int rows, int cols, double value) {
  return {backend, rows, cols, Values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols), value)};
}

/// y, dx and the gradients of all parameters, both forms of backward. `x` may be joined from several goldens.
template <class M>
ModuleRun<B> check(const std::string& name, M module, const OwnedRows<B>& x, B& backend) {
  ParameterStore<B> store(backend, module, Purpose::Training);
  for (const auto& entry : store.entries())
    backend(ops::Upload<B>{.values = goldens().read<double>(name + "." + entry.name), .x = store.value(entry)});
  const auto dy = goldens().read<double>(name + ".dy");
  const auto fresh = run_module(backend, module, store, x.rows, dy, {}, {});
  const auto added = run_module(backend, module, store, x.rows, dy, random_normal(1, 2, x.rows.size()), {});
  for (const auto* run : {&fresh, &added}) {
    BOOST_TEST(run->violations.empty());
    compare(name + ".y", run->y);
    std::size_t i = 0;
    for (const auto& entry : store.entries()) compare(name + ".d" + entry.name, run->gradients[i++]);
    BOOST_TEST(i == run->gradients.size());
  }
  BOOST_TEST(golden::difference(added.dx, fresh.dx) <= tolerance);
  return fresh;
}

template <class M>
void check(const std::string& name, M module) {
  B backend(1);
  const auto x = load(backend, name + ".x");
  compare(name + ".dx", check(name, std::move(module), x, backend).dx);
}

int columns(const std::string& name) { return static_cast<int>(goldens().shape(name).back()); }
int rows(const std::string& name) { return static_cast<int>(goldens().shape(name).front()); }

Ragged ragged(const std::string& name) {
  const auto offsets = goldens().read<int>(name);
  Ragged result;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) result.push(offsets[i + 1] - offsets[i]);
  return result;
}

std::vector<int> lengths(const std::string& name) {
  const auto offsets = ragged(name);
  std::vector<int> result;
  for (int s = 0; s < offsets.sequences(); ++s) result.push_back(offsets.length(s));
  return result;
}

/// The fused pair of a norm and ReLU, as a Sequential calls it.
template <class Norm>
struct FusedNorm {
  using Saved = typename Norm::Saved;
  Norm norm{columns("layer_norm_relu.basic.x"), number("layer_norm.constants.eps")};

  static void visit(FusedNorm& self, auto&& visitor) { Norm::visit(self.norm, visitor); }
  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return norm.forward_fused(pass, x, saved, Activation::Relu);
  }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return norm.backward_fused(pass, dy, saved, Activation::Relu, dx);
  }
};

/// What the optimizers move. A matrix of one row: only matrices are decayed.
struct OneTensor {
  Parameter<B> tensor{1, columns("adam.basic.initial"), Initial::constant(0.0)};
  static void visit(auto& self, auto&& visitor) { visitor("tensor", self.tensor); }
};

/// The settings of `options` that the goldens of a case give.
void read_settings(const std::string& name, auto& options) {
  std::decay_t<decltype(options)>::knobs(
      [&](const Knob& knob, auto& setting) {
        setting = static_cast<std::decay_t<decltype(setting)>>(number(name + knob.name));
      },
      options);
}

/// The tensor after each step with the goldens' gradients.
template <class O>
Values values_of_steps(const std::string& name, B& backend, OneTensor& model, ParameterStore<B>& store, O& optimizer) {
  const auto gradients = goldens().read<double>(name + "grads");
  const auto width = static_cast<std::size_t>(model.tensor.cols);
  Values values;
  for (std::size_t i = 0; i + width <= gradients.size(); i += width) {
    // Clipping reaches the optimizer as a factor: with half of twice the gradient nothing changes.
    Values twice(gradients.begin() + std::ptrdiff_t(i), gradients.begin() + std::ptrdiff_t(i + width));
    for (auto& g : twice) g *= 2.0;
    backend(ops::Upload<B>{.values = twice, .x = model.tensor.gradient});
    const StepOutcome outcome{.gradient_scale = 0.5};
    optimizer.update(store, number(name + "learning_rate"), &outcome);
    const auto now = download(backend, model.tensor.value);
    values.insert(values.end(), now.begin(), now.end());
  }
  return values;
}

template <template <class> class P>
struct Of {
  template <class Backend>
  using Type = P<Backend>;

  static std::string name() { return "projector." + std::string(projector_name<P<B>>()); }
  static ProjectorConfig config() {
    ProjectorConfig result;
    result.d_in = result.d_out = columns(name() + ".x");
    result.hidden = HiddenWidth::times(number(name() + ".expansion"));
    return result;
  }
};
using Published = std::tuple<Of<Identity>, Of<LowRank>, Of<DeepLinear>, Of<LinearSilu>, Of<LinearGelu>, Of<GatedSilu>,
                             Of<GatedGelu>, Of<GluSilu>, Of<NonlinearQuery>, Of<Pattention>, Of<RationalNeural>>;

}  // namespace

BOOST_AUTO_TEST_SUITE(modules)

BOOST_AUTO_TEST_CASE(linear) {
  for (const std::string name : {"linear.basic", "linear.one_row"})
    check(name, Linear<B>(columns(name + ".weight"), rows(name + ".weight")));
}

BOOST_AUTO_TEST_CASE(linear_without_bias) {
  B backend(1);
  const std::string name = "linear.no_bias.";
  const auto x = load(backend, name + "x"), w = load(backend, name + "weight"), dy = load(backend, name + "dy");
  const auto y = OwnedRows<B>(backend, dy.rows.rows, dy.rows.cols),
             dx = OwnedRows<B>(backend, x.rows.rows, x.rows.cols);
  const auto dw = filled(backend, w.rows.rows, w.rows.cols, 0.0);
  backend(ops::Linear<B>{.x = x.rows, .w = w.rows, .y = y.rows});
  backend(ops::LinearInputGradient<B>{.dy = dy.rows, .w = w.rows, .dx = dx.rows});
  backend(ops::LinearWeightGradient<B>{.dy = dy.rows, .x = x.rows, .dw = dw.rows});
  compare(name + "y", download(backend, y.rows));
  compare(name + "dx", download(backend, dx.rows));
  compare(name + "dweight", download(backend, dw.rows));
}

BOOST_AUTO_TEST_CASE(layer_norm) {
  const double epsilon = number("layer_norm.constants.eps");
  for (const std::string name : {"layer_norm.basic", "layer_norm.hard"})
    check(name, LayerNorm<B>(columns(name + ".x"), epsilon));
  check("layer_norm.no_bias", LayerNorm<B>(columns("layer_norm.no_bias.x"), epsilon, false));
}

BOOST_AUTO_TEST_CASE(layer_norm_relu) { check("layer_norm_relu.basic", FusedNorm<LayerNorm<B>>()); }

BOOST_AUTO_TEST_CASE(rms_norm) {
  check("rms_norm.basic", RmsNorm<B>(columns("rms_norm.basic.x"), number("layer_norm.constants.eps")));
  check("rms_norm_relu.basic", FusedNorm<RmsNorm<B>>());
}

BOOST_AUTO_TEST_CASE(activations) {
  check("relu.basic", Relu<B>());
  check("gelu.basic", Gelu<B>());
  check("gelu_tanh.basic", GeluTanh<B>());
  check("silu.basic", Silu<B>());
  check("mish.basic", Mish<B>());
}

BOOST_AUTO_TEST_CASE(projectors) {
  const auto config = [](const std::string& name) {
    ProjectorConfig result;
    result.d_in = result.d_out = columns(name + ".x");
    result.hidden = HiddenWidth::times(integer(name + ".expansion"));
    return result;
  };
  check("projector.neural", Neural<B>(config("projector.neural")));
  check("projector.plain_neural", PlainNeural<B>(config("projector.plain_neural")));
  check("projector.sequential_linear", SequentialLinear<B>(config("projector.sequential_linear")));
  check("projector.residual", ResidualNeural<B>(config("projector.residual")));
  check("projector.plain_residual", ResidualPlainNeural<B>(config("projector.plain_residual")));
  check("projector.rms_mish", Stack<B, Linear, RmsNorm, Mish, Linear>(config("projector.rms_mish")));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(published_projectors, P, Published) {
  check(P::name(), typename P::template Type<B>(P::config()));
}

// A type without products has nothing to round to bfloat16.
BOOST_AUTO_TEST_CASE_TEMPLATE(published_projectors_in_float_and_bfloat16, P, Published) {
  using Float = Cpu<float>;
  const auto error = [](Float backend) {
    return golden::module_error(backend, goldens(), P::name(), typename P::template Type<Float>(P::config()),
                                goldens().read<double>(P::name() + ".x"), goldens().read<double>(P::name() + ".dx"));
  };
  const double in_float = error(Float(1));
  BOOST_TEST((in_float > 0.0 && in_float <= 2e-6), in_float);
  if (matrix_elements<typename P::template Type<Float>>(P::config()) == 0) return;
  const double in_bfloat16 = error(Float(1, Precision::BFloat16));
  BOOST_TEST((in_bfloat16 > 1e-4 && in_bfloat16 <= 2e-2), in_bfloat16);
}

BOOST_AUTO_TEST_CASE(embedding) {
  for (const std::string name : {"embedding.no_padding.", "embedding.padding."}) {
    B backend(1);
    const auto ids = goldens().read<int>(name + "ids");
    const int padding = integer(name + "padding_idx");
    Embedding<B> module(rows(name + "weight"), columns(name + "weight"), padding, Initial::normal(1.0));
    ParameterStore<B> store(backend, module, Purpose::Training);
    backend(ops::Upload<B>{.values = goldens().read<double>(name + "weight"), .x = module.weight.value});
    const auto dy = load(backend, name + "dy");
    const OwnedRows<B> y(backend, dy.rows.rows, dy.rows.cols);
    PassMemory<B> memory(backend);
    const auto pass = memory.begin_training();
    module.forward(pass, ids, 1.0, Into::Write, y.rows);
    compare(name + "y", download(backend, y.rows));
    module.backward(pass, dy.rows, ids, 1.0);
    compare(name + "dweight", download(backend, module.weight.gradient));
    // With a factor, added to what is there.
    module.forward(pass, ids, 2.0, Into::Add, y.rows);
    auto three = goldens().read<double>(name + "y");
    for (auto& v : three) v *= 3.0;
    BOOST_TEST(golden::difference(download(backend, y.rows), three) <= tolerance);
  }
}

BOOST_AUTO_TEST_CASE(sinusoidal_positions) {
  for (const std::string name : {"positions.even.", "positions.odd."}) {
    B backend(1);
    const int count = rows(name + "table"), width = columns(name + "table");
    const SinusoidalPositions<B> positions(backend, count, width);
    std::vector<int> all(static_cast<std::size_t>(count));
    for (int p = 0; p < count; ++p) all[static_cast<std::size_t>(p)] = p;
    const auto y = filled(backend, count, width, 0.0);
    PassMemory<B> memory(backend);
    const auto pass = memory.begin_inference();
    positions.add(pass, all, y.rows);
    const auto found = download(backend, y.rows);
    compare(name + "table", found);
    BOOST_TEST(golden::difference(found, goldens().read<float>(name + "table_float32")) <= 1e-7);  // rounded to float
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention)

BOOST_AUTO_TEST_CASE(core) {
  for (const std::string name : {"attention.self.", "attention.causal.", "attention.cross."}) {
    B backend(1);
    const auto q = load(backend, name + "q"), k = load(backend, name + "k"), v = load(backend, name + "v");
    const auto dy = load(backend, name + "dy");
    const auto queries = ragged(name + "q_offsets"), keys = ragged(name + "k_offsets");
    const AttentionShape shape{integer(name + "heads"), number(name + "scale"), integer(name + "causal") != 0};
    const auto like = [&](const OwnedRows<B>& x) { return OwnedRows<B>(backend, x.rows.rows, x.rows.cols); };
    const auto y = like(q), dq = like(q), dk = like(k), dv = like(v);
    const OwnedRows<B> log_sum_exp(backend, q.rows.rows, shape.heads);
    backend(ops::Attention<B>{.q = q.rows,
                              .k = k.rows,
                              .v = v.rows,
                              .queries = queries,
                              .keys = keys,
                              .shape = shape,
                              .out = y.rows,
                              .log_sum_exp = log_sum_exp.rows});
    backend(ops::AttentionBackward<B>{.dout = dy.rows,
                                      .q = q.rows,
                                      .k = k.rows,
                                      .v = v.rows,
                                      .out = y.rows,
                                      .log_sum_exp = log_sum_exp.rows,
                                      .queries = queries,
                                      .keys = keys,
                                      .shape = shape,
                                      .dq = dq.rows,
                                      .dk = dk.rows,
                                      .dv = dv.rows});
    compare(name + "y", download(backend, y.rows));
    compare(name + "dq", download(backend, dq.rows));
    compare(name + "dk", download(backend, dk.rows));
    compare(name + "dv", download(backend, dv.rows));
  }
}

BOOST_AUTO_TEST_CASE(multi_head) {
  const auto config = [](const std::string& name) {
    AttentionConfig result;
    result.d_model = columns(name + ".x");
    result.heads = integer(name + ".heads");
    BOOST_TEST(number(name + ".scale") == 1.0 / std::sqrt(double(result.d_model) / result.heads),
               boost::test_tools::tolerance(1e-15));
    return result;
  };
  for (const std::string name : {"multi_head.self", "multi_head.causal"})
    check(name, AttentionModule<B, LinearProjections>(config(name), lengths(name + ".q_offsets"),
                                                      lengths(name + ".k_offsets"), integer(name + ".causal") != 0));

  const std::string name = "multi_head.cross";
  B backend(1);
  auto joined = goldens().read<double>(name + ".x");
  const auto memory = goldens().read<double>(name + ".memory");
  const auto own = std::ssize(joined);
  joined.insert(joined.end(), memory.begin(), memory.end());
  const int width = columns(name + ".x");
  const OwnedRows<B> x(backend, static_cast<int>(std::ssize(joined)) / width, width, joined);
  const auto run =
      check(name,
            AttentionModule<B, LinearProjections, true>(config(name), lengths(name + ".q_offsets"),
                                                        lengths(name + ".k_offsets"), integer(name + ".causal") != 0),
            x, backend);
  compare(name + ".dx", Values(run.dx.begin(), run.dx.begin() + own));
  compare(name + ".dmemory", Values(run.dx.begin() + own, run.dx.end()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(losses)

BOOST_AUTO_TEST_CASE(cross_entropy) {
  for (const std::string kind : {"plain", "smoothed", "ignored", "smoothed_ignored", "extreme", "extreme_smoothed"}) {
    const auto name = "cross_entropy." + kind + ".";
    B backend(1);
    const auto all_targets = goldens().read<int>(name + "targets");
    const auto all_logits = goldens().read<double>(name + "logits"),
               expected = goldens().read<double>(name + "dlogits");
    const int vocabulary = columns(name + "logits"), ignored = integer(name + "ignore_index");
    // Here a packed batch has no ignored tokens: those rows are left out and must not matter.
    std::vector<int> targets;
    Values logits, gradients;
    for (std::size_t i = 0; i < all_targets.size(); ++i) {
      const auto begin = std::ptrdiff_t(i) * vocabulary;
      if (all_targets[i] == ignored) {
        for (auto j = begin; j < begin + vocabulary; ++j) BOOST_TEST(expected[static_cast<std::size_t>(j)] == 0.0);
        continue;
      }
      targets.push_back(all_targets[i]);
      logits.insert(logits.end(), all_logits.begin() + begin, all_logits.begin() + begin + vocabulary);
      gradients.insert(gradients.end(), expected.begin() + begin, expected.begin() + begin + vocabulary);
    }
    const auto count = static_cast<int>(targets.size());
    BOOST_REQUIRE(count > 0);
    const OwnedRows<B> x(backend, count, vocabulary, logits), losses(backend, count, 2);
    backend(ops::CrossEntropy<B>{.logits = x.rows,
                                 .targets = targets,
                                 .smoothing = number(name + "smoothing"),
                                 .gradient_scale = 1.0 / count,
                                 .losses = losses.rows});
    StepOutcome sums;
    backend(ops::SumLosses<B>{.losses = losses.rows, .outcome = &sums});
    compare(name + "loss", {sums.smoothed_loss / count});
    BOOST_TEST(golden::difference(download(backend, x.rows), gradients) <= tolerance, name << "dlogits");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(training)

// The cases of an optimizer are those of the file that begin with its name; they name settings as flags do.
BOOST_AUTO_TEST_CASE(optimizers) {
  for (auto& [optimizer_name, options, decoupled] : named_optimizers()) {
    std::set<std::string> cases;
    for (const auto& tensor : goldens().names(std::string(optimizer_name) + "."))
      cases.insert(tensor.substr(0, tensor.rfind('.') + 1));
    BOOST_TEST(cases.size() >= 2u, optimizer_name);
    for (const auto& name : cases) {
      B backend(1);
      OneTensor model;
      ParameterStore<B> store(backend, model, Purpose::Training);
      backend(ops::Upload<B>{.values = goldens().read<double>(name + "initial"), .x = model.tensor.value});
      std::visit([&](auto& how) { read_settings(name, how); }, options);
      AnyOptimizer<B> optimizer(backend, store, options);
      compare(name + "values", values_of_steps(name, backend, model, store, optimizer));
      for (const auto& moment : optimizer.moments())
        compare(name + moment.name, download(backend, moment.numbers.columns(0, model.tensor.cols)));
      BOOST_TEST(optimizer.steps() == 5);
    }
  }
}

BOOST_AUTO_TEST_CASE(clipping) {
  for (const std::string kind : {"below", "clips"}) {
    const auto name = "clip_norm." + kind + ".";
    B backend(1);
    const auto a = load(backend, name + "a"), b = load(backend, name + "b");
    auto all = download(backend, a.rows);
    const auto of_b = download(backend, b.rows);
    all.insert(all.end(), of_b.begin(), of_b.end());
    const OwnedRows<B> both(backend, 1, static_cast<int>(all.size()), all);
    StepOutcome outcome;
    backend(ops::Clipping<B>{.gradient = both.rows, .limit = number(name + "max_norm"), .outcome = &outcome});
    compare(name + "norm", {std::sqrt(outcome.squared_norm)});
    BOOST_TEST((outcome.gradient_scale < 1.0) == (kind == "clips"));
    backend(ops::Scale<B>{.x = a.rows, .factor = outcome.gradient_scale});
    backend(ops::Scale<B>{.x = b.rows, .factor = outcome.gradient_scale});
    compare(name + "a_clipped", download(backend, a.rows));
    compare(name + "b_clipped", download(backend, b.rows));
  }
}

BOOST_AUTO_TEST_CASE(schedules) {
  const std::map<std::string, Schedule::Kind> kinds{{"constant", Schedule::Kind::Constant},
                                                    {"linear", Schedule::Kind::Linear},
                                                    {"cosine", Schedule::Kind::Cosine},
                                                    {"cosine_with_min_lr", Schedule::Kind::CosineWithMinimum},
                                                    {"inverse_sqrt", Schedule::Kind::InverseSquareRoot}};
  std::ifstream file(golden::folder() / "modules/schedules.json");
  BOOST_REQUIRE(file.good());
  std::set<Schedule::Kind> seen;
  for (const auto& golden : nlohmann::json::parse(file)) {
    Schedule schedule;
    schedule.kind = kinds.at(golden.at("name"));
    schedule.warmup_steps = golden.at("warmup_steps");
    schedule.total_steps = golden.at("total_steps").is_null() ? 0 : golden.at("total_steps").get<long>();
    schedule.min_lr_rate = golden.value("min_lr_rate", 0.0);
    const auto factors = golden.at("factors").get<Values>();
    Values found;
    for (std::size_t step = 0; step < factors.size(); ++step) found.push_back(schedule.factor(static_cast<long>(step)));
    BOOST_TEST(golden::difference(found, factors) <= 1e-14, golden.dump());
    seen.insert(schedule.kind);
  }
  BOOST_TEST(seen.size() == 5u);
}

// A draw gives the token in whose share of the probabilities the uniform number lies.
BOOST_AUTO_TEST_CASE(sampling) {
  std::ifstream file(golden::folder() / "modules/sampling.json");
  BOOST_REQUIRE(file.good());
  constexpr int draws = 1000;
  constexpr double at_the_border = 1e-9;
  Cpu<double> backend(1);
  int narrowed = 0;
  for (const auto& golden : nlohmann::json::parse(file)) {
    const SamplingShape how{golden.at("temperature"), golden.at("top_k"), golden.at("top_p"), golden.at("min_p")};
    auto logits = golden.at("logits").get<Values>();
    const auto probabilities = golden.at("probabilities").get<Values>();
    const auto columns = static_cast<int>(logits.size());
    for (int i = 0; i < draws; ++i) {
      const double uniform = (i + 0.5) / draws;
      std::vector<int> drawn(1);
      backend(ops::Sample<Cpu<double>>{.x = Rows<Cpu<double>>{logits.data(), 1, columns, columns},
                                       .how = how,
                                       .uniforms = Values{uniform},
                                       .columns = drawn});
      BOOST_REQUIRE((drawn[0] >= 0 && drawn[0] < columns));
      double below = 0.0;
      for (int c = 0; c < drawn[0]; ++c) below += probabilities[static_cast<std::size_t>(c)];
      const double share = probabilities[static_cast<std::size_t>(drawn[0])];
      BOOST_TEST_REQUIRE((share > 0.0 && uniform >= below - at_the_border && uniform <= below + share + at_the_border),
                         uniform << " draws " << drawn[0] << " from " << golden.dump());
    }
    narrowed += std::count(probabilities.begin(), probabilities.end(), 0.0) > 0;
  }
  BOOST_TEST(narrowed == 7);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(all)

/// Runs the suites above where it is called on its own: ctest starts every suite in a process of its own.
BOOST_AUTO_TEST_CASE(tensors_of_the_file_are_used) {
  modules::linear().test_method();
  modules::linear_without_bias().test_method();
  modules::layer_norm().test_method();
  modules::layer_norm_relu().test_method();
  modules::rms_norm().test_method();
  modules::activations().test_method();
  modules::projectors().test_method();
  [&]<class... P>(std::type_identity<std::tuple<P...>>) {
    (modules::published_projectors<P>().test_method(), ...);
  }(std::type_identity<Published>());
  modules::embedding().test_method();
  modules::sinusoidal_positions().test_method();
  attention::core().test_method();
  attention::multi_head().test_method();
  losses::cross_entropy().test_method();
  training::optimizers().test_method();
  training::clipping().test_method();
  for (const auto& name : goldens().unused()) BOOST_ERROR(name << " was not used");
  BOOST_TEST(goldens().size() > 200u);
}

BOOST_AUTO_TEST_SUITE_END()
