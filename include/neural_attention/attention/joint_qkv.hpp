// JointQkv: query, key and value of self-attention from one map, as in the chess networks of Ceres: u = W x + b,
// x [n, d], u [n, 3d]; one LayerNorm, with one gain and bias, normalises each third of u, and Mish follows; then comes
// a matrix [d, d] for each role, without a bias. JointMap holds what the roles share, JointQkv the matrix of one role.
#pragma once

#include <string>
#include <type_traits>

#include "neural_attention/attention/sequence_projector.hpp"
#include "neural_attention/nn/activation.hpp"
#include "neural_attention/nn/linear.hpp"
#include "neural_attention/nn/normalization.hpp"

namespace neural_attention {

/// mish(LayerNorm(each third of W x + b)): x [n, d], y [n, 3d], whose thirds are for query, key and value.
template <class B>
class JointMap {
 public:
  struct Saved {
    typename Linear<B>::Saved map;
    typename LayerNorm<B>::Saved norm;
    typename Mish<B>::Saved mish;
  };

  /// Of a config for one role.
  explicit JointMap(const ProjectorConfig& config)
      : map_(config.d_in, thirds_of(config.d_out), config.initial, config.bias),
        norm_(config.d_out, config.norm_eps, config.bias) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("map", self.map_);
    visitor("norm", self.norm_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto thirds = split(map_.forward(pass, x, saved.map));
    return joined(mish_.forward(pass, norm_.forward(pass, thirds, saved.norm), saved.mish));
  }

  /// dy [n, 3d] is contiguous.
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    const auto dthirds = norm_.backward(pass, mish_.backward(pass, split(dy), saved.mish), saved.norm);
    return settle(pass, mark, dx, map_.backward(pass, joined(dthirds), saved.map, dx));
  }

 private:
  /// The thirds of contiguous rows [n, 3d] as rows [3n, d], and back.
  static Rows<B> split(Rows<B> x) { return {x.data, 3 * x.rows, x.cols / 3}; }
  static Rows<B> joined(Rows<B> x) { return {x.data, x.rows / 3, 3 * x.cols}; }

  static int thirds_of(int width) {
    return sizes::checked("a joint map to three times a width of " + std::to_string(width), sizes::product(3, width),
                          "columns", sizes::product(width, sizeof(float)));
  }

  Linear<B> map_;
  LayerNorm<B> norm_;
  Mish<B> mish_;
};

/// Its input is the role's third of what the JointMap of the attention makes of x.
template <class B>
struct JointQkv : Linear<B> {
  static constexpr bool with_bias = false;

  explicit JointQkv(const ProjectorConfig& config) : Linear<B>(config.d_in, config.d_out, config.initial, with_bias) {}

  static constexpr bool is_joint() { return true; }

  static std::string fault_at(const ProjectorPlace& place) {
    if (place.role == "output") return "joint_qkv is a projector of query, key and value";
    if (place.use == AttentionUse::Cross)
      return "joint_qkv makes query, key and value of the same tokens, and here keys and values are of others";
    return {};
  }
};

/// A projector that is, or as a Choice may be, part of a JointQkv.
template <class P>
concept MayJoin = requires(const P& projector) {
  projector.is_joint();
};

template <class P>
bool is_joint(const P& projector) {
  if constexpr (MayJoin<P>)
    return projector.is_joint();
  else
    return false;
}

/// Whether all three are parts of a JointQkv, or none. Throws ConfigError for one or two of them.
template <class Query, class Key, class Value>
bool join(const Query& query, const Key& key, const Value& value) {
  const bool joint[] = {is_joint(query), is_joint(key), is_joint(value)};
  if (joint[0] && joint[1] && joint[2]) return true;
  if (!joint[0] && !joint[1] && !joint[2]) return false;
  constexpr const char* roles[] = {"query", "key", "value"};
  std::string with, without;
  for (int i = 0; i < 3; ++i)
    (joint[i] ? with : without) += ((joint[i] ? with : without).empty() ? "" : " and ") + std::string(roles[i]);
  throw ConfigError("joint_qkv makes query, key and value by one map, but is the projector of the " + with +
                    " alone and not of the " + without);
}

}  // namespace neural_attention
