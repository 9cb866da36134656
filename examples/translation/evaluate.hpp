// translation evaluate: BLEU and chrF of a model on a file.
#pragma once

#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/backend_text.hpp"
#include "common/one_line.hpp"
#include "common/output_file.hpp"
#include "common/progress.hpp"
#include "common/run_group.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "translation/decoding.hpp"
#include "translation/options.hpp"
#include "translation/shared_translation.hpp"

namespace examples {

template <class B, class Group>
int evaluate_in(Group& group, const EvaluateOptions& options) {
  const bool first = group.rank() == 0;
  if (first) require_output(options.hypotheses);
  auto inputs = files_read(options.decoding);
  inputs.push_back({"--source", options.source});
  for (const auto& path : options.references) inputs.push_back({"--reference", path});
  require_another_file({"--hypotheses", options.hypotheses}, inputs);
  const auto corpus = na::text::load_referenced_corpus(options.source, options.references);
  B backend = na::worker_backend<B>(1);
  const LoadedTranslator<B> loaded(backend, options.decoding);
  const auto how = generation_config(options.decoding, loaded, 1);
  require_same_search(group, backend, options.decoding, how, corpus.source);
  const TranslatorOn<B> translator(loaded.model, loaded.tokenizer, how, translator_options(group, options.decoding));
  std::optional<Progress> progress;
  const auto lines_here = lines_of_rank(corpus.source, group.rank(), group.size()).size();
  if (first) {
    tell_engine(backend, loaded.model, rank_threads(group, options.decoding.compute),
                options.decoding.compute.precision());
    progress.emplace(static_cast<std::int64_t>(lines_here), "translating");
  }
  const auto translations =
      translate_in(group, translator, corpus.source, how, 0, [&](const na::text::TranslationProgress& done) {
        if (progress)
          progress->update(static_cast<std::int64_t>(done.lines),
                           {{"tok/s", compact(static_cast<double>(done.tokens) / progress->elapsed_seconds())}});
      });
  if (!first) return 0;
  progress->finish();
  std::vector<std::string> hypotheses;
  std::string text;
  long cut = 0;
  for (const auto& translation : translations) {
    hypotheses.push_back(one_line(translation.text()));
    text += hypotheses.back() + "\n";
    cut += translation.truncated ? 1 : 0;
  }
  if (cut > 0) std::fprintf(stderr, "%ld sources were longer than the model reads and were cut\n", cut);
  const std::vector<std::span<const std::string>> references(corpus.references.begin(), corpus.references.end());
  const auto bleu = na::metrics::corpus_bleu(hypotheses, references,
                                             {.tokenizer = na::metrics::bleu_tokenizer(options.bleu.tokenize)});
  const auto chrf = na::metrics::corpus_chrf(hypotheses, references, {.word_order = options.chrf_word_order});
  const auto scores = bleu.format() + "\n" + bleu.signature() + "\n" + chrf.format() + "\n" + chrf.signature() + "\n";
  try {
    if (!options.hypotheses.empty()) write_output(options.hypotheses, text);
  } catch (const na::FileError&) {
    print(scores);
    throw;
  }
  print(scores);
  return 0;
}

template <class B>
int evaluate(const EvaluateOptions& options) {
  return in_group<B>(options.decoding.compute, [&](auto& group) { return evaluate_in<B>(group, options); });
}

}  // namespace examples
