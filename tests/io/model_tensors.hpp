// The tensors of a model, to be changed and written as a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/operations.hpp"
#include "neural_attention/io/safetensors.hpp"

/// The values of one tensor of a model. Throws where it has none of that name.
template <class Model>
std::vector<typename Model::Backend::Scalar> tensor(typename Model::Backend& backend, const Model& model,
                                                    const std::string& name) {
  const auto* const entry = model.parameters().find(name);
  if (!entry) throw std::runtime_error("the model has no tensor " + name);
  std::vector<typename Model::Backend::Scalar> values(static_cast<std::size_t>(entry->size()));
  backend(neural_attention::ops::Download<typename Model::Backend>{.x = model.parameters().value(*entry),
                                                                   .values = values});
  return values;
}

/// Gives every tensor random values: initial ones would hide a mix-up of biases, which all start at zero.
template <class Model>
void fill_with_noise(typename Model::Backend& backend, Model& model) {
  std::vector<typename Model::Backend::Scalar> noise;
  std::uint32_t state = 1;
  for (const auto& entry : model.parameters().entries()) {
    noise.resize(static_cast<std::size_t>(entry.size()));
    for (auto& x : noise) x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
    backend(
        neural_attention::ops::Upload<typename Model::Backend>{.values = noise, .x = model.parameters().value(entry)});
  }
}

struct ModelTensors {
  struct Tensor {
    neural_attention::io::DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Tensor> of;

  template <class T>
  void set(const std::string& name, neural_attention::io::DType dtype, std::vector<std::int64_t> shape,
           const std::vector<T>& values) {
    const auto* const data = reinterpret_cast<const std::byte*>(values.data());
    of[name] = {dtype, std::move(shape), {data, data + values.size() * sizeof(T)}};
  }

  ModelTensors() = default;
  /// Of a model in float.
  template <class Model>
  ModelTensors(typename Model::Backend& backend, const Model& model) {
    for (const auto& entry : model.parameters().entries()) {
      const auto shape =
          entry.vector ? std::vector<std::int64_t>{entry.cols} : std::vector<std::int64_t>{entry.rows, entry.cols};
      set(entry.name, neural_attention::io::DType::F32, shape, tensor(backend, model, entry.name));
    }
  }

  void write(const std::filesystem::path& path) const {
    std::vector<neural_attention::io::TensorToWrite> list;
    for (const auto& [name, tensor] : of) list.push_back({name, tensor.dtype, tensor.shape, tensor.bytes.data()});
    neural_attention::io::write_safetensors(path, list, {{"format", "pt"}});
  }
};
