// Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) and SGD with momentum, with PyTorch's semantics over the
// flat parameter store. Tensors with the same rate and decay that lie side by side are updated in one pass.
#pragma once

#include <cmath>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

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

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(Knob("weight_decay", "On matrices only", at_least(0)).flag(group).kept(), options.weight_decay...);
    use(Knob("adam_beta1", "Decay of the first moment", from_below(0, 1)).flag(group).kept(), options.beta1...);
    use(Knob("adam_beta2", "Decay of the second moment", from_below(0, 1)).flag(group).kept(), options.beta2...);
    use(Knob("adam_epsilon", "Added to the root of the second moment", at_least(0)).flag(group).kept(),
        options.epsilon...);
  }
};

struct SgdOptions {
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.0;  ///< an L2 term, on matrices only
  std::vector<RateRule> rates = {};

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(Knob("weight_decay", "On matrices only", at_least(0)).flag(group).kept(), options.weight_decay...);
    use(Knob("momentum", "Of sgd; 0: none", from_below(0, 1)).flag(group).kept(), options.momentum...);
    use(Knob("nesterov", "Nesterov's momentum for sgd").flag(group).kept(), options.nesterov...);
  }
};

/// Throws ConfigError, naming `what`, for a number that is below 0 or not finite.
inline void require_at_least_zero(const char* what, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    throw ConfigError(std::string(what) + " must be a number of at least 0, not " + number_text(value));
}

/// One number for each trained number, which an optimizer keeps between steps: [1, n] in the layout of the store.
template <class B>
struct Moment {
  std::string name;
  RowsOf<typename B::Real> numbers;
};

/// What trains: constructed from (B&, const ParameterStore<B>&, Options). `name` and `moments` are what checkpoints
/// keep of it; `moments` has the same names in every run with the same options. `update` counts a step and changes the
/// store's values as `outcome` says, which lies in memory of the backend; who calls it calls refresh() next.
template <class O, class B>
concept Optimizer = std::constructible_from < O,
        B&, const ParameterStore<B>
&, typename O::Options > &&requires(O optimizer, const O& fixed, const ParameterStore<B>& store, double number,
                                    long steps, const StepOutcome* outcome) {
  optimizer.update(store, number, outcome);
  { fixed.name() } -> std::convertible_to<std::string_view>;
  { fixed.moments() } -> std::same_as<std::vector<Moment<B>>>;
  { fixed.steps() } -> std::same_as<long>;
  optimizer.set_steps(steps);
};

/// A run of the store that is updated in one pass.
struct UpdatePart {
  int first;
  int count;
  double rate;  ///< factor on the learning rate
  double weight_decay;
};

/// The parts that are not frozen. Throws ConfigError where a rule matches no tensor or a factor makes no sense, and for
/// a model that was made for inference.
template <class B>
std::vector<UpdatePart> plan_updates(const ParameterStore<B>& store, const std::vector<RateRule>& rates,
                                     double weight_decay) {
  store.require_gradients();
  require_at_least_zero("the weight decay", weight_decay);
  for (const auto& rule : rates) require_at_least_zero("a factor on the learning rate", rule.factor);
  std::vector<UpdatePart> parts;
  std::vector<bool> used(rates.size());
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    double rate = 1.0;
    for (std::size_t i = 0; i < rates.size(); ++i)
      if (matches(rates[i].pattern, entry.name)) {
        rate = rates[i].factor;
        used[i] = true;
      }
    if (rate == 0.0) continue;
    const double decay = entry.vector ? 0.0 : weight_decay;
    const auto first = static_cast<int>(entry.offset);
    const auto count = static_cast<int>(entry.size());
    if (!parts.empty() && parts.back().rate == rate && parts.back().weight_decay == decay &&
        first - parts.back().first - parts.back().count < 16)
      parts.back().count = first + count - parts.back().first;
    else
      parts.push_back({first, count, rate, decay});
  }
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i]) throw ConfigError("no parameter's name matches the pattern '" + rates[i].pattern + "'");
  return parts;
}

/// Memory of one moment, zero at first.
template <class B>
class MomentMemory {
 public:
  using Real = typename B::Real;

  MomentMemory() = default;
  MomentMemory(B& backend, const ParameterStore<B>& store)
      : memory_(backend.allocate(static_cast<std::size_t>(store.gradients().cols) * sizeof(Real))),
        numbers_(static_cast<Real*>(memory_.data()), 1, store.gradients().cols) {
    backend(ops::FillOf<Real>{.x = numbers_, .value = Real(0)});
  }

  RowsOf<Real> all() const { return numbers_; }
  /// None where there is no memory.
  RowsOf<Real> part(const UpdatePart& part) const {
    return numbers_ ? numbers_.columns(part.first, part.count) : RowsOf<Real>();
  }

 private:
  typename B::Memory memory_;
  RowsOf<Real> numbers_;
};

template <class B>
class Adam {
 public:
  using Options = AdamOptions;

