// Choice: a projector that is one of several types, picked by name (ProjectorConfig::type) when the model is made. With
// it, programs instantiate one model instead of one for each combination. Parameter names do not change.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/core/quoted.hpp"

namespace neural_attention {

template <class B, template <class> class... Projectors>
class Choice {
 public:
  static constexpr bool maps_width = true;

  struct Saved {
    std::variant<typename Projectors<B>::Saved...> of;
  };

  static constexpr std::array<std::string_view, sizeof...(Projectors)> names = {projector_name<Projectors<B>>()...};

  /// The index of the type of that name. Throws ConfigError, which lists the names, if there is none.
  static std::size_t index_of(const std::string& type) {
    std::string known;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == type) return i;
      known += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    throw ConfigError("there is no projector " + in_quotes(type) + "; known are " + known);
  }

  /// The usual hidden width of the type of that name. Throws ConfigError as index_of does.
  static HiddenWidth usual_width_of(const std::string& type) {
    const std::array widths = {usual_width<Projectors<B>>(type)...};
    return widths[index_of(type)];
  }

  /// Calls use.operator()<Projector>() for each of the types.
  static void for_each_type(auto&& use) { (use.template operator()<Projectors<B>>(), ...); }

  /// Throws ConfigError, which lists the names, if config.type is none of them.
  explicit Choice(const ProjectorConfig& config)
      : projector_(make(config, std::index_sequence_for<Projectors<B>...>{})) {}

  static void visit(auto& self, auto&& visitor) {
    std::visit([&](auto& projector) { std::remove_cvref_t<decltype(projector)>::visit(projector, visitor); },
               self.projector_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return at_index(
        [&](auto index) { return std::get<index>(projector_).forward(pass, x, saved.of.template emplace<index>()); });
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return at_index(
        [&](auto index) { return std::get<index>(projector_).backward(pass, dy, std::get<index>(saved.of), dx); });
  }

  /// Calls use(projector) with the projector that was picked.
  decltype(auto) with_chosen(auto&& use) { return std::visit(use, projector_); }

 private:
  using Variant = std::variant<Projectors<B>...>;

  template <std::size_t... I>
  static Variant make(const ProjectorConfig& config, std::index_sequence<I...>) {
    using Make = Variant (*)(const ProjectorConfig&);
    constexpr std::array<Make, sizeof...(I)> makers = {
        [](const ProjectorConfig& c) { return Variant(std::in_place_index<I>, c); }...};
    return makers[index_of(config.type)](config);
  }

  /// use(index) with the place of the one that was picked, as a constant: two types may have one type Saved.
  Rows<B> at_index(auto&& use) const {
    Rows<B> result;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((projector_.index() == I ? void(result = use(std::integral_constant<std::size_t, I>())) : void()), ...);
    }
    (std::index_sequence_for<Projectors<B>...>());
    return result;
  }

  Variant projector_;
};

/// All projectors of the library. The programs offer these: their flags, help, files and documentation take the names
/// from this list.
template <class B>
using AnyProjector =
    Choice<B, Linear, SequentialLinear, Neural, PlainNeural, ResidualNeural, ResidualPlainNeural, Identity, LowRank,
           DeepLinear, LinearSilu, LinearGelu, GatedSilu, GatedGelu, NonlinearQuery, Pattention>;

/// Each role makes its own choice when the model is made.
using AnyProjections = Projections<AnyProjector, AnyProjector, AnyProjector, AnyProjector>;

}  // namespace neural_attention
