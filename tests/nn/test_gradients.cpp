// Gradient checks of the modules below nn/ in double, and proof that the checker notices small errors.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE nn_gradients
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <vector>

#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/feed_forward.hpp"
#include "neural_attention/nn/positions.hpp"
#include "neural_attention/nn/rational.hpp"
#include "neural_attention/nn/recompute.hpp"
#include "neural_attention/nn/sequential.hpp"
#include "neural_attention/nn/tied_output.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;

namespace {

/// Checks a module and requires success on `tensors` tensors (x counts; each is checked in both forms).
template <class M>
void require_correct(M module, int rows, int cols, std::size_t tensors, const GradientOptions& options = {}) {
  B backend(1);
  const auto report = check_module(backend, module, rows, cols, options);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() == 2 * tensors);
}

template <class M>
GradientReport report_of(M module, int rows, int cols) {
  B backend(1);
  return check_module(backend, module, rows, cols);
}

const TensorGradient& tensor(const GradientReport& report, const std::string& name) {
  for (const auto& candidate : report.tensors)
    if (candidate.name == name) return candidate;
  throw std::runtime_error("no tensor " + name);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(modules)

BOOST_AUTO_TEST_CASE(linear) {
  require_correct(Linear<B>(5, 7), 6, 5, 3);
  require_correct(Linear<B>(33, 18), 1, 33, 3);
}

BOOST_AUTO_TEST_CASE(layer_norm) {
  require_correct(LayerNorm<B>(6), 5, 6, 3);
  require_correct(LayerNorm<B>(37, 1e-3), 3, 37, 3);
}

BOOST_AUTO_TEST_CASE(rms_norm) {
  require_correct(RmsNorm<B>(6), 5, 6, 2);
  require_correct(RmsNorm<B>(37, 1e-3), 3, 37, 2);
  require_correct(RmsNorm<B>(1, 1e-1), 4, 1, 2);
}

// In one group of columns, and in groups of unequal widths.
BOOST_AUTO_TEST_CASE(rational) {
  require_correct(Rational<B>(3, 1), 6, 3, 3);
  require_correct(Rational<B>(19), 5, 19, 3);
}

BOOST_AUTO_TEST_CASE(residual) {
  require_correct(ResidualNeural<B>(ProjectorConfig{4, 4}), 6, 4, 9);
  require_correct(ResidualPlainNeural<B>(ProjectorConfig{.d_in = 5, .d_out = 3, .hidden = HiddenWidth::times(3)}), 7, 5,
                  7);
  require_correct(Residual<B, ResidualPlainNeural>(ProjectorConfig{4, 4}), 6, 4, 9);
}

// The network's last layer starts at zero, so it has no say, and no other layer has a gradient yet.
BOOST_AUTO_TEST_CASE(residual_starts_as_its_linear_map) {
  B backend(1);
  ResidualNeural<B> projector(ProjectorConfig{4, 4});
  ParameterStore<B> store(backend, projector, Purpose::Training);
  store.initialise(3);
  const OwnedRows<B> x(backend, 5, 4, random_normal(1, 1, 20));
  const auto dy = random_normal(1, 2, 20);
  const auto whole = run_module(backend, projector, store, x.rows, dy, {}, {});
  const auto linear = run_module(backend, projector.linear, store, x.rows, dy, {}, {});
  BOOST_TEST((whole.y == linear.y));
  BOOST_TEST((whole.dx == linear.dx));
  for (std::size_t i = 0; i < store.entries().size(); ++i) {
    const auto& name = store.entries()[i].name;
    const bool moves = name.starts_with("linear.") || name.starts_with("mlp.3.");
    double size = 0.0;
    for (const double g : whole.gradients[i]) size += std::abs(g);
    BOOST_TEST((size > 0.0) == moves, name);
  }
}

BOOST_AUTO_TEST_CASE(activations) {
  require_correct(Relu<B>(), 5, 9, 1);
  require_correct(Gelu<B>(), 5, 9, 1);
  require_correct(Silu<B>(), 5, 9, 1);
  require_correct(Mish<B>(), 5, 9, 1);
}

BOOST_AUTO_TEST_CASE(dropout) {
  require_correct(Dropout<B>(0.3), 9, 7, 1);
  require_correct(Dropout<B>(0.0), 4, 3, 1);
  GradientOptions outside_training;
  outside_training.train = false;
  require_correct(Dropout<B>(0.3), 4, 3, 1, outside_training);
}

BOOST_AUTO_TEST_CASE(sequential_fused) {
  require_correct(Sequential<B, Linear<B>, Relu<B>, Linear<B>>(Linear<B>(5, 6), Relu<B>(), Linear<B>(6, 3)), 7, 5, 5);
  require_correct(Sequential<B, LayerNorm<B>, Relu<B>, Gelu<B>>(LayerNorm<B>(9), Relu<B>(), Gelu<B>()), 6, 9, 3);
  require_correct(Sequential<B, RmsNorm<B>, Relu<B>, Gelu<B>>(RmsNorm<B>(9), Relu<B>(), Gelu<B>()), 6, 9, 2);
  require_correct(Stack<B, Linear, RmsNorm, Relu, Linear>(ProjectorConfig{4, 4}), 6, 4, 6);
  require_correct(Sequential<B, Linear<B>, LayerNorm<B>, Relu<B>, Linear<B>>(Linear<B>(4, 8), LayerNorm<B>(8),
                                                                             Relu<B>(), Linear<B>(8, 3)),
                  7, 4, 7);
}

BOOST_AUTO_TEST_CASE(sequential_unfused) {
  require_correct(Sequential<B, Linear<B>, Relu<B>>(Linear<B>(5, 6), Relu<B>()), 7, 5, 3);
  require_correct(Sequential<B, Linear<B>, Gelu<B>, Linear<B>>(Linear<B>(5, 6), Gelu<B>(), Linear<B>(6, 4)), 7, 5, 5);
  require_correct(Sequential<B, Relu<B>, Linear<B>, Silu<B>, LayerNorm<B>, Mish<B>>(
                      Relu<B>(), Linear<B>(5, 6), Silu<B>(), LayerNorm<B>(6), Mish<B>()),
                  7, 5, 5);
  require_correct(Sequential<B, Gelu<B>>(Gelu<B>()), 3, 4, 1);
  require_correct(Stack<B, Linear, RmsNorm, Mish, Linear>(ProjectorConfig{4, 4}), 6, 4, 6);
}

BOOST_AUTO_TEST_CASE(sequential_in_sequential) {
  using Inner = Sequential<B, Linear<B>, Relu<B>>;
  require_correct(Sequential<B, Inner, Linear<B>>(Inner(Linear<B>(3, 5), Relu<B>()), Linear<B>(5, 4)), 6, 3, 5);
}

BOOST_AUTO_TEST_CASE(feed_forward) {
  for (const auto f : {Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Mish})
    require_correct(FeedForward<B>(5, 8, f, 0.0, {}), 6, 5, 5);
  require_correct(FeedForward<B>(5, 8, Activation::Silu, 0.25, {}), 6, 5, 5);
}

BOOST_AUTO_TEST_CASE(recompute) {
  require_correct(Recompute<B, Linear<B>>(Linear<B>(5, 4)), 6, 5, 3);
  require_correct(Recompute<B, FeedForward<B>>(FeedForward<B>(5, 8, Activation::Silu, 0.25, {})), 6, 5, 5);
  require_correct(Recompute<B, Neural<B>>(Neural<B>(ProjectorConfig{4, 4})), 6, 4, 7);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(losses)

namespace {

struct EmbeddingModel {
  Embedding<B> table{6, 5, 4, Initial::normal(1.0)};
  Parameter<B> weights{9, 5, Initial::normal(1.0)};  // what the looked-up rows are multiplied with

  static void visit(auto& self, auto&& visitor) {
    visitor("table", self.table);
    visitor("weights", self.weights);
  }
};

/// Σ x∘y
double inner_product(B& backend, Rows<B> x, Rows<B> y) {
  const auto a = download(backend, x), b = download(backend, y);
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

template <template <class> class Bias>
struct OutputModel {
  OutputModel(int rows, int vocabulary, int width)
      : h(rows, width, Initial::normal(1.0)),
        table(vocabulary, width, -1, Initial::normal(1.0)),
        output(Bias<B>(1, vocabulary, Initial::normal(1.0))) {}

  Parameter<B> h;
  Embedding<B> table;
  TiedOutput<B, Bias> output;

  static void visit(auto& self, auto&& visitor) {
    visitor("h", self.h);
    visitor("table", self.table);
    visitor("bias", self.output);
  }
};

template <template <class> class Bias>
void check_output_with(int rows, int vocabulary, int width, double smoothing) {
  B backend(1);
  OutputModel<Bias> model(rows, vocabulary, width);
  ParameterStore<B> store(backend, model, Purpose::Training);
  std::vector<int> targets;
  RandomStream random({5, 0, 0});
  for (int i = 0; i < rows; ++i)
    targets.push_back(static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary))));
  constexpr double factor = 0.3;
  const auto report = check_loss(
      backend, store,
      [&](const Pass<B>& pass) {
        return factor * model.output.loss(pass, model.table.weight, model.h.value, targets, smoothing).smoothed;
      },
      [&](const Pass<B>& pass) {
        const auto dh = pass.scratch.rows(rows, width);
        StepOutcome sums;
        model.output.loss_and_gradient(pass, model.table.weight, model.h.value, targets, smoothing, factor, dh,
                                       Into::Write, &sums);
        backend(ops::Add<B>{.x = dh, .y = model.h.gradient});
        BOOST_TEST(model.output.loss(pass, model.table.weight, model.h.value, targets, smoothing).tokens == rows);
        return factor * sums.smoothed_loss;
      });
  BOOST_TEST(report.ok(), report.text());
  constexpr bool trained_bias = std::is_same_v<Bias<B>, Parameter<B>>;
  BOOST_TEST(report.tensors.size() == (trained_bias ? 3u : 2u));
}

void check_output(int rows, int vocabulary, int width, double smoothing) {
  check_output_with<Buffer>(rows, vocabulary, width, smoothing);
  check_output_with<Parameter>(rows, vocabulary, width, smoothing);
}

}  // namespace

