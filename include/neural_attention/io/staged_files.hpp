// StagedFiles: files of one folder that appear together. Each is complete and on the device before the first one gets
// its name. A reader, or a kill, in the middle of the change finds no weights at all rather than weights with the
// vocabulary of another model: the weights leave first and come last.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention::io {

/// A file that lies beside a model's parameters, such as one of its tokenizer.
struct NamedFile {
  std::string name;
  std::string bytes;
};

namespace detail {

/// Without one of these a directory holds no model.
inline constexpr std::array<std::string_view, 2> key_files = {"model.safetensors", "model.safetensors.index.json"};

/// Files that give up their names, and get them back if this object dies before forget() was called.
class FilesAside {
 public:
  FilesAside() = default;
  FilesAside(const FilesAside&) = delete;
  FilesAside& operator=(const FilesAside&) = delete;
  ~FilesAside();

  /// Throws FileError if the file cannot be moved.
  void take(const std::filesystem::path& path);

  /// Removes the files for good.
  void forget();

 private:
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> files_;
};

class StagedFiles {
 public:
  explicit StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  AtomicFile& add(std::string_view name);
  void add(const NamedFile& file) { add(file.name).write(file.bytes); }
  void add_json(std::string_view name, const nlohmann::ordered_json& value);

  /// Also removes the files of `stale` that nothing was staged for: they belong to the folder's old content. Throws
  /// FileError; if one of the old files cannot be removed, all of them stay.
  void commit(std::span<const std::filesystem::path> stale = {});

 private:
  bool contains(const std::filesystem::path& path) const;
  static bool is_key(const std::filesystem::path& path);
  /// Whether the folder holds the same bytes under this name.
  static bool is_there_already(const AtomicFile& file);

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

}  // namespace detail

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/staged_files.hpp"
#endif
