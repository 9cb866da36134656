// The projectors of the paper (arXiv 2310.11398), projectors of other works and controls for both, and types that
// assign projectors to the four roles of attention. ProjectorName gives their names in files and programs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/attention/depthwise_conv.hpp"
#include "neural_attention/attention/gated.hpp"
#include "neural_attention/attention/glu_silu.hpp"
#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/identity.hpp"
#include "neural_attention/attention/identity_residual.hpp"
#include "neural_attention/attention/joint_qkv.hpp"
#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/attention/pattention.hpp"
#include "neural_attention/attention/residual.hpp"
#include "neural_attention/nn/rational.hpp"
#include "neural_attention/nn/roles.hpp"
#include "neural_attention/nn/sequential.hpp"

namespace neural_attention {

/// Linear(d, 2d) → LayerNorm(2d) → ReLU → Linear(2d, d)
template <class B>
using Neural = Stack<B, Linear, LayerNorm, Relu, Linear>;
/// Linear(d, 2d) → ReLU → Linear(2d, d)
template <class B>
using PlainNeural = Stack<B, Linear, Relu, Linear>;
/// A linear map with the parameter names of a sequence (`k_proj.0.weight`), as in the authors' baseline.
template <class B>
using SequentialLinear = Stack<B, Linear>;
/// W x + b + Neural(x)
template <class B>
using ResidualNeural = Residual<B, Neural>;
/// W x + b + PlainNeural(x)
template <class B>
using ResidualPlainNeural = Residual<B, PlainNeural>;

/// W₂ W₁ x through a bottleneck, with biases: a control for forms that have one.
template <class B>
struct LowRank : Stack<B, Linear, Linear> {
  using Stack<B, Linear, Linear>::Stack;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(0.5);
};
/// W₂ W₁ x through twice the width, with biases: the parameters of PlainNeural without its non-linearity.
template <class B>
struct DeepLinear : Stack<B, Linear, Linear> {
  using Stack<B, Linear, Linear>::Stack;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(2.0);
};
/// f(W x + b); SiLU is arXiv 2402.17152's.
template <class B>
using LinearSilu = Stack<B, Linear, Silu>;
template <class B>
using LinearGelu = Stack<B, Linear, Gelu>;
/// W₂ r(W₁ x + b₁) + b₂ with a learned rational function r that begins near SiLU (arXiv 2409.10594).
template <class B>
using RationalNeural = Stack<B, Linear, Rational, Linear>;
template <class B>
using GatedSilu = Gated<B, Activation::Silu>;
template <class B>
using GatedGelu = Gated<B, Activation::Gelu>;

/// LayerNorm(W₂ gelu(W₁ rmsnorm(x))) through half the width, without biases: as many elements as a matrix [d, d].
template <class B>
struct NonlinearBranch : Stack<B, RmsNorm, Linear, Gelu, Linear, LayerNorm> {
  using Base = Stack<B, RmsNorm, Linear, Gelu, Linear, LayerNorm>;
  explicit NonlinearBranch(ProjectorConfig config) : Base(without_bias(std::move(config))) {}
  static ProjectorConfig without_bias(ProjectorConfig config) {
    config.bias = false;
    return config;
  }
};
/// (x + NonlinearBranch(x)) / 2, arXiv 2603.13381. The authors' code halves the scale of the attention instead: as a
/// query, that is the same function with the same weights.
template <class B>
struct NonlinearQuery : IdentityResidual<B, NonlinearBranch, 2> {
  using IdentityResidual<B, NonlinearBranch, 2>::IdentityResidual;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(0.5);
};

/// A causal convolution of three tokens behind a linear map, as in Primer, arXiv 2109.08668.
template <class B>
using ConvLinear = DepthwiseConv<B, Linear>;
template <class B>
using ConvNeural = DepthwiseConv<B, Neural>;
/// The same with the token in the middle, for encoders.
template <class B>
using CentredConvLinear = DepthwiseConv<B, Linear, 3, Sees::BothSides>;

/// The name of a projector type. Specialise it for types of your own that a Choice offers; they need only `value`.
///   value    the name in config files and flags
///   type     the spelling of its template in C++
///   formula  what it computes, in words for --help
template <class P>
struct ProjectorName;

template <class B>
struct ProjectorName<Linear<B>> {
  static constexpr std::string_view value = "linear", type = "Linear", formula = "W x + b";
};
template <class B>
struct ProjectorName<SequentialLinear<B>> {
  static constexpr std::string_view value = "sequential_linear", type = "SequentialLinear",
                                    formula = "W x + b, with the names of a sequence";
};
template <class B>
struct ProjectorName<Neural<B>> {
  static constexpr std::string_view value = "neural", type = "Neural", formula = "W2 relu(LayerNorm(W1 x + b1)) + b2";
};
template <class B>
struct ProjectorName<PlainNeural<B>> {
  static constexpr std::string_view value = "plain_neural", type = "PlainNeural", formula = "W2 relu(W1 x + b1) + b2";
};
template <class B>
struct ProjectorName<ResidualNeural<B>> {
  static constexpr std::string_view value = "residual", type = "ResidualNeural", formula = "W x + b + neural(x)";
};
template <class B>
struct ProjectorName<ResidualPlainNeural<B>> {
  static constexpr std::string_view value = "plain_residual", type = "ResidualPlainNeural",
                                    formula = "W x + b + plain_neural(x)";
};

template <class B>
struct ProjectorName<Identity<B>> {
  static constexpr std::string_view value = "identity", type = "Identity", formula = "x";
};
template <class B>
struct ProjectorName<LowRank<B>> {
  static constexpr std::string_view value = "low_rank", type = "LowRank", formula = "W2 (W1 x + b1) + b2, a bottleneck";
};
template <class B>
struct ProjectorName<DeepLinear<B>> {
  static constexpr std::string_view value = "deep_linear", type = "DeepLinear", formula = "W2 (W1 x + b1) + b2";
};
template <class B>
struct ProjectorName<LinearSilu<B>> {
  static constexpr std::string_view value = "linear_silu", type = "LinearSilu", formula = "silu(W x + b)";
};
template <class B>
struct ProjectorName<LinearGelu<B>> {
  static constexpr std::string_view value = "linear_gelu", type = "LinearGelu", formula = "gelu(W x + b)";
};
template <class B>
struct ProjectorName<RationalNeural<B>> {
  static constexpr std::string_view value = "rational", type = "RationalNeural",
                                    formula = "W2 r(W1 x + b1) + b2, r a learned rational function";
};
template <class B>
struct ProjectorName<GatedSilu<B>> {
  static constexpr std::string_view value = "gated_silu", type = "GatedSilu",
                                    formula = "W3 (silu(W1 x + b1) * (W2 x + b2)) + b3";
};
template <class B>
struct ProjectorName<GatedGelu<B>> {
  static constexpr std::string_view value = "gated_gelu", type = "GatedGelu",
                                    formula = "W3 (gelu(W1 x + b1) * (W2 x + b2)) + b3";
};
template <class B>
struct ProjectorName<GluSilu<B>> {
  static constexpr std::string_view value = "glu_silu", type = "GluSilu",
                                    formula = "a * silu(b), a and b the halves of W x + b1";
};
template <class B>
struct ProjectorName<NonlinearQuery<B>> {
  static constexpr std::string_view value = "nonlinear_query", type = "NonlinearQuery",
                                    formula = "(x + LayerNorm(W2 gelu(W1 RmsNorm(x)))) / 2";
};
template <class B>
struct ProjectorName<Pattention<B>> {
  static constexpr std::string_view value = "pattention", type = "Pattention",
                                    formula = "gelu(K x / |K x| sqrt(n)) V, n learned tokens";
};

template <class B>
struct ProjectorName<ConvLinear<B>> {
  static constexpr std::string_view value = "conv_linear", type = "ConvLinear",
                                    formula = "linear(x) convolved with the two tokens before";
};
template <class B>
struct ProjectorName<ConvNeural<B>> {
  static constexpr std::string_view value = "conv_neural", type = "ConvNeural",
                                    formula = "neural(x) convolved with the two tokens before";
};
template <class B>
struct ProjectorName<CentredConvLinear<B>> {
  static constexpr std::string_view value = "centred_conv_linear", type = "CentredConvLinear",
                                    formula = "linear(x) convolved with the tokens on both sides, not in decoders";
};

template <class B>
struct ProjectorName<JointQkv<B>> {
  static constexpr std::string_view value = "joint_qkv", type = "JointQkv",
                                    formula =
                                        "W2 mish(LayerNorm(W1 x + b1)), with W1 and LayerNorm of query, key and "
                                        "value together, in self-attention";
};

/// The name of projector type P, for a Choice.
template <class P>
consteval std::string_view projector_name() {
  constexpr bool named = requires { ProjectorName<P>::value; };
  static_assert(
      named,
      "a projector in a Choice needs a name: specialise neural_attention::ProjectorName for it, with a member "
      "static constexpr std::string_view value");
  if constexpr (named)
    return ProjectorName<P>::value;
  else
    return {};
}

/// Writes the name of projector type P into the config that constructs it, and the type's usual hidden width if the
/// config gives none. A Choice has its name there already.
template <class P>
void set_type_name(ProjectorConfig& config) {
  if constexpr (requires { ProjectorName<P>::value; })
    config.type = ProjectorName<P>::value;
  else if constexpr (!requires { P::names; })
    config.type = "unnamed";
  if (config.hidden.kind() == HiddenWidth::Kind::Usual) config.hidden = usual_width<P>(config.type);
}

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

/// Throws ConfigError where a single layer is to have a projector that type P, which all layers share, cannot be.
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
/// completes those of the config. Most arrangements bring none.
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
/// arXiv 2603.13381 (Karbevski 2026): the query alone bends.
using karbevski2026_query = Projections<NonlinearQuery, Linear, Linear, Linear>;
/// arXiv 2510.23912: the query's matrix left out.
using identity_query = Projections<Identity, Linear, Linear, Linear>;
/// arXiv 2410.23168 (TokenFormer): all four maps are attention to learned tokens.
using tokenformer = Projections<Pattention, Pattention, Pattention, Pattention>;
/// arXiv 2109.08668 (Primer): a causal convolution of three tokens behind query, key and value.
using primer = Projections<ConvLinear, ConvLinear, ConvLinear, Linear>;
/// The chess networks of Ceres: one map and one norm for query, key and value, and a soft cap of 100 on the scores,
/// which its author found necessary, unless a model's config has another one.
struct ceres : Projections<JointQkv, JointQkv, JointQkv, Linear> {
  static AttentionOptions attention_options(AttentionOptions given) {
    if (given.soft_cap == 0.0) given.soft_cap = 100.0;
    return given;
  }
};
/// arXiv 2402.17152 (HSTU): SiLU behind query, key and value.
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
