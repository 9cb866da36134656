// ProjectorName: what files and programs call a projector type.
#pragma once

#include <string_view>

#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/projectors.hpp"

namespace neural_attention {

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

/// The name of a projector of the library, where no backend is known: name_of_projector<Neural> is "neural".
template <template <class> class P>
inline constexpr std::string_view name_of_projector = ProjectorName<P<void>>::value;

/// Whether the projectors of this name are one linear map.
constexpr bool is_one_linear_map(std::string_view name) {
  return name == name_of_projector<Linear> || name == name_of_projector<SequentialLinear>;
}

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

}  // namespace neural_attention
