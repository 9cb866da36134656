// Update rules on the CPU, one pass over flat memory, and the norm for clipping.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <tuple>

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

/// Pieces are cut by shape; their sums lie in the caller's workspace and are added in order.
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
  if (!op.has_norm) outcome->squared_norm = compute(cpu, ops::SquaredNormOf<T>{.x = op.gradient});
  const double norm = std::sqrt(outcome->squared_norm);
  outcome->gradient_scale = op.limit > 0.0 ? std::min(1.0, op.limit / (norm + 1e-6)) : 1.0;
  outcome->finite = std::isfinite(norm) && std::isfinite(outcome->smoothed_loss);
}

template <class T, class Rule>
void compute(CpuEngine<T>& cpu, const ops::UpdateOf<T, Rule>& op) {
  using Block = cpu_blocks::Block<T>;
  assert(op.gradient.contiguous() && op.value.contiguous() && op.gradient.size() == op.value.size());
  for ([[maybe_unused]] const auto& moment : op.moments)
    assert(moment.contiguous() && moment.size() == op.value.size());
  if (!op.outcome->finite) return;
  const typename Rule::template Function<T> rule(op.rule);
  const T scale = static_cast<T>(op.outcome->gradient_scale);
  cpu.split(op.value.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T* const gradient = op.gradient.data + first;
    const auto update = [&](auto at, Block& value, auto&... moments) { rule(at(gradient) * scale, value, moments...); };
    std::apply(
        [&](const auto&... moments) {
          cpu_blocks::update(count, update, op.value.data + first, (moments.data + first)...);
        },
        op.moments);
  });
}

}  // namespace neural_attention
