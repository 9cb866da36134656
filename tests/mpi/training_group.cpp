// Training by the ranks of an MpiGroup against training by one process with the same batches. mpirun starts this
// program; each rank also computes what one process would, alone.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mpi_training_group
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/mpi/mpi_group.hpp"
#include "neural_attention/text/data/causal_windows.hpp"
#include "neural_attention/text/data/masked_lm_data.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "train/largest_difference.hpp"

using namespace neural_attention;

namespace {

using Reals = std::tuple<float, double>;

MpiGroup& group() {
  static MpiGroup ranks({.timeout = 60.0});
  return ranks;
}

std::vector<int> sentence(RandomStream& random, std::uint32_t longest) {
  std::vector<int> ids(2 + random.below(longest), 0);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) ids[i] = 1 + static_cast<int>(random.below(7));
  return ids;
}

struct MarianCase {
  template <class B>
  using Model = Marian<B, tiny::Mixed>;
  static auto config(double dropout, bool checkpointing) {
    auto config = tiny::config(2, 8, dropout);
    config.gradient_checkpointing = checkpointing;
    return config;
  }
  static auto data() {
    RandomStream random({31, 0, 0});
    text::TokenizedPairs pairs;
    for (int i = 0; i < 61; ++i) {
      const auto source = sentence(random, 12);
      pairs.add(source, sentence(random, 12));
    }
    return text::TranslationData(std::move(pairs), {.sentences = 9}, 8);
  }
};

struct RobertaCase {
  template <class B>
  using Model = Roberta<B, tiny::Mixed>;
  static auto config(double dropout, bool checkpointing) {
    auto config = tiny::roberta_config(2, dropout);
    config.gradient_checkpointing = checkpointing;
    return config;
  }
  static auto data() {
    RandomStream random({32, 0, 0});
    text::TokenSequences blocks;
    for (int i = 0; i < 61; ++i) {
      std::vector<int> ids = {0};
      for (const int id : sentence(random, 4)) ids.push_back(3 + id % 5);
      ids.push_back(2);
      blocks.add(ids);
    }
    text::MaskingVocabulary vocabulary{std::vector<bool>(9), 8, 1};
    for (const int special : {0, 1, 2, 8}) vocabulary.special[static_cast<std::size_t>(special)] = true;
    return text::MaskedLmData(blocks, vocabulary, {.sentences = 9}, {.probability = 0.2});
  }
};

struct Gpt2Case {
  template <class B>
  using Model = Gpt2<B, tiny::Mixed>;
  static auto config(double dropout, bool checkpointing) {
    auto config = tiny::gpt2_config(2, dropout);
    config.gradient_checkpointing = checkpointing;
    return config;
  }
  static auto data() {
    static const text::TokenArray tokens = [] {
      RandomStream random({33, 0, 0});
      std::vector<int> ids(500);
      for (auto& id : ids) id = static_cast<int>(random.below(9));
      return text::TokenArray(std::move(ids));
    }();
    return text::CausalWindows<text::TokenArray>(tokens, {.batch_size = 7, .block_size = 8});
  }
};

struct Options {
  int accumulation = 1;
  bool checkpointing = false;
  double dropout = 0.1, clipping = 1.0;
  bool sharded = false;
};

template <class T>
struct Run {
  std::vector<double> losses, norms;
  double valid_loss = 0.0;
  std::vector<T> parameters;
  int held = 0;  ///< numbers of each moment
};

template <class Case, class T, class G>
Run<T> run(G& ranks, const Options& how, std::uint64_t seed = 5) {
  using B = Cpu<T>;
  using Model = typename Case::template Model<B>;
  using Data = decltype(Case::data());
  B backend(1);
  Model model(backend, Case::config(how.dropout, how.checkpointing), seed);
  auto training = Case::data(), validation = Case::data();
  TrainerOptions options;
  options.step.learning_rate = 3e-3;
  options.step.label_smoothing = 0.1;
  options.step.max_gradient_norm = how.clipping;
  options.step.shard_optimizer = how.sharded;
  options.step.schedule = {Schedule::Kind::Linear, 5, 0};
  options.accumulation = how.accumulation;
  options.max_steps = 50;
  options.load_best = false;
  Run<T> result;
  TrainerCallbacks callbacks;
  callbacks.on_step = [&](const StepEvent& event) {
    result.losses.push_back(event.result.loss.smoothed / double(event.result.loss.tokens));
    result.norms.push_back(event.result.gradient_norm);
    return true;
  };
  Trainer<Model, Data, Adam<B>, G> trainer(backend, model, training, validation, options, {}, callbacks, ranks);
  result.valid_loss = trainer.run().valid_loss;
  result.parameters = tiny::values(backend, model.parameters());
  result.held = trainer.training_step().optimizer().moments().front().numbers.cols;
  return result;
}

