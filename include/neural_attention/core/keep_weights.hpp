// KeepWeights: how long a backend may rely on the weights of a model.
#pragma once

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// While it lives, the backend may keep packed copies of the weights of linear maps, which do not change; those of the
/// model's parameters also until the next time, if they are the same then.
template <class B>
class KeepWeights {
 public:
  template <class Model>
  KeepWeights(B& backend, const Model& model) : backend_(backend) {
    if constexpr (requires { backend_.keep_weights(true, model.parameters().version()); })
      backend_.keep_weights(true, model.parameters().version());
    else
      backend_.keep_weights(true);
  }
  KeepWeights(const KeepWeights&) = delete;
  KeepWeights& operator=(const KeepWeights&) = delete;
  ~KeepWeights() { backend_.keep_weights(false); }

 private:
  B& backend_;
};

}  // namespace neural_attention
