// The model never touches device memory on the host: it trains and decodes on a backend whose memory is closed outside
// operations, with the results of the open backend.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_fenced
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/testing/fenced.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;
using neural_attention::testing::Fenced;

namespace {

struct Outcome {
  std::vector<double> values, losses, norms;
  double evaluated = 0.0;
  std::vector<std::vector<int>> translations;
};

template <class B, class P, template <class> class O>
Outcome train_and_translate(B& backend, MarianConfig config, std::uint64_t seed) {
  Marian<B, P> model(backend, config, seed);
  StepOptions options;
  options.learning_rate = 1e-3;
  options.schedule.kind = Schedule::Kind::Constant;
  options.label_smoothing = 0.1;
  typename O<B>::Options optimizer;
  optimizer.weight_decay = 0.01;
  TrainingStep<Marian<B, P>, O<B>> training(backend, model, options, optimizer);
  const auto pairs = tiny::pairs();
  std::vector<TranslationBatch> parts{tiny::batch(pairs, 0, 1), tiny::batch(pairs, 1, 3)};
  Outcome outcome;
  for (int i = 0; i < 3; ++i) {
    const auto result = training.run(std::span(parts));
    outcome.losses.push_back(result.loss.smoothed);
    outcome.norms.push_back(result.gradient_norm);
  }
  outcome.values = tiny::values(backend, model.parameters());
  outcome.evaluated = training.evaluate(tiny::batch(pairs)).negative_log_likelihood;
  auto how = generation_defaults(config);
  how.max_length = 12;
  Generator<Marian<B, P>> generate(backend, model);
  for (const auto& found : generate(tiny::batch(pairs), how)) outcome.translations.push_back(found.front().ids);
  return outcome;
}

template <class P, template <class> class O = Adam>
void compare(MarianConfig config, std::uint64_t seed = 3) {
  Cpu<double> open(1);
  Fenced<Cpu<double>> fenced(1);
  const auto expected = train_and_translate<Cpu<double>, P, O>(open, config, seed);
  const auto found = train_and_translate<Fenced<Cpu<double>>, P, O>(fenced, config, seed);
  BOOST_TEST(fenced.operations() > 100);
  BOOST_REQUIRE(!expected.values.empty());
  BOOST_TEST(found.values == expected.values);
  BOOST_REQUIRE(expected.losses.size() == 3u);
  BOOST_TEST(found.losses == expected.losses);
  BOOST_TEST(found.norms == expected.norms);
  BOOST_TEST(found.evaluated == expected.evaluated);
  BOOST_REQUIRE(expected.translations.size() == 4u);
  BOOST_TEST((found.translations == expected.translations));
  std::size_t tokens = 0;
  for (const auto& sentence : expected.translations) tokens += sentence.size();
  BOOST_TEST(tokens > 0u);
}

/// Runs body in a child and returns the signal that ended it, or 0.
template <class Body>
int signal_of_child(Body&& body) {
  const auto child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(training_and_decoding)

BOOST_AUTO_TEST_CASE(linear_projectors) { compare<LinearProjections>(tiny::config(2, 8, 0.1)); }
BOOST_AUTO_TEST_CASE(neural_projectors) { compare<paper::marian>(tiny::config(2, 8, 0.1)); }

namespace {

template <class B>
using RmsNeural = Stack<B, Linear, RmsNorm, Mish, Linear>;

}  // namespace

BOOST_AUTO_TEST_CASE(other_projectors_with_sgd) {
  compare<Projections<RmsNeural, ResidualNeural, Linear, ResidualPlainNeural>, Sgd>(tiny::config(2, 8, 0.1), 4);
}
BOOST_AUTO_TEST_CASE(options_of_attention) {
  auto config = tiny::config(3, 8, 0.1);
  config.attention = {.learned_scale = LearnedScale::PerHead,
                      .soft_cap = 2.0,
                      .qk_norm = QueryKeyNorm::Rms,
                      .gate = GateKind::PerElement,
                      .value_residual = ValueResidualKind::Learned,
                      .value_width = 6};
  for (const bool checkpointing : {false, true}) {
    config.gradient_checkpointing = checkpointing;
    compare<paper::marian>(config);
  }
}
BOOST_AUTO_TEST_CASE(recomputed) {
  auto config = tiny::config(2, 8, 0.1);
  config.gradient_checkpointing = true;
  compare<paper::marian>(config);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_fence)

BOOST_AUTO_TEST_CASE(host_access_dies) {
  Fenced<Cpu<double>> backend(1);
  const auto memory = backend.allocate(8 * sizeof(double));
  const RowsOf<double> rows(static_cast<double*>(memory.data()), 2, 4);
  backend(ops::Fill<Fenced<Cpu<double>>>{.x = rows, .value = 3.0});
  BOOST_TEST(signal_of_child([] {}) == 0);
  BOOST_TEST(signal_of_child([&] { static_cast<volatile double*>(rows.data)[3] = 1.0; }) == SIGSEGV);
  BOOST_TEST(signal_of_child([&] {
               const double read = *static_cast<volatile double*>(rows.row(1));
               ::_exit(read > 0.0 ? 1 : 2);
             }) == SIGSEGV);
  std::vector<double> host(8);
  backend(ops::Download<Fenced<Cpu<double>>>{.x = rows, .values = host});
  BOOST_TEST(host == std::vector<double>(8, 3.0));
}

BOOST_AUTO_TEST_CASE(memory_of_a_model_is_closed) {
  using B = Fenced<Cpu<double>>;
  B backend(1);
  Marian<B, LinearProjections> model(backend, tiny::config());
  BOOST_TEST(signal_of_child([&] {
               const double read = *static_cast<volatile double*>(model.parameters().values().data);
               ::_exit(read > 0.0 ? 1 : 2);
             }) == SIGSEGV);
}

BOOST_AUTO_TEST_CASE(moved_memory_is_released_once) {
  Fenced<Cpu<float>> backend(1);
  auto first = backend.allocate(100);
  void* const place = first.data();
  auto second = std::move(first);
  BOOST_TEST(first.data() == nullptr);
  BOOST_TEST(second.data() == place);
  second = backend.allocate(10);
  BOOST_TEST(second.data() != nullptr);
  backend(ops::Fill<Fenced<Cpu<float>>>{.x = {static_cast<float*>(second.data()), 1, 2}, .value = 1.0f});
}

BOOST_AUTO_TEST_SUITE_END()
