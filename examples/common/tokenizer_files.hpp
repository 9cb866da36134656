// The files of a tokenizer, in memory for a whole run: the run writes them into each checkpoint, and into the output
// directory together with their weights.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/io/save_model.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace examples {

namespace na = neural_attention;

using TokenizerFiles = std::vector<na::io::NamedFile>;

/// Files in `optional` may be missing. Throws FileError.
inline TokenizerFiles read_files(const std::string& folder, std::initializer_list<const char*> required,
                                 std::initializer_list<const char*> optional) {
  TokenizerFiles files;
  const auto read = [&](const char* name) {
    const na::io::MappedFile file(folder + "/" + name);
    files.push_back({name, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}});
  };
  for (const char* const name : required) read(name);
  for (const char* const name : optional)
    if (na::io::is_there(folder + "/" + name)) read(name);
  return files;
}

inline TokenizerFiles marian_tokenizer_files(const std::string& folder) {
  return read_files(folder, {"source.spm", "target.spm", "vocab.json"}, {"tokenizer_config.json"});
}

/// A byte-level BPE may lie in one file or in two.
inline TokenizerFiles byte_bpe_files(const std::string& folder) {
  return read_files(folder, {},
                    {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"});
}

inline void write_files(const std::string& folder, const TokenizerFiles& files) {
  for (const auto& file : files) na::io::write_file_atomically(std::filesystem::path(folder) / file.name, file.bytes);
}

/// Puts a tokenizer into a folder in place of any other. Throws FileError.
inline void replace_tokenizer(const std::string& folder, const TokenizerFiles& files) {
  na::io::detail::StagedFiles staged(folder);
  for (const auto& file : files) staged.add(file);
  staged.commit(na::io::detail::replaced_files(folder, na::io::detail::NewFiles::ModelAndTokenizer));
}

/// A tokenizer and its files.
template <class Tokenizer>
struct TokenizerWithFiles {
  Tokenizer tokenizer;
  TokenizerFiles files;
};

/// A temporary folder inside a run's output directory. The destructor removes it, and the next run removes the folder
/// of a killed run. Throws FileError.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& output_dir) : path_(output_dir / "tokenizer.incomplete") {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    std::filesystem::create_directories(path_, error);
    if (error) throw na::FileError(path_.string(), "cannot be created: " + error.message());
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace examples
