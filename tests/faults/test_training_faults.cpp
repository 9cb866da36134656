// Training runs that are killed, or whose system calls fail, at every call that touches their output: whatever happens,
// the next run goes on and ends with the bytes of an undisturbed one.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE training_faults
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <map>
#include <string>

#include "faults/training_run.hpp"
#include "neural_attention/core/random.hpp"

using namespace faults;

namespace {

/// Programs with what an undisturbed run of them does and leaves.
struct Reference : Runs {
  explicit Reference(const Training& what) : Runs(what), counts(calls()), expected(remains()) {
    BOOST_REQUIRE(counts.at("rename") > 10);
    BOOST_REQUIRE(expected.files.contains("model.safetensors"));
    BOOST_REQUIRE(expected.rows.size() >= 6);
  }

  /// The run that was cut off goes on and ends as if nothing had been.
  void must_go_on(const std::string& after) const {
    const auto outcome = go_on();
    BOOST_TEST(outcome.code == 0, after << ": " << outcome.err);
    if (outcome.code != 0) return;
    const auto got = remains();
    BOOST_TEST((got == expected), after << ": " << difference(got, expected));
  }

  void kill_at(const std::string& kind, long k) const {
    const auto fault = kind + ":" + std::to_string(k) + ":KILL";
    forget();
    const auto killed = disturbed(fault);
    BOOST_TEST(killed.signal == SIGKILL, fault << " did not kill: " << killed.err);
    must_go_on(fault);
  }

  /// The run ends with one sentence or, where the call does not matter, as if nothing had been.
  void fail_at(const std::string& fault) const {
    forget();
    const auto outcome = disturbed(fault);
    BOOST_TEST(outcome.signal == 0, fault << " ended the run with signal " << outcome.signal);
    if (outcome.code != 0) {
      BOOST_TEST(contains(outcome.err, program + ": "), fault << ": " << outcome.err);
    } else {
      const auto got = remains();
      BOOST_TEST((got == expected), fault << ", but it ended well: " << difference(got, expected));
    }
    must_go_on(fault);
  }

