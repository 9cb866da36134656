// What every program promises of its command line and its streams: numbers in their ranges, flags that are given twice
// or misspelt, descriptors that are missing, full or do not wait, files that results go to, and signals.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE command_line
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "common/nearest_flag.hpp"
#include "common/ranges.hpp"
#include "examples/corpus_files.hpp"
#include "examples/programs.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace programs;

namespace {

/// Commands that have flags for numbers.
const std::vector<std::pair<std::string, Arguments>> commands = {{"translation", {"train"}},
                                                                 {"translation", {"evaluate"}},
                                                                 {"translation", {"translate"}},
                                                                 {"masked_lm", {"train"}},
                                                                 {"masked_lm", {"evaluate"}},
                                                                 {"masked_lm", {"fill"}},
                                                                 {"demo", {}},
                                                                 {"custom_projector", {}}};

Arguments joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// A folder with a small corpus for both programs and tiny configs.
struct Workplace : Folder {
  Workplace() {
    write_corpus(folder / "data", 200, 20);
    write(folder / "tiny.json", marian);
    write(folder / "tiny_roberta.json", roberta);
  }

  Arguments training(const std::string& output, const Arguments& more = {}) const {
    return joined({"train", "--data", path("data"), "--config", path("tiny.json"), "--vocab_size", "200",
                   "--mini_batch_words", "400", "--threads", "1", "--no_bleu", "--output_dir", path(output)},
                  more);
  }
  Arguments mlm_training(const std::string& output, const Arguments& more = {}) const {
    return joined({"train", "--data", path("data"), "--config", path("tiny_roberta.json"), "--vocab_size", "300",
                   "--threads", "1", "--output_dir", path(output)},
                  more);
  }
  std::string translator() const { return model("translation", training("translator", {"--max_steps", "2"})); }
  std::string masked_lm() const { return model("masked_lm", mlm_training("masked_lm", {"--max_steps", "2"})); }
  Arguments translating(const Arguments& more = {}) const {
    return joined({"translate", "--model", path("translator"), "--max_length", "8", "--threads", "1"}, more);
  }
  Arguments evaluating(const Arguments& more = {}) const {
    return joined({"evaluate", "--model", path("translator"), "--max_length", "8", "--threads", "1", "--source",
                   path("data/valid.de"), "--reference", path("data/valid.en")},
                  more);
  }

  static constexpr const char* marian =
      R"({"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
          "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
          "max_position_embeddings": 64})";
  static constexpr const char* roberta =
      R"({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
          "max_position_embeddings": 34})";

 private:
  std::string model(const std::string& program, const Arguments& arguments) const {
    const auto outcome = run(program, arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return arguments[std::find(arguments.begin(), arguments.end(), "--output_dir") - arguments.begin() + 1];
  }
};

void open_at(int descriptor, const char* path, int flags) {
  const int file = open(path, flags);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(125);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(numbers, Workplace)

BOOST_AUTO_TEST_CASE(are_decimal_and_whole) {
  using examples::number_in;
  BOOST_TEST(number_in<long>("12").value() == 12);
  BOOST_TEST(number_in<long>("+12").value() == 12);
  BOOST_TEST(number_in<long>("-1").value() == -1);
  BOOST_TEST(number_in<long>("010").value() == 10);
  BOOST_TEST(number_in<double>("1e-3").value() == 1e-3);
  BOOST_TEST(number_in<double>(".5").value() == 0.5);
  for (const char* text : {"", " 1", "1 ", "1x", "0x10", "1,5", "+-1", "--1", "9223372036854775808", "1.0"})
    BOOST_TEST(!number_in<long>(text), text);
  for (const char* text : {"", "1,5", "one", "1e999", "+-1"}) BOOST_TEST(!number_in<double>(text), text);
  BOOST_TEST(!number_in<std::uint64_t>("-1"));
}

BOOST_AUTO_TEST_CASE(lie_in_their_interval) {
  using namespace examples;
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const auto& interval : {Interval{}, at_least(0), above(0), from_to(0, 1), from_below(0, 1), above_up_to(0, 1)})
    for (const double value : {nan, infinity, -infinity}) BOOST_TEST(!interval.contains(value), interval.words());
  BOOST_TEST(at_least(0).contains(0));
  BOOST_TEST(!above(0).contains(0));
  BOOST_TEST(from_to(0, 1).contains(1));
  BOOST_TEST(!from_below(0, 1).contains(1));
  BOOST_TEST(!above_up_to(0, 1).contains(0));
  BOOST_TEST(Interval{}.words() == "finite");
  BOOST_TEST(at_least(0).words() == "at least 0");
  BOOST_TEST(above(0.5).words() == "above 0.5");
  BOOST_TEST(from_to(0, 1).words() == "from 0 to 1");
  BOOST_TEST(from_below(0, 1).words() == "at least 0 and below 1");
  BOOST_TEST(above_up_to(0, 1).words() == "above 0 and at most 1");
}

