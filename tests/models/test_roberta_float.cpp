// RoBERTa in single precision, on the CPU and with CUDA's kernels, and with products or storage of bfloat16 numbers,
// against Hugging Face's float64 values (models/test_roberta_goldens.cpp has those in double), within bounds that
// follow from the sizes of the operands: see models/perturbed.hpp.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_roberta_float
#include <boost/test/unit_test.hpp>
#include <string>

#include "backend/backends.hpp"
#include "models/golden_bounds.hpp"
#include "models/roberta_subject.hpp"

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, B, cpu_support::FloatBackends) {
  golden::each_roberta_preset(golden::chosen_at_run_time([]<class P>(const std::string& name) {
    BOOST_TEST_CONTEXT(name) golden::check_in_float<golden::RobertaSubject, P, B>(name, 100);
  }));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(in_bfloat16)

BOOST_AUTO_TEST_CASE_TEMPLATE(tensors, Check, golden::BFloat16Checks) {
  Check check;
  golden::each_roberta_preset(golden::chosen_at_run_time([&]<class P>(const std::string& name) {
    BOOST_TEST_CONTEXT(name) check.template check_preset<golden::RobertaSubject, P>(name, 100);
  }));
  check.check_size();
}

BOOST_AUTO_TEST_SUITE_END()
