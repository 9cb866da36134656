// HeadNorm: queries or keys x [n, heads · d_head] normalised along each head's columns, before they meet in scores.
// L2: y = √d_head · x / ‖x‖, so the product of two of them is d_head times the cosine (Henry et al. 2020, arXiv
// 2010.04245). RMS: y = x / sqrt(mean(x²) + ε) · gain, where all heads share a learned gain [d_head], as in Qwen 3
// (arXiv 2505.09388); OLMo 2 has one norm over all heads instead.
#pragma once

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

template <class B>
class HeadNorm {
 public:
  struct Saved {
    Rows<B> x, gain;
    RowsOf<typename B::Real> stats;
  };

  HeadNorm(QueryKeyNorm kind, int head_width)
      : kind_(kind), width_(head_width), gain_(kind == QueryKeyNorm::Rms ? head_width : 0, Initial::constant(1.0)) {}

  static void visit(auto& self, auto&& visitor) {
    if (self.kind_ == QueryKeyNorm::Rms) visitor("weight", self.gain_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    if (kind_ == QueryKeyNorm::None) return x;
    const auto y = pass.saved.rows(x.rows, x.cols);
    if (!x.contiguous()) {
      const auto copy = pass.saved.rows(x.rows, x.cols);
      pass.backend(ops::Copy<B>{.x = x, .y = copy});
      x = copy;
    }
    saved.x = heads_of(x);
    saved.gain = gain_.value;
    saved.stats = pass.saved.template rows<typename B::Real>(saved.x.rows, 1);
    if (kind_ == QueryKeyNorm::L2) {
      saved.gain = pass.saved.rows(1, width_);
      pass.backend(ops::Fill<B>{.x = saved.gain, .value = typename B::Scalar(1)});
    }
    pass.backend(ops::RmsNorm<B>{
        .x = saved.x, .gain = saved.gain, .epsilon = epsilon(), .y = heads_of(y), .stats = saved.stats});
    return y;
  }

  /// `gradient` is dy, contiguous, and becomes dx.
  void backward(const Pass<B>& pass, Rows<B> gradient, const Saved& saved) {
    if (kind_ == QueryKeyNorm::None) return;
    const ArenaScope scope(pass.scratch);
    auto of_gain = gain_.gradient;
    if (kind_ == QueryKeyNorm::L2) {  // its gain is not trained
      of_gain = pass.scratch.template rows<typename B::Real>(1, width_);
      pass.backend(ops::FillOf<typename B::Real>{.x = of_gain, .value = typename B::Real(0)});
    }
    const auto rows = heads_of(gradient);
    pass.backend(ops::RmsNormBackward<B>{
        .dy = rows, .x = saved.x, .gain = saved.gain, .stats = saved.stats, .dx = rows, .dgain = of_gain});
  }

 private:
  /// Added to the mean square: as Qwen 3 has it; for L2 only so that a row of zeros divides by something.
  double epsilon() const { return kind_ == QueryKeyNorm::L2 ? 1e-24 : 1e-6; }
  /// Each head of each row as a row.
  Rows<B> heads_of(Rows<B> x) const { return {x.data, x.rows * (x.cols / width_), width_}; }

  QueryKeyNorm kind_;
  int width_;
  Parameter<B> gain_;
};

}  // namespace neural_attention
