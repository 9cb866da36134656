// Sentences of the demo's grammar as ids of words: a text so small that tiny models learn it within seconds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "neural_attention/core/random.hpp"

namespace grammar_words {

namespace na = neural_attention;

using Ids = std::vector<int>;
struct Pair {
  Ids german, english;
};

/// Ids.
constexpr int begin = 0, pad = 1, end = 2, mask = 3, first_word = 4;

struct Text {
  std::vector<Pair> training, held_out;
  int vocabulary = first_word;
};

/// Words in lower case, as far as they are ASCII, and marks.
inline std::vector<std::string> words(std::string_view sentence) {
  std::vector<std::string> result(1);
  for (const char c : sentence) {
    const bool mark = c == '.' || c == ',' || c == '?';
    if ((c == ' ' || mark) && !result.back().empty()) result.emplace_back();
    if (c != ' ') result.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (mark) result.emplace_back();
  }
  if (result.back().empty()) result.pop_back();
  return result;
}

/// Pairs of short sentences without rare words; a tenth is held out.
inline Text text() {
  constexpr std::size_t generated = 60000, longest = 8, most_words = 280;
  std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> pairs;
  std::map<std::string, int> counts;
  for (const auto& pair : examples::generate(generated, 1)) {
    auto german = words(pair.german), english = words(pair.english);
    if (std::max(german.size(), english.size()) > longest) continue;
    for (const auto* side : {&german, &english})
      for (const auto& word : *side) ++counts[word];
    pairs.emplace_back(std::move(german), std::move(english));
  }
  std::vector<int> by_count;
  for (const auto& [word, count] : counts) by_count.push_back(count);
  std::sort(by_count.begin(), by_count.end(), std::greater());
  const int least = by_count.at(most_words);
  const auto frequent = [&](const std::string& word) { return counts.at(word) > least; };

  Text text;
  std::map<std::string, int> ids;
  const auto ids_of = [&](const std::vector<std::string>& sentence) {
    Ids result;
    for (const auto& word : sentence) {
      const auto [found, added] = ids.try_emplace(word, text.vocabulary);
      text.vocabulary += added ? 1 : 0;
      result.push_back(found->second);
    }
    return result;
  };
  std::vector<Pair> all;
  for (const auto& [german, english] : pairs)
    if (std::all_of(german.begin(), german.end(), frequent) && std::all_of(english.begin(), english.end(), frequent))
      all.push_back({ids_of(german), ids_of(english)});
  const auto cut = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 10 * 9);
  text.training.assign(all.begin(), cut);
  text.held_out.assign(cut, all.end());
  return text;
}

/// Pairs of `sentences` sentences a side, each drawn from `pairs`: which words belong together is a matter of place.
inline std::vector<Pair> joined(const std::vector<Pair>& pairs, int sentences, std::size_t count) {
  na::RandomStream random({9, 0, 0});
  std::vector<Pair> result(count);
  for (auto& one : result)
    for (int i = 0; i < sentences; ++i) {
      const auto& drawn = pairs[random.below(static_cast<std::uint32_t>(pairs.size()))];
      one.german.insert(one.german.end(), drawn.german.begin(), drawn.german.end());
      one.english.insert(one.english.end(), drawn.english.begin(), drawn.english.end());
    }
  return result;
}

/// The English sides one after another, cut into pieces of `length` words.
inline std::vector<Ids> pieces(const std::vector<Pair>& pairs, std::size_t length) {
  std::vector<Ids> result(1);
  for (const auto& pair : pairs)
    for (const int id : pair.english) {
      if (result.back().size() == length) result.emplace_back();
      result.back().push_back(id);
    }
  if (result.back().size() < length) result.pop_back();
  return result;
}

/// The mean loss on `held_out` of a model that knows how frequent each id is in `training`, and nothing else.
inline double unigram_loss(const std::vector<Ids>& training, const std::vector<Ids>& held_out, int vocabulary) {
  constexpr double unseen = 0.1;  // the count of an id that does not occur
  std::vector<double> counts(static_cast<std::size_t>(vocabulary), unseen);
  double all = unseen * vocabulary, loss = 0.0;
  for (const auto& ids : training)
    for (const int id : ids) ++counts[static_cast<std::size_t>(id)], ++all;
  std::size_t tokens = 0;
  for (const auto& ids : held_out) {
    for (const int id : ids) loss -= std::log(counts[static_cast<std::size_t>(id)] / all);
    tokens += ids.size();
  }
  return loss / double(tokens);
}

}  // namespace grammar_words
