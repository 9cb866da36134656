// Definitions of what trainer/checkpoint_folder.hpp declares.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/trainer/checkpoint_folder.hpp"

namespace neural_attention {

namespace checkpoint_detail {

NEURAL_ATTENTION_INLINE std::optional<Name> parse_name(std::string_view name) {
  constexpr std::string_view prefix = "checkpoint-";
  if (!name.starts_with(prefix)) return {};
  name.remove_prefix(prefix.size());
  if (name.starts_with('-')) return {};
  long step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || !name.starts_with(std::to_string(step))) return {};
  return Name{step, std::string(end, name.data() + name.size())};
}

NEURAL_ATTENTION_INLINE std::vector<std::pair<fs::path, Name>> folders(const fs::path& output_dir) {
  std::vector<std::pair<fs::path, Name>> found;
  std::error_code error;
  for (fs::directory_iterator item(output_dir, error), end; !error && item != end; item.increment(error))
    if (const auto name = parse_name(item->path().filename().string()); name && item->is_directory(error))
      found.emplace_back(item->path(), *name);
  return found;
}

NEURAL_ATTENTION_INLINE void fail(const fs::path& path, const char* action, const std::error_code& error) {
  throw FileError(path.string(), std::string("cannot ") + action + ": " + error.message());
}

NEURAL_ATTENTION_INLINE void rename(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, "take its name", error);
  io::platform::flush_folder(to);
}

NEURAL_ATTENTION_INLINE std::error_code remove(const fs::path& folder) {
  const fs::path aside = folder.string() + std::string(removed);
  std::error_code error, ignored;
  fs::remove_all(aside, ignored);
  fs::rename(folder, aside, error);
  if (!error) fs::remove_all(aside, ignored);
  return error;
}

}  // namespace checkpoint_detail

NEURAL_ATTENTION_INLINE void write_manifest(const std::filesystem::path& folder) {
  nlohmann::json files = nlohmann::json::object();
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    if (!item->is_regular_file(error) || item->path().filename() == checkpoint_detail::manifest_file) continue;
    const auto size = item->file_size(error);
    if (!error) files[item->path().filename().string()] = size;
  }
  if (error) checkpoint_detail::fail(folder, "be listed", error);
  io::write_json(folder / checkpoint_detail::manifest_file, {{"format_version", 1}, {"files", files}});
}

NEURAL_ATTENTION_INLINE void require_whole_checkpoint(const std::filesystem::path& folder) {
  const auto path = folder / checkpoint_detail::manifest_file;
  const auto json = io::read_json(path, std::size_t{1} << 20);
  const auto files = json.find("files");
  if (files == json.end() || !files->is_object()) throw FileError(path.string(), "lacks the object \"files\"");
  for (const auto& [name, value] : files->items()) {
    const auto expected = io::get<std::uint64_t>(*files, name, path);
    if (std::filesystem::path(name).filename() != name || name == "." || name == "..")
      throw FileError(path.string(), "lists " + in_quotes(name) + ", which is not a file in its folder");
    std::error_code error;
    const auto size = std::filesystem::file_size(folder / name, error);
    if (error)
      throw FileError((folder / name).string(), "cannot be read, though the checkpoint has it: " + error.message());
    if (size != expected)
      throw FileError((folder / name).string(), "has " + std::to_string(size) + " bytes, but the checkpoint's " +
                                                    checkpoint_detail::manifest_file + " says " +
                                                    std::to_string(expected));
  }
}

NEURAL_ATTENTION_INLINE bool is_whole_checkpoint(const std::filesystem::path& folder) {
  try {
    require_whole_checkpoint(folder);
    return true;
  } catch (const FileError&) {
    return false;
  }
}

