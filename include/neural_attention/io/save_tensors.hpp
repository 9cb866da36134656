// Writes tensors to safetensors files, a few rows at a time and under the names of the files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/stored_tensors.hpp"
#include "neural_attention/io/tensor_files.hpp"
#include "neural_attention/io/tensor_groups.hpp"

namespace neural_attention::io {

namespace detail {

/// Where the numbers of a tensor to write are: see StoredTensor.
template <class Real>
struct TensorNumbers {
  std::vector<RowsOf<Real>> parts;
  bool transposed = false;
};

/// Tensors to write and where their numbers are, if the tensors themselves do not say it.
template <class Real>
struct TensorList {
  std::vector<TensorToWrite> tensors;
  std::vector<TensorNumbers<Real>> numbers;
};

template <class B, class Real>
TensorList<Real> tensor_list(const ParameterStore<B>& store, const std::vector<TensorGroup<Real>>& groups) {
  TensorList<Real> list;
  const StoredTensors<B> stored(store, store.holds_int8());
  for_each_entry(store, groups, [&](const std::string&, const auto& entry, const TensorGroup<Real>& group) {
    if (entry.quantized) {
      if (!entry.quantized->view().data)
        throw ConfigError(entry.name + " is held as int8 and has no values yet: load a model or give a seed");
      list.tensors.push_back({entry.name, DType::I8, shape_of(entry), entry.quantized->view().data});
      list.tensors.push_back({scale_of(entry.name), DType::F32, {entry.rows}, entry.quantized->scales().data()});
      list.numbers.resize(list.tensors.size());
      return;
    }
    stored.with_tensor_of(entry, [&](const StoredTensor<B>& tensor) {
      list.tensors.push_back({group.prefix + tensor.name, dtype_of<Real>, tensor.shape(), nullptr});
      auto& numbers = list.numbers.emplace_back();
      numbers.transposed = tensor.transposed;
      for (const auto* const part : tensor.parts)
        numbers.parts.push_back({group.numbers.data + part->offset, part->rows, part->cols});
    });
  });
  return list;
}

/// write(values, count) for all of a tensor's numbers in the order of the file, a few rows at a time.
template <class B, class Real>
void stream_numbers(B& backend, const TensorNumbers<Real>& numbers, auto&& write) {
  std::vector<Real> values, columns;
  if (!numbers.transposed) {
    for (const auto& part : numbers.parts) {
      const int step = std::max(1, elements_at_once / std::max(1, part.cols));
      for (int row = 0; row < part.rows; row += step) {
        const auto some = part.slice(row, std::min(step, part.rows - row));
        values.resize(static_cast<std::size_t>(some.size()));
        backend(ops::DownloadOf<Real>{.x = some, .values = values});
        write(values.data(), values.size());
      }
    }
    return;
  }
  const auto in = numbers.parts.front().cols, out = numbers.parts.front().rows;
  const auto width = static_cast<std::size_t>(out) * numbers.parts.size();
  const int step = std::max(1, elements_at_once / std::max(1, static_cast<int>(width)));
  for (int first = 0; first < in; first += step) {
    const int count = std::min(step, in - first);
    values.resize(static_cast<std::size_t>(count) * width);
    columns.resize(static_cast<std::size_t>(out) * static_cast<std::size_t>(count));
    for (std::size_t p = 0; p < numbers.parts.size(); ++p) {
      backend(ops::DownloadOf<Real>{.x = numbers.parts[p].columns(first, count), .values = columns});
      for (std::size_t r = 0; r < static_cast<std::size_t>(count); ++r)
        for (std::size_t c = 0; c < static_cast<std::size_t>(out); ++c)
          values[r * width + p * static_cast<std::size_t>(out) + c] = columns[c * static_cast<std::size_t>(count) + r];
    }
    write(values.data(), values.size());
  }
}

/// Writes a safetensors file, a few rows at a time; the caller commits it.
template <class B, class Real>
void stream_tensors(AtomicFile& file, B& backend, const TensorList<Real>& list) {
  stream_safetensors(file, list.tensors, {{"format", "pt"}}, [&](const TensorToWrite& tensor, auto&& write) {
    if (tensor.data) return write(tensor.data, *tensor_bytes(tensor.dtype, tensor.shape));
    stream_numbers(backend, list.numbers[static_cast<std::size_t>(&tensor - list.tensors.data())],
                   [&](const Real* values, std::size_t count) { write(values, count * sizeof(Real)); });
  });
}

}  // namespace detail

/// Writes the groups to one safetensors file, atomically.
template <class B, class Real>
void save_tensors(const std::string& path, B& backend, const ParameterStore<B>& store,
                  const std::vector<TensorGroup<Real>>& groups) {
  if (store.holds_int8()) throw ConfigError("the parameters are held as int8, which only save_model can write");
  AtomicFile file(path);
  detail::stream_tensors(file, backend, detail::tensor_list(store, groups));
  file.commit();
}

}  // namespace neural_attention::io