BOOST_AUTO_TEST_CASE(embedding_with_padding) {
  B backend(1);
  EmbeddingModel model;
  ParameterStore<B> store(backend, model, Purpose::Training);
  const std::vector<int> ids{1, 3, 4, 1, 1, 5, 4, 0, 3};  // 4 is the padding, 2 never occurs
  const auto y_of = [&](const Pass<B>& pass) {
    const auto y = pass.saved.rows(9, 5);
    model.table.forward(pass, ids, 1.7, Into::Write, y);
    return y;
  };
  const auto dot = [&](const Pass<B>& pass) { return inner_product(backend, y_of(pass), model.weights.value); };
  // The gradient of the padding's row is left out on purpose, so that row must not depend on the loss either: its
  // weights are zero.
  testing::randomise(backend, store, 4);
  for (const int row : {2, 6}) backend(ops::Fill<B>{.x = model.weights.value.slice(row, 1), .value = 0.0});
  GradientOptions as_it_is;
  as_it_is.randomise = false;
  const auto report = check_loss(
      backend, store, dot,
      [&](const Pass<B>& pass) {
        const double loss = dot(pass);
        backend(ops::Add<B>{.x = y_of(pass), .y = model.weights.gradient});
        model.table.backward(pass, model.weights.value, ids, 1.7);
        return loss;
      },
      as_it_is);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() == 2u);

  // With weights everywhere the padding's row still gets nothing.
  testing::randomise(backend, store, 4);
  store.zero_gradients();
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training();
  model.table.backward(pass, model.weights.value, ids, 1.7);
  BOOST_TEST(backend(ops::SquaredNorm<B>{.x = model.table.weight.gradient.slice(4, 1)}) == 0.0);
  BOOST_TEST(backend(ops::SquaredNorm<B>{.x = model.table.weight.gradient.slice(2, 1)}) == 0.0);
  for (const int row : {0, 1, 3, 5})
    BOOST_TEST(backend(ops::SquaredNorm<B>{.x = model.table.weight.gradient.slice(row, 1)}) > 0.0);
}

