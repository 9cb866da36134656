#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE batches
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "neural_attention/text/data/batches.hpp"

#if defined(ZLIB_H) || defined(INCLUDE_NLOHMANN_JSON_HPP_)
#error "batches of tokens need no package"
#endif

namespace text = neural_attention::text;
using neural_attention::ConfigError;
using neural_attention::ShapeError;

namespace {

/// Pairs with lengths from 1 to about 40 and a few very long ones.
text::TokenizedPairs make_pairs(int count) {
  text::TokenizedPairs pairs;
  neural_attention::RandomStream random({7, 0, 1});
  for (int i = 0; i < count; ++i) {
    const auto source = 1 + random.below(40) + (i % 97 == 5 ? 300 : 0);
    const auto target = std::max<std::uint32_t>(1, source + random.below(9) - std::min<std::uint32_t>(source, 4));
    pairs.add(std::vector<int>(source, i), std::vector<int>(target, -i));
  }
  return pairs;
}

std::size_t cost(const text::TokenizedPairs& pairs, std::span<const int> batch) {
  std::size_t source = 0, target = 0;
  for (const int i : batch) {
    source += pairs.source(static_cast<std::size_t>(i)).size();
    target += pairs.target(static_cast<std::size_t>(i)).size();
  }
  return std::max(source, target);
}

std::vector<int> flat(const text::BatchPlan& plan) {
  std::vector<int> all;
  for (std::size_t b = 0; b < plan.size(); ++b) all.insert(all.end(), plan[b].begin(), plan[b].end());
  return all;
}

void check_every_sentence_once(const text::BatchPlan& plan, std::size_t count) {
  BOOST_TEST_REQUIRE(count > 0u);
  auto all = flat(plan);
  BOOST_TEST_REQUIRE(all.size() == count);
  BOOST_TEST(plan.sentences() == count);
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < count; ++i) BOOST_TEST_REQUIRE(all[i] == static_cast<int>(i));
  for (std::size_t b = 0; b < plan.size(); ++b) BOOST_TEST_REQUIRE(!plan[b].empty());
}

bool same(const text::BatchPlan& a, const text::BatchPlan& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!std::equal(a[i].begin(), a[i].end(), b[i].begin(), b[i].end())) return false;
  return true;
}

/// A tokenizer that makes one id of each byte.
struct Bytes {
  std::vector<int> source_ids(std::string_view line) const {
    std::vector<int> ids(line.begin(), line.end());
    ids.push_back(eos_id());
    return ids;
  }
  std::vector<int> target_ids(std::string_view line) const { return source_ids(line); }
  int eos_id() const { return 0; }
};

void check_ids(std::span<const int> actual, const std::vector<int>& expected) {
  BOOST_CHECK_EQUAL_COLLECTIONS(actual.begin(), actual.end(), expected.begin(), expected.end());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pairs)

