// A German-English parallel corpus from a hand-written grammar with real morphology and word order, drawn from one
// seed: generate() gives distinct sentence pairs, split() parts of them that share nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "german_english_sentences.hpp"
#include "neural_attention/core/errors.hpp"

namespace examples {

/// `count` sentence pairs, no two with the same German or the same English. Throws ConfigError if the grammar does not
/// give so many.
inline std::vector<SentencePair> generate(std::size_t count, std::uint64_t seed) {
  grammar::Generator generator(seed);
  std::vector<SentencePair> pairs;
  pairs.reserve(count);
  std::unordered_set<std::string> german, english;
  for (std::size_t attempts = 0; pairs.size() < count; ++attempts) {
    if (attempts > 20 * count + 1000) {
      throw neural_attention::ConfigError("the grammar gave " + std::to_string(pairs.size()) + " of " +
                                          std::to_string(count) + " different sentences");
    }
    SentencePair pair = generator.next();
    if (german.contains(pair.german) || english.contains(pair.english)) continue;
    german.insert(pair.german);
    english.insert(pair.english);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

struct CorpusSplit {
  std::vector<SentencePair> train, valid, test;
};

/// Parts of the given sizes, in order; a pair that shares a side with an earlier pair is left out. Throws ConfigError
/// if there are too few pairs.
inline CorpusSplit split(std::span<const SentencePair> pairs, std::size_t train, std::size_t valid, std::size_t test) {
  CorpusSplit parts;
  std::unordered_set<std::string> german, english;
  for (const SentencePair& pair : pairs) {
    auto& part = parts.test.size() < test ? parts.test : parts.valid.size() < valid ? parts.valid : parts.train;
    if (&part == &parts.train && parts.train.size() == train) break;
    if (german.contains(pair.german) || english.contains(pair.english)) continue;
    german.insert(pair.german);
    english.insert(pair.english);
    part.push_back(pair);
  }
  if (parts.train.size() < train || parts.valid.size() < valid || parts.test.size() < test) {
    throw neural_attention::ConfigError("a split into " + std::to_string(train) + " + " + std::to_string(valid) +
                                        " + " + std::to_string(test) + " pairs needs more than the " +
                                        std::to_string(pairs.size()) + " given");
  }
  return parts;
}

}  // namespace examples
