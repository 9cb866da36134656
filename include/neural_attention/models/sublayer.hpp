// Sublayer: a branch (attention, feed-forward network) with its residual sum and LayerNorm, x and y [n, d]:
// post-norm y = LN(x + drop(branch(x))) (Vaswani et al. 2017), pre-norm y = x + drop(branch(LN(x))) (Xiong et al.
// 2020).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "neural_attention/attention/multi_head.hpp"
#include "neural_attention/nn/dropout.hpp"
#include "neural_attention/nn/normalization.hpp"

namespace neural_attention {

/// Where a sublayer has its LayerNorm: after the residual sum, or in front of the branch. A stack of pre-norm layers
/// ends with a LayerNorm of its own.
enum class NormPlace { Post, Pre };

struct LayerConfig {
  AttentionConfig attention;
  std::optional<AttentionConfig> cross_attention = {};  ///< none: as `attention`
  int d_ff = 0;
  Activation activation = Activation::Silu;
  double dropout = 0.0;
  std::optional<double> input_dropout = {};  ///< of the stack's input; none: as `dropout`
  double activation_dropout = 0.0;
  double norm_eps = 1e-5;
  NormPlace norm_place = NormPlace::Post;
  WeightInitial initial = {};
  std::optional<WeightInitial> outer_initial = {};  ///< of the feed-forward network's second matrix; none: as `initial`
  bool bias = true;  ///< of LayerNorms and of the feed-forward network; projectors have their own configs
};

/// The configs of `count` layers: config_of(i) is the config of layer i.
inline std::vector<LayerConfig> layer_configs(int count, auto&& config_of) {
  std::vector<LayerConfig> configs;
  for (int i = 0; i < count; ++i) configs.push_back(config_of(i));
  return configs;
}

/// A norm with its Saved of forward, or none.
template <class B>
struct KeptNorm {
  const LayerNorm<B>* norm = nullptr;
  const typename LayerNorm<B>::Saved* saved = nullptr;

  void write_again(const Pass<B>& pass) const {
    if (norm) norm->write_again(pass, *saved);
  }
};

/// All norms of a stack may write their results to the same rows, one after another. Then backward writes each result
/// again when it needs it, which costs little beside a product.
template <class B>
struct SharedNorms {
  Rows<B> rows = {};          ///< none: each norm has rows of its own
  KeptNorm<B> of_input = {};  ///< the norm whose result was the layer's input, if one was: for backward

  explicit operator bool() const { return static_cast<bool>(rows); }
};

/// The layers of a stack may share rows, a layer alone does not.
template <class B, class Context>
SharedNorms<B> shared_norms(const Context&) {
  return {};
}

/// `Branch` is one of models/branches.hpp or has the same members: names, Saved, Cache, forward, backward, decode.
template <class B, class Branch>
class Sublayer {
 public:
  using Cache = typename Branch::Cache;

  struct Saved {
    typename Branch::Saved branch;
    typename Dropout<B>::Saved dropout;
    typename LayerNorm<B>::Saved norm;
  };

  explicit Sublayer(const LayerConfig& config)
      : branch_(config),
        norm_(config.attention.d_model, config.norm_eps, config.bias),
        dropout_(config.dropout),
        place_(config.norm_place) {}

  static void visit(auto& self, auto&& visitor) {
    const std::string norm = self.place_ == NormPlace::Pre ? Branch::pre_norm : Branch::post_norm;
    visitor(Branch::name, self.branch_);
    visitor(norm, self.norm_);
    visitor(norm + ".dropout", self.dropout_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto& context) const {
    return around(pass, x, saved, shared_norms<B>(context).rows,
                  [&](Rows<B> in) { return branch_.forward(pass, in, saved.branch, context); });
  }

  /// The norm that made y, if one did.
  KeptNorm<B> norm_behind(const Saved& saved) const {
    if (place_ == NormPlace::Pre) return {};
    return {&norm_, &saved.norm};
  }

  /// The gradient of x in new rows, the lowest that this pushes on the scratch stack. If x lay in shared rows, they
  /// must hold it again.
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, const auto& context) {
    if (place_ == NormPlace::Post) {
      const auto dx = norm_.backward(pass, dy, saved.norm);  // the gradient of the sum, and so of both summands
      const ArenaScope scope(pass.scratch);
      branch_.backward(pass, of_branch(pass, dx, saved), saved.branch, dx, context);
      return dx;
    }
    const auto dx = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::Copy<B>{.x = dy, .y = dx});
    const ArenaScope scope(pass.scratch);
    const auto dbranch = saved.dropout.mask ? of_branch(pass, dy, saved) : dy;
    const auto dnorm = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::Fill<B>{.x = dnorm, .value = typename B::Scalar(0)});
    if (shared_norms<B>(context)) norm_.write_again(pass, saved.norm);
    branch_.backward(pass, dbranch, saved.branch, dnorm, context);
    norm_.backward(pass, dnorm, saved.norm, dx);
    return dx;
  }

  /// The next tokens of each live row: x [runs.total(), d]. `runs` is the context of the branches.
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Cache& cache, const auto& runs) const {
    Saved saved;
    return around(pass, x, saved, {}, [&](Rows<B> in) { return branch_.decode(pass, in, cache, runs); });
  }

  const Branch& branch() const { return branch_; }

 private:
  Rows<B> around(const Pass<B>& pass, Rows<B> x, Saved& saved, Rows<B> shared, auto&& branch) const {
    const auto normed = [&](Rows<B> in) {
      return norm_.forward_into(pass, in, saved.norm, shared ? shared : pass.saved.rows(in.rows, in.cols));
    };
    // The sum lies where the branch left its result, which backward does not read.
    const auto sum = [&](Rows<B> y) { return dropout_.add_residual(pass, x, y, saved.dropout); };
    if (place_ == NormPlace::Post) return normed(sum(branch(x)));
    return sum(branch(normed(x)));
  }

  static Rows<B> of_branch(const Pass<B>& pass, Rows<B> dsum, const Saved& saved) {
    const auto dbranch = pass.scratch.rows(dsum.rows, dsum.cols);
    pass.backend(ops::Dropout<B>{.x = dsum, .mask = saved.dropout.mask, .y = dbranch});
    return dbranch;
  }

  Branch branch_;
  LayerNorm<B> norm_;
  Dropout<B> dropout_;
  NormPlace place_;
};

}  // namespace neural_attention
