// Definitions of what io/safetensors.hpp declares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/safetensors.hpp"
#include "neural_attention/io/safetensors_header.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const auto bytes = file_.bytes();
  constexpr std::size_t prefix = sizeof(std::uint64_t);
  if (bytes.size() < prefix)
    throw FileError(path.string(), "is not a safetensors file: it has only " + std::to_string(bytes.size()) + " bytes");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), prefix);
  if (length > detail::largest_safetensors_header) {
    throw FileError(path.string(), "is not a safetensors file: it claims a header of " + std::to_string(length) +
                                       " bytes (at most " + std::to_string(detail::largest_safetensors_header) + ")");
  }
  if (length > bytes.size() - prefix) {
    throw FileError(path.string(), "is truncated: its header should have " + std::to_string(length) +
                                       " bytes, but only " + std::to_string(bytes.size() - prefix) + " follow");
  }
  data_begin_ = prefix + static_cast<std::size_t>(length);
  auto header = detail::parse_safetensors_header(
      {reinterpret_cast<const char*>(bytes.data()) + prefix, static_cast<std::size_t>(length)},
      bytes.size() - data_begin_, path);
  tensors_ = std::move(header.tensors);
  metadata_ = std::move(header.metadata);
  for (const auto& tensor : tensors_) index_.emplace(tensor.name, &tensor);
}

NEURAL_ATTENTION_INLINE const SafetensorsFile::Tensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

NEURAL_ATTENTION_INLINE std::span<const std::byte> SafetensorsFile::data(const Tensor& tensor) const {
  const auto all = file_.bytes().subspan(data_begin_);
  if (tensor.offset > all.size() || tensor.bytes > all.size() - tensor.offset)
    throw FileError(path().string(), "tensor " + detail::in_quotes(tensor.name) + " is not of this file");
  return all.subspan(tensor.offset, tensor.bytes);
}

namespace detail {

NEURAL_ATTENTION_INLINE void check_writable(std::span<const TensorToWrite> tensors) {
  std::set<std::string_view> names;
  for (const auto& tensor : tensors) {
    const auto name = "tensor " + in_quotes(tensor.name);
    if (tensor.name == metadata_key) throw ConfigError(name + " has the name that safetensors files keep for metadata");
    if (!names.insert(tensor.name).second) throw ConfigError(name + " is given twice for one safetensors file");
    const auto bytes = tensor_bytes(tensor.dtype, tensor.shape);
    if (!bytes || tensor.shape.size() > most_dimensions)
      throw ShapeError(name + " has the impossible shape " + format_shape(tensor.shape));
  }
}

NEURAL_ATTENTION_INLINE std::string safetensors_header(std::span<const TensorToWrite* const> tensors,
                                                       const std::map<std::string, std::string>& metadata,
                                                       const std::filesystem::path& path) {
  std::string json = "{";
  const auto add = [&json](const std::string& key, const std::string& value) {
    if (json.size() > 1) json += ',';
    json += nlohmann::json(key).dump() + ':' + value;
  };
  try {
    if (!metadata.empty()) add(std::string(metadata_key), nlohmann::json(metadata).dump());
    std::size_t offset = 0;
    for (const auto* tensor : tensors) {
      const auto end = offset + *tensor_bytes(tensor->dtype, tensor->shape);
      add(tensor->name, "{\"dtype\":\"" + std::string(dtype_name(tensor->dtype)) +
                            "\",\"shape\":" + nlohmann::json(tensor->shape).dump() + ",\"data_offsets\":[" +
                            std::to_string(offset) + ',' + std::to_string(end) + "]}");
      offset = end;
    }
  } catch (const nlohmann::json::exception&) {
    throw FileError(path.string(), "cannot hold a tensor's name or metadata that is not UTF-8");
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > largest_safetensors_header) {
    throw FileError(path.string(), "would need a header of " + std::to_string(json.size()) + " bytes (at most " +
                                       std::to_string(largest_safetensors_header) + ")");
  }
  const auto length = static_cast<std::uint64_t>(json.size());
  std::string prefix(sizeof(length), '\0');
  std::memcpy(prefix.data(), &length, sizeof(length));
  return prefix + json;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE void write_safetensors(const std::filesystem::path& path,
                                               std::span<const TensorToWrite> tensors,
                                               const std::map<std::string, std::string>& metadata) {
  detail::check_writable(tensors);
  for (const auto& tensor : tensors)
    if (tensor.data == nullptr && *detail::tensor_bytes(tensor.dtype, tensor.shape) > 0)
      throw ConfigError("tensor " + detail::in_quotes(tensor.name) + " has no data");
  AtomicFile file(path);
  stream_safetensors(file, tensors, metadata, [](const TensorToWrite& tensor, auto&& write) {
    write(tensor.data, *detail::tensor_bytes(tensor.dtype, tensor.shape));
  });
  file.commit();
}

}  // namespace neural_attention::io
