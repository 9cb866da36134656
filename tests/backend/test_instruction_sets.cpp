// The choice among kernels for several instruction sets: the best that the processor has, or what NEURAL_ATTENTION_CPU
// names; and what the name of an engine says. tests/cpu_targets runs this with each set of a program that has several.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE instruction_sets
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/instruction_sets.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"

using namespace neural_attention;
using cpu_targets::choose, cpu_targets::InstructionSet;

namespace {

/// A variable, as it was at the end of the scope.
class Environment {
 public:
  explicit Environment(const char* value, const char* name = "NEURAL_ATTENTION_CPU") : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

std::string message(auto&& body) {
  try {
    body();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(choosing)

// The first of the program: once there is a choice, no error changes it.
BOOST_AUTO_TEST_CASE(every_backend_that_is_made_says_what_is_wrong_until_there_is_a_choice) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Environment environment("avx2077");
    const auto error = message([] { Cpu<float>(1); });
    BOOST_TEST(
        error.find("NEURAL_ATTENTION_CPU is \"avx2077\", for which this program has no kernels; it can be one of: "
                   "baseline") == 0,
        error);
    BOOST_TEST(message([] { Cpu<double>(1); }) == error);
    BOOST_TEST(message([] { Cpu<float>::engine(); }) == error);
  }
  BOOST_TEST(message([] { Cpu<float>(1); }) == "no error");
  const Environment environment("avx2077");
  BOOST_TEST(message([] { Cpu<float>(1); }) == "no error");
}

// The second of the program: here, too, a choice is made once.
BOOST_AUTO_TEST_CASE(float32_asks_for_nothing_of_bfloat16) {
  const Environment environment("abacus", "NEURAL_ATTENTION_BFLOAT16");
  const std::string error = "NEURAL_ATTENTION_BFLOAT16 must be amx, instructions or float, not \"abacus\"";
  BOOST_TEST(message([] { Cpu<float>(1, Precision::BFloat16); }) == error);
  BOOST_TEST(message([] { Cpu<float>::engine(Precision::BFloat16); }) == error);
  BOOST_TEST(message([] { Cpu<float>::engine(); }) == error);
  std::string engine;
  BOOST_TEST(message([&] { engine = Cpu<float>(1).engine(Precision::Float32); }) == "no error");
  BOOST_TEST(!engine.empty());
}

BOOST_AUTO_TEST_CASE(an_engine_names_what_is_used) {
  const auto plain = Cpu<float>::engine(Precision::Float32), rounded = Cpu<float>::engine(Precision::BFloat16),
             int8 = Cpu<float>::engine(Precision::Float32, true);
  BOOST_TEST(plain.find("bfloat16 ") == std::string::npos, plain);
  BOOST_TEST(plain.find("int8") == std::string::npos, plain);
  BOOST_TEST(rounded.find(plain + ", bfloat16 ") == 0, rounded);
  BOOST_TEST(int8.find(plain + ", int8 by ") == 0, int8);
  BOOST_TEST(Cpu<float>::engine() == rounded + int8.substr(plain.size()));
}

BOOST_AUTO_TEST_CASE(the_last_set_that_is_supported_is_chosen) {
  BOOST_TEST(choose(std::array{InstructionSet{"baseline", true}}, nullptr) == 0);
  const std::array sets{InstructionSet{"baseline", true}, InstructionSet{"avx2", true},
                        InstructionSet{"avx512", false}};
  BOOST_TEST(choose(sets, nullptr) == 1);
  BOOST_TEST(choose(sets, "") == 1);
}

BOOST_AUTO_TEST_CASE(a_name_forces_a_set) {
  const std::array sets{InstructionSet{"baseline", true}, InstructionSet{"avx2", true}, InstructionSet{"avx512", true},
                        InstructionSet{"avx512_bf16", false}};
  for (const std::size_t i : {0, 1, 2}) BOOST_TEST(choose(sets, sets[i].name) == i);
  BOOST_TEST(
      message([&] { choose(sets, "avx512_bf16"); }) ==
      "NEURAL_ATTENTION_CPU is \"avx512_bf16\", which this processor lacks; it can be one of: baseline, avx2, avx512");
  for (const std::string unknown : {"avx", "AVX2", "avx2 ", "avx5121", " "})
    BOOST_TEST(message([&] { choose(sets, unknown.c_str()); }) ==
               "NEURAL_ATTENTION_CPU is \"" + unknown +
                   "\", for which this program has no kernels; it can be one of: baseline, avx2, avx512");
}

/// Whoever runs this program says in NEURAL_ATTENTION_TEST_CPU how its engine must begin, in
/// NEURAL_ATTENTION_TEST_BFLOAT16 what it must say of products of bfloat16 numbers, and in NEURAL_ATTENTION_TEST_INT8
/// how it must end.
BOOST_AUTO_TEST_CASE(the_program_has_the_set_that_is_expected) {
  const char* const expected = std::getenv("NEURAL_ATTENTION_TEST_CPU");
  const auto engine = Cpu<float>::engine();
  BOOST_TEST_MESSAGE(engine);
  BOOST_TEST(engine == Cpu<double>::engine());
  if (const char* const of_bfloat16 = std::getenv("NEURAL_ATTENTION_TEST_BFLOAT16"))
    BOOST_TEST(engine.find(of_bfloat16) != std::string::npos, engine << " instead of " << of_bfloat16);
  if (const char* const of_int8 = std::getenv("NEURAL_ATTENTION_TEST_INT8"))
    BOOST_TEST(engine.ends_with(of_int8), engine << " instead of " << of_int8);
  if (expected) {
    BOOST_TEST(engine.find(expected) == 0, engine << " instead of " << expected);
  } else if (const auto colon = engine.find(": "); colon != std::string::npos) {
    const Environment environment(engine.substr(0, colon).c_str());
    BOOST_TEST(message([] { Cpu<float>(1); }) == "no error");
  }
}

BOOST_AUTO_TEST_SUITE_END()
