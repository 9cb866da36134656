// Packed copies of weights that do not change for a while. Every round of decoding multiplies a few rows by all
// weights; packing them each time would take a sixth of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention::cpu_gemm {

/// `Memory` allocates and keeps memory of T, like Cpu's Workspace.
template <class T, class Memory>
class KeptWeights {
 public:
  /// After keep(true), the values of all weights must not change. keep(false) forgets the copies but keeps the memory.
  void keep(bool kept) {
    kept_ = kept;
    copies_.clear();
  }

  struct Copy {
    T* packed = nullptr;  ///< null if weights are not kept
    bool is_new = false;  ///< not packed yet
  };

  /// The copy of weights [n, k], which has `size` numbers.
  Copy find(const T* weights, int n, int k, std::size_t size) {
    if (!kept_) return {};
    const auto found = std::find_if(copies_.begin(), copies_.end(), [&](const Known& copy) {
      return copy.weights == weights && copy.n == n && copy.k == k;
    });
    if (found != copies_.end()) return {found->packed};
    if (copies_.size() == memory_.size()) memory_.emplace_back();
    copies_.push_back({weights, n, k, memory_[copies_.size()].reserve(size)});
    return {copies_.back().packed, true};
  }

 private:
  struct Known {
    const T* weights;
    int n, k;
    T* packed;
  };
  bool kept_ = false;
  std::vector<Known> copies_;   // in the order of their first use
  std::vector<Memory> memory_;  // of each copy
};

}  // namespace neural_attention::cpu_gemm
