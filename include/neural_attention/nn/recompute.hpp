// Recompute: a module that keeps only its input and runs forward again in backward (Chen et al. 2016), so that memory
// holds the activations of one layer at a time. Random masks are functions of their place, so the second forward equals
// the first.
#pragma once

#include <utility>

#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// Wraps a module or layer; if `enabled` is false, passes calls through, so that programs decide at run time.
template <class B, class Module>
class Recompute {
 public:
  struct Saved {
    Rows<B> x;
    typename Module::Saved inner;
  };

  explicit Recompute(Module module, bool enabled = true) : module_(std::move(module)), enabled_(enabled) {}

  static void visit(auto& self, auto&& visitor) { Module::visit(self.module_, visitor); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto&... context) const {
    const auto mark = pass.saved.mark();
    const auto y = module_.forward(pass, x, saved.inner, context...);
    if (!enabled_) return y;
    saved.x = x;
    return pass.saved.rewind_keeping(mark, y);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}, const auto&... context) {
    if (!enabled_) return module_.backward(pass, dy, saved.inner, dx, context...);
    const ArenaScope scope(pass.saved);
    typename Module::Saved inner;
    module_.forward(pass, saved.x, inner, context...);
    return module_.backward(pass, dy, inner, dx, context...);
  }

  Module& module() { return module_; }
  const Module& module() const { return module_; }

 private:
  Module module_;
  bool enabled_;
};

}  // namespace neural_attention
