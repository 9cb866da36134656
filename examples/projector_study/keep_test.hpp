// What is kept of a model's test: the scores that a language model printed, or the counts of a translator's sentences.
#pragma once

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"
#include "projector_study/child.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/test_command.hpp"
#include "projector_study/test_sentences.hpp"

namespace examples {

namespace keep_test_detail {

inline nlohmann::ordered_json language_model_scores(const std::filesystem::path& printed) {
  const auto text = whole_file(printed);
  return {{"loss", printed_number(text, "loss", printed)}, {"perplexity", printed_number(text, "perplexity", printed)}};
}

/// Writes the counts of the sentences; returns what test.json will have.
inline nlohmann::ordered_json keep_translations(const StudyFolder& folder, const study::StudyConfig& config,
                                                const study::PlannedRun& run, const std::filesystem::path& lines) {
  TestSamples samples{na::text::read_lines(config.test.source), na::text::read_lines(config.test.reference),
                      na::text::read_lines(lines.string())};
  na::text::require_same_size(samples.references.size(), config.test.reference, samples.translations.size(),
                              lines.string(), "lines");
  const auto options = bleu_options(config);
  const auto sentences = count_sentences(samples.translations, samples.references, options);
  const auto segments = test_segments(folder, run);
  na::io::write_file_atomically(segments, segments_text(sentences, segments));
  for (auto* const texts : {&samples.sources, &samples.references, &samples.translations})
    texts->resize(std::min(texts->size(), TestSamples::most));
  return test_scores(sentences, samples, options);
}

}  // namespace keep_test_detail

/// `made` is what the model made of the test: printed scores, or translations. It goes. Throws FileError.
inline void keep_test(const StudyFolder& folder, const study::StudyPlan& plan, const study::PlannedRun& run,
                      const std::filesystem::path& made) {
  using namespace keep_test_detail;
  const auto json =
      translates(plan.study) ? keep_translations(folder, plan.study, run, made) : language_model_scores(made);
  const auto result = test_result(folder, run);
  na::io::write_file_atomically(result, na::io::json_text(json, result, -1) + "\n");
  std::error_code ignored;
  std::filesystem::remove(made, ignored);
}

}  // namespace examples
