// TensorFiles: the tensors of one safetensors file, or of several that model.safetensors.index.json ties together:
//   {"metadata": {…}, "weight_map": {tensor: "model-00001-of-00002.safetensors", …}}.
// Every shard is opened and checked at once, and must hold exactly the tensors that the index says it does. divide()
// shows the tensors of a FileLayout as a model has them, without a copy.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/io/model_file_names.hpp"
#include "neural_attention/io/safetensors.hpp"

namespace neural_attention::io {

class TensorFiles {
 public:
  explicit TensorFiles(const std::filesystem::path& file) : path_(file) { add(SafetensorsFile(file)); }

  /// model.safetensors or, if the directory has none, the shards of its index. Throws FileError if there is neither, if
  /// the index is malformed, and if a shard is missing or holds other tensors than the index says.
  static TensorFiles in_directory(const std::filesystem::path& directory);

  /// If no name begins with `prefix`, puts it before all names, apart from those for which `is_other` returns true.
  void add_prefix(std::string_view prefix, auto&& is_other);

  /// From now on, has in the place of the layout's maps the parts of these: matrices [out, in], vectors [out]. A tensor
  /// that cannot be so divided stays.
  void divide(const FileLayout& layout);

  /// Null if there is no such tensor. The pointer lives as long as this. Only name, type and shape of a part mean
  /// something.
  const TensorInfo* find(std::string_view name) const;

  /// The file that holds `name`, which must be there.
  const SafetensorsFile& file_of(std::string_view name) const { return files_[places_.find(name)->second.file]; }

  /// Copies elements of the tensor `name`, which must be there: as SafetensorsFile::read. Of a part, whole rows.
  template <class T>
  void read(std::string_view name, std::size_t first, std::size_t count, T* destination) const;

  /// The bytes of a tensor that is no part of another one.
  std::span<const std::byte> data(std::string_view name) const;

  /// The tensor of a file that `name` is or is a part of.
  const TensorInfo& stored(std::string_view name) const;

  /// Every tensor, by name.
  void for_each(auto&& use) const {
    for (const auto& [name, place] : places_) use(name, *place.tensor);
  }

  /// The name in errors: the file, or the index of several files.
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Place {
    std::size_t file;
    const TensorInfo* tensor;
    const TensorInfo* whole = nullptr;  ///< of a part, the tensor that has it
    std::size_t first = 0;              ///< the part's first column there or, of a vector, element
  };

  TensorFiles(const std::filesystem::path& directory, std::string_view index);

  void add(SafetensorsFile file);

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place, std::less<>> places_;
  std::vector<std::unique_ptr<TensorInfo>> parts_;
};

void TensorFiles::add_prefix(std::string_view prefix, auto&& is_other) {
  if (std::ranges::any_of(places_, [&](const auto& place) { return place.first.starts_with(prefix); })) return;
  std::map<std::string, Place, std::less<>> renamed;
  for (const auto& [name, place] : places_) renamed[is_other(name) ? name : std::string(prefix) + name] = place;
  places_ = std::move(renamed);
}

template <class T>
void TensorFiles::read(std::string_view name, std::size_t first, std::size_t count, T* destination) const {
  const auto& place = places_.find(name)->second;
  const auto& file = files_[place.file];
  if (!place.whole) return file.read(*place.tensor, first, count, destination);
  if (count == 0) return;  // a matrix may have no columns
  if (place.tensor->shape.size() == 1) return file.read(*place.whole, place.first + first, count, destination);
  const auto in = static_cast<std::size_t>(place.tensor->shape[1]),
             out = static_cast<std::size_t>(place.whole->shape[1]);
  const auto rows = count / in;
  std::vector<T> column(rows);
  for (std::size_t c = 0; c < in; ++c) {
    file.read(*place.whole, c * out + place.first + first / in, rows, column.data());
    for (std::size_t r = 0; r < rows; ++r) destination[r * in + c] = column[r];
  }
}

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/tensor_files.hpp"
#endif
