// Activation functions over a run of numbers, and dy · f'(x). GELU is exact, x·Φ(x), with an erf of our own;
// GPT-2's is x·σ(2u), because (1 + tanh(u)) / 2 = σ(2u).
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cpu_elementwise {

template <class T>
using Block = cpu_blocks::Block<T>;

/// The error function. For float, x·P(x²)/Q(x²), a minimax fit on |x| ≤ 4, and beyond exactly ±1: GELU multiplies what
/// is left of Φ by x. Absolute error below 4e-7. For double, std::erf.
template <class T>
[[gnu::always_inline]] inline Block<T> erf(const Block<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Block<T> y = x.max(-4.0f).min(4.0f);
    const Block<T> z = y * y;
    const Block<T> p =
        ((((1.97432414e-6f * z + 2.87813989e-4f) * z + 3.99842489e-3f) * z + 5.34516460e-2f) * z + 1.96142365e-1f) * z +
        1.12837898f;
    const Block<T> q =
        ((((3.74634567e-5f * z + 1.21487393e-3f) * z + 1.54342983e-2f) * z + 1.16430702e-1f) * z + 5.07157879e-1f) * z +
        1.0f;
    return (y * p / q + (x - y)).max(-1.0f).min(1.0f);  // the fit is one rounding short of 1 at 4
  } else {
    return x.unaryExpr([](T value) { return std::erf(value); });
  }
}

/// Φ(x), the distribution function of the standard normal distribution.
template <class T>
[[gnu::always_inline]] inline Block<T> normal_cdf(const Block<T>& x) {
  constexpr T sqrt_half = T(0.70710678118654752440);
  return T(0.5) * erf<T>(x * sqrt_half) + T(0.5);
}

/// max(x, 0). A NaN stays NaN: Eigen's max returns its first operand unless the second is larger.
template <class T>
Block<T> relu(const Block<T>& x) {
  return x.max(T(0));
}

/// dy where y > 0, else 0, as a packet operation: Eigen 3.4 does not vectorise select().
struct ReluGradient {
  template <class T>
  T operator()(const T& y, const T& dy) const {
    return y > T(0) ? dy : T(0);
  }
  template <class Packet>
  Packet packetOp(const Packet& y, const Packet& dy) const {
    return Eigen::internal::pand(Eigen::internal::pcmp_lt(Eigen::internal::pzero(y), y), dy);
  }
};

}  // namespace neural_attention::cpu_elementwise

template <>
struct Eigen::internal::functor_traits<neural_attention::cpu_elementwise::ReluGradient> {
  enum { Cost = 2, PacketAccess = true };
};

namespace neural_attention::cpu_elementwise {

template <class T>
Block<T> relu_gradient(const Block<T>& y, const Block<T>& dy) {
  return y.binaryExpr(dy, ReluGradient{});
}

template <class T>
Block<T> sigmoid(const Block<T>& x) {
  return T(1) / (T(1) + (-x).exp());
}

/// 2u and its slope for GPT-2's GELU, u = √(2/π) (x + 0.044715 x³). Beyond ±100, where the gate is 0 or 1, they stay.
template <class T>
struct TanhGate {
  static constexpr T factor = T(1.59576912160573071176);  // 2 √(2/π)
  static constexpr T cubic = T(0.044715);

  explicit TanhGate(const Block<T>& v) : x(v.max(T(-100)).min(T(100))), square(x * x) {}
  Block<T> value() const { return x * (factor * (T(1) + cubic * square)); }
  Block<T> slope() const { return factor * (T(1) + (T(3) * cubic) * square); }

  Block<T> x, square;
};

/// y = f(x). y may be x.
template <class T>
void apply(Activation f, const T* x, T* y, std::ptrdiff_t n) {
  // Mish: tanh(log(1 + e)) = m / (m + 2) with e = exp(x), m = e (e + 2); it is 1 long before e overflows.
  constexpr T linear_from = T(30);
  switch (f) {
    case Activation::Identity:
      if (x != y) std::copy_n(x, n, y);
      break;
    case Activation::Relu:
      cpu_blocks::store(y, n, [&](auto at) -> Block<T> { return relu<T>(at(x)); });
      break;
    case Activation::Gelu:
      cpu_blocks::store(y, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        return v * normal_cdf<T>(v);
      });
      break;
    case Activation::GeluTanh:
      cpu_blocks::store(y, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        return v * sigmoid<T>(TanhGate<T>(v).value());
      });
      break;
    case Activation::Silu:
      cpu_blocks::store(y, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        return v * sigmoid<T>(v);
      });
      break;
    case Activation::Mish:
      cpu_blocks::store(y, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        const Block<T> e = v.min(linear_from).exp();
        const Block<T> m = e * (e + T(2));
        return v * (m / (m + T(2)));
      });
      break;
  }
}

/// dx = dy · f'(x). dx may be dy.
template <class T>
void apply_backward(Activation f, const T* x, const T* dy, T* dx, std::ptrdiff_t n) {
  constexpr T linear_from = T(30);
  switch (f) {
    case Activation::Identity:
      if (dx != dy) std::copy_n(dy, n, dx);
      break;
    case Activation::Relu:
      cpu_blocks::store(dx, n, [&](auto at) -> Block<T> { return relu_gradient<T>(at(x), at(dy)); });
      break;
    case Activation::Gelu:  // Φ(x) + x φ(x)
      cpu_blocks::store(dx, n, [&](auto at) -> Block<T> {
        constexpr T density = T(0.39894228040143267794);  // 1/√(2π)
        const Block<T> v = at(x);
        const Block<T> slope = normal_cdf<T>(v) + v * density * (T(-0.5) * v * v).exp();
        return slope * Block<T>(at(dy));
      });
      break;
    case Activation::GeluTanh:  // s (1 + x (1 - s) 2u')
      cpu_blocks::store(dx, n, [&](auto at) -> Block<T> {
        const TanhGate<T> gate(at(x));
        const Block<T> s = sigmoid<T>(gate.value());
        return s * (T(1) + gate.x * (T(1) - s) * gate.slope()) * Block<T>(at(dy));
      });
      break;
    case Activation::Silu:  // s (1 + x (1 - s))
      cpu_blocks::store(dx, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        const Block<T> s = sigmoid<T>(v);
        return s * (T(1) + v * (T(1) - s)) * Block<T>(at(dy));
      });
      break;
    case Activation::Mish:  // t + x (1 - t²) σ(x), where (1 - t²) σ(x) = 4 e (1 + e) / (m + 2)²
      cpu_blocks::store(dx, n, [&](auto at) -> Block<T> {
        const Block<T> v = at(x);
        const Block<T> e = v.min(linear_from).exp();
        const Block<T> m = e * (e + T(2));
        const Block<T> inverse = T(1) / (m + T(2));
        return (m * inverse + v.min(linear_from) * (T(4) * e * inverse) * ((T(1) + e) * inverse)) * Block<T>(at(dy));
      });
      break;
  }
}

}  // namespace neural_attention::cpu_elementwise
