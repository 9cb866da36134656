// How large a model is, found without memory for it: its parameters, and the floating point operations (FLOPs) of the
// products of a forward pass, as the backend's operations count them: 2 for each weight and row that it meets, and for
// each pair of a query and a key that it sees, 2 for each column of keys and values. Norms, activations, softmax and
// lookups are not counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/models/branches.hpp"
#include "neural_attention/models/encoder_decoder_body.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/tied_output.hpp"

namespace neural_attention {

/// The tokens of an example whose FLOPs are counted.
struct ExampleTokens {
  int tokens = 128;   ///< of the sequence; of the target if there is a source
  int source = 0;     ///< of an encoder-decoder's source; 0: as many
  int predicted = 0;  ///< whose logits are computed, such as the masked tokens alone; 0: all

  int source_tokens() const { return source == 0 ? tokens : source; }
  int predicted_tokens() const { return predicted == 0 ? tokens : predicted; }
  /// Throws ConfigError for numbers that make no sense.
  void validate() const {
    if (tokens < 1) throw ConfigError("an example must have at least one token, not " + std::to_string(tokens));
    if (source < 0)
      throw ConfigError("the source of an example must have at least one token, not " + std::to_string(source));
    if (predicted < 0 || predicted > tokens)
      throw ConfigError("an example of " + std::to_string(tokens) + " tokens cannot predict " +
                        std::to_string(predicted) + " of them");
  }
};

struct ModelSize {
  std::int64_t parameters = 0;
  /// Of the forward pass over the example. Backward takes twice as many for the weights and, because it computes the
  /// scores again, 2.5 times as many inside attention.
  std::int64_t flops = 0;
};

/// Walks a body or a head and adds up the FLOPs of an example. `words` is the embedding's matrix, which a tied head
/// multiplies.
template <class B>
class ForwardFlops {
 public:
  ForwardFlops(const ExampleTokens& example, const Parameter<B>& words) : example_(example), words_(words) {}

  /// Adds the FLOPs of a module for this many rows.
  template <class Module>
  void add(std::int64_t rows, const Module& module) {
    const auto before = rows_;
    rows_ = rows;
    const Alone<Module> alone{module};
    for_each_leaf(alone, *this);
    rows_ = before;
  }

  std::int64_t sum() const { return sum_; }

  void operator()(const std::string&, const Parameter<B>& tensor) {
    if (!tensor.vector && &tensor != &words_) count(sizes::product(2, rows_, sizes::product(tensor.rows, tensor.cols)));
  }
  void operator()(const std::string&, const Embedding<B>&) {}
  template <template <class> class Bias>
  void operator()(const std::string&, const TiedOutput<B, Bias>&) {
    count(sizes::product(2, rows_, sizes::product(words_.rows, words_.cols)));
  }

  template <class P, class Names, AttentionUse use>
  void operator()(const std::string&, const SelfAttention<B, P, Names, use>& attention) {
    for_each_leaf(attention, *this);
    count_pairs(use == AttentionUse::Causal ? sizes::product(rows_, rows_ + 1) / 2 : sizes::product(rows_, rows_),
                attention.widths());
  }
  template <class P, class Names>
  void operator()(const std::string&, const CrossAttention<B, P, Names>& attention) {
    const std::int64_t keys = example_.source_tokens();
    CrossAttention<B, P, Names>::visit(attention, [&](std::string_view name, const auto& part) {
      add(name == Names::key || name == Names::value ? keys : rows_, part);
    });
    count_pairs(sizes::product(rows_, keys), attention.widths());
  }
  template <class P, class Input, class Names>
  void operator()(const std::string&, const EncoderDecoderBody<B, P, Input, Names>& body) {
    using Body = EncoderDecoderBody<B, P, Input, Names>;
    const std::int64_t source = example_.source_tokens();
    Body::visit(body, [&]<class Part>(std::string_view, const Part& part) {
      add(std::is_same_v<Part, Input>                    ? source + rows_
          : std::is_same_v<Part, typename Body::Encoder> ? source
                                                         : rows_,
          part);
    });
  }

 private:
  /// A module as the member of another, so that a walk begins with it.
  template <class Module>
  struct Alone {
    const Module& module;
    static void visit(auto& self, auto&& visitor) { visitor("", self.module); }
  };

  void count(std::int64_t flops) { sum_ = sizes::sum(sum_, flops); }
  void count_pairs(std::int64_t pairs, const KeyValueWidths& widths) {
    count(sizes::product(2, pairs, std::int64_t{widths.keys} + widths.values));
  }

  ExampleTokens example_;
  const Parameter<B>& words_;
  std::int64_t rows_ = 0, sum_ = 0;
};

/// The size of a `Model` with that config; nothing is allocated for it. Throws ConfigError if there can be no such
/// model, or no such example.
template <class Model>
ModelSize model_size(const typename Model::Config& config, const ExampleTokens& example = {}) {
  example.validate();
  ModelSize size;
  Model::inspect(config, [&](const Model& outline) {
    size.parameters = outline.parameters().count();
    ForwardFlops<typename Model::Backend> flops(example, outline.body().words().weight);
    flops.add(example.tokens, outline.body());
    flops.add(example.predicted_tokens(), outline.head());
    size.flops = flops.sum();
  });
  return size;
}

}  // namespace neural_attention
