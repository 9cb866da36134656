// Data without a test set: the end of the training text becomes the validation text, on which settings are chosen, and
// the validation text becomes the test, which each model that counts reads once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "common/text_files.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

/// Writes train.E, valid.E and test.E for each ending E into `to`, from train.E[.gz] and valid.E[.gz] of `data`. `part`
/// of the training lines, at least one and the same of all endings, are cut off. Throws FileError for files that are
/// missing, have different numbers of lines or too few.
inline void hold_out(const std::string& data, const std::filesystem::path& to, double part,
                     const std::vector<std::string>& endings) {
  make_folder(to);
  std::size_t lines = 0;
  for (const auto& ending : endings) {
    const auto path = na::text::find_text_file(data, "train." + ending);
    const auto all = na::text::read_lines(path);
    if (lines != 0 && all.size() != lines)
      throw na::FileError(path, "has " + na::counted(all.size(), "line") + ", but the text of the other language has " +
                                    na::counted(lines, "line"));
    lines = all.size();
    const auto cut = static_cast<std::size_t>(std::max(1.0, std::round(part * static_cast<double>(lines))));
    if (cut >= lines) throw na::FileError(path, "has too few lines to cut some off");
    const std::span<const std::string> lines_of = all;
    write_lines(to / ("train." + ending), lines_of.first(lines - cut));
    write_lines(to / ("valid." + ending), lines_of.last(cut));
    write_lines(to / ("test." + ending), na::text::read_lines(na::text::find_text_file(data, "valid." + ending)));
  }
}

/// Writes train, valid and test, .de and .en, with short sentences of the demo's grammar into `to`: a small model
/// learns to translate them within seconds.
inline void write_grammar(const std::filesystem::path& to) {
  constexpr std::size_t drawn = 25000, train = 8000, valid = 300, test = 300, most_words = 6;
  constexpr std::uint64_t seed = 1;
  auto drawn_pairs = generate(drawn, seed);
  std::erase_if(drawn_pairs, [](const SentencePair& pair) {
    return std::max(grammar::count_words(pair.german), grammar::count_words(pair.english)) > most_words;
  });
  const auto parts = split(drawn_pairs, train, valid, test);
  make_folder(to);
  for (const auto& [name, pairs] : {std::pair{"train", &parts.train}, {"valid", &parts.valid}, {"test", &parts.test}}) {
    std::vector<std::string> german, english;
    for (const auto& pair : *pairs) {
      german.push_back(pair.german);
      english.push_back(pair.english);
    }
    write_lines(to / (std::string(name) + ".de"), german);
    write_lines(to / (std::string(name) + ".en"), english);
  }
}

}  // namespace examples
