// safetensors files: named tensors after a JSON header (safetensors_header.hpp), memory-mapped when read and streamed
// to an atomic file when written. The bytes equal those that the Python package writes for the same tensors (with at
// most one metadata key: Python's order of several is random).
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/safetensors_header.hpp"

namespace neural_attention::io {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace detail {

/// IEEE binary16 to float, exactly.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu, mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormal: a multiple of 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

/// bfloat16 is the upper half of a float.
inline float bfloat16_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// Sets `result` to `value`: floats are rounded to nearest, integers must keep their value (else false).
template <class From, class To>
bool convert_element(From value, To& result) {
  if constexpr (std::floating_point<From>) {
    result = static_cast<To>(value);
    return true;
  } else if constexpr (std::integral<To>) {
    result = static_cast<To>(value);
    return std::in_range<To>(value);
  } else {
    result = static_cast<To>(value);
    // 2^63, which the largest integers round to, has no way back.
    if constexpr (sizeof(From) == 8) {
      if (result >= static_cast<To>(0x1p63)) return false;
    }
    return static_cast<From>(result) == value;
  }
}

}  // namespace detail

/// A safetensors file, checked completely when opened; its data is read when asked for. Throws FileError, which names
/// the file and the tensor, for whatever is missing, malformed, truncated, overlapping or unknown.
class SafetensorsFile {
 public:
  using Tensor = TensorInfo;

  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In the order of their data.
  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }

  /// Null if the file has no such tensor. The pointer lives as long as the file object, also through moves.
  const Tensor* find(std::string_view name) const;

  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  const std::filesystem::path& path() const noexcept { return file_.path(); }

  /// The tensor's bytes, row-major and little-endian; they need not be aligned.
  std::span<const std::byte> data(const Tensor& tensor) const;

  /// Copies product(shape) elements to `destination` and releases the file's pages on the way, so that a model is never
  /// in memory twice. Floats become float or double, rounded to nearest (beyond the range: infinite). Integers convert
  /// to any number type that holds the value exactly. Throws FileError for an integer that does not fit, and for floats
  /// requested as integers.
  template <class T>
  void read(const Tensor& tensor, T* destination) const {
    read(tensor, 0, tensor.bytes / dtype_bytes(tensor.dtype), destination);
  }

  /// The same for `count` elements from element `first` on.
  template <class T>
  void read(const Tensor& tensor, std::size_t first, std::size_t count, T* destination) const;

 private:
  template <class Stored, class T, class Decode>
  void copy(const Tensor& tensor, std::size_t first, std::size_t count, T* destination, Decode decode) const;

  MappedFile file_;
  std::size_t data_begin_ = 0;
  std::vector<Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::unordered_map<std::string_view, const Tensor*> index_;  // into tensors_, which never changes
};

template <class T>
void SafetensorsFile::read(const Tensor& tensor, std::size_t first, std::size_t count, T* destination) const {
  const auto copied = [&]<class Stored>(Stored, auto decode) {
    copy<Stored>(tensor, first, count, destination, decode);
  };
  const auto plain = [](auto value) { return value; };
  switch (tensor.dtype) {
    case DType::F64:
      return copied(double{}, plain);
    case DType::F32:
      return copied(float{}, plain);
    case DType::F16:
      return copied(std::uint16_t{}, detail::half_to_float);
    case DType::BF16:
      return copied(std::uint16_t{}, detail::bfloat16_to_float);
    case DType::I64:
      return copied(std::int64_t{}, plain);
    case DType::U64:
      return copied(std::uint64_t{}, plain);
    case DType::I32:
      return copied(std::int32_t{}, plain);
    case DType::U32:
      return copied(std::uint32_t{}, plain);
    case DType::I16:
      return copied(std::int16_t{}, plain);
    case DType::U16:
      return copied(std::uint16_t{}, plain);
    case DType::I8:
      return copied(std::int8_t{}, plain);
    case DType::U8:
      return copied(std::uint8_t{}, plain);
    case DType::BOOL:
    case DType::F8_E4M3:
    case DType::F8_E5M2:
      throw FileError(path().string(), "tensor " + in_quotes(tensor.name) + " holds " +
                                           std::string(dtype_name(tensor.dtype)) + ", which is not read as numbers");
  }
}

