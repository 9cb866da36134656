// The files that make a folder a Marian tokenizer.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace examples {

/// Copies the tokenizer's files from one model directory to another. Only tokenizer_config.json may be missing.
inline void copy_tokenizer(const std::string& from, const std::string& to) {
  constexpr std::string_view optional = "tokenizer_config.json";
  for (const char* name : {"source.spm", "target.spm", "vocab.json", "tokenizer_config.json"}) {
    if (std::error_code ignored; name == optional && !std::filesystem::exists(from + "/" + name, ignored)) continue;
    const neural_attention::io::MappedFile file(from + "/" + name);
    neural_attention::io::write_file_atomically(
        to + "/" + name, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  }
}

}  // namespace examples
