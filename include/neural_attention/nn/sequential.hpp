// Sequential: modules one after another, numbered as in torch.nn.Sequential. If a Linear or a norm is followed by a
// ReLU and another module, one operation computes both; this is decided at compile time and changes no names. A norm or
// an activation in front of a Linear runs again in backward, so that its result need not be kept.
// Stack<B, Linear, LayerNorm, Relu, Linear> is the same as a projector: its widths follow from a ProjectorConfig.
#pragma once

#include <string>
#include <tuple>
#include <utility>

#include "neural_attention/nn/activation.hpp"
#include "neural_attention/nn/linear.hpp"
#include "neural_attention/nn/normalization.hpp"

namespace neural_attention {

/// A module that costs little beside a product, so that forward may run again in backward.
template <class M>
concept RunsAgain = M::runs_again;
/// A module whose backward reads its input as Saved::x and nowhere else, so that it may lie elsewhere than in forward.
template <class M>
concept TakesInputAgain = M::takes_input_again;

template <class B, class... Modules>
class Sequential {
 public:
  struct Saved {
    std::tuple<typename Modules::Saved...> of;
  };

  explicit Sequential(Modules... modules) : modules_(std::move(modules)...) {}

  static void visit(auto& self, auto&& visitor) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (visitor(std::to_string(I), std::get<I>(self.modules_)), ...); }
    (std::index_sequence_for<Modules...>{});
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const { return forward_from<0>(pass, x, saved); }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    return settle(pass, mark, dx, backward_from<0>(pass, dy, saved, std::get<0>(saved.of), dx));
  }

  template <std::size_t I>
  auto& get() {
    return std::get<I>(modules_);
  }
  template <std::size_t I>
  const auto& get() const {
    return std::get<I>(modules_);
  }

 private:
  static constexpr std::size_t count = sizeof...(Modules);
  template <std::size_t I>
  using Module = std::tuple_element_t<I, std::tuple<Modules...>>;

  /// Whether module I also computes the activation I+1. Its backward then reads the result. The last activation is
  /// therefore never fused: the caller may write into the result of a Sequential.
  template <std::size_t I>
  static consteval bool fused() {
    if constexpr (I + 2 < count) {
      if constexpr (requires { Module<I>::fuses(Module<I + 1>::function); })
        return Module<I>::fuses(Module<I + 1>::function);
    }
    return false;
  }

  /// The module after module I, and after the activation that it computes.
  template <std::size_t I>
  static constexpr std::size_t next = fused<I>() ? I + 2 : I + 1;

  /// Whether backward makes the result of module I again. Of its Saved, only x is then kept from forward.
  template <std::size_t I>
  static consteval bool made_again() {
    if constexpr (next<I> < count) return RunsAgain<Module<I>> && TakesInputAgain<Module<next<I>>>;
    return false;
  }

  template <std::size_t I>
  Rows<B> forward_of(const Pass<B>& pass, Rows<B> x, typename Module<I>::Saved& kept) const {
    if constexpr (fused<I>())
      return std::get<I>(modules_).forward_fused(pass, x, kept, Module<I + 1>::function);
    else
      return std::get<I>(modules_).forward(pass, x, kept);
  }
  template <std::size_t I>
  Rows<B> backward_of(const Pass<B>& pass, Rows<B> dy, const typename Module<I>::Saved& kept, Rows<B> dx) {
    if constexpr (fused<I>())
      return std::get<I>(modules_).backward_fused(pass, dy, kept, Module<I + 1>::function, dx);
    else
      return std::get<I>(modules_).backward(pass, dy, kept, dx);
  }

  template <std::size_t I>
  Rows<B> forward_from(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    if constexpr (I == count) {
      return x;
    } else if constexpr (made_again<I>()) {
      const ArenaScope scope(pass.scratch);
      return forward_from<next<I>>(pass, forward_of<I>(pass.on_scratch(), x, std::get<I>(saved.of)), saved);
    } else {
      return forward_from<next<I>>(pass, forward_of<I>(pass, x, std::get<I>(saved.of)), saved);
    }
  }

  /// The gradient of the input of module I, which has kept `kept`, from the gradient of the last module's output.
  template <std::size_t I>
  Rows<B> backward_from(const Pass<B>& pass, Rows<B> dy, const Saved& saved, const typename Module<I>::Saved& kept,
                        Rows<B> dx) {
    if constexpr (made_again<I>()) {
      typename Module<I>::Saved again;
      auto following = std::get<next<I>>(saved.of);
      following.x = forward_of<I>(pass.on_scratch(), kept.x, again);
      return backward_of<I>(pass, backward_from<next<I>>(pass, dy, saved, following, {}), again, dx);
    } else if constexpr (next<I> < count) {
      dy = backward_from<next<I>>(pass, dy, saved, std::get<next<I>>(saved.of), {});
    }
    return backward_of<I>(pass, dy, kept, dx);
  }

  std::tuple<Modules...> modules_;
};

/// A module whose output may be wider or narrower than its input, such as Linear and every projector. Modules of your
/// own declare it with a member `static constexpr bool maps_width = true`.
template <class M>
concept MapsWidth = M::maps_width;

/// A projector made of modules that a ProjectorConfig constructs. The first module that maps widths starts from d_in,
/// the last one ends at d_out, and between them the width is the hidden one.
template <class B, template <class> class... Modules>
class Stack : public Sequential<B, Modules<B>...> {
 public:
  static constexpr bool maps_width = true;

  explicit Stack(const ProjectorConfig& config) : Stack(config, std::index_sequence_for<Modules<B>...>{}) {}

 private:
  static constexpr bool maps[] = {MapsWidth<Modules<B>>...};
  static constexpr int mapping = (0 + ... + int{MapsWidth<Modules<B>>});
  static_assert(mapping > 0,
                "a Stack needs at least one module that maps widths, such as Linear or a projector; one of your own "
                "says so by a member static constexpr bool maps_width = true");

  template <std::size_t... I>
  Stack(const ProjectorConfig& config, std::index_sequence<I...>)
      : Sequential<B, Modules<B>...>(Modules<B>(widths(config, I))...) {}

  static ProjectorConfig widths(ProjectorConfig config, std::size_t index) {
    int before = 0;
    for (std::size_t i = 0; i < index; ++i) before += maps[i];
    const int after = before + maps[index];
    const auto width = [&](int maps_done) {
      if (maps_done == 0) return config.d_in;
      return maps_done == mapping ? config.d_out : config.hidden_columns();
    };
    const int in = width(before), out = width(after);
    config.d_in = in;
    config.d_out = out;
    return config;
  }
};

}  // namespace neural_attention
