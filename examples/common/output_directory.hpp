// The output directory of a run: locking, the checkpoint to start or resume from, and removal of an earlier run's
// files. Nothing is removed before everything that may fail has succeeded.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/trainer/checkpoint.hpp"

namespace examples {

namespace na = neural_attention;

/// A directory that only this process writes to during the lifetime of this object. An empty path is none: another rank
/// of the run writes. Throws FileError.
class OutputDirectory {
 public:
  /// If the directory exists: throws FileError if it cannot be written to, locks it, and removes temporary files of a
  /// killed run.
  explicit OutputDirectory(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path_, ignored)) take();
  }

  /// Creates the directory if it does not exist yet. Throws FileError if another run has created it in the meantime and
  /// left files.
  void create() {
    if (lock_.is_open() || path_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    if (error) throw na::FileError(path_.string(), "cannot be created: " + error.message());
    take();
    if (holds_checkpoints() || holds_model())
      throw na::FileError(path_.string(), "has been written by another run in the meantime; begin again");
  }

  const std::filesystem::path& path() const { return path_; }

  /// Whether there is any checkpoint: complete, incomplete or abandoned.
  bool holds_checkpoints() const {
    return std::ranges::any_of(na::checkpoint_detail::folders(path_), [](const auto& folder) {
      return folder.second.rest.empty() || folder.second.rest.starts_with(na::checkpoint_detail::abandoned);
    });
  }

  /// The newest complete checkpoint; "" if there is no checkpoint. Throws FileError if there are some, but none that
  /// can be resumed.
  std::string last_checkpoint() const {
    const auto whole = na::list_checkpoints(path_.string());
    if (!whole.empty()) return (path_ / na::checkpoint_name(whole.back())).string();
    const auto newest = newest_checkpoint();
    if (newest.empty()) return {};
    na::read_position(newest + "/" + na::checkpoint_detail::position_file);
    na::require_whole_checkpoint(newest);
    return newest;
  }

  /// Whole or not; "" if there is none.
  std::string newest_checkpoint() const {
    const auto all = checkpoints();
    return all.empty() ? std::string() : (path_ / na::checkpoint_name(*std::ranges::max_element(all))).string();
  }

  bool holds_model() const {
    constexpr std::array names = {"config.json", "model.safetensors", "model.safetensors.index.json",
                                  "pytorch_model.bin"};
    std::error_code ignored;
    return std::ranges::any_of(names, [&](const char* name) { return std::filesystem::exists(path_ / name, ignored); });
  }

  /// Whether `other` is this directory, or one of its checkpoints.
  bool is(const std::string& other) const {
    std::error_code error;
    return std::filesystem::equivalent(path_, other, error) && !error;
  }
  bool has_checkpoint(const std::string& other) const {
    std::error_code error;
    const auto real = std::filesystem::canonical(other, error);
    return !error && is(real.parent_path().string()) &&
           na::checkpoint_detail::parse_name(real.filename().string()).has_value();
  }

  /// Whether the log here goes up to this checkpoint: not for one of another folder, nor for one that a later run of
  /// this folder, whose log it is, has set aside.
  bool has_log_of(const std::string& checkpoint) const {
    std::error_code ignored;
    const auto name = std::filesystem::canonical(checkpoint, ignored).filename().string();
    return has_checkpoint(checkpoint) &&
           !na::checkpoint_detail::parse_name(name)->rest.starts_with(na::checkpoint_detail::abandoned);
  }

  /// Removes what a training run has left besides its model: checkpoints, and the files of its log. Throws FileError.
  void remove_run() const {
    na::remove_checkpoints(path_.string());
    for (const char* const name : {"metrics.jsonl", "metrics.csv", "loss.svg", "bleu.svg", "perplexity.svg"}) {
      std::error_code error;
      std::filesystem::remove(path_ / name, error);
      if (error) throw na::FileError((path_ / name).string(), "cannot be removed: " + error.message());
    }
  }

 private:
  std::vector<long> checkpoints() const {
    std::vector<long> steps;
    for (const auto& [path, name] : na::checkpoint_detail::folders(path_))
      if (name.rest.empty()) steps.push_back(name.step);
    return steps;
  }

  void take() {
    if (!na::io::platform::may_write(path_)) na::io::platform::fail(path_, "be written");
    lock_ = na::io::platform::lock_folder(path_);
    if (!lock_.is_open())
      throw na::FileError(path_.string(),
                          "another run is writing here; wait until it ends, or give another --output_dir");
    na::recover_checkpoints(path_.string());
    std::error_code error;
    std::vector<std::filesystem::path> left;
    for (std::filesystem::directory_iterator item(path_, error), end; !error && item != end; item.increment(error))
      if (const auto name = item->path().filename().string(); name == "tokenizer.incomplete" || is_temporary(name))
        left.push_back(item->path());
    for (const auto& path : left) std::filesystem::remove_all(path, error);
  }

  /// Whether AtomicFile makes such a name: NAME.tmp.PID or NAME.tmp.PID.N.
  static bool is_temporary(std::string_view name) {
    const auto at = name.rfind(".tmp.");
    if (at == std::string_view::npos) return false;
    const auto numbers = name.substr(at + 5);
    constexpr std::array<std::string_view, 8> endings = {".safetensors", ".json", ".jsonl", ".csv",
                                                         ".svg",         ".spm",  ".txt",   ".bin"};
    return !numbers.empty() && numbers.find_first_not_of("0123456789.") == std::string_view::npos &&
           std::ranges::any_of(endings, [&](auto ending) { return name.substr(0, at).ends_with(ending); });
  }

  std::filesystem::path path_;
  na::io::platform::FileHandle lock_;
};

