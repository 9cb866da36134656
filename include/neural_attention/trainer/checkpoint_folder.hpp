// The folders of checkpoints: which are whole, how one takes its name, and what becomes of those that are no longer
// wanted. A checkpoint is whole when its manifest, the last file that is written, is there and every file that it lists
// has the size that it says. A kill at any point leaves the last whole checkpoint, or a finished one under the name
// checkpoint-N.incomplete, which recover_checkpoints puts in place.
//   checkpoint-N             whole, or damaged by others
//   checkpoint-N.incomplete  being written
//   checkpoint-N.removed     being removed
//   checkpoint-N.abandoned   later than the checkpoint that the run was resumed from
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

/// N and what follows it in checkpoint-N…; nothing for other names.
struct Name {
  long step;
  std::string rest;
};

std::optional<Name> parse_name(std::string_view name);

/// The folders checkpoint-N… of a directory, which need not exist.
std::vector<std::pair<fs::path, Name>> folders(const fs::path& output_dir);

[[noreturn]] void fail(const fs::path& path, const char* action, const std::error_code& error);

void rename(const fs::path& from, const fs::path& to);

/// Removes a folder in two steps, so that a kill between them leaves nothing that looks like a checkpoint. Returns why
/// it still has its name, where it has.
std::error_code remove(const fs::path& folder);

}  // namespace checkpoint_detail

/// Lists the files of `folder`, with their sizes, in its manifest: the folder is whole from here on. Throws FileError.
void write_manifest(const std::filesystem::path& folder);

/// Throws FileError, which names the file that is missing or has another size than the manifest says.
void require_whole_checkpoint(const std::filesystem::path& folder);

bool is_whole_checkpoint(const std::filesystem::path& folder);

/// Steps of the whole checkpoints in a directory, ascending.
std::vector<long> list_checkpoints(const std::string& output_dir);

/// Gives a whole checkpoint that was written under another name the name `target`. What had that name goes only when
/// the new one is whole; a kill or an error between leaves one of the two, or both. Throws FileError.
void place_checkpoint(const std::filesystem::path& written, const std::filesystem::path& target);

/// Puts a copy of a whole checkpoint into another directory. Throws FileError; a checkpoint of the same step that was
/// there is then still there.
void copy_checkpoint(const std::filesystem::path& checkpoint, const std::string& output_dir);

/// Tidies what a killed run left: a whole checkpoint-N.incomplete becomes checkpoint-N, a partial one goes, and so does
/// what was being removed. Only for a directory that no other run writes to. Throws FileError.
void recover_checkpoints(const std::string& output_dir);

/// Sets aside the checkpoints behind `step`, from which a run goes on in another way: they keep their files under the
/// name checkpoint-N.abandoned and count no longer. Throws FileError.
void abandon_checkpoints_after(const std::string& output_dir, long step);

/// Of the checkpoints up to `step` removes all but the last `keep` and the one of `best_step`. keep 0 keeps all.
void prune_checkpoints(const std::string& output_dir, int keep, long best_step, long step);

/// Removes every checkpoint of a directory, whole or not and under each of these names, for a run that begins anew.
/// Throws FileError for the first that cannot be removed: the new run could be taken for it.
void remove_checkpoints(const std::string& output_dir);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/checkpoint_folder.hpp"
#endif
