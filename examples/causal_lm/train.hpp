// causal_lm train: from a text or token files to a model directory.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "causal_lm/gpt2_family.hpp"
#include "causal_lm/options.hpp"
#include "causal_lm/training_texts.hpp"
#include "common/backend_text.hpp"
#include "common/training_run.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

inline TokenizerWithFiles<TextTokenizer> load_tokenizer(const std::string& folder) {
  return {TextTokenizer::load(folder), byte_bpe_files(folder)};
}

/// The tokenizer of the run's origin, or the one that the flags want.
inline TokenizerWithFiles<TextTokenizer> tokenizer_for(const TrainOptions& options, const RunPlan& plan,
                                                       CorpusFiles& training, CorpusFiles* validation) {
  if (!plan.origin.empty()) return load_tokenizer(plan.origin);
  const bool learns_bpe =
      options.corpus.tokenizer == "bpe" || (options.corpus.tokenizer.empty() && !training.are_tokens());
  auto tokenizer = wanted_tokenizer(
      options.corpus, learns_bpe ? std::optional(wanted_vocabulary(options.model)) : options.model.vocab_size, training,
      validation);
  const WorkFolder work(plan.output.path());
  tokenizer.save(work.path(), run_config<Gpt2Family>(options.model, tokenizer.vocab_size()).max_position_embeddings);
  return {std::move(tokenizer), byte_bpe_files(work.path())};
}

/// The vocabulary of a new model: from the tokenizer, which may be the characters of the text or lie beside token
/// files, and otherwise from the flags.
inline int new_vocabulary(const TrainOptions& options) {
  const auto& corpus = options.corpus;
  const bool bpe = corpus.tokenizer == "bpe", characters = corpus.tokenizer == "characters";
  if (!corpus.tokenizer.empty() && !bpe && !characters) return TextTokenizer::load(corpus.tokenizer).vocab_size();
  const bool has_text = !corpus.data.empty() || !corpus.train_files.empty();
  if (bpe || !has_text || !options.model.model.empty()) return wanted_vocabulary(options.model);
  auto texts = corpus_files(corpus, corpus.train_files, "train", "--train_file");
  if (!characters && !texts.are_tokens()) return wanted_vocabulary(options.model);
  std::optional<CorpusFiles> validation_texts;
  if (evaluates(options.training))
    validation_texts.emplace(corpus_files(corpus, corpus.validation_files, "valid", "--validation_file"));
  return wanted_tokenizer(corpus, options.model.vocab_size, texts, validation_texts ? &*validation_texts : nullptr)
      .vocab_size();
}

/// Throws ConfigError for windows that the model cannot read.
inline int block_size_for(int wanted, const na::Gpt2Config& config) {
  const int most = config.max_position_embeddings;
  if (wanted > most)
    throw na::ConfigError("--block_size " + std::to_string(wanted) + ": the model reads " + std::to_string(most) +
                          " tokens at most, as n_positions in its config.json says");
  return wanted > 0 ? wanted : most;
}

template <class B, class Group>
int train_in(Group& group, const TrainOptions& options) {
  if (!options.model.model.empty() && !options.corpus.tokenizer.empty())
    throw na::ConfigError("--model " + options.model.model + " brings its own tokenizer: leave --tokenizer out");
  na::text::BatchOptions batches;
  batches.sentences = options.per_device_train_batch_size;
  auto plan = plan_run<Gpt2Family>(group, options.model, options.training, batches, options.identity());
  B backend =
      na::worker_backend<B>(rank_threads(group, options.training.compute), options.training.compute.precision());
  auto texts = corpus_files(options.corpus, options.corpus.train_files, "train", "--train_file");
  std::optional<CorpusFiles> validation_texts;
  if (plan.evaluates)
    validation_texts.emplace(corpus_files(options.corpus, options.corpus.validation_files, "valid", "--validation_file",
                                          " (without validation text: --eval_strategy no)"));
  for (auto* const files : {&texts, validation_texts ? &*validation_texts : nullptr})
    if (files && !files->are_tokens()) files->texts();
  plan.output.create();

  const auto learned = tokenizer_of_first(
      group, !plan.origin.empty(),
      [&] { return tokenizer_for(options, plan, texts, validation_texts ? &*validation_texts : nullptr); },
      load_tokenizer);
  const auto& tokenizer = learned.tokenizer;
  if (!plan.checkpoint.empty()) require_same_tokenizer(options.corpus.tokenizer, tokenizer, plan.checkpoint);
  auto config = planned_config<Gpt2Family>(options.model, plan, tokenizer);
  if (plan.origin.empty()) Gpt2Family::set_tokens(config, tokenizer);
  const int block = block_size_for(options.block_size, config);
  enum class Use { Training, Validation };
  const auto data = [&](CorpusFiles& files, Use use) {
    if (options.windows == "lines") {
      na::text::BatchOptions of_lines;
      of_lines.sentences = options.per_device_train_batch_size;
      of_lines.shuffle = use == Use::Training;
      of_lines.seed = options.training.seed;
      return TrainingTexts::in_lines(files, tokenizer, block, of_lines);
    }
    using na::text::WindowOrder;
    return TrainingTexts::in_windows(files, tokenizer,
                                     {.batch_size = options.per_device_train_batch_size,
                                      .block_size = block,
                                      .order = use == Use::Validation        ? WindowOrder::Sequential
                                               : options.windows == "random" ? WindowOrder::Random
                                                                             : WindowOrder::Shuffled,
                                      .seed = options.training.seed,
                                      .batches_a_step = options.training.trainer.accumulation});
  };
  auto training = data(texts, Use::Training);
  std::optional<TrainingTexts> validation;
  if (plan.evaluates) validation.emplace(data(*validation_texts, Use::Validation));

  Gpt2On<B> model(backend, config, plan.initial_seed());
  if (plan.begins_with_model()) load_weights(options.model, options.training.seed, backend, model);
  if (group.rank() == 0)
    std::fprintf(stderr, "%s parameters, %s tokens of %s ids; %s\n", with_commas(model.parameters().count()).c_str(),
                 with_commas(static_cast<std::int64_t>(training.tokens())).c_str(),
                 with_commas(tokenizer.vocab_size()).c_str(), describe(backend).c_str());

  RunMetric perplexity{{"perplexity"}, "perplexity"};
  perplexity.of_loss = na::metrics::perplexity;
  const auto& directory = options.training.output_dir;
  const auto generation =
      plan.origin.empty() ? na::generation_defaults(config) : na::io::load_generation_config(plan.origin, config);
  const RunFiles files{[&](const std::string& folder) {
                         na::io::save_description(folder, model, generation);
                         write_files(folder, learned.files);
                       },
                       [&] { na::io::save_model(directory, backend, model, generation, 0, learned.files); }};
  return run_training(group, backend, model, training, validation ? &*validation : nullptr, options.training, plan,
                      label_of<Gpt2Family>(config), perplexity, files);
}

template <class B>
int train(const TrainOptions& options) {
  if (options.model.dump_config) return dump_config<Gpt2Family>(options.model, new_vocabulary(options));
  if (options.model.dump_size) {
    const auto config = run_config<Gpt2Family>(options.model, new_vocabulary(options));
    return dump_size<Gpt2Family>(config, {.tokens = block_size_for(options.block_size, config)});
  }
  return in_group<B>(options.training.compute, [&](auto& group) { return train_in<B>(group, options); });
}

}  // namespace examples