  Counts counts;
  Remains expected;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(some_kill_points)

BOOST_AUTO_TEST_CASE(a_run_killed_at_any_moment_goes_on_to_the_same_bytes) {
  if (skipped()) return;
  const Reference runs(translation);
  const long all = runs.counts.at("any");
  for (long i = 1; i <= 6; ++i) runs.kill_at("any", i * all / 6);
}

BOOST_AUTO_TEST_CASE(so_does_one_of_causal_lm_on_text_or_on_token_files) {
  if (skipped()) return;
  for (const auto& what : {causal_lm, causal_lm_on_tokens}) {
    const Reference runs(what);
    const long all = runs.counts.at("any");
    for (long i = 1; i <= 4; ++i) runs.kill_at("any", i * all / 4 - i);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kill_points_slow)

BOOST_AUTO_TEST_CASE(at_every_call_of_translation) {
  if (skipped()) return;
  const Reference runs(translation);
  for (long k = 1; k <= runs.counts.at("any"); ++k) runs.kill_at("any", k);
}

BOOST_AUTO_TEST_CASE(at_every_fifth_call_of_masked_lm) {
  if (skipped()) return;
  const Reference runs(masked_lm);
  for (long k = 1; k <= runs.counts.at("any"); k += 5) runs.kill_at("any", k);
}

BOOST_AUTO_TEST_CASE(at_every_call_of_causal_lm_on_text) {
  if (skipped()) return;
  const Reference runs(causal_lm);
  for (long k = 1; k <= runs.counts.at("any"); ++k) runs.kill_at("any", k);
}

BOOST_AUTO_TEST_CASE(at_every_call_of_causal_lm_on_token_files) {
  if (skipped()) return;
  const Reference runs(causal_lm_on_tokens);
  for (long k = 1; k <= runs.counts.at("any"); ++k) runs.kill_at("any", k);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(models_slow)

BOOST_AUTO_TEST_CASE(a_run_killed_over_an_older_model_leaves_weights_with_their_own_vocabulary_or_none) {
  if (skipped()) return;
  const Reference runs(translation);
  runs.forget();
  const auto other = runs.disturbed("", {"--seed", "7", "--vocab_size", "100"});
  BOOST_REQUIRE_MESSAGE(other.code == 0, other.err);
  const auto old = runs.remains();
  BOOST_REQUIRE(old.files.at("vocab.json") != runs.expected.files.at("vocab.json"));
  fs::rename(runs.folder / "run", runs.folder / "old");
  for (const std::string kind : {"rename", "unlink", "rmdir"})
    for (long k = 1;; ++k) {
      runs.forget();
      fs::copy(runs.folder / "old", runs.folder / "run", fs::copy_options::recursive);
      const auto fault = kind + ":" + std::to_string(k) + ":KILL";
      const auto killed = runs.disturbed(fault, {"--overwrite_output_dir"});
      if (killed.signal != SIGKILL) {
        BOOST_TEST(killed.code == 0, fault << ": " << killed.err);
        BOOST_TEST(k > 1);
        break;
      }
      const auto found = runs.remains().files;
      const auto same = [&](const Remains& one) {
        for (const char* name : {"model.safetensors", "vocab.json", "source.spm", "target.spm"})
          if (!found.contains(name) || found.at(name) != one.files.at(name)) return false;
        return true;
      };
      BOOST_TEST((!found.contains("model.safetensors") || same(old) || same(runs.expected)), fault);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(early_checkpoints_slow)

BOOST_AUTO_TEST_CASE(a_run_that_goes_on_from_an_early_checkpoint_may_be_killed_at_every_call) {
  if (skipped()) return;
  const Reference runs(translation);
  runs.forget();
  BOOST_REQUIRE(runs.disturbed("", {"--save_total_limit", "0"}).code == 0);
  fs::rename(runs.folder / "run", runs.folder / "whole");
  for (long k = 1;; ++k) {
    runs.forget();
    fs::copy(runs.folder / "whole", runs.folder / "run", fs::copy_options::recursive);
    const auto fault = "any:" + std::to_string(k) + ":KILL";
    const auto killed = runs.disturbed(fault, {"--resume_from_checkpoint", runs.path("run/checkpoint-1")});
    if (killed.signal != SIGKILL) {
      BOOST_TEST(killed.code == 0, fault << ": " << killed.err);
      BOOST_TEST(k > 1);
      break;
    }
    runs.must_go_on("from checkpoint-1, " + fault);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(chained_kills_slow)

BOOST_AUTO_TEST_CASE(a_run_that_is_killed_again_and_again_ends_with_the_same_bytes) {
  if (skipped()) return;
  const Reference runs(translation);
  long kills = 0;
  for (std::uint64_t seed = 0; kills < 51; ++seed) {
    runs.forget();
    neural_attention::RandomStream random({seed, 0, 0});
    // Far enough apart that a run gets on: with fewer calls than a checkpoint has it never would.
    for (int i = 0; i < 12; ++i, ++kills) {
      const auto k = 20 + random.below(100);
      const auto killed = runs.disturbed("any:" + std::to_string(k) + ":KILL", {"--resume_from_checkpoint", "auto"});
      BOOST_TEST((killed.signal == SIGKILL || killed.code == 0), killed.err);
      if (killed.code == 0) break;
    }
    runs.must_go_on("chain " + std::to_string(seed));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(errors_slow)

BOOST_AUTO_TEST_CASE(a_call_that_fails_ends_the_run_with_a_sentence_and_loses_nothing) {
  if (skipped()) return;
  const Reference runs(translation);
  const std::map<std::string, std::string> errors = {{"open", "EACCES"},   {"write", "ENOSPC"}, {"fsync", "EIO"},
                                                     {"rename", "EACCES"}, {"unlink", "EBUSY"}, {"mkdir", "EROFS"},
                                                     {"rmdir", "EBUSY"}};
  for (const auto& [kind, error] : errors)
    for (long k = 1; k <= runs.counts.at(kind); ++k) runs.fail_at(kind + ":" + std::to_string(k) + ":" + error);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(full_disk_slow)

BOOST_AUTO_TEST_CASE(a_disk_of_any_size_that_fills_up) {
  if (skipped()) return;
  const Reference runs(translation);
  const long bytes = runs.counts.at("bytes");
  for (long i = 0; i < 13; ++i) runs.fail_at("bytes:" + std::to_string(i * bytes / 13) + ":ENOSPC");
}

BOOST_AUTO_TEST_SUITE_END()
