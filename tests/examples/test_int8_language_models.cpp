// Language models with weights of int8: --dtype int8 and the directories of quantize give the same results, and what is
// refused. test_int8.cpp does the same with translators.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE examples_int8_language_models
#include <boost/test/unit_test.hpp>
#include <string>

#include "examples/both_programs.hpp"

using namespace programs;

namespace {

struct Models : Workplace {
  Outcome succeed(const std::string& program, const Arguments& arguments) const {
    auto outcome = run(program, arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome;
  }

  /// `training` makes the model in the folder "model", and `answering` asks it for a text.
  void check(const std::string& program, const Arguments& training, const Arguments& answering) const {
    const auto model = path("model"), int8 = path("int8"), other = path("other");
    succeed(program, training);
    const auto quantized = succeed(program, {"quantize", "--model", model, "--output_dir", int8});
    BOOST_TEST(contains(quantized.err, ", int8 by "), quantized.err);
    const Arguments evaluating = {"evaluate", "--text", path("data/valid.txt"), "--threads", "1"};
    for (const auto& command : {evaluating, answering}) {
      const auto with_flag = succeed(program, joined(command, {"--model", model, "--dtype", "int8"})),
                 of_directory = succeed(program, joined(command, {"--model", int8}));
      BOOST_TEST(!of_directory.out.empty());
      BOOST_TEST(of_directory.out == with_flag.out);
      BOOST_TEST(contains(of_directory.err, "1 thread, int8 ("), of_directory.err);
      refuses(2, program, joined(command, {"--model", int8, "--dtype", "bfloat16"}), {int8 + " holds int8 weights"});
      refuses(2, program, joined(command, {"--model", model, "--dtype", "int8", "--device", "cuda"}),
              {"--dtype int8 computes on a CPU"});
      require_cpu(run(program, joined(command, {"--model", int8, "--device", "cuda"})));
    }

    const Arguments to_other = {"--output_dir", other};
    refuses(2, program, joined({"quantize", "--model", int8}, to_other), {"int8 model already"});
    refuses(2, program, {"quantize", "--model", model, "--output_dir", int8}, {"holds a model already"});
    refuses(2, program, {"quantize", "--model", model, "--output_dir", model}, {"directory of its own"});
    const Arguments train = {"train", "--data", path("data"), "--max_steps", "1", "--threads", "1"};
    refuses(1, program, joined(joined(train, {"--model", int8}), to_other), {"config.json", "int8", "be trained"});
    refuses(2, program, joined(joined(train, {"--dtype", "int8"}), to_other), {"--dtype"});
    BOOST_TEST(!fs::exists(other));
  }

  /// Weights of int8 are not computed with on a GPU, if there is one.
  static void require_cpu(const Outcome& outcome) {
    BOOST_TEST(outcome.code != 0);
    BOOST_TEST(outcome.out == "");
    BOOST_TEST(lines_of(outcome.err).size() == 1u, outcome.err);
    BOOST_TEST((contains(outcome.err, "built without CUDA") || contains(outcome.err, "no CUDA device can be used") ||
                contains(outcome.err, "weights of int8 need the backend Cpu<float>")),
               outcome.err);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(int8_language_models, Models)

BOOST_AUTO_TEST_CASE(masked) {
  check("masked_lm", mlm_training("model", {"--max_steps", "2"}), {"fill", "--threads", "1", "A <mask>."});
}

BOOST_AUTO_TEST_CASE(causal) {
  write(folder / "tiny_gpt2.json", R"({"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32})");
  check("causal_lm",
        {"train", "--data", path("data"), "--config", path("tiny_gpt2.json"), "--tokenizer", "characters", "--threads",
         "1", "--max_steps", "2", "--output_dir", path("model")},
        {"generate", "--threads", "1", "--max_new_tokens", "5", "the "});
}

BOOST_AUTO_TEST_SUITE_END()
