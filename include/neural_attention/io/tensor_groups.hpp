// Sets of tensors that files hold together, such as a model's parameters or the moments of an optimizer.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/safetensors_header.hpp"

namespace neural_attention::io {

/// A named set of tensors in device memory, laid out as the entries of a store.
template <class Real>
struct TensorGroup {
  std::string prefix;    ///< put before every name
  RowsOf<Real> numbers;  ///< [1, n], indexed by the entries' offsets
  bool buffers = true;   ///< whether the tensors that are not trained belong to it
};

template <class Real>
inline constexpr DType dtype_of = std::is_same_v<Real, double> ? DType::F64 : DType::F32;

namespace detail {

/// use(name, entry, group) for every tensor of every group.
template <class B, class Real, class Use>
void for_each_entry(const ParameterStore<B>& store, const std::vector<TensorGroup<Real>>& groups, Use&& use) {
  for (const auto& group : groups)
    for (const auto& entry : store.entries())
      if (entry.trained || group.buffers) use(group.prefix + entry.name, entry, group);
}

/// use(name, entry, numbers) for those that are held as floats
template <class B, class Real, class Use>
void for_each_tensor(const ParameterStore<B>& store, const std::vector<TensorGroup<Real>>& groups, Use&& use) {
  for_each_entry(store, groups, [&](const std::string& name, const auto& entry, const TensorGroup<Real>& group) {
    if (!entry.quantized) use(name, entry, RowsOf<Real>{group.numbers.data + entry.offset, entry.rows, entry.cols});
  });
}

inline constexpr int elements_at_once = 1 << 18;  ///< of one transfer between host and device

/// The name of the scales of a matrix that files hold as int8.
inline std::string scale_of(const std::string& name) { return name + ".scale"; }

}  // namespace detail

}  // namespace neural_attention::io
