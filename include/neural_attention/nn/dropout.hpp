// Dropout: y = x · mask / (1 - rate) while training (Srivastava et al. 2014), x and y [n, d]. The mask is a function of
// (seed, optimizer step, site, global row, column), so backward and recomputation regenerate it instead of storing it.
#pragma once

#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

template <class B>
class Dropout {
 public:
  struct Saved {
    DropoutMask mask;
  };

  explicit Dropout(double rate = 0.0) : rate_(rate) {
    if (!(rate >= 0.0 && rate < 1.0)) throw ConfigError("a dropout rate must be in [0, 1), not " + number_text(rate));
  }

  static void visit(auto& self, auto&& visitor) { visitor("", self.site_); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.mask = pass.mask(rate_, site_);
    const auto y = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::Dropout<B>{.x = x, .mask = saved.mask, .y = y});
    return y;
  }

  /// x = dropout(x), in place: x must not be read again.
  Rows<B> forward_in_place(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.mask = pass.mask(rate_, site_);
    if (saved.mask) pass.backend(ops::Dropout<B>{.x = x, .mask = saved.mask, .y = x});
    return x;
  }

  /// x = residual + dropout(x) in one pass, in place: x must not be read again.
  Rows<B> add_residual(const Pass<B>& pass, Rows<B> residual, Rows<B> x, Saved& saved) const {
    saved.mask = pass.mask(rate_, site_);
    pass.backend(ops::ResidualDropout<B>{.residual = residual, .x = x, .mask = saved.mask, .y = x});
    return x;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto written = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::Dropout<B>{.x = dy, .mask = saved.mask, .y = written});
    if (!dx) return written;
    pass.backend(ops::Add<B>{.x = written, .y = dx});
    return dx;
  }

 private:
  double rate_;
  RandomSite site_;
};

}  // namespace neural_attention