BOOST_AUTO_TEST_CASE(tied_output) {
  check_output(7, 11, 4, 0.0);
  check_output(7, 11, 4, 0.1);
  check_output(1, 33, 3, 0.3);
}

BOOST_AUTO_TEST_CASE(tied_output_in_several_chunks) { check_output(1030, 3, 2, 0.1); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(planted_errors)

namespace {

enum class Fault { None, MissingTerm, Sign, Overwrite, OverwriteInput, Uninitialised, ChangesDy, OffByOne };

/// A Linear whose backward is wrong in one small way.
template <Fault fault>
class FaultyLinear : public Linear<B> {
 public:
  using Saved = Linear<B>::Saved;
  using Linear<B>::Linear;

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    auto& backend = pass.backend;
    const GradientTarget<B> target(pass, dx, dy.rows, weight.cols);
    if (fault == Fault::Overwrite) backend(ops::Fill<B>{.x = weight.gradient, .value = 0.0});
    backend(ops::LinearWeightGradient<B>{.dy = dy, .x = saved.x, .dw = weight.gradient});
    if (fault == Fault::MissingTerm)
      backend(ops::BiasGradient<B>{.dy = dy.slice(0, dy.rows - 1), .db = bias.gradient});
    else
      backend(ops::BiasGradient<B>{.dy = dy, .db = bias.gradient});
    const bool add = fault == Fault::Uninitialised || (target.into == Into::Add && fault != Fault::OverwriteInput);
    if (fault == Fault::OffByOne) {
      backend(ops::Fill<B>{.x = target.rows, .value = 0.0});
      backend(ops::LinearInputGradient<B>{.dy = dy.slice(0, dy.rows - 1),
                                          .w = weight.value,
                                          .into = Into::Add,
                                          .dx = target.rows.slice(1, dy.rows - 1)});
    } else {
      backend(ops::LinearInputGradient<B>{
          .dy = dy, .w = weight.value, .into = add ? Into::Add : Into::Write, .dx = target.rows});
    }
    if (fault == Fault::Sign) backend(ops::Scale<B>{.x = target.rows.slice(0, 1).columns(0, 1), .factor = -1.0});
    if (fault == Fault::ChangesDy) backend(ops::Scale<B>{.x = dy, .factor = 2.0});
    return target.rows;
  }
};

/// LayerNorm that forgets that the mean depends on x.
class ForgetfulNorm : public LayerNorm<B> {
 public:
  using LayerNorm<B>::LayerNorm;

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, dy.cols);
    const auto right = LayerNorm<B>::backward(pass, dy, saved);
    auto host = download(pass.backend, right);
    for (auto& v : host) v += 1e-4;
    pass.backend(ops::Upload<B>{.values = host, .x = right});
    if (target.into == Into::Add)
      pass.backend(ops::Add<B>{.x = right, .y = target.rows});
    else
      pass.backend(ops::Copy<B>{.x = right, .y = target.rows});
    return target.rows;
  }
};

