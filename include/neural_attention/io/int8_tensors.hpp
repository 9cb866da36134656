// Matrices of int8 in a parameter store: those of files, where they lie, or floats that are rounded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/load_tensors.hpp"

namespace neural_attention::io::detail {

/// Throws FileError unless all scales are positive and finite and all integers in ±127.
void check_int8(const TensorFiles& files, const std::string& name, std::span<const std::int8_t> integers,
                std::span<const float> scales);

/// Lets a store hold the int8 matrices of files where they lie. Checks all of them before it changes the store.
template <class B>
void map_int8(const std::shared_ptr<const TensorFiles>& files, const TensorNames& names, ParameterStore<B>& store) {
  const auto each = [&](auto&& use) {
    for (const auto& entry : store.entries()) {
      if (!entry.quantized) continue;
      const auto& name = names.in_files(entry.name);
      const auto bytes = files->data(name);
      const std::span integers(reinterpret_cast<const std::int8_t*>(bytes.data()), bytes.size());
      std::vector<float> scales(static_cast<std::size_t>(entry.rows));
      files->read(scale_of(entry.name), 0, scales.size(), scales.data());
      use(entry, name, integers, std::move(scales));
    }
  };
  each([&](const auto&, const std::string& name, auto integers, const std::vector<float>& scales) {
    check_int8(*files, name, integers, scales);
  });
  each([&](const auto& entry, const std::string&, auto integers, std::vector<float> scales) {
    store.hold(entry, integers.data(), files, std::move(scales));
  });
}

/// Rounds the matrices that a store holds as int8.
template <class B>
void quantize_tensors(const TensorFiles& files, const TensorNames& names, ParameterStore<B>& store) {
  for (const auto& entry : store.entries()) {
    if (!entry.quantized) continue;
    const bool there = names(entry.name);  // or optional, and zero
    const auto& name = names.in_files(entry.name);
    try {
      store.quantize(entry, [&](int row, int count, float* values) {
        const auto cols = static_cast<std::size_t>(entry.cols);
        if (!there) return void(std::fill_n(values, static_cast<std::size_t>(count) * cols, 0.0f));
        files.read(name, static_cast<std::size_t>(row) * cols, static_cast<std::size_t>(count) * cols, values);
      });
    } catch (const NumericError& error) {
      throw FileError(files.file_of(name).path().string(), error.what());
    }
  }
}

}  // namespace neural_attention::io::detail

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/int8_tensors.hpp"
#endif