// Every flag that --help shows with a number has a range there, and says so when it is given nonsense.
BOOST_AUTO_TEST_CASE(of_every_flag_have_a_range_that_is_checked_first) {
  const std::regex number("^  --([a-z_0-9]+) \\[?(INT|UINT|FLOAT)(?:,[A-Z]+\\])?(:?)");
  for (const auto& [program, command] : commands) {
    const auto help = run(program, joined(command, {"--help"})).out;
    int flags = 0;
    for (const auto& line : lines_of(help)) {
      std::smatch found;
      if (!std::regex_search(line, found, number)) continue;
      ++flags;
      BOOST_TEST(found[3].length() == 1, program << ": no range in " << line);
      const auto flag = "--" + found[1].str();
      for (const std::string nonsense : {"nan", "-inf", "1x"}) {
        auto arguments = joined(command, {flag, nonsense});
        if (flag == "--tsv_columns") arguments.push_back("1");
        refuses(2, program, arguments, {flag + ": must be ", "'" + nonsense + "'"});
      }
    }
    BOOST_TEST(flags > 0, program);
  }
}

BOOST_AUTO_TEST_CASE(that_make_no_sense_are_refused_by_flag_and_range) {
  const auto refused = [&](const std::string& program, const std::string& command, const std::string& flag,
                           const std::string& value, const std::string& range) {
    refuses(2, program, {command, flag, value}, {flag + ": must be " + range + ", not '" + value + "'"});
  };
  for (const std::string program : {"translation", "masked_lm"}) {
    for (const std::string value : {"-1", "inf", "fast"})
      refused(program, "train", "--learning_rate", value, "a number at least 0");
    refused(program, "train", "--max_steps", "-2", "an integer from -1 to 2147483647");
    refused(program, "train", "--max_steps", "1e3", "an integer from -1 to 2147483647");
    refused(program, "train", "--warmup_steps", "-1", "an integer from 0 to 2147483647");
    refused(program, "train", "--warmup_ratio", "1.5", "a number from 0 to 1");
    refused(program, "train", "--num_train_epochs", "-1", "a number from 0 to 1e+09");
    refused(program, "train", "--adam_beta2", "1", "a number at least 0 and below 1");
    refused(program, "train", "--adam_epsilon", "0", "a number above 0");
    refused(program, "train", "--dropout", "-1", "a number at least 0 and below 1");
    refused(program, "train", "--gradient_accumulation_steps", "0", "an integer from 1 to 2147483647");
    refused(program, "train", "--per_device_train_batch_size", "-8", "an integer from 1 to 2147483647");
    refused(program, "train", "--vocab_size", "2147483647", "an integer from 1 to 10000000");
    refused(program, "train", "--seed", "-1", "an integer from 0 to 18446744073709551615");
    refused(program, "evaluate", "--threads", "1025", "an integer from 0 to 1024");
    refuses(2, program, {"train", "--output_dir", path("out"), "--learning_rate_for", "*=nan"},
            {"--learning_rate_for", "*=nan", "at least 0"});
    refuses(2, program, joined({"train", "--output_dir", path("out")}, {"--num_train_epochs", "0"}),
            {"--num_train_epochs 0"});
  }
  refused("masked_lm", "train", "--mlm_probability", "0", "a number above 0 and at most 1");
  refused("masked_lm", "fill", "--top_k", "0", "an integer from 1 to 2147483647");
  refused("translation", "translate", "--temperature", "0", "a number above 0");
  refused("translation", "translate", "--length_penalty", "nan", "a finite number");
  refused("translation", "translate", "--num_beams", "0", "an integer from 1 to 10000");
  refused("translation", "translate", "--attention_line", "0", "an integer from 1 to 2147483647");
  BOOST_TEST(!fs::exists(folder / "out"));
}

BOOST_AUTO_TEST_CASE(that_hugging_face_reads_as_not_set_are_not_set) {
  const Arguments epochs = {"--num_train_epochs", "2", "--warmup_steps", "1", "--logging_steps", "1"};
  const auto bytes = [&](const std::string& output, const Arguments& more) {
    const auto outcome = run("translation", training(output, joined(epochs, more)));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return content(folder / output / "model.safetensors");
  };
  const auto expected = bytes("epochs", {});
  BOOST_REQUIRE(expected.size() > 1000);
  BOOST_TEST((bytes("minus_one", {"--max_steps", "-1", "--save_total_limit", "-1"}) == expected));
  BOOST_TEST((bytes("zero", {"--max_steps", "0"}) == expected));
}

BOOST_AUTO_TEST_CASE(of_warm_up_may_be_a_share_of_the_steps) {
  const auto rates = [&](const std::string& output, const Arguments& more) {
    const auto outcome =
        run("translation", training(output, joined({"--max_steps", "5", "--logging_steps", "1"}, more)));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    std::vector<double> used;
    for (const auto& line : lines_of(content(folder / output / "metrics.jsonl")))
      if (const auto row = nlohmann::json::parse(line); row.contains("learning_rate"))
        used.push_back(row["learning_rate"].get<double>());
    BOOST_REQUIRE(used.size() == 5u);
    return used;
  };
  const auto two = rates("two", {"--warmup_steps", "2"});
  BOOST_TEST((rates("share", {"--warmup_ratio", "0.3"}) == two));  // 1.5 is rounded up
  BOOST_TEST((rates("both", {"--warmup_ratio", "0.9", "--warmup_steps", "2"}) == two));
  BOOST_TEST((rates("zero", {"--warmup_ratio", "0.3", "--warmup_steps", "0"}) == two));
}

