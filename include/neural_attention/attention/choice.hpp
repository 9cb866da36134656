// Choice: a projector that is one of several types, picked by name (ProjectorConfig::type) when the model is made. With
// it, programs instantiate one model instead of one for each combination. Parameter names do not change.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/sequence_projector.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/core/nearest_name.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/backend/cpu/cpu.hpp"
#endif

namespace neural_attention {

/// A leaf of a module, with its name there.
template <class B>
struct NamedLeaf {
  std::string name;
  std::variant<Parameter<B>*, Buffer<B>*, RandomSite*> leaf;
};

/// What a Choice does with the projector that it holds: the only code that grows with the number of its types, and none
/// of it depends on who calls. A program of several files instantiates it once:
///   extern template struct ChoiceCode<MyChoice<MyBackend>>;
template <class Chooser>
struct ChoiceCode {
  using B = typename Chooser::Backend;
  using Held = typename Chooser::Held;
  using Saved = typename Chooser::Saved;
  using State = typename Chooser::State;

  static Held make(std::size_t index, const ProjectorConfig& config);
  /// `sequences` is null if the caller does not know them.
  static Rows<B> forward(const Held& held, const Pass<B>& pass, Rows<B> x, Saved& saved, const Ragged* sequences);
  static Rows<B> backward(Held& held, const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx,
                          const Ragged* sequences);
  static State begin_decoding(const Held& held, B& backend, int rows, int slots);
  static Rows<B> decode(const Held& held, const Pass<B>& pass, Rows<B> x, State& state, const Ragged& runs);
  static void reorder(State& state, B& backend, std::span<const int> parents);
  static std::string fault_at(const Held& held, const ProjectorPlace& place);
  static bool joint(const Held& held);
  static std::vector<NamedLeaf<B>> leaves(Held& held);

 private:
  /// use(index) with the index as a constant: two types may have one type Saved.
  template <class Result>
  static Result at(std::size_t index, auto&& use) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using Use = std::remove_reference_t<decltype(use)>;
      constexpr std::array<Result (*)(Use&), sizeof...(I)> calls = {
          [](Use& of_index) -> Result { return of_index(std::integral_constant<std::size_t, I>()); }...};
      return calls[index](use);
    }
    (std::make_index_sequence<std::variant_size_v<Held>>());
  }

  template <class P>
  static const Ragged& required(const Ragged* sequences) {
    if (sequences) return *sequences;
    throw ConfigError("the projector " + in_quotes(projector_name<P>()) +
                      " sees whole sequences, so it cannot be part of another projector");
  }
};

/// It sees sequences if one of its types does.
template <class B, template <class> class... Projectors>
class Choice {
 public:
  static constexpr bool maps_width = true;
  static constexpr bool sees_sequences = (SeesSequences<Projectors<B>> || ...);

  using Backend = B;
  using Held = std::variant<Projectors<B>...>;
  struct Saved {
    std::variant<typename Projectors<B>::Saved...> of;
  };
  struct State {
    std::variant<ProjectorState<Projectors<B>>...> of;

    void reorder(B& backend, std::span<const int> parents) { ChoiceCode<Choice>::reorder(*this, backend, parents); }
  };

  static constexpr std::array<std::string_view, sizeof...(Projectors)> names = {projector_name<Projectors<B>>()...};

  /// The index of the type of that name. Throws ConfigError, which suggests the nearest name and lists all, if there is
  /// none.
  static std::size_t index_of(const std::string& type) {
    std::string known;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == type) return i;
      known += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    throw ConfigError("there is no projector " + quoted_with_nearest(type, names) + "; known are " + known);
  }

  /// The usual hidden width of the type of that name. Throws ConfigError as index_of does.
  static HiddenWidth usual_width_of(const std::string& type) {
    const std::array widths = {usual_width<Projectors<B>>(type)...};
    return widths[index_of(type)];
  }

  /// Calls use.operator()<Projector>() for each of the types.
  static void for_each_type(auto&& use) { (use.template operator()<Projectors<B>>(), ...); }

  /// Throws ConfigError, which lists the names, if config.type is none of them.
  explicit Choice(const ProjectorConfig& config) : projector_(Code::make(index_of(config.type), config)) {}

  /// Names the leaves of the projector that was picked, without the modules in between.
  static void visit(auto& self, auto&& visitor) {
    using Self = std::remove_reference_t<decltype(self)>;
    for (const auto& named : Code::leaves(const_cast<Choice&>(self).projector_)) {
      const auto show = [&]<class Leaf>(Leaf* leaf) {
        visitor(named.name, static_cast<std::conditional_t<std::is_const_v<Self>, const Leaf, Leaf>&>(*leaf));
      };
      std::visit(show, named.leaf);
    }
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return Code::forward(projector_, pass, x, saved, nullptr);
  }
  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const Ragged& sequences) const {
    return Code::forward(projector_, pass, x, saved, &sequences);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return Code::backward(projector_, pass, dy, saved, dx, nullptr);
  }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const Ragged& sequences) {
    return Code::backward(projector_, pass, dy, saved, dx, &sequences);
  }

  State begin_decoding(B& backend, int rows, int slots) const {
    return Code::begin_decoding(projector_, backend, rows, slots);
  }
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, State& state, const Ragged& runs) const {
    return Code::decode(projector_, pass, x, state, runs);
  }

  std::string fault_at(const ProjectorPlace& place) const { return Code::fault_at(projector_, place); }
  bool is_joint() const requires(MayJoin<Projectors<B>> || ...) { return Code::joint(projector_); }

  /// Calls use(projector) with the projector that was picked.
  decltype(auto) with_chosen(auto&& use) { return std::visit(use, projector_); }

 private:
  using Code = ChoiceCode<Choice>;

  Held projector_;
};

