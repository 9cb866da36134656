// `causal_lm tokenize` that is killed, or whose system calls fail, at every call that touches its folder: training then
// takes all of a corpus or refuses it, and tokenizing again gives the bytes of an undisturbed run and nothing else.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE tokenize_faults
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>

#include "examples/corpus_files.hpp"
#include "faults/faulty_folder.hpp"

using namespace faults;

namespace {

using Files = std::map<std::string, std::string>;

/// Two corpora, and token files of them in the folder tokens. The second one's vocabulary has as many ids as the
/// first's, of other characters.
struct Corpora : FaultyFolder {
  Corpora() {
    write_corpus(folder / "first", 60, 10);
    fs::create_directories(folder / "second");
    for (const std::string name : {"train.txt", "valid.txt"}) {
      auto text = content(folder / "first" / name);
      for (auto& c : text) c = c == 'e' ? '#' : c;
      write(folder / "second" / name, text);
    }
    write(folder / "tiny.json", R"({"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16})");
  }

  Arguments tokenizing(const std::string& corpus, const Arguments& how) const {
    Arguments arguments = {"tokenize", "--data", path(corpus), "--output_dir", path("tokens")};
    arguments.insert(arguments.end(), how.begin(), how.end());
    return arguments;
  }

  Outcome tokenize(const std::string& corpus, const Arguments& how, const std::string& fault = {}) const {
    return run_with(fault, "tokens", "causal_lm", tokenizing(corpus, how));
  }

  Files tokens() const {
    Files files;
    for (const auto& item : fs::directory_iterator(folder / "tokens"))
      files[item.path().filename().string()] = item.is_directory() ? "a folder" : content(item.path());
    return files;
  }

  Files undisturbed(const std::string& corpus, const Arguments& how) const {
    fs::remove_all(folder / "tokens");
    const auto outcome = tokenize(corpus, how);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return tokens();
  }

  /// Whether the folder can be trained on; otherwise training must say in a sentence why not.
  bool can_be_trained_on(const std::string& after) const {
    const auto outcome = run("causal_lm", {"train", "--data", path("tokens"), "--config", path("tiny.json"),
                                           "--max_steps", "1", "--threads", "1", "--output_dir", path("model")});
    fs::remove_all(folder / "model");
    BOOST_TEST(outcome.signal == 0, after);
    if (outcome.code != 0) BOOST_TEST(contains(outcome.err, "causal_lm: "), after << ": " << outcome.err);
    return outcome.code == 0;
  }

  /// Every call is the last one of a run over the token files `before`, which may be none.
  void end_at_every_call(const Files& before, const std::string& corpus, const Arguments& how,
                         const std::string& error) const {
    const auto expected = undisturbed(corpus, how);
    BOOST_REQUIRE(expected.contains("train.bin"));
    BOOST_REQUIRE(expected.contains("valid.bin"));
    for (long k = 1;; ++k) {
      fs::remove_all(folder / "tokens");
      if (!before.empty()) fs::create_directories(folder / "tokens");
      for (const auto& [name, bytes] : before) write(folder / "tokens" / name, bytes);
      const auto fault = "any:" + std::to_string(k) + ":" + error;
      const auto ended = tokenize(corpus, how, fault);
      if (error == "KILL" ? ended.signal != SIGKILL : calls_made().at("any") < k) {
        BOOST_TEST(ended.code == 0, fault << ": " << ended.err);
        BOOST_TEST(k > 10);
        break;
      }
      if (error != "KILL" && ended.code != 0)
        BOOST_TEST(contains(ended.err, "causal_lm: "), fault << ": " << ended.err);
      if (fs::exists(folder / "tokens") && can_be_trained_on(fault)) {
        const auto found = tokens();
        const auto same = [&](const Files& whole) {
          for (const auto& [name, bytes] : whole)
            if (!found.contains(name) || found.at(name) != bytes) return false;
          return !whole.empty();
        };
        BOOST_TEST((same(before) || same(expected)), fault << " left a mixture that can be trained on");
      }
      const auto again = tokenize(corpus, how);
      BOOST_TEST(again.code == 0, fault << ": " << again.err);
      BOOST_TEST((tokens() == expected), fault << ": tokenizing again does not give the same files");
    }
  }
};

const Arguments characters = {"--tokenizer", "characters"}, pieces = {"--tokenizer", "bpe", "--vocab_size", "280"};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(kill_points, Corpora)

BOOST_AUTO_TEST_CASE(a_killed_run_leaves_all_or_what_training_refuses) {
  if (skipped()) return;
  end_at_every_call({}, "first", characters, "KILL");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(kill_points_slow, Corpora)

BOOST_AUTO_TEST_CASE(so_does_one_with_a_learned_vocabulary_or_over_other_token_files) {
  if (skipped()) return;
  const auto of_characters = undisturbed("first", characters), of_pieces = undisturbed("first", pieces);
  end_at_every_call({}, "first", pieces, "KILL");
  end_at_every_call(of_characters, "second", characters, "KILL");
  end_at_every_call(of_characters, "second", pieces, "KILL");
  end_at_every_call(of_pieces, "second", characters, "KILL");
}

BOOST_AUTO_TEST_CASE(so_does_one_over_tokens_of_another_text_and_the_same_vocabulary) {
  if (skipped()) return;
  const auto old = undisturbed("first", characters);
  for (const std::string name : {"train.txt", "valid.txt"}) {
    const auto text = content(folder / "first" / name);
    write(folder / "second" / name, text + text);
  }
  end_at_every_call(old, "second", characters, "KILL");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(errors_slow, Corpora)

BOOST_AUTO_TEST_CASE(a_call_that_fails_ends_the_run_with_a_sentence) {
  if (skipped()) return;
  end_at_every_call({}, "first", characters, "EIO");
  end_at_every_call(undisturbed("second", pieces), "first", characters, "EIO");
}

BOOST_AUTO_TEST_SUITE_END()
