// Arrangements: types that assign a projector to each of the four roles of attention. The presets are the arrangements
// of the paper and of other works.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/attention/projector_names.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The projector type of each role of an attention.
template <template <class> class Q, template <class> class K, template <class> class V, template <class> class Out>
struct Projections {
  template <class B>
  using Query = Q<B>;
  template <class B>
  using Key = K<B>;
  template <class B>
  using Value = V<B>;
  template <class B>
  using Output = Out<B>;
};

/// The projector types of all roles, for code that walks them.
template <class B, class P>
struct RoleTypes {
  std::type_identity<typename P::template Query<B>> query;
  std::type_identity<typename P::template Key<B>> key;
  std::type_identity<typename P::template Value<B>> value;
  std::type_identity<typename P::template Output<B>> output;
};

/// Throws ConfigError if a single layer is to have a projector that type P, which all layers share, cannot be.
template <class P>
void require_type_name(const LayerProjector& layer) {
  if constexpr (requires { ProjectorName<P>::value; })
    if (layer.projector.type != ProjectorName<P>::value)
      throw ConfigError("the " + layer.role + " of " + attention_text(layer.place, layer.layer) + " is to be " +
                        in_quotes(layer.projector.type) + ", but the model's type has " +
                        in_quotes(ProjectorName<P>::value) + " in all layers: make that role a Choice of both");
}

/// A model's config with the names of its projector types filled in. Throws ConfigError as require_type_name does.
template <class B, class P, class Config>
Config with_type_names(Config config) {
  const auto fill = [&]<class Projector>(std::string_view role, std::type_identity<Projector>, ProjectorConfig& of) {
    set_type_name<Projector>(of);
    if constexpr (requires { config.layer_projectors; })
      for (auto& other : config.layer_projectors) {
        if (other.role != role) continue;
        require_type_name<Projector>(other);
        set_type_name<Projector>(other.projector);
      }
  };
  for_each_role(fill, RoleTypes<B, P>(), config);
  return config;
}

/// A model's config with the attention options that the arrangement P brings along: P::attention_options(given)
/// completes the options of the config. Most arrangements bring none.
template <class P, class Config>
Config with_preset_options(Config config) {
  if constexpr (requires { config.attention = P::attention_options(config.attention); })
    config.attention = P::attention_options(config.attention);
  return config;
}

/// Stock attention.
using LinearProjections = Projections<Linear, Linear, Linear, Linear>;

/// The variants of the paper, as in the authors' code.
namespace paper {
using marian = Projections<Neural, Neural, Linear, Neural>;
using marian_baseline = Projections<SequentialLinear, SequentialLinear, Linear, SequentialLinear>;
using roberta = Projections<PlainNeural, PlainNeural, PlainNeural, Linear>;
using roberta_baseline = Projections<SequentialLinear, SequentialLinear, SequentialLinear, Linear>;
}  // namespace paper

/// The arrangements of other works; docs/projectors.md has what each of them claims. One that needs options of
/// attention brings them along for models.
namespace published {
/// arXiv 2603.13381 (Karbevski 2026): only the query is non-linear.
using karbevski2026_query = Projections<NonlinearQuery, Linear, Linear, Linear>;
/// arXiv 2510.23912: the query's matrix left out.
using identity_query = Projections<Identity, Linear, Linear, Linear>;
/// arXiv 2410.23168 (TokenFormer): all four maps are attention to learned tokens.
using tokenformer = Projections<Pattention, Pattention, Pattention, Pattention>;
/// arXiv 2109.08668 (Primer): a causal convolution of three tokens after query, key and value.
using primer = Projections<ConvLinear, ConvLinear, ConvLinear, Linear>;
/// The chess networks of Ceres: one map and one norm for query, key and value, and a soft cap of 100 on the scores,
/// which its author found necessary, unless a model's config has another one.
struct ceres : Projections<JointQkv, JointQkv, JointQkv, Linear> {
  static AttentionOptions attention_options(AttentionOptions given) {
    if (given.soft_cap == 0.0) given.soft_cap = 100.0;
    return given;
  }
};
/// arXiv 2402.17152 (HSTU): SiLU after query, key and value.
using hstu = Projections<LinearSilu, LinearSilu, LinearSilu, Linear>;
/// arXiv 2507.00022 (GLU attention): gated values. With a value width h = value_width(d, heads) for
/// AttentionOptions::value_width, value and output have 2 d h + h d elements, as near to the 2 d² of linear ones as the
/// heads allow.
struct glu_attention : Projections<Linear, Linear, GluSilu, Linear> {
  /// The multiple of `heads` nearest to 2 d / 3; the smaller of two, and at least one column a head.
  static constexpr int value_width(int d, int heads) {
    const std::int64_t thirds = std::int64_t{2} * d, step = std::int64_t{3} * heads;
    return static_cast<int>(std::max<std::int64_t>(1, (2 * thirds + step - 1) / (2 * step)) * heads);
  }
};
}  // namespace published

}  // namespace neural_attention
