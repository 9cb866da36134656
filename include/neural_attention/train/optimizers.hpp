// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019) with PyTorch's semantics over the flat parameter store.
// Tensors with the same rate and decay that lie side by side are updated in one pass.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

/// Whether `name` matches `pattern`, in which * stands for any run of characters and ? for any one.
constexpr bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*')
    return matches(pattern.substr(1), name) || (!name.empty() && matches(pattern, name.substr(1)));
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         matches(pattern.substr(1), name.substr(1));
}

/// Tensors whose names match `pattern` learn at `factor` times the rate; 0 freezes them. The last match counts.
struct RateRule {
  std::string pattern;
  double factor = 1.0;
};

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;  ///< on matrices only: biases and LayerNorm parameters are never decayed
  bool decoupled = true;      ///< AdamW; false is Adam with an L2 term
  std::vector<RateRule> rates = {};
};

template <class B>
class Adam {
 public:
  /// Moments start at zero. Throws ConfigError where a rule matches no tensor.
  Adam(B& backend, const ParameterStore<B>& store, AdamOptions options)
      : backend_(&backend), options_(std::move(options)) {
    const auto gradients = store.gradients();
    const auto bytes = static_cast<std::size_t>(gradients.cols) * sizeof(typename B::Real);
    first_memory_ = backend.allocate(bytes);
    second_memory_ = backend.allocate(bytes);
    first_ = {static_cast<Real*>(first_memory_.data()), 1, gradients.cols};
    second_ = {static_cast<Real*>(second_memory_.data()), 1, gradients.cols};
    backend.fill(first_, Real(0));
    backend.fill(second_, Real(0));
    plan(store);
  }

  /// One update with the gradients of the store, each multiplied by gradient_scale first.
  void update(const ParameterStore<B>& store, double learning_rate, double gradient_scale) {
    ++steps_;
    for (const auto& part : parts_) {
      const AdamStep how{learning_rate * part.rate, options_.beta1,     options_.beta2, options_.epsilon,
                         part.weight_decay,         options_.decoupled, steps_,         gradient_scale};
      backend_->adam(how, store.gradients().columns(part.first, part.count),
                     store.values().columns(part.first, part.count), first_.columns(part.first, part.count),
                     second_.columns(part.first, part.count));
    }
  }

  /// State, for checkpoints: [1, n] in the layout of the store.
  RowsOf<typename B::Real> first_moment() const { return first_; }
  RowsOf<typename B::Real> second_moment() const { return second_; }
  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

 private:
  using Real = typename B::Real;

  struct Part {
    int first;
    int count;
    double rate;
    double weight_decay;
  };

  void plan(const ParameterStore<B>& store) {
    std::vector<bool> used(options_.rates.size());
    for (const auto& entry : store.entries()) {
      if (!entry.trained) continue;
      double rate = 1.0;
      for (std::size_t i = 0; i < options_.rates.size(); ++i)
        if (matches(options_.rates[i].pattern, entry.name)) {
          rate = options_.rates[i].factor;
          used[i] = true;
        }
      if (rate == 0.0) continue;
      const double decay = entry.vector ? 0.0 : options_.weight_decay;
      const auto first = static_cast<int>(entry.offset);
      const auto count = static_cast<int>(entry.size());
      if (!parts_.empty() && parts_.back().rate == rate && parts_.back().weight_decay == decay &&
          first - parts_.back().first - parts_.back().count < 16)
        parts_.back().count = first + count - parts_.back().first;
      else
        parts_.push_back({first, count, rate, decay});
    }
    for (std::size_t i = 0; i < used.size(); ++i)
      if (!used[i]) throw ConfigError("no parameter's name matches the pattern '" + options_.rates[i].pattern + "'");
  }

  B* backend_;
  AdamOptions options_;
  typename B::Memory first_memory_, second_memory_;
  RowsOf<Real> first_, second_;
  std::vector<Part> parts_;
  long steps_ = 0;
};

}  // namespace neural_attention
