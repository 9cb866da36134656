// The projectors of the paper (arXiv 2310.11398), and types that assign projectors to the four roles of attention.
// Neural: Linear(d, 2d) → LayerNorm(2d) → ReLU → Linear(2d, d). PlainNeural: the same without LayerNorm. Residual adds
// either of them to a linear map. ProjectorName gives their names in files and programs.
#pragma once

#include <string_view>
#include <type_traits>

#include "neural_attention/attention/residual.hpp"
#include "neural_attention/nn/roles.hpp"
#include "neural_attention/nn/sequential.hpp"

namespace neural_attention {

template <class B>
using Neural = Stack<B, Linear, LayerNorm, Relu, Linear>;
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

/// Writes the name of projector type P into the config that constructs it. A Choice has its name there already.
template <class P>
void set_type_name(ProjectorConfig& config) {
  if constexpr (requires { ProjectorName<P>::value; })
    config.type = ProjectorName<P>::value;
  else if constexpr (!requires { P::names; })
    config.type = "unnamed";
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

/// A model's config with the names of its projector types filled in.
template <class B, class P, class Config>
Config with_type_names(Config config) {
  for_each_role([]<class Projector>(const char*, std::type_identity<Projector>,
                                    ProjectorConfig& of) { set_type_name<Projector>(of); },
                RoleTypes<B, P>(), config);
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

}  // namespace neural_attention
