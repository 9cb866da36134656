// StagedFiles: files of one folder that appear together. Each is complete and on the device before the first one gets
// its name. A reader, or a kill, in the middle of the change finds no weights at all rather than weights with the
// vocabulary of another model: the weights leave first and come last. Old files are removed when all new ones are in
// place; until then they are also called NAME.replaced.PID, and after a failure they get their names back. A folder has
// one writer at a time.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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

/// Files with another name, which get their own back if this object dies before forget() was called: the first last.
/// One that cannot get it keeps the other name.
class FilesAside {
 public:
  FilesAside() = default;
  FilesAside(const FilesAside&) = delete;
  FilesAside& operator=(const FilesAside&) = delete;
  ~FilesAside();

  /// The file gives up its name at once. Throws FileError if it cannot be moved.
  void take(const std::filesystem::path& path);
  /// It has both names until another file takes its own, where the file system has hard links; otherwise as take().
  void keep(const std::filesystem::path& path);

  /// Removes the files for good.
  void forget();

 private:
  /// The other name that the file will have; none if it is not there. Throws FileError for a folder.
  static std::optional<std::filesystem::path> aside_of(const std::filesystem::path& path);

  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> files_;
};

/// The files in `folder` that a process which was killed has left aside of a model directory's, each with the name that
/// it had, sorted.
std::map<std::string, std::string> files_left_aside(const std::filesystem::path& folder);

class StagedFiles {
 public:
  explicit StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  AtomicFile& add(std::string_view name);
  void add(const NamedFile& file) { add(file.name).write(file.bytes); }
  void add_json(std::string_view name, const nlohmann::ordered_json& value);

  /// Also removes the files of `stale` that nothing was staged for: they belong to the folder's old content. Throws
  /// FileError; then all old files stay, and no new ones. What killed processes left aside of the same files goes, and
  /// all of it if weights come.
  void commit(std::span<const std::filesystem::path> stale = {});

 private:
  /// Puts the staged files in place of `old` ones, which may not be there. Both come in the order of leaving.
  void replace(std::span<const std::filesystem::path> old);
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
