// Whole models on the CUDA backend, whose kernels run on the CPU here: they train and decode as they do on Cpu<float>.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cuda_model
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "backend/gpu.hpp"
#include "decode/decoding_subject.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/paper.hpp"
#include "neural_attention/train/training_step.hpp"
#include "sanitized.hpp"
#if !defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)
#include "cuda/emulation.hpp"
#endif

using namespace neural_attention;
using cpu_support::Gpu;

namespace {

constexpr bool slow = NEURAL_ATTENTION_SANITIZED;  // emulated kernels are, there
constexpr int steps = slow ? 4 : 20;
constexpr double dropout = 0.2;

/// The losses and gradient norms of training steps, and the parameters before and after.
struct Run {
  std::vector<double> losses, norms;
  std::vector<float> before, after;
};

/// A Family says how a model is made and with what it is trained.
struct MarianFamily {
  template <class B>
  using Model = Marian<B, paper::marian>;
  static MarianConfig config() {
    auto config = tiny::config(2, 16, dropout);
    config.encoder_ffn_dim = config.decoder_ffn_dim = 24;
    return config;
  }
  static TranslationBatch batch() { return tiny::batch(tiny::pairs()); }
};

struct RobertaFamily {
  template <class B>
  using Model = Roberta<B, paper::roberta>;
  static RobertaConfig config() {
    auto config = tiny::roberta_config(2, dropout);
    config.hidden_size = 16;
    config.intermediate_size = 24;
    // With tiny's 0.5, gradients have norms of 40, and even float and double on the CPU part.
    config.initializer_range = 0.1;
    return config;
  }
  static MaskedBatch batch() { return tiny::masked_batch(tiny::masked_sequences()); }
};

/// With everything that GPT-2 has and the others lack.
struct Gpt2Family {
  template <class B>
  using Model = Gpt2<B, published::karbevski2026_query>;
  static Gpt2Config config() {
    auto config = tiny::gpt2_config(2, dropout);
    config.n_embd = 16;
    config.n_inner = 24;
    config.initializer_range = 0.1;
    config.scale_attn_by_inverse_layer_idx = true;
    config.bias = false;
    return config;
  }
  static CausalBatch batch() { return tiny::causal_batch(tiny::texts()); }
};

/// All options of attention that go together.
struct MarianWithOptions : MarianFamily {
  static MarianConfig config() {
    auto config = MarianFamily::config();
    config.attention = {.learned_scale = LearnedScale::PerHead,
                        .soft_cap = 5.0,
                        .qk_norm = QueryKeyNorm::Rms,
                        .gate = GateKind::PerElement,
                        .value_residual = ValueResidualKind::Learned,
                        .value_width = 6};
    return config;
  }
};

struct RobertaWithOptions : RobertaFamily {
  static RobertaConfig config() {
    auto config = RobertaFamily::config();
    config.attention = {
        .qk_norm = QueryKeyNorm::L2, .gate = GateKind::PerHead, .value_residual = ValueResidualKind::Fixed};
    return config;
  }
};

template <class Family, class B>
Run trained(int device, int count = steps, std::uint64_t seed_of_masks = 42) {
  B backend(device);
  typename Family::template Model<B> model(backend, Family::config(), 3);
  StepOptions options;
  options.learning_rate = 1e-3;
  options.schedule.kind = Schedule::Kind::Constant;
  options.label_smoothing = 0.1;
  options.seed = seed_of_masks;
  TrainingStep<typename Family::template Model<B>> training(backend, model, options, {});
  Run run;
  run.before = tiny::values(backend, model.parameters());
  auto batch = Family::batch();
  for (int step = 0; step < count; ++step) {
    const auto result = training.run(std::span(&batch, 1));
    run.losses.push_back(result.loss.smoothed / double(result.loss.tokens));
    run.norms.push_back(result.gradient_norm);
  }
  run.after = tiny::values(backend, model.parameters());
  return run;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

template <class Family>
void check_training() {
  const auto cpu = trained<Family, Cpu<float>>(1);
  const auto cuda = trained<Family, Gpu>(1);
  BOOST_TEST_REQUIRE(cpu.losses.size() == std::size_t{steps});
  constexpr int part = steps / 4;
  const auto sum = [](auto first, auto last) { return std::accumulate(first, last, 0.0); };
  BOOST_TEST(sum(cpu.losses.end() - part, cpu.losses.end()) < sum(cpu.losses.begin(), cpu.losses.begin() + part));
  BOOST_TEST((cuda.before == cpu.before), "other initial weights");
  BOOST_TEST_MESSAGE("losses differ by " << largest_difference(cuda.losses, cpu.losses) << ", gradient norms by "
                                         << largest_difference(cuda.norms, cpu.norms));
  BOOST_TEST(largest_difference(cuda.losses, cpu.losses) < 1e-4);
  BOOST_TEST(largest_difference(cuda.norms, cpu.norms) < 1e-3);

  // With other dropout masks the losses differ by more than that, so the masks are the same ones.
  const auto other = trained<Family, Cpu<float>>(1, steps, 43);
  BOOST_TEST(largest_difference(other.losses, cpu.losses) > 1e-2);
}

/// Devices differ in the order in which threads get their turn.
template <class Family>
void check_orders() {
  constexpr int few = slow ? 1 : 3;
  const auto first = trained<Family, Gpu>(1, few);
  for (const int device : {2, 3}) {
    const auto other = trained<Family, Gpu>(device, few);
    BOOST_TEST(other.losses == first.losses);
    BOOST_TEST((other.after == first.after));
  }
}

/// A step with numbers that are not finite leaves parameters and moments as they were.
template <class Family, class B>
void check_not_finite() {
  B backend(1);
  using Model = typename Family::template Model<B>;
  Model model(backend, Family::config(), 3);
  auto& store = model.parameters();
  TrainingStep<Model> training(backend, model, {.schedule = {Schedule::Kind::Constant}}, {});
  auto batch = Family::batch();
  training.run(std::span(&batch, 1));
  const auto& entry = store.entries()[1];
  std::vector<float> good(static_cast<std::size_t>(entry.size())), spoilt = good;
  backend(ops::DownloadOf<float>{.x = store.value(entry), .values = good});
  spoilt.assign(good.size(), std::numeric_limits<float>::infinity());
  const auto state = [&] {
    auto all = tiny::values(backend, store);
    for (const auto& moment : training.optimizer().moments()) {
      std::vector<float> host(static_cast<std::size_t>(moment.numbers.size()));
      backend(ops::DownloadOf<float>{.x = moment.numbers, .values = host});
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  };
  const auto write = [&](const std::vector<float>& values) {
    backend(ops::UploadOf<float>{.values = values, .x = store.value(entry)});
    store.refresh();
  };
  const auto before = state();
  write(spoilt);
  BOOST_CHECK_EXCEPTION(training.run(std::span(&batch, 1)), NumericError, [&](const NumericError& error) {
    const std::string what = error.what();
    return what.find("step 2") != what.npos && what.find(entry.name) != what.npos;
  });
  write(good);
  BOOST_TEST((state() == before));
  BOOST_TEST(training.optimizer().steps() == 1);
  training.run(std::span(&batch, 1));  // and it goes on
  BOOST_TEST(training.optimizer().steps() == 2);
  BOOST_TEST((state() != before));
}

#if !defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)

/// A step of every size has been seen: from then on the host waits once a step, for its result.
template <class Family, class B>
void check_waits() {
  B backend(1);
  using Model = typename Family::template Model<B>;
  Model model(backend, Family::config(), 3);
  TrainingStep<Model> training(backend, model, {}, {});
  std::vector parts(2, Family::batch());
  parts[1].follow(parts[0]);
  for (int warm_up = 0; warm_up < 2; ++warm_up) training.run(std::span(parts));
  emulation::waits = 0;
  training.launch(std::span(parts));
  BOOST_TEST(emulation::waits == 0);
  training.result();
  BOOST_TEST(emulation::waits == 1);
}

#endif

template <class P>
void check_decoding(const GenerationConfig& how, const AttentionOptions& attention = {}) {
  for (const std::uint64_t seed : {1, 2}) {
    if (slow && seed > 1) break;
    decoding::Subject<Cpu<float>, P> cpu(seed, 31, 1.6, false, attention);
    decoding::Subject<Gpu, P> cuda(seed, 31, 1.6, false, attention);
    const auto sources = decoding::sources(cpu.vocabulary(), 5);
    const auto expected = cpu.generate(sources, how), found = cuda.generate(sources, how);
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t s = 0; s < found.size(); ++s) {
      BOOST_TEST_REQUIRE(found[s].size() == expected[s].size());
      for (std::size_t i = 0; i < found[s].size(); ++i) {
        BOOST_TEST(found[s][i].ids == expected[s][i].ids, boost::test_tools::per_element());
        BOOST_TEST(std::abs(found[s][i].score - expected[s][i].score) < 1e-4);
      }
    }
  }
}

/// Continuations of prompts of several lengths.
template <class B>
std::vector<std::vector<Hypothesis>> continued(const GenerationConfig& how) {
  using Model = Gpt2Family::Model<B>;
  B backend(1);
  auto config = Gpt2Family::config();
  config.initializer_range = 0.5;
  const Model model(backend, config, 5, Purpose::Inference);
  PackedTokens prompts;
  for (const auto& prompt : {std::vector{1, 2, 3}, {4}, {5, 6, 7, 8, 1}}) prompts.push(prompt);
  return Generator<Model>(backend, model)(prompts, how);
}

GenerationConfig some_tokens() {
  GenerationConfig how;
  how.max_length = slow ? 5 : 12;
  return how;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(training)

BOOST_AUTO_TEST_CASE(marian_follows_the_cpu) { check_training<MarianFamily>(); }
BOOST_AUTO_TEST_CASE(roberta_follows_the_cpu) { check_training<RobertaFamily>(); }
BOOST_AUTO_TEST_CASE(gpt2_follows_the_cpu) { check_training<Gpt2Family>(); }
BOOST_AUTO_TEST_CASE(options_of_attention_follow_the_cpu) {
  check_training<MarianWithOptions>();
  check_training<RobertaWithOptions>();
}

BOOST_AUTO_TEST_CASE(does_not_depend_on_the_order_of_threads) {
  check_orders<MarianFamily>();
  check_orders<RobertaFamily>();
  check_orders<Gpt2Family>();
}

BOOST_AUTO_TEST_CASE(a_step_that_is_not_finite_changes_nothing) {
  check_not_finite<MarianFamily, Cpu<float>>();
  check_not_finite<MarianFamily, Gpu>();
  check_not_finite<RobertaFamily, cpu_support::GpuOf<bfloat16>>();
}

#if !defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)

BOOST_AUTO_TEST_CASE(a_steady_step_waits_only_for_its_result) {
  check_waits<MarianFamily, Gpu>();
  check_waits<MarianFamily, cpu_support::GpuOf<bfloat16>>();
  check_waits<RobertaFamily, Gpu>();
  check_waits<Gpt2Family, Gpu>();
}

#endif

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(decoding_of_the_same_weights)

BOOST_AUTO_TEST_CASE(greedy) { check_decoding<paper::marian>(some_tokens()); }

BOOST_AUTO_TEST_CASE(greedy_with_options_of_attention) {
  check_decoding<paper::marian>(some_tokens(), MarianWithOptions::config().attention);
  check_decoding<paper::marian>(some_tokens(), {.soft_cap = 2.0, .qk_norm = QueryKeyNorm::L2});
}

BOOST_AUTO_TEST_CASE(beams) {
  auto how = some_tokens();
  how.num_beams = how.num_return_sequences = 4;
  how.no_repeat_ngram_size = 3;
  check_decoding<paper::marian>(how);
}

BOOST_AUTO_TEST_CASE(continued_texts) {
  auto how = some_tokens();
  for (const int beams : {1, 3}) {
    how.num_beams = how.num_return_sequences = beams;
    const auto expected = continued<Cpu<float>>(how), found = continued<Gpu>(how);
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t p = 0; p < found.size(); ++p) {
      BOOST_TEST_REQUIRE(found[p].size() == expected[p].size());
      for (std::size_t i = 0; i < found[p].size(); ++i)
        BOOST_TEST(found[p][i].ids == expected[p][i].ids, boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(samples) {
  auto how = some_tokens();
  how.do_sample = true;
  how.top_k = 10;
  how.top_p = 0.9;
  how.num_return_sequences = 2;
  check_decoding<paper::marian>(how);
}

BOOST_AUTO_TEST_SUITE_END()
