// Random numbers: the published answers of Philox4x32-10, values pinned by an independent implementation, and the
// statistics of the draws. Every seed is fixed, so a check passes always or never.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_random
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "neural_attention/core/random.hpp"

using namespace neural_attention;

namespace {

using Words = std::array<std::uint32_t, 4>;

std::vector<std::uint32_t> draws(RandomKey key, int count) {
  RandomStream random(key);
  std::vector<std::uint32_t> result;
  for (int i = 0; i < count; ++i) result.push_back(random.word());
  return result;
}

/// Σ (observed - expected)² / expected.
double chi_square(const std::vector<long>& counts) {
  const double expected =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0L)) / double(counts.size());
  double sum = 0.0;
  for (const auto count : counts) sum += (double(count) - expected) * (double(count) - expected) / expected;
  return sum;
}

/// Mean plus five standard deviations of a chi-square variable.
double chi_square_limit(std::size_t bins) { return double(bins - 1) + 5.0 * std::sqrt(2.0 * double(bins - 1)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(known_answers)

// The three vectors that the authors publish with their Random123 library.
BOOST_AUTO_TEST_CASE(of_philox) {
  constexpr std::uint32_t ones = 0xffffffffu;
  BOOST_TEST((philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  BOOST_TEST(
      (philox({ones, ones, ones, ones}, {ones, ones}) == Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  BOOST_TEST((philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}) ==
              Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
  static_assert(philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5u);
}

// Which counter and key words the seed, step, site, row and block become: a change breaks every checkpoint.
BOOST_AUTO_TEST_CASE(of_a_key) {
  BOOST_TEST((RandomKey{0x0123456789abcdefu, 7, 0x9e3779b1u}.words(11, 13) ==
              Words{0x4dc4ea13u, 0x0ccc0541u, 0x74eb496fu, 0xd9a8fec7u}));
}

BOOST_AUTO_TEST_CASE(of_a_stream) {
  const RandomKey key{42, 3, 5};
  BOOST_TEST((draws(key, 6) == std::vector<std::uint32_t>{0x496a4937u, 0x6cbd5bc8u, 0x5a8f3feau, 0x2d1b74c1u,
                                                          0xe6003e52u, 0x5abebcd0u}));
  RandomStream below(key), uniform(key), normal(key), shuffle(key);
  for (const std::uint32_t expected : {2, 4, 3, 1, 8, 3, 7, 8, 3, 2, 1, 1}) BOOST_TEST(below.below(10) == expected);
  for (const double expected : {0.286778045585379, 0.4247643817216158})
    BOOST_TEST(std::abs(uniform.uniform() - expected) < 1e-15);
  for (const double expected : {-0.7319847173747966, 0.41792533832878753, -1.3052487997909659, 1.3040169102726877})
    BOOST_TEST(std::abs(normal.normal() - expected) < 1e-14);
  std::vector<int> items(10);
  std::iota(items.begin(), items.end(), 0);
  shuffle.shuffle(items);
  BOOST_TEST((items == std::vector<int>{4, 0, 7, 8, 6, 5, 1, 9, 3, 2}));
  // The bound 0xC0000001 rejects a quarter of all words; here the seventh word makes the sixth number.
  RandomStream rejecting({1, 0, 0});
  for (const std::uint32_t expected : {0xaaee04d4u, 0xabc78b0du, 0x70759a10u, 0x88903f9du, 0x626ffaa5u, 0x1a60a686u})
    BOOST_TEST(rejecting.below(0xC0000001u) == expected);
  const auto words = draws({1, 0, 0}, 8);
  BOOST_TEST(rejecting.word() == words[7]);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(streams)

BOOST_AUTO_TEST_CASE(differ_in_every_part_of_the_key) {
  const std::vector<RandomKey> keys{{1, 0, 0}, {2, 0, 0}, {1 + (std::uint64_t{1} << 32), 0, 0}, {1, 1, 0}, {1, 0, 1},
                                    {0, 1, 1}, {1, 1, 1}};
  std::set<std::vector<std::uint32_t>> seen;
  for (const auto& key : keys) seen.insert(draws(key, 8));
  BOOST_TEST(seen.size() == keys.size());
  std::set<Words> places;
  for (std::uint32_t row = 0; row < 20; ++row)
    for (std::uint32_t block = 0; block < 20; ++block) places.insert(keys[0].words(row, block));
  BOOST_TEST(places.size() == 400u);
}

BOOST_AUTO_TEST_CASE(repeat_from_the_same_key) {
  BOOST_TEST((draws({9, 8, 7}, 1001) == draws({9, 8, 7}, 1001)));
  auto copied = RandomStream({9, 8, 7});
  copied.word();
  auto copy = copied;
  for (int i = 0; i < 9; ++i) BOOST_TEST(copy.word() == copied.word());
}

// Neighbouring rows, blocks, steps and sites must not be correlated: the mean product of centred uniforms is near 0.
BOOST_AUTO_TEST_CASE(are_not_correlated) {
  const auto centred = [](std::uint32_t word) { return unit_interval(word) - 0.5; };
  constexpr int count = 40000;
  std::array<double, 4> products{};
  for (std::uint32_t i = 0; i < count; ++i) {
    const RandomKey key{5, 3, 2};
    const double x = centred(key.words(i, i % 7)[0]);
    products[0] += x * centred(key.words(i + 1, i % 7)[0]);
    products[1] += x * centred(key.words(i, i % 7 + 1)[0]);
    products[2] += x * centred(RandomKey{5, 4, 2}.words(i, i % 7)[0]);
    products[3] += x * centred(RandomKey{5, 3, 3}.words(i, i % 7)[0]);
  }
  // A product has the deviation 1/12.
  for (const double sum : products) BOOST_TEST(std::abs(sum) * 12.0 < 5.0 * std::sqrt(double(count)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(distributions)

BOOST_AUTO_TEST_CASE(words_are_uniform_in_every_byte) {
  RandomStream random({77, 0, 0});
  std::array<std::vector<long>, 4> counts;
  counts.fill(std::vector<long>(256, 0));
  for (int i = 0; i < 200000; ++i) {
    const auto word = random.word();
    for (unsigned byte = 0; byte < 4; ++byte) ++counts[byte][(word >> (8 * byte)) & 0xffu];
  }
  for (const auto& bytes : counts) BOOST_TEST(chi_square(bytes) < chi_square_limit(256));
}

BOOST_AUTO_TEST_CASE(below_is_uniform) {
  for (const std::uint32_t bound : {2u, 3u, 7u, 10u, 97u, 1000u}) {
    RandomStream random({3, 1, bound});
    std::vector<long> counts(bound, 0);
    for (int i = 0; i < 200000; ++i) {
      const auto value = random.below(bound);
      BOOST_TEST_REQUIRE(value < bound);
      ++counts[value];
    }
    BOOST_TEST(chi_square(counts) < chi_square_limit(bound), "bound " << bound << ": " << chi_square(counts));
  }
  RandomStream random({3, 1, 0});
  for (int i = 0; i < 10; ++i) BOOST_TEST(random.below(1) == 0u);
}

// Without rejection the lower half would come up twice as often as the upper one.
BOOST_AUTO_TEST_CASE(below_rejects_what_would_bias) {
  constexpr std::uint32_t bound = 0xC0000000u;  // 3/4 of 2^32
  RandomStream random({3, 2, 0});
  std::vector<long> counts(3, 0);
  for (int i = 0; i < 90000; ++i) {
    const auto value = random.below(bound);
    BOOST_TEST_REQUIRE(value < bound);
    ++counts[value / (bound / 3)];
  }
  BOOST_TEST(chi_square(counts) < chi_square_limit(3));
  // The same within each group of neighbours, where the bias would sit.
  std::vector<long> rests(3, 0);
  for (int i = 0; i < 90000; ++i) ++rests[random.below(bound) % 3];
  BOOST_TEST(chi_square(rests) < chi_square_limit(3));
}

BOOST_AUTO_TEST_CASE(uniform_stays_below_one) {
  static_assert(unit_interval(0) == 0.0);
  static_assert(unit_interval(0xffffffffu) < 1.0);
  RandomStream random({4, 0, 0});
  double sum = 0.0, squares = 0.0;
  constexpr int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double x = random.uniform();
    BOOST_TEST_REQUIRE((x >= 0.0 && x < 1.0));
    sum += x;
    squares += x * x;
  }
  BOOST_TEST(std::abs(sum / count - 0.5) < 5.0 * std::sqrt(1.0 / 12.0 / count));
  BOOST_TEST(std::abs(squares / count - 1.0 / 3.0) < 5.0 * std::sqrt(4.0 / 45.0 / count));
}

BOOST_AUTO_TEST_CASE(normal_has_the_right_moments_and_tails) {
  RandomStream random({4, 1, 0});
  constexpr int count = 200000;
  std::array<double, 5> moments{};
  std::array<long, 3> beyond{};
  double before = 0.0, neighbours = 0.0;
  for (int i = 0; i < count; ++i) {
    const double x = random.normal();
    BOOST_TEST_REQUIRE(std::isfinite(x));
    for (int power = 1; power <= 4; ++power) moments[static_cast<std::size_t>(power)] += std::pow(x, power) / count;
    for (std::size_t k = 0; k < 3; ++k) beyond[k] += std::abs(x) > double(k + 1);
    neighbours += x * before;
    before = x;
  }
  // Five standard deviations of each mean: the variance of x^k is (2k-1)!! - (k-1)!!² for even k.
  const double root = std::sqrt(double(count));
  BOOST_TEST(std::abs(moments[1]) < 5.0 / root);
  BOOST_TEST(std::abs(moments[2] - 1.0) < 5.0 * std::sqrt(2.0) / root);
  BOOST_TEST(std::abs(moments[3]) < 5.0 * std::sqrt(15.0) / root);
  BOOST_TEST(std::abs(moments[4] - 3.0) < 5.0 * std::sqrt(96.0) / root);
  BOOST_TEST(std::abs(neighbours) < 5.0 * root);
  const std::array<double, 3> tails{0.31731, 0.04550, 0.00270};
  for (std::size_t k = 0; k < 3; ++k)
    BOOST_TEST(std::abs(double(beyond[k]) - tails[k] * count) < 5.0 * std::sqrt(tails[k] * count));
}

BOOST_AUTO_TEST_CASE(shuffle_is_a_permutation_and_reaches_all) {
  for (const int size : {0, 1, 2, 5, 1000}) {
    RandomStream random({6, 0, static_cast<std::uint32_t>(size)});
    std::vector<int> items(static_cast<std::size_t>(size)), sorted(items);
    std::iota(sorted.begin(), sorted.end(), 0);
    items = sorted;
    random.shuffle(items);
    if (size == 1000) BOOST_TEST((items != sorted));
    std::sort(items.begin(), items.end());
    BOOST_TEST((items == sorted));
  }
  // The 24 orders of four items come up equally often.
  RandomStream random({6, 1, 0});
  std::vector<long> counts(24, 0);
  for (int i = 0; i < 48000; ++i) {
    std::array<int, 4> items{0, 1, 2, 3};
    random.shuffle(items);
    std::size_t rank = 0;
    for (std::size_t a = 0; a < 4; ++a) {
      std::size_t smaller = 0;
      for (std::size_t b = a + 1; b < 4; ++b) smaller += items[b] < items[a];
      rank = rank * (4 - a) + smaller;
    }
    ++counts[rank];
  }
  BOOST_TEST(chi_square(counts) < chi_square_limit(24));
}

BOOST_AUTO_TEST_SUITE_END()
