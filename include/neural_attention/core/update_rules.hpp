// Update rules: what a step of an optimizer does to each number of a model. A rule is a struct with the settings of one
// step, a name, and the names of its moments, the numbers that it keeps of each value from step to step. Its
// Function<T> is the rule in numbers T: a function object with all worked out that depends on the settings alone, which
// changes a value and its moments by a gradient:
//   function(gradient, value, moments…)
// Backends call it, on the host for blocks of numbers (an X is an array with element-wise operators, and the gradient G
// is an expression of such arrays, to be evaluated once) and on a device for single ones (X and G are T). The operation
// ops::Update runs a rule of the list at the end of this file.
#pragma once

#include <array>
#include <cassert>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Adam (Kingma & Ba 2015) as PyTorch defines it, step `step` (from 1): m = β₁ m + (1-β₁) g, v = β₂ v + (1-β₂) g²,
/// value -= lr / (1-β₁ᵗ) · m / (√v / √(1-β₂ᵗ) + ε). With `decoupled` the weight decay is AdamW's (Loshchilov & Hutter
/// 2019), value *= 1 - lr · decay, else it is an L2 term in the gradient.
struct AdamRule {
  static constexpr std::string_view name = "adam";
  static constexpr std::array<std::string_view, 2> moments = {"first_moment", "second_moment"};

  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  bool decoupled = true;
  long step = 1;

  template <class T>
  struct Function {
    explicit Function(const AdamRule& how)
        : decay(static_cast<T>(how.decoupled ? 0.0 : how.weight_decay)),
          shrink(static_cast<T>(how.decoupled ? 1.0 - how.learning_rate * how.weight_decay : 1.0)),
          keep1(static_cast<T>(how.beta1)),
          keep2(static_cast<T>(how.beta2)),
          take1(static_cast<T>(1.0 - how.beta1)),
          take2(static_cast<T>(1.0 - how.beta2)),
          correction(static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(how.beta2, static_cast<double>(how.step))))),
          rate(static_cast<T>(how.learning_rate / (1.0 - std::pow(how.beta1, static_cast<double>(how.step))))),
          epsilon(static_cast<T>(how.epsilon)) {
      assert(how.step >= 1);
    }
    T decay, shrink, keep1, keep2, take1, take2, correction, rate, epsilon;

    template <class G, class X>
    constexpr void operator()(const G& gradient, X& value, X& first_moment, X& second_moment) const {
      using std::sqrt;
      const X slope = gradient + value * decay;
      first_moment = first_moment * keep1 + slope * take1;
      second_moment = second_moment * keep2 + slope * slope * take2;
      value = value * shrink - rate * first_moment / (sqrt(second_moment) * correction + epsilon);
    }
  };
};

/// Stochastic gradient descent as PyTorch defines it: with g the gradient plus an L2 term, value -= lr · g.
struct SgdRule {
  static constexpr std::string_view name = "sgd";
  static constexpr std::array<std::string_view, 0> moments = {};

  double learning_rate = 0.0;
  double weight_decay = 0.0;

  template <class T>
  struct Function {
    explicit Function(const SgdRule& how)
        : decay(static_cast<T>(how.weight_decay)), rate(static_cast<T>(how.learning_rate)) {}
    T decay, rate;

    template <class G, class X>
    constexpr void operator()(const G& gradient, X& value) const {
      const X slope = gradient + value * decay;
      value = value - rate * slope;
    }
  };
};

/// The same with momentum μ and without dampening: velocity = μ velocity + g, value -= lr · velocity, or with Nesterov
/// value -= lr · (g + μ velocity).
struct SgdMomentumRule {
  static constexpr std::string_view name = "sgd_momentum";
  static constexpr std::array<std::string_view, 1> moments = {"velocity"};

  double learning_rate = 0.0;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.0;

  template <class T>
  struct Function {
    explicit Function(const SgdMomentumRule& how)
        : decay(static_cast<T>(how.weight_decay)),
          rate(static_cast<T>(how.learning_rate)),
          momentum(static_cast<T>(how.momentum)),
          nesterov(how.nesterov) {}
    T decay, rate, momentum;
    bool nesterov;

    template <class G, class X>
    constexpr void operator()(const G& gradient, X& value, X& velocity) const {
      const X slope = gradient + value * decay;
      velocity = momentum * velocity + slope;
      if (nesterov)
        value = value - rate * (slope + momentum * velocity);
      else
        value = value - rate * velocity;
    }
  };
};

namespace update_rule_detail {

/// -1, 0 or 1, as PyTorch's sign. Of an array by what vector units have: a number but 0, times 2²⁰⁰ or more, is at
/// least 1 in size, the smallest one as well.
template <class T, class X>
constexpr X sign(const X& x) {
  if constexpr (std::is_same_v<X, T>) {
    return static_cast<T>(x > T(0)) - static_cast<T>(x < T(0));
  } else {
    constexpr T large = std::is_same_v<T, float> ? T(0x1p100f) : T(0x1p600);
    return (x * large * large).max(T(-1)).min(T(1));
  }
}

}  // namespace update_rule_detail

/// Lion (Chen et al. 2023): value *= 1 - lr · decay, then value -= lr · sign(β₁ m + (1-β₁) g), and only then
/// m = β₂ m + (1-β₂) g.
struct LionRule {
  static constexpr std::string_view name = "lion";
  static constexpr std::array<std::string_view, 1> moments = {"momentum"};

  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.0;

  template <class T>
  struct Function {
    explicit Function(const LionRule& how)
        : shrink(static_cast<T>(1.0 - how.learning_rate * how.weight_decay)),
          rate(static_cast<T>(how.learning_rate)),
          keep1(static_cast<T>(how.beta1)),
          keep2(static_cast<T>(how.beta2)),
          take1(static_cast<T>(1.0 - how.beta1)),
          take2(static_cast<T>(1.0 - how.beta2)) {}
    T shrink, rate, keep1, keep2, take1, take2;

    template <class G, class X>
    constexpr void operator()(const G& gradient, X& value, X& momentum) const {
      const X slope = gradient;
      const X direction = momentum * keep1 + slope * take1;
      value = value * shrink - rate * update_rule_detail::sign<T>(direction);
      momentum = momentum * keep2 + slope * take2;
    }
  };
};

template <class... Rules>
struct UpdateRuleList {};

/// The rules that backends run. A new rule stands here, and its optimizer in train/optimizers.hpp.
using UpdateRules = UpdateRuleList<AdamRule, SgdRule, SgdMomentumRule, LionRule>;

}  // namespace neural_attention
