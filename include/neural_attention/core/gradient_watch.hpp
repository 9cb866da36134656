// GradientWatch: hears during the backward pass which gradients are complete, so that the ranks of a group can add
// them up while the pass goes on.
#pragma once

#include <functional>
#include <string>

#include "neural_attention/core/parameter.hpp"

namespace neural_attention {

struct GradientWatch {
  /// Nothing is added any more to the gradients in memory from `first` up to `last`, in this step: said once of each.
  virtual void complete(const void* first, const void* last) = 0;

 protected:
  ~GradientWatch() = default;
};

/// Tells `watch` that the gradients of `module` are complete. They lie side by side in a ParameterStore.
template <class B, class Module>
void tell_complete(GradientWatch& watch, Module& module) {
  const typename B::Real *first = nullptr, *last = nullptr;
  for_each_leaf(module, [&](const std::string&, Parameter<B>& parameter) {
    const auto& gradient = parameter.gradient;
    if (!gradient) return;
    const auto* const end = gradient.data + gradient.size();
    if (!first || std::less<>()(gradient.data, first)) first = gradient.data;
    if (!last || std::less<>()(last, end)) last = end;
  });
  if (first) watch.complete(first, last);
}

}  // namespace neural_attention
