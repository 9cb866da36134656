// The header of a safetensors file: 8 bytes of length (little endian), then JSON
//   {"__metadata__":{key:text,…}, name:{"dtype":"F32","shape":[…],"data_offsets":[begin,end]}, …}
// then the tensors' bytes, which must cover the rest without overlap or hole. Everything in it is checked. The parser
// builds the tensor list directly, so a hostile header costs no more memory than its own size suggests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::io {

/// The element types that files may hold. BOOL and the 8-bit floats are recognised but cannot be read.
enum class DType { U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, F8_E4M3, F8_E5M2, I8, U8, BOOL };

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};

/// In the order in which the reference writer puts tensors into a file.
inline constexpr std::array<DTypeInfo, 15> dtype_table{{{DType::U64, "U64", 8},
                                                        {DType::I64, "I64", 8},
                                                        {DType::F64, "F64", 8},
                                                        {DType::F32, "F32", 4},
                                                        {DType::U32, "U32", 4},
                                                        {DType::I32, "I32", 4},
                                                        {DType::BF16, "BF16", 2},
                                                        {DType::F16, "F16", 2},
                                                        {DType::U16, "U16", 2},
                                                        {DType::I16, "I16", 2},
                                                        {DType::F8_E4M3, "F8_E4M3", 1},
                                                        {DType::F8_E5M2, "F8_E5M2", 1},
                                                        {DType::I8, "I8", 1},
                                                        {DType::U8, "U8", 1},
                                                        {DType::BOOL, "BOOL", 1}}};

constexpr const DTypeInfo& dtype_info(DType dtype) { return dtype_table[static_cast<std::size_t>(dtype)]; }
constexpr std::string_view dtype_name(DType dtype) { return dtype_info(dtype).name; }
constexpr std::size_t dtype_bytes(DType dtype) { return dtype_info(dtype).bytes; }

constexpr std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& info : dtype_table) {
    if (info.name == name) return info.dtype;
  }
  return std::nullopt;
}

/// One entry of the header. `offset` counts from the first byte after the header.
struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

namespace detail {

inline constexpr std::string_view metadata_key = "__metadata__";
inline constexpr std::size_t largest_safetensors_header = 100'000'000;  ///< bytes, as the reference reader has it
inline constexpr std::size_t most_dimensions = 32;

/// product(shape) * element size, or nothing if a dimension is negative or the product leaves 63 bits.
std::optional<std::size_t> tensor_bytes(DType dtype, const std::vector<std::int64_t>& shape);

std::string format_shape(const std::vector<std::int64_t>& shape);

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses the header's JSON and checks it against the `data_size` bytes that follow. Tensors come sorted by offset.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::size_t data_size,
                                           const std::filesystem::path& path);

}  // namespace detail

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/safetensors_header.hpp"
#endif
