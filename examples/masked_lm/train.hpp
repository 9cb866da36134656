// masked_lm train: from a text to a model directory.
#pragma once

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/backend_text.hpp"
#include "common/tokenizer_files.hpp"
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
    throw na::ConfigError(std::string("no text for ") + flag +
                          ": give --data DIR, or --train_file FILE and --validation_file FILE (without validation "
                          "text: --eval_strategy no)");
  return na::text::find_text_file(options.data, name);
}

inline TokenizerWithFiles<na::text::ByteBpe> load_tokenizer(const std::string& folder) {
  return {na::text::ByteBpe::load(folder), byte_bpe_files(folder)};
}

/// The tokenizer of the run's origin, or a new one.
inline TokenizerWithFiles<na::text::ByteBpe> tokenizer_for(const TrainOptions& options, const RunPlan& plan,
                                                           const std::vector<std::string>& lines) {
  if (!plan.origin.empty()) return load_tokenizer(plan.origin);
  na::text::ByteBpeOptions bpe;
  bpe.vocab_size = wanted_vocabulary(options.model);
  std::fprintf(stderr, "learning a byte-level vocabulary of %d pieces\n", bpe.vocab_size);
  auto learned = na::text::ByteBpe::train(lines, bpe);
  const WorkFolder work(plan.output.path());
  learned.save(work.path(), run_config<RobertaFamily>(options.model, learned.vocab_size()).longest_sequence());
  return {std::move(learned), byte_bpe_files(work.path())};
}

template <class B, class Group>
int train_in(Group& group, const TrainOptions& options) {
  const auto batches = batch_options(options.batch, options.training.seed);
  auto plan = plan_run<RobertaFamily>(group, options.model, options.training, batches, options.text.identity());
  B backend =
      na::worker_backend<B>(rank_threads(group, options.training.compute), options.training.compute.precision());
  auto masking = fixed_masks(options.text, na::text::MaskingOptions{}.seed);
  const auto path = text_path(options, options.train_file, "train.txt", "--train_file");
  const auto lines = na::text::read_lines(path);
  std::string validation_path;
  std::vector<std::string> validation_lines;
  if (plan.evaluates) {
    validation_path = text_path(options, options.validation_file, "valid.txt", "--validation_file");
    validation_lines = na::text::read_lines(validation_path);
  }
  plan.output.create();

  const auto learned = tokenizer_of_first(
      group, !plan.origin.empty(), [&] { return tokenizer_for(options, plan, lines); }, load_tokenizer);
  const auto& tokenizer = learned.tokenizer;
  const auto config = planned_config<RobertaFamily>(options.model, plan, tokenizer);
  const auto cut = text_options(options.text, config.longest_sequence());
  std::optional<na::text::MaskedLmData> validation;
  if (plan.evaluates)
    validation.emplace(masked_data(validation_path, validation_lines, tokenizer, cut, in_order(batches), masking));
  masking.fixed = false;
  masking.seed = options.training.seed;
  auto training = masked_data(path, lines, tokenizer, cut, batches, masking);

  RobertaOn<B> model(backend, config, plan.initial_seed());
  if (plan.begins_with_model()) load_weights(options.model, options.training.seed, backend, model);
  if (group.rank() == 0)
    std::fprintf(stderr, "%s parameters, %s sequences with %s tokens; %s\n",
                 with_commas(model.parameters().count()).c_str(),
                 with_commas(static_cast<std::int64_t>(training.blocks().size())).c_str(),
                 with_commas(static_cast<std::int64_t>(training.blocks().tokens())).c_str(), describe(backend).c_str());

  RunMetric perplexity{{"perplexity"}, "perplexity"};
  perplexity.of_loss = na::metrics::perplexity;
  const auto& directory = options.training.output_dir;
  const RunFiles files{[&](const std::string& folder) {
                         na::io::save_description(folder, model);
                         write_files(folder, learned.files);
                       },
                       [&] { na::io::save_model(directory, backend, model, {}, 0, learned.files); }};
  return run_training(group, backend, model, training, validation ? &*validation : nullptr, options.training, plan,
                      label_of<RobertaFamily>(config), perplexity, files);
}

template <class B>
int train(const TrainOptions& options) {
  if (options.model.dump_config) return dump_config<RobertaFamily>(options.model, wanted_vocabulary(options.model));
  if (options.model.dump_size) {
    const auto config = run_config<RobertaFamily>(options.model, wanted_vocabulary(options.model));
    const int tokens = text_options(options.text, config.longest_sequence()).block_size;
    const auto predicted = static_cast<int>(std::ceil(tokens * options.text.mlm_probability));
    return dump_size<RobertaFamily>(config, {.tokens = tokens, .predicted = predicted});
  }
  return in_group<B>(options.training.compute, [&](auto& group) { return train_in<B>(group, options); });
}

}  // namespace examples
