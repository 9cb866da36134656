// Bounds for a model of tests/golden in single precision. The error ‖float - golden‖ of each tensor must be within four
// standard deviations of zero, where the deviation is the root mean square of that error in eight runs of Perturbed:
// double precision in which every operation has a random error of the size that the norms of its operands allow float.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "models/golden_subject.hpp"

namespace golden {

template <class Subject>
Results everything(const std::string& preset, File& goldens, int seed = 1) {
  Subject subject(preset, goldens, seed);
  auto results = run(subject);
  subject.train(results);
  results.erase("adamw.learning_rates");  // no arithmetic of the backend
  return results;
}

/// Whether it is a parameter after AdamW's steps; losses and norms have no dot in their names.
inline bool after_adamw(const std::string& name) {
  constexpr const char* prefix = "adamw.";
  return name.starts_with(prefix) && name.find('.', std::string(prefix).size()) != std::string::npos;
}

/// Subject<B, P> is MarianSubject or RobertaSubject. At least `tensors` tensors must be compared.
template <template <class, class> class Subject, class P>
void check_in_float(const std::string& preset, std::size_t tensors) {
  constexpr int runs = 8;
  constexpr double deviations = 4.0;
  File goldens(std::string(Subject<na::Cpu<float>, P>::family) + "/" + preset + ".safetensors");
  const auto found = everything<Subject<na::Cpu<float>, P>>(preset, goldens);
  std::map<std::string, double> squares;
  for (int seed = 1; seed <= runs; ++seed)
    for (const auto& [name, perturbed] : everything<Subject<Perturbed, P>>(preset, goldens, seed))
      squares[name] += std::pow(distance(perturbed, goldens.read<double>(name)), 2);
  BOOST_REQUIRE(found.size() >= tensors);
  BOOST_REQUIRE(squares.size() == found.size());
  double worst = 0.0, nearest = 0.0;
  std::size_t exact = 0;
  for (const auto& [name, values] : found) {
    const auto expected = goldens.read<double>(name);
    const double error = distance(values, expected);
    const double bound = deviations * std::sqrt(squares.at(name) / runs);
    const double size = distance(expected, std::vector<double>(expected.size()));
    BOOST_TEST(error <= bound, name << " is off by " << error << ", the bound is " << bound);
    // The bound itself must mean something: a thousandth of the tensor. Not so for gradients that are zero, nor for
    // what Adam makes of them: it divides by their size, so rounding decides where such elements go.
    if (size > 1e-9 && !after_adamw(name)) {
      BOOST_TEST(bound <= 1e-3 * size, name << " has the bound " << bound << ", its norm is " << size);
      worst = std::max(worst, bound / size);
    }
    if (bound > 0.0) nearest = std::max(nearest, error / bound);
    exact += error == 0.0;
  }
  BOOST_TEST_MESSAGE(preset << ": the largest bound is " << worst << " of its tensor's norm, the largest error "
                            << nearest << " of its bound");
  BOOST_TEST(exact < found.size());  // float is not double
}

}  // namespace golden