template <class T>
bool equal_on_all_ranks(const std::vector<T>& numbers) {
  const auto bytes = std::as_bytes(std::span(numbers));
  std::vector<std::byte> all(bytes.size() * static_cast<std::size_t>(group().size()));
  group().gather(bytes, all);
  for (int r = 0; r < group().size(); ++r)
    if (std::memcmp(bytes.data(), all.data() + static_cast<std::size_t>(r) * bytes.size(), bytes.size()) != 0)
      return false;
  return true;
}

template <class Case, class T>
void check(const Options& how) {
  const double bound = std::is_same_v<T, double> ? 1e-9 : 1e-4;
  const auto expected = run<Case, T>(alone_group, how);
  const auto found = run<Case, T>(group(), how, 5 + static_cast<std::uint64_t>(group().rank()));
  BOOST_TEST_REQUIRE(expected.losses.size() == 50u);
  BOOST_TEST(largest_difference(found.losses, expected.losses) <= bound);
  BOOST_TEST(std::abs(found.valid_loss - expected.valid_loss) <= bound * expected.valid_loss);
  BOOST_TEST(largest_difference(found.norms, expected.norms) <= 1e3 * bound);
  BOOST_TEST(equal_on_all_ranks(found.parameters));
  BOOST_TEST(equal_on_all_ranks(found.losses));
  const auto again = run<Case, T>(group(), how);
  BOOST_TEST((again.parameters == found.parameters));
  BOOST_TEST(found.held <= (how.sharded ? expected.held / group().size() + 16 * 16 : expected.held));
  if (group().size() == 1) BOOST_TEST((found.parameters == expected.parameters));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sums)

// Several at a time, of sizes that share out unevenly and take several rounds.
BOOST_AUTO_TEST_CASE_TEMPLATE(are_added_in_the_order_of_ranks, T, Reals) {
  const auto number = [](int rank, std::size_t i) {
    RandomStream random({7, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(i % 1000)});
    return static_cast<T>(random.normal() * std::pow(10.0, static_cast<double>(rank)));
  };
  std::vector<std::vector<T>> of_rank(static_cast<std::size_t>(group().size()));
  for (int r = 0; r < group().size(); ++r)
    for (std::size_t i = 0; i < 1000; ++i) of_rank[static_cast<std::size_t>(r)].push_back(number(r, i));
  const auto& mine = of_rank[static_cast<std::size_t>(group().rank())];
  for (const auto exchange : {Exchange::Sum, Exchange::SumShares, Exchange::GatherShares}) {
    std::vector<std::vector<T>> all;
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{33}, std::size_t{1000},
                                    std::size_t{1} << 20, (std::size_t{3} << 16) + 5}) {
      auto& x = all.emplace_back(count);
      for (std::size_t i = 0; i < count; ++i) x[i] = mine[i % 1000];
    }
    for (auto& x : all) group().begin(exchange, std::span(x));
    group().finish();
    for (const auto& x : all) {
      std::size_t wrong = 0;
      for (int r = 0; r < group().size(); ++r) {
        const auto share = share_of(static_cast<int>(x.size()), r, group().size());
        for (int k = 0; k < share.count; ++k) {
          const auto i = static_cast<std::size_t>(share.first + k);
          T want = of_rank[0][i % 1000];
          for (std::size_t other = 1; other < of_rank.size(); ++other) want += of_rank[other][i % 1000];
          if (exchange == Exchange::SumShares && r != group().rank()) want = mine[i % 1000];
          if (exchange == Exchange::GatherShares) want = of_rank[static_cast<std::size_t>(r)][i % 1000];
          wrong += x[i] != want;
        }
      }
      BOOST_TEST(wrong == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(texts_of_all_ranks_come_in_their_order) {
  const auto mine = std::string(static_cast<std::size_t>(group().rank()), 'x') + "!";
  const auto all = group().gather(mine);
  BOOST_TEST_REQUIRE(std::ssize(all) == group().size());
  for (std::size_t r = 0; r < all.size(); ++r) BOOST_TEST(all[r] == std::string(r, 'x') + "!");
  BOOST_TEST(group().broadcast(std::string_view(group().rank() == 0 ? "from rank 0" : "")) == "from rank 0");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(losses)

BOOST_AUTO_TEST_CASE_TEMPLATE(are_those_of_one_process, T, Reals) {
  check<MarianCase, T>({});
  check<RobertaCase, T>({});
  check<Gpt2Case, T>({});
  check<MarianCase, T>({.sharded = true});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(options_slow)

BOOST_AUTO_TEST_CASE(together_leave_the_losses_of_one_process) {
  for (const int accumulation : {2, 5})
    for (const bool checkpointing : {false, true})
      for (const double clipping : {0.0, 0.05})
        for (const bool sharded : {false, true})
          check<MarianCase, double>({accumulation, checkpointing, 0.2, clipping, sharded});
  for (const bool sharded : {false, true}) {
    check<RobertaCase, double>({3, true, 0.2, 0.05, sharded});
    check<Gpt2Case, double>({3, true, 0.2, 0.05, sharded});
  }
}

BOOST_AUTO_TEST_SUITE_END()
