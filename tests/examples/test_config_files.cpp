// What every program promises of config.json, whether it is of a model directory or given with --config.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE config_files
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "examples/both_programs.hpp"

using namespace programs;

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
