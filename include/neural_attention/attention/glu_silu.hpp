// GluSilu: y = a ⊙ silu(b), where the rows of u = W x + b₁ are cut into halves a and b: x [n, d_in], W [2 d_out, d_in],
// y [n, d_out]. The values of GLU attention (arXiv 2507.00022), where they are two thirds as wide as keys, so that W
// and the output's matrix have together the elements of linear ones.
#pragma once

#include <string>

#include "neural_attention/nn/activation.hpp"
#include "neural_attention/nn/linear.hpp"

namespace neural_attention {

template <class B>
class GluSilu {
 public:
  static constexpr bool maps_width = true;

  struct Saved {
    typename Linear<B>::Saved map;
    typename Silu<B>::Saved silu;
    Rows<B> values, gates;  // what is multiplied
  };

  explicit GluSilu(const ProjectorConfig& config)
      : map(config.d_in, both_halves(config.d_out), config.initial, config.bias) {}

  static void visit(auto& self, auto&& visitor) { visitor("map", self.map); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto u = map.forward(pass, x, saved.map);
    saved.values = half(u, 0);
    saved.gates = silu_.forward(pass, half(u, 1), saved.silu);
    const auto y = pass.saved.rows(x.rows, saved.values.cols);
    pass.backend(ops::Multiply<B>{.a = saved.values, .b = saved.gates, .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    const auto du = pass.scratch.rows(dy.rows, map.weight.rows);
    const auto dgates = half(du, 1);
    pass.backend(
        ops::MultiplyBackward<B>{.dy = dy, .a = saved.values, .b = saved.gates, .da = half(du, 0), .db = dgates});
    pass.backend(ops::ActivateBackward<B>{.f = Activation::Silu, .x = saved.silu.x, .dy = dgates, .dx = dgates});
    return settle(pass, mark, dx, map.backward(pass, du, saved.map, dx));
  }

  Linear<B> map;

 private:
  static Rows<B> half(Rows<B> u, int i) { return u.columns(i * (u.cols / 2), u.cols / 2); }

  static int both_halves(int width) {
    return sizes::checked("a gated map to a width of " + std::to_string(width), sizes::product(2, width), "columns",
                          sizes::product(width, sizeof(float)));
  }

  Silu<B> silu_;
};

}  // namespace neural_attention
