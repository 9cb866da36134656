// The definitions of all operations of Cpu<T>. cpu.hpp includes them when header-only; otherwise the one compiled unit
// does.
#pragma once

#include "neural_attention/backend/cpu/attention.hpp"
#include "neural_attention/backend/cpu/choosing.hpp"
#include "neural_attention/backend/cpu/convolution.hpp"
#include "neural_attention/backend/cpu/elementwise.hpp"
#include "neural_attention/backend/cpu/embedding.hpp"
#include "neural_attention/backend/cpu/linear.hpp"
#include "neural_attention/backend/cpu/loss.hpp"
#include "neural_attention/backend/cpu/normalization.hpp"
#include "neural_attention/backend/cpu/optimizer.hpp"
#include "neural_attention/backend/cpu/peak.hpp"
#include "neural_attention/backend/cpu/rational.hpp"
#include "neural_attention/backend/cpu/scale_groups.hpp"
#include "neural_attention/core/observer.hpp"

namespace neural_attention {

template <class T>
template <class Op>
ops::ResultOf<Op> Cpu<T>::run(const Op& op) {
  return observed(
      op, [&] { return compute(engine_, op); }, [] {});
}

}  // namespace neural_attention
