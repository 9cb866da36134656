// Gated: y = W₃ (f(W₁ x) ⊙ W₂ x), x [n, d_in], y [n, d_out], with biases: the networks of "GLU Variants Improve
// Transformer" (Shazeer 2020). Three matrices: as large as a linear map at a third of its width.
#pragma once

#include "neural_attention/nn/activation.hpp"
#include "neural_attention/nn/linear.hpp"

namespace neural_attention {

template <class B, Activation F>
class Gated {
 public:
  static constexpr bool maps_width = true;
  static constexpr HiddenWidth usual_width = HiddenWidth::matched();
  static constexpr Activation function = F;

  struct Saved {
    typename Linear<B>::Saved gate, value, output;
    typename ElementWise<B, F>::Saved activation;
    Rows<B> opened, values;  // what is multiplied
  };

  explicit Gated(const ProjectorConfig& config)
      : gate(config.d_in, config.hidden_columns(), config.initial, config.bias),
        value(config.d_in, config.hidden_columns(), config.initial, config.bias),
        output(config.hidden_columns(), config.d_out, config.initial, config.bias) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("gate", self.gate);
    visitor("value", self.value);
    visitor("output", self.output);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.opened = activation_.forward(pass, gate.forward(pass, x, saved.gate), saved.activation);
    saved.values = value.forward(pass, x, saved.value);
    const auto product = pass.saved.rows(x.rows, saved.values.cols);
    pass.backend(ops::Multiply<B>{.a = saved.opened, .b = saved.values, .y = product});
    return output.forward(pass, product, saved.output);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    const auto dproduct = output.backward(pass, dy, saved.output);
    const auto dopened = pass.scratch.rows(dproduct.rows, dproduct.cols);
    const auto dvalues = pass.scratch.rows(dproduct.rows, dproduct.cols);
    pass.backend(
        ops::MultiplyBackward<B>{.dy = dproduct, .a = saved.opened, .b = saved.values, .da = dopened, .db = dvalues});
    const auto dgate = activation_.backward(pass, dopened, saved.activation);
    const auto through = value.backward(pass, dvalues, saved.value, dx);
    return settle(pass, mark, dx, gate.backward(pass, dgate, saved.gate, through));
  }

  Linear<B> gate, value, output;

 private:
  ElementWise<B, F> activation_;
};

}  // namespace neural_attention
