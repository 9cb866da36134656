// The stack of device memory: alignment, growth, marks, and results that move down over what is dropped.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_arena
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/arena.hpp"
#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/pass.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;
constexpr std::size_t first_block = std::size_t{1} << 20;  // bytes

std::uintptr_t address(const auto& rows) { return reinterpret_cast<std::uintptr_t>(rows.data); }

void number(RowsOf<float> rows, float from) { std::iota(rows.data, rows.data + rows.size(), from); }

bool numbered(RowsOf<float> rows, float from) {
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i)
    if (rows.data[i] != from + static_cast<float>(i)) return false;
  return rows.size() > 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rows)

BOOST_AUTO_TEST_CASE(are_aligned_contiguous_and_apart) {
  B backend(1);
  Arena<B> arena(backend);
  BOOST_TEST(arena.capacity() == 0u);
  std::vector<RowsOf<float>> all;
  for (int i = 1; i < 60; ++i) {
    all.push_back(arena.rows(i, 3));
    number(all.back(), static_cast<float>(1000 * i));
  }
  const auto doubles = arena.rows<double>(3, 5);
  BOOST_TEST(address(doubles) % 64 == 0u);
  BOOST_TEST(doubles.size() == 15);
  for (int i = 1; i < 60; ++i) {
    const auto& rows = all[static_cast<std::size_t>(i - 1)];
    BOOST_TEST(address(rows) % 64 == 0u);
    BOOST_TEST((rows.rows == i && rows.cols == 3 && rows.contiguous()));
    BOOST_TEST(numbered(rows, static_cast<float>(1000 * i)));
  }
}

BOOST_AUTO_TEST_CASE(begin_each_at_a_multiple_of_16_where_they_should) {
  B backend(1);
  Arena<B> arena(backend);
  for (const int cols : {1, 15, 16, 17, 58101}) {
    const auto before = arena.rows(1, 1), rows = arena.aligned_rows(3, cols), after = arena.rows(1, 1);
    BOOST_TEST(address(rows) % 64 == 0u);
    BOOST_TEST((rows.rows == 3 && rows.cols == cols));
    BOOST_TEST((rows.stride % 16 == 0 && rows.stride >= cols && rows.stride < cols + 16));
    BOOST_TEST((before.data < rows.data && rows.row(2) + rows.stride <= after.data));
    const auto halves = arena.aligned_rows<bf16>(2, cols);
    BOOST_TEST((address(halves) % 64 == 0u && halves.stride == rows.stride));
  }
}

BOOST_AUTO_TEST_CASE(without_elements_still_have_a_place) {
  B backend(1);
  Arena<B> arena(backend);
  const auto none = arena.rows(0, 5), some = arena.rows(1, 1);
  BOOST_TEST(static_cast<bool>(none));
  BOOST_TEST(none.size() == 0);
  BOOST_TEST(address(none) != address(some));
}

