// --dump_size of the training programs: how large a model is that has not been made.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE dump_size
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "examples/programs.hpp"

using namespace programs;

namespace {

struct Sizes : Folder {
  nlohmann::json size(const std::string& program, const Arguments& more) const {
    Arguments arguments = {"train", "--dump_size"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run(program, arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return nlohmann::json::parse(outcome.out);
  }
};

constexpr const char* programs_that_train[] = {"translation", "masked_lm", "causal_lm"};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(dump_size, Sizes)

// 2 layers of width 32 without biases: a table of 50 words and one of 16 places, in each layer the four projections,
// the two matrices of a feed-forward network of width 48, and two norms; the last norm.
BOOST_AUTO_TEST_CASE(counts_parameters_and_flops) {
  const auto found = size("causal_lm", {"--vocab_size", "50", "--n_embd", "32", "--n_layer", "2", "--n_head", "2",
                                        "--bias", "false", "--block_size", "16", "--feed_forward_width", "48"});
  constexpr std::int64_t matrices = 2 * (4 * 32 * 32 + 2 * 32 * 48);
  BOOST_TEST(found["parameters"].get<std::int64_t>() == (50 + 16) * 32 + matrices + 5 * 32);
  BOOST_TEST(found["tokens"].get<int>() == 16);
  // Each token meets every matrix and, on average, 8.5 keys and values of 32 columns in each layer.
  BOOST_TEST(found["forward_flops_per_token"].get<std::int64_t>() == 2 * (matrices + 50 * 32) + 2 * 2 * 17 * 32);
}

BOOST_AUTO_TEST_CASE(has_the_vocabulary_of_the_tokenizer) {
  write(folder / "train.txt", "abcab\n");
  write(folder / "valid.txt", "abd\n");
  const auto of = [&](const Arguments& more) {
    Arguments all = {"--n_embd", "32", "--n_head", "2", "--block_size", "16"};
    all.insert(all.end(), more.begin(), more.end());
    return size("causal_lm", all)["parameters"].get<std::int64_t>();
  };
  const auto characters = of({"--tokenizer", "characters", "--data", folder.string()});
  const auto fifty = of({"--vocab_size", "50"});
  BOOST_TEST(fifty - characters == (50 - 5) * 32);  // a, b, c, d and the end of a line
  BOOST_TEST(of({"--tokenizer", "characters"}) == of({}));
}

BOOST_AUTO_TEST_CASE(and_the_dumped_config_has_it_too) {
  write(folder / "train.txt", "abcab\n");
  write(folder / "valid.txt", "abd\n");
  const auto tokens = path("tokens");
  const auto made =
      run("causal_lm", {"tokenize", "--data", folder.string(), "--tokenizer", "characters", "--output_dir", tokens});
  BOOST_REQUIRE_MESSAGE(made.code == 0, made.err);
  const auto vocabulary = [&](const Arguments& more) {
    Arguments all = {"train", "--dump_config"};
    all.insert(all.end(), more.begin(), more.end());
    const auto outcome = run("causal_lm", all);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return nlohmann::json::parse(outcome.out).at("vocab_size").get<int>();
  };
  BOOST_TEST(vocabulary({"--tokenizer", "characters", "--data", folder.string()}) == 5);
  BOOST_TEST(vocabulary({"--tokenizer", tokens}) == 5);
  BOOST_TEST(vocabulary({"--data", tokens}) == 5);
  BOOST_TEST(vocabulary({"--data", folder.string(), "--vocab_size", "300"}) == 300);
  BOOST_TEST(vocabulary({}) == 16000);
  const Arguments sizes = {"--n_embd", "32", "--n_head", "2", "--block_size", "16", "--data"};
  const auto parameters = [&](const std::string& data, const Arguments& more) {
    auto all = sizes;
    all.push_back(data);
    all.insert(all.end(), more.begin(), more.end());
    return size("causal_lm", all)["parameters"].get<std::int64_t>();
  };
  BOOST_TEST(parameters(tokens, {}) == parameters(folder.string(), {"--tokenizer", "characters"}));
}

BOOST_AUTO_TEST_CASE(grows_by_the_feed_forward_width_in_every_program) {
  for (const auto* program : programs_that_train) {
    const auto narrow = size(program, {"--feed_forward_width", "100"});
    const auto wide = size(program, {"--feed_forward_width", "101"});
    const auto wider = size(program, {"--feed_forward_width", "103"});
    const auto more = [](const nlohmann::json& a, const nlohmann::json& b, const char* key) {
      return b[key].get<std::int64_t>() - a[key].get<std::int64_t>();
    };
    BOOST_TEST(more(narrow, wide, "parameters") > 0);
    BOOST_TEST(more(wide, wider, "parameters") == 2 * more(narrow, wide, "parameters"));
    BOOST_TEST(more(narrow, wide, "forward_flops_per_token") > 0);
    const auto config = run(program, {"train", "--dump_config", "--feed_forward_width", "101"});
    BOOST_TEST(contains(config.out, ": 101"), config.out);
  }
}

BOOST_AUTO_TEST_CASE(refuses_what_cannot_be_a_model) {
  for (const auto* program : programs_that_train) {
    refuses(2, program, {"train", "--dump_size", "--feed_forward_width", "0"}, {"--feed_forward_width"});
    refuses(2, program, {"train", "--dump_size", "--feed_forward_width", "2147483647"}, {"which need"});
    refuses(2, program, {"train", "--dump_size", "--projector", "nueral"}, {"--projector", "neural"});
    refuses(2, program, {"train", "--feed_forward_width", "64", "--model", "a"}, {"--feed_forward_width"});
  }
}

BOOST_AUTO_TEST_SUITE_END()
