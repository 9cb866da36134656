// Definitions of what io/safetensors_header.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/safetensors_header.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE std::optional<std::size_t> tensor_bytes(DType dtype, const std::vector<std::int64_t>& shape) {
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t bytes = dtype_bytes(dtype);
  for (const auto extent : shape) {
    if (extent < 0) return std::nullopt;
    const auto factor = static_cast<std::uint64_t>(extent);
    if (factor != 0 && bytes > largest / factor) return std::nullopt;
    bytes *= factor;
  }
  if (bytes > std::numeric_limits<std::size_t>::max()) return std::nullopt;
  return static_cast<std::size_t>(bytes);
}

NEURAL_ATTENTION_INLINE std::string format_shape(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

/// Receives nlohmann's parse events (its SAX interface, by duck typing) and throws FileError at the first that a
/// safetensors header does not allow.
class SafetensorsHeaderParser {
 public:
  SafetensorsHeaderParser(const std::filesystem::path& path, std::string_view text) : path_(path), text_(text) {}

  SafetensorsHeader take() { return std::move(header_); }

  /// The Python package takes it for metadata that are not there.
  bool null() { return (place_ == Place::root && name_ == metadata_key) || unexpected("null"); }
  bool boolean(bool) { return unexpected("true or false"); }
  bool number_integer(std::int64_t value) { return integer(value, false); }
  bool number_unsigned(std::uint64_t value) {
    const bool fits = std::in_range<std::int64_t>(value);
    return integer(fits ? static_cast<std::int64_t>(value) : 0, !fits);
  }
  bool number_float(double, const std::string& digits) { return unexpected("the number " + in_quotes(digits)); }
  template <class Bytes>
  bool binary(Bytes&) {
    return unexpected("binary data");
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      header_.metadata[field_] = std::move(value);
      return true;
    }
    if (place_ != Place::tensor || field_ != "dtype") return unexpected("the string " + in_quotes(value));
    const auto dtype = dtype_from_name(value);
    if (!dtype) {
      std::string known;
      for (const auto& info : dtype_table) known += (known.empty() ? "" : ", ") + std::string(info.name);
      fault("has the dtype " + in_quotes(value) + ", which is none of " + known);
    }
    tensor_.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) {
    if (place_ == Place::outside) {
      place_ = Place::root;
    } else if (place_ == Place::root) {
      place_ = name_ == metadata_key ? Place::metadata : Place::tensor;
      seen_.clear();
      tensor_ = {};
      offsets_.clear();
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool key(std::string& key) {
    if (place_ == Place::root) {
      if (!names_.insert(key).second) throw FileError(path_.string(), "holds the tensor " + in_quotes(key) + " twice");
      name_ = std::move(key);
    } else {
      if (place_ == Place::tensor && key != "dtype" && key != "shape" && key != "data_offsets")
        fault("has the unknown field " + in_quotes(key));
      if (!seen_.insert(key).second) fault("has the field " + in_quotes(key) + " twice");
      field_ = std::move(key);
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::root ? Place::outside : Place::root;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != Place::tensor || field_ == "dtype") return unexpected("a list");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() {
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    // The text begins after the eight bytes of its length; the fault's byte is counted within the header.
    throw_json_fault(path_, text_, position, error.what());
  }

 private:
  enum class Place { outside, root, metadata, tensor, shape, offsets };

  [[noreturn]] void fault(const std::string& what) const {
    throw FileError(path_.string(),
                    (name_ == metadata_key ? "the metadata " : "tensor " + in_quotes(name_) + " ") + what);
  }

  bool unexpected(const std::string& what) const {
    if (place_ == Place::outside) throw FileError(path_.string(), "has a header that is not a JSON object");
    if (place_ == Place::root) fault("must be an object, but is " + what);
    if (place_ == Place::metadata) fault("must hold strings only, but " + in_quotes(field_) + " is " + what);
    if (place_ == Place::tensor) fault("has the field " + in_quotes(field_) + " of the wrong type: " + what);
    fault("has a " + in_quotes(field_) + " that is not a list of non-negative integers: " + what);
  }

  bool integer(std::int64_t value, bool too_large) {
    if (place_ != Place::shape && place_ != Place::offsets) return unexpected("a number");
    if (too_large) return unexpected("a number beyond 63 bits");
    if (value < 0) return unexpected(std::to_string(value));
    if (place_ == Place::shape) {
      if (tensor_.shape.size() == most_dimensions) fault("has more than 32 dimensions");
      tensor_.shape.push_back(value);
    } else {
      if (offsets_.size() == 2) fault("has more than two \"data_offsets\"");
      offsets_.push_back(value);
    }
    return true;
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!seen_.contains(field)) fault("lacks the field \"" + std::string(field) + "\"");
    }
    if (offsets_.size() != 2) fault("must have two \"data_offsets\", but has " + std::to_string(offsets_.size()));
    const auto range = std::to_string(offsets_[0]) + " to " + std::to_string(offsets_[1]);
    if (offsets_[0] > offsets_[1]) fault("has data that ends before it begins, from byte " + range);
    const auto bytes = tensor_bytes(tensor_.dtype, tensor_.shape);
    const auto what = std::string(dtype_name(tensor_.dtype)) + format_shape(tensor_.shape);
    if (!bytes) fault("has the impossible size " + what);
    if (!std::cmp_equal(*bytes, offsets_[1] - offsets_[0]))
      fault("of type " + what + " needs " + std::to_string(*bytes) + " bytes, but has those from " + range);
    tensor_.name = name_;
    tensor_.offset = static_cast<std::size_t>(offsets_[0]);
    tensor_.bytes = *bytes;
    header_.tensors.push_back(std::move(tensor_));
  }

  const std::filesystem::path& path_;
  std::string_view text_;
  SafetensorsHeader header_;
  Place place_ = Place::outside;
  std::unordered_set<std::string> names_, seen_;
  std::string name_, field_;
  TensorInfo tensor_;
  std::vector<std::int64_t> offsets_;
};

/// Throws FileError unless the tensors, sorted by offset, cover [0, data_size) exactly.
inline void check_coverage(const std::vector<TensorInfo>& tensors, std::size_t data_size,
                           const std::filesystem::path& path) {
  std::size_t end = 0;
  const TensorInfo* previous = nullptr;
  for (const auto& tensor : tensors) {
    const auto name = "tensor " + in_quotes(tensor.name);
    if (tensor.offset > data_size || tensor.bytes > data_size - tensor.offset) {
      throw FileError(path.string(), "is truncated or corrupt: " + name + " ends at byte " +
                                         std::to_string(tensor.offset + tensor.bytes) + " of the data, which has " +
                                         std::to_string(data_size) + " bytes");
    }
    const auto neighbour = previous == nullptr ? "the header" : "tensor " + in_quotes(previous->name);
    if (tensor.offset < end) throw FileError(path.string(), name + " overlaps " + neighbour);
    if (tensor.offset > end) {
      throw FileError(path.string(), "has " + std::to_string(tensor.offset - end) + " unused bytes between " +
                                         neighbour + " and " + name);
    }
    end = tensor.offset + tensor.bytes;
    previous = &tensor;
  }
  if (end != data_size) {
    throw FileError(path.string(), "has " + std::to_string(data_size - end) + " unused bytes at its end, after " +
                                       (previous == nullptr ? "the header" : "tensor " + in_quotes(previous->name)));
  }
}

NEURAL_ATTENTION_INLINE SafetensorsHeader parse_safetensors_header(std::string_view text, std::size_t data_size,
                                                                   const std::filesystem::path& path) {
  if (!text.starts_with('{'))
    throw FileError(path.string(), "is not a safetensors file: its header is not a JSON object");
  // nlohmann takes a zero byte for the end of the text and would ignore what follows.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos)
    throw_json_fault(path, text, zero + 1, "a zero byte");
  SafetensorsHeaderParser parser(path, text);
  nlohmann::json::sax_parse(text.begin(), text.end(), &parser);
  auto header = parser.take();
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  check_coverage(header.tensors, data_size, path);
  return header;
}

}  // namespace neural_attention::io::detail
