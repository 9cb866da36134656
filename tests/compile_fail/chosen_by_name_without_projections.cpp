// expect: a model of an AnyModel needs a type Projections
// A model whose projectors cannot be compared with those of a config is refused in one sentence.
#include <neural_attention/neural_attention.hpp>

#include "neural_attention/models/any_model.hpp"

namespace na = neural_attention;

struct NoProjections {
  using Backend = na::Cpu<float>;
  using Config = na::MarianConfig;
  struct Saved {};
  static constexpr std::array<std::array<std::string_view, 2>, 0> aliases = {};
  static constexpr std::array<std::string_view, 0> optional_names = {}, ignored_names = {};
  static void visit(auto&, auto&&) {}
  static void inspect(const Config&, auto&&) {}
  NoProjections(Backend&, const Config&, std::optional<std::uint64_t>, na::Purpose);
  na::ParameterStore<Backend>& parameters();
  const na::ParameterStore<Backend>& parameters() const;
  const Config& config() const;
};

static_assert(sizeof(na::AnyModel<NoProjections>));