/// A ReLU that is computed with the Linear before it although nothing follows.
struct FusedAtTheEnd : Linear<B> {
  using Linear<B>::Linear;

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return forward_fused(pass, x, saved, Activation::Relu);
  }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return backward_fused(pass, dy, saved, Activation::Relu, dx);
  }
};

/// A module that returns its input.
struct Lazy {
  struct Saved {};
  static void visit(auto&, auto&&) {}
  Rows<B> forward(const Pass<B>&, Rows<B> x, Saved&) const { return x; }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved&, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, dy.cols);
    if (target.into == Into::Add)
      pass.backend(ops::Add<B>{.x = dy, .y = target.rows});
    else
      pass.backend(ops::Copy<B>{.x = dy, .y = target.rows});
    return target.rows;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_frame_itself_is_right) { BOOST_TEST(report_of(FaultyLinear<Fault::None>(4, 3), 5, 4).ok()); }

BOOST_AUTO_TEST_CASE(missing_term) {
  const auto report = report_of(FaultyLinear<Fault::MissingTerm>(4, 3), 5, 4);
  BOOST_TEST(!report.ok());
  BOOST_TEST(!tensor(report, "bias").ok);
  BOOST_TEST(tensor(report, "weight").ok);
  BOOST_TEST(tensor(report, "x").ok);
}

