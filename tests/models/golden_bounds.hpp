// Bounds for a model of tests/golden in lower precision, from runs of Perturbed: double precision in which every
// operation has a random error of the size that the lower precision allows it. The error of a tensor, ‖found - golden‖,
// must be within a few standard deviations of zero, where the deviation is the root mean square of that error in those
// runs. The same is done for a backend that stores bfloat16 (models/stored_bfloat16.hpp).
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/backends.hpp"
#include "models/golden_subject.hpp"
#include "models/stored_bfloat16.hpp"

namespace golden {

template <class Subject>
Results everything(const std::string& preset, File& goldens, na::Precision precision, bool train, int seed = 1) {
  Subject subject(preset, goldens, seed, precision);
  auto results = run(subject);
  if (!train) return results;
  subject.train(results);
  results.erase("adamw.learning_rates");  // no arithmetic of the backend
  return results;
}

/// Whether it is a parameter after AdamW's steps; losses and norms have no dot in their names.
inline bool after_adamw(const std::string& name) {
  constexpr const char* prefix = "adamw.";
  return name.starts_with(prefix) && name.find('.', std::string(prefix).size()) != std::string::npos;
}

/// Norms of one tensor: of what is expected, of the error, and of the errors of the perturbed runs.
struct Errors {
  double size = 0.0, found = 0.0;
  std::vector<double> runs;

  double deviation() const {
    double squares = 0.0;
    for (const double error : runs) squares += error * error;
    return std::sqrt(squares / double(runs.size()));
  }
};

/// The errors of the backend B and of runs of Disturbed. Subject<B, P> is MarianSubject or RobertaSubject. At least
/// `tensors` tensors must be compared, or half of them where the ten steps are left out: emulated kernels are slow.
template <template <class, class> class Subject, class P, class B, class Disturbed>
std::map<std::string, Errors> errors_of(const std::string& preset, na::Precision precision, std::size_t tensors,
                                        int runs) {
  using Found = Subject<B, P>;
  constexpr bool train = !cpu_support::emulated<B>;
  File goldens(std::string(Found::family) + "/" + preset + ".safetensors");
  std::map<std::string, Errors> errors;
  for (const auto& [name, found] : everything<Found>(preset, goldens, precision, train)) {
    const auto expected = goldens.read<double>(name);
    const double size = distance(expected, std::vector<double>(expected.size()));
    errors[name] = {size, distance(found, expected), {}};
  }
  for (int seed = 1; seed <= runs; ++seed)
    for (const auto& [name, disturbed] : everything<Subject<Disturbed, P>>(preset, goldens, precision, train, seed))
      errors.at(name).runs.push_back(distance(disturbed, goldens.read<double>(name)));
  BOOST_REQUIRE(errors.size() >= (train ? tensors : tensors / 2));
  for (const auto& [name, of] : errors) BOOST_REQUIRE(of.runs.size() == std::size_t(runs));
  return errors;
}

/// Not gradients that are zero, nor what Adam makes of them: it divides by their size, so rounding decides where such
/// elements go.
inline bool has_size(const std::string& name, const Errors& of) { return of.size > 1e-9 && !after_adamw(name); }

/// bound_of(name, errors) is what the error of a tensor may be.
template <class BoundOf>
void check(const std::string& preset, const std::map<std::string, Errors>& errors, BoundOf&& bound_of) {
  double worst = 0.0, nearest = 0.0;
  std::size_t exact = 0;
  for (const auto& [name, of] : errors) {
    const double bound = bound_of(name, of);
    BOOST_TEST(of.found <= bound, name << " is off by " << of.found << ", the bound is " << bound);
    if (has_size(name, of)) worst = std::max(worst, bound / of.size);
    if (bound > 0.0) nearest = std::max(nearest, of.found / bound);
    exact += of.found == 0.0;
  }
  BOOST_TEST_MESSAGE(preset << ": the largest bound is " << worst << " of its tensor's norm, the largest error "
                            << nearest << " of its bound");
  BOOST_TEST(exact < errors.size());  // float is not double
}

/// Float: four deviations, from eight runs. The bound itself must mean something: a thousandth of the tensor.
template <template <class, class> class Subject, class P, class B>
void check_in_float(const std::string& preset, std::size_t tensors) {
  const auto errors = errors_of<Subject, P, B, Perturbed>(preset, na::Precision::Float32, tensors, 8);
  check(preset, errors, [](const std::string& name, const Errors& of) {
    const double bound = 4.0 * of.deviation();
    if (has_size(name, of))
      BOOST_TEST(bound <= 1e-3 * of.size, name << " has the bound " << bound << ", its norm is " << of.size);
    return bound;
  });
}

/// Numbers of bfloat16: operands of products, or what is stored. Errors jump here where a number is so near ReLU's kink
/// that it changes its side in some of the runs. So there are n of them and √n deviations are allowed, which is at
/// least the largest error of a run; and never the tensor's norm, for then zeros would pass. How large errors are
/// altogether is judged over all tensors and models, where the mean has a small spread: see check_size.
template <class B, class Disturbed, na::Precision precision>
class BFloat16Check {
 public:
  using Backend = B;

