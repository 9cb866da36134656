// Packed copies of weights that do not change for a while. Every round of decoding multiplies a few rows by all
// weights; packing them each time would take a sixth of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "neural_attention/core/language.hpp"
#include "neural_attention/core/weights_version.hpp"

namespace neural_attention::cpu_gemm {

/// `Memory` allocates and keeps memory for `size` numbers of T, like Cpu's Workspace.
template <class T, class Memory>
class KeptWeights {
 public:
  /// After keep(true), the values of all weights must not change. keep(false) forgets the copies but keeps the memory.
  /// Copies of weights in a version's memory stay for the next keep(true) with the same version.
  void keep(bool kept, const WeightsVersion& version = {}) {
    kept_ = kept;
    if (!kept) return forget([&](const Slot& slot) { return !holds(slot.weights); });
    if (version.number == 0 || version.number != version_.number) forget([](const Slot&) { return true; });
    version_ = version;
  }

  struct Copy {
    T* packed = nullptr;       ///< null if weights are not kept
    bool* complete = nullptr;  ///< whether it is packed already, until the next call; whoever packs it says so
  };

  /// The copy of weights [n, k], which has `size` numbers.
  Copy find(const T* weights, int n, int k, std::size_t size) {
    if (!kept_) return {};
    auto slot = std::find_if(slots_.begin(), slots_.end(),
                             [&](const Slot& one) { return one.weights == weights && one.n == n && one.k == k; });
    if (slot == slots_.end()) {
      slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& one) { return !one.weights; });
      if (slot == slots_.end()) slot = slots_.insert(slot, Slot{});
      slot->memory.reserve(size);
      slot->weights = weights;
      slot->n = n;
      slot->k = k;
      slot->complete = false;
    }
    return {slot->memory.reserve(size), &slot->complete};
  }

  /// Memory of the copies, in bytes; it is kept for further ones.
  std::size_t bytes() const {
    std::size_t numbers = 0;
    for (const auto& slot : slots_) numbers += slot.memory.size;
    return numbers * sizeof(T);
  }

 private:
  struct Slot {
    const T* weights = nullptr;  ///< null: free
    int n = 0, k = 0;
    bool complete = false;
    Memory memory = {};
  };

  bool holds(const void* weights) const {
    return version_.number != 0 && !std::less<>()(weights, version_.begin) && std::less<>()(weights, version_.end);
  }
  void forget(auto&& which) {
    for (auto& slot : slots_)
      if (which(slot)) slot.weights = nullptr;
  }

  bool kept_ = false;
  WeightsVersion version_;
  std::vector<Slot> slots_;  // taken in the order of first use
};

}  // namespace neural_attention::cpu_gemm
