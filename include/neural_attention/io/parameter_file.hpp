// Parameters to and from safetensors files, by name. Loading is strict: a file that lacks a tensor, has one too many or
// one of another shape is refused with a table that names them all, before any parameter is touched.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/safetensors.hpp"

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

template <class B, class Real, class Use>
void for_each_tensor(const ParameterStore<B>& store, const std::vector<TensorGroup<Real>>& groups, Use&& use) {
  for (const auto& group : groups)
    for (const auto& entry : store.entries())
      if (entry.trained || group.buffers)
        use(group.prefix + entry.name, entry, RowsOf<Real>{group.numbers.data + entry.offset, entry.rows, entry.cols});
}

template <class Entry>
std::vector<std::int64_t> shape_of(const Entry& entry) {
  if (entry.vector) return {entry.cols};
  return {entry.rows, entry.cols};
}

inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace detail

/// Writes the groups to one safetensors file, atomically.
template <class B, class Real>
void save_tensors(const std::string& path, B& backend, const ParameterStore<B>& store,
                  const std::vector<TensorGroup<Real>>& groups) {
  std::vector<std::vector<Real>> host;
  std::vector<TensorToWrite> tensors;
  detail::for_each_tensor(store, groups, [&](const std::string& name, const auto& entry, RowsOf<Real> numbers) {
    auto& values = host.emplace_back(static_cast<std::size_t>(entry.size()));
    backend.download(numbers, values);
    tensors.push_back({name, dtype_of<Real>, detail::shape_of(entry), values.data()});
  });
  write_safetensors(path, tensors, {{"format", "pt"}});
}

/// Reads what save_tensors wrote, converting the number format. Throws FileError; nothing is changed then.
template <class B, class Real>
void load_tensors(const std::string& path, B& backend, const ParameterStore<B>& store,
                  const std::vector<TensorGroup<Real>>& groups) {
  const SafetensorsFile file(path);
  std::string faults;
  std::map<std::string, bool> known;
  detail::for_each_tensor(store, groups, [&](const std::string& name, const auto& entry, RowsOf<Real>) {
    known[name] = true;
    const auto expected = detail::shape_of(entry);
    const auto* const tensor = file.find(name);
    if (!tensor)
      faults += "\n  missing      " + name + " " + detail::shape_text(expected);
    else if (tensor->shape != expected)
      faults += "\n  wrong shape  " + name + " " + detail::shape_text(tensor->shape) + ", the model has " +
                detail::shape_text(expected);
  });
  for (const auto& tensor : file.tensors())
    if (!known.contains(tensor.name))
      faults += "\n  unexpected   " + tensor.name + " " + detail::shape_text(tensor.shape);
  if (!faults.empty()) throw FileError(path, "the tensors do not fit the model:" + faults);

  std::vector<Real> values;
  detail::for_each_tensor(store, groups, [&](const std::string& name, const auto& entry, RowsOf<Real> numbers) {
    values.resize(static_cast<std::size_t>(entry.size()));
    file.read(*file.find(name), values.data());
    backend.upload(values, numbers);
  });
}

template <class B>
void save_parameters(const std::string& path, B& backend, const ParameterStore<B>& store) {
  save_tensors<B, typename B::Scalar>(path, backend, store, {{"", store.values(), true}});
}

template <class B>
void load_parameters(const std::string& path, B& backend, const ParameterStore<B>& store) {
  load_tensors<B, typename B::Scalar>(path, backend, store, {{"", store.values(), true}});
}

}  // namespace neural_attention::io