  template <template <class, class> class Subject, class P>
  void check_preset(const std::string& preset, std::size_t tensors) {
    auto errors = errors_of<Subject, P, B, Disturbed>(preset, precision, tensors, runs);
    pool_after_adamw(errors);
    check(preset, errors, [](const std::string& name, const Errors& of) {
      const double bound = std::sqrt(double(runs)) * of.deviation();
      return has_size(name, of) ? std::min(bound, of.size) : bound;
    });
    add(errors);
  }

  /// The errors' geometric mean must be within four standard deviations of those of the perturbed runs, and that must
  /// tell numbers of eight bits from those of seven or nine: with a bit more all errors are half as large.
  void check_size() const {
    constexpr double deviations = 4.0, bit = 0.6931471805599453;  // log 2
    double mean = 0.0, variance = 0.0;
    for (const double size : runs_) mean += size / runs;
    for (const double size : runs_) variance += (size - mean) * (size - mean) / (runs - 1);
    const double bound = deviations * std::sqrt(variance * (1.0 + 1.0 / runs)) / presets_;
    const double found = (found_ - mean) / presets_;
    BOOST_TEST_MESSAGE("errors are " << std::exp(found) << " times as large as expected, within a factor of "
                                     << std::exp(bound));
    BOOST_TEST(std::abs(found) <= bound);
    BOOST_TEST(bound < bit);
  }

 private:
  static constexpr int runs = 32;

  /// All parameters after AdamW's steps as one tensor: with an element's gradient within its error Adam may take it
  /// either way, so single tensors have errors of hardly any size or of that of a step.
  static void pool_after_adamw(std::map<std::string, Errors>& errors) {
    Errors all;
    all.runs.resize(runs);
    for (const auto& [name, of] : errors) {
      if (!after_adamw(name)) continue;
      all.size = std::hypot(all.size, of.size);
      all.found = std::hypot(all.found, of.found);
      for (int i = 0; i < runs; ++i) all.runs[i] = std::hypot(all.runs[i], of.runs[i]);
    }
    if (std::erase_if(errors, [](const auto& entry) { return after_adamw(entry.first); }) > 0)
      errors["adamw.parameters"] = std::move(all);
  }

  /// Adds the mean logarithms of a model's errors. Embeddings come before the first product and have float's.
  void add(const std::map<std::string, Errors>& errors) {
    const auto judged = [](const auto& entry) { return !entry.first.ends_with("embedding"); };
    const auto tensors = double(std::count_if(errors.begin(), errors.end(), judged));
    for (const auto& entry : errors) {
      if (!judged(entry)) continue;
      found_ += std::log(entry.second.found) / tensors;
      for (int i = 0; i < runs; ++i) runs_[i] += std::log(entry.second.runs[i]) / tensors;
    }
    ++presets_;
  }

  int presets_ = 0;
  double found_ = 0.0;
  std::vector<double> runs_ = std::vector<double>(runs);
};

using BFloat16Products = BFloat16Check<na::Cpu<float>, Perturbed, na::Precision::BFloat16>;
using BFloat16Storage = BFloat16Check<cpu_support::GpuOf<na::bfloat16>, StoredBFloat16, na::Precision::Float32>;
#if defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)
using BFloat16Checks = std::tuple<BFloat16Storage>;
#else
using BFloat16Checks = std::tuple<BFloat16Products, BFloat16Storage>;
#endif

}  // namespace golden