BOOST_AUTO_TEST_CASE(never_move_when_the_arena_grows) {
  B backend(1);
  Arena<B> arena(backend);
  const auto first = arena.rows(10, 10);
  number(first, 7.0f);
  const auto before = address(first);
  for (int i = 0; i < 20; ++i) number(arena.rows(300, 1000), 0.0f);  // 1.2 MB each: more than one block
  BOOST_TEST(address(first) == before);
  BOOST_TEST(numbered(first, 7.0f));
  BOOST_TEST(arena.capacity() >= 20u * 300u * 1000u * sizeof(float));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(marks)

BOOST_AUTO_TEST_CASE(give_the_same_place_again) {
  B backend(1);
  Arena<B> arena(backend);
  arena.rows(3, 3);
  const auto mark = arena.mark();
  const auto first = arena.rows(100, 100);
  arena.rows(400, 1000);
  arena.rewind(mark);
  BOOST_TEST(address(arena.rows(100, 100)) == address(first));
  arena.rewind(mark);
  std::uintptr_t inside = 0;
  {
    const ArenaScope scope(arena);
    inside = address(arena.rows(5, 5));
    {
      const ArenaScope inner(arena);
      BOOST_TEST(address(arena.rows(5, 5)) > inside);
    }
  }
  BOOST_TEST(address(arena.rows(5, 5)) == inside);
}

BOOST_AUTO_TEST_CASE(keep_a_result_that_overlaps_its_new_place) {
  B backend(1);
  Arena<B> arena(backend);
  for (const int below : {0, 1, 16, 17, 40, 1000}) {
    arena.reset();
    arena.rows(1, 5);
    const auto mark = arena.mark();
    if (below > 0) arena.rows(1, below);
    const auto result = arena.rows(7, 13);
    number(result, 5.0f);
    const auto kept = arena.rewind_keeping(mark, result);
    BOOST_TEST((kept.rows == 7 && kept.cols == 13));
    BOOST_TEST(numbered(kept, 5.0f), below << " elements below");
    BOOST_TEST((below == 0) == (address(kept) == address(result)));
    BOOST_TEST(address(arena.rows(1, 1)) >= address(kept) + 7 * 13 * sizeof(float));
  }
}

BOOST_AUTO_TEST_CASE(keep_a_result_from_another_block) {
  B backend(1);
  Arena<B> arena(backend);
  arena.rows(1, 100);
  const auto mark = arena.mark();
  arena.rows(1, 200000);
  const auto result = arena.rows(100, 1000);  // does not fit behind it
  number(result, 1.0f);
  const auto kept = arena.rewind_keeping(mark, result);
  BOOST_TEST(address(kept) != address(result));
  BOOST_TEST(numbered(kept, 1.0f));
  // And one that must stay in the later block, because the mark's has no room.
  arena.rows(1, 150000);
  const auto late = arena.mark();
  const auto large = arena.rows(200, 1000);
  number(large, 2.0f);
  const auto still = arena.rewind_keeping(late, large);
  BOOST_TEST(address(still) == address(large));
  BOOST_TEST(numbered(still, 2.0f));
  BOOST_TEST(numbered(kept, 1.0f));
}

BOOST_AUTO_TEST_CASE(a_pass_at_another_place_is_another_pass) {
  B backend(1);
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training(5, 6);
  const auto there = pass.at({7, 8});
  BOOST_TEST((pass.place == Place{} && there.place == Place{7, 8}));
  BOOST_TEST((there.train && there.seed == 5u && there.step == 6u && &there.saved == &pass.saved));
  const RandomSite site{9};
  const auto mask = there.mask(0.5, site), attention = there.attention_mask(0.5, site);
  BOOST_TEST((mask.first_row == 7 && attention.first_row == 8 && mask.key.step == 6u && mask.key.site == 9u));
  BOOST_TEST(memory.begin_inference().mask(0.5, site).rate == 0.0);
  static_assert(!std::is_copy_assignable_v<Pass<B>>, "nothing writes to a pass");
}

BOOST_AUTO_TEST_CASE(settle_moves_only_what_is_new) {
  B backend(1);
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training(5, 6);
  BOOST_TEST((pass.train && pass.seed == 5u && pass.step == 6u));
  const auto dx = pass.scratch.rows(2, 2);
  const auto mark = pass.scratch.mark();
  pass.scratch.rows(4, 4);
  const auto result = pass.scratch.rows(2, 2);
  number(result, 3.0f);
  BOOST_TEST(address(settle<B>(pass, mark, dx, dx)) == address(dx));
  const auto next = pass.scratch.rows(1, 1);
  pass.scratch.rewind(mark);
  const auto moved = settle<B>(pass, mark, {}, result);
  BOOST_TEST(address(moved) == address(next));
  BOOST_TEST(numbered(moved, 3.0f));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(growth)

BOOST_AUTO_TEST_CASE(reset_joins_blocks_and_capacity_settles) {
  B backend(1);
  Arena<B> arena(backend);
  const auto step = [&] {
    arena.reset();
    for (int i = 0; i < 5; ++i) {
      const ArenaScope scope(arena);
      arena.rows(100, 1000);
      arena.rows(200, 1000);
    }
    arena.rows(700, 1000);
  };
  step();
  const auto grown = arena.capacity();
  BOOST_TEST(grown >= 700u * 1000u * sizeof(float));
  arena.reset();
  BOOST_TEST(arena.capacity() == grown);
  // One block now: everything lies side by side.
  const auto first = arena.rows(350, 1000), second = arena.rows(350, 1000);
  BOOST_TEST(address(second) == address(first) + 350u * 1000u * sizeof(float));
  for (int i = 0; i < 10; ++i) {
    step();
    BOOST_TEST(arena.capacity() == grown);
  }
}

BOOST_AUTO_TEST_CASE(the_first_block_is_not_tiny_and_a_large_one_fits_exactly) {
  B backend(1);
  Arena<B> small(backend), large(backend);
  small.rows(1, 1);
  BOOST_TEST(small.capacity() == first_block);
  large.rows(1000, 1000);
  BOOST_TEST(large.capacity() == 1000u * 1000u * sizeof(float));
}

// Otherwise the first step would touch both.
BOOST_AUTO_TEST_CASE(an_empty_block_makes_room_for_a_larger_one) {
  B backend(1);
  Arena<B> arena(backend);
  const auto bottom = arena.rows(1, 1000);
  number(bottom, 1.0f);
  {
    const ArenaScope scope(arena);
    arena.rows(1000, 1000);
  }
  arena.rows(2000, 1000);
  BOOST_TEST(numbered(bottom, 1.0f));
  BOOST_TEST(arena.capacity() == first_block + (std::size_t{1} << 25));
}

// A step that needs less than the blocks joined at the last reset allocates nothing, whatever the order of its sizes.
BOOST_AUTO_TEST_CASE(other_sizes_fit_into_what_is_there) {
  B backend(1);
  Arena<B> arena(backend);
  for (const int cols : {250000, 300000, 600000}) arena.rows(1, cols);
  arena.reset();
  const auto held = arena.capacity();
  for (const int cols : {600000, 250000, 300000}) arena.rows(1, cols);
  BOOST_TEST(arena.capacity() == held);
  arena.reset();
  for (int i = 0; i < 1150; ++i) arena.rows(1, 1000);
  BOOST_TEST(arena.capacity() == held);
}

BOOST_AUTO_TEST_SUITE_END()
