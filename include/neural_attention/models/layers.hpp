// Transformer layers as lists of sublayers, and stacks of layers. An encoder layer has self-attention and a
// feed-forward network; a decoder layer is causal and attends to the encoder's output between the two; a causal layer
// is a layer of a language model without an encoder.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/models/branches.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/nn/recompute.hpp"

namespace neural_attention {

/// Sublayers one after another, x and y [tokens, d]. `context` is the context of their branches.
template <class B, class... Sublayers>
class Layer {
 public:
  struct Saved {
    std::tuple<typename Sublayers::Saved...> of;
  };

  /// The layer's decoding state. A row is a sequence or, if a sequence has several rows, a beam.
  struct Cache {
    std::tuple<typename Sublayers::Cache...> of;

    /// Row i continues row parents[i]; the children of a row share its source.
    void reorder(B& backend, std::span<const int> parents) {
      std::apply([&](auto&... caches) { (caches.reorder(backend, parents), ...); }, of);
    }
  };

  explicit Layer(const LayerConfig& config) : sublayers_(Sublayers(config)...) {}

  /// What messages call a stack of such layers: a decoder if the first sublayer is causal attention.
  static constexpr const char* stack_name() {
    using Branch =
        std::remove_cvref_t<decltype(std::declval<std::tuple_element_t<0, std::tuple<Sublayers...>>>().branch())>;
    if constexpr (requires { Branch::use; })
      return Branch::use == AttentionUse::Causal ? "decoder layer " : "encoder layer ";
    else
      return "layer ";
  }

  static void visit(auto& self, auto&& visitor) {
    std::apply([&](auto&... sublayers) { (Sublayers::visit(sublayers, visitor), ...); }, self.sublayers_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto& context) const {
    each([&]<std::size_t I>() { x = sublayer<I>().forward(pass, x, std::get<I>(saved.of), context); });
    return x;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const auto& context) {
    const auto mark = pass.scratch.mark();
    const auto norms = shared_norms<B>(context);
    each([&]<std::size_t I>() {
      constexpr std::size_t last = sizeof...(Sublayers) - 1 - I;
      if (norms) {
        if constexpr (last > 0)
          sublayer<last - 1>().norm_behind(std::get<last - 1>(saved.of)).write_again(pass);
        else
          norms.of_input.write_again(pass);
      }
      dy = std::get<last>(sublayers_).backward(pass, dy, std::get<last>(saved.of), context);
    });
    if (dx) pass.backend(ops::Add<B>{.x = dy, .y = dx});
    return settle(pass, mark, dx, dx ? dx : dy);
  }

  /// The norm that made y, if one did.
  KeptNorm<B> norm_behind(const Saved& saved) const {
    constexpr std::size_t last = sizeof...(Sublayers) - 1;
    return sublayer<last>().norm_behind(std::get<last>(saved.of));
  }

  Cache begin_decoding(const Pass<B>& pass, const DecodingStart<B>& start) const {
    return std::apply(
        [&](const auto&... sublayers) { return Cache{{sublayers.branch().begin_decoding(pass, start)...}}; },
        sublayers_);
  }

  /// The next tokens of each live row: x [runs.total(), d], run i being the tokens of row i.
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Cache& cache, const auto& runs) const {
    each([&]<std::size_t I>() { x = sublayer<I>().decode(pass, x, std::get<I>(cache.of), runs); });
    return x;
  }

  template <std::size_t I>
  const auto& sublayer() const {
    return std::get<I>(sublayers_);
  }

 private:
  static void each(auto&& use) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (use.template operator()<I>(), ...); }
    (std::index_sequence_for<Sublayers...>{});
  }

  std::tuple<Sublayers...> sublayers_;
};

template <class B, class P, class Names = BartNames>
using EncoderLayer =
    Layer<B, Sublayer<B, SelfAttention<B, P, Names, AttentionUse::Self>>, Sublayer<B, FeedForwardBranch<B, Names>>>;

template <class B, class P, class Names = BartNames>
using DecoderLayer = Layer<B, Sublayer<B, SelfAttention<B, P, Names, AttentionUse::Causal>>,
                           Sublayer<B, CrossAttention<B, P, Names>>, Sublayer<B, FeedForwardBranch<B, Names>>>;

