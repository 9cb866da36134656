// How many threads a team has where nobody says: the environment, the affinity mask, the limits of control groups.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_available_threads
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/threads.hpp"
#include "sanitized.hpp"
#include "scratch.hpp"

using namespace neural_attention;

namespace {

/// While it lives, the variable has this value, or none.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old;
    set(value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) const { value ? setenv(name_, value, 1) : unsetenv(name_); }

  const char* name_;
  std::optional<std::string> old_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(a_request)

BOOST_AUTO_TEST_CASE(is_a_number_above_0) {
  BOOST_TEST(available_threads("3", 8, std::nullopt) == 3);
  BOOST_TEST(available_threads("24", 8, 2) == 24);
  for (const char* const none : {"", "0", "-1", "+2", " 2", "2 ", ",2", "0,2", "two", "2.5", "99999999999", "1e3"})
    BOOST_TEST(available_threads(none, 8, std::nullopt) == 8, "'" << none << "'");
  BOOST_TEST(available_threads(nullptr, 8, std::nullopt) == 8);
}

// OpenMP's variable may list a number for each level of nested teams.
BOOST_AUTO_TEST_CASE(is_the_first_of_a_list) {
  for (const char* const list : {"4,2", "4,", "4,two"}) BOOST_TEST(available_threads(list, 8, 2) == 4, list);
}

BOOST_AUTO_TEST_CASE(comes_from_the_environment) {
  const Environment asked("OMP_NUM_THREADS", "3");
  BOOST_TEST(available_threads() == 3);
  BOOST_TEST(ThreadPool(0).threads() == 3);
  BOOST_TEST(ThreadPool(2).threads() == 2);
  const Environment nonsense("OMP_NUM_THREADS", "-3");
  BOOST_TEST(available_threads() >= 1);
  BOOST_TEST(available_threads() <= allowed_cpus());
}

BOOST_AUTO_TEST_CASE(that_is_missing_leaves_the_smaller_of_cpus_and_limit) {
  BOOST_TEST(available_threads(nullptr, 8, 2) == 2);
  BOOST_TEST(available_threads(nullptr, 2, 8) == 2);
  BOOST_TEST(available_threads(nullptr, 0, std::nullopt) == 1);
  BOOST_TEST(available_threads(nullptr, 8, 0) == 1);
}

BOOST_AUTO_TEST_SUITE_END()

#if defined(__linux__)
BOOST_AUTO_TEST_SUITE(affinity)

BOOST_AUTO_TEST_CASE(counts_the_cpus_of_the_mask) {
  const Environment unset("OMP_NUM_THREADS", nullptr);
  cpu_set_t before, one;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return;  // a machine of more than 1024 CPUs
  BOOST_TEST(allowed_cpus() == CPU_COUNT(&before));
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  BOOST_REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  BOOST_TEST(allowed_cpus() == 1);
  BOOST_TEST(CPU_ISSET(allowed_cpu_numbers().front(), &before));
  BOOST_TEST(ThreadPool(0).threads() == 1);
  BOOST_REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
#endif

BOOST_AUTO_TEST_SUITE(processes_of_a_host)

BOOST_AUTO_TEST_CASE(share_the_cpus_that_several_may_use) {
  using Cpus = std::vector<int>;
  const auto threads = [](const Cpus& mine, const std::vector<Cpus>& all, std::optional<int> limit = {}) {
    return shared_cpus(mine, all, limit);
  };
  const Cpus four = {8, 9, 10, 11}, low = {0, 1, 2}, high = {3, 4};
  BOOST_TEST(threads(four, {four}) == 4);
  BOOST_TEST(threads(four, {four, four}) == 2);  // a part of a larger host, which no launcher divided
  BOOST_TEST(threads(four, {four, four, four}) == 1);
  BOOST_TEST(threads(four, std::vector<Cpus>(9, four)) == 1);
  BOOST_TEST(threads(low, {low, high}) == 3);  // bound
  BOOST_TEST(threads(high, {low, high}) == 2);
  BOOST_TEST(threads(low, {low, low, low, high}) == 1);
  BOOST_TEST(threads({0, 1, 2, 3}, {{0, 1, 2, 3}, {2, 3}}) == 3);
  BOOST_TEST(threads(four, {four, four}, 2) == 1);
  BOOST_TEST(threads(low, {low, high}, 4) == 2);
  BOOST_TEST(threads(low, {low, high}, 100) == 3);
  BOOST_TEST(threads({}, {{}}) == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(control_groups)

namespace {

/// A made-up /proc/self/cgroup and /sys/fs/cgroup.
struct Tree {
  explicit Tree(const std::string& membership) : files{scratch.write("cgroup", membership), scratch.file("sys")} {
    std::filesystem::create_directory(files.mount);
  }

  Tree& set(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(files.mount) / name;
    std::filesystem::create_directories(path.parent_path());
    put(path, text);
    return *this;
  }
  /// 0: no limit.
  int cpus() const { return control_group_cpus(files).value_or(0); }

  Scratch scratch;
  ControlGroupFiles files;
};

}  // namespace

BOOST_AUTO_TEST_CASE(of_version_2_round_up) {
  for (const auto& [text, cpus] : {std::pair{"200000 100000\n", 2},
                                   {"250000 100000\n", 3},
                                   {"50000 100000\n", 1},
                                   {"1000 100000\n", 1},
                                   {"max 100000\n", 0},
                                   {"max\n", 0},
                                   {"", 0},
                                   {"200000\n", 0},
                                   {"nonsense here\n", 0},
                                   {"200000 0\n", 0}})
    BOOST_TEST(Tree("0::/a\n").set("a/cpu.max", text).cpus() == cpus, "'" << text << "'");
}

BOOST_AUTO_TEST_CASE(are_bound_by_those_they_lie_in) {
  Tree tree("0::/outer/middle/inner\n");
  BOOST_TEST(tree.cpus() == 0);
  tree.set("outer/middle/inner/cpu.max", "max 100000\n").set("outer/cpu.max", "400000 100000\n");
  BOOST_TEST(tree.cpus() == 4);
  tree.set("outer/middle/cpu.max", "300000 100000\n");
  BOOST_TEST(tree.cpus() == 3);
  tree.set("outer/middle/inner/cpu.max", "900000 100000\n");
  BOOST_TEST(tree.cpus() == 3);
}

// A container sees its own group at the top, under the name / or the one that it has outside.
BOOST_AUTO_TEST_CASE(lie_at_the_top_in_a_container) {
  for (const char* const name : {"/", "/system.slice/docker-1a2b.scope", "/../.."})
    BOOST_TEST(Tree("0::" + std::string(name) + "\n").set("cpu.max", "150000 100000\n").cpus() == 2, name);
}

BOOST_AUTO_TEST_CASE(of_version_1) {
  const std::string membership = "9:name=systemd:/\n5:cpuset:/x\n4:cpu,cpuacct:/docker/1\n0::/\n";
  Tree tree(membership);
  tree.set("cpu/docker/1/cpu.cfs_quota_us", "-1\n").set("cpu/docker/1/cpu.cfs_period_us", "100000\n");
  BOOST_TEST(tree.cpus() == 0);
  tree.set("cpu/docker/1/cpu.cfs_quota_us", "120000\n");
  BOOST_TEST(tree.cpus() == 2);
  tree.set("cpu/cpu.cfs_quota_us", "50000\n").set("cpu/cpu.cfs_period_us", "50000\n");
  BOOST_TEST(tree.cpus() == 1);
  BOOST_TEST(Tree("5:cpuset:/x\n").set("cpu/x/cpu.cfs_quota_us", "120000\n").cpus() == 0);
}

BOOST_AUTO_TEST_CASE(say_nothing_where_there_are_none) {
  BOOST_TEST(!control_group_cpus({"/nowhere/cgroup", "/nowhere/sys"}).has_value());
  for (const char* const membership : {"", "\n", "nonsense\n", "0:\n", ":::\n", "0::no_slash\n"})
    BOOST_TEST(Tree(membership).cpus() == 0, "'" << membership << "'");
  BOOST_TEST(control_group_cpus().value_or(1) >= 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(teams)

BOOST_AUTO_TEST_CASE(of_a_negative_number_are_refused) {
  for (const int threads : {-1, -7, std::numeric_limits<int>::min()})
    BOOST_CHECK_EXCEPTION(ThreadPool{threads}, ConfigError, says({"threads", std::to_string(threads)}));
}

// Those that did start must end.
BOOST_AUTO_TEST_CASE(that_the_system_does_not_start_are_refused) {
  if (NEURAL_ATTENTION_SANITIZED) return;
  rlimit old{};
  getrlimit(RLIMIT_AS, &old);
  rlimit limit = old;
  limit.rlim_cur = rlim_t{1} << 30;  // room for the stacks of some hundred threads
  BOOST_REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
  BOOST_CHECK_EXCEPTION(ThreadPool{10000}, ConfigError, says("10000 threads"));
  BOOST_REQUIRE(setrlimit(RLIMIT_AS, &old) == 0);
  BOOST_TEST(ThreadPool(2).threads() == 2);
}

BOOST_AUTO_TEST_SUITE_END()
