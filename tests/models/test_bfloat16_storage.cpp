// Small models on Cuda<bfloat16>, whose kernels run on the CPU, or on a device: they train as in float, within what
// storing activations and weights in eight bits does to the losses (models/stored_bfloat16.hpp), and they translate.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_bfloat16_storage
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "backend/backends.hpp"
#include "models/stored_bfloat16.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/paper.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;

namespace {

using Gpu = cpu_support::GpuOf<bf16>;

constexpr int steps = 20, runs = 32;

/// The mean losses of the steps.
template <class B, template <class> class Model, class Config, class Batch>
std::vector<double> train(B&& backend, const Config& config, Batch batch) {
  using Backend = std::remove_cvref_t<B>;
  Model<Backend> model(backend, config, 3);
  StepOptions options;
  options.learning_rate = 4e-3;
  options.schedule.kind = Schedule::Kind::Constant;
  options.label_smoothing = 0.1;
  AdamOptions adam;
  adam.weight_decay = 0.01;
  TrainingStep<Model<Backend>> training(backend, model, options, adam);
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    const auto result = training.run(std::span(&batch, 1));
    losses.push_back(result.loss.smoothed / static_cast<double>(result.loss.tokens));
  }
  return losses;
}

/// How far the losses of each step are apart.
double distance(const std::vector<double>& a, const std::vector<double>& b, std::size_t step) {
  BOOST_TEST_REQUIRE((a.size() == steps && b.size() == steps));
  return std::abs(a[step] - b[step]);
}

template <template <class> class Model, class Config, class Batch>
void check_training(const Config& config, const Batch& batch) {
  const auto exact = train<Cpu<double>, Model>(Cpu<double>(1), config, batch);
  const auto in_float = train<Cpu<float>, Model>(Cpu<float>(1), config, batch);
  const auto products = train<Cpu<float>, Model>(Cpu<float>(1, Precision::BFloat16), config, batch);
  const auto found = train<Gpu, Model>(Gpu(0), config, batch);
  std::vector<std::vector<double>> disturbed;
  for (int seed = 1; seed <= runs; ++seed)
    disturbed.push_back(train<StoredBFloat16, Model>(StoredBFloat16(seed), config, batch));
  double nearest = 0.0, widest = 0.0, all = 0.0, all_runs = 0.0;
  for (std::size_t step = 0; step < steps; ++step) {
    double squares = 0.0;
    for (const auto& run : disturbed) squares += distance(run, exact, step) * distance(run, exact, step) / runs;
    // √n root mean squares of n errors are at least the largest of them.
    const double bound = std::sqrt(runs * squares);
    BOOST_TEST(bound < in_float.front() - in_float.back());  // else it would say nothing of the training
    BOOST_TEST(distance(found, in_float, step) <= bound,
               "step " << step << " is off by " << distance(found, in_float, step) << ", the bound is " << bound);
    BOOST_TEST(distance(found, products, step) <= 2 * bound);  // whose own products are of bfloat16 numbers
    nearest = std::max(nearest, distance(found, in_float, step) / bound);
    widest = std::max(widest, bound / exact[step]);
    all += distance(found, in_float, step) * distance(found, in_float, step) / steps;
    all_runs += squares / steps;
  }
  BOOST_TEST_MESSAGE("losses from " << in_float.front() << " to " << in_float.back() << ", in bfloat16 " << found.back()
                                    << "; the largest error is " << nearest << " of its bound, the widest bound "
                                    << widest << " of its loss; all errors are " << std::sqrt(all / all_runs)
                                    << " of those expected");
  BOOST_TEST(found != in_float);
  BOOST_TEST(found.back() < 0.9 * found.front());
}

template <class B>
using Translator = Marian<B, paper::marian>;
template <class B>
using PlainTranslator = Marian<B, tiny::AllPlain>;
template <class B>
using MaskedModel = Roberta<B, paper::roberta>;

}  // namespace

BOOST_AUTO_TEST_SUITE(training_in_bfloat16)

BOOST_AUTO_TEST_CASE(marian) {
  check_training<Translator>(tiny::config(1, 8, 0.1), tiny::batch(tiny::pairs()));
  check_training<PlainTranslator>(tiny::config(2, 8), tiny::batch(tiny::pairs()));
}

