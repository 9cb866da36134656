// What every program promises of its command line: numbers in their ranges, flags that are given twice, misspelt or
// cannot go together.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE command_line
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "common/command_line.hpp"
#include "common/nearest_flag.hpp"
#include "common/ranges.hpp"
#include "examples/both_programs.hpp"
#include "examples/metrics.hpp"
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
                                                                 {"causal_lm", {"train"}},
                                                                 {"causal_lm", {"evaluate"}},
                                                                 {"causal_lm", {"generate"}},
                                                                 {"causal_lm", {"tokenize"}},
                                                                 {"demo", {}},
                                                                 {"custom_projector", {}}};

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
  const std::regex number("^  --([a-z_0-9]+) (INT|UINT|FLOAT)(?: INT)?(:?)");
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

// So does every flag that is true or false; one that shows no value may have it behind an equals sign.
BOOST_AUTO_TEST_CASE(of_every_switch_are_true_or_false) {
  const std::regex shown("^  --([a-z_0-9]+)(?: true\\|false)?(?: (?:Needs|Excludes):.*)?(?: {2}.*)?$");
  int switches = 0;
  for (const auto& [program, command] : commands) {
    const auto help = run(program, joined(command, {"--help"})).out;
    for (const auto& line : lines_of(help)) {
      std::smatch found;
      if (!std::regex_search(line, found, shown)) continue;
      ++switches;
      const auto flag = "--" + found[1].str();
      refuses(2, program, joined(command, {flag + "=maybe"}), {flag + ": must be true or false, not 'maybe'"});
    }
  }
  BOOST_TEST(switches >= 25);
  refuses(2, "causal_lm", {"train", "--bias", "--output_dir", "out"},
          {"--bias: must be true or false, not '--output_dir'"});
}

BOOST_AUTO_TEST_CASE(that_make_no_sense_are_refused_by_flag_and_range) {
  const auto refused = [&](const std::string& program, const std::string& command, const std::string& flag,
                           const std::string& value, const std::string& range) {
    refuses(2, program, {command, flag, value}, {flag + ": must be " + range + ", not '" + value + "'"});
  };
  for (const std::string program : {"translation", "masked_lm", "causal_lm"}) {
    for (const std::string value : {"-1", "inf", "fast"})
      refused(program, "train", "--learning_rate", value, "a number at least 0");
    refused(program, "train", "--max_steps", "-2", "an integer from -1 to 2147483647");
    refused(program, "train", "--max_steps", "1e3", "an integer from -1 to 2147483647");
    refused(program, "train", "--warmup_steps", "-1", "an integer from 0 to 2147483647");
    refused(program, "train", "--warmup_ratio", "1.5", "a number from 0 to 1");
    refused(program, "train", "--num_train_epochs", "-1", "a number from 0 to 1e+09");
    refused(program, "train", "--adam_beta2", "1", "a number at least 0 and below 1");
    refused(program, "train", "--adam_epsilon", "0", "a number at least 1e-37");
    refused(program, "train", "--dropout", "-1", "a number at least 0 and below 1");
    refused(program, "train", "--gradient_accumulation_steps", "0", "an integer from 1 to 2147483647");
    refused(program, "train", "--per_device_train_batch_size", "-8", "an integer from 1 to 2147483647");
    if (program != "causal_lm") refused(program, "train", "--mini_batch_words", "0", "an integer from 1 to 2147483647");
    refused(program, "train", "--vocab_size", "2147483647", "an integer from 1 to 10000000");
    refused(program, "train", "--seed", "-1", "an integer from 0 to 18446744073709551615");
    refused(program, "evaluate", "--threads", "1025", "an integer from 0 to 1024");
    refuses(2, program, {"train", "--output_dir", path("out"), "--learning_rate_for", "*=nan"},
            {"--learning_rate_for", "*=nan", "at least 0"});
    refuses(2, program, joined({"train", "--output_dir", path("out")}, {"--num_train_epochs", "0"}),
            {"--num_train_epochs 0"});
    const auto of_another_optimizer = [&](const Arguments& flags, const std::string& fault) {
      refuses(2, program, joined({"train", "--output_dir", path("out")}, flags), {fault});
    };
    of_another_optimizer({"--momentum", "0.5"}, "--momentum belongs to --optim sgd, not to --optim adamw");
    of_another_optimizer({"--optim", "adam", "--nesterov"}, "--nesterov belongs to --optim sgd, not to --optim adam");
    of_another_optimizer({"--optim", "lion", "--adam_beta1", "0.9"},
                         "--adam_beta1 belongs to --optim adamw or adam, not to --optim lion");
    of_another_optimizer({"--optim", "sgd", "--lion_beta2", "0.99"},
                         "--lion_beta2 belongs to --optim lion, not to --optim sgd");
  }
  refused("masked_lm", "train", "--mlm_probability", "0", "a number above 0 and at most 1");
  refused("masked_lm", "fill", "--top_k", "0", "an integer from 1 to 2147483647");
  refused("causal_lm", "evaluate", "--stride", "0", "an integer from 1 to 2147483647");
  refused("causal_lm", "generate", "--num_beams", "0", "an integer from 1 to 1000");
  refused("causal_lm", "train", "--n_layer", "0", "an integer from 1 to 4096");
  refused("translation", "translate", "--temperature", "0", "a number above 0");
  refused("translation", "translate", "--length_penalty", "nan", "a finite number");
  refused("translation", "translate", "--num_beams", "0", "an integer from 1 to 1000");
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
    const auto used = learning_rates(folder / output);
    BOOST_REQUIRE(used.size() == 5u);
    return used;
  };
  const auto two = rates("two", {"--warmup_steps", "2"});
  BOOST_TEST((rates("share", {"--warmup_ratio", "0.3"}) == two));  // 1.5 is rounded up
  BOOST_TEST((rates("both", {"--warmup_ratio", "0.9", "--warmup_steps", "2"}) == two));
  BOOST_TEST((rates("zero", {"--warmup_ratio", "0.3", "--warmup_steps", "0"}) == two));
}

