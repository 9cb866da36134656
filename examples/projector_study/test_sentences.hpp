// What a translator makes of the test set: for each sentence the counts from which BLEU and chrF follow, of the whole
// set and of every resampling, and the texts of the first few sentences. A report needs no more, so studies can be kept
// without the texts of their data.
//   test.json       {"bleu": SCORE, "chrf": SCORE, "sources": [TEXT, …], "references": […], "translations": […]}
//   test.segments   for each sentence a line of counts:
//                   [matches of 1- to 4-grams, tokens of the translation, tokens of the reference,
//                    matches of 1 to 6 characters, characters of the translation, characters of the reference]
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/study/study_config.hpp"

namespace examples {

namespace na = neural_attention;
namespace study = neural_attention::study;

/// The first sentences, at most `most`.
struct TestSamples {
  static constexpr std::size_t most = 3;
  std::vector<std::string> sources, references, translations;
};

/// The counts of a test set's sentences.
struct TestSentences {
  std::vector<na::metrics::BleuStatistics> bleu;
  std::vector<na::metrics::ChrfStatistics> chrf;
};

/// A line of test.segments.
using SentenceCounts = std::array<std::int64_t, na::metrics::bleu_order + 2 + na::metrics::chrf_character_order + 2>;

/// With the tokenizer of the study's flags, as the validation texts are judged.
inline na::metrics::BleuOptions bleu_options(const study::StudyConfig& config) {
  na::metrics::BleuOptions options;
  const auto wanted = config.flags.find("tokenize");
  for (const auto& [tokenizer, name] : na::metrics::bleu_tokenizers)
    if (wanted != config.flags.end() && wanted->second == name) options.tokenizer = tokenizer;
  return options;
}

/// Throws as bleu_statistics does, for unequal numbers of sentences and for none.
inline TestSentences count_sentences(const std::vector<std::string>& translations,
                                     const std::vector<std::string>& references,
                                     const na::metrics::BleuOptions& options) {
  const std::span<const std::string> stream = references;
  return {na::metrics::bleu_statistics(translations, {&stream, 1}, options.tokenizer),
          na::metrics::chrf_statistics(translations, {&stream, 1})};
}

/// The numbers of n-grams follow from the lengths.
inline SentenceCounts packed(const na::metrics::BleuStatistics& bleu, const na::metrics::ChrfStatistics& chrf) {
  SentenceCounts counts;
  auto* at = std::copy(bleu.counts.begin(), bleu.counts.end(), counts.data());
  *at++ = bleu.sys_len;
  *at++ = bleu.ref_len;
  at = std::copy_n(chrf.matches.begin(), na::metrics::chrf_character_order, at);
  *at++ = chrf.hypothesis[0];
  *at++ = chrf.reference[0];
  return counts;
}

/// The inverse of `packed`. Throws FileError for counts that no sentence has.
inline std::pair<na::metrics::BleuStatistics, na::metrics::ChrfStatistics> unpacked(const SentenceCounts& counts,
                                                                                    const std::filesystem::path& file) {
  using namespace na::metrics;
  bool possible =
      std::all_of(counts.begin(), counts.end(), [](auto count) { return count >= 0 && count < (1LL << 31); });
  const auto grams = [](std::int64_t length, int before) { return std::max<std::int64_t>(0, length - before); };
  BleuStatistics bleu;
  const auto* at = counts.data() + bleu_order;
  bleu.sys_len = *at++;
  bleu.ref_len = *at++;
  for (int n = 0; n < bleu_order; ++n) {
    const auto i = static_cast<std::size_t>(n);
    bleu.counts[i] = counts[i];
    bleu.totals[i] = grams(bleu.sys_len, n);
    possible = possible && bleu.counts[i] <= bleu.totals[i];
  }
  ChrfStatistics chrf;
  const auto translation = at[chrf_character_order], reference = at[chrf_character_order + 1];
  for (int n = 0; n < chrf_character_order; ++n) {
    const auto i = static_cast<std::size_t>(n);
    chrf.reference[i] = grams(reference, n);
    chrf.hypothesis[i] = chrf.reference[i] == 0 ? 0 : grams(translation, n);
    chrf.matches[i] = at[i];
    possible = possible && chrf.matches[i] <= std::min(chrf.reference[i], chrf.hypothesis[i]);
  }
  if (!possible) throw na::FileError(file.string(), "has counts that no sentence of a test set has");
  return {bleu, chrf};
}

template <class Statistics>
Statistics sum_of(const std::vector<Statistics>& sentences) {
  Statistics sum{};
  for (const auto& one : sentences) sum += one;
  return sum;
}
inline double bleu_of(const na::metrics::BleuStatistics& sum, const na::metrics::BleuOptions& options) {
  return na::metrics::bleu_score(sum, options).score;
}
inline double chrf_of(const na::metrics::ChrfStatistics& sum) { return na::metrics::chrf_score(sum).score; }

/// The text of test.segments.
inline std::string segments_text(const TestSentences& sentences, const std::filesystem::path& file) {
  std::string text;
  for (std::size_t i = 0; i < sentences.bleu.size(); ++i)
    text += na::io::json_text(nlohmann::json(packed(sentences.bleu[i], sentences.chrf[i])), file, -1) + "\n";
  return text;
}

/// A line of `file`. Throws FileError.
template <class Json>
SentenceCounts counts_in(const Json& row, const std::filesystem::path& file) {
  SentenceCounts counts;
  const auto is_count = [](const Json& one) { return one.is_number_integer(); };
  if (!row.is_array() || row.size() != counts.size() || !std::all_of(row.begin(), row.end(), is_count))
    throw na::FileError(file.string(), "has no list of " + na::counted(counts.size(), "whole number"));
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = row[i].template get<std::int64_t>();
  return counts;
}

/// Throws FileError for a file that cannot be read or is no test.segments.
inline TestSentences read_segments(const std::filesystem::path& file) {
  TestSentences sentences;
  na::io::read_json_lines<nlohmann::json>(file, na::io::TornLine::Refuse, [&](const nlohmann::json& row) {
    const auto [bleu, chrf] = unpacked(counts_in(row, file), file);
    sentences.bleu.push_back(bleu);
    sentences.chrf.push_back(chrf);
  });
  if (sentences.bleu.empty()) throw na::FileError(file.string(), "is empty");
  return sentences;
}

/// The value of test.json.
inline nlohmann::ordered_json test_scores(const TestSentences& sentences, const TestSamples& samples,
                                          const na::metrics::BleuOptions& options) {
  return {{"bleu", bleu_of(sum_of(sentences.bleu), options)},
          {"chrf", chrf_of(sum_of(sentences.chrf))},
          {"sources", samples.sources},
          {"references", samples.references},
          {"translations", samples.translations}};
}

/// Throws FileError for counts of another test set than those of `first`: with one reference, its lengths do not
/// depend on the translation.
inline void require_same_references(const TestSentences& first, const TestSentences& sentences,
                                    const std::filesystem::path& file) {
  const auto same_length = [](const auto& one, const auto& other) { return one.ref_len == other.ref_len; };
  const auto same_characters = [](const auto& one, const auto& other) { return one.reference == other.reference; };
  if (!std::ranges::equal(first.bleu, sentences.bleu, same_length) ||
      !std::ranges::equal(first.chrf, sentences.chrf, same_characters))
    throw na::FileError(file.string(), "counts the sentences of another test set than other runs, or not all of them");
}

/// Of test.json. Throws FileError.
inline TestSamples read_samples(const std::filesystem::path& file) {
  const auto json = na::io::read_json(file);
  const auto texts = [&](const char* key) { return na::io::get<std::vector<std::string>>(json, key, file); };
  TestSamples samples{texts("sources"), texts("references"), texts("translations")};
  if (samples.sources.size() != samples.references.size() || samples.sources.size() != samples.translations.size())
    throw na::FileError(file.string(), "has unequal numbers of sources, references and translations");
  return samples;
}

}  // namespace examples
