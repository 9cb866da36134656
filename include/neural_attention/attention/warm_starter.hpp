// WarmStarter: finds the values with which a projector begins as a linear map y = W x + b. Without LayerNorm the start
// is exact, because f(y) - f(-y) = y for ReLU, GELU and SiLU. With LayerNorm it is approximate: the relative error of
// Linear (biases ±C), LayerNorm, ReLU, Linear is about rms(y)² / (2 C²).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "neural_attention/attention/choice.hpp"
#include "neural_attention/attention/linear_map.hpp"
#include "neural_attention/attention/projector_names.hpp"
#include "neural_attention/backend/cpu/matrix_factors.hpp"
#include "neural_attention/core/number_text.hpp"

namespace neural_attention {

template <class B>
class WarmStarter;

/// Plans that the projector held by a Choice begins as `map`.
template <class Chooser, class B>
WarmStart start_chosen(WarmStarter<B>& starter, Chooser& choice, const LinearMap& map);

/// Finds the values that turn projectors into linear maps. Only commit() writes them, so a projector that cannot start
/// leaves the model unchanged.
template <class B>
class WarmStarter {
  using Real = typename B::Real;

 public:
  WarmStarter(B& backend, const WarmStartOptions& options) : backend_(&backend), options_(options) {
    if (!(options.layer_norm_shift > 0.0) || !std::isfinite(options.layer_norm_shift))
      throw ConfigError("the warm start's layer_norm_shift must be positive, not " +
                        number_text(options.layer_norm_shift));
  }

  /// Plans that `projector` begins as `map`. A projector type of your own offers `WarmStart start_from(const
  /// LinearMap&, WarmStarter<B>&)`, made of the calls below. Throws ConfigError if the type cannot start so, and
  /// ShapeError if the map has other widths than the projector; both begin with `prefix`.
  template <class P>
  WarmStart start(const std::string& prefix, P& projector, const LinearMap& map) {
    prefix_ = prefix;
    if (map.in <= 0 || map.out <= 0 || std::ssize(map.weight) != std::ptrdiff_t{map.in} * map.out ||
        std::ssize(map.bias) != map.out)
      fail("the linear map of " + std::to_string(map.in) + " to " + std::to_string(map.out) + " elements has " +
           std::to_string(map.weight.size()) + " weights and " + std::to_string(map.bias.size()) + " biases");
    return start(projector, map);
  }

  /// The same for a part of the current projector.
  template <class P>
  WarmStart start(P& projector, const LinearMap& map) {
    if constexpr (requires { projector.start_from(map, *this); }) {
      return projector.start_from(map, *this);
    } else if constexpr (requires { this->plan(projector, map); }) {
      return plan(projector, map);
    } else {
      std::string type = "this type of projector";
      if constexpr (requires { ProjectorName<P>::value; })
        type = "the projector '" + std::string(ProjectorName<P>::value) + "'";
      fail(type + " has no warm start; its class would offer WarmStart start_from(const LinearMap&, WarmStarter<B>&)");
    }
  }

  /// Plans that `place`, part of a Parameter's master, will hold `values`, row after row.
  void set(RowsOf<Real> place, const std::vector<double>& values) {
    if (std::ssize(values) != place.size())
      fail(std::to_string(values.size()) + " values for " + std::to_string(place.size()) + " places");
    planned_.push_back({place, std::vector<Real>(values.begin(), values.end())});
  }
  void fill(RowsOf<Real> place, double value) {
    set(place, std::vector<double>(static_cast<std::size_t>(place.size()), value));
  }

  [[noreturn]] void fail(const std::string& why) const { throw ConfigError(prefix_ + ": " + why); }

  /// Writes all planned values. Modules see them after the store's refresh().
  void commit() {
    for (const auto& [place, values] : planned_) (*backend_)(ops::UploadOf<Real>{.values = values, .x = place});
    planned_.clear();
  }

 private:
  struct Planned {
    RowsOf<Real> place;
    std::vector<Real> values;
  };

  WarmStart plan(Linear<B>& linear, const LinearMap& map) {
    require_widths(linear.weight.cols, linear.weight.rows, map);
    set(linear.weight.master, map.weight);
    set_bias(linear, map.bias);
    return {WarmStartForm::Copied};
  }

  // A Linear by type, but x is not its input.
  WarmStart plan(JointQkv<B>&, const LinearMap&) {
    return refused("joint_qkv has a non-linear map in front, so it cannot begin as a linear map");
  }

  WarmStart plan(Sequential<B, Linear<B>>& stack, const LinearMap& map) { return plan(stack.template get<0>(), map); }

  template <Activation F>
  WarmStart plan(Sequential<B, Linear<B>, ElementWise<B, F>, Linear<B>>& stack, const LinearMap& map) {
    if constexpr (!splits_identity(F))
      fail("the activation f of this projector does not have f(x) - f(-x) = x, as ReLU, GELU and SiLU have");
    set_mirrored(stack.template get<0>(), stack.template get<2>(), map, 0.0);
    set_difference(stack.template get<2>(), map, 1.0);
    return {WarmStartForm::Exact};
  }

