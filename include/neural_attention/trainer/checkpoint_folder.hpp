// The folders of checkpoints: which are whole, how one gets its name, and what happens to old ones. A checkpoint is
// whole if it has its manifest, the last file that is written, and every file in the manifest has the given size. A
// kill at any point leaves the last whole checkpoint, or a finished one under the name checkpoint-N.incomplete, which
// recover_checkpoints puts in place.
//   checkpoint-N             whole, unless another program damaged it
//   checkpoint-N.incomplete  being written
//   checkpoint-N.removed     being removed
//   checkpoint-N.abandoned   later than the checkpoint that the run was resumed from, or of another run
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention {

inline std::string checkpoint_name(long step) { return "checkpoint-" + std::to_string(step); }

namespace checkpoint_detail {

namespace fs = std::filesystem;

inline constexpr const char* manifest_file = "manifest.json";
inline constexpr std::string_view incomplete = ".incomplete", removed = ".removed", abandoned = ".abandoned";

/// N and the suffix of a name checkpoint-N…; nothing for other names.
struct Name {
  long step;
  std::string rest;
};

std::optional<Name> parse_name(std::string_view name);

/// The folders checkpoint-N… of a directory, which may be missing.
std::vector<std::pair<fs::path, Name>> folders(const fs::path& output_dir);

[[noreturn]] void fail(const fs::path& path, const char* action, const std::error_code& error);

void rename(const fs::path& from, const fs::path& to);

/// Removes a folder in two steps, so that a kill between them leaves nothing that looks like a checkpoint. If the
/// folder still has its name afterwards, returns the reason.
std::error_code remove(const fs::path& folder);

}  // namespace checkpoint_detail

/// Lists the files of `folder` and their sizes in its manifest; from then on the folder is whole. Throws FileError.
void write_manifest(const std::filesystem::path& folder);

/// Throws FileError if a file is missing or its size differs from the manifest's; the error names the file.
void require_whole_checkpoint(const std::filesystem::path& folder);

bool is_whole_checkpoint(const std::filesystem::path& folder);

/// Steps of the whole checkpoints in a directory, ascending.
std::vector<long> list_checkpoints(const std::string& output_dir);

/// Renames a whole checkpoint from its temporary name to `target`. Removes an older folder of that name only after the
/// new one is whole; a kill or an error in between leaves one of the two, or both. Throws FileError.
void place_checkpoint(const std::filesystem::path& written, const std::filesystem::path& target);

/// Copies a whole checkpoint to `target`, a folder checkpoint-N. Throws FileError; what has that name then stays.
void copy_checkpoint(const std::filesystem::path& checkpoint, const std::filesystem::path& target);

/// Cleans up after a killed run: renames a whole checkpoint-N.incomplete to checkpoint-N, and removes partial
/// checkpoints and those whose removal had begun. Only for a directory that no other run writes to. Throws FileError.
void recover_checkpoints(const std::string& output_dir);

/// Sets aside the checkpoints after `step`, if a run resumes from there; -1: all. They keep their files under the name
/// checkpoint-N.abandoned and no longer count. Throws FileError.
void abandon_checkpoints_after(const std::string& output_dir, long step);

/// Of the checkpoints up to `step`, removes all except the last `keep` and the one of `best_step`, which may be one of
/// them. keep 0 keeps all.
void prune_checkpoints(const std::string& output_dir, int keep, long best_step, long step);

/// Removes every checkpoint of a directory, whole or not, under each of these names, for a run that starts over. Throws
/// FileError for the first that cannot be removed, because it could be mistaken for a checkpoint of the new run.
void remove_checkpoints(const std::string& output_dir);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/checkpoint_folder.hpp"
#endif
