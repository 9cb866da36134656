// How a group of ranks ends: by a fault of one of them, in the midst of exchanges or when others have done their work,
// and for good. Each case is a run of mpirun.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mpi_group_ends
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "neural_attention/mpi/mpi_group.hpp"

using namespace neural_attention;

namespace {

MpiGroup& group() {
  static MpiGroup ranks({.timeout = 60.0});
  return ranks;
}

// Or a rank that goes on would update its parameters with its own gradients alone.
void expect_no_further_exchange() {
  std::vector<float> x(10, 1.0f);
  BOOST_CHECK_EXCEPTION(group().begin(Exchange::Sum, std::span(x)), GroupError, [](const GroupError& error) {
    const std::string text = error.what();
    return text.find(group().name(group().rank())) != std::string::npos &&
           text.find("failed before") != std::string::npos;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(a_fault)

// As a rank that runs out of memory in the backward pass: what it had begun to send and receive is used for something
// else.
BOOST_AUTO_TEST_CASE(in_exchanges_leaves_memory_alone_and_ends_all) {
  constexpr std::size_t count = std::size_t{1} << 22;
  if (group().rank() > 0) {
    std::vector<float> x(count, 1.0f);
    for (const auto exchange : {Exchange::GatherShares, Exchange::Sum}) group().begin(exchange, std::span(x));
    group().abandon();
    expect_no_further_exchange();
    std::ranges::fill(x, 7.0f);
    BOOST_TEST(group().fail("its memory is full"));
    BOOST_TEST(std::ranges::count(x, 7.0f) == std::ssize(x));
    return;
  }
  std::vector<float> x(count, 1.0f);
  const auto exchange = [&] {
    for (const auto one : {Exchange::GatherShares, Exchange::Sum, Exchange::Sum}) group().begin(one, std::span(x));
    group().finish();
  };
  BOOST_CHECK_EXCEPTION(exchange(), GroupError, [](const GroupError& error) {
    group().fail(error.what());
    return std::string(error.what()).find("its memory is full") != std::string::npos;
  });
  expect_no_further_exchange();
}

// Rank 0 is in its destructor, which says nothing: the rank that fails must say it soon, and has the time.
BOOST_AUTO_TEST_CASE(behind_the_end_of_others_is_said_by_its_rank) {
  std::optional<MpiGroup> ranks(std::in_place, MpiOptions{.timeout = 60.0});
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  const bool fails = ranks->rank() == 1;
  if (fails) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    BOOST_TEST(!ranks->fail("the disk is full", 5.0));
    BOOST_TEST(seconds() < 4.0);
    std::this_thread::sleep_for(std::chrono::seconds(1));  // it says so
  }
  ranks.reset();
  if (!fails) BOOST_TEST(seconds() > 1.0);
  BOOST_TEST(seconds() < 5.0);
  std::this_thread::sleep_until(begin + std::chrono::seconds(8));  // mpirun ends the others of one that ends early
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_group)

BOOST_AUTO_TEST_CASE(gathers_no_more_than_mpi_can) {
  const auto count = std::size_t{std::numeric_limits<int>::max()} + 1;
  const auto mine = std::make_unique_for_overwrite<std::byte[]>(count);  // never touched
  BOOST_CHECK_THROW(group().gather(std::span(mine.get(), count), {}), ConfigError);
  group().wait_for_all();
}

BOOST_AUTO_TEST_CASE(cannot_begin_again) {
  std::optional<MpiGroup> first(std::in_place);
  first.reset();
  BOOST_CHECK_EXCEPTION(MpiGroup{}, GroupError, [](const GroupError& error) {
    return std::string(error.what()).find("cannot begin again") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
