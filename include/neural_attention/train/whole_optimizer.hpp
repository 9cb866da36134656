// WholeOptimizer: the moments of all ranks for a checkpoint, where each rank holds only the moments of its share.
#pragma once

#include <string_view>
#include <vector>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/train/gradient_sums.hpp"
#include "neural_attention/train/rule_optimizer.hpp"

namespace neural_attention {

/// Rank 0 has all moments, zero at first, which takes as much memory as an optimizer that holds all; on the other ranks
/// there are none. The optimizer and the sums must outlive it. gather() and scatter() are called by all ranks.
template <class B, class O, class G>
class WholeOptimizer {
 public:
  WholeOptimizer(B& backend, const ParameterStore<B>& store, O& optimizer, GradientSums<B, G>& sums, int rank)
      : backend_(&backend), optimizer_(&optimizer), sums_(&sums), has_moments_(rank == 0) {
    if (!has_moments_) return;
    for (const auto& own : optimizer.moments()) {
      memory_.emplace_back(backend, store.gradients().cols);
      moments_.push_back({own.name, memory_.back().all()});
    }
  }

  std::string_view name() const { return optimizer_->name(); }
  std::vector<Moment<B>> moments() const { return moments_; }
  /// Whether this rank has the moments, as rank 0 has.
  bool has_moments() const { return has_moments_; }
  void set_steps(long steps) { optimizer_->set_steps(steps); }

  /// Copies the moments of the ranks to the moments here.
  void gather() {
    for_each([this](auto own, auto whole) { sums_->gather_to_first(*backend_, own, whole); });
  }
  /// Copies the moments here to the moments of the ranks.
  void scatter() {
    for_each([this](auto own, auto whole) { sums_->scatter_from_first(*backend_, whole, own); });
  }

 private:
  void for_each(auto&& use) {
    const auto own = optimizer_->moments();
    for (std::size_t i = 0; i < own.size(); ++i)
      use(own[i].numbers, !has_moments_ ? RowsOf<typename B::Real>() : moments_[i].numbers);
  }

  B* backend_;
  O* optimizer_;
  GradientSums<B, G>* sums_;
  bool has_moments_;
  std::vector<MomentMemory<B>> memory_;
  std::vector<Moment<B>> moments_;
};

}  // namespace neural_attention
