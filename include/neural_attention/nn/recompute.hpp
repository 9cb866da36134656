// Recompute: a module that keeps only its input and runs forward again in backward (Chen et al. 2016): activations of
// one layer at a time instead of all. Random masks are functions of their place, so the second forward equals the
// first.
#pragma once

#include <utility>

#include "neural_attention/core/step.hpp"

namespace neural_attention {

/// Wraps a module or layer; `enabled` false passes through, so programs decide at run time.
template <class B, class Module>
class Recompute {
 public:
  struct Saved {
    Rows<B> x;
    typename Module::Saved inner;
  };

  explicit Recompute(Module module, bool enabled = true) : module_(std::move(module)), enabled_(enabled) {}

  static void visit(auto& self, auto&& visitor) { Module::visit(self.module_, visitor); }

  Rows<B> forward(Step<B>& step, Rows<B> x, Saved& saved, const auto&... context) const {
    const auto mark = step.saved.mark();
    const auto y = module_.forward(step, x, saved.inner, context...);
    if (!enabled_) return y;
    saved.x = x;
    return step.saved.rewind_keeping(mark, y);
  }

  Rows<B> backward(Step<B>& step, Rows<B> dy, const Saved& saved, Rows<B> dx = {}, const auto&... context) {
    if (!enabled_) return module_.backward(step, dy, saved.inner, dx, context...);
    const ArenaScope scope(step.saved);
    typename Module::Saved inner;
    module_.forward(step, saved.x, inner, context...);
    return module_.backward(step, dy, inner, dx, context...);
  }

  Module& module() { return module_; }
  const Module& module() const { return module_; }

 private:
  Module module_;
  bool enabled_;
};

}  // namespace neural_attention
