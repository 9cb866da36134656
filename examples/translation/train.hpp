// translation train: from two text files to a model directory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/backend_text.hpp"
#include "common/tokenizer_files.hpp"
#include "common/training_run.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/text/services/translator.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "translation/options.hpp"
#include "translation/shared_translation.hpp"
#include "translation/train_config.hpp"

namespace examples {

inline TokenizerWithFiles<na::text::MarianTokenizer> load_tokenizer(const std::string& folder) {
  return {na::text::MarianTokenizer::load(folder), marian_tokenizer_files(folder)};
}

/// The tokenizer of the checkpoint, of --model, or a new one.
inline TokenizerWithFiles<na::text::MarianTokenizer> tokenizer_for(const TrainOptions& options, const RunPlan& plan,
                                                                   const na::text::ParallelCorpus& corpus) {
  if (!plan.origin.empty()) return load_tokenizer(plan.origin);
  const int pieces = wanted_vocabulary(options.model);
  std::fprintf(stderr, "learning a joint vocabulary of %d pieces\n", pieces);
  na::text::MarianTokenizerOptions how;
  how.source_lang = options.data.source_lang;
  how.target_lang = options.data.target_lang;
  how.character_coverage = options.character_coverage;
  const WorkFolder work(plan.output.path());
  auto learned = na::text::MarianTokenizer::train(corpus.source, corpus.target, pieces, work.path(), how);
  return {std::move(learned), marian_tokenizer_files(work.path())};
}

/// The values that define a run of this program, in addition to the values of all programs.
inline na::RunIdentity identity_of(const TrainOptions& options) {
  auto run = options.data.identity();
  run.set(options.identity());
  run.set(options.bleu.identity());
  return run;
}

template <class B, class Group>
int train_in(Group& group, const TrainOptions& options) {
  const auto batches = batch_options(options.data.batch, options.training.seed);
  auto plan = plan_run<MarianFamily>(group, options.model, options.training, batches, identity_of(options));
  B backend =
      na::worker_backend<B>(rank_threads(group, options.training.compute), options.training.compute.precision());
  const auto paths = corpus_paths(options.data, plan.evaluates);
  const na::text::TsvColumns columns{options.data.tsv_columns[0], options.data.tsv_columns[1]};
  const auto corpus = na::text::load_corpus(paths.train_source, paths.train_target, columns);
  const auto validation_corpus = plan.evaluates
                                     ? na::text::load_corpus(paths.validation_source, paths.validation_target, columns)
                                     : na::text::ParallelCorpus();
  plan.output.create();

  const auto& directory = options.training.output_dir;
  const auto learned = tokenizer_of_first(
      group, !plan.origin.empty(), [&] { return tokenizer_for(options, plan, corpus); }, load_tokenizer);
  const auto& tokenizer = learned.tokenizer;
  const auto config = planned_config<MarianFamily>(options.model, plan, tokenizer);
  const auto generation =
      plan.origin.empty() ? na::generation_defaults(config) : na::io::load_generation_config(plan.origin, config);
  const int most = config.max_position_embeddings;
  const auto data = [&](const na::text::ParallelCorpus& text, const na::text::BatchOptions& how) {
    return na::text::TranslationData(na::text::tokenize(text, tokenizer, std::min(options.data.max_source_length, most),
                                                        std::min(options.data.max_target_length, most)),
                                     how, tokenizer.pad_id());
  };
  auto training = data(corpus, batches);
  std::optional<na::text::TranslationData> validation;
  if (plan.evaluates) validation.emplace(data(validation_corpus, in_order(batches)));

  MarianOn<B> model(backend, config, plan.initial_seed());
  if (plan.begins_with_model()) load_weights(options.model, options.training.seed, backend, model);
  auto greedy = na::generation_defaults(config);
  greedy.max_length = options.data.max_target_length;
  na::text::TranslatorOptions translator_options;
  translator_options.threads = rank_threads(group, options.training.compute);
  translator_options.precision = options.training.compute.precision();
  const na::text::Translator translator(model, tokenizer, greedy, translator_options);
  if (group.rank() == 0)
    std::fprintf(
        stderr, "%s parameters, %s pairs, %s target tokens; %s\n", with_commas(model.parameters().count()).c_str(),
        with_commas(static_cast<std::int64_t>(training.pairs().size())).c_str(),
        with_commas(static_cast<std::int64_t>(training.pairs().target_tokens())).c_str(), describe(backend).c_str());

  const RunMetric bleu{{"bleu", !options.no_bleu, "target_tokens_per_second"}, "BLEU", [&] {
                         std::vector<std::string> lines;
                         for (auto& translation : translate_in(group, translator, validation_corpus.source, greedy))
                           lines.push_back(translation.text());
                         return na::metrics::corpus_bleu(
                                    lines, validation_corpus.target,
                                    {.tokenizer = na::metrics::bleu_tokenizer(options.bleu.tokenize)})
                             .score;
                       }};
  const RunFiles files{[&](const std::string& folder) {
                         na::io::save_description(folder, model, generation);
                         write_files(folder, learned.files);
                       },
                       [&] { na::io::save_model(directory, backend, model, generation, 0, learned.files); }};
  return run_training(group, backend, model, training, validation ? &*validation : nullptr, options.training, plan,
                      label_of<MarianFamily>(config), bleu, files);
}

template <class B>
int train(const TrainOptions& options) {
  if (options.model.dump_config) return dump_config<MarianFamily>(options.model, wanted_vocabulary(options.model));
  if (options.model.dump_size) {
    constexpr int usual_sentence = 32;  // tokens, of source and target
    return dump_size<MarianFamily>(run_config<MarianFamily>(options.model, wanted_vocabulary(options.model)),
                                   {.tokens = usual_sentence});
  }
  return in_group<B>(options.training.compute, [&](auto& group) { return train_in<B>(group, options); });
}

}  // namespace examples