BOOST_AUTO_TEST_CASE(of_rates_leave_what_is_frozen_as_it_is) {
  const auto bytes = [&](const std::string& output, const Arguments& rates) {
    const Arguments flags = {"--freeze", "*k_proj*", "--max_steps", "2", "--warmup_steps", "0"};
    const auto outcome = run("translation", training(output, joined(flags, rates)));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return content(folder / output / "model.safetensors");
  };
  const auto apart = bytes("apart", {"--learning_rate_for", "*q_proj*=0.5", "--learning_rate_for", "*v_proj*=0.5",
                                     "--learning_rate_for", "*out_proj*=0.5"});
  BOOST_REQUIRE(apart.size() > 1000);
  BOOST_TEST((bytes("overlapping", {"--learning_rate_for", "*_proj*=0.5"}) == apart));
}

BOOST_AUTO_TEST_CASE(of_the_loss_that_are_not_finite_end_a_run_by_name) {
  const auto outcome =
      run("translation", training("out", {"--learning_rate", "1e30", "--warmup_steps", "0", "--max_steps", "50"}));
  BOOST_TEST(outcome.code == 3);
  BOOST_TEST(std::regex_search(outcome.err, std::regex("translation: step [0-9]+: .*not finite")), outcome.err);
  BOOST_TEST(!fs::exists(folder / "out/model.safetensors"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(values)

BOOST_AUTO_TEST_CASE(that_look_like_flags_or_lists_are_as_they_were_given) {
  CLI::App app("app", "app");
  auto* const command = app.add_subcommand("generate", "");
  std::vector<std::string> texts, stops;
  bool sample = false;
  std::string model_dir;
  command->add_option("text", texts, "");
  command->add_option("--stop", stops, "")->allow_extra_args(false);
  command->add_option("--model_dir", model_dir, "");
  command->add_flag("--do_sample", sample, "");
  examples::set_common_rules(app);
  const auto parse = [&](std::vector<const char*> words) {
    texts.clear();
    stops.clear();
    words.insert(words.begin(), {"app", "generate"});
    auto arguments =
        examples::normalized_arguments(app, static_cast<int>(words.size()), const_cast<char**>(words.data()));
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
  };
  using Texts = std::vector<std::string>;
  parse({"--stop", "---", "--stop", "--end-of-turn", "--stop=[a-b, c]", "--stop", "[a]", "--do-sample",
         "-- a well-known man"});
  BOOST_TEST(stops == (Texts{"---", "--end-of-turn", "[a-b, c]", "[a]"}), boost::test_tools::per_element());
  BOOST_TEST(texts == (Texts{"-- a well-known man"}), boost::test_tools::per_element());
  BOOST_TEST(sample);
  parse({"[Enter Romeo, Juliet]", "[]", "--model-dir", "a-b"});
  BOOST_TEST(texts == (Texts{"[Enter Romeo, Juliet]", "[]"}), boost::test_tools::per_element());
  BOOST_TEST(model_dir == "a-b");
  parse({"--", "--stop-it", "[x]"});
  BOOST_TEST(texts == (Texts{"--stop-it", "[x]"}), boost::test_tools::per_element());
  parse({"--model-dir=--x-y"});
  BOOST_TEST(model_dir == "--x-y");
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
  const auto help = run("translation", {"train", "--help"}).out;  // shows the default as it can be given
  BOOST_TEST(contains(help, "--tsv_columns INT INT:(at least 1)=1 2"), help);
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
  for (const std::string program : {"translation", "masked_lm", "causal_lm"})
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
  for (const std::string program : {"translation", "masked_lm", "causal_lm"}) {
    const auto help = run(program, {"train", "--help"}).out;
    neural_attention::AnyProjector<neural_attention::Cpu<float>>::for_each_type([&]<class P>() {
      using Name = neural_attention::ProjectorName<P>;
      const auto line = std::string(Name::value) + ": " + std::string(Name::formula);
      BOOST_TEST((help.find(line) != std::string::npos), program << " --help lacks " << line);
    });
  }
}

BOOST_AUTO_TEST_CASE(of_attention_stand_in_the_config_of_each_program) {
  for (const std::string program : {"translation", "masked_lm", "causal_lm"}) {
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
