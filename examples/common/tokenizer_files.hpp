// The files that make a folder a tokenizer.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <system_error>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace examples {

/// Copies files from one folder to another. Those of `optional` may be missing.
inline void copy_files(const std::string& from, const std::string& to, std::initializer_list<const char*> required,
                       std::initializer_list<const char*> optional) {
  const auto copy = [&](const char* name) {
    const neural_attention::io::MappedFile file(from + "/" + name);
    neural_attention::io::write_file_atomically(
        to + "/" + name, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  };
  for (const char* const name : required) copy(name);
  for (const char* const name : optional)
    if (std::error_code ignored; std::filesystem::exists(from + "/" + name, ignored)) copy(name);
}

/// A Marian tokenizer, from one model directory to another.
inline void copy_marian_tokenizer(const std::string& from, const std::string& to) {
  copy_files(from, to, {"source.spm", "target.spm", "vocab.json"}, {"tokenizer_config.json"});
}

/// A byte-level BPE, which may lie in one file or in two.
inline void copy_byte_bpe(const std::string& from, const std::string& to) {
  copy_files(from, to, {},
             {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"});
}

}  // namespace examples