BOOST_AUTO_TEST_CASE(of_the_loss_that_are_not_finite_end_a_run_by_name) {
  const auto outcome =
      run("translation", training("out", {"--learning_rate", "1e30", "--warmup_steps", "0", "--max_steps", "50"}));
  BOOST_TEST(outcome.code == 1);
  BOOST_TEST(std::regex_search(outcome.err, std::regex("translation: step [0-9]+: .*not finite")), outcome.err);
  BOOST_TEST(!fs::exists(folder / "out/model.safetensors"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(flags, Workplace)

BOOST_AUTO_TEST_CASE(that_are_given_twice_count_as_the_last_says) {
  const auto config = [&](const Arguments& more) {
    const auto outcome = run("translation", joined({"train", "--dump_config"}, more));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return nlohmann::json::parse(outcome.out);
  };
  BOOST_TEST(config({"--dropout", "0.3", "--dropout", "0.2"}).at("dropout").get<double>() == 0.2);
  BOOST_TEST(config({"--config", "base", "--config=small"}).at("d_model").get<int>() == 256);
  BOOST_TEST(config({"--tsv_columns", "2", "1", "--tsv_columns", "1", "2", "--dump_config"}).contains("d_model"));
  // Lists collect: both patterns are looked for.
  const auto model = translator();
  for (const std::string flag : {"--freeze", "--reinitialise"})
    for (const Arguments& order : {Arguments{"no.such.one", "*"}, Arguments{"*", "no.such.one"}})
      refuses(2, "translation",
              {"train", "--data", path("data"), "--model", model, "--max_steps", "1", "--output_dir", path("out"), flag,
               order[0], flag, order[1]},
              {"no.such.one"});
}

BOOST_AUTO_TEST_CASE(that_say_hidden_widths_or_leave_them_to_the_projector) {
  const auto key = [&](const Arguments& more) {
    const auto outcome = run("translation", joined({"train", "--dump_config"}, more));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return nlohmann::json::parse(outcome.out).at("neural_attention").at("projectors").at("key").dump();
  };
  const std::string neural = R"(,"type":"neural"})", gated = R"(,"type":"gated_silu"})";
  BOOST_TEST(key({"--projector", "neural"}) == R"({"expansion":2)" + neural);
  BOOST_TEST(key({"--projector", "neural", "--projector_expansion", "0.5"}) == R"({"expansion":0.5)" + neural);
  BOOST_TEST(key({"--projector", "neural", "--projector_width", "96"}) == R"({"hidden_width":96)" + neural);
  BOOST_TEST(key({"--projector", "neural", "--projector_width", "match"}) == R"({"hidden_width":"match")" + neural);
  BOOST_TEST(key({"--projector", "gated_silu"}) == R"({"hidden_width":"match")" + gated);
  BOOST_TEST(key({"--projector_k", "gated_silu", "--projector_expansion", "1"}) == R"({"expansion":1)" + gated);
  for (const std::string width : {"many", "0", "-3", "1.5", "99999999999", "96 "})
    refuses(2, "translation", {"train", "--dump_config", "--projector_width", width},
            {"--projector_width must be a number of columns or match", width});
  refuses(2, "translation", {"train", "--dump_config", "--projector_width", "96", "--projector_expansion", "2"},
          {"--projector_width", "--projector_expansion"});
  refuses(2, "translation", {"train", "--dump_config", "--projector_expansion", "0"}, {"--projector_expansion"});
}

BOOST_AUTO_TEST_CASE(that_ask_for_a_projector_where_it_cannot_be_are_named_with_layer_and_role) {
  const auto faulty = [&](const std::string& program, const Arguments& more, const std::string& message) {
    refuses(2, program, joined({"train", "--dump_config"}, more), {program + ": " + message});
  };
  const std::string key = "decoder layer 0: the key of causal self-attention: a convolution that sees both sides";
  faulty("translation", {"--projector_k", "centred_conv_linear"}, "--projector_k: " + key);
  faulty("translation", {"--projector_k", "centred_conv_linear", "--projector_q", "neural", "--projector", "linear"},
         "--projector_k: " + key);
  faulty("translation", {"--projector", "centred_conv_linear", "--projector_q", "linear"},
         "--projector: decoder layer 0: the ");
  faulty("translation", {"--projector_q", "encoder=linear,decoder=linear,cross=centred_conv_linear"},
         "--projector_q: decoder layer 0: the query of cross-attention: a convolution");
  faulty("translation", {"--projector_q", "encoder:0-1=linear,encoder:2=joint_qkv,decoder=linear,cross=linear"},
         "--projector_q: encoder layer 2: joint_qkv makes query, key and value by one map, but is the projector of the "
         "query alone");
  faulty("translation", {"--projector_q", "joint_qkv", "--projector_k", "joint_qkv", "--projector_v", "joint_qkv"},
         "--projector_q: decoder layer 0: the ");
  faulty("masked_lm", {"--projector_out", "joint_qkv"},
         "--projector_out: encoder layer 0: the output of self-attention: joint_qkv is a projector of query");
  faulty("masked_lm", {"--projector_v", "joint_qkv"}, "--projector_v: encoder layer 0: joint_qkv makes query");
  faulty("masked_lm", {"--projector", "neural", "--projector_expansion", "8388608"}, "--projector_expansion: ");
  faulty("masked_lm", {"--vocab_size", "10000000"}, "--vocab_size: a model whose largest parameter");
  for (const std::string program : {"translation", "masked_lm"})
    for (const std::string flag : {"--projector", "--projector_q", "--projector_k", "--projector_v", "--projector_out"})
      faulty(program, {flag, "nerual"}, flag + ": there is no projector \"nerual\" (did you mean \"neural\"?)");

  // The file of the config is named if its own projectors cannot be, and no flag mends them.
  const auto config = [&](const char* role, const char* type) {
    const nlohmann::json own = {{"projectors", {{role, {{"type", type}, {"expansion", 2}}}}}};
    auto json = nlohmann::json::parse(marian);
    json["neural_attention"] = own;
    write(folder / "own.json", json.dump());
  };
  const auto with_file = [&](const Arguments& more) {
    return joined({"train", "--dump_config", "--config", path("own.json")}, more);
  };
  config("key", "centred_conv_linear");
  refuses(1, "translation", with_file({}), {"translation: " + path("own.json") + ": " + key});
  refuses(1, "translation", with_file({"--projector_q", "neural"}), {"translation: " + path("own.json") + ": " + key});
  BOOST_TEST(run("translation", with_file({"--projector_k", "neural"})).code == 0);
  config("key", "neural");
  refuses(2, "translation", with_file({"--projector_k", "centred_conv_linear"}),
          {"translation: --projector_k: " + key});
  refuses(2, "translation",
          {"train", "--data", path("data"), "--model", translator(), "--init_projections", "fresh", "--projector_v",
           "joint_qkv", "--output_dir", path("out")},
          {"translation: --projector_v: encoder layer 0: joint_qkv makes"});
}

BOOST_AUTO_TEST_CASE(of_projectors_have_every_name_of_the_library_in_their_help) {
  for (const std::string program : {"translation", "masked_lm"}) {
    const auto help = run(program, {"train", "--help"}).out;
    neural_attention::AnyProjector<neural_attention::Cpu<float>>::for_each_type([&]<class P>() {
      using Name = neural_attention::ProjectorName<P>;
      const auto line = std::string(Name::value) + ": " + std::string(Name::formula);
      BOOST_TEST((help.find(line) != std::string::npos), program << " --help lacks " << line);
    });
  }
}

BOOST_AUTO_TEST_CASE(of_attention_stand_in_the_config_of_either_program) {
  for (const std::string program : {"translation", "masked_lm"}) {
    const Arguments of_scores = {"train",
                                 "--dump_config",
                                 "--attention_scale",
                                 "0.25",
                                 "--qk_norm",
                                 "rms",
                                 "--attention_learned_scale",
                                 "per_head",
                                 "--attention_soft_cap",
                                 "30"};
    const auto outcome = run(program, joined(of_scores, {"--attention_gate", "per_element", "--value_residual", "fixed",
                                                         "--value_residual_own", "1", "--value_residual_first", "2",
                                                         "--attention_value_width", "48"}));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    const auto own = nlohmann::json::parse(outcome.out).at("neural_attention");
    BOOST_TEST(own.at("attention_scale") == 0.25);
    BOOST_TEST(own.at("attention_learned_scale") == "per_head");
    BOOST_TEST(own.at("attention_soft_cap") == 30.0);
    BOOST_TEST(own.at("qk_norm") == "rms");
    BOOST_TEST(own.at("attention_gate") == "per_element");
    BOOST_TEST(own.at("value_residual") == "fixed");
    BOOST_TEST(own.at("value_residual_own") == 1.0);
    BOOST_TEST(own.at("value_residual_first") == 2.0);
    BOOST_TEST(own.at("attention_value_width") == 48);
    refuses(2, program, {"train", "--dump_config", "--qk_norm", "layer"},
            {"--qk_norm must be none, l2 or rms, not \"layer\""});
    refuses(2, program, {"train", "--dump_config", "--attention_soft_cap", "-1"}, {"--attention_soft_cap"});
    refuses(2, program, {"train", "--dump_config", "--value_residual_own", "1"},
            {"value_residual_own is 1, but value_residual is none, so nothing is multiplied by it"});
    refuses(2, program, {"train", "--dump_config", "--attention_value_width", "50"},
            {"an attention_value_width of 50 cannot be split into 4 attention heads ("});
    refuses(2, program, {"train", "--dump_config", "--attention_value_width", "-1"}, {"--attention_value_width"});
  }
}

BOOST_AUTO_TEST_CASE(that_are_empty_are_not_as_if_they_were_not_given) {
  for (const std::string flag : {"--model", "--data", "--output_dir", "--projector", "--config", "--freeze", "--seed"})
    for (const Arguments& empty : {Arguments{flag, ""}, Arguments{flag + "="}})
      refuses(2, "translation", joined(training("out"), empty), {flag + ": must "});
  refuses(2, "translation", {"translate", "--model", path("none"), "--output="}, {"--output: must not be empty"});
  refuses(2, "masked_lm", {"evaluate", "--model", "", "--text", path("data/valid.txt")},
          {"--model: must not be empty"});
  BOOST_TEST(!fs::exists(folder / "out"));
}

BOOST_AUTO_TEST_CASE(that_do_not_exist_are_answered_with_what_is_near) {
  const auto answer = [&](const std::string& program, const Arguments& arguments) {
    const auto outcome = run(program, arguments);
    BOOST_TEST(outcome.code == 2);
    std::smatch found;
    const bool suggests = std::regex_search(outcome.err, found, std::regex("did you mean (--[a-z_]+)\\?"));
    return suggests ? found[1].str() : std::string();
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--learning_rat", "--learning_rate"},
      {"--leraning_rate", "--learning_rate"},
      {"--max-step", "--max_steps"},
      {"--lr", "--learning_rate"},
      {"--epochs", "--num_train_epochs"},
      {"--num_epochs", "--num_train_epochs"},
      {"--train_batch_size", "--per_device_train_batch_size"},
      {"--model_name_or_path", "--model"},
      {"--label_smoothing", "--label_smoothing_factor"},
      {"--projector_queries", "--projector"},
      {"--dat", "--data"},
      {"--do_train", ""},
      {"--do_eval", ""},
      {"--fp16", ""},
      {"--evaluation_strategy", "--eval_strategy"},
      {"--x", ""}};
  for (const auto& [typed, meant] : cases) {
    const auto given = answer("translation", {"train", typed, "1"});
    BOOST_TEST(given == meant, typed << ": " << given);
  }
  BOOST_TEST(answer("translation", {"translate", "--beams", "4"}) == "--num_beams");
  BOOST_TEST(answer("demo", {"--max_step", "1"}) == "--max_steps");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(streams, Workplace)

BOOST_AUTO_TEST_CASE(that_are_missing_do_not_become_files) {
  translator();
  const std::string input = "Der Hund schläft.\nEin \xFF Hund.\nEine Katze.\n";
  const auto arguments = translating({"--on_error", "skip", "--output", path("translated")});
  const auto whole = run("translation", arguments, input);
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
  const auto expected = content(folder / "translated");
  for (const auto& missing : std::vector<std::vector<int>>{{2}, {1, 2}}) {
    write(folder / "translated", "old\n");
    const auto outcome = run("translation", arguments, input, [&] {
      for (const int descriptor : missing) close(descriptor);
    });
    BOOST_TEST(outcome.code == 0);
    BOOST_TEST(content(folder / "translated") == expected);
  }
  const auto nothing = run("translation", arguments, input, [] { close(0); });
  BOOST_TEST(nothing.code == 1);
  BOOST_TEST(contains(nothing.err, "standard input"), nothing.err);
}

BOOST_AUTO_TEST_CASE(that_take_no_more_are_an_error) {
  translator();
  const auto masked_directory = masked_lm();
  const std::vector<std::pair<std::string, Arguments>> writing = {
      {"translation", {"--help"}},
      {"translation", {"train", "--help"}},
      {"translation", {"train", "--dump_config"}},
      {"masked_lm", {"train", "--dump_config"}},
      {"translation", training("out", {"--max_steps", "1", "--overwrite_output_dir"})},
      {"translation", evaluating()},
      {"translation", translating()},
      {"masked_lm", {"evaluate", "--model", masked_directory, "--text", path("data/valid.txt")}},
      {"masked_lm", {"fill", "--model", masked_directory, "A <mask>."}},
      {"demo", {"--data", path("data"), "--output_dir", path("demo"), "--max_steps", "1"}},
      {"demo", {"--help"}},
      {"results_report", {"--help"}},
      {"custom_projector", {"--help"}}};
  for (const auto& [program, arguments] : writing)
    for (const bool missing : {false, true}) {
      const auto outcome = run(program, arguments, "Der Hund.\n",
                               [&] { missing ? static_cast<void>(close(1)) : open_at(1, "/dev/full", O_WRONLY); });
      const auto& last = arguments.back();
      BOOST_TEST(outcome.code == 1, program << " " << arguments[0] << " … " << last << " ended with " << outcome.code);
      BOOST_TEST(contains(outcome.err, program + ": standard output: cannot write: "), outcome.err);
    }
}

BOOST_AUTO_TEST_CASE(that_do_not_wait_are_waited_for) {
  translator();
  const auto expected = run("translation", {"train", "--help"}).out;
  BOOST_REQUIRE(expected.size() > 5000u);
  int pipe_ends[2];
  BOOST_REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  fcntl(pipe_ends[1], F_SETPIPE_SZ, 4096);
  std::string got;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    char buffer[1024];
    for (ssize_t count; (count = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      got.append(buffer, static_cast<std::size_t>(count));
  });
  Child writer(folder, "translation", {"train", "--help"}, {}, [&] {
    dup2(pipe_ends[1], 1);
    fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  });
  close(pipe_ends[1]);
  const auto written = writer.wait();
  reader.join();
  close(pipe_ends[0]);
  BOOST_TEST(written.code == 0, written.err);
  BOOST_TEST((got == expected));

  BOOST_REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  Child listener(folder, "translation", translating(), {}, [&] {
    dup2(pipe_ends[0], 0);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  });
  for (const std::string line : {"Der Hund.\n", "Eine ", "Katze.\n"}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    BOOST_TEST(::write(pipe_ends[1], line.data(), line.size()) == std::ssize(line));
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  const auto heard = listener.wait();
  BOOST_TEST(heard.code == 0, heard.err);
  BOOST_TEST(lines_of(heard.out).size() == 2u);
}

BOOST_AUTO_TEST_CASE(that_reach_a_limit_are_like_a_full_disk) {
  translator();
  const auto limited = [](rlim_t bytes) {
    return [bytes] {
      const rlimit limit{bytes, bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    };
  };
  std::string input;
  for (int i = 0; i < 50; ++i) input += "Der Hund schläft.\n";
  const auto translated = run(
      "translation", translating({"--num_beams", "2", "--num_return_sequences", "2", "--output", path("translated")}),
      input, limited(600));
  BOOST_TEST(translated.code == 1);
  BOOST_TEST(contains(translated.err, "translated: cannot write: File too large"), translated.err);
  const auto trained = run("translation", training("out", {"--max_steps", "1"}), {}, limited(5000));
  BOOST_TEST(trained.code == 1);
  BOOST_TEST(trained.signal == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(outputs, Workplace)

BOOST_AUTO_TEST_CASE(are_looked_at_before_the_work_begins) {
  translator();
  fs::create_directory(folder / "folder");
  for (const std::string bad : {"no_such_folder/x", "folder", "tiny.json/x"}) {
    refuses(1, "translation", evaluating({"--hypotheses", path(bad)}), {path(bad)});
    refuses(1, "translation", translating({"--output", path(bad)}), {path(bad)}, "Der Hund.\n");
    refuses(1, "translation", translating({"--attention", path(bad)}), {path(bad)}, "Der Hund.\n");
    BOOST_TEST(!contains(run("translation", evaluating({"--hypotheses", path(bad)})).err, "translating"));
  }
  BOOST_TEST(content(folder / "tiny.json") == marian);
}

BOOST_AUTO_TEST_CASE(are_no_inputs) {
  translator();
  const auto source = content(folder / "data/valid.de"), reference = content(folder / "data/valid.en");
  fs::create_symlink(folder / "data/valid.en", folder / "link");
  refuses(2, "translation", evaluating({"--hypotheses", path("data/valid.de")}), {"--hypotheses", "--source"});
  refuses(2, "translation", evaluating({"--hypotheses", path("link")}), {"--hypotheses", "--reference"});
  const Arguments input = {"--input", path("data/valid.de")};
  refuses(2, "translation", translating(joined(input, {"--output", path("data/valid.de")})), {"--output", "--input"});
  refuses(2, "translation", translating(joined(input, {"--attention", path("data/valid.de")})),
          {"--attention", "--input"});
  refuses(2, "translation", translating({"--output", path("new"), "--attention", path("data/../new")}),
          {"--attention", "--output"});
  BOOST_TEST(content(folder / "data/valid.de") == source);
  BOOST_TEST(content(folder / "data/valid.en") == reference);
}

BOOST_AUTO_TEST_CASE(go_where_links_lead_and_through_what_is_no_file) {
  translator();
  const auto plain = run("translation", evaluating({"--hypotheses", path("plain")}));
  BOOST_REQUIRE_MESSAGE(plain.code == 0, plain.err);
  const auto expected = content(folder / "plain");
  BOOST_TEST(lines_of(expected).size() == 20u);

  fs::create_directory(folder / "elsewhere");
  write(folder / "elsewhere/old", "old\n");
  fs::create_symlink("elsewhere/old", folder / "to_old");
  fs::create_symlink("elsewhere/new", folder / "to_new");
  fs::create_symlink("to_new", folder / "to_link");
  for (const auto& [link, target] : {std::pair{"to_old", "elsewhere/old"}, std::pair{"to_link", "elsewhere/new"}}) {
    const auto outcome = run("translation", evaluating({"--hypotheses", path(link)}));
    BOOST_TEST(outcome.code == 0, outcome.err);
    BOOST_TEST(fs::is_symlink(folder / link));
    BOOST_TEST(content(folder / target) == expected);
  }
  // Some machines have no link there.
  const std::string standard_output = fs::is_symlink("/dev/stdout") ? "/dev/stdout" : "/proc/self/fd/1";
  const auto streamed = run("translation", evaluating({"--hypotheses", standard_output}));
  BOOST_TEST(streamed.code == 0, streamed.err);
  BOOST_TEST(streamed.out == expected + plain.out);
  const auto lines = run("translation", translating({"--output", standard_output}), content(folder / "data/valid.de"));
  BOOST_TEST(lines.out == expected, lines.err);
  fs::create_symlink("circle", folder / "circle");
  refuses(1, "translation", evaluating({"--hypotheses", path("circle")}), {path("circle")});

  for (const auto& [command, flag] : {std::pair{evaluating(), "--hypotheses"}, std::pair{translating(), "--output"}}) {
    BOOST_REQUIRE(mkfifo(path("pipe").c_str(), 0600) == 0);
    std::string got;
    std::thread reader([&] { got = content(folder / "pipe"); });
    const auto outcome = run("translation", joined(command, {flag, path("pipe")}), content(folder / "data/valid.de"));
    BOOST_TEST(outcome.code == 0, outcome.err);
    const bool still = fs::is_fifo(folder / "pipe");
    BOOST_TEST(still);
    if (!still) std::thread([&] { write(folder / "pipe", ""); }).detach();
    reader.join();
    BOOST_TEST((got == expected));
    fs::remove(folder / "pipe");
  }
}

BOOST_AUTO_TEST_CASE(that_fail_late_do_not_take_the_results_along) {
  translator();
  fs::create_symlink("/dev/full", folder / "full");
  const auto outcome = run("translation", evaluating({"--hypotheses", path("full")}));
  BOOST_TEST(outcome.code == 1);
  BOOST_TEST(contains(outcome.out, "BLEU = "));
  const auto other = run("translation", evaluating({"--hypotheses", path("hypotheses")}), {},
                         [] { open_at(1, "/dev/full", O_WRONLY); });
  BOOST_TEST(other.code == 1);
  BOOST_TEST(lines_of(content(folder / "hypotheses")).size() == 20u);
  BOOST_TEST(contains(outcome.err, "full: cannot write: No space left on device"), outcome.err);
  BOOST_TEST(fs::is_character_file("/dev/full"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(signals, Workplace)

namespace {

/// Waits until the run has logged a step.
void wait_for_steps(const fs::path& output) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!contains(content(output / "metrics.jsonl"), "learning_rate") && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace

BOOST_AUTO_TEST_CASE(save_and_stop) {
  const Arguments endless = {"--max_steps", "1000000", "--eval_steps", "1000000", "--logging_steps", "1"};
  for (const auto& [program, arguments] :
       {std::pair{"translation", training("out", endless)}, std::pair{"masked_lm", mlm_training("out", endless)}})
    for (const int number : {SIGHUP, SIGUSR1, SIGTERM, SIGINT}) {
      fs::remove_all(folder / "out");
      Child child(folder, program, arguments);
      wait_for_steps(folder / "out");
      child.signal(number);
      const auto outcome = child.wait();
      BOOST_TEST(outcome.code == 128 + number, program << " " << number << ": " << outcome.err);
      BOOST_TEST(contains(outcome.err, "continue with --resume_from_checkpoint " + path("out/checkpoint-")));
      const bool saved = std::any_of(fs::directory_iterator(folder / "out"), fs::directory_iterator(), [](auto& item) {
        return item.path().filename().string().starts_with("checkpoint-") &&
               fs::exists(item.path() / "model.safetensors");
      });
      BOOST_TEST(saved);
    }
}

BOOST_AUTO_TEST_CASE(end_the_program_at_once_when_a_second_one_comes) {
  const auto arguments = training("out", {"--max_steps", "1000000", "--eval_steps", "1", "--logging_steps", "1"});
  for (const auto& [first, second] :
       {std::pair{SIGINT, SIGINT}, std::pair{SIGUSR1, SIGTERM}, std::pair{SIGTERM, SIGHUP}}) {
    fs::remove_all(folder / "out");
    Child child(folder, "translation", arguments);
    wait_for_steps(folder / "out");
    child.signal(first);
    child.signal(second);
    const auto outcome = child.wait();
    // Two equal ones that come together are one to the system.
    if (first != second || outcome.signal != 0) BOOST_TEST((outcome.signal == first || outcome.signal == second));
  }
}

BOOST_AUTO_TEST_CASE(that_were_ignored_stay_ignored) {
  Child child(folder, "translation", training("out", {"--max_steps", "300", "--logging_steps", "1"}), {},
              [] { std::signal(SIGHUP, SIG_IGN); });
  wait_for_steps(folder / "out");
  child.signal(SIGHUP);
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code == 0, outcome.err);
}

BOOST_AUTO_TEST_CASE(of_a_reader_who_has_gone_do_not_end_a_run) {
  int ends[2];
  BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Child child(folder, "translation",
              training("out", {"--max_steps", "40", "--logging_steps", "1", "--eval_steps", "1"}), {},
              [&] { dup2(ends[1], 2); });
  close(ends[1]);
  wait_for_steps(folder / "out");
  close(ends[0]);
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code == 0);
  BOOST_TEST(contains(outcome.out, "final valid_loss="));
  BOOST_TEST(fs::exists(folder / "out/model.safetensors"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(configs, Workplace)

BOOST_AUTO_TEST_CASE(say_how_many_pieces_a_vocabulary_has) {
  for (const auto& [program, text] : {std::pair{"translation", marian}, std::pair{"masked_lm", roberta}}) {
    auto config = nlohmann::json::parse(text);
    config["vocab_size"] = 280;
    config["pad_token_id"] = 1;
    config["eos_token_id"] = 2;
    write(folder / "sized.json", config.dump());
    const Arguments dump = {"train", "--dump_config", "--config", path("sized.json")};
    const auto pieces = [&](const Arguments& more) {
      const auto outcome = run(program, joined(dump, more));
      BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
      return nlohmann::json::parse(outcome.out).at("vocab_size").get<int>();
    };
    BOOST_TEST(pieces({}) == 280);
    BOOST_TEST(pieces({"--vocab_size", "270"}) == 270);
    const auto trained = run(program, {"train", "--data", path("data"), "--config", path("sized.json"), "--max_steps",
                                       "1", "--output_dir", path(program)});
    BOOST_REQUIRE_MESSAGE(trained.code == 0, trained.err);
    BOOST_TEST(nlohmann::json::parse(content(folder / program / "config.json")).at("vocab_size").get<int>() == 280);
    for (const int wrong : {0, -4, 2147483647}) {
      config["vocab_size"] = wrong;
      write(folder / "sized.json", config.dump());
      refuses(1, program, dump, {path("sized.json"), std::to_string(wrong)});
    }
  }
}

BOOST_AUTO_TEST_CASE(give_way_to_flags) {
  for (const auto& [program, text, kind] :
       {std::tuple{"translation", marian, "pegasus"}, std::tuple{"masked_lm", roberta, "roberta-prelayernorm"}}) {
    auto config = nlohmann::json::parse(text);
    config["normalize_before"] = config["add_final_layer_norm"] = false;
    write(folder / "post_norm.json", config.dump());
    const Arguments arguments = {"train", "--config", path("post_norm.json"), "--normalize_before"};
    const auto dumped = run(program, joined(arguments, {"--dump_config"}));
    BOOST_REQUIRE_MESSAGE(dumped.code == 0, dumped.err);
    const auto json = nlohmann::json::parse(dumped.out);
    BOOST_TEST(json.at("normalize_before") == true);
    BOOST_TEST(json.at("model_type") == kind);

    const auto trained = run(program, joined(arguments, {"--data", path("data"), "--vocab_size", "280", "--max_steps",
                                                         "1", "--output_dir", path(program)}));
    BOOST_REQUIRE_MESSAGE(trained.code == 0, trained.err);
    const auto again = run(program, {"train", "--dump_config", "--model", path(program)});
    BOOST_REQUIRE_MESSAGE(again.code == 0, again.err);
    BOOST_TEST(nlohmann::json::parse(again.out).at("model_type") == kind);
  }
}

BOOST_AUTO_TEST_CASE(with_faults_are_named) {
  translator();
  const auto masked_directory = masked_lm();
  struct Fault {
    std::string key;
    nlohmann::json value;
    Arguments parts;
  };
  const auto damaged = [&](const std::string& program, const fs::path& directory, const std::string& base,
                           const Arguments& use, const std::vector<Fault>& faults) {
    const auto whole = content(directory / "config.json");
    for (const auto& fault : faults) {
      auto config = nlohmann::json::parse(whole);
      config[nlohmann::json::json_pointer(fault.key)] = fault.value;
      write(directory / "config.json", config.dump());
      refuses(1, program, use, joined(fault.parts, {(directory / "config.json").string()}));
      refuses(1, program, {"train", "--data", path("data"), "--model", directory.string(), "--output_dir", path("out")},
              joined(fault.parts, {(directory / "config.json").string()}));
      auto own = nlohmann::json::parse(base);
      own[nlohmann::json::json_pointer(fault.key)] = fault.value;
      write(folder / "faulty.json", own.dump());
      refuses(1, program,
              {"train", "--data", path("data"), "--config", path("faulty.json"), "--vocab_size", "300", "--output_dir",
               path("out")},
              joined(fault.parts, {path("faulty.json")}));
      BOOST_TEST(!fs::exists(folder / "out"));
    }
    write(directory / "config.json", whole);
  };
  damaged("translation", folder / "translator", marian, translating(),
          {{"/d_model", 0, {"d_model"}},
           {"/dropout", 1.5, {"dropout", "1.5"}},
           {"/attention_dropout", -0.5, {"attention_dropout", "-0.5"}},
           {"/init_std", -1.0, {"init_std"}},
           {"/neural_attention/projectors/key", {{"type", "quadratic"}, {"expansion", 2}}, {"quadratic"}},
           {"/neural_attention/projectors/key", {{"type", "lineal"}}, {"did you mean \"linear\"?"}},
           {"/neural_attention/projectors/key",
            {{"type", "centred_conv_linear"}},
            {".json: decoder layer 0: the key of causal self-attention: a convolution"}},
           {"/activation_function", "swisch", {"did you mean \"swish\"?"}}});
  damaged("masked_lm", masked_directory, roberta, {"fill", "--model", masked_directory, "A <mask>."},
          {{"/hidden_dropout_prob", 1.0, {"hidden_dropout_prob", "1"}},
           {"/layer_norm_eps", -1e-5, {"layer_norm_eps"}},
           {"/neural_attention/projectors/output",
            {{"type", "joint_qkv"}},
            {"encoder layer 0: the output of self-attention: joint_qkv is a projector of query"}},
           {"/neural_attention/projectors/key", {{"type", "quadratic"}, {"expansion", 2}}, {"quadratic"}}});
}

BOOST_AUTO_TEST_CASE(of_other_things_than_text_are_told_from_none) {
  const auto directory = masked_lm();
  refuses(2, "masked_lm", {"fill", "--model", directory, ""}, {"no <mask>"}, "A <mask>.\n");
}

BOOST_AUTO_TEST_SUITE_END()