BOOST_AUTO_TEST_CASE(tokenize_truncates_and_keeps_the_end) {
  const text::ParallelCorpus corpus{{"abcd", "ab", "abc", ""}, {"x", "xyz", "xy", ""}};
  const auto pairs = text::tokenize(corpus, Bytes{}, 4, 3);
  BOOST_TEST(pairs.size() == 4u);
  check_ids(pairs.source(0), {'a', 'b', 'c', 0});
  check_ids(pairs.source(1), {'a', 'b', 0});
  check_ids(pairs.source(2), {'a', 'b', 'c', 0});
  check_ids(pairs.source(3), {0});
  check_ids(pairs.target(0), {'x', 0});
  check_ids(pairs.target(1), {'x', 'y', 0});
  check_ids(pairs.target(2), {'x', 'y', 0});
  BOOST_TEST(pairs.source_tokens() == 12u);
  BOOST_TEST(pairs.target_tokens() == 9u);
  check_ids(text::tokenize(corpus, Bytes{}, 0, 1).source(0), {'a', 'b', 'c', 'd', 0});
  check_ids(text::tokenize(corpus, Bytes{}, 0, 1).target(1), {0});
  BOOST_CHECK_THROW(text::tokenize(corpus, Bytes{}, -1, 3), ConfigError);
  BOOST_CHECK_THROW(text::tokenize({{"a", "b"}, {"a"}}, Bytes{}, 3, 3), ShapeError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plans)

BOOST_AUTO_TEST_CASE(by_sentences) {
  const auto pairs = make_pairs(1003);
  const auto plan = text::plan_batches(pairs, {.sentences = 32, .seed = 3});
  check_every_sentence_once(plan, 1003);
  BOOST_TEST(plan.size() == 32u);
  for (std::size_t b = 0; b + 1 < plan.size(); ++b) BOOST_TEST(plan[b].size() == 32u);
  BOOST_TEST(plan[31].size() == 11u);
  const auto order = flat(plan);
  BOOST_TEST(!std::is_sorted(order.begin(), order.end()));
  const auto fixed = flat(text::plan_batches(pairs, {.sentences = 32, .shuffle = false}));
  BOOST_TEST(std::is_sorted(fixed.begin(), fixed.end()));
}

BOOST_AUTO_TEST_CASE(by_tokens_keeps_the_budget) {
  const auto pairs = make_pairs(5000);
  for (const int budget : {1, 37, 200, 1150, 1000000}) {
    for (const int maxi : {0, 1, 7, 100}) {
      for (const bool shuffle : {false, true}) {
        const auto plan =
            text::plan_batches(pairs, {.tokens = budget, .shuffle = shuffle, .seed = 5, .maxi_batches = maxi});
        check_every_sentence_once(plan, 5000);
        for (std::size_t b = 0; b < plan.size(); ++b)
          BOOST_TEST_REQUIRE((cost(pairs, plan[b]) <= static_cast<std::size_t>(budget) || plan[b].size() == 1));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_long_sentence_is_alone) {
  const auto pairs = make_pairs(2000);
  const auto plan = text::plan_batches(pairs, {.tokens = 250});
  int alone = 0;
  for (std::size_t b = 0; b < plan.size(); ++b)
    for (const int i : plan[b])
      if (pairs.source(static_cast<std::size_t>(i)).size() > 250) {
        BOOST_TEST(plan[b].size() == 1u);
        ++alone;
      }
  BOOST_TEST(alone == 21);
}

BOOST_AUTO_TEST_CASE(sorting_makes_equal_lengths_and_full_batches) {
  const auto pairs = make_pairs(5000);
  const auto spread = [&](const text::BatchPlan& plan) {
    std::size_t sum = 0;
    for (std::size_t b = 0; b < plan.size(); ++b) {
      std::size_t longest = 0, shortest = 10000;
      for (const int i : plan[b]) {
        longest = std::max(longest, pairs.target(static_cast<std::size_t>(i)).size());
        shortest = std::min(shortest, pairs.target(static_cast<std::size_t>(i)).size());
      }
      sum += longest - shortest;
    }
    return static_cast<double>(sum) / static_cast<double>(plan.size());
  };
  const auto sorted = text::plan_batches(pairs, {.tokens = 1000});
  const auto unsorted = text::plan_batches(pairs, {.tokens = 1000, .maxi_batches = 0});
  BOOST_TEST(spread(sorted) * 3 < spread(unsorted));
  const auto least = std::max(pairs.source_tokens(), pairs.target_tokens()) / 1000;
  BOOST_TEST(sorted.size() < least + least / 8);
  // Sorted inside, but the batches themselves come in no order.
  int rising = 0;
  for (std::size_t b = 0; b + 1 < sorted.size(); ++b)
    rising += pairs.target(static_cast<std::size_t>(sorted[b][0])).size() <=
              pairs.target(static_cast<std::size_t>(sorted[b + 1][0])).size();
  BOOST_TEST(rising < static_cast<int>(sorted.size()) * 7 / 10);
}

BOOST_AUTO_TEST_CASE(depends_on_seed_and_epoch_only) {
  const auto pairs = make_pairs(500);
  for (const bool by_tokens : {false, true}) {
    text::BatchOptions options{.sentences = by_tokens ? 0 : 16, .tokens = by_tokens ? 400 : 0, .seed = 11, .epoch = 2};
    const auto plan = text::plan_batches(pairs, options);
    BOOST_TEST(same(plan, text::plan_batches(pairs, options)));
    auto other = options;
    other.epoch = 3;
    BOOST_TEST(!same(plan, text::plan_batches(pairs, other)));
    other = options;
    other.seed = 12;
    BOOST_TEST(!same(plan, text::plan_batches(pairs, other)));
    other.seed = 11 + (std::uint64_t{1} << 32);  // both halves of the seed count
    BOOST_TEST(!same(plan, text::plan_batches(pairs, other)));
  }
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense) {
  const auto pairs = make_pairs(10);
  BOOST_CHECK_THROW(text::plan_batches(pairs, {}), ConfigError);
  BOOST_CHECK_THROW(text::plan_batches(pairs, {.sentences = 8, .tokens = 8}), ConfigError);
  BOOST_CHECK_THROW(text::plan_batches(pairs, {.sentences = -8}), ConfigError);
  BOOST_CHECK_THROW(text::plan_batches(pairs, {.sentences = -8, .tokens = 8}), ConfigError);
  BOOST_CHECK_THROW(text::plan_batches(pairs, {.sentences = 8, .epoch = -1}), ConfigError);
  BOOST_TEST(text::plan_batches(text::TokenizedPairs{}, {.tokens = 8}).size() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
