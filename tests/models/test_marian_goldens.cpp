// Marian against Hugging Face's, tensor by tensor: tests/reference/marian_goldens.py wrote what a tiny float64 model of
// each preset computes: embeddings, layers, logits, losses, all gradients, ten AdamW steps, greedy and beam searches.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_goldens
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/marian_subject.hpp"
#include "models/tiny_marian.hpp"

using namespace neural_attention;
using golden::Results;
using golden::Subject;

namespace {

constexpr double tolerance = 1e-9;
/// A gradient that is zero: sums of a few hundred terms of size 1 leave this much.
constexpr double rounding_noise = 1e-13;

using AllResidual = Projections<ResidualNeural, ResidualNeural, ResidualNeural, ResidualNeural>;
using Mixed = Projections<Linear, Neural, PlainNeural, Neural>;
template <class B>
using AnyProjector = Choice<B, Linear, SequentialLinear, Neural, PlainNeural, ResidualNeural, ResidualPlainNeural>;
using AnyProjections = Projections<AnyProjector, AnyProjector, AnyProjector, AnyProjector>;

/// The largest differences of a preset, for the log: under "grad", "adamw" and so on.
using Worst = std::map<std::string, double>;

void compare(const Results& results, golden::File& goldens, Worst& worst) {
  BOOST_REQUIRE(!results.empty());
  for (const auto& [name, found] : results) {
    const double difference = golden::difference(found, goldens.read<double>(name));
    BOOST_TEST(difference <= tolerance, name << " differs by " << difference);
    auto& largest = worst[name.substr(0, name.find('.'))];
    largest = std::max(largest, difference);
  }
}

/// Softmax does not change when all scores of a query move together, so key biases have no gradient.
template <class P>
void check_zero_gradients(const Subject<Cpu<double>, P>& subject, const Results& results, Worst& worst) {
  std::size_t zero = 0;
  for (const std::string name : subject.about.at("zero_gradient_parameters")) {
    BOOST_TEST(name.ends_with("bias"));
    BOOST_TEST(name.find("k_proj.") != std::string::npos);
    for (const char* prefix : {"grad.", "grad_smoothed."})
      for (const double g : results.at(prefix + name)) {
        BOOST_TEST(std::abs(g) <= rounding_noise);
        worst["zero gradients"] = std::max(worst["zero gradients"], std::abs(g));
      }
    ++zero;
  }
  const auto& config = subject.model.config();
  BOOST_TEST(zero >= static_cast<std::size_t>(config.encoder_layers + 2 * config.decoder_layers));
}

void check_results(const std::vector<Hypothesis>& found, const std::vector<Hypothesis>& expected, Worst& worst) {
  BOOST_TEST_REQUIRE(!expected.empty());
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST(found[i].ids == expected[i].ids, boost::test_tools::per_element());
    const double difference = std::abs(found[i].score - expected[i].score);
    BOOST_TEST(difference <= tolerance, "the score of result " << i << " differs by " << difference);
    worst["scores"] = std::max(worst["scores"], difference);
  }
}

/// Greedy and beam searches, the batch together and each sentence alone.
template <class P>
void check_generations(Subject<Cpu<double>, P>& subject, Worst& worst) {
  const auto all = golden::generations(subject.about);
  BOOST_TEST_REQUIRE(all.size() >= 17u);
  std::set<int> beams;
  Generator<typename Subject<Cpu<double>, P>::Model> generate(subject.backend, subject.model);
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
  golden::File goldens("marian/" + preset + ".safetensors");
  Subject<Cpu<double>, P> subject(preset, goldens);
  const auto& store = subject.model.parameters();
  BOOST_TEST(store.count() == subject.about.at("parameter_count").template get<std::ptrdiff_t>());

  Worst worst;
  auto results = subject.run();
  check_zero_gradients(subject, results, worst);
  check_generations(subject, worst);
  subject.train(results);
  compare(results, goldens, worst);
  BOOST_TEST(goldens.unused() == std::vector<std::string>{}, boost::test_tools::per_element());
  std::ostringstream log;
  for (const auto& [what, difference] : worst) log << ", " << what << ' ' << difference;
  BOOST_TEST_MESSAGE(preset << ": largest differences" << log.str().substr(1));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_double)

BOOST_AUTO_TEST_CASE(linear_projectors) { check<LinearProjections>("linear"); }
BOOST_AUTO_TEST_CASE(paper_marian) { check<neural_attention::paper::marian>("paper_marian"); }
BOOST_AUTO_TEST_CASE(paper_marian_baseline) {
  check<neural_attention::paper::marian_baseline>("paper_marian_baseline");
}
BOOST_AUTO_TEST_CASE(plain_neural) { check<tiny::AllPlain>("plain_neural"); }
BOOST_AUTO_TEST_CASE(mixed) { check<Mixed>("mixed"); }
BOOST_AUTO_TEST_CASE(residual) { check<AllResidual>("residual"); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(chosen_at_run_time)

/// Every model of the folder, whatever its projectors; the parity preset adds models that were drawn at random.
BOOST_AUTO_TEST_CASE(every_file) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden::folder() / "marian"))
    if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
  BOOST_TEST_REQUIRE(names.size() >= 6u);
  for (const auto& name : names) BOOST_TEST_CONTEXT(name) check<AnyProjections>(name);
}

BOOST_AUTO_TEST_SUITE_END()
