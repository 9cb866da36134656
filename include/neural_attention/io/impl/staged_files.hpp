// Definitions of what io/staged_files.hpp declares.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE FilesAside::~FilesAside() {
  std::error_code ignored;
  for (const auto& [path, aside] : files_) std::filesystem::rename(aside, path, ignored);
}

NEURAL_ATTENTION_INLINE void FilesAside::take(const std::filesystem::path& path) {
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

NEURAL_ATTENTION_INLINE void FilesAside::forget() {
  std::error_code ignored;  // what stays has the name of a temporary file
  for (const auto& [path, aside] : std::exchange(files_, {})) std::filesystem::remove(aside, ignored);
}

NEURAL_ATTENTION_INLINE AtomicFile& StagedFiles::add(std::string_view name) {
  return *files_.emplace_back(std::make_unique<AtomicFile>(folder_ / std::filesystem::path(name)));
}

NEURAL_ATTENTION_INLINE void StagedFiles::add_json(std::string_view name, const nlohmann::ordered_json& value) {
  auto& file = add(name);
  file.write(json_text(value, file.path(), 2) + '\n');
}

NEURAL_ATTENTION_INLINE void StagedFiles::commit(std::span<const std::filesystem::path> stale) {
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

NEURAL_ATTENTION_INLINE bool StagedFiles::contains(const std::filesystem::path& path) const {
  return std::ranges::any_of(files_, [&](const auto& file) { return file->path() == path; });
}

NEURAL_ATTENTION_INLINE bool StagedFiles::is_key(const std::filesystem::path& path) {
  return std::ranges::find(key_files, path.filename().string()) != key_files.end();
}

NEURAL_ATTENTION_INLINE bool StagedFiles::is_there_already(const AtomicFile& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file.path(), error) ||
      std::filesystem::file_size(file.path(), error) != std::filesystem::file_size(file.temporary_path(), error))
    return false;
  const MappedFile old(file.path()), now(file.temporary_path());
  return std::ranges::equal(old.bytes(), now.bytes());
}

}  // namespace neural_attention::io::detail