  // Its first coefficients make r(x) - r(-x) = x, in every group of columns alike.
  WarmStart plan(Sequential<B, Linear<B>, Rational<B>, Linear<B>>& stack, const LinearMap& map) {
    stack.template get<1>().for_each_first_value(
        [&](Parameter<B>& tensor, const std::vector<double>& values) { set(tensor.master, values); });
    set_mirrored(stack.template get<0>(), stack.template get<2>(), map, 0.0);
    set_difference(stack.template get<2>(), map, 1.0);
    return {WarmStartForm::Exact};
  }

  // With s = 1, -1 in turn (and 0 for an odd one at the end), the hidden units are h = C s + y and C s - y. Their
  // variance hardly depends on y. A gain equal to their deviation without y therefore makes LayerNorm a shift by its
  // mean, which cancels in the difference of the halves, and a bias of 2 C keeps every ReLU open. Gain and bias are
  // divided by C and the last layer is multiplied by C: otherwise an optimizer step in the last layer would count C
  // times.
  WarmStart plan(Sequential<B, Linear<B>, LayerNorm<B>, Relu<B>, Linear<B>>& stack, const LinearMap& map) {
    auto& first = stack.template get<0>();
    auto& norm = stack.template get<1>();
    if (!first.has_bias() || norm.bias.cols == 0)
      fail("a network with a LayerNorm needs biases to begin near a linear map, and has none");
    const double c = options_.layer_norm_shift;
    const double from_map = set_mirrored(first, stack.template get<3>(), map, c);
    set_difference(stack.template get<3>(), map, 0.5 * c);
    const int used = 2 * map.out, hidden = first.weight.rows;
    if (map.out == 1) fail("a network with a LayerNorm cannot begin near a linear map to a single element");
    const double variance = c * c * (used - 2 * (map.out % 2)) / hidden;
    fill(norm.gain.master, std::sqrt(variance + norm.epsilon()) / c);
    fill(norm.bias.master.columns(0, used), 2.0);
    if (hidden > used) fill(norm.bias.master.columns(used, hidden - used), 0.0);
    const double squares = from_map + further_units(first, used);
    return {WarmStartForm::Near, squares / hidden / (2.0 * variance)};
  }

  // W = W₂ W₁ by the singular values of W, shared equally between both. A bottleneck keeps the largest.
  WarmStart plan(Sequential<B, Linear<B>, Linear<B>>& stack, const LinearMap& map) {
    auto& first = stack.template get<0>();
    auto& last = stack.template get<1>();
    require_widths(first.weight.cols, last.weight.rows, map);
    const auto halves = factored<double>(map.weight, map.out, map.in, first.weight.rows);
    const int used = std::min({first.weight.rows, map.in, map.out});
    set(first.weight.master.slice(0, used), halves.first);
    if (first.has_bias()) fill(first.bias.master, 0.0);
    set(last.weight.master, halves.last);
    set_bias(last, map.bias);
    if (halves.left_out == 0.0) return {WarmStartForm::Exact};
    return {WarmStartForm::Near, halves.left_out};
  }

  // Gates stand open at f(1) for every input, and the last layer divides by it.
  template <Activation F>
  WarmStart plan(Gated<B, F>& gated, const LinearMap& map) {
    const int hidden = gated.value.weight.rows, used = map.out;
    require_widths(gated.value.weight.cols, gated.output.weight.rows, map);
    if (hidden < used) fail_narrow("gated network", used, "the width of its output", hidden);
    if (!gated.gate.has_bias()) fail("a gated network without biases cannot begin as a linear map");
    const double open = activation_at_one(F);
    fill(gated.gate.weight.master.slice(0, used), 0.0);
    fill(gated.gate.bias.master.columns(0, used), 1.0);
    set(gated.value.weight.master.slice(0, used), map.weight);
    set(gated.value.bias.master.columns(0, used), map.bias);
    std::vector<double> last(static_cast<std::size_t>(used) * static_cast<std::size_t>(hidden), 0.0);
    for (int i = 0; i < used; ++i)
      last[static_cast<std::size_t>(i) * static_cast<std::size_t>(hidden) + static_cast<std::size_t>(i)] = 1.0 / open;
    set(gated.output.weight.master, last);
    fill(gated.output.bias.master, 0.0);
    return {WarmStartForm::Exact};
  }

  // The same in one map.
  WarmStart plan(GluSilu<B>& glu, const LinearMap& map) {
    auto& both = glu.map;
    require_widths(both.weight.cols, both.weight.rows / 2, map);
    if (!both.has_bias()) fail("a gated map without biases cannot begin as a linear map");
    const auto scaled = [](std::vector<double> values) {
      for (auto& value : values) value /= activation_at_one(Activation::Silu);
      return values;
    };
    set(both.weight.master.slice(0, map.out), scaled(map.weight));
    set(both.bias.master.columns(0, map.out), scaled(map.bias));
    fill(both.weight.master.slice(map.out, map.out), 0.0);
    fill(both.bias.master.columns(map.out, map.out), 1.0);
    return {WarmStartForm::Exact};
  }