BOOST_AUTO_TEST_CASE(roberta) {
  check_training<MaskedModel>(tiny::roberta_config(1), tiny::masked_batch(tiny::masked_sequences()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(masters)

// Updates that are less than half of a unit of a bfloat16's last bit add up.
BOOST_AUTO_TEST_CASE(small_updates_are_not_lost) {
  Gpu backend(0);
  Translator<Gpu> model(backend, tiny::config(), 3);
  const auto& store = model.parameters();
  const auto* const entry = store.find("model.encoder.layers.0.fc1.weight");
  BOOST_REQUIRE(entry);
  backend(ops::FillOf<float>{.x = store.value(*entry), .value = 1.0f});
  AdamOptions options;
  options.rates = {{"*", 0.0}, {entry->name, 1.0}};
  Adam<Gpu> adam(backend, store, options);
  backend(ops::FillOf<float>{.x = store.gradient(*entry), .value = -1.0f});
  constexpr int updates = 8;
  cpu_support::SharedOutcome unclipped;
  for (int i = 0; i < updates; ++i) {
    adam.update(store, 1e-3, unclipped.place());
    store.refresh();
  }
  std::vector<float> master(1);
  std::vector<bf16> value(1);
  backend(ops::DownloadOf<float>{.x = store.value(*entry).slice(0, 1).columns(0, 1), .values = master});
  BOOST_TEST(std::abs(master[0] - (1.0f + updates * 1e-3f)) < 1e-6f);
  for_each_leaf(model, [&](const std::string& name, Parameter<Gpu>& tensor) {
    if (name == entry->name) backend(ops::Download<Gpu>{.x = tensor.value.slice(0, 1).columns(0, 1), .values = value});
  });
  BOOST_TEST(static_cast<float>(value[0]) == static_cast<float>(bf16(master[0])));
  BOOST_TEST(static_cast<float>(value[0]) > 1.0f);
}

// Initial values are those of the other backends, not rounded.
BOOST_AUTO_TEST_CASE(begin_as_on_the_cpu) {
  Gpu backend(0);
  Cpu<float> cpu(1);
  Translator<Gpu> model(backend, tiny::config(), 3);
  Translator<Cpu<float>> expected(cpu, tiny::config(), 3);
  BOOST_TEST(tiny::values(backend, model.parameters()) == tiny::values(cpu, expected.parameters()));
}

// What inference needs are the rounded copies: it finds the same without the masters, which are gone then.
BOOST_AUTO_TEST_CASE(are_given_back_for_inference) {
  Gpu backend(0);
  Translator<Gpu> model(backend, tiny::config(1, 8), 3, Purpose::Inference);
  auto how = generation_defaults(model.config());
  how.max_length = 4;
  const auto batch = tiny::batch(tiny::pairs());
  Generator<Translator<Gpu>> generate(backend, model);
  const auto before = generate(batch, how);
  auto& store = model.parameters();
  store.release_masters();
  store.release_masters();
  BOOST_TEST((generate(batch, how) == before));
  BOOST_CHECK_THROW(store.values(), ConfigError);
  BOOST_CHECK_THROW(store.value(store.entries().front()), ConfigError);
  BOOST_CHECK_THROW(store.refresh(), ConfigError);
  BOOST_CHECK_THROW(store.initialise(1), ConfigError);

  Translator<Gpu> trained(backend, tiny::config(), 3);
  BOOST_CHECK_THROW(trained.parameters().release_masters(), ConfigError);

  // Where nothing is rounded there is nothing to give back.
  Cpu<float> cpu(1);
  Translator<Cpu<float>> on_cpu(cpu, tiny::config(), 3, Purpose::Inference);
  const auto values = tiny::values(cpu, on_cpu.parameters());
  on_cpu.parameters().release_masters();
  BOOST_TEST((tiny::values(cpu, on_cpu.parameters()) == values));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(logits)

namespace {

/// Looks at the logits that operations get.
struct Watching : Gpu {
  using Gpu::Gpu;
  using Gpu::operator();

  void operator()(const ops::CrossEntropy<Gpu>& op) {
    look(op.logits);
    Gpu::operator()(op);
  }
  void operator()(const ops::TopK<Gpu>& op) {
    look(op.x);
    Gpu::operator()(op);
  }
  void look(Matrix logits) {
    BOOST_TEST(logits.cols % 2 == 1);
    BOOST_TEST((logits.stride % 16 == 0 && reinterpret_cast<std::uintptr_t>(logits.data) % 32 == 0));
    ++seen;
  }

  int seen = 0;
};

}  // namespace

// Rows of an odd number of bfloat16 numbers would begin at every second byte, where tensor cores cannot read them.
BOOST_AUTO_TEST_CASE(of_an_odd_vocabulary_have_aligned_rows) {
  Watching backend(0);
  Translator<Watching> model(backend, tiny::config(), 3);
  BOOST_TEST_REQUIRE(model.config().vocab_size % 2 == 1);
  TrainingStep<Translator<Watching>> training(backend, model, {}, {});
  auto batch = tiny::batch(tiny::pairs());
  training.run(std::span(&batch, 1));
  BOOST_TEST(backend.seen == 1);
  auto how = generation_defaults(model.config());
  how.max_length = 3;
  Generator<Translator<Watching>> generate(backend, model);
  generate(batch, how);
  BOOST_TEST(backend.seen >= 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(decoding_in_bfloat16)

// The same numbers with the threads of a GPU in other orders, and tokens of the vocabulary until the end.
BOOST_AUTO_TEST_CASE(searches_run) {
  for (const int beams : {1, 3}) {
    std::vector<std::vector<std::vector<Hypothesis>>> results;
    for (const int device : {0, 1}) {
      Gpu backend(device);
      const Translator<Gpu> model(backend, tiny::config(1, 8), 3, Purpose::Inference);
      auto how = generation_defaults(model.config());
      how.max_length = 8;
      how.num_beams = beams;
      Generator<Translator<Gpu>> generate(backend, model);
      results.push_back(generate(tiny::batch(tiny::pairs()), how));
    }
    BOOST_TEST((results[0] == results[1]));
    BOOST_TEST_REQUIRE(results[0].size() == tiny::pairs().size());
    std::size_t tokens = 0;
    for (const auto& sentence : results[0])
      for (const int id : sentence.at(0).ids) {
        BOOST_TEST((id >= 0 && id < 9));
        ++tokens;
      }
    BOOST_TEST(tokens > 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
