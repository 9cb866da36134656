// RoBERTa in single precision, on the CPU and with CUDA's kernels, and with products or storage of bfloat16 numbers,
// against Hugging Face's float64 values (models/test_roberta_goldens.cpp has those in double), within bounds that
// follow from the sizes of the operands: see models/perturbed.hpp. Emulated kernels compute one of the models.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_roberta_float
#include <boost/test/unit_test.hpp>
#include <string>
#include <type_traits>

#include "backend/backends.hpp"
#include "models/golden_bounds.hpp"
#include "models/roberta_subject.hpp"

namespace {

/// Calls check.operator()<P>(preset) for the models that B computes here.
template <class B, class Check>
void each_preset(Check&& check) {
  golden::each_roberta_preset([&]<class P>(const std::string& name) {
    if constexpr (!cpu_support::emulated<B> || std::is_same_v<P, neural_attention::paper::roberta>)
      BOOST_TEST_CONTEXT(name) check.template operator()<P>(name);
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, B, cpu_support::FloatBackends) {
  each_preset<B>(
      []<class P>(const std::string& name) { golden::check_in_float<golden::RobertaSubject, P, B>(name, 100); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(in_bfloat16)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, Check, golden::BFloat16Checks) {
  Check check;
  each_preset<typename Check::Backend>(
      [&]<class P>(const std::string& name) { check.template check_preset<golden::RobertaSubject, P>(name, 100); });
  check.check_size();
}

BOOST_AUTO_TEST_SUITE_END()
