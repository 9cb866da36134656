// What results may depend on: not the number of threads (bit for bit), not the split of a step into parts, not the
// other sentences of a batch (to rounding); and a step that is not finite changes nothing.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_determinism
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "golden_file.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;

namespace {

/// Sentences long and numerous enough that every operation is cut into several pieces.
std::vector<tiny::Pair> many_pairs(int count, int longest, int vocabulary) {
  RandomStream random({11, 0, 0});
  std::vector<tiny::Pair> pairs;
  const auto sentence = [&] {
    std::vector<int> ids(random.below(static_cast<std::uint32_t>(longest)));
    for (auto& id : ids) id = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 2)));
    ids.push_back(0);
    return ids;
  };
  for (int i = 0; i < count; ++i) {
    auto source = sentence();
    pairs.push_back({std::move(source), sentence()});
  }
  return pairs;
}

MarianConfig wide_config() {
  auto config = tiny::config(2, 32, 0.1);
  config.vocab_size = 203;
  config.pad_token_id = 202;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 80;
  config.max_position_embeddings = 200;
  return config;
}

StepOptions step_options() {
  StepOptions options;
  options.learning_rate = 1e-3;
  options.schedule.kind = Schedule::Kind::Constant;
  options.label_smoothing = 0.1;
  return options;
}

template <class T>
struct State {
  std::vector<T> values;
  std::vector<double> losses, norms;
};

template <class T, class P>
State<T> trained(int threads) {
  using B = Cpu<T>;
  B backend(threads);
  BOOST_REQUIRE(backend.threads() == threads);
  Marian<B, P> model(backend, wide_config(), 3);
  TrainingStep<Marian<B, P>> training(backend, model, step_options(), {});
  const auto pairs = many_pairs(30, 150, 203);
  State<T> state;
  for (std::size_t i = 0; i < 5; ++i) {
    auto batch = tiny::batch(pairs, i * 6, 6, 202);
    batch.source.begin_at({});
    batch.decoder_input.begin_at({});
    const auto result = training.run(std::span(&batch, 1));
    state.losses.push_back(result.loss.smoothed);
    state.norms.push_back(result.gradient_norm);
  }
  state.values = tiny::values(backend, model.parameters());
  return state;
}

template <class T, class P>
void check_threads() {
  const auto one = trained<T, P>(1);
  BOOST_REQUIRE(one.values.size() > 10000u);
  for (const int threads : {2, 7}) {
    const auto several = trained<T, P>(threads);
    BOOST_TEST((several.values == one.values), threads << " threads give other parameters");
    BOOST_TEST(several.losses == one.losses);
    BOOST_TEST(several.norms == one.norms);
  }
}

template <class P>
struct Gradients {
  LossSum loss;
  double norm;
  std::vector<double> gradients, values;
};

template <class P>
Gradients<P> step_in_parts(const std::vector<std::size_t>& counts, bool right_places = true) {
  using B = Cpu<double>;
  B backend(1);
  Marian<B, P> model(backend, tiny::config(2, 8, 0.2), 3);
  TrainingStep<Marian<B, P>> training(backend, model, step_options(), {});
  const auto pairs = tiny::pairs();
  std::vector<TranslationBatch> parts;
  std::size_t first = 0;
  for (const auto count : counts) {
    parts.push_back(tiny::batch(pairs, first, count));
    if (!right_places) {
      parts.back().source.begin_at({});
      parts.back().decoder_input.begin_at({});
    }
    first += count;
  }
  BOOST_REQUIRE(first == pairs.size());
  const auto result = training.run(std::span(parts));
  std::vector<double> gradients(static_cast<std::size_t>(model.parameters().gradients().size()));
  backend(ops::Download<B>{.x = model.parameters().gradients(), .values = gradients});
  return {result.loss, result.gradient_norm, gradients, tiny::values(backend, model.parameters())};
}

template <class P>
void check_parts() {
  const auto whole = step_in_parts<P>({4});
  BOOST_REQUIRE(whole.norm > 1e-3);
  for (const auto& counts : std::vector<std::vector<std::size_t>>{{1, 3}, {2, 2}, {1, 1, 1, 1}}) {
    const auto parts = step_in_parts<P>(counts);
    BOOST_TEST(parts.loss.tokens == whole.loss.tokens);
    BOOST_TEST(std::abs(parts.loss.smoothed - whole.loss.smoothed) <= 1e-12 * whole.loss.smoothed);
    BOOST_TEST(golden::difference(parts.gradients, whole.gradients) <= 1e-12);
    BOOST_TEST(std::abs(parts.norm - whole.norm) <= 1e-12);
  }
  // The masks do depend on the places that the parts are given: else the above would show nothing.
  const auto misplaced = step_in_parts<P>({1, 3}, false);
  BOOST_TEST(golden::difference(misplaced.gradients, whole.gradients) > 1e-4);
}

template <class P>
std::vector<double> logits_of(const std::vector<tiny::Pair>& pairs, std::size_t first, std::size_t count) {
  using B = Cpu<double>;
  B backend(1);
  Marian<B, P> model(backend, wide_config(), 3);
  typename Marian<B, P>::Saved saved;
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_inference();
  const auto batch = tiny::batch(pairs, first, count, 202);
  const auto hidden = model.decode(pass, batch, model.encode(pass, batch, saved), saved);
  const auto logits = pass.scratch.rows(hidden.rows, model.config().vocab_size);
  model.logits(pass, hidden, logits);
  std::vector<double> host(static_cast<std::size_t>(logits.size()));
  backend(ops::Download<B>{.x = logits, .values = host});
  return host;
}

