// Marian in single precision, on the CPU and with CUDA's kernels, and with products or storage of bfloat16 numbers,
// against Hugging Face's float64 values (models/test_marian_goldens.cpp has those in double), within bounds that follow
// from the sizes of the operands: see models/perturbed.hpp.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_float
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>

#include "backend/backends.hpp"
#include "models/golden_bounds.hpp"
#include "models/marian_subject.hpp"

using namespace neural_attention;

namespace {

/// A preset's greedy choices lead by more than float's errors.
template <class B, class P>
void check_greedy(const std::string& preset) {
  golden::File goldens("marian/" + preset + ".safetensors");
  golden::MarianSubject<B, P> subject(preset, goldens);
  Generator<Marian<B, P>> generate(subject.backend, subject.model);
  int greedy = 0;
  for (const auto& [how, expected] : golden::generations(subject.about)) {
    if (how.num_beams > 1) continue;
    const auto results = generate(subject.batch, how);
    BOOST_TEST_REQUIRE(results.size() == expected.size());
    for (std::size_t s = 0; s < expected.size(); ++s)
      BOOST_TEST(results[s].at(0).ids == expected[s].at(0).ids, boost::test_tools::per_element());
    ++greedy;
  }
  BOOST_TEST(greedy == 3);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, B, cpu_support::FloatBackends) {
  golden::each_marian_preset(golden::chosen_at_run_time([]<class P>(const std::string& name) {
    BOOST_TEST_CONTEXT(name) golden::check_in_float<golden::MarianSubject, P, B>(name, 81);
  }));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(greedy_searches, B, cpu_support::FloatBackends) {
  golden::each_marian_preset(golden::chosen_at_run_time([]<class P>(const std::string& name) {
    BOOST_TEST_CONTEXT(name) check_greedy<B, P>(name);
  }));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(in_bfloat16)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, Check, golden::BFloat16Checks) {
  Check check;
  golden::each_marian_preset(golden::chosen_at_run_time([&]<class P>(const std::string& name) {
    // A ReLU of it is so near its kink that in every tenth run gradients jump by as much as they are.
    if (name == "mixed") return;
    BOOST_TEST_CONTEXT(name) check.template check_preset<golden::MarianSubject, P>(name, 81);
  }));
  check.check_size();
}

BOOST_AUTO_TEST_SUITE_END()
