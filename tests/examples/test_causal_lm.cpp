// The program causal_lm as its users meet it: token files, training, evaluation, and what it refuses.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE causal_lm
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "examples/metrics.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

/// A folder with texts of 300 + 60 lines, 8 and 2 kB, and a tiny config that reads 32 tokens.
struct Workplace : Folder {
  Workplace() {
    fs::create_directories(folder / "data");
    const auto parts = examples::split(examples::generate(360, 3), 300, 60, 0);
    const auto save = [&](const std::string& name, const std::vector<examples::SentencePair>& pairs) {
      std::string text;
      for (const auto& pair : pairs) text += pair.english + "\n";
      write(folder / "data" / (name + ".txt"), text);
    };
    save("train", parts.train);
    save("valid", parts.valid);
    write(folder / "tiny.json", R"({"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32})");
  }

  /// `causal_lm train` at tiny size; `more` comes last.
  Arguments training(const std::string& output, const std::string& steps, const Arguments& more = {},
                     const std::string& tokenizer = "characters", const std::string& data = "data") const {
    Arguments arguments = {"train",
                           "--data",
                           path(data),
                           "--config",
                           path("tiny.json"),
                           "--dropout",
                           "0.1",
                           "--tokenizer",
                           tokenizer,
                           "--max_steps",
                           steps,
                           "--warmup_steps",
                           "5",
                           "--learning_rate",
                           "0.01",
                           "--logging_steps",
                           "10",
                           "--output_dir",
                           path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome succeed(const Arguments& arguments) const {
    auto outcome = run("causal_lm", arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome;
  }

  /// A model directory after a few steps.
  std::string small_model(const Arguments& more = {}, const std::string& tokenizer = "characters") const {
    succeed(training("model", "4", more, tokenizer));
    return path("model");
  }

  /// Token files of the data in the folder tokens.
  std::string tokens(const std::string& tokenizer = "characters", const Arguments& more = {}) const {
    Arguments arguments = {"tokenize", "--data",       path("data"),  "--tokenizer",
                           tokenizer,  "--output_dir", path("tokens")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    succeed(arguments);
    return path("tokens");
  }

  std::string evaluate(const std::string& model, const Arguments& more = {},
                       const std::string& text = "data/valid.txt") const {
    Arguments arguments = {"evaluate", "--model", model, "--text", path(text)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return succeed(arguments).out;
  }

  double valid_loss(const std::string& output) const { return metrics(folder / output).back().at("valid_loss"); }

  std::string weights(const std::string& output) const {
    auto bytes = content(folder / output / "model.safetensors");
    BOOST_REQUIRE(bytes.size() > 1000);
    return bytes;
  }

  void refused(int code, const Arguments& arguments, const Arguments& parts) const {
    refuses(code, "causal_lm", arguments, parts);
  }
};

/// The number behind `name = ` in a program's output.
double value_of(const std::string& text, const std::string& name) {
  const auto at = ("\n" + text).find("\n" + name + " = ");
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, name << " is not in: " << text);
  return std::stod(text.substr(at + name.size() + 3));
}

const auto near = boost::test_tools::tolerance(1e-5);

}  // namespace

BOOST_FIXTURE_TEST_SUITE(training, Workplace)

BOOST_AUTO_TEST_CASE(a_run_leaves_a_model_its_log_and_curves) {
  const auto outcome = succeed(training("out", "200", {"--eval_steps", "100", "--dropout", "0"}));
  BOOST_TEST(outcome.out.starts_with("final valid_loss="));
  BOOST_TEST(contains(outcome.out, " valid_perplexity="));
  for (const std::string file : {"config.json", "generation_config.json", "model.safetensors", "vocab.json", "loss.svg",
                                 "perplexity.svg", "metrics.csv"})
    BOOST_TEST(!content(folder / "out" / file).empty(), file << " is missing");
  const auto config = nlohmann::json::parse(content(folder / "out/config.json"));
  BOOST_TEST(config.at("model_type") == "gpt2");
  BOOST_TEST(config.at("vocab_size") == nlohmann::json::parse(content(folder / "out/vocab.json")).size());
  BOOST_TEST(config.at("eos_token_id").is_null());
  // 3.3 is the loss of chance
  BOOST_TEST(valid_loss("out") < 2.6);
  const auto rows = metrics(folder / "out");
  BOOST_TEST(rows.back().at("valid_perplexity").get<double>() == std::exp(valid_loss("out")), near);
}

BOOST_AUTO_TEST_CASE(flags_say_sizes_and_projectors) {
  succeed({"train",
           "--data",
           path("data"),
           "--tokenizer",
           "bpe",
           "--vocab_size",
           "280",
           "--n_layer",
           "2",
           "--n_head",
           "2",
           "--n_embd",
           "16",
           "--block_size",
           "24",
           "--bias",
           "false",
           "--activation_function",
           "gelu",
           "--dropout",
           "0.25",
           "--projector_q",
           "nonlinear_query",
           "--windows",
           "shuffled",
           "--max_steps",
           "2",
           "--output_dir",
           path("out")});
  const auto config = nlohmann::json::parse(content(folder / "out/config.json"));
  BOOST_TEST(config.at("n_layer") == 2);
  BOOST_TEST(config.at("n_positions") == 24);
  BOOST_TEST(config.at("attn_pdrop") == 0.25);
  BOOST_TEST(config.at("activation_function") == "gelu");
  const int last = config.at("vocab_size").get<int>() - 1;  // <|endoftext|>, as in GPT-2
  BOOST_TEST(config.at("bos_token_id") == last);
  BOOST_TEST(config.at("eos_token_id") == last);
  const auto& own = config.at("neural_attention");
  BOOST_TEST(own.at("bias") == false);
  BOOST_TEST(own.at("projectors").at("query").at("type") == "nonlinear_query");
  BOOST_TEST(own.at("projectors").at("key").at("type") == "linear");
  for (const std::string file : {"tokenizer.json", "vocab.json", "merges.txt"})
    BOOST_TEST(!content(folder / "out" / file).empty(), file << " is missing");
}

BOOST_AUTO_TEST_CASE(each_line_may_be_a_text_of_its_own) {
  const auto trained = run("causal_lm", training("lines", "6", {"--windows", "lines", "--logging_steps", "1"}));
  BOOST_REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const auto again = run("causal_lm", training("again", "6", {"--windows", "lines"}));
  BOOST_REQUIRE_MESSAGE(again.code == 0, again.err);
  BOOST_TEST(content(folder / "again/model.safetensors") == content(folder / "lines/model.safetensors"));
  const auto shuffled = run("causal_lm", training("shuffled", "6", {"--windows", "shuffled"}));
  BOOST_REQUIRE_MESSAGE(shuffled.code == 0, shuffled.err);
  BOOST_TEST(content(folder / "shuffled/model.safetensors") != content(folder / "lines/model.safetensors"));
  // A text that can be read only once.
  const auto piped = training("piped", "6", {"--windows", "lines", "--train_file", "/dev/stdin"});
  std::string command = "cat '" + path("data/train.txt") + "' | '" + NEURAL_ATTENTION_BIN_DIR + "/causal_lm'";
  for (const auto& argument : piped) command += " '" + argument + "'";
  const auto once = run("/bin/sh", {"-c", command});
  BOOST_REQUIRE_MESSAGE(once.code == 0, once.err);
  BOOST_TEST((weights("piped") == weights("lines")));
  write(folder / "data/train.txt", "\n \n");
  refused(1, training("none", "2", {"--windows", "lines"}), {"train.txt"});
}

BOOST_AUTO_TEST_CASE(lines_may_be_accumulated) {
  const Arguments lines = {"--windows", "lines", "--logging_steps", "1"};
  succeed(training("whole", "40", lines));
  auto parts = lines;
  parts.insert(parts.end(), {"--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "3"});
  succeed(training("parts", "40", parts));
  const auto whole_rows = metrics(folder / "whole"), part_rows = metrics(folder / "parts");
  BOOST_TEST_REQUIRE(whole_rows.size() == part_rows.size());
  int losses = 0;
  for (std::size_t i = 0; i < whole_rows.size(); ++i) {
    if (!whole_rows[i].contains("loss")) continue;
    BOOST_TEST(part_rows[i].at("loss").get<double>() == whole_rows[i].at("loss").get<double>(),
               boost::test_tools::tolerance(1e-3));
    ++losses;
  }
  BOOST_TEST(losses == 40);  // more than an epoch, whose last step is a smaller one
}

BOOST_AUTO_TEST_CASE(a_killed_run_resumes_to_the_same_bytes) {
  for (const std::string windows : {"random", "shuffled", "lines"}) {
    Arguments saving = {"--save_steps", "5", "--threads", "1", "--windows", windows};
    if (windows == "lines") saving.insert(saving.end(), {"--gradient_accumulation_steps", "3"});
    succeed(training("whole" + windows, "300", saving));
    kill_after_saving("causal_lm", training("killed" + windows, "300", saving), "killed" + windows);
    auto more = saving;
    more.insert(more.end(), {"--resume_from_checkpoint", "last"});
    succeed(training("killed" + windows, "300", more));
    BOOST_TEST((weights("killed" + windows) == weights("whole" + windows)));
  }
  refused(2, training("wholerandom", "310", {"--resume_from_checkpoint", "last", "--windows", "shuffled"}),
          {"windows", "random", "shuffled"});
}

BOOST_AUTO_TEST_CASE(a_run_resumes_with_its_own_tokenizer) {
  const Arguments saving = {"--save_steps", "2"}, resuming = {"--save_steps", "2", "--resume_from_checkpoint", "last"};
  succeed(training("out", "4", saving));
  auto vocabulary = nlohmann::json::parse(content(folder / "out/vocab.json"));
  vocabulary["#"] = vocabulary.at("a");
  vocabulary.erase("a");
  fs::create_directories(folder / "others");
  write(folder / "others/vocab.json", vocabulary.dump());
  for (const auto& tokenizer : {path("others"), std::string("bpe")})
    refused(2, training("out", "8", resuming, tokenizer),
            {"out/checkpoint-", "was made with another tokenizer than --tokenizer " + tokenizer});
  refused(1, training("out", "8", resuming, path("no_such")), {"no_such", "no tokenizer"});
  succeed(training("out", "6", resuming));
  succeed(training("out", "8", resuming, path("out")));
}

BOOST_AUTO_TEST_CASE(threads_and_recomputed_activations_change_nothing) {
  const Arguments parts = {"--gradient_accumulation_steps", "3"};
  const auto with = [&](const Arguments& more) {
    auto all = parts;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  succeed(training("one", "6", with({"--threads", "1"})));
  const auto expected = weights("one");
  for (const std::string threads : {"2", "7"}) {
    succeed(training("threads" + threads, "6", with({"--threads", threads})));
    BOOST_TEST((weights("threads" + threads) == expected));
  }
  succeed(training("recomputed", "6", with({"--gradient_checkpointing"})));
  BOOST_TEST((weights("recomputed") == expected));
}

BOOST_AUTO_TEST_CASE(texts_and_their_token_files_give_the_same_run) {
  for (const std::string tokenizer : {"characters", "bpe"}) {
    const Arguments pieces = tokenizer == "bpe" ? Arguments{"--vocab_size", "290"} : Arguments();
    succeed(training("text" + tokenizer, "6", pieces, tokenizer));
    tokens(tokenizer, pieces);
    for (const auto& source : {std::string("tokens"), "text" + tokenizer}) {
      succeed(training(source + "_run", "6", {}, path(source), "tokens"));
      BOOST_TEST((weights(source + "_run") == weights("text" + tokenizer)));
      fs::remove_all(folder / (source + "_run"));
    }
    BOOST_TEST(evaluate(path("text" + tokenizer), {}, "tokens/valid.bin") == evaluate(path("text" + tokenizer)));
    fs::remove_all(folder / "tokens");
  }
}

BOOST_AUTO_TEST_CASE(token_files_of_16_bits_alone_are_read) {
  const auto model = small_model();
  const auto vocabulary = nlohmann::json::parse(content(folder / "model/vocab.json"));
  fs::create_directories(folder / "bare");
  for (const std::string name : {"train", "valid"}) {
    std::string bytes;
    for (const char c : content(folder / "data" / (name + ".txt"))) {
      bytes += static_cast<char>(vocabulary.at(std::string(1, c)).get<int>());
      bytes += '\0';
    }
    write(folder / "bare" / (name + ".bin"), bytes);
  }
  succeed(training("from_bare", "4", {}, model, "bare"));
  BOOST_TEST((weights("from_bare") == weights("model")));
}

BOOST_AUTO_TEST_CASE(several_texts_follow_each_other) {
  write(folder / "more.txt", "the end\n");
  const auto run_of = [&](const std::string& output, const Arguments& more) {
    Arguments arguments = {"tokenize", "--output_dir", path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return succeed(arguments).out;
  };
  const auto train = path("data/train.txt"), other = path("more.txt");
  const auto one = run_of("one", {"--tokenizer", "characters", "--train_file", train});
  BOOST_TEST(!fs::exists(folder / "one/valid.bin"));
  const auto two = run_of("two", {"--tokenizer", path("one"), "--train_file", train, "--train_file", other});
  const auto size = [&](const std::string& name) { return fs::file_size(folder / name / "train.bin"); };
  BOOST_TEST(size("two") == size("one") + 2 * 8);
  run_of("bpe_one", {"--vocab_size", "290", "--train_file", train});
  run_of("bpe_other", {"--tokenizer", path("bpe_one"), "--train_file", other});
  run_of("bpe_two", {"--tokenizer", path("bpe_one"), "--train_file", train, "--train_file", other});
  constexpr std::uintmax_t frame = 64 + 16, end = 2;
  BOOST_TEST(size("bpe_two") == size("bpe_one") + size("bpe_other") - frame + end);
}

BOOST_AUTO_TEST_CASE(token_files_take_the_place_of_others) {
  const auto before = [&](const Arguments& how, const std::string& tokenizer) {
    tokens(tokenizer, how);
    succeed(training("run", "2", {}, path("tokens"), "tokens"));
    fs::remove_all(folder / "run");
  };
  before({"--vocab_size", "290"}, "bpe");
  write(folder / "tokens/train.bin.tmp.123", "of a killed run");
  before({}, "characters");
  for (const char* name : {"tokenizer.json", "merges.txt", "tokenizer_config.json", "train.bin.tmp.123"})
    BOOST_TEST(!fs::exists(folder / "tokens" / name), name << " was left");
  before({"--vocab_size", "290"}, "bpe");
  // A text that cannot be encoded leaves the old files as they were.
  tokens();
  const auto old = content(folder / "tokens/train.bin");
  write(folder / "data/valid.txt", content(folder / "data/valid.txt") + "%");
  write(folder / "data/train.txt", content(folder / "data/valid.txt").substr(0, 100));
  refused(1, {"tokenize", "--data", path("data"), "--tokenizer", path("tokens"), "--output_dir", path("tokens")},
          {"valid.txt: the character \"%\"", "is not in the vocabulary"});
  BOOST_TEST((content(folder / "tokens/train.bin") == old));
  BOOST_TEST(fs::exists(folder / "tokens/vocab.json"));
}

BOOST_AUTO_TEST_CASE(token_files_take_no_place_of_a_tokenizer_alone) {
  tokens("bpe", {"--vocab_size", "290"});
  for (const char* name : {"train.bin", "valid.bin"}) fs::remove(folder / "tokens" / name);
  fs::remove(folder / "tokens/tokenizer.json");  // GPT-2's two files
  const auto merges = content(folder / "tokens/merges.txt"), vocabulary = content(folder / "tokens/vocab.json");
  const Arguments characters = {"tokenize",   "--data",       path("data"),  "--tokenizer",
                                "characters", "--output_dir", path("tokens")};
  refused(2, characters, {path("tokens"), "holds a tokenizer without token files", "a directory of their own"});
  BOOST_TEST((content(folder / "tokens/merges.txt") == merges));
  BOOST_TEST((content(folder / "tokens/vocab.json") == vocabulary));
  BOOST_TEST(!fs::exists(folder / "tokens/train.bin"));
  tokens("bpe", {"--vocab_size", "290"});  // the same one, as after a kill
  BOOST_TEST(fs::exists(folder / "tokens/train.bin"));
  succeed(characters);  // in place of another one with its token files
}

BOOST_AUTO_TEST_CASE(long_texts_are_tokenized_block_by_block) {
  const auto vocabulary = tokens();
  const auto line = content(folder / "data/train.txt");
  std::string text;
  while (text.size() < (std::size_t{17} << 20)) text += line;
  write(folder / "long.txt", text);
  const Arguments arguments = {"tokenize",       "--tokenizer",  vocabulary,  "--train_file",
                               path("long.txt"), "--output_dir", path("long")};
  succeed(arguments);
  const auto bytes = content(folder / "long/train.bin"), one = content(folder / "tokens/train.bin");
  BOOST_TEST_REQUIRE(bytes.size() == 64 + 2 * text.size() + 16);
  bool same = true;
  for (std::size_t at = 0; at < text.size(); at += line.size())
    same = same && bytes.compare(64 + 2 * at, 2 * line.size(), one, 64, 2 * line.size()) == 0;
  BOOST_TEST(same);
  write(folder / "long.txt", text + "%");
  refused(1, arguments, {"long.txt: after its first ", " bytes, the character \"%\"", "is not in the vocabulary"});
}

BOOST_AUTO_TEST_CASE(tokenizing_shows_how_far_a_text_is) {
  const std::string line(99, 'a');
  std::string text;
  for (int i = 0; i < 3000; ++i) text += line + "\n";
  write(folder / "data/train.txt", text);
  const auto outcome =
      succeed({"tokenize", "--data", path("data"), "--tokenizer", "characters", "--output_dir", path("tokens")});
  BOOST_TEST(contains(outcome.err, "tokenizing train.txt   65,536/300,000  tokens 65,536  0:00 < 0:0"), outcome.err);
  BOOST_TEST(contains(outcome.err, "tokenizing train.txt  300,000/300,000  tokens 300,000  0:0"), outcome.err);
  BOOST_TEST(contains(outcome.err, "tokenizing valid.txt  "), outcome.err);
}

BOOST_AUTO_TEST_CASE(a_model_goes_on_from_its_weights) {
  const auto model = small_model({"--eval_steps", "4"});
  const auto start_of = [&](const std::string& output, const Arguments& more) {
    Arguments arguments = {"train",       "--model", model,          "--data",    path("data"),
                           "--max_steps", "2",       "--output_dir", path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    succeed(arguments);
    const auto rows = metrics(folder / output);
    BOOST_TEST(rows.front().at("step") == 0);
    return rows.front().at("valid_loss").get<double>();
  };
  BOOST_TEST(start_of("same", {}) == valid_loss("model"), near);
  BOOST_TEST(start_of("warm", {"--projector", "plain_neural", "--init_projections", "warm"}) == valid_loss("model"),
             near);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(evaluating, Workplace)

BOOST_AUTO_TEST_CASE(the_loss_is_that_of_training) {
  const auto model = small_model();
  const double trained = valid_loss("model");
  const auto out = evaluate(model);
  BOOST_TEST(value_of(out, "loss") == trained, near);
  BOOST_TEST(value_of(out, "perplexity") == std::exp(trained), boost::test_tools::tolerance(1e-4));
  BOOST_TEST(value_of(out, "bits per byte") == trained / std::log(2.0), near);
  const auto text = content(folder / "data/valid.txt");
  BOOST_TEST(value_of(out, "tokens") == double(text.size() - 1));
  for (const Arguments& more : {Arguments{"--threads", "3"}, {"--per_device_eval_batch_size", "5"}, {"--stride", "32"}})
    BOOST_TEST(value_of(evaluate(model, more), "loss") == trained, near);
}

BOOST_AUTO_TEST_CASE(quantising_says_what_it_costs) {
  const auto model = small_model(), int8 = path("int8");
  const auto out =
      succeed({"quantize", "--model", model, "--output_dir", int8, "--evaluate_on", path("data/valid.txt")}).out;
  BOOST_TEST(value_of(out, "loss before") == value_of(evaluate(model), "loss"), near);
  BOOST_TEST(value_of(out, "loss") == value_of(evaluate(int8), "loss"), near);
  BOOST_TEST(evaluate(model, {"--dtype", "int8"}) == evaluate(int8));
  BOOST_TEST(value_of(out, "rms error of logits") > 0.0);
  BOOST_TEST(value_of(out, "rms error of logits") < value_of(out, "largest error of a logit"));
}

BOOST_AUTO_TEST_CASE(bits_are_of_bytes_and_characters) {
  const auto model = small_model({"--vocab_size", "280"}, "bpe");
  write(folder / "text.txt", "caf\u00e9 caf\u00e9 caf\u00e9\n");
  const auto out = evaluate(model, {}, "text.txt");
  const double bits = value_of(out, "loss") * value_of(out, "tokens") / std::log(2.0);
  // the first token, "c" or a piece that begins so, is not predicted
  const double bytes = bits / value_of(out, "bits per byte"), characters = bits / value_of(out, "bits per character");
  BOOST_TEST(bytes - characters == 3.0, boost::test_tools::tolerance(1e-3));
  BOOST_TEST(bytes < 17.5);
}

BOOST_AUTO_TEST_CASE(bits_leave_special_tokens_out) {
  const auto model = small_model({"--vocab_size", "280"}, "bpe");
  write(folder / "one.txt", "%the end\n");  // the first token, which is not predicted, is "%"
  write(folder / "two.txt", "the end\n");
  succeed({"tokenize", "--tokenizer", model, "--train_file", path("one.txt"), "--train_file", path("two.txt"),
           "--output_dir", path("both")});
  const auto out = evaluate(model, {}, "both/train.bin");
  const double bits = value_of(out, "loss") * value_of(out, "tokens") / std::log(2.0);
  BOOST_TEST(bits / value_of(out, "bits per byte") == 16.0, boost::test_tools::tolerance(1e-3));
  BOOST_TEST(bits / value_of(out, "bits per character") == 16.0, boost::test_tools::tolerance(1e-3));
}

BOOST_AUTO_TEST_CASE(ids_without_a_piece_are_found_before_the_work) {
  const auto model = small_model({"--vocab_size", "280"}, "bpe");
  auto tokenizer = nlohmann::json::parse(content(fs::path(model) / "tokenizer.json"));
  auto& vocabulary = tokenizer.at("model").at("vocab");
  const std::string piece = "\u0101";  // of byte 1
  const int id = vocabulary.at(piece).get<int>();
  vocabulary.erase(piece);
  write(fs::path(model) / "tokenizer.json", tokenizer.dump());
  const std::string token = {static_cast<char>(id & 0xFF), static_cast<char>(id >> 8)};
  write(folder / "hole.bin", token + token);
  const Arguments evaluation = {"evaluate", "--model", model, "--text", path("hole.bin")};
  refused(1, evaluation, {"hole.bin", "token id " + std::to_string(id) + " is not in the vocabulary"});
  BOOST_TEST(!contains(run("causal_lm", evaluation).err, "evaluating"));
}

// By hand: every window by itself as a text, of which the last tokens count.
BOOST_AUTO_TEST_CASE(overlapping_windows_count_each_token_once) {
  const auto model = small_model();
  const auto text = content(folder / "data/valid.txt").substr(0, 40);
  const auto total = [&](const std::string& part) {
    write(folder / "part.txt", part);
    const auto out = evaluate(model, {}, "part.txt");
    return value_of(out, "loss") * value_of(out, "tokens");
  };
  write(folder / "text.txt", text);
  const auto out = evaluate(model, {"--block_size", "20", "--stride", "10"}, "text.txt");
  BOOST_TEST(value_of(out, "windows") == 3.0);
  BOOST_TEST(value_of(out, "tokens") == 39.0);
  const double expected = total(text.substr(0, 21)) + total(text.substr(10, 21)) - total(text.substr(10, 11)) +
                          total(text.substr(20)) - total(text.substr(20, 11));
  BOOST_TEST(39 * value_of(out, "loss") == expected, boost::test_tools::tolerance(1e-4));
}

BOOST_AUTO_TEST_CASE(lines_are_texts_of_their_own) {
  const auto model = small_model({"--windows", "lines"});
  const Arguments by_lines = {"--windows", "lines"};
  const auto out = evaluate(model, by_lines);
  BOOST_TEST(value_of(out, "loss") == valid_loss("model"), near);
  BOOST_TEST(value_of(out, "bits per byte") == valid_loss("model") / std::log(2.0), near);
  double predicted = 0.0;
  for (const auto& line : lines_of(content(folder / "data/valid.txt"))) predicted += double(line.size()) - 1.0;
  BOOST_TEST(value_of(out, "tokens") == predicted);
  BOOST_TEST(evaluate(model, {"--windows", "sequential"}) == evaluate(model));

  // By hand: each line as a text. Characters have no token for the end of one.
  const auto text = content(folder / "data/valid.txt");
  auto longer = text.substr(0, 45);
  std::replace(longer.begin(), longer.end(), '\n', ' ');
  const auto shorter = lines_of(text).at(1);
  write(folder / "lines.txt", longer + "\n\n" + shorter + "\n");
  for (const Arguments& windows : {Arguments{}, {"--block_size", "20", "--stride", "7"}}) {
    double sum = 0.0, count = 0.0, places = 0.0;
    for (const auto& line : {longer, shorter}) {
      write(folder / "one.txt", line);
      const auto one = evaluate(model, windows, "one.txt");
      sum += value_of(one, "loss") * value_of(one, "tokens");
      count += value_of(one, "tokens");
      places += value_of(one, "windows");
    }
    auto all = windows;
    all.insert(all.end(), by_lines.begin(), by_lines.end());
    const auto both = evaluate(model, all, "lines.txt");
    BOOST_TEST(value_of(both, "tokens") == count);
    BOOST_TEST(value_of(both, "windows") == places);
    BOOST_TEST(value_of(both, "loss") * count == sum, boost::test_tools::tolerance(1e-4));
  }

  const auto refuses_it = [&](const std::string& name, const Arguments& parts) {
    refused(1, {"evaluate", "--model", model, "--text", path(name), "--windows", "lines"}, parts);
  };
  write(folder / "empty.txt", "t\n\nh\n");
  refuses_it("empty.txt", {"empty.txt: has no line with a token that another one predicts"});
  write(folder / "other.txt", "the\n#\n");
  refuses_it("other.txt", {"other.txt: line 2: ", "not in the vocabulary"});
  tokens();
  refuses_it("tokens/valid.bin",
             {"valid.bin: is a token file, which does not show where lines end: --windows lines needs text"});
}

// The end token between two lines is predicted, and is no text.
BOOST_AUTO_TEST_CASE(lines_have_their_special_tokens) {
  const auto model = small_model({"--vocab_size", "280"}, "bpe");
  write(folder / "lines.txt", "the end\nthe\n");
  const auto out = evaluate(model, {"--windows", "lines"}, "lines.txt");
  const double bits = value_of(out, "loss") * value_of(out, "tokens") / std::log(2.0);
  BOOST_TEST(bits / value_of(out, "bits per byte") == 10.0, boost::test_tools::tolerance(1e-3));
  refused(2, {"evaluate", "--model", model, "--text", path("lines.txt"), "--windows", "words"}, {"--windows", "words"});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(generating, Workplace)

BOOST_AUTO_TEST_CASE(prompts_are_continued) {
  const auto model = small_model({"--max_steps", "40"});
  const auto with = [&](const Arguments& more, const std::string& input = {}) {
    Arguments arguments = {"generate", "--model", model, "--max_new_tokens", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run("causal_lm", arguments, input);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome.out;
  };
  const std::string prompt = "the d", dashes = "\n---------------\n";
  const auto greedy = with({prompt});
  BOOST_TEST(greedy.starts_with(prompt));
  BOOST_TEST(greedy.size() == prompt.size() + 12 + 1);
  const auto text = greedy.substr(0, greedy.size() - 1);
  BOOST_TEST(with({"--continuation_only", prompt}) == greedy.substr(prompt.size()));
  BOOST_TEST(with({"--threads", "3", prompt}) == greedy);
  BOOST_TEST(with({prompt, prompt}) == text + dashes + text + dashes);
  BOOST_TEST(with({}, prompt + "\n" + prompt + "\n") == text + dashes + text + dashes);
  write(folder / "prompts.txt", prompt + "\n");
  BOOST_TEST(with({"--input", path("prompts.txt")}) == text + dashes);
  const auto stop = text.substr(prompt.size() + 6, 2);
  const auto ends = text.find(stop, prompt.size());
  BOOST_TEST(with({"--stop", stop, prompt}) == text.substr(0, ends) + "\n");
  BOOST_TEST(with({"--num_beams", "3", prompt}).size() == greedy.size());
  BOOST_TEST(with({"--stop", "---", prompt}) == greedy);

  const Arguments drawing = {"--do_sample", "--num_return_sequences", "3", "--seed", "5", prompt};
  const auto drawn = with(drawing);
  BOOST_TEST(drawn.size() == 3 * (text.size() + dashes.size()));
  BOOST_TEST(with(drawing) == drawn);
  auto other = drawing;
  other.insert(other.end() - 1, {"--seed", "6"});
  BOOST_TEST(with(other) != drawn);
}

BOOST_AUTO_TEST_CASE(the_number_of_texts_comes_from_the_directory_or_the_flags) {
  const auto model = small_model();
  auto settings = nlohmann::json::parse(content(fs::path(model) / "generation_config.json"));
  settings["do_sample"] = true;
  settings["num_return_sequences"] = 2;
  write(fs::path(model) / "generation_config.json", settings.dump());
  const auto texts = [&](const Arguments& more) {
    Arguments arguments = {"generate", "--model", model, "--max_new_tokens", "4", "--stop", "---", "the d"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto out = succeed(arguments).out;
    const std::string dashes = "\n---------------\n";
    int count = 0;
    for (auto at = out.find(dashes); at != std::string::npos; at = out.find(dashes, at + 1)) ++count;
    return count;
  };
  BOOST_TEST(texts({}) == 2);
  BOOST_TEST(texts({"--num_return_sequences", "3"}) == 3);
}

BOOST_AUTO_TEST_CASE(tokens_outside_the_vocabulary_are_a_fault_of_the_directory) {
  const auto model = small_model();
  const std::string file = "generation_config.json";
  for (const auto& [settings, fault] : {std::pair<const char*, const char*>{R"({"eos_token_id": [3, 99999]})", "99999"},
                                        {R"({"eos_token_id": -1})", "not negative"},
                                        {R"({"bad_words_ids": [[99999999]]})", "99999999"}}) {
    write(fs::path(model) / file, settings);
    refused(1, {"generate", "--model", model, "the d"}, {file + ": ", fault});
  }
}

BOOST_AUTO_TEST_CASE(stop_strings_come_from_the_directory_or_the_flags) {
  const auto model = small_model();
  const std::string prompt = "the d";
  const auto with = [&](const Arguments& more) {
    Arguments arguments = {"generate", "--model", model, "--max_new_tokens", "12", prompt};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return succeed(arguments).out;
  };
  const auto whole = with({});
  const auto stop = whole.substr(prompt.size() + 6, 2);
  const auto stopped = whole.substr(0, whole.find(stop, prompt.size())) + "\n";
  auto settings = nlohmann::json::parse(content(fs::path(model) / "generation_config.json"));
  settings["stop_strings"] = stop;
  write(fs::path(model) / "generation_config.json", settings.dump());
  BOOST_TEST(with({}) == stopped);
  BOOST_TEST(with({"--stop", "never there"}) == whole);
  succeed({"train", "--model", model, "--data", path("data"), "--max_steps", "1", "--output_dir", path("kept")});
  const auto kept = nlohmann::json::parse(content(folder / "kept/generation_config.json"));
  BOOST_TEST(kept.at("stop_strings").size() == 1u);
  BOOST_TEST(kept.at("stop_strings").at(0).get<std::string>() == stop);
}

BOOST_AUTO_TEST_CASE(a_terminal_gets_no_commands) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "\x1B\a";
  write(folder / "data/train.txt", text);
  write(folder / "data/valid.txt", text);
  const auto model = small_model();
  for (const Arguments& prompts : {Arguments{"\x1B"}, {"\x1B", "\a\x1B"}}) {
    Arguments arguments = {"generate", "--model", model, "--max_new_tokens", "12"};
    arguments.insert(arguments.end(), prompts.begin(), prompts.end());
    const auto plain = succeed(arguments).out;
    BOOST_TEST(plain.size() >= 14u);
    std::string expected;
    for (const char c : plain) expected += c == '\x1B' ? "\\x1B" : c == '\a' ? "\\x07" : std::string(1, c);
    Terminal terminal;
    const auto shown = run("causal_lm", arguments, {}, terminal.as_output());
    BOOST_TEST(shown.code == 0, shown.err);
    BOOST_TEST(terminal.hear() == expected);
  }
}

BOOST_AUTO_TEST_CASE(prompts_that_cannot_be_continued) {
  const auto model = small_model();
  write(folder / "prompts.txt", "the d\n" + std::string(33, 'a') + "\n#\nthe c\n");
  const Arguments lines = {"generate", "--model", model, "--max_new_tokens", "3", "--input", path("prompts.txt")};
  const auto stopped = run("causal_lm", lines);
  BOOST_TEST(stopped.code == 1);
  BOOST_TEST((stopped.out.starts_with("the d") && stopped.out.ends_with("\n---------------\n")), stopped.out);
  BOOST_TEST(!contains(stopped.out, "the c"), stopped.out);
  const auto named = path("prompts.txt") + ": line 2: the prompt has 33 tokens, but the model reads 32";
  BOOST_TEST(contains(stopped.err, named + " (--on_error skip"), stopped.err);
  auto skipping = lines;
  skipping.insert(skipping.end(), {"--on_error", "skip"});
  const auto skipped = run("causal_lm", skipping);
  BOOST_TEST(skipped.code == 0);
  const std::string end = "\n---------------\n";
  BOOST_TEST(skipped.out.starts_with(stopped.out + end + end + "the c"), skipped.out);
  BOOST_TEST((contains(skipped.err, named) && contains(skipped.err, "line 3: the prompt: ")), skipped.err);
  skipping.insert(skipping.end(), {"--do_sample", "--num_return_sequences", "2"});
  const auto twice = run("causal_lm", skipping);
  BOOST_TEST(contains(twice.out, end + end + end + end + end + "the c"), twice.out);  // one behind a text, four alone
  refused(2, {"generate", "--model", model, std::string(33, 'a')}, {"prompt 1 has 33 tokens", "reads 32"});
  refused(2, {"generate", "--model", model, ""}, {"empty", "bos_token_id"});
  refused(1, {"generate", "--model", model, "#"}, {"prompt 1", "#", "not in the vocabulary"});
  refused(2, {"generate", "--model", model, "--temperature", "2", "a"}, {"--temperature", "--do_sample"});
  for (const Arguments& unused : {Arguments{"--length_penalty", "2"}, {"--early_stopping", "true"}})
    refused(2, {"generate", "--model", model, unused[0], unused[1], "a"}, {unused[0], "--num_beams"});
  for (const std::string limit : {"max", "min"})
    refused(2, {"generate", "--model", model, "--" + limit + "_length", "9", "--" + limit + "_new_tokens", "3", "a"},
            {"--" + limit + "_length", "--" + limit + "_new_tokens", "one of the two"});
  refused(2, {"generate", "--model", model, "--input", path("data/valid.txt"), "a"}, {"--input", "not both"});
  refused(1, {"generate", "--model", path("no_such"), "a"}, {"no_such"});
  spoil_weights(fs::path(model) / "model.safetensors");
  refused(3, {"generate", "--model", model, "a"}, {"not finite"});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(refusing, Workplace)

BOOST_AUTO_TEST_CASE(wrong_usage) {
  refused(2, {}, {"causal_lm"});
  refused(2, {"train", "--n_layr", "1"}, {"did you mean --n_layer?"});
  refused(2, {"train", "--data", path("data")}, {"--output_dir"});
  refused(2, {"train", "--output_dir", path("out")}, {"--data", "--train_file"});
  refused(2, training("out", "4", {"--block_size", "33"}), {"--block_size 33", "32", "n_positions"});
  refused(2, training("out", "4", {"--n_head", "3"}), {"16", "3", "n_head"});
  refused(2, training("out", "4", {"--bias", "perhaps"}), {"--bias", "perhaps"});
  refused(2, training("out", "4", {"--vocab_size", "30"}), {"--vocab_size", "characters"});
  refused(2, training("out", "4", {"--windows", "odd"}), {"--windows", "odd"});
  refused(2, training("out", "4", {"--threads", "-1"}), {"--threads", "-1"});
  const auto model = small_model();
  refused(2, {"train", "--model", model, "--n_layer", "2", "--output_dir", path("out")}, {"--model", "--n_layer"});
  refused(2, {"train", "--model", model, "--tokenizer", "bpe", "--data", path("data"), "--output_dir", path("out")},
          {"--model", "--tokenizer"});
  const auto text = path("data/valid.txt");
  refused(2, {"evaluate", "--model", model, "--text", text, "--stride", "33"}, {"--stride 33", "32"});
  refused(2, {"evaluate", "--model", model, "--text", text, "--block_size", "33"}, {"--block_size 33", "32"});
  refused(2, {"tokenize", "--data", path("data"), "--output_dir", model}, {model, "holds a model"});
}

BOOST_AUTO_TEST_CASE(texts_that_do_not_fit) {
  write(folder / "short.txt", "hi\n");
  refused(1, training("out", "4", {"--train_file", path("short.txt")}), {"short.txt", "too short", "33"});
  write(folder / "one.txt", "t");
  const auto model = small_model();
  refused(1, {"evaluate", "--model", model, "--text", path("one.txt")}, {"one.txt", "too short"});
  write(folder / "other.txt", "na\u00efve\n");
  refused(1, {"evaluate", "--model", model, "--text", path("other.txt")}, {"other.txt", "\u00ef", "number 3"});
  refused(1, {"evaluate", "--model", model, "--text", path("no_such.txt")}, {"no_such.txt"});
  refused(1, {"train", "--data", path("no_such_folder"), "--output_dir", path("out")}, {"no_such_folder", "train.txt"});
  write(folder / "broken.txt", "Bad \xFF.\n");
  refused(1, training("out", "4", {"--train_file", path("broken.txt")}), {"broken.txt", "UTF-8", "byte 5"});
}

BOOST_AUTO_TEST_CASE(token_files_that_do_not_fit) {
  const auto whole = content(fs::path(tokens()) / "train.bin");
  const auto model = small_model({"--vocab_size", "280"}, "bpe");
  const auto file = folder / "tokens/train.bin";
  const auto refuses_it = [&](const std::string& tokenizer, const Arguments& parts, int code = 1) {
    refused(code, training("out", "4", {}, tokenizer, "tokens"), parts);
  };
  refuses_it(model, {"train.bin", "vocabulary", "280"});
  refuses_it("characters", {"train.bin", "token file"}, 2);
  refuses_it(path("no_such"), {"no_such", "no tokenizer"});
  auto vocabulary = nlohmann::json::parse(content(folder / "tokens/vocab.json"));
  vocabulary["#"] = vocabulary.at("a");
  vocabulary.erase("a");
  fs::create_directories(folder / "others");
  write(folder / "others/vocab.json", vocabulary.dump());
  refuses_it(path("others"), {"train.bin", "another vocabulary", "tokenize the text again"});
  write(file, whole.substr(0, whole.size() - 2));
  refuses_it(path("tokens"), {"train.bin", "truncated"});
  write(file, "odd");
  refuses_it(path("tokens"), {"train.bin", "no token file"});
  write(file, std::string(2000, '\x7F'));
  refuses_it(path("tokens"), {"train.bin", "32639", "the vocabulary has the ids 0 to"});
  fs::remove(folder / "tokens/vocab.json");
  refused(2, {"train", "--data", path("tokens"), "--output_dir", path("out")}, {"train.bin", "--tokenizer DIR"});
  refused(2, {"tokenize", "--data", path("tokens"), "--output_dir", path("again")}, {"train.bin", "already"});
}

BOOST_AUTO_TEST_CASE(directories_of_other_models_and_damaged_ones) {
  const auto model = fs::path(small_model());
  const Arguments evaluation = {"evaluate", "--model", model.string(), "--text", path("data/valid.txt")};
  spoil_weights(model / "model.safetensors");
  refused(3, evaluation, {"not finite"});
  for (const std::string name : {"model.safetensors", "config.json", "vocab.json"}) {
    const auto whole = content(model / name);
    write(model / name, whole.substr(0, whole.size() / 2));
    refused(1, evaluation, {name});
    write(model / name, whole);
  }
  auto config = nlohmann::json::parse(content(model / "config.json"));
  const auto with = [&](const std::string& key, const nlohmann::json& value, const Arguments& parts) {
    auto other = config;
    other[key] = value;
    write(model / "config.json", other.dump());
    refused(1, evaluation, parts);
  };
  with("model_type", "roberta", {"config.json", "a model of type \"roberta\", expected \"gpt2\""});
  with("add_cross_attention", true, {"config.json", "add_cross_attention"});
  with("activation_function", "sine", {"config.json", "sine"});
  with("n_head", 3, {"config.json", "n_head"});
  with("vocab_size", 5, {"config.json", "a vocabulary of 5"});
  refused(1, {"evaluate", "--model", path("data"), "--text", path("data/valid.txt")}, {"config.json"});
}

BOOST_AUTO_TEST_CASE(bad_input_gets_one_sentence) {
  const auto model = small_model();
  const auto says = [&](int code, const Arguments& arguments, const std::string& sentence) {
    const auto outcome = run("causal_lm", arguments);
    BOOST_TEST(outcome.code == code);
    BOOST_TEST(outcome.out == "");
    BOOST_TEST_REQUIRE(!outcome.err.empty());
    BOOST_TEST(lines_of(outcome.err).back() == "causal_lm: " + sentence);
  };
  const auto generation = [&](const std::string& prompt) { return Arguments{"generate", "--model", model, prompt}; };
  const auto evaluation = [&](const std::string& text, const std::string& of = "model") {
    return Arguments{"evaluate", "--model", path(of), "--text", path(text)};
  };

  says(2, generation(std::string(33, 'a')), "prompt 1 has 33 tokens, but the model reads 32");
  const std::string empty = "is empty, and the model has no start token (bos_token_id) to begin with";
  says(2, generation(""), "prompt 1 " + empty);
  write(folder / "prompts.txt", "\n");
  says(1, {"generate", "--model", model, "--input", path("prompts.txt")},
       path("prompts.txt") + ": line 1: the prompt " + empty +
           " (--on_error skip leaves such prompts without a text and continues)");

  // Token files
  tokens();
  const auto vocabulary = nlohmann::json::parse(content(folder / "model/vocab.json"));
  const auto ids = std::to_string(vocabulary.size());
  succeed(training("pieces", "2", {"--vocab_size", "280"}, "bpe"));
  says(1, evaluation("tokens/valid.bin", "pieces"),
       path("tokens/valid.bin") + ": has tokens of a vocabulary of " + ids + " ids, but this one has 280");
  auto other = vocabulary;
  other["#"] = other.at("a");
  other.erase("a");
  fs::copy(folder / "model", folder / "others", fs::copy_options::recursive);
  write(folder / "others/vocab.json", other.dump());
  says(1, evaluation("tokens/valid.bin", "others"),
       path("tokens/valid.bin") + ": has tokens of another vocabulary of " + ids + " ids: tokenize the text again");
  const auto whole = content(folder / "tokens/valid.bin");
  auto beyond = whole;
  beyond.replace(64 + 2 * 5, 2, "\xFF\x7F");
  const auto damaged = [&](const std::string& bytes, const std::string& sentence) {
    write(folder / "some.bin", bytes);
    says(1, evaluation("some.bin"), path("some.bin") + ": " + sentence);
  };
  const auto last = std::to_string(vocabulary.size() - 1);
  damaged(beyond, "token 5 is 32767, but the vocabulary has the ids 0 to " + last);
  damaged("\xFF\x7F\xFF\x7F", "token 1 is 32767, but the vocabulary has the ids 0 to " + last);
  damaged(whole.substr(0, whole.size() - 2), "is truncated: it does not end as a token file does");
  damaged(whole.substr(0, 70), "is truncated: it ends in its header");
  damaged("odd", "is no token file: it has no header, and its 3 bytes are no whole number of 16-bit ids");

  // Directories
  const auto config = nlohmann::json::parse(content(folder / "model/config.json"));
  const auto with = [&](const char* key, const nlohmann::json& value, const std::string& sentence) {
    auto changed = config;
    changed[key] = value;
    write(folder / "model/config.json", changed.dump());
    for (const auto& command :
         {evaluation("data/valid.txt"), generation("a"),
          Arguments{"train", "--model", model, "--data", path("data"), "--output_dir", path("out")},
          Arguments{"quantize", "--model", model, "--output_dir", path("int8")}})
      says(1, command, path("model/config.json") + ": " + sentence);
  };
  with("model_type", "roberta", "describes a model of type \"roberta\", expected \"gpt2\"");
  with("add_cross_attention", true, "has \"add_cross_attention\": true; supported is false: a decoder alone");
  with("activation_function", "xxxxxxxxxxxx",
       "activation_function must be swish, relu, gelu, gelu_new or mish, not \"xxxxxxxxxxxx\"");
  with("n_head", 3, "a width of 16 cannot be split into 3 attention heads (n_head)");
}

BOOST_AUTO_TEST_SUITE_END()
