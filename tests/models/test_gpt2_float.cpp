// GPT-2 in single precision, on the CPU and with CUDA's kernels, and with products or storage of bfloat16 numbers,
// against Hugging Face's float64 values (models/test_gpt2_goldens.cpp has those in double), within bounds that follow
// from the sizes of the operands: see models/perturbed.hpp. Models with projectors that Perturbed knows; not
// plain_neural, whose scores are not scaled and leave the softmax hardly a gradient.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_gpt2_float
#include <boost/test/unit_test.hpp>
#include <string>

#include "backend/backends.hpp"
#include "models/golden_bounds.hpp"
#include "models/gpt2_subject.hpp"

namespace {

/// check.operator()<P>(name)
void each_preset(auto&& check) {
  const auto chosen = golden::chosen_at_run_time(check);
  for (const char* name : {"linear", "linear_without_bias", "plain_neural_without_bias", "value_residual"})
    BOOST_TEST_CONTEXT(name) chosen.template operator()<neural_attention::LinearProjections>(name);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, B, cpu_support::FloatBackends) {
  each_preset([]<class P>(const std::string& name) { golden::check_in_float<golden::Gpt2Subject, P, B>(name, 40); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(in_bfloat16)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, Check, golden::BFloat16Checks) {
  Check check;
  each_preset([&]<class P>(const std::string& name) { check.template check_preset<golden::Gpt2Subject, P>(name, 40); });
  check.check_size();
}

BOOST_AUTO_TEST_SUITE_END()
