// The optimizers, with PyTorch's semantics: their options, and the list of those that programs offer by name.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/core/update_rules.hpp"
#include "neural_attention/train/rule_optimizer.hpp"

namespace neural_attention {

/// Of every optimizer.
inline constexpr Knob weight_decay_knob = Knob("weight_decay", "On matrices only", at_least(0)).flag("Training").kept();

/// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019).
struct AdamOptions {
  static constexpr std::string_view name = "adam";

  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;  ///< on matrices only: biases and LayerNorm parameters are never decayed
  bool decoupled = true;      ///< AdamW; false is Adam with an L2 term
  std::vector<RateRule> rates = {};

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(weight_decay_knob, options.weight_decay...);
    use(Knob("adam_beta1", "Decay of the first moment", from_below(0, 1)).flag(group).kept(), options.beta1...);
    use(Knob("adam_beta2", "Decay of the second moment", from_below(0, 1)).flag(group).kept(), options.beta2...);
    // Where a gradient has always been 0, an ε that is 0 in float would give 0 / 0.
    use(Knob("adam_epsilon", "Added to the root of the second moment", at_least(1e-37)).flag(group).kept(),
        options.epsilon...);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const { require_ranges(*this); }

  void with_rule(const UpdateStep& step, auto&& use) const {
    use(AdamRule{.learning_rate = step.learning_rate,
                 .beta1 = beta1,
                 .beta2 = beta2,
                 .epsilon = epsilon,
                 .weight_decay = step.weight_decay,
                 .decoupled = decoupled,
                 .step = step.number});
  }
};

template <class B>
using Adam = RuleOptimizer<B, AdamOptions>;

/// Stochastic gradient descent. Without momentum there are no moments.
struct SgdOptions {
  static constexpr std::string_view name = "sgd";

  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.0;  ///< an L2 term, on matrices only
  std::vector<RateRule> rates = {};

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(weight_decay_knob, options.weight_decay...);
    use(Knob("momentum", "Momentum of sgd; 0: none", from_below(0, 1)).flag(group).kept(), options.momentum...);
    use(Knob("nesterov", "Nesterov's momentum for sgd").flag(group).kept(), options.nesterov...);
  }

  void validate() const {
    require_ranges(*this);
    if (nesterov && momentum == 0.0) throw ConfigError("Nesterov's SGD needs a momentum");
  }

  void with_rule(const UpdateStep& step, auto&& use) const {
    if (momentum == 0.0)
      use(SgdRule{.learning_rate = step.learning_rate, .weight_decay = step.weight_decay});
    else
      use(SgdMomentumRule{.learning_rate = step.learning_rate,
                          .momentum = momentum,
                          .nesterov = nesterov,
                          .weight_decay = step.weight_decay});
  }
};

template <class B>
using Sgd = RuleOptimizer<B, SgdOptions>;

/// Lion (Chen et al. 2023), with decoupled weight decay. Its steps are of the size of the rate, so a tenth to a third
/// of AdamW's rate, and three to ten times its weight decay, suit it.
struct LionOptions {
  static constexpr std::string_view name = "lion";

  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.0;  ///< on matrices only
  std::vector<RateRule> rates = {};

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(weight_decay_knob, options.weight_decay...);
    use(Knob("lion_beta1", "With lion: share of the momentum in a step", from_below(0, 1)).flag(group).kept(),
        options.beta1...);
    use(Knob("lion_beta2", "With lion: decay of the momentum", from_below(0, 1)).flag(group).kept(), options.beta2...);
  }

  void validate() const { require_ranges(*this); }

  void with_rule(const UpdateStep& step, auto&& use) const {
    use(LionRule{
        .learning_rate = step.learning_rate, .beta1 = beta1, .beta2 = beta2, .weight_decay = step.weight_decay});
  }
};

template <class B>
using Lion = RuleOptimizer<B, LionOptions>;

/// Options of one of the optimizers, chosen at run time.
using AnyOptimizerOptions = std::variant<AdamOptions, SgdOptions, LionOptions>;

template <class B>
using AnyOptimizer = RuleOptimizer<B, AnyOptimizerOptions>;

/// What programs call an optimizer.
struct NamedOptimizer {
  std::string_view name;
  AnyOptimizerOptions options;
  bool decoupled_decay = false;  ///< of the weights; else an L2 term in the gradient
};

/// The optimizers that programs offer: from this list and the options' knobs follow flags, their help and checkpoints.
inline std::vector<NamedOptimizer> named_optimizers() {
  return {{"adamw", AdamOptions{}, true},
          {"adam", AdamOptions{.decoupled = false}},
          {"sgd", SgdOptions{}},
          {"lion", LionOptions{}, true}};
}

/// The options of all optimizers side by side, for programs whose user sets them before it is known which optimizer it
/// is. A setting that several of them have, such as weight_decay, is one setting: it stands with the first of them.
template <class List = AnyOptimizerOptions>
struct OptionsOfAll;
template <class... O>
struct OptionsOfAll<std::variant<O...>> {
  std::tuple<O...> options = {};

  static void knobs(auto&& use, auto&... all) {
    std::vector<std::string_view> used;
    const auto of_one = [&]<class One>(std::type_identity<One>) {
      One::knobs(
          [&](const Knob& knob, auto&... values) {
            if (std::find(used.begin(), used.end(), knob.name) != used.end()) return;
            used.push_back(knob.name);
            use(knob, values...);
          },
          std::get<One>(all.options)...);
    };
    (of_one(std::type_identity<O>()), ...);
  }

  /// The options of the optimizer that programs call `name`. Throws ConfigError if there is none.
  std::variant<O...> of(std::string_view name) const {
    auto all = named_optimizers();
    for (auto& one : all)
      if (one.name == name) {
        std::visit([&](auto& chosen) { write_to(chosen); }, one.options);
        return one.options;
      }
    refuse_name(all, "the optimizer", name);
  }

 private:
  template <class One>
  void write_to(One& chosen) const {
    knobs(
        [&]<class T>(const Knob& ours, const T& value) {
          One::knobs(
              [&]<class U>(const Knob& its, U& setting) {
                if constexpr (std::is_same_v<T, U>)
                  if (std::string_view(its.name) == ours.name) setting = value;
              },
              chosen);
        },
        *this);
  }
};

}  // namespace neural_attention
