// The team of threads: every tile exactly once, errors reach the caller, and nobody sleeps through a call.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_threads
#if defined(__linux__)
#include <sched.h>
#include <time.h>
#endif

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "neural_attention/core/threads.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "sanitized.hpp"

using namespace neural_attention;

namespace {

/// Runs `tiles` tiles and returns whether each ran once, by a worker of the team.
bool each_once(ThreadPool& pool, int tiles) {
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tiles));
  std::atomic<bool> strangers{false};
  pool.run(tiles, [&](int tile, int worker) {
    runs[static_cast<std::size_t>(tile)].fetch_add(1);
    if (worker < 0 || worker >= pool.threads()) strangers = true;
  });
  for (const auto& count : runs)
    if (count.load() != 1) return false;
  return !strangers;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tiles)

BOOST_AUTO_TEST_CASE(each_runs_once) {
  for (const int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    BOOST_TEST(pool.threads() == threads);
    for (const int count : {0, 1, 2, 3, 7, 8, 100, 10000})
      BOOST_TEST(each_once(pool, count), threads << " threads, " << count << " tiles");
  }
}

BOOST_AUTO_TEST_CASE(none_means_no_call) {
  ThreadPool pool(3);
  int calls = 0;
  for (const int count : {0, -1}) pool.run(count, [&](int, int) { ++calls; });
  BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(a_team_of_the_machine_has_at_least_one_thread) {
  ThreadPool pool(0);
  BOOST_TEST(pool.threads() >= 1);
  BOOST_TEST(each_once(pool, 50));
}

BOOST_AUTO_TEST_CASE(each_worker_has_its_own_name) {
  ThreadPool pool(4);
  // Every thread waits in its tile for the other three, so each must work.
  std::atomic<int> arrived{0};
  std::vector<std::thread::id> threads(4);
  pool.run(4, [&](int, int worker) {
    threads[static_cast<std::size_t>(worker)] = std::this_thread::get_id();
    arrived.fetch_add(1);
    while (arrived.load() < 4) std::this_thread::yield();
  });
  BOOST_TEST((threads[0] == std::this_thread::get_id()));
  BOOST_TEST(std::set<std::thread::id>(threads.begin(), threads.end()).size() == 4u);
}

BOOST_AUTO_TEST_CASE(what_they_wrote_is_seen_by_the_caller_and_by_the_next_call) {
  ThreadPool pool(3);
  std::vector<long> values(97, 0);  // plain numbers: the calls order the accesses
  for (int round = 0; round < 300; ++round)
    pool.run(97, [&](int tile, int) { values[static_cast<std::size_t>(tile == 96 ? 0 : tile + 1)] += tile; });
  BOOST_TEST(std::accumulate(values.begin(), values.end(), 0L) == 300L * 96 * 97 / 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(reach_the_caller_and_leave_the_team_usable) {
  for (const int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    for (int bad = 0; bad < 20; ++bad) {
      std::string message;
      try {
        pool.run(20, [&](int tile, int) {
          if (tile == bad) throw std::runtime_error("tile " + std::to_string(tile));
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      BOOST_TEST(message == "tile " + std::to_string(bad));
      BOOST_TEST(each_once(pool, 50));
    }
  }
}

BOOST_AUTO_TEST_CASE(only_one_of_many_is_thrown) {
  ThreadPool pool(7);
  for (int round = 0; round < 50; ++round) {
    BOOST_CHECK_THROW(pool.run(500, [](int tile, int) -> void { throw tile; }), int);
    pool.run(10, [](int, int) {});  // no late error
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(workers)

BOOST_AUTO_TEST_CASE(take_many_small_calls) {
  for (const int threads : {2, 7}) {
    ThreadPool pool(threads);
    std::atomic<long> sum{0};
    for (int round = 0; round < 2000; ++round)
      pool.run(3, [&](int tile, int) { sum.fetch_add(tile + 1, std::memory_order_relaxed); });
    BOOST_TEST(sum.load() == 12000L);
  }
}

// After the pause every worker sleeps; the tile waits for all of them, so a missed wake-up would hang the test.
BOOST_AUTO_TEST_CASE(wake_up) {
  ThreadPool pool(3);
  for (const int pause : {0, 50, 200, 0, 100}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    std::atomic<int> arrived{0};
    pool.run(3, [&](int, int) {
      arrived.fetch_add(1);
      while (arrived.load() < 3) std::this_thread::yield();
    });
    BOOST_TEST(arrived.load() == 3);
  }
}

// A worker that does not get a CPU must not hold up the others: here all share one.
BOOST_AUTO_TEST_CASE(are_not_waited_for_without_a_tile) {
#if defined(__linux__)
  if (NEURAL_ATTENTION_SANITIZED) return;  // it measures time
  double seconds = 0.0;
  std::thread([&] {
    cpu_set_t before, one;
    BOOST_REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
      if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    BOOST_REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    ThreadPool pool(4);
    timespec start{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (int round = 0; round < 20000; ++round) pool.run(4, [](int, int) {});
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    seconds = double(end.tv_sec - start.tv_sec) + 1e-9 * double(end.tv_nsec - start.tv_nsec);
  }).join();
  BOOST_TEST(seconds < 0.5);  // some 0.05; to wait for each worker takes seconds
#endif
}

BOOST_AUTO_TEST_CASE(a_share_of_the_threads) {
  BOOST_TEST(threads_of_each(1, 3) == 3);
  BOOST_TEST(threads_of_each(1, 0) == available_threads());
  BOOST_TEST(threads_of_each(1'000'000, 0) == 1);
  BOOST_CHECK_THROW(threads_of_each(0, 1), ConfigError);
  BOOST_CHECK_THROW(threads_of_each(1, -1), ConfigError);
}

BOOST_AUTO_TEST_CASE(end_with_the_team) {
  for (int i = 0; i < 30; ++i) {
    ThreadPool pool(1 + i % 4);
    if (i % 3 == 1) BOOST_TEST(each_once(pool, 10));
    if (i % 10 == 2) std::this_thread::sleep_for(std::chrono::milliseconds(60));  // ends while they sleep
  }
}

BOOST_AUTO_TEST_SUITE_END()
