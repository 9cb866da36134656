// The sentence pairs of the demo: generated from the grammar in examples/common, or the user's own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "common/text_files.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/load_corpus.hpp"

namespace examples {

namespace na = neural_attention;

struct DemoCorpus {
  na::text::ParallelCorpus train, held_out;
  std::string description;
};

/// German and English from the grammar; no held-out sentence of either language occurs in the training part. The files
/// go to `folder`, where `translation train --data` finds them. Throws ConfigError if one is there with another text,
/// unless the demo `replaces` its own.
inline DemoCorpus generated_corpus(const std::filesystem::path& folder, bool replaces) {
  constexpr std::size_t train_pairs = 8000, held_out_pairs = 500;
  constexpr std::uint64_t seed = 1;
  const auto parts = split(generate(train_pairs + held_out_pairs, seed), train_pairs, held_out_pairs, 0);
  const auto sides = [](const std::vector<SentencePair>& pairs) {
    na::text::ParallelCorpus corpus;
    for (const auto& pair : pairs) {
      corpus.source.push_back(pair.german);
      corpus.target.push_back(pair.english);
    }
    return corpus;
  };
  DemoCorpus corpus{sides(parts.train), sides(parts.valid), "German to English, from a grammar"};
  const std::pair<const char*, const std::vector<std::string>&> files[] = {{"train.de", corpus.train.source},
                                                                           {"train.en", corpus.train.target},
                                                                           {"valid.de", corpus.held_out.source},
                                                                           {"valid.en", corpus.held_out.target}};
  make_folder(folder);
  for (const auto& [name, lines] : files)
    if (const auto path = folder / name;
        !replaces && std::filesystem::exists(path) && na::text::read_lines(path.string()) != lines)
      throw na::ConfigError(path.string() + " is not the demo's, which would replace it; give another --output_dir");
  for (const auto& [name, lines] : files) write_lines(folder / name, lines);
  return corpus;
}

/// train.* and valid.* of `folder`, plain or gzip. Only uses the first thousand pairs of valid.*, because the demo
/// translates them several times.
inline DemoCorpus given_corpus(const std::string& folder, const std::string& source, const std::string& target) {
  const auto load = [&](const std::string& part) {
    const auto source_path = na::text::find_text_file(folder, part + "." + source);
    return na::text::load_parallel(source_path, na::text::find_text_file(folder, part + "." + target));
  };
  DemoCorpus corpus{load("train"), load("valid"), source + " to " + target + ", from " + folder};
  constexpr std::size_t most = 1000;
  if (corpus.held_out.size() > most) {
    corpus.held_out.source.resize(most);
    corpus.held_out.target.resize(most);
  }
  return corpus;
}

}  // namespace examples
