// Definitions of what io/staged_files.hpp declares.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/model_file_names.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io::detail {

inline constexpr std::string_view aside_infix = ".replaced.";

NEURAL_ATTENTION_INLINE FilesAside::~FilesAside() {
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
    std::error_code error;
    std::filesystem::rename(file->second, file->first, error);
    if (!error) platform::remove_quietly(file->second);  // rename() leaves two names of one file
  }
}

NEURAL_ATTENTION_INLINE std::optional<std::filesystem::path> FilesAside::aside_of(const std::filesystem::path& path) {
  std::error_code error;
  const auto is_there = [&](const auto& name) {
    return std::filesystem::exists(std::filesystem::symlink_status(name, error));
  };
  if (!is_there(path)) return {};
  if (std::filesystem::is_directory(path, error))
    throw FileError(path.string(), "cannot be replaced: it is a folder, not a file");
  auto aside = path;
  aside += std::string(aside_infix) + platform::process_id();
  const auto first = aside;
  for (int attempt = 1; is_there(aside); ++attempt) (aside = first) += "." + std::to_string(attempt);
  return aside;
}

NEURAL_ATTENTION_INLINE void FilesAside::take(const std::filesystem::path& path) {
  auto aside = aside_of(path);
  if (!aside) return;
  std::error_code error;
  std::filesystem::rename(path, *aside, error);
  if (error) throw FileError(path.string(), "cannot be replaced: " + error.message());
  files_.emplace_back(path, std::move(*aside));
}

NEURAL_ATTENTION_INLINE void FilesAside::keep(const std::filesystem::path& path) {
  auto aside = aside_of(path);
  if (!aside) return;
  std::error_code error;
  std::filesystem::create_hard_link(path, *aside, error);
  if (error) return take(path);
  files_.emplace_back(path, std::move(*aside));
}

NEURAL_ATTENTION_INLINE void FilesAside::forget() {
  for (const auto& [path, aside] : std::exchange(files_, {})) platform::remove_quietly(aside);
}

NEURAL_ATTENTION_INLINE std::map<std::string, std::string> files_left_aside(const std::filesystem::path& folder) {
  std::map<std::string, std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    const auto name = item->path().filename().string();
    const auto at = name.rfind(aside_infix);
    if (at == std::string::npos) continue;
    const auto numbers = std::string_view(name).substr(at + aside_infix.size());
    const auto dot = numbers.find('.');  // in front of the number of a further attempt
    if (is_model_file(name.substr(0, at)) && all_digits(numbers.substr(0, dot)) &&
        (dot == std::string_view::npos || all_digits(numbers.substr(dot + 1))))
      names[name] = name.substr(0, at);
  }
  return names;
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
  std::stable_partition(files_.begin(), files_.end(), [](const auto& file) { return is_key(file->path()); });
  const bool has_key = !files_.empty() && is_key(files_.front()->path());
  if (files_.size() == 1 && leaving.empty()) {
    files_.front()->commit();
  } else {
    std::vector<std::filesystem::path> old;
    if (has_key)  // the file that readers prefer stays longer
      for (auto name = key_files.rbegin(); name != key_files.rend(); ++name) old.push_back(folder_ / *name);
    for (const auto& file : files_) old.push_back(file->path());
    old.insert(old.end(), leaving.begin(), leaving.end());
    std::stable_partition(old.begin(), old.end(), is_key);
    replace(old);
  }
  for (const auto& [aside, name] : files_left_aside(folder_))
    if (has_key || contains(folder_ / name)) platform::remove_quietly(folder_ / aside);
}

NEURAL_ATTENTION_INLINE void StagedFiles::replace(std::span<const std::filesystem::path> old) {
  FilesAside aside;
  for (const auto& path : old) contains(path) && !is_key(path) ? aside.keep(path) : aside.take(path);
  auto missing = files_.size();
  try {
    while (missing > 0) files_[--missing]->commit();
  } catch (...) {
    for (; missing < files_.size(); ++missing) platform::remove_quietly(files_[missing]->path());
    throw;
  }
  aside.forget();
}

NEURAL_ATTENTION_INLINE bool StagedFiles::contains(const std::filesystem::path& path) const {
  return std::ranges::any_of(files_, [&](const auto& file) { return file->path() == path; });
}

NEURAL_ATTENTION_INLINE bool StagedFiles::is_key(const std::filesystem::path& path) {
  return is_one_of(path.filename().string(), key_files);
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
