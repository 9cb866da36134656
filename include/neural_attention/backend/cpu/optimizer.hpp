// Optimizers on the CPU as PyTorch defines them, one pass over flat memory: with g the scaled gradient, Adam is
// m = β1 m + (1-β1) g, v = β2 v + (1-β2) g², value -= lr / (1-β1ᵗ) · m / (√v / √(1-β2ᵗ) + ε); SGD is u = μ u + g,
// value -= lr · u (Nesterov: lr · (g + μ u)). And the norm for clipping.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_optimizer {

/// Σ x² of a run, in double.
template <class T>
double sum_of_squares(const T* x, std::ptrdiff_t n) {
  constexpr int lanes = 32;  // plain loops over arrays: Eigen does not vectorise the conversion
  double sums[lanes] = {};
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int j = 0; j < lanes; ++j) sums[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  for (int j = 0; i < n; ++i, ++j) sums[j] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace cpu_optimizer

// Pieces are cut by shape; their sums lie in the caller's workspace and are added in order.
template <class T>
double compute(CpuEngine<T>& cpu, const ops::SquaredNormOf<T>& op) {
  const auto x = op.x;
  const auto cols = cpu_blocks::common_columns(x);
  const auto size = x.size();
  if (size == 0) return 0.0;
  constexpr std::ptrdiff_t piece = 4 * cpu_blocks::grain;
  const auto pieces = static_cast<int>((size + piece - 1) / piece);
  constexpr std::size_t per_double = (sizeof(double) + sizeof(T) - 1) / sizeof(T);
  void* const memory = cpu.workspaces[0].reserve(static_cast<std::size_t>(pieces) * per_double);
  double* const sums = static_cast<double*>(memory);
  cpu.threads.run(pieces, [&](int i, int) {
    const auto first = piece * i;
    double sum = 0.0;
    cpu_blocks::visit_rows(first, std::min(piece, size - first), cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      sum += cpu_optimizer::sum_of_squares(x.row(r) + c, n);
    });
    sums[i] = sum;
  });
  double total = 0.0;
  for (int i = 0; i < pieces; ++i) total += sums[i];
  return total;
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ClippingOf<T>& op) {
  const auto outcome = op.outcome;
  outcome->squared_norm = compute(cpu, ops::SquaredNormOf<T>{.x = op.gradient});
  const double norm = std::sqrt(outcome->squared_norm);
  outcome->gradient_scale = op.limit > 0.0 ? std::min(1.0, op.limit / (norm + 1e-6)) : 1.0;
  outcome->finite = std::isfinite(norm) && std::isfinite(outcome->smoothed_loss);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::AdamOf<T>& op) {
  const auto& how = op.how;
  const auto gradient = op.gradient, value = op.value, first_moment = op.first_moment, second_moment = op.second_moment;
  using Block = cpu_blocks::Block<T>;
  assert(gradient.contiguous() && value.contiguous() && first_moment.contiguous() && second_moment.contiguous());
  assert(gradient.size() == value.size() && first_moment.size() == value.size());
  assert(second_moment.size() == value.size() && how.step >= 1);
  if (!op.outcome->finite) return;
  const auto step = static_cast<double>(how.step);
  const T scale = static_cast<T>(op.outcome->gradient_scale);
  const T decay = static_cast<T>(how.decoupled ? 0.0 : how.weight_decay);
  const T shrink = static_cast<T>(how.decoupled ? 1.0 - how.learning_rate * how.weight_decay : 1.0);
  const T keep1 = static_cast<T>(how.beta1), keep2 = static_cast<T>(how.beta2);
  const T take1 = static_cast<T>(1.0 - how.beta1), take2 = static_cast<T>(1.0 - how.beta2);
  const T correction = static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(how.beta2, step)));
  const T rate = static_cast<T>(how.learning_rate / (1.0 - std::pow(how.beta1, step)));
  const T epsilon = static_cast<T>(how.epsilon);
  cpu.split(value.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T* const g = gradient.data + first;
    T *const w = value.data + first, *const m = first_moment.data + first, *const v = second_moment.data + first;
    const auto update = [&](auto at, Block& m_new, Block& v_new) -> Block {
      const Block old = at(w);
      const Block slope = at(g) * scale + old * decay;
      m_new = at(m) * keep1 + slope * take1;
      v_new = at(v) * keep2 + slope * slope * take2;
      return old * shrink - rate * m_new / (v_new.sqrt() * correction + epsilon);
    };
    constexpr int size = cpu_blocks::block_size;
    Block m_new, v_new;
    std::ptrdiff_t i = 0;
    for (; i + size <= count; i += size) {
      Eigen::Map<Block>(w + i) = update(cpu_blocks::WholeBlock<T>{i}, m_new, v_new);
      Eigen::Map<Block>(m + i) = m_new;
      Eigen::Map<Block>(v + i) = v_new;
    }
    if (i == count) return;
    const Block w_new = update(cpu_blocks::PartBlock<T>{i, count - i}, m_new, v_new);
    std::copy_n(w_new.data(), count - i, w + i);
    std::copy_n(m_new.data(), count - i, m + i);
    std::copy_n(v_new.data(), count - i, v + i);
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::SgdOf<T>& op) {
  const auto& how = op.how;
  const auto gradient = op.gradient, value = op.value, velocity = op.velocity;
  using Block = cpu_blocks::Block<T>;
  assert(gradient.contiguous() && value.contiguous() && gradient.size() == value.size());
  assert(how.momentum == 0.0 || (velocity.contiguous() && velocity.size() == value.size()));
  if (!op.outcome->finite) return;
  const T scale = static_cast<T>(op.outcome->gradient_scale), decay = static_cast<T>(how.weight_decay);
  const T rate = static_cast<T>(how.learning_rate), momentum = static_cast<T>(how.momentum);
  cpu.split(value.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T* const g = gradient.data + first;
    T* const w = value.data + first;
    const auto slope = [&](auto at) -> Block { return at(g) * scale + at(w) * decay; };
    if (how.momentum == 0.0) {
      cpu_blocks::store(w, count, [&](auto at) -> Block { return at(w) - rate * slope(at); });
      return;
    }
    T* const u = velocity.data + first;
    cpu_blocks::store(u, count, [&](auto at) -> Block { return momentum * at(u) + slope(at); });
    if (how.nesterov)
      cpu_blocks::store(w, count, [&](auto at) -> Block { return at(w) - rate * (slope(at) + momentum * at(u)); });
    else
      cpu_blocks::store(w, count, [&](auto at) -> Block { return at(w) - rate * at(u); });
  });
}

}  // namespace neural_attention