NEURAL_ATTENTION_INLINE std::vector<long> list_checkpoints(const std::string& output_dir) {
  std::vector<long> steps;
  for (const auto& [path, name] : checkpoint_detail::folders(output_dir))
    if (name.rest.empty() && is_whole_checkpoint(path)) steps.push_back(name.step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

NEURAL_ATTENTION_INLINE void place_checkpoint(const std::filesystem::path& written,
                                              const std::filesystem::path& target) {
  namespace detail = checkpoint_detail;
  const std::filesystem::path aside = target.string() + std::string(detail::removed);
  std::error_code error;
  std::filesystem::remove_all(aside, error);
  const bool replaces = std::filesystem::exists(target, error);
  if (replaces) {
    io::platform::flush_folder(written);  // the new one's name, before the old one loses its own
    std::filesystem::rename(target, aside, error);
    if (error) detail::fail(target, "be replaced", error);
  }
  std::filesystem::rename(written, target, error);
  if (error) {
    std::error_code ignored;
    if (replaces) std::filesystem::rename(aside, target, ignored);
    detail::fail(target, "take its name", error);
  }
  io::platform::flush_folder(target);
  std::filesystem::remove_all(aside, error);  // if it stays, recover_checkpoints removes it
}

NEURAL_ATTENTION_INLINE void copy_checkpoint(const std::filesystem::path& checkpoint,
                                             const std::filesystem::path& target) {
  namespace detail = checkpoint_detail;
  const std::filesystem::path growing = target.string() + std::string(detail::incomplete);
  std::error_code error;
  std::filesystem::remove_all(growing, error);
  std::filesystem::create_directories(growing, error);
  if (error) detail::fail(growing, "be created", error);
  try {
    for (std::filesystem::directory_iterator item(checkpoint, error), end; !error && item != end; item.increment(error))
      if (const auto name = item->path().filename(); item->is_regular_file() && name != detail::manifest_file) {
        const io::MappedFile file(item->path());
        const auto bytes = file.bytes();
        io::write_file_atomically(growing / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      }
    if (error) detail::fail(checkpoint, "be listed", error);
    write_manifest(growing);
  } catch (...) {
    std::filesystem::remove_all(growing, error);
    throw;
  }
  place_checkpoint(growing, target);
}

NEURAL_ATTENTION_INLINE void recover_checkpoints(const std::string& output_dir) {
  namespace detail = checkpoint_detail;
  for (const auto& [path, name] : detail::folders(output_dir)) {
    std::error_code ignored;  // a leftover that cannot be removed does no harm
    if (name.rest == detail::incomplete && is_whole_checkpoint(path))
      place_checkpoint(path, std::filesystem::path(output_dir) / checkpoint_name(name.step));
    else if (name.rest == detail::incomplete || name.rest == detail::removed)
      std::filesystem::remove_all(path, ignored);
  }
}

NEURAL_ATTENTION_INLINE void abandon_checkpoints_after(const std::string& output_dir, long step) {
  namespace detail = checkpoint_detail;
  auto folders = detail::folders(output_dir);
  std::erase_if(folders, [&](const auto& folder) { return !folder.second.rest.empty() || folder.second.step <= step; });
  std::ranges::sort(folders, [](const auto& a, const auto& b) { return a.second.step > b.second.step; });
  for (const auto& [path, name] : folders) {
    const std::string wanted = path.string() + std::string(detail::abandoned);
    std::filesystem::path free = wanted;
    for (int number = 2; std::filesystem::exists(free); ++number) free = wanted + "." + std::to_string(number);
    detail::rename(path, free);
  }
}

NEURAL_ATTENTION_INLINE void prune_checkpoints(const std::string& output_dir, int keep, long best_step, long step) {
  if (keep <= 0) return;
  auto steps = list_checkpoints(output_dir);
  std::erase_if(steps, [&](long other) { return other > step; });
  const auto surplus = static_cast<long>(steps.size()) - keep;
  for (long i = 0; i < surplus; ++i)  // one that cannot be removed does no harm
    if (steps[i] != best_step) checkpoint_detail::remove(std::filesystem::path(output_dir) / checkpoint_name(steps[i]));
}

NEURAL_ATTENTION_INLINE void remove_checkpoints(const std::string& output_dir) {
  namespace detail = checkpoint_detail;
  for (const auto& [path, name] : detail::folders(output_dir))
    if (name.rest.empty()) {
      if (const auto error = detail::remove(path)) detail::fail(path, "be removed", error);
    } else if (name.rest == detail::incomplete || name.rest == detail::removed ||
               name.rest.starts_with(detail::abandoned)) {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
}

}  // namespace neural_attention
