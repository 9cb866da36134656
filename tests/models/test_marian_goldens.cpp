// Marian against Hugging Face's, tensor by tensor: tests/reference/marian_goldens.py wrote what a tiny float64 model of
// each preset computes: embeddings, layers, logits, losses, all gradients, ten AdamW steps, greedy and beam searches.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_goldens
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "models/golden_checks.hpp"
#include "models/marian_subject.hpp"

using namespace neural_attention;
using golden::check_results, golden::Worst;

namespace {

/// Greedy and beam searches, the batch together and each sentence alone.
template <class Subject>
void check_generations(Subject& subject, Worst& worst) {
  const auto all = golden::generations(subject.about);
  BOOST_TEST_REQUIRE(all.size() >= 17u);
  std::set<int> beams;
  Generator<typename Subject::Model> generate(subject.backend, subject.model);
  for (std::size_t setting = 0; setting < all.size(); ++setting) {
    const auto& [how, expected] = all[setting];
    beams.insert(how.num_beams);
    BOOST_TEST_REQUIRE(expected.size() == subject.sources.size());
    const auto together = generate(subject.batch, how);
    BOOST_TEST_REQUIRE(together.size() == expected.size());
    for (std::size_t s = 0; s < expected.size(); ++s) {
      BOOST_TEST_CONTEXT("setting " << setting << ", sentence " << s) {
        check_results(together[s], expected[s], worst);
        TranslationBatch alone(subject.model.config().pad_token_id);
        alone.push(subject.sources[s], {});
        check_results(generate(alone, how).at(0), expected[s], worst);
      }
    }
  }
  BOOST_TEST((beams == std::set<int>{1, 2, 3, 4, 6}));
}

template <class P>
void check(const std::string& preset) {
  using Subject = golden::MarianSubject<Cpu<double>, P>;
  golden::check_in_double<Subject>(preset, [](Subject& subject, Worst& worst) { check_generations(subject, worst); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_double)

BOOST_AUTO_TEST_CASE(every_preset) {
  golden::each_marian_preset([]<class P>(const char* name) { BOOST_TEST_CONTEXT(name) check<P>(name); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(chosen_at_run_time)

BOOST_AUTO_TEST_CASE(every_file) { golden::each_file("marian", 6, check<golden::AnyProjections>); }

BOOST_AUTO_TEST_SUITE_END()
