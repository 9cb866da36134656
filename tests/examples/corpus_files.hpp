// German-English sentences from the grammar, as the files that the training programs read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "examples/programs.hpp"

namespace programs {

/// Writes train.* and valid.* with so many pairs to `folder`, which is made: .de and .en, and .txt with the English
/// side.
inline void write_corpus(const fs::path& folder, std::size_t training, std::size_t validation) {
  fs::create_directories(folder);
  const auto parts = examples::split(examples::generate(training + validation, 3), training, validation, 0);
  const auto save = [&](const std::string& name, const std::vector<examples::SentencePair>& pairs) {
    std::string german, english;
    for (const auto& pair : pairs) german += pair.german + "\n", english += pair.english + "\n";
    write(folder / (name + ".de"), german);
    for (const char* ending : {".en", ".txt"}) write(folder / (name + ending), english);
  };
  save("train", parts.train);
  save("valid", parts.valid);
}

}  // namespace programs
