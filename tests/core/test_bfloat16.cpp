// bfloat16 against what rounding means: the nearest of its numbers, found among all of them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_bfloat16
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/random.hpp"

using namespace neural_attention;

namespace {

static_assert(sizeof(bf16) == 2 && alignof(bf16) == 2);
static_assert(std::is_trivial_v<bf16> && std::is_trivially_copyable_v<bf16>);
static_assert(!std::is_convertible_v<float, bf16> && !std::is_convertible_v<bf16, float>);
static_assert(static_cast<float>(bf16(1.5f)) == 1.5f && -bf16(2.0f) == bf16(-2.0f) && bf16(1.0f) < bf16(1.5f));
static_assert(bf16(1.0f).bits() == 0x3f80 && static_cast<double>(std::numeric_limits<bf16>::epsilon()) == 0x1p-7);

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
bf16 number(int bits) { return bf16::from_bits(static_cast<std::uint16_t>(bits)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(bfloat16_numbers)

BOOST_AUTO_TEST_CASE(come_back_from_float) {
  int numbers = 0;
  for (int bits = 0; bits < 0x10000; ++bits) {
    const auto x = static_cast<float>(number(bits));
    BOOST_TEST_REQUIRE(std::bit_cast<std::uint32_t>(x) == static_cast<std::uint32_t>(bits) << 16);
    const bf16 again(x);
    if (std::isnan(x)) {
      BOOST_TEST_REQUIRE((std::isnan(static_cast<float>(again)) && std::signbit(x) == (again.bits() >> 15 == 1)));
    } else {
      BOOST_TEST_REQUIRE(again.bits() == bits);
      ++numbers;
    }
  }
  BOOST_TEST(numbers == 0x10000 - 2 * 127);
}

// The float that is in the middle of two neighbours goes to the even one, and those beside it to the nearer one.
BOOST_AUTO_TEST_CASE(are_the_nearest_ones) {
  constexpr int infinite = 0x7f80;
  for (const std::uint32_t sign : {0u, 0x80000000u})
    for (int low = 0; low < infinite; ++low) {
      const auto middle = sign | static_cast<std::uint32_t>(low) << 16 | 0x8000u;
      const int even = low % 2 == 0 ? low : low + 1;
      const auto rounded = [&](std::uint32_t bits) { return bf16(from_bits(bits)).bits() & 0x7fff; };
      BOOST_TEST_REQUIRE(rounded(middle) == even);
      BOOST_TEST_REQUIRE(rounded(middle - 1) == low);
      BOOST_TEST_REQUIRE(rounded(middle + 1) == low + 1);  // of the largest: infinite
      BOOST_TEST_REQUIRE(bf16(from_bits(middle)).bits() >> 15 == sign >> 31);
    }
}

BOOST_AUTO_TEST_CASE(are_off_by_half_an_ulp_at_most) {
  RandomStream random({.seed = 1, .step = 2, .site = 3});
  for (int i = 0; i < 10000; ++i) {
    const auto x = static_cast<float>(random.normal());
    const auto rounded = static_cast<float>(bf16(x));
    BOOST_TEST_REQUIRE(std::abs(rounded - x) <= 0x1p-8f * std::abs(x));
    BOOST_TEST_REQUIRE(rounded == round_to_bfloat16(x));
  }
}

BOOST_AUTO_TEST_CASE(keep_what_is_not_finite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float sign : {1.0f, -1.0f}) {
    BOOST_TEST(static_cast<float>(bf16(sign * infinity)) == sign * infinity);
    BOOST_TEST(static_cast<float>(bf16(sign * std::numeric_limits<float>::max())) == sign * infinity);
    BOOST_TEST(static_cast<float>(bf16(sign * from_bits(0x7f7f7fffu))) == sign * from_bits(0x7f7f0000u));
  }
  for (const std::uint32_t nan : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu})
    BOOST_TEST(std::isnan(static_cast<float>(bf16(from_bits(nan)))));
  BOOST_TEST((std::signbit(static_cast<float>(bf16(-0.0f))) && bf16(-0.0f) == bf16(0.0f)));
}

BOOST_AUTO_TEST_CASE(compare_as_floats) {
  const auto nan = std::numeric_limits<bf16>::quiet_NaN(), infinity = std::numeric_limits<bf16>::infinity();
  BOOST_TEST((!(nan == nan) && nan != nan && !(nan < infinity) && !(nan >= infinity)));
  BOOST_TEST((-infinity < std::numeric_limits<bf16>::lowest() && std::numeric_limits<bf16>::max() < infinity));
  BOOST_TEST((bf16(-3.0f) < bf16(-2.0f) && bf16(-2.0f) <= bf16(2.0f)));
  BOOST_TEST(static_cast<float>(std::numeric_limits<bf16>::min()) == std::numeric_limits<float>::min());
  BOOST_TEST(static_cast<float>(std::numeric_limits<bf16>::denorm_min()) == 0x1p-133f);
}

BOOST_AUTO_TEST_SUITE_END()