template <class Chooser>
typename Chooser::Held ChoiceCode<Chooser>::make(std::size_t index, const ProjectorConfig& config) {
  return at<Held>(index, [&](auto i) { return Held(std::in_place_index<i>, config); });
}

template <class Chooser>
Rows<typename Chooser::Backend> ChoiceCode<Chooser>::forward(const Held& held, const Pass<B>& pass, Rows<B> x,
                                                             Saved& saved, const Ragged* sequences) {
  return at<Rows<B>>(held.index(), [&](auto i) {
    const auto& projector = std::get<i>(held);
    auto& kept = saved.of.template emplace<i>();
    using P = std::remove_cvref_t<decltype(projector)>;
    if constexpr (SeesSequences<P>)
      return projector.forward(pass, x, kept, required<P>(sequences));
    else
      return projector.forward(pass, x, kept);
  });
}

template <class Chooser>
Rows<typename Chooser::Backend> ChoiceCode<Chooser>::backward(Held& held, const Pass<B>& pass, Rows<B> dy,
                                                              const Saved& saved, Rows<B> dx, const Ragged* sequences) {
  return at<Rows<B>>(held.index(), [&](auto i) {
    auto& projector = std::get<i>(held);
    const auto& kept = std::get<i>(saved.of);
    using P = std::remove_cvref_t<decltype(projector)>;
    if constexpr (SeesSequences<P>)
      return projector.backward(pass, dy, kept, dx, required<P>(sequences));
    else
      return projector.backward(pass, dy, kept, dx);
  });
}

template <class Chooser>
typename Chooser::State ChoiceCode<Chooser>::begin_decoding(const Held& held, B& backend, int rows, int slots) {
  return at<State>(held.index(), [&](auto i) {
    State state;
    state.of.template emplace<i>(begin_projecting(std::get<i>(held), backend, rows, slots));
    return state;
  });
}

template <class Chooser>
Rows<typename Chooser::Backend> ChoiceCode<Chooser>::decode(const Held& held, const Pass<B>& pass, Rows<B> x,
                                                            State& state, const Ragged& runs) {
  return at<Rows<B>>(held.index(), [&](auto i) {
    const auto& projector = std::get<i>(held);
    typename std::remove_cvref_t<decltype(projector)>::Saved saved;
    return project_next(projector, pass, x, saved, std::get<i>(state.of), runs);
  });
}

template <class Chooser>
void ChoiceCode<Chooser>::reorder(State& state, B& backend, std::span<const int> parents) {
  at<void>(state.of.index(), [&](auto i) { std::get<i>(state.of).reorder(backend, parents); });
}

template <class Chooser>
std::string ChoiceCode<Chooser>::fault_at(const Held& held, const ProjectorPlace& place) {
  return at<std::string>(held.index(), [&](auto i) -> std::string {
    if constexpr (requires { std::get<i>(held).fault_at(place); }) return std::get<i>(held).fault_at(place);
    return {};
  });
}

template <class Chooser>
bool ChoiceCode<Chooser>::joint(const Held& held) {
  return at<bool>(held.index(), [&](auto i) { return neural_attention::is_joint(std::get<i>(held)); });
}

template <class Chooser>
std::vector<NamedLeaf<typename Chooser::Backend>> ChoiceCode<Chooser>::leaves(Held& held) {
  struct Collector {
    std::vector<NamedLeaf<B>> all = {};

    void operator()(const std::string& name, Parameter<B>& tensor) { all.push_back({name, &tensor}); }
    void operator()(const std::string& name, Buffer<B>& tensor) { all.push_back({name, &tensor}); }
    void operator()(const std::string& name, RandomSite& site) { all.push_back({name, &site}); }
  } collector;
  at<void>(held.index(), [&](auto i) { for_each_leaf(std::get<i>(held), collector); });
  return std::move(collector.all);
}

/// All projectors of the library. The programs offer these: their flags, help, files and documentation take the names
/// from this list.
template <class B>
using AnyProjector =
    Choice<B, Linear, SequentialLinear, Neural, PlainNeural, ResidualNeural, ResidualPlainNeural, Identity, LowRank,
           DeepLinear, LinearSilu, LinearGelu, GatedSilu, GatedGelu, GluSilu, NonlinearQuery, Pattention,
           RationalNeural, ConvLinear, ConvNeural, CentredConvLinear, JointQkv>;

#if defined(NEURAL_ATTENTION_COMPILED)
extern template struct ChoiceCode<AnyProjector<Cpu<float>>>;
#endif

/// Each role makes its own choice when the model is made.
using AnyProjections = Projections<AnyProjector, AnyProjector, AnyProjector, AnyProjector>;

}  // namespace neural_attention
