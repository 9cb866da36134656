// The example programs as their users meet them: child processes with flags, files, exit codes and messages.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE programs
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "examples/metrics.hpp"
#include "examples/translation_workplace.hpp"
#include "sanitized.hpp"

using namespace programs;

BOOST_FIXTURE_TEST_SUITE(small_examples, Workplace)

BOOST_AUTO_TEST_CASE(quickstart_learns_its_task) {
  if (NEURAL_ATTENTION_SANITIZED) {
    std::puts("SKIPPED: under sanitizers it trains for ten minutes what other tests train in seconds");
    return;
  }
  const auto outcome = run("quickstart", {});
  BOOST_TEST(outcome.code == 0, outcome.out << outcome.err);
  BOOST_TEST(contains(outcome.out, "right"));
  BOOST_TEST(contains(outcome.out, "of 200 new sequences are sorted"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bad_input, Workplace)

BOOST_AUTO_TEST_CASE(wrong_usage_is_answered_with_help) {
  refuses(2, "translation", {"train", "--learning_rat", "1"}, {"--learning_rat", "did you mean --learning_rate?"});
  refuses(2, "translation", {"train", "--learning-rat=1"}, {"did you mean --learning_rate?"});
  refuses(2, "translation", {}, {"translation"});
  refuses(2, "translation", {"train", "--data", path("data")}, {"--output_dir"});
  refuses(2, "translation", training("out", "4", {"--projector_k", "quadratic"}), {"quadratic", "plain_neural"});
  refuses(2, "translation", training("out", "4", {"--projector_k", "nerual"}),
          {"there is no projector \"nerual\" (did you mean \"neural\"?); known are linear, "});
  refuses(2, "translation", training("out", "4", {"--projector_k", "0-=quadratic"}), {"--projector_k: ", "quadratic"});
  refuses(2, "translation", training("out", "4", {"--projector_k", "0=linear,encoder:1=neural"}),
          {"--projector_k: ", "encoder:1=neural", "layer 1 of encoder"});
  refuses(2, "translation", training("out", "4", {"--projector_k", "encoder=linear"}),
          {"--projector_k: ", "no projector for decoder layer 0"});
  refuses(2, "translation", training("out", "4", {"--learning_rate", "fast"}), {"fast"});
  refuses(2, "demo", {"--max_step", "1"}, {"did you mean --max_steps?"});
  refuses(2, "demo", {"--threads", "-1"}, {"--threads", "-1"});
  refuses(2, "translation", training("out", "4", {"--threads", "-1"}), {"--threads", "-1"});
  refuses(2, "translation", training("out", "4", {"--dtype", "float16"}), {"--dtype", "float16", "bfloat16"});
  refuses(2, "translation", {"translate", "--model", path("model"), "--threads=-1"}, {"--threads", "-1"});
  BOOST_TEST(!fs::exists(folder / "out"));
}

BOOST_AUTO_TEST_CASE(a_gpu_that_is_not_there_is_refused_in_a_sentence) {
  refuses(2, "translation", training("out", "4", {"--device", "abacus"}), {"--device", "abacus"});
  const std::vector<std::pair<std::string, Arguments>> commands = {
      {"translation", training("out", "4", {"--device", "cuda"})},
      {"translation", {"translate", "--model", path("model"), "--device", "cuda"}},
      {"translation",
       {"evaluate", "--model", path("model"), "--source", path("data/valid.de"), "--reference", path("data/valid.en"),
        "--device", "cuda"}},
      {"masked_lm", {"fill", "A <mask>.", "--model", path("model"), "--device", "cuda"}},
      {"demo", {"--output_dir", path("demo"), "--max_steps", "1", "--device", "cuda"}},
      {"custom_projector", {"--device", "cuda"}}};
  for (const auto& [program, arguments] : commands) {
    const auto outcome = run(program, arguments, "Der Hund schläft.\n");
    // Built with CUDA, and with a GPU at hand, a command goes on, and may then miss the model.
    if (outcome.code == 0 || contains(outcome.err, path("model"))) {
      BOOST_TEST_MESSAGE("SKIPPED: there is a GPU");
      return;
    }
    const bool lacks_cuda = contains(outcome.err, "built without CUDA") && contains(outcome.err, "--preset cuda");
    BOOST_TEST((lacks_cuda || contains(outcome.err, "no CUDA device can be used")), outcome.err);
    BOOST_TEST(outcome.code == (lacks_cuda ? 2 : 1));
    BOOST_TEST(contains(outcome.err, "--device cpu"));
    BOOST_TEST(lines_of(outcome.err).size() == 1u, outcome.err);
    BOOST_TEST(outcome.out == "");
  }
  BOOST_TEST(!fs::exists(folder / "out"));
  BOOST_TEST(!fs::exists(folder / "demo"));
}

BOOST_AUTO_TEST_CASE(text_comes_in_several_formats) {
  std::string pairs;
  const auto german = lines_of(content(folder / "data/train.de")),
             english = lines_of(content(folder / "data/train.en"));
  for (std::size_t i = 0; i < german.size(); ++i) pairs += english[i] + "\t" + german[i] + "\tlicence\n";
  write(folder / "pairs.tsv", pairs);
  const auto plain = run("translation", training("plain", "4"));
  BOOST_REQUIRE_MESSAGE(plain.code == 0, plain.err);
  const auto tsv =
      run("translation", training("tsv", "4", {"--train_source", path("pairs.tsv"), "--tsv_columns", "2", "1"}));
  BOOST_REQUIRE_MESSAGE(tsv.code == 0, tsv.err);
  BOOST_TEST((content(folder / "tsv/model.safetensors") == content(folder / "plain/model.safetensors")));
  refuses(1, "translation", training("out", "4", {"--train_source", path("pairs.tsv"), "--tsv_columns", "2", "4"}),
          {"pairs.tsv", "line 1", "column 4"});
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_read_are_named) {
  refuses(1, "translation", training("out", "4", {"--train_source", path("no_such_file.de")}), {"no_such_file.de"});
  refuses(1, "translation", {"train", "--data", path("no_such_folder"), "--output_dir", path("out")},
          {"no_such_folder", "train.de"});
  refuses(1, "translation", {"translate", "--model", path("no_such_model")}, {"no_such_model"});
  refuses(1, "demo", {"--data", path("no_such_folder"), "--output_dir", path("out")}, {"no_such_folder", "train."});

  write(folder / "short.en", "One line.\n");
  refuses(1, "translation", training("out", "4", {"--train_target", path("short.en")}), {"short.en", "200", "1 "});
  write(folder / "broken.de", content(folder / "data/valid.de") + "Ein \xFF Hund.\n");
  refuses(1, "translation", training("out", "4", {"--validation_source", path("broken.de")}),
          {"broken.de", "line 21", "0xFF"});
  write(folder / "empty.en", "");
  refuses(1, "translation", training("out", "4", {"--train_target", path("empty.en")}), {"empty.en", "empty"});
}

BOOST_AUTO_TEST_CASE(an_output_directory_that_cannot_be_made_is_named) {
  write(folder / "file", "not a directory\n");
  refuses(1, "translation", training("file/out", "4"), {path("file/out")});
  refuses(1, "demo", {"--data", path("data"), "--output_dir", path("file/out")}, {path("file/out")});
  BOOST_TEST(content(folder / "file") == "not a directory\n");
}

BOOST_AUTO_TEST_CASE(damaged_models_are_refused) {
  const auto model = fs::path(small_model());
  const auto whole = content(model / "model.safetensors");
  BOOST_REQUIRE(whole.size() > 1000);
  for (const auto size : {whole.size() / 2, whole.size() - 1, std::size_t{100}, std::size_t{4}, std::size_t{0}}) {
    write(model / "model.safetensors", whole.substr(0, size));
    refuses(1, "translation", {"translate", "--model", model.string()}, {"model.safetensors"});
  }
  write(model / "model.safetensors", whole);

  const auto config = content(model / "config.json");
  auto wider = config;
  wider.replace(wider.find("\"d_model\": 16"), 13, "\"d_model\": 32");
  write(model / "config.json", wider);
  refuses(1, "translation", {"translate", "--model", model.string()}, {"model.safetensors", "model.shared.weight"});
  write(model / "config.json", config.substr(0, config.size() / 2));
  refuses(1, "translation", {"translate", "--model", model.string()}, {"config.json"});
  write(model / "config.json", config);
  write(model / "vocab.json", R"({"</s>": 0, "<unk>": 1, "a": 2, "<pad>": 3})");
  refuses(1, "translation", {"translate", "--model", model.string()}, {"vocab"});
}

BOOST_AUTO_TEST_CASE(an_earlier_run_is_not_overwritten_unasked) {
  const auto model = fs::path(small_model());
  const auto before = content(model / "model.safetensors");
  refuses(2, "translation", training("model", "4", {"--seed", "7"}), {"--resume_from_checkpoint last"});
  BOOST_TEST(content(model / "model.safetensors") == before);
  const auto again = run("translation", training("model", "4", {"--seed", "7", "--overwrite_output_dir"}));
  BOOST_TEST(again.code == 0, again.err);
  BOOST_TEST(content(model / "model.safetensors") != before);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(reproducible_training, Workplace)

BOOST_AUTO_TEST_CASE(a_killed_run_resumes_to_the_same_bytes) {
  const Arguments saving = {"--save_steps", "5", "--threads", "1"};
  const auto whole = run("translation", training("whole", "120", saving));
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
  BOOST_TEST(contains(whole.out, "final valid_loss="));

  kill_after_saving("translation", training("killed", "120", saving), "killed");

  auto more = saving;
  more.insert(more.end(), {"--resume_from_checkpoint", "last"});
  const auto resumed = run("translation", training("killed", "120", more));
  BOOST_REQUIRE_MESSAGE(resumed.code == 0, resumed.err);
  const auto expected = content(folder / "whole" / "model.safetensors");
  BOOST_REQUIRE(expected.size() > 1000);
  BOOST_TEST((content(folder / "killed" / "model.safetensors") == expected));
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_changes_nothing) {
  std::string expected;
  for (const std::string threads : {"1", "2", "7"}) {
    const auto outcome = run("translation", training("threads" + threads, "20", {"--threads", threads}));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    const auto bytes = content(folder / ("threads" + threads) / "model.safetensors");
    BOOST_REQUIRE(bytes.size() > 1000);
    if (expected.empty()) expected = bytes;
    BOOST_TEST((bytes == expected), threads << " threads give another model");
  }
}

BOOST_AUTO_TEST_CASE(recomputed_activations_change_nothing) {
  const auto bytes = [&](const std::string& output, const Arguments& more) {
    Arguments arguments = {"--gradient_accumulation_steps", "3", "--label_smoothing_factor", "0.1", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run("translation", training(output, "6", arguments));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    const auto model = content(folder / output / "model.safetensors");
    BOOST_REQUIRE(model.size() > 1000);
    return model;
  };
  BOOST_TEST((bytes("recomputed", {"--gradient_checkpointing"}) == bytes("kept", {})));
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Training from models that are there already.
struct SecondRun : Workplace {
  SecondRun() {
    auto arguments = training("first", "60");
    *(std::find(arguments.begin(), arguments.end(), "--projector") + 1) = "linear";
    const auto outcome = run("translation", arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    before = row_with("first", "final").at("valid_loss").get<double>();
  }

  Arguments continuing(const std::string& output, const Arguments& more) const {
    Arguments arguments = {
        "train",     "--model", path("first"),        "--data", path("data"),   "--max_steps", "2", "--no_bleu",
        "--threads", "1",       "--mini_batch_words", "200",    "--output_dir", path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// The first row of a run's metrics that has `key`; null where none has.
  nlohmann::json row_with(const std::string& output, const std::string& key) const {
    for (auto& row : metrics(folder / output))
      if (row.contains(key)) return row;
    return nullptr;
  }

  /// The validation loss before the first step of a run that begins with the first model.
  double start_of(const std::string& output, const Arguments& more) const {
    const auto outcome = run("translation", continuing(output, more));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    const auto row = row_with(output, "valid_loss");
    BOOST_TEST_REQUIRE(row.at("step").get<int>() == 0);
    return row.at("valid_loss").get<double>();
  }

  double before = 0.0;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(beginning_with_a_model, SecondRun)

// Losses in float, of some 200 tokens; a projection that were not what it should be changes the first digits.
BOOST_AUTO_TEST_CASE(a_warm_start_is_as_good_as_the_model) {
  const auto near = boost::test_tools::tolerance(1e-5);
  BOOST_TEST(start_of("same", {}) == before, near);
  for (const std::string projector : {"sequential_linear", "plain_neural", "residual", "plain_residual"})
    BOOST_TEST(start_of(projector, {"--projector", projector, "--init_projections", "warm"}) == before, near);
  const auto translated =
      run("translation", {"translate", "--model", path("residual"), "--max_length", "5"}, "Der Hund.\n");
  BOOST_TEST(translated.code == 0, translated.err);
  BOOST_TEST(lines_of(translated.out).size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_starts_fresh_has_to_be_learnt_again) {
  BOOST_TEST(start_of("fresh", {"--projector", "neural", "--init_projections", "fresh"}) > before + 0.01);
  BOOST_TEST(start_of("anew", {"--reinitialise", "model.shared.*"}) > before + 0.1);
  const auto quiet = run("translation", continuing("quiet", {"--no_eval_on_start"}));
  BOOST_REQUIRE_MESSAGE(quiet.code == 0, quiet.err);
  BOOST_TEST(row_with("quiet", "valid_loss").at("step").get<int>() == 2);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_begun_is_refused) {
  const auto refused = [&](int code, const Arguments& more, const Arguments& parts) {
    refuses(code, "translation", continuing("refused", more), parts);
  };
  refused(2, {"--projector", "neural"}, {"--init_projections", "fresh", "warm"});
  refused(2, {"--projector", "quadratic", "--init_projections", "fresh"}, {"quadratic", "plain_neural"});
  refused(2, {"--config", path("tiny.json")}, {"--model", "--config"});
  refused(2, {"--normalize_before"}, {"--model", "--normalize_before"});
  refused(2, {"--reinitialise", "no.such.tensor"}, {"no.such.tensor"});
  refuses(2, "translation", training("refused", "2", {"--init_projections", "warm"}), {"--model"});
  const auto missing = continuing("refused", {});
  auto arguments = missing;
  arguments[2] = path("no_such_model");
  refuses(1, "translation", arguments, {"no_such_model"});
  const auto weights = content(folder / "first/model.safetensors");
  write(folder / "first/model.safetensors", weights.substr(0, weights.size() / 2));
  refuses(1, "translation", missing, {"model.safetensors"});
  BOOST_TEST(!fs::exists(folder / "refused" / "metrics.jsonl"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(using_models, Workplace)

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_refused_by_every_search) {
  const auto model = small_model();
  spoil_weights(fs::path(model) / "model.safetensors");
  for (const Arguments& search : {Arguments{"--num_beams", "1"}, {"--num_beams", "2"}, {"--do_sample"}}) {
    Arguments arguments = {"translate", "--model", model};
    arguments.insert(arguments.end(), search.begin(), search.end());
    refuses(3, "translation", arguments, {"not finite"});
  }
  refuses(3, "translation",
          {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference", path("data/valid.en")},
          {"not finite"});
}

BOOST_AUTO_TEST_CASE(translate_keeps_the_lines) {
  const auto model = small_model();
  const auto outcome = run("translation", {"translate", "--model", model, "--max_length", "10"},
                           "Der Hund schläft.\n\nEine Katze.\r\n   \nDas Haus");
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  const auto lines = lines_of(outcome.out);
  BOOST_REQUIRE(lines.size() == 5u);
  BOOST_TEST(lines[1] == "");
  BOOST_TEST(lines[3] == "");
  const auto nothing = run("translation", {"translate", "--model", model});
  BOOST_TEST(nothing.code == 0);
  BOOST_TEST(nothing.out == "");
  refuses(1, "translation",
          {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference", path("data/train.en")},
          {"train.en", "200", "20"});
}

BOOST_AUTO_TEST_CASE(a_line_is_answered_before_the_next_one_comes) {
  const auto model = small_model();
  Conversation conversation("translation", {"translate", "--model", model, "--max_length", "8"});
  for (const std::string line : {"Der Hund schläft.\n", "\n", "Eine Katze und\nein Haus.\n"}) {
    conversation.say(line);
    const auto count = std::count(line.begin(), line.end(), '\n');
    const auto answer = conversation.hear(count);
    BOOST_TEST(std::count(answer.begin(), answer.end(), '\n') == count);
  }
}

BOOST_AUTO_TEST_CASE(results_and_draws_are_those_that_were_asked_for) {
  const auto model = small_model();
  const auto translate = [&](Arguments more) {
    Arguments arguments = {"translate", "--model", model, "--max_length", "10"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run("translation", arguments, "Der Hund schläft.\n\nEine Katze.\n");
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome.out;
  };
  const auto results = lines_of(translate({"--num_beams", "3", "--num_return_sequences", "2"}));
  BOOST_REQUIRE(results.size() == 5u);  // an empty line has one result
  const char* const numbers[] = {"0 ||| ", "0 ||| ", "1 |||  ||| F0= 0 ||| 0", "2 ||| ", "2 ||| "};
  for (std::size_t i = 0; i < 5; ++i) BOOST_TEST(results[i].starts_with(numbers[i]), results[i]);
  const auto score = [&](std::size_t i) { return std::stod(results[i].substr(results[i].rfind("||| ") + 4)); };
  BOOST_TEST(score(0) >= score(1));
  BOOST_TEST(score(0) < 0.0);
  // Marian's four fields, of which the third is the sum that the score divides by the length.
  for (const auto& result : results) BOOST_TEST(contains(result, " ||| F0= "), result);
  const auto sum = [&](std::size_t i) { return std::stod(results[i].substr(results[i].find("F0= ") + 4)); };
  BOOST_TEST(sum(0) <= score(0));
  const auto rounded = translate({"--num_beams", "3", "--num_return_sequences", "2", "--dtype", "bfloat16"});
  BOOST_TEST(lines_of(rounded).size() == 5u);
  BOOST_TEST(lines_of(rounded) != results);

  const auto best = translate({"--num_beams", "3"});
  BOOST_TEST(lines_of(best)[0] == results[0].substr(6, results[0].find(" ||| F0= ") - 6));
  const auto drawn = translate({"--do_sample", "--seed", "5"});
  BOOST_TEST(drawn == translate({"--do_sample", "--seed", "5", "--batch_size", "1"}));
  BOOST_TEST(drawn != translate({"--do_sample", "--seed", "6"}));
  BOOST_TEST(translate({"--do_sample", "--min_p", "1"}) == translate({"--num_beams", "1"}));

  const auto line = lines_of(translate({})).at(0);
  auto words = line + "\n";
  std::replace(words.begin(), words.end(), ' ', '\n');
  write(folder / "bad_words", words);
  BOOST_TEST(lines_of(translate({"--bad_words", path("bad_words")})).at(0) != line);
}

BOOST_AUTO_TEST_CASE(a_translation_is_one_line_whatever_its_pieces_hold) {
  const auto model = small_model();
  const auto vocabulary = nlohmann::json::parse(content(folder / "model/vocab.json"));
  nlohmann::json pieces = nlohmann::json::object();
  for (const auto& [piece, id] : vocabulary.items()) pieces[piece.starts_with('<') ? piece : piece + "\nb\rc"] = id;
  write(folder / "model/vocab.json", pieces.dump());
  const auto outcome = run("translation", {"translate", "--model", model, "--min_length", "6", "--max_length", "10"},
                           "Der Hund schläft.\nEine Katze.\n");
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(lines_of(outcome.out).size() == 2u, outcome.out);
  BOOST_TEST(contains(outcome.out, " b c"), outcome.out);
  BOOST_TEST(!contains(outcome.out, "\r"));
  const auto evaluated = run("translation", {"evaluate", "--model", model, "--source", path("data/valid.de"),
                                             "--reference", path("data/valid.en"), "--min_length", "6", "--max_length",
                                             "10", "--hypotheses", path("hypotheses")});
  BOOST_REQUIRE_MESSAGE(evaluated.code == 0, evaluated.err);
  BOOST_TEST(lines_of(content(folder / "hypotheses")).size() == 20u);
}

BOOST_AUTO_TEST_CASE(what_a_program_reads_it_does_not_write_to) {
  const auto model = small_model();
  write(folder / "words", "Hund\n");
  for (const std::string& read : {path("words"), model + "/vocab.json", model + "/model.safetensors"}) {
    const auto before = content(read);
    for (const std::string flag : {"--output", "--attention"})
      refuses(2, "translation", {"translate", "--model", model, "--bad_words", path("words"), flag, read},
              {flag, read});
    refuses(2, "translation",
            {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference", path("data/valid.en"),
             "--bad_words", path("words"), "--hypotheses", read},
            {"--hypotheses", read});
    BOOST_TEST((content(read) == before), read);
  }
}

BOOST_AUTO_TEST_CASE(a_profile_shows_where_the_time_goes_and_changes_nothing) {
  const Arguments together = {
      "--gradient_accumulation_steps", "2", "--gradient_checkpointing", "--threads", "2", "--dtype", "bfloat16"};
  auto profiled = together;
  profiled.insert(profiled.end(), {"--profile", path("train.json")});
  for (const auto& [output, more] : {std::pair{"with", profiled}, {"without", together}}) {
    const auto outcome = run("translation", training(output, "6", more));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    BOOST_TEST(contains(outcome.err, "profile: ") == (output == std::string("with")), outcome.err);
    BOOST_TEST(!contains(outcome.out, "profile"));
  }
  BOOST_TEST((content(folder / "with/model.safetensors") == content(folder / "without/model.safetensors")));

  const auto operations = [&](const std::string& file) {
    const auto json = nlohmann::json::parse(content(folder / file));
    std::set<std::string> found;
    double seconds = 0.0;
    for (const auto& row : json.at("rows")) {
      seconds += row.at("seconds").get<double>();
      found.insert(row.at("operation").get<std::string>());
      found.insert(row.at("module").get<std::string>());
    }
    BOOST_TEST(!json.at("traceEvents").empty());
    BOOST_TEST(seconds > 0.0);
    BOOST_TEST(seconds <= json.at("otherData").at("wall_seconds").get<double>());
    return found;
  };
  auto found = operations("train.json");
  for (const std::string name : {"linear_weight_gradient", "adam", "making batches", "writing checkpoints",
                                 "model.decoder.layers.0.encoder_attn.q_proj.0"})
    BOOST_TEST(found.count(name) == 1u, name);

  const Arguments translating = {"translate", "--model", path("with"), "--max_length", "8"};
  auto measured = translating;
  measured.insert(measured.end(), {"--profile", path("train.json")});  // an older profile is replaced
  const auto source = content(folder / "data/valid.de");
  const auto translated = run("translation", measured, source);
  BOOST_REQUIRE_MESSAGE(translated.code == 0, translated.err);
  BOOST_TEST(contains(translated.err, "attention_round"));
  BOOST_TEST(contains(translated.err, "% of "));
  BOOST_TEST(translated.out == run("translation", translating, source).out);
  found = operations("train.json");
  for (const std::string name : {"attention_round", "searching", "model.decoder.layers.0.self_attn"})
    BOOST_TEST(found.count(name) == 1u, name);

  const Arguments evaluating = {"evaluate",
                                "--model",
                                path("with"),
                                "--source",
                                path("data/valid.de"),
                                "--reference",
                                path("data/valid.en"),
                                "--max_length",
                                "8",
                                "--profile",
                                path("evaluate.json")};
  const auto evaluated = run("translation", evaluating);
  BOOST_REQUIRE_MESSAGE(evaluated.code == 0, evaluated.err);
  BOOST_TEST(operations("evaluate.json").count("tokenizing") == 1u);
}

BOOST_AUTO_TEST_CASE(a_profile_that_cannot_be_written_is_refused_before_the_work) {
  refuses(1, "translation", training("refused", "2", {"--profile", path("no_such_folder/trace.json")}),
          {"no_such_folder/trace.json"});
  refuses(1, "translation", training("refused", "2", {"--profile", path("data")}), {"data", "folder"});
  // Neither does it replace a file that the command reads.
  const auto text = content(folder / "data/train.de");
  refuses(1, "translation", training("refused", "2", {"--profile", path("data/train.de")}),
          {"data/train.de", "no profile"});
  BOOST_TEST((content(folder / "data/train.de") == text));
  BOOST_TEST(!fs::exists(folder / "refused"));
  // Nor one that it wrote.
  const auto model = small_model();
  const auto outcome =
      run("translation",
          {"translate", "--model", model, "--max_length", "5", "--output", path("lines"), "--profile", path("lines")},
          "Der Hund.\n");
  BOOST_TEST(outcome.code == 1);
  BOOST_TEST(contains(outcome.err, "no profile"), outcome.err);
  BOOST_TEST(lines_of(content(folder / "lines")).size() == 1u);
}

BOOST_AUTO_TEST_CASE(files_go_in_and_out) {
  const auto model = small_model();
  const auto source = content(folder / "data/valid.de");
  const Arguments arguments = {"translate", "--model", model, "--max_length", "8"};
  const auto expected = run("translation", arguments, source);
  auto with_files = arguments;
  with_files.insert(with_files.end(), {"--input", path("data/valid.de"), "--output", path("translated.en")});
  const auto outcome = run("translation", with_files);
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(outcome.out == "");
  BOOST_TEST(contains(outcome.err, "20/20"));
  BOOST_TEST(contains(outcome.err, "tok/s"));
  BOOST_TEST(content(folder / "translated.en") == expected.out);
  BOOST_TEST(lines_of(expected.out).size() == 20u);
  with_files.back() = path("no_such_folder/translated.en");
  refuses(1, "translation", with_files, {"no_such_folder/translated.en"});
  // What is read would be lost, also where the shell opened it.
  with_files.back() = path("data/valid.de");
  refuses(2, "translation", with_files, {"--output", "valid.de is the file of --input"});
  for (const std::string flag : {"--output", "--attention"}) {
    auto onto_itself = arguments;
    onto_itself.insert(onto_itself.end(), {flag, path("stdin")});
    Folder::refuses(2, "translation", onto_itself, {flag, "stdin is the file of standard input"}, source);
    BOOST_TEST((content(folder / "stdin") == source));
  }
  BOOST_TEST((content(folder / "data/valid.de") == source));
}

BOOST_AUTO_TEST_CASE(lines_that_are_no_text_stop_or_are_skipped) {
  const auto model = small_model();
  const std::string input = "Der Hund schläft.\nEin \xFF\xFE Hund.\nEine Katze.\n";
  Arguments arguments = {"translate", "--model", model, "--max_length", "8"};
  const auto stopped = run("translation", arguments, input);
  BOOST_TEST(stopped.code == 1);
  BOOST_TEST(lines_of(stopped.out).size() == 1u);
  for (const char* part : {"standard input: line 2", "0xFF", "--on_error skip"})
    BOOST_TEST(contains(stopped.err, part));
  const auto long_line = run("translation", arguments, std::string(std::size_t{3} << 20, '\0'));
  BOOST_TEST(long_line.code == 1);
  BOOST_TEST(long_line.out == "");
  BOOST_TEST(contains(long_line.err, "line 1: is longer than 1048576 bytes"));

  arguments.insert(arguments.end(), {"--on_error", "skip"});
  const auto skipped = run("translation", arguments, input);
  BOOST_TEST(skipped.code == 0, skipped.err);
  BOOST_TEST(lines_of(skipped.out).size() == 3u);
  BOOST_TEST(lines_of(skipped.out).at(1) == "");
  BOOST_TEST(contains(skipped.err, "line 2"));
  BOOST_TEST(lines_of(skipped.out).at(0) == lines_of(stopped.out).at(0));
}

BOOST_AUTO_TEST_CASE(a_line_of_2000_words_is_cut_and_an_unknown_word_is_passed_over) {
  const auto model = small_model();
  std::string line = "Hund";
  for (int i = 0; i < 1999; ++i) line += " Hund";
  const Arguments arguments = {"translate", "--model", model, "--max_length", "8"};
  const auto outcome = run("translation", arguments, "Eine Katze.\n" + line + "\n語 😀\n");
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(lines_of(outcome.out).size() == 3u);
  BOOST_TEST(contains(outcome.err, "line 2 has "));
  BOOST_TEST(contains(outcome.err, "the model reads 64, so its end was left out"));
  BOOST_TEST(lines_of(outcome.err).size() == 2u);  // behind the engine's
}

BOOST_AUTO_TEST_CASE(attention_is_drawn_on_request) {
  const auto model = small_model();
  const auto draw = [&](const Arguments& more) {
    Arguments arguments = {"translate", "--model", model, "--max_length", "8", "--attention", path("attention.svg")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run("translation", arguments, "\nDer Hund schläft.\nEine Katze.\n");
  };
  const auto outcome = draw({});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  const auto first = content(folder / "attention.svg");
  BOOST_TEST(first.starts_with("<svg"));
  BOOST_TEST(contains(first, "decoder layer 0"));
  BOOST_TEST(contains(first, ">head 1</text>"));
  BOOST_TEST(contains(first, "&lt;/s&gt; ← &lt;/s&gt;: "));
  BOOST_TEST(draw({"--attention_line", "3"}).code == 0);
  BOOST_TEST((content(folder / "attention.svg") != first));
  const auto refused = [&](const Arguments& more, const std::string& message) {
    const auto outcome_of = draw(more);
    BOOST_TEST(outcome_of.code == 2);
    BOOST_TEST(contains(outcome_of.err, message), outcome_of.err);
    return outcome_of.out;
  };
  // The lines are translated all the same.
  BOOST_TEST(refused({"--attention_line", "1"}, "that line is empty") == outcome.out);
  BOOST_TEST(refused({"--attention_line", "4"}, "the input has only 3 lines") == outcome.out);
  refused({"--attention_layer", "1"}, "the decoder has layers 0 to 0");
}

BOOST_AUTO_TEST_CASE(searches_that_make_no_sense_are_refused) {
  const auto model = small_model();
  const auto refused = [&](const Arguments& more, const Arguments& parts) {
    Arguments arguments = {"translate", "--model", model};
    arguments.insert(arguments.end(), more.begin(), more.end());
    refuses(2, "translation", arguments, parts);
  };
  refused({"--num_beam", "4"}, {"did you mean --num_beams?"});
  refused({"--num_beams", "0"}, {"--num_beams: must be an integer from 1 to"});
  refused({"--num_return_sequences", "3"}, {"num_return_sequences is 3"});
  refused({"--top_k", "3"}, {"--top_k", "--do_sample"});
  refused({"--min_p", "0.1"}, {"--min_p", "--do_sample"});
  refused({"--length_penalty", "0.6"}, {"--length_penalty", "--num_beams"});
  refused({"--num_beams", "1", "--early_stopping", "true"}, {"--early_stopping", "--num_beams"});
  refused({"--max_length", "9", "--max_new_tokens", "3"}, {"--max_new_tokens", "--max_length", "one of the two"});
  refused({"--min_length", "2", "--min_new_tokens", "1"}, {"--min_new_tokens", "--min_length", "one of the two"});
  refused({"--do_sample", "--min_p", "1.5"}, {"--min_p", "1.5"});
  refused({"--clean_up_tokenization_spaces", "maybe"}, {"--clean_up_tokenization_spaces", "maybe"});
  refused({"--early_stopping", "maybe"}, {"--early_stopping must be true, false or never, not \"maybe\""});
  refused({"--on_error", "panic"}, {"panic", "stop", "skip"});
  refused({"--batch_size", "0"}, {"--batch_size"});
  for (const std::string flag : {"--attention_line", "--attention_layer"})
    refused({flag, "1"}, {flag + " requires --attention"});
  // Scores are those of the best results.
  refuses(2, "translation",
          {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference", path("data/valid.en"),
           "--num_beams", "2", "--num_return_sequences", "2"},
          {"--num_return_sequences"});
}

BOOST_AUTO_TEST_CASE(evaluate_reports_bleu_chrf_and_their_signatures) {
  const auto model = small_model();
  const auto outcome =
      run("translation", {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference",
                          path("data/valid.en"), "--max_length", "10", "--hypotheses", path("hypotheses")});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(outcome.out.starts_with("BLEU = "));
  BOOST_TEST(contains(outcome.out, "\nchrF2 = "));
  BOOST_TEST(contains(outcome.out, "\nnrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"));
  const auto hypotheses = content(folder / "hypotheses");
  BOOST_TEST(std::count(hypotheses.begin(), hypotheses.end(), '\n') == 20);
}

// What the model says itself as one of two references: the best there is.
BOOST_AUTO_TEST_CASE(evaluate_takes_several_references_and_sacrebleus_tokenizers) {
  const auto model = small_model();
  const Arguments once = {"evaluate",
                          "--model",
                          model,
                          "--source",
                          path("data/valid.de"),
                          "--reference",
                          path("data/valid.en"),
                          "--max_length",
                          "10",
                          "--hypotheses",
                          path("itself")};
  BOOST_REQUIRE(run("translation", once).code == 0);
  Arguments twice(once.begin(), once.end() - 2);  // without --hypotheses, which is read now
  twice.insert(twice.end(), {"--reference", path("itself"), "--tokenize", "char", "--chrf_word_order", "2"});
  const auto outcome = run("translation", twice);
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(outcome.out.starts_with("BLEU = 100.00 "), outcome.out);
  BOOST_TEST(contains(outcome.out, "\nnrefs:2|case:mixed|eff:no|tok:char|smooth:exp"));
  BOOST_TEST(contains(outcome.out, "\nchrF2++ = 100.00\n"), outcome.out);
  BOOST_TEST(contains(outcome.out, "\nnrefs:2|case:mixed|eff:yes|nc:6|nw:2|space:no"));
  twice.insert(twice.end(), {"--reference", path("data/train.en")});
  refuses(1, "translation", twice, {"train.en", "200", "20"});
  auto unknown = once;
  unknown.insert(unknown.end(), {"--tokenize", "ja-mecab"});
  refuses(2, "translation", unknown, {"--tokenize", "ja-mecab", "intl"});
}

BOOST_AUTO_TEST_CASE(the_demo_compares_two_arms_and_leaves_models_for_translation) {
  const auto outcome = run("demo", {"--data", path("data"), "--output_dir", path("results"), "--max-steps", "2"});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  for (const std::string text : {"linear", "neural", "parameters", "BLEU", "source", "reference", "results"})
    BOOST_TEST(contains(outcome.out, text), text << " is missing in " << outcome.out);
  for (const std::string file : {"loss.svg", "bleu.svg", "linear/metrics.jsonl", "neural/metrics.jsonl"})
    BOOST_TEST(!content(folder / "results" / file).empty(), file << " is missing");
  for (const std::string arm : {"linear", "neural"}) {
    const auto translated =
        run("translation", {"translate", "--model", path("results/" + arm), "--max_length", "5"}, "Der Hund.\n");
    BOOST_TEST(translated.code == 0, translated.err);
    BOOST_TEST(std::count(translated.out.begin(), translated.out.end(), '\n') == 1);
  }
}

BOOST_AUTO_TEST_CASE(the_demo_does_not_train_over_the_checkpoints_of_another_run) {
  for (const std::string place : {"results", "results/linear", "results/neural"}) {
    fs::create_directories(folder / place / "checkpoint-4");
    refuses(2, "demo", {"--data", path("data"), "--output_dir", path("results"), "--max_steps", "2"},
            {path(place), "holds the checkpoints"});
    BOOST_TEST(fs::exists(folder / place / "checkpoint-4"));
    fs::remove_all(folder / "results");
  }
}

BOOST_AUTO_TEST_CASE(the_demo_replaces_no_models_and_texts_but_its_own) {
  const auto arguments = [&](const Arguments& more) {
    Arguments all = {"--output_dir", path("results"), "--max_steps", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  for (const std::string place : {"results", "results/linear", "results/neural"}) {
    fs::create_directories(folder / place);
    write(folder / place / "config.json", "{}");
    refuses(2, "demo", arguments({"--data", path("data")}), {path(place), "a model that is not the demo's"});
    BOOST_TEST(content(folder / place / "config.json") == "{}");
    BOOST_TEST(!fs::exists(folder / place / "metrics.jsonl"));
    fs::remove_all(folder / "results");
  }
  fs::create_directories(folder / "results/corpus");
  write(folder / "results/corpus/valid.en", "Mine.\n");
  refuses(2, "demo", arguments({}), {"corpus/valid.en is not the demo's"});
  BOOST_TEST(content(folder / "results/corpus/valid.en") == "Mine.\n");
  BOOST_TEST(!fs::exists(folder / "results/corpus/train.de"));
  for (int time = 1; time <= 2; ++time) {  // the second one replaces the first one's
    const auto outcome = run("demo", arguments({"--data", path("data")}));
    BOOST_TEST(outcome.code == 0, outcome.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
