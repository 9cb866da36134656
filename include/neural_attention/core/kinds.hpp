// Small value types that operations take: which activation, where a dropout mask comes from, what an optimizer step
// found out.
#pragma once

#include "neural_attention/core/named.hpp"
#include "neural_attention/core/random.hpp"

namespace neural_attention {

/// Element-wise functions. Gelu is the exact one, x·Φ(x); GeluTanh is GPT-2's approximation of it,
/// x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2; Silu is x·σ(x) ("swish"); Mish is x·tanh(softplus(x)).
enum class Activation { Identity, Relu, Gelu, GeluTanh, Silu, Mish };

/// The activation functions that a config may name.
inline constexpr Named<Activation> named_activations[] = {{"swish", Activation::Silu},
                                                          {"relu", Activation::Relu},
                                                          {"gelu", Activation::Gelu},
                                                          {"gelu_new", Activation::GeluTanh},
                                                          {"mish", Activation::Mish},
                                                          {"silu", Activation::Silu},
                                                          {"gelu_pytorch_tanh", Activation::GeluTanh}};
constexpr const auto& names_of(Activation) { return named_activations; }

/// The number type of operands in products of matrices. Sums and everything else have the backend's own type.
enum class Precision { Float32, BFloat16 };

/// The elements that a dropout sets to zero: a function of the key and of an element's global row and column, so that
/// the same tokens see the same mask however the batch is split. `rate` 0 means no dropout.
struct DropoutMask {
  double rate = 0.0;
  RandomKey key;
  int first_row = 0;  ///< global index of the first row (for attention: of the first sequence)

  explicit operator bool() const { return rate > 0.0; }
};

/// Shape of one attention call.
struct AttentionShape {
  int heads = 1;
  double scale = 1.0;     ///< factor on the scores, normally head_width^-1/2
  bool causal = false;    ///< query i sees keys 0 … i of its sequence
  double soft_cap = 0.0;  ///< c, where scores s become c · tanh(s / c), as in Gemma 2 (arXiv 2408.00118); 0: none
};

/// How one token is drawn from logits: they are divided by `temperature`; then only the `top_k` largest stay (0: all);
/// of these, only the largest that together hold `top_p` of the probability; and of these, only those with at least
/// `min_p` times the largest probability.
struct SamplingShape {
  double temperature = 1.0;
  int top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
};

/// The results of an optimizer step. It lies in memory of the backend, where the operations of the step write and read
/// it, so that the host need not wait for the device inside a step.
struct StepOutcome {
  double smoothed_loss = 0.0;  ///< sums over the target tokens: see cross_entropy
  double negative_log_likelihood = 0.0;
  double squared_norm = 0.0;    ///< of the gradients
  double gradient_scale = 1.0;  ///< optimizers multiply every gradient by this first: clipping
  bool finite = true;           ///< loss and gradients are; else optimizers change nothing
};

}  // namespace neural_attention