template <class Stored, class T, class Decode>
void SafetensorsFile::copy(const Tensor& tensor, std::size_t first, std::size_t count, T* destination,
                           Decode decode) const {
  using Value = decltype(decode(Stored{}));
  const auto bytes = data(tensor).subspan(first * sizeof(Stored), count * sizeof(Stored));
  if constexpr (std::floating_point<Value> && std::integral<T>) {
    throw FileError(path().string(), "tensor " + in_quotes(tensor.name) + " holds " +
                                         std::string(dtype_name(tensor.dtype)) + ", but integers are wanted");
  } else {
    constexpr std::size_t chunk = std::size_t{1} << 20;  // elements between two releases
    for (std::size_t begin = 0; begin < count; begin += chunk) {
      const std::size_t end = std::min(count, begin + chunk);
      if constexpr (std::same_as<Stored, T> && std::same_as<Value, T>) {
        std::memcpy(destination + begin, bytes.data() + begin * sizeof(T), (end - begin) * sizeof(T));
      } else {
        bool exact = true;
        for (std::size_t i = begin; i < end; ++i) {
          Stored stored;
          std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
          exact &= detail::convert_element(decode(stored), destination[i]);
        }
        if (!exact) {
          throw FileError(path().string(),
                          "tensor " + in_quotes(tensor.name) + " holds an integer that the wanted type cannot");
        }
      }
      file_.release(data_begin_ + tensor.offset + (first + begin) * sizeof(Stored), (end - begin) * sizeof(Stored));
    }
  }
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template void SafetensorsFile::read(const TensorInfo&, std::size_t, std::size_t, float*) const;
extern template void SafetensorsFile::read(const TensorInfo&, std::size_t, std::size_t, double*) const;
#endif

/// A tensor in the caller's memory: product(shape) elements, contiguous, row-major.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
};

namespace detail {

/// Throws if `tensors` cannot be one safetensors file.
void check_writable(std::span<const TensorToWrite> tensors);

/// The header with its eight bytes of length, padded with spaces so that the data begins at a multiple of eight.
/// `tensors` are in the order of their data.
std::string safetensors_header(std::span<const TensorToWrite* const> tensors,
                               const std::map<std::string, std::string>& metadata, const std::filesystem::path& path);

}  // namespace detail

/// Writes a file whose data is produced piece by piece: calls `produce(tensor, write)` for each of `tensors`, in the
/// order of the file; it must call write(data, bytes) until the tensor is complete. Ignores `tensor.data`. The caller
/// commits the file. Throws as write_safetensors does.
template <class Produce>
void stream_safetensors(AtomicFile& file, std::span<const TensorToWrite> tensors,
                        const std::map<std::string, std::string>& metadata, Produce&& produce) {
  detail::check_writable(tensors);
  std::vector<const TensorToWrite*> order;
  order.reserve(tensors.size());
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return std::pair(a->dtype, std::string_view(a->name)) < std::pair(b->dtype, std::string_view(b->name));
  });
  file.write(detail::safetensors_header(order, metadata, file.path()));
  for (const auto* tensor : order) {
    std::size_t left = *detail::tensor_bytes(tensor->dtype, tensor->shape);
    produce(*tensor, [&](const void* data, std::size_t bytes) {
      assert(bytes <= left);
      file.write(data, bytes);
      left -= bytes;
    });
    assert(left == 0);
  }
}

/// Writes `tensors` and `metadata` (for files that transformers should load: {"format", "pt"}) atomically, in the
/// reference writer's order: by element type, then by name. Throws ConfigError or ShapeError for tensors that make no
/// file (repeated name, impossible shape), FileError for errors of the system; then an old file is unchanged.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/safetensors.hpp"
#endif
