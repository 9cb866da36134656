// Views of rows and the offsets of packed sequences.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_rows
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/core/translation_batch.hpp"

using namespace neural_attention;

BOOST_AUTO_TEST_SUITE(views)

BOOST_AUTO_TEST_CASE(point_into_the_matrix) {
  std::array<int, 24> numbers;
  std::iota(numbers.begin(), numbers.end(), 0);
  const RowsOf<int> all(numbers.data(), 4, 6);
  BOOST_TEST((all && all.rows == 4 && all.cols == 6 && all.stride == 6 && all.size() == 24 && all.contiguous()));
  BOOST_TEST(*all.row(2) == 12);
  const auto head = all.columns(2, 3);
  BOOST_TEST((head.rows == 4 && head.cols == 3 && head.stride == 6 && !head.contiguous()));
  BOOST_TEST(head.row(3)[1] == 21);
  const auto part = head.slice(1, 2);
  BOOST_TEST((part.rows == 2 && part.row(0)[0] == 8 && part.row(1)[2] == 16));
  BOOST_TEST(part.slice(1, 1).contiguous());  // one row always is
  BOOST_TEST(all.slice(1, 3).contiguous());
  BOOST_TEST(all.slice(4, 0).size() == 0);
  BOOST_TEST(all.columns(6, 0).size() == 0);
  const RowsOf<int> spread(numbers.data(), 3, 2, 8);
  BOOST_TEST((spread.row(2)[1] == 17 && !spread.contiguous()));
}

BOOST_AUTO_TEST_CASE(may_be_none) {
  const RowsOf<double> none;
  BOOST_TEST(!none);
  BOOST_TEST(none.size() == 0);
}

// The number of elements may exceed an int.
BOOST_AUTO_TEST_CASE(may_be_large) {
  double element = 0.0;
  BOOST_TEST(RowsOf<double>(&element, 100000, 100000).size() == 10000000000);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ragged)

BOOST_AUTO_TEST_CASE(knows_where_sequences_begin) {
  const std::array<int, 4> lengths{3, 0, 5, 1};
  Ragged offsets{std::span<const int>(lengths)};
  BOOST_TEST((offsets.sequences() == 4 && offsets.total() == 9 && offsets.longest() == 5));
  int begin = 0;
  for (int s = 0; s < 4; ++s) {
    BOOST_TEST(offsets.begin(s) == begin);
    BOOST_TEST(offsets.length(s) == lengths[static_cast<std::size_t>(s)]);
    begin += lengths[static_cast<std::size_t>(s)];
  }
  offsets.clear();
  BOOST_TEST((offsets.sequences() == 0 && offsets.total() == 0 && offsets.longest() == 0));
  offsets.push(2);
  BOOST_TEST((offsets.sequences() == 1 && offsets.begin(0) == 0 && offsets.total() == 2 && offsets.longest() == 2));
  BOOST_TEST(Ragged().sequences() == 0);
}

BOOST_AUTO_TEST_CASE(holds_as_many_rows_as_an_int_counts) {
  constexpr int largest = std::numeric_limits<int>::max();
  Ragged offsets;
  offsets.push(largest - 2);
  offsets.push(2);
  for (const std::ptrdiff_t length : {std::ptrdiff_t{1}, std::ptrdiff_t{largest}, std::ptrdiff_t{1} << 40})
    BOOST_CHECK_EXCEPTION(offsets.push(length), ConfigError, [&](const ConfigError& error) {
      const auto wanted = "a batch would have " + std::to_string(length + largest) + " tokens";
      return std::string(error.what()).starts_with(wanted);
    });
  BOOST_TEST((offsets.sequences() == 2 && offsets.total() == largest && offsets.longest() == largest - 2));
}

BOOST_AUTO_TEST_CASE(of_a_step_holds_as_many_rows_as_an_int_counts) {
  constexpr int largest = std::numeric_limits<int>::max();
  PackedTokens before, next;
  before.push(std::array{1, 2, 3});
  before.begin_at({largest - 3, 5});
  next.follow(before);
  BOOST_TEST((next.place() == Place{largest, 6}));
  before.begin_at({largest - 2, 5});
  BOOST_CHECK_THROW(next.follow(before), ConfigError);
  before.begin_at({0, largest});
  BOOST_CHECK_THROW(next.follow(before), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(translation_batch)

BOOST_AUTO_TEST_CASE(packs_and_shifts) {
  TranslationBatch batch(99);
  const std::vector<int> first{1, 2, 0}, second{5, 0}, third{7, 8, 9, 0};
  batch.push(first, second);
  batch.push(second, third);
  batch.push(third, {});
  const auto is = [](std::span<const int> found, const std::vector<int>& expected) {
    BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
  };
  is(batch.source.ids(), {1, 2, 0, 5, 0, 7, 8, 9, 0});
  is(batch.source.positions(), {0, 1, 2, 0, 1, 0, 1, 2, 3});
  is(batch.decoder_input.ids(), {99, 5, 99, 7, 8, 9});
  is(batch.decoder_input.positions(), {0, 1, 0, 1, 2, 3});
  is(batch.labels, {5, 0, 7, 8, 9, 0});
  BOOST_TEST((batch.sentences() == 3 && batch.decoder_input.offsets().length(2) == 0));

  TranslationBatch next(99), last(99);
  next.push(first, third);
  next.follow(batch);
  BOOST_TEST((next.source.place() == Place{9, 3} && next.decoder_input.place() == Place{6, 3}));
  last.push(first, first);
  last.follow(next);
  BOOST_TEST((last.source.place() == Place{12, 4} && last.decoder_input.place() == Place{10, 4}));
  last.clear();
  BOOST_TEST((last.sentences() == 0 && last.labels.empty() && last.source.place() == Place{} &&
              last.decoder_input.place() == Place{}));
}

BOOST_AUTO_TEST_SUITE_END()
