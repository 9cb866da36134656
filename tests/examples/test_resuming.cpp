// Where a training run begins and goes on, and what happens to what was there: the program `translation train` with
// output directories that hold something already.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE resuming
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/output_directory.hpp"
#include "examples/metrics.hpp"
#include "examples/translation_workplace.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "scratch.hpp"

using namespace programs;

namespace {

/// A run of six steps with a checkpoint behind every second one.
struct FinishedRun : Workplace {
  FinishedRun() {
    const auto outcome = run("translation", six_steps("out"));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  }

  Arguments six_steps(const std::string& output, const Arguments& more = {}) const {
    auto arguments =
        with(training(output, "6", {"--save_steps", "2", "--save_total_limit", "0"}), "--logging_steps", "1");
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// The value of `flag` becomes another one; a flag that is not there yet comes last.
  static Arguments with(Arguments arguments, const std::string& flag, const std::string& value) {
    const auto found = std::find(arguments.begin(), arguments.end(), flag);
    if (found == arguments.end())
      arguments.insert(arguments.end(), {flag, value});
    else
      *(found + 1) = value;
    return arguments;
  }

  Arguments resumed(const std::string& from, const Arguments& arguments) const {
    return with(arguments, "--resume_from_checkpoint", from);
  }

  /// Every file below a folder, with its bytes.
  std::map<std::string, std::string> files(const std::string& output) const {
    std::map<std::string, std::string> all;
    for (const auto& item : fs::recursive_directory_iterator(folder / output))
      if (item.is_regular_file()) all[item.path().string()] = content(item.path());
    return all;
  }

  bool has(const std::string& name) const { return fs::exists(folder / "out" / name); }

  /// Ends with `code` and a message with `parts`, and nothing in the output directory has changed.
  void leaves_alone(int code, const Arguments& arguments, const Arguments& parts) const {
    const auto before = files("out");
    refuses(code, "translation", arguments, parts);
    BOOST_TEST((files("out") == before));
  }

  void succeeds(const Arguments& arguments) const {
    const auto outcome = run("translation", arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(a_resumed_run, FinishedRun)

BOOST_AUTO_TEST_CASE(that_is_another_one_is_refused_by_name) {
  const auto again = resumed("last", six_steps("out"));
  const auto refused = [&](const std::string& flag, const std::string& value, const Arguments& parts) {
    leaves_alone(2, with(again, flag, value), parts);
  };
  refused("--mini_batch_words", "100", {"checkpoint-6", "mini_batch_words 200, not 100"});
  refused("--projector", "linear", {"checkpoint-6", "query projector", "neural, not linear"});
  refused("--projector_v", "neural", {"value projector", "linear, not neural"});
  refused("--projector_expansion", "3", {"projector_expansion 2, not 3"});
  refused("--projector_width", "match", {"projector_expansion 2, not projector_width match"});
  refused("--dropout", "0.5", {"dropout 0.1, not 0.5"});
  refused("--attention_soft_cap", "20", {"checkpoint-6", "attention_soft_cap 0.0, not 20.0"});
  refused("--qk_norm", "rms", {"checkpoint-6", "qk_norm none, not rms"});
  refused("--learning_rate", "0.1", {"learning_rate 0.001, not 0.1"});
  refused("--weight_decay", "0.1", {"weight_decay 0.01, not 0.1"});
  refused("--optim", "sgd", {"optim adamw, not sgd"});
  refused("--seed", "7", {"seed 42, not 7"});
  refused("--max_target_length", "9", {"max_target_length 128, not 9"});
  refused("--tokenize", "char", {"tokenize 13a, not char"});
  refused("--train_source", path("data/train.en"), {"training data"});
  refused("--validation_source", path("data/valid.en"), {"validation data"});
  write(folder / "wide.json", R"({"d_model": 32, "encoder_layers": 1, "decoder_layers": 1})");
  refused("--config", path("wide.json"), {"checkpoint-6 was made with "});
  auto pre_norm = again;
  pre_norm.emplace_back("--normalize_before");
  leaves_alone(2, pre_norm, {"checkpoint-6", "normalize_before false, not true"});
}

BOOST_AUTO_TEST_CASE(ends_with_the_same_bytes_by_every_optimizer) {
  std::set<std::string> models;
  std::string known;
  const auto all = neural_attention::named_optimizers();
  for (const auto& one : all) {
    const std::string name(one.name);
    if (!known.empty()) known += &one == &all.back() ? " or " : ", ";
    known += name;
    const auto arguments = six_steps(name, {"--optim", name});
    succeeds(arguments);
    const auto whole = content(folder / name / "model.safetensors");
    BOOST_TEST(models.insert(whole).second, name << " trains as another one does");
    const auto state = nlohmann::json::parse(content(folder / name / "checkpoint-2/trainer_state.json"));
    BOOST_TEST(state.at("run").at("optim") == name);
    succeeds(resumed(path(name + "/checkpoint-2"), arguments));
    BOOST_TEST((content(folder / name / "model.safetensors") == whole), name);
  }
  leaves_alone(2, six_steps("out", {"--optim", "adamax"}), {"the optimizer must be " + known + ", not \"adamax\""});
}

BOOST_AUTO_TEST_CASE(may_be_longer_and_save_more_often) {
  auto more = with(with(resumed("last", six_steps("out")), "--max_steps", "8"), "--save_steps", "1");
  more = with(with(with(more, "--logging_steps", "2"), "--threads", "2"), "--eval_steps", "4");
  succeeds(more);
  BOOST_TEST(has("checkpoint-7"));
  BOOST_TEST(metrics(folder / "out").back().at("steps") == 8);
}

BOOST_AUTO_TEST_CASE(goes_on_from_where_it_was_told_and_forgets_what_came_later) {
  const auto whole = content(folder / "out/model.safetensors");
  succeeds(with(resumed(path("out/checkpoint-2"), six_steps("out")), "--max_steps", "3"));
  for (const char* name : {"checkpoint-2", "checkpoint-3", "checkpoint-4.abandoned", "checkpoint-6.abandoned"})
    BOOST_TEST(has(name), name);
  BOOST_TEST(!has("checkpoint-6"));
  succeeds(with(resumed("last", six_steps("out")), "--max_steps", "3"));  // from checkpoint-3
  BOOST_TEST(metrics(folder / "out").back().at("steps") == 3);
  // The last of the first run, from its second checkpoint: the same bytes.
  succeeds(resumed(path("out/checkpoint-2"), six_steps("out")));
  BOOST_TEST((content(folder / "out/model.safetensors") == whole));
}

// The log is that of the run that set the checkpoint aside.
BOOST_AUTO_TEST_CASE(begins_its_log_anew_where_it_goes_on_from_what_was_set_aside) {
  const auto whole = content(folder / "out/model.safetensors");
  succeeds(with(resumed(path("out/checkpoint-2"), six_steps("out")), "--max_steps", "5"));
  succeeds(resumed(path("out/checkpoint-4.abandoned"), six_steps("out")));
  BOOST_TEST((content(folder / "out/model.safetensors") == whole));
  std::vector<long> steps;
  for (const auto& row : metrics(folder / "out"))
    if (row.contains("loss")) steps.push_back(row.at("step").get<long>());
  BOOST_TEST((steps == std::vector<long>{5, 6}));
}

BOOST_AUTO_TEST_CASE(says_which_checkpoint_it_passes_over) {
  fs::resize_file(folder / "out/checkpoint-6/model.safetensors", 100);
  const auto again = run("translation", with(resumed("last", six_steps("out")), "--max_steps", "5"));
  BOOST_TEST(again.code == 0, again.err);
  BOOST_TEST(contains(again.err, path("out/checkpoint-6/model.safetensors")), again.err);
  BOOST_TEST(contains(again.err, "; continuing from " + path("out/checkpoint-4")), again.err);
}

BOOST_AUTO_TEST_CASE(begins_where_there_is_nothing_to_go_on_with_if_it_is_told_so) {
  const auto first = resumed("auto", six_steps("auto"));
  succeeds(with(first, "--max_steps", "6"));
  BOOST_TEST((content(folder / "auto/model.safetensors") == content(folder / "out/model.safetensors")));
  fs::remove(folder / "auto/model.safetensors");
  succeeds(first);
  BOOST_TEST((content(folder / "auto/model.safetensors") == content(folder / "out/model.safetensors")));
  refuses(1, "translation", resumed("last", six_steps("nothing")), {"nothing", "no checkpoint"});
  refuses(1, "translation", resumed(path("out/checkpoint-5"), six_steps("out")), {"checkpoint-5", "no such directory"});
  auto both = first;
  both.push_back("--overwrite_output_dir");
  refuses(2, "translation", both, {"--resume_from_checkpoint auto", "--overwrite_output_dir"});
}

BOOST_AUTO_TEST_CASE(of_an_older_format_or_torn_is_told_of) {
  for (const char* name : {"checkpoint-2", "checkpoint-4"}) fs::remove_all(folder / "out" / name);
  const auto state = content(folder / "out/checkpoint-6/trainer_state.json");
  auto older = state;
  older.replace(older.find("\"format_version\": 2"), 19, "\"format_version\": 1");
  write(folder / "out/checkpoint-6/trainer_state.json", older);
  fs::remove(folder / "out/checkpoint-6/manifest.json");
  for (const std::string from : {"last", "auto"})
    leaves_alone(1, resumed(from, six_steps("out")), {"checkpoint-6", "format version 1", "version 2"});
  leaves_alone(2, six_steps("out"), {"--overwrite_output_dir"});
}

BOOST_AUTO_TEST_CASE(is_called_by_the_projectors_of_its_model) {
  BOOST_TEST(metrics(folder / "out").back().at("projector") == "neural");
  const auto mixed = with(with(six_steps("mixed"), "--projector", "linear"), "--projector_q", "neural");
  succeeds(with(mixed, "--max_steps", "1"));
  BOOST_TEST(metrics(folder / "mixed").back().at("projector") == "neural/linear/linear/linear");
}

BOOST_AUTO_TEST_CASE(may_have_other_projectors_in_each_layer) {
  const auto layered = with(with(six_steps("layered"), "--projector", "linear"), "--projector_q",
                            "encoder=linear,decoder=plain_neural,cross=linear");
  succeeds(with(layered, "--max_steps", "1"));
  BOOST_TEST(metrics(folder / "layered").back().at("projector") == "linear+plain_neural/linear/linear/linear");
  succeeds(resumed("last", with(layered, "--max_steps", "2")));
  const auto other = run("translation", resumed("last", with(layered, "--projector_q", "linear")));
  BOOST_TEST(other.code == 2);
  BOOST_TEST(
      other.err.find("a query of decoder layer 0 projector of the type plain_neural, not linear") != std::string::npos,
      other.err);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(what_was_there, FinishedRun)

BOOST_AUTO_TEST_CASE(stays_until_all_that_may_fail_has_succeeded) {
  auto anew = six_steps("out", {"--overwrite_output_dir"});
  leaves_alone(1, with(anew, "--vocab_size", "9"), {"cannot be trained"});
  leaves_alone(1, with(anew, "--train_source", path("nothing.de")), {"nothing.de"});

  const auto model = path("model");
  fs::copy(folder / "out/checkpoint-2", model, fs::copy_options::recursive);
  Arguments from_model = {"train",       "--model",
                          model,         "--data",
                          path("data"),  "--overwrite_output_dir",
                          "--max_steps", "2",
                          "--threads",   "1",
                          "--no_bleu",   "--mini_batch_words",
                          "200",         "--output_dir",
                          path("out")};
  const auto weights = content(folder / "model/model.safetensors");
  write(folder / "model/model.safetensors", weights.substr(0, weights.size() / 2));
  leaves_alone(1, from_model, {"model.safetensors"});
  write(folder / "model/model.safetensors", weights);
  // The numbers at its end are none: the evaluation before the first step says so.
  write(folder / "model/model.safetensors", weights.substr(0, weights.size() - 4096) + std::string(4096, '\xff'));
  leaves_alone(3, from_model, {"step 0", "not finite"});
  write(folder / "model/model.safetensors", weights);
  // A checkpoint of the directory that the run would clear.
  leaves_alone(2, with(from_model, "--model", path("out/checkpoint-2")), {"checkpoint-2", "a directory of its own"});
  leaves_alone(2, with(from_model, "--model", path("out")), {"--model and --output_dir are both"});
  succeeds(from_model);
  BOOST_TEST(has("checkpoint-2"));
  BOOST_TEST(!has("checkpoint-4"));
}

BOOST_AUTO_TEST_CASE(is_not_trained_over_without_a_word) {
  leaves_alone(2, six_steps("out"), {"--resume_from_checkpoint last", "--overwrite_output_dir"});
  for (const char* name : {"checkpoint-2", "checkpoint-4", "checkpoint-6"}) fs::remove_all(folder / "out" / name);
  fs::create_directories(folder / "out/checkpoint-9.abandoned");
  leaves_alone(2, six_steps("out"), {"holds the checkpoints", "--overwrite_output_dir"});
  fs::remove(folder / "out/checkpoint-9.abandoned");
  leaves_alone(2, six_steps("out"), {"holds a model", "--overwrite_output_dir"});
  leaves_alone(2, resumed("auto", six_steps("out")), {"holds a model", "--overwrite_output_dir"});
  succeeds(six_steps("other"));
  leaves_alone(2, resumed(path("other/checkpoint-2"), six_steps("out")), {"holds a model"});
  fs::create_directories(folder / "third");
  write(folder / "third/metrics.jsonl", "{\"step\":1,\"loss\":99.0}\n");  // another run's, killed before it saved
  succeeds(resumed(path("other/checkpoint-2"), six_steps("third")));
  BOOST_TEST(!contains(content(folder / "third/metrics.jsonl"), "99.0"));
  BOOST_TEST((content(folder / "third/model.safetensors") == content(folder / "out/model.safetensors")));
}

BOOST_AUTO_TEST_CASE(leaves_no_curves_to_a_run_that_draws_none) {
  write(folder / "out/bleu.svg", "of an earlier run");
  BOOST_TEST(has("loss.svg"));
  auto anew = six_steps("out", {"--overwrite_output_dir"});
  succeeds(with(with(anew, "--eval_strategy", "no"), "--logging_steps", "0"));
  for (const char* name : {"loss.svg", "bleu.svg"}) BOOST_TEST(!has(name), name);
}

// Old weights with a new vocabulary would be read without a fault.
BOOST_AUTO_TEST_CASE(stays_whole_until_the_new_model_is_there) {
  const auto anew = with(six_steps("out", {"--overwrite_output_dir"}), "--vocab_size", "120");
  const auto before = files("out");
  Child killed(folder, "translation", with(anew, "--max_steps", "100000"));
  for (int i = 0; i < 12'000 && !has("checkpoint-8/manifest.json"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  killed.kill_at_once();
  BOOST_TEST(killed.wait().signal == SIGKILL);
  for (const char* name : {"vocab.json", "source.spm", "model.safetensors", "config.json"})
    BOOST_TEST((content(folder / "out" / name) == before.at((folder / "out" / name).string())), name);
  succeeds(anew);
  BOOST_TEST((content(folder / "out/vocab.json") != before.at((folder / "out/vocab.json").string())));
  const auto translated = run("translation", {"translate", "--model", path("out")}, "Der Hund.\n");
  BOOST_TEST(translated.code == 0, translated.err);
}

BOOST_AUTO_TEST_CASE(belongs_to_one_run_at_a_time) {
  const int lock = open(path("out").c_str(), O_RDONLY | O_DIRECTORY);
  BOOST_REQUIRE(flock(lock, LOCK_EX | LOCK_NB) == 0);
  leaves_alone(1, six_steps("out", {"--overwrite_output_dir"}), {path("out"), "another run"});
  leaves_alone(1, resumed("last", six_steps("out")), {path("out"), "another run"});
  close(lock);
  succeeds(resumed("last", six_steps("out")));
}

// A run tells of it before it reads its text.
BOOST_AUTO_TEST_CASE(cannot_be_written_to) {
  fs::permissions(folder, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  fs::permissions(folder / "out",
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  {
    const OrdinaryUser ordinary;
    BOOST_CHECK_EXCEPTION(examples::OutputDirectory(folder / "out"), neural_attention::FileError,
                          says({path("out") + ": cannot be written", "ermission"}));
  }
  fs::permissions(folder / "out", fs::perms::owner_all);
}

// Another run may come to be in the time that this one takes to read its text.
BOOST_AUTO_TEST_CASE(is_seen_when_the_directory_is_made) {
  examples::OutputDirectory late(folder / "late");
  fs::create_directories(folder / "late/checkpoint-3");
  BOOST_CHECK_EXCEPTION(late.create(), neural_attention::FileError, [&](const neural_attention::FileError& error) {
    return contains(error.what(), path("late")) && contains(error.what(), "another run");
  });
}

BOOST_AUTO_TEST_CASE(of_a_killed_run_is_tidied) {
  for (const char* name : {"model.safetensors.tmp.123", "metrics.jsonl.tmp.77.2", "notes.tmp.1", "my.json"})
    write(folder / "out" / name, "x");
  for (const char* name : {"checkpoint-9.incomplete", "checkpoint-4.removed", "tokenizer.incomplete"})
    fs::create_directories(folder / "out" / name);
  fs::rename(folder / "out/checkpoint-6", folder / "out/checkpoint-6.incomplete");  // finished, but for its name
  succeeds(with(resumed("last", six_steps("out")), "--max_steps", "6"));
  BOOST_TEST(metrics(folder / "out").back().at("steps") == 6);
  for (const char* name : {"model.safetensors.tmp.123", "metrics.jsonl.tmp.77.2", "checkpoint-9.incomplete",
                           "checkpoint-4.removed", "tokenizer.incomplete", "checkpoint-6.incomplete"})
    BOOST_TEST(!has(name), name);
  for (const char* name : {"notes.tmp.1", "my.json", "checkpoint-6"}) BOOST_TEST(has(name), name);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(a_run, Workplace)

BOOST_AUTO_TEST_CASE(needs_no_validation_text) {
  for (const char* name : {"valid.de", "valid.en"}) fs::remove(folder / "data" / name);
  refuses(1, "translation", training("out", "6"), {"valid.de"});
  const Arguments none = {"--eval_strategy", "no", "--save_steps", "3", "--logging_steps", "2"};
  const auto outcome = run("translation", training("out", "6", none));
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(outcome.out.starts_with("final steps=6 "));
  BOOST_TEST(!contains(content(folder / "out/metrics.jsonl"), "valid"));
  BOOST_TEST(fs::exists(folder / "out/checkpoint-3"));
  BOOST_TEST(contains(content(folder / "out/loss.svg"), "<svg"));
  refuses(2, "translation", training("out2", "6", {"--eval_strategy", "no", "--eval_steps", "2"}),
          {"--eval_strategy no", "--eval_steps 2"});
  refuses(2, "translation", training("out2", "6", {"--eval_strategy", "steps"}), {"--eval_steps"});
}

BOOST_AUTO_TEST_CASE(of_any_number_of_epochs_begins_at_once) {
  auto arguments = training("out", "0", {"--num_train_epochs", "1e9", "--gradient_accumulation_steps", "1000000000"});
  *(std::find(arguments.begin(), arguments.end(), "--logging_steps") + 1) = "1";
  Child child(folder, "translation", arguments);
  const auto started = [&] { return contains(content(folder / "out/metrics.jsonl"), "\"loss\""); };
  for (int i = 0; i < 12'000 && !started(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  BOOST_TEST(started());
  child.kill_at_once();
  BOOST_TEST(child.wait().signal == SIGKILL);
}

BOOST_AUTO_TEST_SUITE_END()
