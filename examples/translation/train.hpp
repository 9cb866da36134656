// translation train: from two text files to a model directory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "common/tokenizer_files.hpp"
#include "common/training_backend.hpp"
#include "common/training_run.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/marian_tokenizer.hpp"
#include "neural_attention/text/translation_data.hpp"
#include "neural_attention/text/translator.hpp"
#include "translation/options.hpp"
#include "translation/train_config.hpp"

namespace examples {

/// The tokenizer whose files lie in the output directory from here on: the checkpoint's, that of --model, or a new one.
inline na::text::MarianTokenizer tokenizer_for(const TrainOptions& options, const na::text::ParallelCorpus& corpus,
                                               const std::string& origin) {
  const auto& directory = options.training.output_dir;
  if (!origin.empty()) {
    copy_marian_tokenizer(origin, directory);
    return na::text::MarianTokenizer::load(directory);
  }
  const int pieces = wanted_vocabulary(options.model);
  std::fprintf(stderr, "learning a joint vocabulary of %d pieces\n", pieces);
  na::text::MarianTokenizerOptions tokenizer;
  tokenizer.source_lang = options.data.source_lang;
  tokenizer.target_lang = options.data.target_lang;
  tokenizer.character_coverage = options.character_coverage;
  return na::text::MarianTokenizer::train(corpus.source, corpus.target, pieces, directory, tokenizer);
}

template <class B>
int train(const TrainOptions& options) {
  if (options.model.dump_config) return dump_config<MarianFamily>(options.model);
  const auto plan = plan_run<MarianFamily>(options.model, options.training);
  if (!plan.origin.empty()) na::io::load_marian_config(plan.origin + "/config.json");  // throws for other models
  B backend = make_backend<B>(options.training.compute);
  const auto batches = batch_options(options.data.batch, {.mini_batch_words = 1200}, options.training.seed);
  const auto paths = corpus_paths(options.data);
  const na::text::TsvColumns columns{options.data.tsv_columns[0], options.data.tsv_columns[1]};
  const auto corpus = na::text::load_corpus(paths.train_source, paths.train_target, columns);
  const auto validation_corpus = na::text::load_corpus(paths.validation_source, paths.validation_target, columns);
  prepare_output(options.training, plan);

  const auto& directory = options.training.output_dir;
  const auto tokenizer = tokenizer_for(options, corpus, plan.origin);
  const auto config = planned_config<MarianFamily>(options.model, plan, tokenizer.vocab_size());
  const auto generation =
      plan.origin.empty() ? na::generation_defaults(config) : na::io::load_generation_config(plan.origin, config);
  const auto tokenized = [&](const na::text::ParallelCorpus& text) {
    const int most = config.max_position_embeddings;
    return na::text::tokenize(text, tokenizer, std::min(options.data.max_source_length, most),
                              std::min(options.data.max_target_length, most));
  };
  na::text::TranslationData training(tokenized(corpus), batches, tokenizer.pad_id());
  na::text::TranslationData validation(tokenized(validation_corpus), in_order(batches), tokenizer.pad_id());

  MarianOn<B> model(backend, config, plan.initial_seed());
  if (plan.begins_with_model()) load_weights(options.model, options.training.seed, backend, model);
  auto greedy = na::generation_defaults(config);
  greedy.max_length = options.data.max_target_length;
  na::text::TranslatorOptions translator_options;
  translator_options.threads = options.training.compute.threads;
  translator_options.precision = options.training.compute.precision();
  const na::text::Translator translator(model, tokenizer, greedy, translator_options);
  std::fprintf(
      stderr, "%s parameters, %s pairs, %s target tokens; %s\n", with_commas(model.parameters().count()).c_str(),
      with_commas(static_cast<std::int64_t>(training.pairs().size())).c_str(),
      with_commas(static_cast<std::int64_t>(training.pairs().target_tokens())).c_str(), describe(backend).c_str());

  const RunMetric bleu{{"bleu", options.bleu, "target_tokens_per_second"}, "BLEU", [&] {
                         std::vector<std::string> lines;
                         for (auto& translation : translator.translate(validation_corpus.source))
                           lines.push_back(translation.text());
                         return na::metrics::corpus_bleu(lines, validation_corpus.target).score;
                       }};
  const auto describe = [&](const std::string& folder) {
    na::io::save_description(folder, model, generation);
    if (folder != directory) copy_marian_tokenizer(directory, folder);
  };
  const auto save = [&] { na::io::save_model(directory, backend, model, generation); };
  return run_training(backend, model, training, validation, options.training, plan, label_of(options.model, config),
                      bleu, {describe, save});
}

}  // namespace examples
