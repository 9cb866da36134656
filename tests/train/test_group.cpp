// Steps that the ranks of a group share, with ranks that are threads of this process: sums that go on during the
// backward pass, and optimizers of which each rank holds a share.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE train_group
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/train/step_share.hpp"
#include "neural_attention/train/training_step.hpp"
#include "train/largest_difference.hpp"
#include "train/thread_group.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<double>;

/// If it spoils, one gradient is not a number, though the loss is finite. The tensor belongs to no layer, so its sum
/// has not begun.
struct Model : Marian<B, tiny::Mixed> {
  using Marian<B, tiny::Mixed>::Marian;
  void loss_and_gradient(auto&&... arguments) {
    Marian<B, tiny::Mixed>::loss_and_gradient(arguments...);
    if (spoils)
      parameters().gradient(*parameters().find("model.shared.weight")).data[0] =
          std::numeric_limits<double>::quiet_NaN();
  }

  bool spoils = false;
};

/// What is not a number in the last step: nothing, a parameter of all ranks, or a gradient of rank 1.
enum class Poison { None, Parameter, Gradient };

struct Options {
  bool sharded = false;
  double clipping = 0.0;
  bool checkpointing = false;
  int accumulation = 1;
};

struct Outcome {
  std::vector<double> losses, norms, values, moments;
  int held = 0;  ///< numbers in each moment
  std::string fault = {};
};

std::vector<tiny::Pair> pairs_of_step(int step) {
  auto all = tiny::pairs();
  std::rotate(all.begin(), all.begin() + step % 4, all.end());
  return all;
}

/// Ten steps with dropout.
template <class G>
Outcome train(G& group, const Options& how, Poison poison = Poison::None) {
  constexpr int steps = 10;
  B backend(1);
  auto config = tiny::config(2, 8, 0.1);
  config.gradient_checkpointing = how.checkpointing;
  Model model(backend, config, 7);
  TrainingStep<Model, Adam<B>, G> training(
      backend, model, {.learning_rate = 1e-2, .max_gradient_norm = how.clipping, .shard_optimizer = how.sharded},
      {.weight_decay = 0.1, .rates = {{"*bias", 2.0}, {"*decoder.layers.0.*", 0.0}}}, group);
  StepShare<TranslationBatch> share{TranslationBatch(8)};
  Outcome outcome;
  try {
    for (int i = 0; i < steps; ++i) {
      model.spoils = poison == Poison::Gradient && i == steps - 1 && group.rank() == 1;
      if (poison == Poison::Parameter && i == steps - 1)
        model.parameters().value(*model.parameters().find("model.encoder.layers.1.fc1.bias")).data[0] =
            std::numeric_limits<double>::quiet_NaN();
      const auto pairs = pairs_of_step(i);
      std::vector<TranslationBatch> parts;
      long labels = 0;
      for (int p = 0; p < how.accumulation; ++p) {
        parts.push_back(tiny::batch(pairs));
        if (p > 0) parts.back().follow(parts[static_cast<std::size_t>(p) - 1]);
        labels += static_cast<long>(parts.back().labels.size());
      }
      if constexpr (is_alone<G>)
        training.launch(std::span(parts));
      else
        training.launch(share.of(parts, group.rank(), group.size()), labels);
      const auto step = training.result();
      outcome.losses.push_back(step.loss.smoothed / double(step.loss.tokens));
      outcome.norms.push_back(step.gradient_norm);
    }
  } catch (const NumericError& error) {
    outcome.fault = error.what();
  }
  outcome.values = tiny::values(backend, model.parameters());
  outcome.held = training.optimizer().moments().front().numbers.cols;
  training.save_optimizer([&](const auto& optimizer) {
    for (const auto& moment : optimizer.moments())
      outcome.moments.insert(outcome.moments.end(), moment.numbers.data, moment.numbers.data + moment.numbers.cols);
  });
  return outcome;
}

