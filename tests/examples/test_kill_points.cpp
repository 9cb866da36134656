// A run of `translation train` that strace kills, or lets fail, at one system call after another: what it leaves is
// whole, and going on with it ends with the bytes of a run that nothing disturbed. A few hundred runs, so for `full`.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE kill_points
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "examples/translation_workplace.hpp"

using namespace programs;

namespace {

/// System calls that change files, and at how many of their occurrences in a row one is tried.
struct Calls {
  std::string names;
  int stride;
};
const std::vector<Calls> changing = {{"rename,renameat,renameat2", 1},
                                     {"unlink,unlinkat", 1},
                                     {"rmdir", 1},
                                     {"mkdir,mkdirat", 1},
                                     {"fsync", 4},
                                     {"write", 23}};

bool can_trace() {
  if (std::system("strace -f -qq -e trace=none -e inject=rmdir:error=EIO true > /dev/null 2>&1") == 0) return true;
  std::puts("SKIPPED: there is no strace that may trace processes here");
  return false;
}

struct Disturbed : Workplace {
  Disturbed() {
    if (!can_trace()) return;
    succeed(arguments("whole", {}));
    expected = result("whole");
    traced = true;
  }

  Arguments arguments(const std::string& output, const Arguments& more) const {
    Arguments all = {"--save_steps", "1", "--threads", "1", "--eval_steps", "2"};
    all.insert(all.end(), more.begin(), more.end());
    return training(output, "4", all);
  }

