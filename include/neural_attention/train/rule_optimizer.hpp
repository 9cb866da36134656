// An optimizer that moves the flat parameter store by an update rule (core/update_rules.hpp). Tensors with the same
// rate and decay that lie side by side are updated in one pass.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/operations/optimizer.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/train/group.hpp"

namespace neural_attention {

/// Tensors whose names match `pattern` learn at `factor` times the rate; 0 freezes them. The last match counts.
struct RateRule {
  std::string pattern;
  double factor = 1.0;
};

/// Throws ConfigError, naming `what`, for a number that is below 0 or not finite.
inline void require_at_least_zero(const char* what, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    throw ConfigError(std::string(what) + " must be a number of at least 0, not " + number_text(value));
}

/// One number for each trained number, kept by an optimizer between steps: [1, n] in the layout of the store. Of an
/// optimizer that holds some ranges of the store, only theirs, one range after the other.
template <class B>
struct Moment {
  std::string name;
  RowsOf<typename B::Real> numbers;
};

/// What checkpoints keep of an optimizer. If it has_moments() and says false, they are kept and loaded elsewhere.
template <class O, class B>
concept KeptOptimizer = requires(O optimizer, const O& fixed, long steps) {
  { fixed.name() } -> std::convertible_to<std::string_view>;
  { fixed.moments() } -> std::same_as<std::vector<Moment<B>>>;
  optimizer.set_steps(steps);
};

/// An optimizer: constructed from (B&, const ParameterStore<B>&, Options). Checkpoints keep its `name` and `moments`;
/// `moments` has the same names in every run with the same options. `update` counts a step and changes the store's
/// values as `outcome` says, which lies in memory of the backend; its caller calls refresh() next. If it has frozen(),
/// these are the ranges of the store that it never changes: their gradients do not count in the norm.
template <class O, class B>
concept Optimizer = KeptOptimizer<O, B> &&
    requires(O optimizer, const O& fixed, B& backend, const ParameterStore<B>& store, typename O::Options options,
             double number, const StepOutcome* outcome) {
  O(backend, store, options);
  optimizer.update(store, number, outcome);
  { fixed.steps() } -> std::same_as<long>;
};

/// One that can update some ranges of the store alone. Its moments then belong to these ranges.
template <class O, class B>
concept ShardableOptimizer = Optimizer<O, B> &&
    requires(B& backend, const ParameterStore<B>& store, typename O::Options options, std::vector<NumberRange> held) {
  O(backend, store, options, held);
};

/// A run of the store that is updated in one pass.
struct UpdatePart {
  int first;
  int count;
  double rate;  ///< factor on the learning rate
  double weight_decay;
  int first_moment = first;  ///< where its moments begin
};

/// The factor on the learning rate of the tensor `name`.
inline double rate_factor(const std::vector<RateRule>& rates, std::string_view name) {
  double factor = 1.0;
  for (const auto& rule : rates)
    if (matches(rule.pattern, name)) factor = rule.factor;
  return factor;
}

/// The parts that are not frozen. Throws ConfigError if a rule matches no tensor, a factor makes no sense, or the model
/// was made for inference.
template <class B>
std::vector<UpdatePart> plan_updates(const ParameterStore<B>& store, const std::vector<RateRule>& rates,
                                     double weight_decay) {
  store.require_gradients();
  require_at_least_zero("the weight decay", weight_decay);
  for (const auto& rule : rates) require_at_least_zero("a factor on the learning rate", rule.factor);
  for (const auto& rule : rates)
    if (std::none_of(store.entries().begin(), store.entries().end(),
                     [&](const auto& entry) { return entry.trained && matches(rule.pattern, entry.name); }))
      throw ConfigError("no parameter's name matches the pattern '" + rule.pattern + "'");
  std::vector<UpdatePart> parts;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    const double rate = rate_factor(rates, entry.name);
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
  return parts;
}

/// The tensors that are frozen, neighbours together.
template <class B>
std::vector<NumberRange> frozen_ranges(const ParameterStore<B>& store, const std::vector<RateRule>& rates) {
  std::vector<NumberRange> ranges;
  for (const auto& entry : store.entries()) {
    if (!entry.trained || rate_factor(rates, entry.name) != 0.0) continue;
    const auto first = static_cast<int>(entry.offset);
    const auto count = static_cast<int>(entry.size());
    if (!ranges.empty() && first - ranges.back().first - ranges.back().count < 16)
      ranges.back().count = first + count - ranges.back().first;
    else
      ranges.push_back({first, count});
  }
  return ranges;
}

/// What lies in the ranges `held`.
inline std::vector<UpdatePart> held_parts(const std::vector<UpdatePart>& parts, const std::vector<NumberRange>& held) {
  std::vector<UpdatePart> result;
  int before = 0;
  for (const auto& range : held) {
    for (auto part : parts) {
      const int last = std::min(part.first + part.count, range.first + range.count);
      part.first = std::max(part.first, range.first);
      part.count = last - part.first;
      part.first_moment = before + part.first - range.first;
      if (part.count > 0) result.push_back(part);
    }
    before += range.count;
  }
  return result;
}

/// Memory of one moment, zero at first.
template <class B>
class MomentMemory {
 public:
  using Real = typename B::Real;

