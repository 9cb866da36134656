// LinearMap: y = W x + b on the host, which a projector may begin as, and how closely it then matches.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "neural_attention/core/kinds.hpp"

namespace neural_attention {

/// y = W x + b: weight [out, in] row after row, bias [out].
struct LinearMap {
  int in = 0;
  int out = 0;
  std::vector<double> weight;
  std::vector<double> bias;
};

struct WarmStartOptions {
  /// C for projectors with a LayerNorm. A larger C approximates the linear map better until rounding dominates (in
  /// float32 from about 300 on), but makes the projector more linear: all ReLUs start open, and one closes only if an
  /// element of y exceeds ±C.
  double layer_norm_shift = 100.0;
};

/// How closely a projector matches its linear map: it is one, it equals it up to rounding, or it approximates it.
enum class WarmStartForm { Copied, Exact, Near };

struct WarmStart {
  WarmStartForm form = WarmStartForm::Exact;
  double expected_error = 0.0;  ///< relative, for inputs with uncorrelated elements of mean 0 and variance 1
};

/// Whether f(x) - f(-x) = x.
constexpr bool splits_identity(Activation f) { return f != Activation::Mish && f != Activation::Identity; }

/// f(1), where a gate stands at first.
inline double activation_at_one(Activation f) {
  switch (f) {
    case Activation::Gelu:
      return 0.5 * (1.0 + std::erf(std::sqrt(0.5)));
    case Activation::GeluTanh:
      return 0.5 * (1.0 + std::tanh(1.044715 * std::sqrt(2.0 / std::numbers::pi)));
    case Activation::Silu:
      return 1.0 / (1.0 + std::exp(-1.0));
    case Activation::Mish:
      return std::tanh(std::log1p(std::exp(1.0)));
    case Activation::Relu:
    case Activation::Identity:
      break;
  }
  return 1.0;
}

}  // namespace neural_attention
