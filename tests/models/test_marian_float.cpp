// Marian in single precision against Hugging Face's float64 values (models/test_marian_goldens.cpp has those in
// double), within bounds that follow from the sizes of the operands: see models/perturbed.hpp.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_float
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "models/marian_subject.hpp"
#include "models/tiny_marian.hpp"

using namespace neural_attention;
using golden::Results;
using golden::Subject;

namespace {

using AllResidual = Projections<ResidualNeural, ResidualNeural, ResidualNeural, ResidualNeural>;
using Mixed = Projections<Linear, Neural, PlainNeural, Neural>;

template <class B, class P>
Results everything(const std::string& preset, golden::File& goldens, int seed = 1) {
  Subject<B, P> subject(preset, goldens, seed);
  auto results = subject.run();
  subject.train(results);
  results.erase("adamw.learning_rates");  // no arithmetic of the backend
  return results;
}

/// The error ‖float - golden‖ of each tensor must be within four standard deviations of zero, where the deviation is
/// the root mean square of that error in eight runs of Perturbed: double precision in which every operation has a
/// random error of the size that the norms of its operands allow float.
template <class P>
void check(const std::string& preset) {
  constexpr int runs = 8;
  constexpr double deviations = 4.0;
  golden::File goldens("marian/" + preset + ".safetensors");
  const auto found = everything<Cpu<float>, P>(preset, goldens);
  std::map<std::string, double> squares;
  for (int seed = 1; seed <= runs; ++seed)
    for (const auto& [name, perturbed] : everything<Perturbed, P>(preset, goldens, seed))
      squares[name] += std::pow(golden::distance(perturbed, goldens.read<double>(name)), 2);
  BOOST_REQUIRE(found.size() > 80u);
  BOOST_REQUIRE(squares.size() == found.size());
  double worst = 0.0, nearest = 0.0;
  std::size_t exact = 0;
  for (const auto& [name, values] : found) {
    const auto expected = goldens.read<double>(name);
    const double error = golden::distance(values, expected);
    const double bound = deviations * std::sqrt(squares.at(name) / runs);
    const double size = golden::distance(expected, std::vector<double>(expected.size()));
    BOOST_TEST(error <= bound, name << " is off by " << error << ", the bound is " << bound);
    // The bound itself must mean something: a thousandth of the tensor. Not so for gradients that are zero, nor for
    // what Adam makes of them: it divides by their size, so rounding decides where such elements go.
    if (size > 1e-9 && !name.starts_with("adamw.model.")) {
      BOOST_TEST(bound <= 1e-3 * size, name << " has the bound " << bound << ", its norm is " << size);
      worst = std::max(worst, bound / size);
    }
    if (bound > 0.0) nearest = std::max(nearest, error / bound);
    exact += error == 0.0;
  }
  BOOST_TEST_MESSAGE(preset << ": the largest bound is " << worst << " of its tensor's norm, the largest error "
                            << nearest << " of its bound");
  BOOST_TEST(exact < found.size());  // float is not double

  // The greedy searches: a preset's choices lead by more than float's errors.
  Subject<Cpu<float>, P> subject(preset, goldens);
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

BOOST_AUTO_TEST_CASE(linear_projectors) { check<LinearProjections>("linear"); }
BOOST_AUTO_TEST_CASE(paper_marian) { check<neural_attention::paper::marian>("paper_marian"); }
BOOST_AUTO_TEST_CASE(paper_marian_baseline) {
  check<neural_attention::paper::marian_baseline>("paper_marian_baseline");
}
BOOST_AUTO_TEST_CASE(plain_neural) { check<tiny::AllPlain>("plain_neural"); }
BOOST_AUTO_TEST_CASE(mixed) { check<Mixed>("mixed"); }
BOOST_AUTO_TEST_CASE(residual) { check<AllResidual>("residual"); }

BOOST_AUTO_TEST_SUITE_END()