  MomentMemory(B& backend, int count)
      : memory_(backend.allocate(static_cast<std::size_t>(count) * sizeof(Real))),
        numbers_(static_cast<Real*>(memory_.data()), 1, count) {
    backend(ops::FillOf<Real>{.x = numbers_, .value = Real(0)});
  }

  RowsOf<Real> all() const { return numbers_; }
  RowsOf<Real> part(const UpdatePart& part) const { return numbers_.columns(part.first_moment, part.count); }

 private:
  typename B::Memory memory_;
  RowsOf<Real> numbers_;
};

/// The settings of one step, from which an optimizer's options make its rule.
struct UpdateStep {
  double learning_rate = 0.0;
  double weight_decay = 0.0;
  long number = 1;  ///< from 1
};

namespace optimizer_detail {

/// use(options), or where these are one of several kinds, use(the kind).
template <class O, class Use>
decltype(auto) with_options(const O& options, Use&& use) {
  return use(options);
}
template <class... O, class Use>
decltype(auto) with_options(const std::variant<O...>& options, Use&& use) {
  return std::visit(use, options);
}

}  // namespace optimizer_detail

/// `O` are options such as AdamOptions, or a std::variant of several for who chooses at run time. Options have `name`,
/// which checkpoints keep, `rates`, `weight_decay`, validate(), and with_rule(step, use), which calls use(rule) with
/// the rule of an UpdateStep, always of the same type for the same options.
template <class B, class O>
class RuleOptimizer {
 public:
  using Options = O;

  /// Moments start at zero. Throws ConfigError as plan_updates does, and if an option makes no sense.
  RuleOptimizer(B& backend, const ParameterStore<B>& store, O options)
      : RuleOptimizer(backend, store, std::move(options), {{0, store.gradients().cols}}) {}

  /// One that updates the numbers of these ranges of the store alone, and holds their moments alone.
  RuleOptimizer(B& backend, const ParameterStore<B>& store, O options, const std::vector<NumberRange>& held)
      : backend_(&backend), options_(checked(std::move(options))) {
    int count = 0;
    for (const auto& range : held) count += range.count;
    with_options([&](const auto& how) {
      parts_ = held_parts(plan_updates(store, how.rates, how.weight_decay), held);
      frozen_ = frozen_ranges(store, how.rates);
      how.with_rule({}, [&]<class Rule>(const Rule&) {
        for (const auto name : Rule::moments) moments_.push_back({name, MomentMemory<B>(backend, count)});
      });
    });
  }

  /// One update with the gradients of the store, scaled as `outcome` says; none if it is not finite.
  void update(const ParameterStore<B>& store, double learning_rate, const StepOutcome* outcome) {
    ++steps_;
    for (const auto& part : parts_) {
      const auto run = [&]<class Rule>(const Rule& rule) {
        ops::Update<B, Rule> op{.rule = rule,
                                .gradient = store.gradients().columns(part.first, part.count),
                                .value = store.values().columns(part.first, part.count),
                                .outcome = outcome};
        auto kept = moments_.begin();
        for (auto& moment : op.moments) moment = (kept++)->memory.part(part);
        (*backend_)(op);
      };
      with_options([&](const auto& how) {
        how.with_rule({learning_rate * part.rate, part.weight_decay, steps_}, run);
      });
    }
  }

  /// Those of the whole store that a factor of 0 keeps as they are.
  const std::vector<NumberRange>& frozen() const { return frozen_; }

  std::string_view name() const {
    return with_options([]<class How>(const How&) -> std::string_view { return How::name; });
  }
  std::vector<Moment<B>> moments() const {
    std::vector<Moment<B>> all;
    for (const auto& kept : moments_) all.push_back({std::string(kept.name), kept.memory.all()});
    return all;
  }
  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

 private:
  struct Kept {
    std::string_view name;
    MomentMemory<B> memory;
  };

  static O checked(O options) {
    optimizer_detail::with_options(options, [](const auto& how) { how.validate(); });
    return options;
  }
  decltype(auto) with_options(auto&& use) const { return optimizer_detail::with_options(options_, use); }

  B* backend_;
  O options_;
  std::vector<UpdatePart> parts_;
  std::vector<NumberRange> frozen_;
  std::vector<Kept> moments_;
  long steps_ = 0;
};

}  // namespace neural_attention
