// What quantising costs a language model: the errors of its logits and the losses before and after.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "common/standard_streams.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

class QuantizingCost {
 public:
  /// Logits [n, vocabulary] of both models, in the host's memory, and the ids that they predict.
  void add(na::RowsOf<float> before, na::RowsOf<float> after, std::span<const int> labels) {
    for (int r = 0; r < before.rows; ++r) {
      const int label = labels[static_cast<std::size_t>(r)];
      loss_before_ += loss(before.slice(r, 1), label);
      loss_after_ += loss(after.slice(r, 1), label);
      for (int c = 0; c < before.cols; ++c) {
        const double error = std::abs(double(after.row(r)[c]) - double(before.row(r)[c]));
        largest_ = std::max(largest_, error);
        squares_ += error * error;
      }
    }
    predictions_ += before.rows;
    numbers_ += before.size();
  }

  /// Throws NumericError if a loss is not finite.
  void print() const {
    for (const auto& [name, sum] : {std::pair{"in float", loss_before_}, {"in int8", loss_after_}})
      if (!std::isfinite(sum)) throw na::NumericError(std::string("the loss of the model ") + name + " is not finite");
    const auto n = static_cast<double>(predictions_);
    const double before = loss_before_ / n, after = loss_after_ / n;
    print_formatted(
        "predicted tokens = %ld\nlargest error of a logit = %.6f\nrms error of logits = %.6f\nloss before = %.6f\n"
        "loss = %.6f\nperplexity before = %.4f\nperplexity = %.4f\n",
        predictions_, largest_, std::sqrt(squares_ / static_cast<double>(numbers_)), before, after,
        na::metrics::perplexity(before), na::metrics::perplexity(after));
  }

 private:
  static double loss(na::RowsOf<float> logits, int label) {
    const double most = *std::max_element(logits.data, logits.data + logits.cols);
    double sum = 0.0;
    for (int c = 0; c < logits.cols; ++c) sum += std::exp(logits.data[c] - most);
    return most + std::log(sum) - logits.data[label];
  }

  double largest_ = 0.0, squares_ = 0.0, loss_before_ = 0.0, loss_after_ = 0.0;
  long predictions_ = 0;
  std::ptrdiff_t numbers_ = 0;
};

}  // namespace examples
