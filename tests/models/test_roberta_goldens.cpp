// RoBERTa against Hugging Face's, tensor by tensor: tests/reference/roberta_goldens.py wrote what a tiny float64 model
// of each preset computes: embeddings, layers, logits of the masked tokens, losses, all gradients, ten AdamW steps.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_roberta_goldens
#include <boost/test/unit_test.hpp>
#include <string>

#include "models/golden_checks.hpp"
#include "models/roberta_subject.hpp"

using namespace neural_attention;

namespace {

template <class P>
void check(const std::string& preset) {
  golden::check_in_double<golden::RobertaSubject<Cpu<double>, P>>(preset, [](auto&, auto&) {});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_double)

BOOST_AUTO_TEST_CASE(every_preset) {
  golden::each_roberta_preset([]<class P>(const char* name) { BOOST_TEST_CONTEXT(name) check<P>(name); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(chosen_at_run_time)

BOOST_AUTO_TEST_CASE(every_file) { golden::each_file("roberta", 5, check<golden::AnyProjections>); }

BOOST_AUTO_TEST_SUITE_END()
