// The program masked_lm as its users meet it: training, perplexity, filling masks, and what it refuses.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE masked_lm
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "examples/metrics.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

/// A folder with a text of 300 + 60 lines and a tiny config that reads 32 tokens.
struct Workplace : Folder {
  Workplace() {
    fs::create_directories(folder / "data");
    const auto parts = examples::split(examples::generate(360, 3), 300, 60, 0);
    const auto save = [&](const std::string& name, const std::vector<examples::SentencePair>& pairs) {
      std::string text;
      for (const auto& pair : pairs) text += " " + pair.english + "\n\n";
      write(folder / "data" / (name + ".txt"), text);
    };
    save("train", parts.train);
    save("valid", parts.valid);
    write(folder / "tiny.json", R"({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                                    "intermediate_size": 32, "max_position_embeddings": 34})");
  }

  /// `masked_lm train` at tiny size; `more` comes last.
  Arguments training(const std::string& output, const std::string& steps, const Arguments& more = {},
                     const std::string& projector = "plain_neural", const std::string& vocabulary = "300") const {
    Arguments arguments = {"train",
                           "--data",
                           path("data"),
                           "--config",
                           path("tiny.json"),
                           "--projector",
                           projector,
                           "--vocab_size",
                           vocabulary,
                           "--per_device_train_batch_size",
                           "4",
                           "--max_steps",
                           steps,
                           "--warmup_steps",
                           "10",
                           "--logging_steps",
                           "10",
                           "--output_dir",
                           path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome succeed(const Arguments& arguments, const std::string& input = {}) const {
    auto outcome = run("masked_lm", arguments, input);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome;
  }

  /// A model directory after a few steps.
  std::string small_model() const {
    succeed(training("model", "4"));
    return path("model");
  }

  Outcome evaluate(const std::string& model, const Arguments& more = {}) const {
    Arguments arguments = {"evaluate", "--model", model, "--text", path("data/valid.txt")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return succeed(arguments);
  }

  void refused(int code, const Arguments& arguments, const Arguments& parts, const std::string& input = {}) const {
    refuses(code, "masked_lm", arguments, parts, input);
  }
};

/// The number behind `name = ` in a program's output.
double value_of(const std::string& text, const std::string& name) {
  const auto at = ("\n" + text).find("\n" + name + " = ");
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, name << " is not in: " << text);
  return std::stod(text.substr(at + name.size() + 3));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(training, Workplace)

BOOST_AUTO_TEST_CASE(a_run_leaves_a_model_its_log_and_curves) {
  const auto outcome = succeed(training("out", "30", {"--eval_steps", "15"}));
  BOOST_TEST(outcome.out.starts_with("final valid_loss="));
  BOOST_TEST(contains(outcome.out, " valid_perplexity="));
  BOOST_TEST(contains(outcome.out, " tokens_per_second="));
  for (const std::string file : {"config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt",
                                 "tokenizer_config.json", "loss.svg", "perplexity.svg", "metrics.csv"})
    BOOST_TEST(!content(folder / "out" / file).empty(), file << " is missing");
  BOOST_TEST(!fs::exists(folder / "out/generation_config.json"));
  const auto config = nlohmann::json::parse(content(folder / "out/config.json"));
  BOOST_TEST(config.at("model_type") == "roberta");
  BOOST_TEST(config.at("neural_attention").at("projectors").at("query").at("type") == "plain_neural");
  BOOST_TEST(config.at("neural_attention").at("projectors").at("output").at("type") == "linear");

  int evaluations = 0;
  double first = 0.0, last = 0.0;
  for (const auto& row : metrics(folder / "out")) {
    if (!row.contains("valid_loss")) continue;
    const double loss = row.at("valid_loss");
    BOOST_TEST(row.at("valid_perplexity").get<double>() == std::exp(loss), boost::test_tools::tolerance(1e-9));
    if (evaluations++ == 0) first = loss;
    last = loss;
  }
  BOOST_TEST(evaluations == 3);  // two and the final row
  BOOST_TEST(last < first);
}

// exp of the loss is beyond every number above 709 nats.
BOOST_AUTO_TEST_CASE(a_run_with_an_infinite_perplexity_resumes) {
  const Arguments wild = {"--learning_rate", "10", "--warmup_steps", "0", "--lr_scheduler_type", "constant",
                          "--eval_steps",    "1",  "--save_steps",   "1", "--threads",           "1"};
  auto resumed = wild;
  succeed(training("out", "2", wild, "linear"));
  const auto before = content(folder / "out/metrics.jsonl");
  BOOST_TEST(contains(before, "\"valid_perplexity\":\"Infinity\""), before);
  resumed.insert(resumed.end(), {"--resume_from_checkpoint", "last"});
  succeed(training("out", "3", resumed, "linear"));
  const auto after = content(folder / "out/metrics.jsonl");
  BOOST_TEST(after.starts_with(before.substr(0, before.find('\n') + 1)), after);
  BOOST_TEST(contains(content(folder / "out/metrics.csv"), ",Infinity\n"));
}

BOOST_AUTO_TEST_CASE(the_rate_may_fall_to_a_minimum) {
  const auto rates = [&](const std::string& output, const Arguments& how) {
    Arguments more = {"--lr_scheduler_type", "cosine_with_min_lr", "--warmup_steps", "0", "--logging_steps", "1"};
    more.insert(more.end(), how.begin(), how.end());
    succeed(training(output, "4", more));
    return learning_rates(folder / output);
  };
  const auto absolute = rates("absolute", {"--min_lr", "1e-4"}), share = rates("share", {"--min_lr_rate", "0.1"});
  BOOST_TEST(absolute.size() == 4u);
  BOOST_TEST(absolute[2] == 1e-4 + 9e-4 / 2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(absolute == share, boost::test_tools::per_element());
  const auto refused = [&](const Arguments& more, const std::string& why) {
    const auto outcome = run("masked_lm", training("refused", "4", more));
    BOOST_TEST(outcome.code == 2);
    BOOST_TEST(contains(outcome.err, why), outcome.err);
  };
  refused({"--lr_scheduler_type", "cosine_with_min_lr"}, "needs --min_lr or --min_lr_rate");
  refused({"--min_lr", "1e-4"}, "belong to --lr_scheduler_type cosine_with_min_lr");
  refused({"--lr_scheduler_type", "cosine_with_min_lr", "--min_lr", "1"}, "--min_lr 1 is above --learning_rate 0.001");
}

BOOST_AUTO_TEST_CASE(a_killed_run_resumes_to_the_same_bytes) {
  const Arguments saving = {"--save_steps", "5", "--threads", "1"};
  succeed(training("whole", "120", saving));
  kill_after_saving("masked_lm", training("killed", "120", saving), "killed");
  auto more = saving;
  more.insert(more.end(), {"--resume_from_checkpoint", "last"});
  succeed(training("killed", "120", more));
  const auto expected = content(folder / "whole" / "model.safetensors");
  BOOST_REQUIRE(expected.size() > 1000);
  BOOST_TEST((content(folder / "killed" / "model.safetensors") == expected));
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_changes_nothing) {
  succeed(training("one", "12", {"--threads", "1"}));
  const auto expected = content(folder / "one" / "model.safetensors");
  BOOST_REQUIRE(expected.size() > 1000);
  for (const std::string threads : {"2", "7"}) {
    succeed(training("threads" + threads, "12", {"--threads", threads}));
    BOOST_TEST((content(folder / ("threads" + threads) / "model.safetensors") == expected));
  }
}

BOOST_AUTO_TEST_CASE(recomputed_activations_change_nothing) {
  const Arguments parts = {"--gradient_accumulation_steps", "3", "--threads", "1"};
  succeed(training("kept", "6", parts));
  auto more = parts;
  more.emplace_back("--gradient_checkpointing");
  succeed(training("recomputed", "6", more));
  const auto expected = content(folder / "kept" / "model.safetensors");
  BOOST_REQUIRE(expected.size() > 1000);
  BOOST_TEST((content(folder / "recomputed" / "model.safetensors") == expected));
}

BOOST_AUTO_TEST_CASE(lines_may_be_sequences_of_their_own) {
  const auto outcome = succeed(training("lines", "4", {"--line_by_line"}));
  BOOST_TEST(contains(outcome.err, " 300 sequences"));  // the empty lines are none
}

BOOST_AUTO_TEST_CASE(a_warm_start_is_as_good_as_the_model) {
  succeed(training("first", "20", {}, "linear"));
  const double before = metrics(folder / "first").back().at("valid_loss");
  const auto start_of = [&](const std::string& output, const Arguments& more) {
    Arguments arguments = {"train",       "--model", path("first"),  "--data",    path("data"),
                           "--max_steps", "2",       "--output_dir", path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    succeed(arguments);
    const auto rows = metrics(folder / output);
    BOOST_TEST(rows.front().at("step") == 0);
    return rows.front().at("valid_loss").get<double>();
  };
  const auto near = boost::test_tools::tolerance(1e-5);
  BOOST_TEST(start_of("same", {}) == before, near);
  BOOST_TEST(start_of("warm", {"--projector", "plain_neural", "--init_projections", "warm"}) == before, near);
  BOOST_TEST(std::abs(start_of("fresh", {"--projector", "plain_neural", "--init_projections", "fresh"}) - before) >
             1e-4);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(evaluating, Workplace)

BOOST_AUTO_TEST_CASE(perplexity_is_that_of_training_and_reproducible) {
  const auto model = small_model();
  const double trained = metrics(folder / "model").back().at("valid_loss");
  const auto outcome = evaluate(model);
  BOOST_TEST(lines_of(outcome.out).back().starts_with("perplexity = "));
  BOOST_TEST(value_of(outcome.out, "loss") == trained, boost::test_tools::tolerance(1e-5));
  BOOST_TEST(value_of(outcome.out, "perplexity") == std::exp(trained), boost::test_tools::tolerance(1e-4));
  for (const Arguments& more : {Arguments{"--threads", "3"}, {"--per_device_eval_batch_size", "3"}})
    BOOST_TEST(value_of(evaluate(model, more).out, "loss") == trained, boost::test_tools::tolerance(1e-5));
  const double rounded = value_of(evaluate(model, {"--dtype", "bfloat16"}).out, "loss");
  BOOST_TEST(rounded != value_of(outcome.out, "loss"));
  BOOST_TEST(rounded == trained, boost::test_tools::tolerance(0.01));
  BOOST_TEST(value_of(evaluate(model, {"--seed", "1"}).out, "predicted tokens") !=
             value_of(outcome.out, "predicted tokens"));
}

BOOST_AUTO_TEST_CASE(quantising_says_what_it_costs) {
  const auto model = small_model(), int8 = path("int8"), text = path("data/valid.txt");
  const auto quantised = run("masked_lm", {"quantize", "--model", model, "--output_dir", int8, "--evaluate_on", text});
  BOOST_REQUIRE_MESSAGE(quantised.code == 0, quantised.err);
  const auto near = boost::test_tools::tolerance(1e-5);
  BOOST_TEST(value_of(quantised.out, "loss before") == value_of(evaluate(model).out, "loss"), near);
  BOOST_TEST(value_of(quantised.out, "loss") == value_of(evaluate(int8).out, "loss"), near);
  BOOST_TEST(evaluate(model, {"--dtype", "int8"}).out == evaluate(int8).out);
  BOOST_TEST(value_of(quantised.out, "rms error of logits") > 0.0);
}

BOOST_AUTO_TEST_CASE(in_hugging_faces_mode_batches_count_alike) {
  const auto model = small_model();
  const Arguments mode = {"--mode", "hugging_face", "--per_device_eval_batch_size", "1"};
  const double by_sequences = value_of(evaluate(model, mode).out, "loss"),
               by_tokens = value_of(evaluate(model).out, "loss");
  BOOST_TEST(by_sequences != by_tokens);
  BOOST_TEST(by_sequences == by_tokens, boost::test_tools::tolerance(0.05));
}

BOOST_AUTO_TEST_CASE(a_profile_is_written_by_every_command) {
  const auto model = path("model"), trace = path("trace.json");
  const auto rows = [&](const Arguments& arguments, const std::string& expected) {
    const auto outcome = succeed(arguments);
    BOOST_TEST(contains(outcome.err, "profile: "), outcome.err);
    const auto json = nlohmann::json::parse(content(trace));
    bool found = false;
    for (const auto& row : json.at("rows")) found = found || row.at("module") == expected;
    BOOST_TEST(found, expected << " is in no row after " << arguments.front());
    return outcome.out;
  };
  rows(training("model", "4", {"--profile", trace}), "roberta.encoder.layer.0.attention.self.query.0");
  const Arguments evaluating = {"evaluate", "--model", model, "--text", path("data/valid.txt"), "--profile", trace};
  BOOST_TEST(rows(evaluating, "lm_head.dense") == evaluate(model).out);
  rows({"fill", "--model", model, "The <mask> sleeps.", "--profile", trace}, "roberta.encoder.layer.0.attention.self");
  refused(1, {"fill", "--model", model, "The <mask>.", "--profile", model + "/config.json"},
          {"config.json", "no profile"});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(filling, Workplace)

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_refused) {
  const auto model = small_model();
  spoil_weights(fs::path(model) / "model.safetensors");
  refused(3, {"fill", "--model", model, "the <mask>"}, {"not finite"});
  refused(3, {"fill", "--model", model}, {"not finite"}, "the <mask>\n");
  refused(3, {"evaluate", "--model", model, "--text", path("data/valid.txt")}, {"not finite"});
}

BOOST_AUTO_TEST_CASE(the_likeliest_tokens_come_with_their_probabilities) {
  const auto model = small_model();
  const auto outcome = succeed({"fill", "--model", model, "The <mask> sleeps."});
  const auto lines = lines_of(outcome.out);
  BOOST_REQUIRE(lines.size() == 5u);
  double before = 1.0, sum = 0.0;
  for (const auto& line : lines) {
    const double probability = std::stod(line);
    BOOST_TEST(probability <= before);
    BOOST_TEST(contains(line, " sleeps."), line);
    BOOST_TEST(!contains(line, "<mask>"), line);
    before = probability;
    sum += probability;
  }
  BOOST_TEST(sum > 0.0);
  BOOST_TEST(sum <= 1.0 + 1e-3);
  const auto rounded = succeed({"fill", "--model", model, "--dtype", "bfloat16", "The <mask> sleeps."});
  BOOST_TEST(lines_of(rounded.out).size() == 5u);
}

BOOST_AUTO_TEST_CASE(every_mask_of_every_line_is_filled_by_itself) {
  const auto model = small_model();
  const Arguments arguments = {"fill", "--model", model, "--top_k", "2"};
  const auto two = lines_of(succeed(arguments, "The <mask> is <mask>.\n").out);
  BOOST_REQUIRE(two.size() == 6u);
  BOOST_TEST(two[0] == "<mask> 1");
  BOOST_TEST(two[3] == "<mask> 2");
  BOOST_TEST(contains(two[1], " is<mask>."));
  const auto lines = lines_of(succeed(arguments, "A <mask>.\nUn caf\u00e9 <mask>\n").out);
  BOOST_REQUIRE(lines.size() == 4u);
  BOOST_TEST(contains(lines[2], "Un caf\u00e9"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(refusing, Workplace)

BOOST_AUTO_TEST_CASE(wrong_usage) {
  refused(2, {}, {"masked_lm"});
  refused(2, {"train", "--learning_rat", "1"}, {"did you mean --learning_rate?"});
  refused(2, {"train", "--data", path("data")}, {"--output_dir"});
  refused(2, {"train", "--output_dir", path("out")}, {"--data", "--train_file"});
  refused(2, training("out", "4", {"--max_seq_length", "33"}), {"--max_seq_length 33", "32"});
  refused(2, training("out", "4", {"--mlm_probability", "1.5"}), {"1.5"});
  refused(2, training("out", "4", {}, "linear", "200"), {"261", "200"});
  refused(2, training("out", "4", {"--projector_k", "quadratic"}), {"quadratic", "plain_neural"});
  refused(2, {"evaluate", "--model", "m", "--text", "t", "--mode", "best"}, {"best"});
  refused(2, training("out", "4", {"--threads", "-1"}), {"--threads", "-1"});
  refused(2, {"evaluate", "--model", "m", "--text", "t", "--threads", "-1"}, {"--threads", "-1"});
  refused(2, {"fill", "--model", "m", "--threads", "-1", "<mask>"}, {"--threads", "-1"});
}

BOOST_AUTO_TEST_CASE(files_that_are_missing_or_damaged) {
  refused(1, {"train", "--data", path("no_such_folder"), "--output_dir", path("out")}, {"no_such_folder", "train.txt"});
  refused(1, training("out", "4", {"--train_file", path("no_such.txt")}), {"no_such.txt"});
  write(folder / "short.txt", "One line.\n");
  const Arguments too_short = {"short.txt: the text is too short", "32 tokens"};
  refused(1, training("out", "4", {"--validation_file", path("short.txt")}), too_short);
  write(folder / "blank.txt", "\n \n\n");
  refused(1, training("out", "4", {"--line_by_line", "--validation_file", path("blank.txt")}),
          {"blank.txt: all of the text's 3 lines are empty"});
  write(folder / "broken.txt", "Good.\nBad \xFF.\n");
  refused(1, training("out", "4", {"--train_file", path("broken.txt")}), {"broken.txt", "line 2", "0xFF"});
  refused(1, {"fill", "--model", path("no_such_model"), "<mask>"}, {"no_such_model"});

  const auto model = fs::path(small_model());
  refused(1, {"evaluate", "--model", model.string(), "--text", path("no_such.txt")}, {"no_such.txt"});
  refused(1, {"evaluate", "--model", model.string(), "--text", path("short.txt")}, too_short);
  refused(1, {"quantize", "--model", model.string(), "--output_dir", path("int8"), "--evaluate_on", path("short.txt")},
          too_short);
  const Arguments fill = {"fill", "--model", model.string(), "A <mask>."};
  for (const std::string name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    const auto whole = content(model / name);
    for (const auto size : {whole.size() / 2, std::size_t{0}}) {
      write(model / name, whole.substr(0, size));
      refused(1, fill, {name});
    }
    write(model / name, whole);
  }
  auto config = nlohmann::json::parse(content(model / "config.json"));
  config["hidden_size"] = 32;
  write(model / "config.json", config.dump());
  refused(1, fill, {"model.safetensors", "wrong shape", "roberta.embeddings.word_embeddings.weight", "[300, 16]"});
  config["hidden_size"] = 16;
  config["vocab_size"] = 299;
  write(model / "config.json", config.dump());
  refused(1, fill, {"config.json", "299", "300"});
}

BOOST_AUTO_TEST_CASE(a_directory_says_what_model_it_holds) {
  const auto model = small_model();
  write(folder / "lines", "a\n");
  refuses(1, "translation", {"translate", "--model", model},
          {"config.json", "a model of type \"roberta\", expected \"marian\" or \"pegasus\""}, "a\n");
  refuses(1, "translation", {"evaluate", "--model", model, "--source", path("lines"), "--reference", path("lines")},
          {"config.json", "a model of type \"roberta\""});
}

BOOST_AUTO_TEST_CASE(texts_that_cannot_be_filled) {
  const auto model = small_model();
  refused(2, {"fill", "--model", model, "No mask here."}, {"no <mask>"});
  std::string line = "<mask>";
  for (int i = 0; i < 40; ++i) line += " dog";
  refused(2, {"fill", "--model", model, line}, {"tokens", "reads 32"});
  refused(1, {"fill", "--model", model}, {"standard input: line 1", "no <mask>"}, "nothing\n");
}

BOOST_AUTO_TEST_SUITE_END()

// A published RoBERTa of 25 pieces, none of them a byte.
BOOST_FIXTURE_TEST_SUITE(published_models, Workplace)

BOOST_AUTO_TEST_CASE(a_vocabulary_without_bytes) {
  const auto* const models = std::getenv("NEURAL_ATTENTION_MODELS_DIR");
  if (models == nullptr || !fs::exists(fs::path(models) / "sapiens-vh")) {
    std::puts("SKIPPED: NEURAL_ATTENTION_MODELS_DIR names no folder with sapiens-vh in it");
    return;
  }
  const auto model = (fs::path(models) / "sapiens-vh").string();
  const auto filled = succeed({"fill", "--model", model, "EVQLVESGG<mask>LVQPGGSLRLSCAAS"}).out;
  BOOST_TEST(lines_of(filled).size() == 5u);
  BOOST_TEST(contains(lines_of(filled).front(), "'G'  EVQLVESGGGLVQPGGSLRLSCAAS"), filled);
  const auto out = succeed({"evaluate", "--model", model, "--text", model + "/sequences.txt", "--line_by_line"}).out;
  BOOST_TEST((value_of(out, "sequences") == 11 && value_of(out, "perplexity") < 4));
}

BOOST_AUTO_TEST_SUITE_END()