  /// Moments start at zero. Throws ConfigError as plan_updates does, and for betas outside [0, 1) or an epsilon below
  /// 0.
  Adam(B& backend, const ParameterStore<B>& store, AdamOptions options)
      : backend_(&backend),
        options_(checked(std::move(options))),
        first_(backend, store),
        second_(backend, store),
        parts_(plan_updates(store, options_.rates, options_.weight_decay)) {}

  /// One update with the gradients of the store, scaled as `outcome` says; none where it is not finite.
  void update(const ParameterStore<B>& store, double learning_rate, const StepOutcome* outcome) {
    ++steps_;
    for (const auto& part : parts_) {
      const AdamStep how{learning_rate * part.rate, options_.beta1,     options_.beta2, options_.epsilon,
                         part.weight_decay,         options_.decoupled, steps_};
      (*backend_)(ops::Adam<B>{.how = how,
                               .gradient = store.gradients().columns(part.first, part.count),
                               .value = store.values().columns(part.first, part.count),
                               .first_moment = first_.part(part),
                               .second_moment = second_.part(part),
                               .outcome = outcome});
    }
  }

  std::string_view name() const { return "adam"; }
  std::vector<Moment<B>> moments() const {
    return {{"first_moment", first_moment()}, {"second_moment", second_moment()}};
  }
  RowsOf<typename B::Real> first_moment() const { return first_.all(); }
  RowsOf<typename B::Real> second_moment() const { return second_.all(); }
  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

 private:
  static AdamOptions checked(AdamOptions options) {
    require_ranges(options);
    return options;
  }

  B* backend_;
  AdamOptions options_;
  MomentMemory<B> first_, second_;
  std::vector<UpdatePart> parts_;
  long steps_ = 0;
};

template <class B>
class Sgd {
 public:
  using Options = SgdOptions;

  /// Throws ConfigError as plan_updates does, and for a momentum outside [0, 1) or Nesterov without one.
  Sgd(B& backend, const ParameterStore<B>& store, SgdOptions options)
      : backend_(&backend),
        options_(checked(std::move(options))),
        velocity_(options_.momentum == 0.0 ? MomentMemory<B>() : MomentMemory<B>(backend, store)),
        parts_(plan_updates(store, options_.rates, options_.weight_decay)) {}

  /// One update with the gradients of the store, scaled as `outcome` says; none where it is not finite.
  void update(const ParameterStore<B>& store, double learning_rate, const StepOutcome* outcome) {
    ++steps_;
    for (const auto& part : parts_) {
      const SgdStep how{learning_rate * part.rate, options_.momentum, options_.nesterov, part.weight_decay};
      (*backend_)(ops::Sgd<B>{.how = how,
                              .gradient = store.gradients().columns(part.first, part.count),
                              .value = store.values().columns(part.first, part.count),
                              .velocity = velocity_.part(part),
                              .outcome = outcome});
    }
  }

  std::string_view name() const { return "sgd"; }
  std::vector<Moment<B>> moments() const {
    if (!velocity_.all()) return {};
    return {{"velocity", velocity_.all()}};
  }
  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

 private:
  static SgdOptions checked(SgdOptions options) {
    require_ranges(options);
    if (options.nesterov && options.momentum == 0.0) throw ConfigError("Nesterov's SGD needs a momentum");
    return options;
  }

  B* backend_;
  SgdOptions options_;
  MomentMemory<B> velocity_;
  std::vector<UpdatePart> parts_;
  long steps_ = 0;
};

/// An optimizer that is one of several types, picked by which options it is made from: for programs that choose at run
/// time.
template <class B, template <class> class... Optimizers>
class OptimizerChoice {
 public:
  using Options = std::variant<typename Optimizers<B>::Options...>;

  OptimizerChoice(B& backend, const ParameterStore<B>& store, Options options)
      : chosen_(make(backend, store, std::move(options), std::index_sequence_for<Optimizers<B>...>{})) {}

  void update(const ParameterStore<B>& store, double learning_rate, const StepOutcome* outcome) {
    std::visit([&](auto& one) { one.update(store, learning_rate, outcome); }, chosen_);
  }
  std::string_view name() const {
    return std::visit([](const auto& one) -> std::string_view { return one.name(); }, chosen_);
  }
  std::vector<Moment<B>> moments() const {
    return std::visit([](const auto& one) { return one.moments(); }, chosen_);
  }
  long steps() const {
    return std::visit([](const auto& one) { return one.steps(); }, chosen_);
  }
  void set_steps(long steps) {
    std::visit([&](auto& one) { one.set_steps(steps); }, chosen_);
  }

 private:
  using Variant = std::variant<Optimizers<B>...>;

  template <std::size_t... I>
  static Variant make(B& backend, const ParameterStore<B>& store, Options options, std::index_sequence<I...>) {
    std::optional<Variant> made;
    (void)((options.index() == I &&
            (made.emplace(std::in_place_index<I>, backend, store, std::move(std::get<I>(options))), true)) ||
           ...);
    return std::move(*made);
  }

  Variant chosen_;
};

}  // namespace neural_attention
