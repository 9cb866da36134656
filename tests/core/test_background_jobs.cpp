// BackgroundJobs: order, waiting, jobs that throw, and an end in the middle.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE background_jobs
#include <pthread.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "neural_attention/core/background_jobs.hpp"

using namespace neural_attention;

BOOST_AUTO_TEST_SUITE(background_jobs)

BOOST_AUTO_TEST_CASE(are_done_in_order_in_another_thread) {
  std::vector<int> done;
  std::thread::id worker;
  BackgroundJobs<int> jobs([&](const int& job) {
    done.push_back(job);
    worker = std::this_thread::get_id();
  });
  jobs.wait();
  for (int round = 0; round < 50; ++round) {
    done.clear();
    std::vector<int> expected;
    for (int i = 0; i < round; ++i) {
      jobs.give(i);
      expected.push_back(i);
    }
    jobs.wait();
    BOOST_TEST(done == expected, boost::test_tools::per_element());
  }
  BOOST_TEST((worker != std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(that_throw_drop_those_behind_them) {
  std::vector<int> done;
  BackgroundJobs<int> jobs([&](const int& job) {
    if (job == 3) throw std::runtime_error("three");
    done.push_back(job);
  });
  for (int i = 0; i < 10; ++i) jobs.give(i);
  BOOST_CHECK_EXCEPTION(jobs.wait(), std::runtime_error,
                        [](const std::exception& error) { return std::string(error.what()) == "three"; });
  BOOST_TEST(done == (std::vector<int>{0, 1, 2}), boost::test_tools::per_element());
  jobs.give(4);
  jobs.wait();
  BOOST_TEST(done.back() == 4);
}

BOOST_AUTO_TEST_CASE(know_whether_somebody_waits) {
  std::atomic<bool> go = false, seen = false, before = true;
  BackgroundJobs<int>* all = nullptr;
  BackgroundJobs<int> jobs([&](const int&) {
    before = all->waited_for();
    go = true;
    while (!all->waited_for()) std::this_thread::yield();
    seen = true;
  });
  all = &jobs;
  jobs.give(0);
  while (!go) std::this_thread::yield();
  BOOST_TEST(!seen);
  jobs.wait();
  BOOST_TEST(seen);
  BOOST_TEST(!before);
  BOOST_TEST(!jobs.waited_for());
}

BOOST_AUTO_TEST_CASE(end_when_they_are_stopped) {
  std::atomic<int> begun = 0;
  BackgroundJobs<int>* all = nullptr;
  BackgroundJobs<int> jobs([&](const int&) {
    ++begun;
    while (!all->stopping()) std::this_thread::yield();
  });
  all = &jobs;
  for (int i = 0; i < 5; ++i) jobs.give(i);
  while (begun == 0) std::this_thread::yield();
  jobs.stop();
  BOOST_TEST(begun == 1);
  jobs.give(7);
  jobs.wait();
  BOOST_TEST(begun == 1);
}

#if defined(__GLIBC__)

// No address space has room for the stack of a further thread.
BOOST_AUTO_TEST_CASE(that_have_no_thread_say_so) {
  pthread_attr_t before, huge;
  BOOST_REQUIRE(pthread_getattr_default_np(&before) == 0);
  BOOST_REQUIRE(pthread_attr_init(&huge) == 0);
  BOOST_REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 47) == 0);
  int done = 0;
  BackgroundJobs<int> jobs([&](const int&) { ++done; });
  BOOST_REQUIRE(pthread_setattr_default_np(&huge) == 0);
  BOOST_CHECK_EXCEPTION(jobs.give(0), ConfigError, [](const ConfigError& error) {
    return std::string(error.what()).find("cannot be started") != std::string::npos;
  });
  BOOST_REQUIRE(pthread_setattr_default_np(&before) == 0);
  jobs.give(1);
  jobs.wait();
  BOOST_TEST(done == 1);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
}

#endif

BOOST_AUTO_TEST_SUITE_END()
