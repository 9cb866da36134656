// Marian in single precision, and with products of bfloat16 numbers, against Hugging Face's float64 values
// (models/test_marian_goldens.cpp has those in double), within bounds that follow from the sizes of the operands: see
// models/perturbed.hpp.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_float
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>

#include "models/golden_bounds.hpp"
#include "models/marian_subject.hpp"

using namespace neural_attention;

namespace {

/// A preset's greedy choices lead by more than float's errors.
template <class P>
void check_greedy(const std::string& preset) {
  golden::File goldens("marian/" + preset + ".safetensors");
  golden::MarianSubject<Cpu<float>, P> subject(preset, goldens);
  Generator<Marian<Cpu<float>, P>> generate(subject.backend, subject.model);
  int greedy = 0;
  for (const auto& [how, expected] : golden::generations(subject.about)) {
    if (how.num_beams > 1) continue;
    const auto results = generate(subject.batch, how);
    BOOST_TEST_REQUIRE(results.size() == expected.size());
    for (std::size_t s = 0; s < expected.size(); ++s)
      BOOST_TEST(results[s].at(0).ids == expected[s].at(0).ids, boost::test_tools::per_element());
    ++greedy;
  }
  BOOST_TEST(greedy == 2);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE(tensors) {
  golden::each_marian_preset([]<class P>(const char* name) {
    BOOST_TEST_CONTEXT(name) golden::check_in_float<golden::MarianSubject, P>(name, 81);
  });
}

BOOST_AUTO_TEST_CASE(greedy_searches) {
  golden::each_marian_preset([]<class P>(const char* name) { BOOST_TEST_CONTEXT(name) check_greedy<P>(name); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bfloat16_products)

BOOST_AUTO_TEST_CASE(tensors) {
  golden::BFloat16Check check;
  golden::each_marian_preset([&]<class P>(const std::string& name) {
    // A ReLU of it is so near its kink that in every tenth run gradients jump by as much as they are.
    if (name == "mixed") return;
    BOOST_TEST_CONTEXT(name) check.check_preset<golden::MarianSubject, P>(name, 81);
  });
  check.check_size();
}

BOOST_AUTO_TEST_SUITE_END()