  void succeed(const Arguments& arguments) const {
    const auto outcome = run("translation", arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  }

  /// The run's exit status as a shell sees it, 137 for a kill; `inject` is what strace does at calls of `names`.
  int disturb(const std::string& names, const std::string& inject, const Arguments& arguments) const {
    auto command = "strace -f -qq -o /dev/null -e trace=" + names + " -e inject=" + names + ":" + inject + " " +
                   (fs::path(NEURAL_ATTENTION_BIN_DIR) / "translation").string();
    for (const auto& argument : arguments) command += " '" + argument + "'";
    const int status = std::system((command + " > /dev/null 2> '" + path("errors") + "'").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// The model, its vocabulary, and all of the metrics but times.
  std::map<std::string, std::string> result(const std::string& output) const {
    std::map<std::string, std::string> all;
    for (const char* name : {"model.safetensors", "config.json", "generation_config.json", "vocab.json", "source.spm"})
      all[name] = content(folder / output / name);
    for (const auto& line : lines_of(content(folder / output / "metrics.jsonl"))) {
      auto row = nlohmann::json::parse(line);
      for (const char* name : {"seconds", "target_tokens_per_second"}) row.erase(name);
      all["metrics"] += row.dump() + "\n";
    }
    return all;
  }

  void check_result(const std::string& output) const {
    const auto found = result(output);
    for (const auto& [name, bytes] : expected) BOOST_TEST((found.at(name) == bytes), name << " differs");
    for (const auto& item : fs::directory_iterator(folder / output)) {
      const auto name = item.path().filename().string();
      BOOST_TEST((!contains(name, ".tmp.") && !contains(name, ".incomplete") && !contains(name, ".removed")), name);
    }
  }

  /// Disturbs a run at one occurrence of a call after another until there are no more of them.
  template <class Prepare, class Check>
  int at_each(const Calls& calls, const std::string& inject, const Arguments& more, Prepare&& prepare, Check&& check) {
    int points = 0;
    for (int occurrence = 1; occurrence < 2000; occurrence += calls.stride) {
      BOOST_TEST_CONTEXT(calls.names << " number " << occurrence << ", " << inject) {
        prepare();
        const int status = disturb(calls.names, inject + ":when=" + std::to_string(occurrence), arguments("out", more));
        if (status == 0 && inject.starts_with("signal")) break;
        check(status);
        ++points;
        if (status == 0 && occurrence > last_occurrence(calls)) break;
      }
    }
    return points;
  }

  /// How often a run that nothing disturbs makes the call.
  int last_occurrence(const Calls& calls) {
    auto& count = counts_[calls.names];
    if (count > 0) return count;
    fs::remove_all(folder / "counted");
    auto command = "strace -f -qq -o '" + path("calls") + "' -e trace=" + calls.names + " " +
                   (fs::path(NEURAL_ATTENTION_BIN_DIR) / "translation").string();
    for (const auto& argument : arguments("counted", {})) command += " '" + argument + "'";
    BOOST_REQUIRE(std::system((command + " > /dev/null 2>&1").c_str()) == 0);
    return count = std::max(1, static_cast<int>(lines_of(content(folder / "calls")).size()));
  }

  void begin_empty() const { fs::remove_all(folder / "out"); }

  bool traced = false;
  std::map<std::string, std::string> expected;

 private:
  std::map<std::string, int> counts_;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(kills_slow, Disturbed)

BOOST_AUTO_TEST_CASE(lose_nothing_that_the_next_run_needs) {
  if (!traced) return;
  int points = 0;
  for (const auto& calls : changing)
    points += at_each(
        calls, "signal=KILL", {}, [&] { begin_empty(); },
        [&](int status) {
          BOOST_TEST(status == 137);
          succeed(arguments("out", {"--resume_from_checkpoint", "auto"}));
          check_result("out");
        });
  BOOST_TEST_MESSAGE(points << " kills");
  BOOST_TEST(points > 100);
}

BOOST_AUTO_TEST_CASE(may_come_one_after_another) {
  if (!traced) return;
  std::mt19937 random(5);
  begin_empty();
  int kills = 0;
  for (int round = 0; round < 40; ++round) {
    const auto& calls = changing[random() % 2];
    const auto when = "signal=KILL:when=" + std::to_string(1 + random() % 24);
    kills += disturb(calls.names, when, arguments("out", {"--resume_from_checkpoint", "auto"})) == 137;
  }
  BOOST_TEST(kills > 10);
  succeed(arguments("out", {"--resume_from_checkpoint", "auto"}));
  check_result("out");
}

BOOST_AUTO_TEST_CASE(leave_a_model_with_its_own_vocabulary_or_none) {
  if (!traced) return;
  auto other = arguments("old", {"--seed", "7"});
  *(std::find(other.begin(), other.end(), "--vocab_size") + 1) = "120";
  succeed(other);
  const auto old = result("old");
  const auto begin_old = [&] {
    begin_empty();
    fs::copy(folder / "old", folder / "out", fs::copy_options::recursive);
  };
  for (const auto& calls : {changing[0], changing[1]})
    at_each(calls, "signal=KILL", {"--overwrite_output_dir"}, begin_old, [&](int status) {
      BOOST_TEST(status == 137);
      const auto found = result("out");
      const auto same = [&](const auto& one) {
        return std::ranges::all_of(std::vector<std::string>{"model.safetensors", "vocab.json", "source.spm"},
                                   [&](const auto& name) { return found.at(name) == one.at(name); });
      };
      BOOST_TEST((!fs::exists(folder / "out/model.safetensors") || same(old) || same(expected)));
    });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(errors_slow, Disturbed)

BOOST_AUTO_TEST_CASE(end_a_run_in_a_sentence_and_lose_nothing) {
  if (!traced) return;
  const std::vector<std::pair<Calls, std::string>> faults = {
      {changing[0], "error=EIO"}, {changing[1], "error=EBUSY"},    {changing[3], "error=EACCES"},
      {changing[4], "error=EIO"}, {{"write", 41}, "error=ENOSPC"}, {{"openat", 23}, "error=EMFILE"}};
  for (const auto& [calls, inject] : faults)
    at_each(
        calls, inject, {}, [&] { begin_empty(); },
        [&](int status) {
          const auto said = content(folder / "errors");
          const bool started = !contains(said, "error while loading shared libraries");
          BOOST_TEST((status == 0 || status == 1 || !started), "ended with " << status << ": " << said);
          BOOST_TEST((status == 0 || contains(said, "translation: ") || !started), said);
          succeed(arguments("out", {"--resume_from_checkpoint", "auto"}));
          check_result("out");
        });
}

BOOST_AUTO_TEST_SUITE_END()