/// Throws ConfigError if a new model would replace the directory that it is made of.
inline void require_other_directory(const OutputDirectory& output, const std::string& model) {
  if (!model.empty() && output.is(model))
    throw na::ConfigError("--model and --output_dir are both " + output.path().string() +
                          ": give the new model a directory of its own");
}

/// The same of the run whose checkpoint it is made of.
inline void require_other_run(const OutputDirectory& output, const std::string& model) {
  if (!model.empty() && output.has_checkpoint(model))
    throw na::ConfigError("--model " + model + " is a checkpoint of --output_dir " + output.path().string() +
                          ", which would be replaced: give the new model a directory of its own");
}

/// Throws ConfigError if there is a model.
inline void require_no_model(const OutputDirectory& output) {
  if (output.holds_model())
    throw na::ConfigError(output.path().string() +
                          " holds a model already; give another --output_dir, or replace it with "
                          "--overwrite_output_dir");
}

/// For a command that writes a model and does not train. Throws ConfigError if it would replace a model or a run
/// unasked, or what it reads.
inline void require_place_for_model(const OutputDirectory& output, bool overwrite, const std::string& model) {
  require_other_directory(output, model);
  require_other_run(output, model);
  if (overwrite) return;
  if (output.holds_checkpoints())
    throw na::ConfigError(output.path().string() +
                          " holds the checkpoints of a training run; give another --output_dir, or replace the run "
                          "with --overwrite_output_dir");
  require_no_model(output);
}

/// The start of a run according to the flags.
struct Beginning {
  std::string resume_from_checkpoint;  ///< "", last, auto or a checkpoint
  bool overwrite = false;
  std::string model;  ///< the directory to start from, or ""
};

/// Says on standard error why the newest checkpoint is not the last that can be resumed, if so.
inline void tell_of_damage(const std::string& newest, const std::string& last) {
  if (newest == last) return;
  try {
    na::require_whole_checkpoint(newest);
  } catch (const na::FileError& error) {
    std::fprintf(stderr, "%s; continuing from %s\n", error.what(), last.c_str());
  }
}

/// The checkpoint to continue from, or "" for a new run. Refuses to overwrite an earlier run unasked, and to read from
/// where it would write. Throws ConfigError and FileError.
inline std::string checkpoint_to_resume(const OutputDirectory& output, const Beginning& wanted) {
  const auto name = output.path().string();
  const auto& from = wanted.resume_from_checkpoint;
  require_other_directory(output, wanted.model);
  const bool own = from == "last" || from == "auto" || (!from.empty() && output.has_checkpoint(from));
  if (own && wanted.overwrite)
    throw na::ConfigError("--resume_from_checkpoint " + from + " continues the run in " + name +
                          ", and --overwrite_output_dir starts it over: give one of the two");
  if (from == "last" || from == "auto") {
    const auto last = output.last_checkpoint();
    if (!last.empty()) {
      tell_of_damage(output.newest_checkpoint(), last);
      return last;
    }
    if (from == "last") throw na::FileError(name, "holds no checkpoint to resume from");
  } else if (own) {
    return from;
  } else if (std::error_code ignored; !from.empty() && !std::filesystem::is_directory(from, ignored)) {
    throw na::FileError(from, "is not a checkpoint: there is no such directory");
  }
  require_other_run(output, wanted.model);
  if (!wanted.overwrite && output.holds_checkpoints())
    throw na::ConfigError(name +
                          " holds the checkpoints of an earlier run; continue it with --resume_from_checkpoint last, "
                          "or start over with --overwrite_output_dir");
  if (!wanted.overwrite) require_no_model(output);
  return from == "auto" ? std::string() : from;
}

}  // namespace examples