template <class P>
void check_company() {
  const auto pairs = many_pairs(7, 90, 203);
  const auto together = logits_of<P>(pairs, 0, pairs.size());
  std::size_t begin = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto alone = logits_of<P>(pairs, i, 1);
    BOOST_REQUIRE(begin + alone.size() <= together.size());
    const std::vector<double> same(together.begin() + std::ptrdiff_t(begin),
                                   together.begin() + std::ptrdiff_t(begin + alone.size()));
    BOOST_TEST(golden::difference(same, alone) <= 1e-12);
    begin += alone.size();
  }
  BOOST_TEST(begin == together.size());
}

/// Trains one good step, spoils one element of `name` and expects the next step to refuse, naming `expected`.
template <class P>
void check_not_finite(const std::string& name, double bad, const std::string& expected) {
  using B = Cpu<double>;
  B backend(2);
  Marian<B, P> model(backend, tiny::config(2, 8, 0.1), 3);
  TrainingStep<Marian<B, P>> training(backend, model, step_options(), {});
  auto batch = tiny::batch(tiny::pairs());
  training.run(std::span(&batch, 1));
  const auto& store = model.parameters();
  const auto* const entry = store.find(name);
  BOOST_REQUIRE(entry != nullptr);
  const auto tensor = store.value(*entry);
  backend(ops::Fill<B>{.x = tensor.slice(tensor.rows - 1, 1).columns(tensor.cols - 1, 1), .value = bad});

  const auto moments = [&] {
    const auto kept = training.optimizer().moments();
    auto first = kept.at(0).numbers, second = kept.at(1).numbers;
    std::vector<double> host(static_cast<std::size_t>(first.size() + second.size()));
    backend(ops::Download<B>{.x = first, .values = std::span(host).first(static_cast<std::size_t>(first.size()))});
    backend(ops::Download<B>{.x = second, .values = std::span(host).last(static_cast<std::size_t>(second.size()))});
    return host;
  };
  const auto bits = [](const std::vector<double>& values) {
    std::vector<std::uint64_t> result;
    for (const double v : values) result.push_back(std::bit_cast<std::uint64_t>(v));
    return result;
  };
  const auto values_before = bits(tiny::values(backend, store)), moments_before = bits(moments());
  const auto steps_before = training.optimizer().steps();
  BOOST_REQUIRE(!values_before.empty());
  BOOST_REQUIRE(!moments_before.empty());
  std::string message;
  try {
    training.run(std::span(&batch, 1));
  } catch (const NumericError& error) {
    message = error.what();
  }
  BOOST_TEST(message.find(expected) != std::string::npos, "the message was: " << message);
  BOOST_TEST(message.find("step 2") != std::string::npos, "the message was: " << message);
  BOOST_TEST((bits(tiny::values(backend, store)) == values_before));
  BOOST_TEST((bits(moments()) == moments_before));
  BOOST_TEST(training.optimizer().steps() == steps_before);

  // Once the number is mended, training goes on.
  backend(ops::Fill<B>{.x = tensor.slice(tensor.rows - 1, 1).columns(tensor.cols - 1, 1), .value = 0.01});
  BOOST_TEST(std::isfinite(training.run(std::span(&batch, 1)).loss.smoothed));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(in_float) {
  check_threads<float, LinearProjections>();
  check_threads<float, paper::marian>();
}
BOOST_AUTO_TEST_CASE(in_double) { check_threads<double, paper::marian>(); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(parts_of_a_step)

BOOST_AUTO_TEST_CASE(equal_the_undivided_batch) {
  check_parts<LinearProjections>();
  check_parts<paper::marian>();
}

BOOST_AUTO_TEST_CASE(a_step_needs_tokens) {
  using B = Cpu<double>;
  B backend(1);
  Marian<B, LinearProjections> model(backend, tiny::config());
  TrainingStep<Marian<B, LinearProjections>> training(backend, model, step_options(), {});
  BOOST_CHECK_THROW(training.run(std::span<TranslationBatch>()), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(company)

BOOST_AUTO_TEST_CASE(does_not_matter) {
  check_company<LinearProjections>();
  check_company<paper::marian>();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(not_finite)

BOOST_AUTO_TEST_CASE(names_the_tensor_and_changes_nothing) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinite}) {
    check_not_finite<LinearProjections>("model.encoder.layers.1.fc1.weight", bad, "model.encoder.layers.1.fc1.weight");
    check_not_finite<LinearProjections>("model.shared.weight", bad, "model.shared.weight");
    check_not_finite<paper::marian>("model.decoder.layers.0.encoder_attn.k_proj.1.bias", bad,
                                    "model.decoder.layers.0.encoder_attn.k_proj.1.bias");
  }
}

BOOST_AUTO_TEST_CASE(a_gradient_that_overflows) {
  // A finite parameter whose effect is not: the message names a gradient or the norm.
  check_not_finite<LinearProjections>("model.shared.weight", 1e200, "not finite");
}

BOOST_AUTO_TEST_SUITE_END()