  WarmStart plan(Identity<B>&, const LinearMap&) {
    return refused("an identity has no weights that could hold a linear map");
  }

  template <template <class> class Inner, int Divisor>
  WarmStart plan(IdentityResidual<B, Inner, Divisor>&, const LinearMap&) {
    return refused("a network beside x itself has no matrix that could hold a linear map");
  }

  WarmStart plan(Pattention<B>&, const LinearMap&) {
    return refused("attention to learned tokens normalises its scores, so it cannot begin as a linear map");
  }

  template <template <class> class Inner>
  WarmStart plan(Residual<B, Inner>& residual, const LinearMap& map) {
    plan(residual.linear, map);
    residual.for_each_last([&](Parameter<B>& tensor) { fill(tensor.master, 0.0); });
    return {WarmStartForm::Exact};
  }

  template <template <class> class... Projectors>
  WarmStart plan(Choice<B, Projectors...>& choice, const LinearMap& map) {
    return start_chosen(*this, choice, map);
  }

  void require_widths(int in, int out, const LinearMap& map) const {
    if (in != map.in || out != map.out)
      throw ShapeError(prefix_ + ": the projector maps " + std::to_string(in) + " to " + std::to_string(out) +
                       " elements, the linear map " + std::to_string(map.in) + " to " + std::to_string(map.out));
  }

  [[noreturn]] WarmStart refused(const std::string& why) const { fail(why); }

  /// The first elements of the bias of a layer that may lack one.
  void set_bias(Linear<B>& linear, const std::vector<double>& bias) {
    if (linear.has_bias())
      set(linear.bias.master.columns(0, static_cast<int>(bias.size())), bias);
    else if (std::ranges::any_of(bias, [](double b) { return b != 0.0; }))
      throw ShapeError(prefix_ + ": the projector has no bias, but the linear map has one");
  }

  [[noreturn]] void fail_narrow(const std::string& what, int needed, const std::string& which, int hidden) const {
    fail("a " + what + " that begins as a linear map needs at least " + std::to_string(needed) + " hidden units, " +
         which + ", but has " + std::to_string(hidden) + " (its hidden width must be larger)");
  }

  /// The first layer becomes [W; -W] x + [b; -b] + [c s; c s]; further units stay as they are. Returns the expected sum
  /// of the squares of both halves, without c s.
  double set_mirrored(Linear<B>& first, const Linear<B>& last, const LinearMap& map, double c) {
    const int hidden = first.weight.rows, used = 2 * map.out;
    require_widths(first.weight.cols, last.weight.rows, map);
    if (hidden < used) fail_narrow("network", used, "twice its output's width", hidden);
    std::vector<double> weight, bias;
    double squares = 0.0;
    for (const double sign : {1.0, -1.0}) {
      for (const double w : map.weight) weight.push_back(sign * w);
      for (int i = 0; i < map.out; ++i) {
        const bool left_over = i % 2 == 0 && i + 1 == map.out;
        const double s = left_over ? 0.0 : i % 2 == 0 ? 1.0 : -1.0;
        bias.push_back(sign * map.bias[static_cast<std::size_t>(i)] + c * s);
      }
    }
    for (const double w : map.weight) squares += w * w;
    for (const double b : map.bias) squares += b * b;
    set(first.weight.master.slice(0, used), weight);
    set_bias(first, bias);
    return 2.0 * squares;
  }

  /// The last layer becomes factor · [I, -I, 0].
  void set_difference(Linear<B>& last, const LinearMap& map, double factor) {
    const auto hidden = static_cast<std::size_t>(last.weight.cols), out = static_cast<std::size_t>(map.out);
    std::vector<double> weight(out * hidden, 0.0);
    for (std::size_t i = 0; i < out; ++i) {
      weight[i * hidden + i] = factor;
      weight[i * hidden + out + i] = -factor;
    }
    set(last.weight.master, weight);
    if (last.has_bias()) fill(last.bias.master, 0.0);
  }

  /// The expected sum of squares of the hidden units from `used` on.
  double further_units(Linear<B>& first, int used) {
    const int further = first.weight.rows - used;
    if (further == 0) return 0.0;
    return (*backend_)(ops::SquaredNorm<B>{.x = first.weight.master.slice(used, further)}) +
           (*backend_)(ops::SquaredNorm<B>{.x = first.bias.master.columns(used, further)});
  }

  B* backend_;
  WarmStartOptions options_;
  std::string prefix_;
  std::vector<Planned> planned_;
};

template <class Chooser, class B>
WarmStart start_chosen(WarmStarter<B>& starter, Chooser& choice, const LinearMap& map) {
  return choice.with_chosen([&](auto& projector) { return starter.start(projector, map); });
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template WarmStart start_chosen(WarmStarter<Cpu<float>>&, AnyProjector<Cpu<float>>&, const LinearMap&);
#endif

}  // namespace neural_attention
