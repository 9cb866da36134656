// Sentence pairs as the batches that a Trainer asks for.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE text_translation_data
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <vector>

#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/trainer/trainer.hpp"

using namespace neural_attention;
using text::TranslationData;

static_assert(TrainingData<TranslationData>);

namespace {

constexpr int start = 999;

text::TokenizedPairs make_pairs(int count) {
  text::TokenizedPairs pairs;
  RandomStream random({5, 0, 0});
  for (int i = 0; i < count; ++i) {
    std::vector<int> source(1 + random.below(9), 100 + i), target(1 + random.below(9), 500 + i);
    source.back() = target.back() = 0;
    pairs.add(source, target);
  }
  return pairs;
}

text::BatchOptions by_sentences(int count, bool shuffle = true) {
  text::BatchOptions options;
  options.sentences = count;
  options.shuffle = shuffle;
  return options;
}

text::BatchOptions by_tokens(int count) {
  text::BatchOptions options;
  options.tokens = count;
  options.maxi_batches = 3;
  return options;
}

std::vector<int> order(const TranslationData& data) {
  std::vector<int> all;
  for (std::size_t i = 0; i < data.batches(); ++i)
    all.insert(all.end(), data.sentences(i).begin(), data.sentences(i).end());
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fill)

BOOST_AUTO_TEST_CASE(gives_each_sentence_once_with_shifted_inputs) {
  for (const auto& options : {by_sentences(8), by_sentences(1), by_sentences(1000), by_tokens(40)}) {
    TranslationData data(make_pairs(53), options, start);
    BOOST_TEST_REQUIRE(data.batches() > 0u);
    auto batch = data.empty_batch();
    std::vector<int> seen;
    for (std::size_t b = 0; b < data.batches(); ++b) {
      data.fill(b, batch);
      const auto sentences = data.sentences(b);
      BOOST_TEST_REQUIRE(batch.sentences() == static_cast<int>(sentences.size()));
      BOOST_TEST((batch.source.place() == Place{} && batch.decoder_input.place() == Place{}));
      for (int s = 0; s < batch.sentences(); ++s) {
        const auto i = static_cast<std::size_t>(sentences[static_cast<std::size_t>(s)]);
        seen.push_back(static_cast<int>(i));
        const auto source = data.pairs().source(i), target = data.pairs().target(i);
        const auto& from = batch.source.offsets();
        const auto& to = batch.decoder_input.offsets();
        BOOST_TEST_REQUIRE(from.length(s) == static_cast<int>(source.size()));
        BOOST_TEST_REQUIRE(to.length(s) == static_cast<int>(target.size()));
        BOOST_TEST(std::equal(source.begin(), source.end(), batch.source.ids().begin() + from.begin(s)));
        BOOST_TEST(std::equal(target.begin(), target.end(), batch.labels.begin() + to.begin(s)));
        const auto input = batch.decoder_input.ids().subspan(static_cast<std::size_t>(to.begin(s)), target.size());
        BOOST_TEST(input[0] == start);
        BOOST_TEST(std::equal(target.begin(), target.end() - 1, input.begin() + 1));
      }
      BOOST_TEST(batch.labels.size() == static_cast<std::size_t>(batch.decoder_input.total()));
    }
    std::sort(seen.begin(), seen.end());
    std::vector<int> expected(53);
    std::iota(expected.begin(), expected.end(), 0);
    BOOST_TEST(seen == expected);
  }
}

BOOST_AUTO_TEST_CASE(replaces_what_the_batch_held) {
  TranslationData data(make_pairs(20), by_sentences(3), start);
  auto used = data.empty_batch(), fresh = data.empty_batch();
  data.fill(0, used);
  auto part = data.empty_batch();
  data.fill(1, part);
  part.follow(used);
  BOOST_TEST(part.source.place().first_sequence == 3);
  data.fill(2, part);
  data.fill(2, fresh);
  BOOST_TEST((part.source.place() == Place{}));
  BOOST_TEST(part.labels == fresh.labels);
  BOOST_TEST(std::equal(part.source.ids().begin(), part.source.ids().end(), fresh.source.ids().begin(),
                        fresh.source.ids().end()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(epochs)

BOOST_AUTO_TEST_CASE(are_a_function_of_seed_and_number) {
  for (const auto& options : {by_sentences(4), by_tokens(30)}) {
    TranslationData data(make_pairs(60), options, start), other(make_pairs(60), options, start);
    const auto first = order(data);
    data.begin_epoch(1);
    const auto second = order(data);
    data.begin_epoch(2);
    const auto third = order(data);
    BOOST_TEST(first != second);
    BOOST_TEST(second != third);
    data.begin_epoch(0);
    BOOST_TEST(order(data) == first);
    other.begin_epoch(2);  // straight there, as a resumed run
    BOOST_TEST(order(other) == third);
    other.begin_epoch(2);
    BOOST_TEST(order(other) == third);
    auto reseeded = options;
    reseeded.seed += 1;
    BOOST_TEST(order(TranslationData(make_pairs(60), reseeded, start)) != first);
  }
}

BOOST_AUTO_TEST_CASE(begin_at_zero_whatever_the_options_say) {
  auto later = by_sentences(4);
  later.epoch = 3;
  BOOST_TEST(order(TranslationData(make_pairs(60), later, start)) ==
             order(TranslationData(make_pairs(60), by_sentences(4), start)));
}

BOOST_AUTO_TEST_CASE(of_validation_keep_the_order_of_the_corpus) {
  TranslationData data(make_pairs(30), by_sentences(7, false), start);
  std::vector<int> expected(30);
  std::iota(expected.begin(), expected.end(), 0);
  for (const int epoch : {0, 1, 5}) {
    data.begin_epoch(epoch);
    BOOST_TEST(data.batches() == 5u);
    BOOST_TEST(order(data) == expected);
  }
}

BOOST_AUTO_TEST_CASE(of_nothing_have_no_batches) {
  TranslationData data(text::TokenizedPairs{}, by_sentences(7), start);
  BOOST_TEST(data.batches() == 0u);
  BOOST_CHECK_THROW(TranslationData(make_pairs(3), text::BatchOptions{}, start), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()
