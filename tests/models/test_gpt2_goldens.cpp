// GPT-2 against Hugging Face's, tensor by tensor: tests/reference/gpt2_goldens.py wrote what a tiny float64 model of
// each preset computes: embeddings, layers, logits, losses, all gradients, ten AdamW steps, greedy and beam searches.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_gpt2_goldens
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

#include "models/golden_checks.hpp"
#include "models/golden_searches.hpp"
#include "models/gpt2_subject.hpp"

using namespace neural_attention;
using golden::check_results, golden::Worst;

namespace {

/// Greedy and beam searches, all prompts together and each alone.
template <class Subject>
void check_generations(Subject& subject, Worst& worst) {
  const auto all = golden::generations(subject.about);
  BOOST_TEST_REQUIRE(all.size() >= 12u);
  const auto prompts = subject.prompts();
  PackedTokens batch;
  for (const auto& prompt : prompts) batch.push(prompt);
  std::set<int> beams;
  Generator<typename Subject::Model> generate(subject.backend, subject.model);
  for (std::size_t setting = 0; setting < all.size(); ++setting) {
    const auto& [how, expected] = all[setting];
    beams.insert(how.num_beams);
    BOOST_TEST_REQUIRE(expected.size() == prompts.size());
    const auto together = generate(batch, how);
    BOOST_TEST_REQUIRE(together.size() == expected.size());
    for (std::size_t p = 0; p < expected.size(); ++p) BOOST_TEST_CONTEXT("setting " << setting << ", prompt " << p) {
        check_results(together[p], expected[p], worst);
        PackedTokens alone;
        alone.push(prompts[p]);
        check_results(generate(alone, how).at(0), expected[p], worst);
      }
  }
  BOOST_TEST((beams == std::set<int>{1, 2, 3, 4, 6}));
}

template <class P>
void check(const std::string& preset) {
  using Subject = golden::Gpt2Subject<Cpu<double>, P>;
  golden::check_in_double<Subject>(preset, [](Subject& subject, Worst& worst) { check_generations(subject, worst); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_double)

BOOST_AUTO_TEST_CASE(every_preset) {
  golden::each_gpt2_preset([]<class P>(const char* name) { BOOST_TEST_CONTEXT(name) check<P>(name); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(chosen_at_run_time)

BOOST_AUTO_TEST_CASE(every_file) { golden::each_file("gpt2", 7, check<golden::AnyProjections>); }

BOOST_AUTO_TEST_SUITE_END()
