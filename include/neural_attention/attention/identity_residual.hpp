// IdentityResidual: y = (x + Inner(x)) / Divisor, x and y [n, d]: a network beside x itself, in place of a matrix.
#pragma once

#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/identity.hpp"

namespace neural_attention {

/// `Inner` is any projector; it is named `mlp`.
template <class B, template <class> class Inner, int Divisor = 1>
class IdentityResidual {
  static_assert(Divisor > 0);

 public:
  static constexpr bool maps_width = true;

  struct Saved {
    typename Identity<B>::Saved identity;
    typename Inner<B>::Saved mlp;
  };

  /// Throws ConfigError if the widths differ.
  explicit IdentityResidual(const ProjectorConfig& config) : identity_(config), mlp_(config) {}

  static void visit(auto& self, auto&& visitor) { visitor("mlp", self.mlp_); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto y = identity_.forward(pass, x, saved.identity);
    pass.backend(ops::Add<B>{.x = mlp_.forward(pass, x, saved.mlp), .y = y});
    if constexpr (Divisor != 1) pass.backend(ops::Scale<B>{.x = y, .factor = 1.0 / Divisor});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    if constexpr (Divisor != 1) {
      const auto part = pass.scratch.rows(dy.rows, dy.cols);
      pass.backend(ops::Copy<B>{.x = dy, .y = part});
      pass.backend(ops::Scale<B>{.x = part, .factor = 1.0 / Divisor});
      dy = part;
    }
    const auto through = identity_.backward(pass, dy, saved.identity, dx);
    return settle(pass, mark, dx, mlp_.backward(pass, dy, saved.mlp, through));
  }

 private:
  Identity<B> identity_;
  Inner<B> mlp_;
};

}  // namespace neural_attention
