// masked_lm train: from a text to a model directory.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "common/tokenizer_files.hpp"
#include "common/training_backend.hpp"
#include "common/training_run.hpp"
#include "masked_lm/masked_text.hpp"
#include "masked_lm/options.hpp"
#include "masked_lm/roberta_family.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

inline std::string text_path(const TrainOptions& options, const std::string& given, const char* name,
                             const char* flag) {
  if (!given.empty()) return given;
  if (options.data.empty())
    throw na::ConfigError(std::string("no text: give --data DIR, or ") + flag + " FILE and the other one");
  return na::text::find_text_file(options.data, name);
}

/// The tokenizer whose files lie in the output directory from here on: the one of `origin`, or a new one.
inline na::text::ByteBpe tokenizer_for(const TrainOptions& options, const std::vector<std::string>& lines,
                                       const std::string& origin) {
  if (!origin.empty()) {
    copy_byte_bpe(origin, options.training.output_dir);
    return na::text::ByteBpe::load(options.training.output_dir);
  }
  na::text::ByteBpeOptions bpe;
  bpe.vocab_size = wanted_vocabulary(options.model);
  std::fprintf(stderr, "learning a byte-level vocabulary of %d pieces\n", bpe.vocab_size);
  auto learned = na::text::ByteBpe::train(lines, bpe);
  learned.save(options.training.output_dir,
               run_config<RobertaFamily>(options.model, learned.vocab_size()).longest_sequence());
  return learned;
}

template <class B>
int train(const TrainOptions& options) {
  if (options.model.dump_config) return dump_config<RobertaFamily>(options.model);
  const auto plan = plan_run<RobertaFamily>(options.model, options.training);
  if (!plan.origin.empty()) na::io::load_roberta_config(plan.origin + "/config.json");  // throws for other models
  B backend = make_backend<B>(options.training.compute);
  const auto batches = batch_options(options.batch, {.mini_batch_words = 2048}, options.training.seed);
  auto masking = fixed_masks(options.text, na::text::MaskingOptions{}.seed);
  const auto lines = na::text::read_lines(text_path(options, options.train_file, "train.txt", "--train_file"));
  const auto validation_lines =
      na::text::read_lines(text_path(options, options.validation_file, "valid.txt", "--validation_file"));
  prepare_output(options.training, plan);

  const auto tokenizer = tokenizer_for(options, lines, plan.origin);
  const auto config = planned_config<RobertaFamily>(options.model, plan, tokenizer.vocab_size());
  const auto cut = text_options(options.text, config.longest_sequence());
  na::text::MaskedLmData validation(na::text::masked_lm_blocks(validation_lines, tokenizer, cut), tokenizer,
                                    in_order(batches), masking);
  masking.fixed = false;
  masking.seed = options.training.seed;
  na::text::MaskedLmData training(na::text::masked_lm_blocks(lines, tokenizer, cut), tokenizer, batches, masking);

  RobertaOn<B> model(backend, config, plan.initial_seed());
  if (plan.begins_with_model()) load_weights(options.model, options.training.seed, backend, model);
  std::fprintf(stderr, "%s parameters, %s sequences with %s tokens; %s\n",
               with_commas(model.parameters().count()).c_str(),
               with_commas(static_cast<std::int64_t>(training.blocks().size())).c_str(),
               with_commas(static_cast<std::int64_t>(training.blocks().tokens())).c_str(), describe(backend).c_str());

  RunMetric perplexity{{"perplexity"}, "perplexity"};
  perplexity.of_loss = na::metrics::perplexity;
  const auto& directory = options.training.output_dir;
  const RunFiles files{[&](const std::string& folder) {
                         na::io::save_description(folder, model);
                         if (folder != directory) copy_byte_bpe(directory, folder);
                       },
                       [&] { na::io::save_model(directory, backend, model); }};
  return run_training(backend, model, training, validation, options.training, plan, label_of(options.model, config),
                      perplexity, files);
}

}  // namespace examples
