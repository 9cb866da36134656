// LinearMap: y = W x + b on the host, which a projector may begin as, how closely it then matches, and which tensors of
// a model are such a map.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/kinds.hpp"

namespace neural_attention {

/// y = W x + b: weight [out, in] row after row, bias [out].
struct LinearMap {
  int in = 0;
  int out = 0;
  std::vector<double> weight;
  std::vector<double> bias;  ///< zeros if the map has none
};

/// The names of a linear map's tensors in a model or in files.
struct LinearMapNames {
  std::string weight;
  std::string bias;  ///< empty if it has none
};

/// The tensors below `prefix`, which ends with a dot, if they are those of a Linear or a SequentialLinear, with a bias
/// or without. for_each_name(use) calls use(name) for all tensors. A JointQkv's matrix is none: a map beside it, with a
/// norm, makes its input.
std::optional<LinearMapNames> linear_map_names(const std::string& prefix, auto&& for_each_name) {
  const auto attention = prefix.substr(0, prefix.rfind('.', prefix.size() - 2) + 1);
  std::set<std::string> near;
  for_each_name([&](const std::string& name) {
    if (name.starts_with(attention)) near.insert(name);
  });
  std::size_t below = 0;
  bool joint = false;
  for (const auto& name : near) {
    below += name.starts_with(prefix);
    const auto dot = name.find('.', attention.size());
    joint = joint || (std::string_view(name).substr(std::min(dot, name.size())) == ".map.weight" &&
                      near.contains(name.substr(0, dot) + ".norm.weight"));
  }
  for (const std::string infix : {"", "0."}) {
    const LinearMapNames names = {prefix + infix + "weight", prefix + infix + "bias"};
    if (!near.contains(names.weight)) continue;
    if (below == 2 && near.contains(names.bias)) return names;
    if (below == 1 && !joint) return LinearMapNames{names.weight, ""};
  }
  return std::nullopt;
}

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