inline constexpr std::size_t cross_sublayer = 1;  ///< of a DecoderLayer

template <class B, class P, class Names = BartNames>
using CausalLayer =
    Layer<B, Sublayer<B, SelfAttention<B, P, Names, AttentionUse::Causal>>, Sublayer<B, FeedForwardBranch<B, Names>>>;

/// Dropout of the input, layers of one type in a row and, if they are pre-norm, a LayerNorm after the last one.
/// Outside training the activations of a layer are dropped as soon as the next one has its input.
template <class B, class Element, class Names = BartNames>
class LayerStack {
 public:
  struct Saved {
    typename Dropout<B>::Saved dropout;
    Rows<B> input;         ///< of the first layer
    Rows<B> first_values;  ///< of the first layer, where others take them
    Rows<B> norms;         ///< the rows that the layers' norms share
    std::vector<typename Recompute<B, Element>::Saved> layers;
    std::vector<Rows<B>> outputs;  ///< of each layer: see output()
    typename LayerNorm<B>::Saved norm;
  };

  /// The decoding state of the layers.
  struct Caches {
    std::vector<typename Element::Cache> of;

    void reorder(B& backend, std::span<const int> parents) {
      for (auto& cache : of) cache.reorder(backend, parents);
    }
  };

  /// Equal layers. Throws ConfigError if there are none or too many.
  LayerStack(int count, const LayerConfig& config, bool recompute = false)
      : LayerStack(std::vector<LayerConfig>(checked(count), config), recompute) {}
  /// One layer of each config; they may differ in their projectors. Throws ConfigError if there are none, and for a
  /// layer that cannot be, with its stack and number: "decoder layer 2: ...".
  explicit LayerStack(const std::vector<LayerConfig>& configs) : LayerStack(configs, false) {}
  LayerStack(const std::vector<LayerConfig>& configs, bool recompute)
      : dropout_(configs.empty() ? 0.0 : configs.front().input_dropout.value_or(configs.front().dropout)),
        recompute_(recompute) {
    layers_.reserve(checked(static_cast<int>(configs.size())));
    for (auto config : configs) try {
        config.attention.layer = size();
        if (config.attention.takes_values()) shared_width_ = shared_width(configs.front(), config);
        layers_.emplace_back(Element(config), recompute);
      } catch (const ConfigError& error) {
        throw ConfigError(Element::stack_name() + std::to_string(layers_.size()) + ": " + error.what());
      }
    const auto& first = configs.front();
    if (first.norm_place == NormPlace::Pre) norm_.emplace(first.attention.d_model, first.norm_eps, first.bias);
  }

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::input_dropout, self.dropout_);
    visitor(Names::layers, self.layers_);
    if (self.norm_) visitor(Names::stack_norm, *self.norm_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto& context) const {
    x = begin(pass, x, saved);
    saved.layers.resize(layers_.size());
    saved.outputs.resize(layers_.size());
    auto of_layers = in_stack(pass, x.rows, context);
    saved.first_values = of_layers.first.values;
    // Layers that run again keep their inputs and nothing else, so there the norms share no rows.
    saved.norms = of_layers.norms.rows = pass.train && !recompute_ ? pass.saved.rows(x.rows, x.cols) : Rows<B>();
    const auto mark = pass.saved.mark();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].forward(pass, x, saved.layers[i], of_layers);
      if (!pass.train) x = pass.saved.rewind_keeping(mark, x);
      saved.outputs[i] = x;
    }
    return normed(pass, x, saved.norm);
  }

  /// The input of the first layer, written over x.
  Rows<B> begin(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return saved.input = dropout_.forward_in_place(pass, x, saved.dropout);
  }

  /// The output of layer i in a training pass. If it lay in the rows that the norms share, they hold it again until the
  /// next call.
  Rows<B> output(const Pass<B>& pass, const Saved& saved, std::size_t i) const {
    if (saved.norms) norm_behind(saved, i).write_again(pass);
    return saved.outputs[i];
  }

  /// The context of the layers in a pass over `rows` rows. Shared data lies on the saved stack.
  template <class Context>
  StackContext<B, Context> in_stack(const Pass<B>& pass, int rows, const Context& context) const {
    if (shared_width_ == 0) return {context, {}};
    return {context, {pass.saved.rows(rows, shared_width_), {}}};
  }

  /// The gradient of x, at `mark` on the scratch stack. Where dy lies above the mark, its memory is used again.
  template <class Context>
  Rows<B> backward(const Pass<B>& pass, typename Arena<B>::Mark mark, Rows<B> dy, const Saved& saved,
                   const Context& context) {
    const ArenaScope scope(pass.saved);  // what the layers share survives rewinding to the mark there
    StackContext<B, Context> of_layers{context, {saved.first_values, {}}, {.rows = saved.norms}};
    if (auto& first = of_layers.first) {
      first.gradient = pass.saved.rows(first.values.rows, first.values.cols);
      pass.backend(ops::Fill<B>{.x = first.gradient, .value = typename B::Scalar(0)});
    }
    if (norm_) dy = pass.scratch.rewind_keeping(mark, norm_->backward(pass, dy, saved.norm));
    for (std::size_t i = layers_.size(); i > 0; --i) {
      of_layers.norms.of_input = i > 1 ? norm_behind(saved, i - 2) : KeptNorm<B>();
      dy = pass.scratch.rewind_keeping(mark, layers_[i - 1].backward(pass, dy, saved.layers[i - 1], {}, of_layers));
      if (pass.watch) tell_complete<B>(*pass.watch, layers_[i - 1]);
    }
    pass.backend(ops::Dropout<B>{.x = dy, .mask = saved.dropout.mask, .y = dy});
    return dy;
  }

  Caches begin_decoding(const Pass<B>& pass, const DecodingStart<B>& start) const {
    Caches caches;
    caches.of.reserve(layers_.size());
    for (const auto& layer : layers_) caches.of.push_back(layer.module().begin_decoding(pass, start));
    return caches;
  }

  /// The next tokens of each live row: x [runs.total(), d], run i being the tokens of row i.
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Caches& caches, const Ragged& runs) const {
    const bool many = !one_each(runs);  // then a layer's activations take as much memory as in forward
    const auto of_layers = in_stack(pass, x.rows, runs);
    const auto mark = pass.saved.mark();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].module().decode(pass, x, caches.of[i], of_layers);
      if (many) x = pass.saved.rewind_keeping(mark, x);
    }
    typename LayerNorm<B>::Saved saved;
    return normed(pass, x, saved);
  }

  int size() const { return static_cast<int>(layers_.size()); }
  const Element& operator[](int i) const { return layers_[static_cast<std::size_t>(i)].module(); }

 private:
  /// The norm that made the output of layer i, if one did.
  KeptNorm<B> norm_behind(const Saved& saved, std::size_t i) const {
    return layers_[i].module().norm_behind(saved.layers[i].inner);
  }

  static std::size_t checked(int count) {
    if (const auto fault = fault_of(Knob("the number of layers", "", checks::layers), count); !fault.empty())
      throw ConfigError(fault);
    return static_cast<std::size_t>(count);
  }

  /// Of the first layer's values, which `taking` adds to its own.
  static int shared_width(const LayerConfig& first, const LayerConfig& taking) {
    const int width = first.attention.widths().values, own = taking.attention.widths().values;
    if (width == own) return width;
    throw ConfigError("its values are " + std::to_string(own) +
                      " wide, but it adds values of the first layer, which are " + std::to_string(width) + " wide");
  }

  Rows<B> normed(const Pass<B>& pass, Rows<B> x, typename LayerNorm<B>::Saved& saved) const {
    return norm_ ? norm_->forward(pass, x, saved) : x;
  }

  Dropout<B> dropout_;
  bool recompute_;
  int shared_width_ = 0;  ///< of the first layer's values, where others take them
  std::vector<Recompute<B, Element>> layers_;
  std::optional<LayerNorm<B>> norm_;
};

}  // namespace neural_attention
