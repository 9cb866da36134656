// StagedFiles: files of one folder that appear together. Each is complete and on the device before the first one takes
// its name, and a reader that comes, or a kill that falls, in the middle of it finds no weights at all rather than
// weights with the vocabulary of another model: these leave first and come last.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

/// A file that lies beside a model's parameters, such as one of its tokenizer.
struct NamedFile {
  std::string name;
  std::string bytes;
};

namespace detail {

/// Without one of these a directory holds no model.
inline constexpr std::array<std::string_view, 2> key_files = {"model.safetensors", "model.safetensors.index.json"};

/// Files that leave their names: back they come, as long as this lives and forget() was not called.
class FilesAside {
 public:
  FilesAside() = default;
  FilesAside(const FilesAside&) = delete;
  FilesAside& operator=(const FilesAside&) = delete;
  ~FilesAside() {
    std::error_code ignored;
    for (const auto& [path, aside] : files_) std::filesystem::rename(aside, path, ignored);
  }

  /// Throws FileError where it cannot leave.
  void take(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path, error))) return;
    if (std::filesystem::is_directory(path, error))
      throw FileError(path.string(), "cannot be replaced: it is a folder, not a file");
    auto aside = path;
    aside += ".tmp." + platform::process_id() + ".0";
    std::filesystem::rename(path, aside, error);
    if (error) throw FileError(path.string(), "cannot be replaced: " + error.message());
    files_.emplace_back(path, std::move(aside));
  }

  /// Removes them: there is no way back.
  void forget() {
    std::error_code ignored;  // what stays has the name of a temporary file
    for (const auto& [path, aside] : std::exchange(files_, {})) std::filesystem::remove(aside, ignored);
  }

 private:
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> files_;
};

class StagedFiles {
 public:
  explicit StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  AtomicFile& add(std::string_view name) {
    return *files_.emplace_back(std::make_unique<AtomicFile>(folder_ / std::filesystem::path(name)));
  }
  void add(const NamedFile& file) { add(file.name).write(file.bytes); }
  void add_json(std::string_view name, const nlohmann::ordered_json& value) {
    auto& file = add(name);
    file.write(json_text(value, file.path(), 2) + '\n');
  }

  /// Removes also the files of `stale`, those that nothing was staged for: they are of what the folder held before.
  /// Throws FileError; where one of the old files cannot be removed, all of them are still there.
  void commit(std::span<const std::filesystem::path> stale = {}) {
    for (const auto& file : files_) file->flush();
    std::vector<std::filesystem::path> leaving;
    std::error_code ignored;
    for (const auto& path : stale)
      if (!contains(path) && std::filesystem::exists(path, ignored)) leaving.push_back(path);
    std::erase_if(files_, [](const auto& file) { return !is_key(file->path()) && is_there_already(*file); });
    const auto others = std::ranges::count_if(files_, [](const auto& file) { return !is_key(file->path()); });
    const bool has_key = others < std::ssize(files_);
    FilesAside aside;
    if (has_key && (others > 0 || !leaving.empty()))
      for (const auto name : key_files) aside.take(folder_ / name);
    for (const auto& path : leaving) aside.take(path);
    aside.forget();
    for (const bool keys : {false, true})
      for (const auto& file : files_)
        if (is_key(file->path()) == keys) file->commit();
  }

 private:
  bool contains(const std::filesystem::path& path) const {
    return std::ranges::any_of(files_, [&](const auto& file) { return file->path() == path; });
  }
  static bool is_key(const std::filesystem::path& path) {
    return std::ranges::find(key_files, path.filename().string()) != key_files.end();
  }
  /// Whether the folder holds the same bytes under the name.
  static bool is_there_already(const AtomicFile& file) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file.path(), error) ||
        std::filesystem::file_size(file.path(), error) != std::filesystem::file_size(file.temporary_path(), error))
      return false;
    const MappedFile old(file.path()), now(file.temporary_path());
    return std::ranges::equal(old.bytes(), now.bytes());
  }

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

}  // namespace detail

}  // namespace neural_attention::io