std::vector<Outcome> in_ranks(int ranks, const Options& how, Poison poison = Poison::None) {
  return in_thread_ranks<double>(ranks, [&](auto& group) { return train(group, how, poison); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(buckets)

BOOST_AUTO_TEST_CASE(are_layers_from_the_last_one_and_then_the_rest) {
  B backend(1);
  Model model(backend, tiny::config(2, 8));
  const auto& store = model.parameters();
  const auto name_at = [&](int offset) {
    for (const auto& entry : store.entries())
      if (entry.offset == offset) return entry.name;
    return std::string("none");
  };
  GradientBuckets each(store, 0);
  std::vector<std::string> layers;
  int numbers = 0;
  for (const auto& bucket : each.all()) {
    numbers += bucket.last - bucket.first;
    if (bucket.of_layers) layers.push_back(name_at(bucket.first).substr(6, 16));
  }
  BOOST_TEST(layers == (std::vector<std::string>{"decoder.layers.1", "decoder.layers.0", "encoder.layers.1",
                                                 "encoder.layers.0"}),
             boost::test_tools::per_element());
  BOOST_TEST(numbers == store.gradients().cols);
  const GradientBuckets joined(store, 1 << 18);
  BOOST_TEST(std::count_if(joined.all().begin(), joined.all().end(), [](const auto& one) { return one.of_layers; }) ==
             1);
}

BOOST_AUTO_TEST_CASE(wait_for_their_turn) {
  B backend(1);
  const Model model(backend, tiny::config(2, 8));
  GradientBuckets buckets(model.parameters(), 0);
  const auto all = buckets.all();
  std::vector<int> begun;
  const auto use = [&](const auto& bucket) { begun.push_back(bucket.first); };
  buckets.restart();
  buckets.complete(all[1].first, all[1].last, use);
  BOOST_TEST(begun.empty());
  buckets.complete(all[0].first + 16, all[0].last, use);
  BOOST_TEST(begun.empty());
  buckets.complete(all[0].first, all[0].first + 16, use);
  BOOST_TEST(begun == (std::vector<int>{all[0].first, all[1].first}), boost::test_tools::per_element());
  buckets.finish(use);
  BOOST_TEST(begun.size() == all.size());
  buckets.restart();
  begun.clear();
  buckets.finish(use);
  BOOST_TEST(begun.size() == all.size());
}

BOOST_AUTO_TEST_CASE(of_a_layer_that_runs_twice_are_refused) {
  B backend(1);
  const Model model(backend, tiny::config(2, 8));
  GradientBuckets buckets(model.parameters(), 0);
  const auto layer = buckets.all()[1];
  buckets.complete(layer.first, layer.last, [](const auto&) {});
  BOOST_CHECK_THROW(buckets.complete(layer.first, layer.last, [](const auto&) {}), ConfigError);
}

BOOST_AUTO_TEST_CASE(shares_of_numbers_are_balanced_and_aligned) {
  for (const int n : {0, 1, 15, 16, 17, 1000, 1 << 20})
    for (const int size : {1, 2, 3, 7}) {
      int next = 0;
      for (int r = 0; r < size; ++r) {
        const auto share = share_of(n, r, size);
        BOOST_TEST(share.first == next);
        BOOST_TEST((share.first % 16 == 0 || share.first == n));
        BOOST_TEST(share.count <= n / size + 16);
        next += share.count;
      }
      BOOST_TEST(next == n);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ranks)

BOOST_AUTO_TEST_CASE(train_as_one_process_does) {
  for (const bool checkpointing : {false, true})
    for (const int accumulation : {1, 3})
      for (const double clipping : {0.0, 0.5}) {
        const auto expected = train(alone_group, {false, clipping, checkpointing, accumulation});
        for (const bool sharded : {false, true})
          for (const int size : {1, 2, 3, 6}) {
            const auto found = in_ranks(size, {sharded, clipping, checkpointing, accumulation});
            for (const auto& rank : found) {
              BOOST_TEST(rank.fault == "");
              BOOST_TEST(largest_difference(rank.losses, expected.losses) <= 1e-9);
              BOOST_TEST(largest_difference(rank.norms, expected.norms) <= 1e-6);
              BOOST_TEST((rank.values == found[0].values));
              if (!sharded) BOOST_TEST((rank.moments == found[0].moments));
            }
            if (size == 1) BOOST_TEST((found[0].values == expected.values));
          }
      }
}

BOOST_AUTO_TEST_CASE(with_shares_of_the_optimizer_have_the_same_bits) {
  for (const int size : {2, 3, 6}) {
    const auto whole = in_ranks(size, {}), sharded = in_ranks(size, {.sharded = true});
    BOOST_TEST((sharded[0].values == whole[0].values));
    BOOST_TEST((sharded[0].moments == whole[0].moments));
    BOOST_TEST((sharded[0].losses == whole[0].losses));
    int held = 0;
    for (const auto& rank : sharded) {
      held += rank.held;
      BOOST_TEST(rank.held <= whole[0].held / size + 16 * 8);
    }
    BOOST_TEST(held == whole[0].held);
  }
}

BOOST_AUTO_TEST_CASE(name_what_is_not_finite_alike) {
  for (const auto& [poison, words] : std::vector<std::pair<Poison, std::string>>{
           {Poison::Parameter, "not finite"}, {Poison::Gradient, "the gradient of model.shared.weight is not finite"}})
    for (const bool sharded : {false, true}) {
      const auto found = in_ranks(3, {.sharded = sharded}, poison);
      for (const auto& rank : found) {
        BOOST_TEST(rank.fault == found[0].fault);
        BOOST_TEST((rank.fault.find(words) != std::string::npos && rank.fault.find("step 10") == 0), rank.fault);
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(failures)

/// Its exchanges of parameters fail after the first.
struct FailingGroup : Alone {
  static int size() { return 2; }
  void begin(auto&, Exchange, auto) {
    if (++begun > 1) throw GroupError("rank 1 is gone");
  }
  void abandon() { ++abandoned; }

  int begun = 0, abandoned = 0;
};

// The memory of the parameters may go when the exception leaves the step.
BOOST_AUTO_TEST_CASE(of_updated_parameters_leave_no_exchange_behind) {
  B backend(1);
  Model model(backend, tiny::config(2, 8, 0.0), 7);
  FailingGroup group;
  GradientSums<B, FailingGroup> sums(model.parameters(), group, true);
  BOOST_CHECK_THROW(sums.gather(backend, model.parameters().values()), GroupError);
  BOOST_TEST(group.begun == 2);
  BOOST_TEST(group.abandoned == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(whole_optimizer)

BOOST_AUTO_TEST_CASE(gives_each_rank_its_share_back) {
  constexpr int size = 3;
  const auto kept = in_thread_ranks<double>(size, [](auto& group) {
    using G = std::remove_reference_t<decltype(group)>;
    B backend(1);
    Model model(backend, tiny::config(2, 8), 7);
    TrainingStep<Model, Adam<B>, G> training(backend, model, {.shard_optimizer = true}, {}, group);
    training.load_optimizer([](auto& optimizer) {
      for (const auto& moment : optimizer.moments())
        for (int i = 0; i < moment.numbers.cols; ++i) moment.numbers.data[i] = i;
      optimizer.set_steps(12);
    });
    std::vector<double> all;
    training.save_optimizer([&](auto& optimizer) {
      for (const auto& moment : optimizer.moments())
        all.insert(all.end(), moment.numbers.data, moment.numbers.data + moment.numbers.cols);
    });
    all.push_back(static_cast<double>(training.optimizer().steps()));
    return all;
  });
  BOOST_TEST(kept[0].size() > 1000u);
  for (const auto& rank : kept) {
    const auto count = (rank.size() - 1) / 2;
    BOOST_TEST(rank.back() == 12.0);
    BOOST_TEST((&rank == kept.data() || rank.size() == 1));
    for (std::size_t i = 0; i + 1 < rank.size(); ++i)
      if (rank[i] != static_cast<double>(i % count)) BOOST_TEST_REQUIRE(rank[i] == static_cast<double>(i % count));
  }
}

BOOST_AUTO_TEST_SUITE_END()
