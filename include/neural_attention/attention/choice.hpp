// Choice: a projector that is one of several types, picked when the model is made by ProjectorConfig::choice.
// Programs instantiate one model through it instead of one for each combination; names of parameters are unchanged.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <variant>

#include "neural_attention/core/concepts.hpp"

namespace neural_attention {

template <class B, template <class> class... Projectors>
class Choice {
 public:
  struct Saved {
    std::variant<typename Projectors<B>::Saved...> of;
  };

  /// Throws ConfigError where config.choice is not in 0 … sizeof...(Projectors)-1.
  explicit Choice(const ProjectorConfig& config)
      : projector_(make(config, std::index_sequence_for<Projectors<B>...>{})) {}

  static void visit(auto& self, auto&& visitor) {
    std::visit([&](auto& projector) { std::remove_cvref_t<decltype(projector)>::visit(projector, visitor); },
               self.projector_);
  }

  Rows<B> forward(Step<B>& step, Rows<B> x, Saved& saved) const {
    return std::visit(
        [&](const auto& projector) {
          using Kept = typename std::remove_cvref_t<decltype(projector)>::Saved;
          return projector.forward(step, x, saved.of.template emplace<Kept>());
        },
        projector_);
  }

  Rows<B> backward(Step<B>& step, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return std::visit(
        [&](auto& projector) {
          using Kept = typename std::remove_cvref_t<decltype(projector)>::Saved;
          return projector.backward(step, dy, std::get<Kept>(saved.of), dx);
        },
        projector_);
  }

 private:
  using Variant = std::variant<Projectors<B>...>;

  template <std::size_t... I>
  static Variant make(const ProjectorConfig& config, std::index_sequence<I...>) {
    using Make = Variant (*)(const ProjectorConfig&);
    constexpr std::array<Make, sizeof...(I)> makers = {
        [](const ProjectorConfig& c) { return Variant(std::in_place_index<I>, c); }...};
    if (config.choice < 0 || config.choice >= static_cast<int>(makers.size()))
      throw ConfigError("projector choice " + std::to_string(config.choice) + " is not one of " +
                        std::to_string(makers.size()));
    return makers[static_cast<std::size_t>(config.choice)](config);
  }

  Variant projector_;
};

}  // namespace neural_attention