BOOST_AUTO_TEST_CASE(sign) {
  const auto report = report_of(FaultyLinear<Fault::Sign>(4, 3), 5, 4);
  BOOST_TEST(!tensor(report, "x").ok);
  BOOST_TEST(tensor(report, "weight").ok);
}

BOOST_AUTO_TEST_CASE(overwriting_instead_of_adding) {
  const auto report = report_of(FaultyLinear<Fault::Overwrite>(4, 3), 5, 4);
  BOOST_TEST(!tensor(report, "weight").ok);
  BOOST_TEST(tensor(report, "bias").ok);
  BOOST_TEST(tensor(report, "x").ok);
}

BOOST_AUTO_TEST_CASE(overwriting_the_given_dx) {
  const auto report = report_of(FaultyLinear<Fault::OverwriteInput>(4, 3), 5, 4);
  BOOST_TEST(tensor(report, "x").ok);
  BOOST_TEST(!tensor(report, "x (adding form)").ok);
}

BOOST_AUTO_TEST_CASE(uninitialised_memory) {
  const auto report = report_of(FaultyLinear<Fault::Uninitialised>(4, 3), 5, 4);
  BOOST_TEST(!tensor(report, "x").ok);
  BOOST_TEST(std::isnan(tensor(report, "x").analytic_norm));
  BOOST_TEST(tensor(report, "x (adding form)").ok);
}

BOOST_AUTO_TEST_CASE(wrong_rows) { BOOST_TEST(!tensor(report_of(FaultyLinear<Fault::OffByOne>(4, 3), 5, 4), "x").ok); }

BOOST_AUTO_TEST_CASE(changed_dy) {
  const auto report = report_of(FaultyLinear<Fault::ChangesDy>(4, 3), 5, 4);
  BOOST_TEST(!report.ok());
  BOOST_TEST(!report.violations.empty());
}

// Alone this is right: only who writes into the result learns that backward reads it.
BOOST_AUTO_TEST_CASE(result_that_backward_reads) {
  const auto report = report_of(FusedAtTheEnd(4, 3), 5, 4);
  BOOST_TEST(!report.ok());
  BOOST_TEST(report.violations.size() == 1u);
  for (const auto& one : report.tensors) BOOST_TEST(one.ok, one.name);
}

BOOST_AUTO_TEST_CASE(small_systematic_error) {
  const auto report = report_of(ForgetfulNorm(6), 5, 6);
  BOOST_TEST(!tensor(report, "x").ok);
  BOOST_TEST(!tensor(report, "x (adding form)").ok);
  BOOST_TEST(tensor(report, "weight").ok);
}

BOOST_AUTO_TEST_CASE(returned_input) {
  const auto report = report_of(Lazy(), 5, 4);
  BOOST_TEST(!report.ok());
  BOOST_TEST(!report.violations.empty());
}

BOOST_AUTO_TEST_CASE(unexpected_zero) {
  // Gradients that are expected to vanish and do not, and the other way round.
  B backend(1);
  Linear<B> linear(4, 3);
  GradientOptions options;
  options.zero = {"bias"};
  BOOST_TEST(!check_module(backend, linear, 5, 4, options).ok());
  // The only gradient that reaches this LayerNorm's x over width 1 is zero.
  LayerNorm<B> constant(1);
  BOOST_TEST(!tensor(check_module(backend, constant, 5, 1), "x").ok);
}

BOOST_AUTO_TEST_CASE(nothing_to_check) { BOOST_TEST(!GradientReport{}.ok()); }

BOOST_AUTO_TEST_SUITE_END()
