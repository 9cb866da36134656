// masked_lm evaluate: the perplexity of a model on a text.
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include "common/backend_text.hpp"
#include "common/progress.hpp"
#include "common/run_group.hpp"
#include "common/standard_streams.hpp"
#include "masked_lm/masked_text.hpp"
#include "masked_lm/options.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

/// What evaluating a batch says.
struct BatchLoss {
  na::LossSum loss;
  int sequences = 0;
  long tokens = 0;
};

template <class B, class Group>
int evaluate_in(Group& group, const EvaluateOptions& options) {
  const auto lines = na::text::read_lines(options.text_file);
  B backend = na::worker_backend<B>(rank_threads(group, options.compute), options.compute.precision());
  const LoadedModel<RobertaOn<B>, na::text::ByteBpe> loaded(backend, options.model.path, options.compute.purpose(),
                                                            options.compute.precision());
  na::text::BatchOptions batches;
  batches.sentences = options.per_device_eval_batch_size;
  batches.shuffle = false;
  const auto cut = text_options(options.text, loaded.model.config().longest_sequence());
  const auto data =
      masked_data(options.text_file, lines, loaded.tokenizer, cut, batches, fixed_masks(options.text, options.seed));

  na::RunIdentity settings;
  settings.set("seed", options.seed);
  settings.set("mlm_probability", options.text.mlm_probability);
  settings.set("per_device_eval_batch_size", options.per_device_eval_batch_size);
  settings.set("text", data.fingerprint());
  require_same_work(group, backend, options.model.path, options.compute, settings);

  using na::metrics::LossMean;
  na::metrics::MeanLoss mean(options.mode == "reproducible" ? LossMean::Tokens : LossMean::Sequences);
  na::PassMemory<B> memory(backend);
  typename RobertaOn<B>::Saved saved;
  auto batch = data.empty_batch();
  std::optional<Progress> progress;
  if (group.rank() == 0) {
    tell_engine(backend, loaded.model, rank_threads(group, options.compute), options.compute.precision());
    progress.emplace(static_cast<std::int64_t>(data.batches()), "evaluating");
  }
  long tokens = 0, predicted = 0;
  const auto loss_of = [&](std::size_t i) {
    {
      const na::HostWork work("making batches");
      data.fill(i, batch);
    }
    const auto pass = memory.begin_inference();
    const auto loss = loaded.model.loss(pass, batch, 0.0, saved);
    if (!std::isfinite(loss.negative_log_likelihood))
      throw na::NumericError(options.model.path + ": the loss of batch " + std::to_string(i + 1) + " is not finite");
    return BatchLoss{loss, batch.sequences(), batch.counted_tokens()};
  };
  na::in_turns(group, data.batches(), loss_of, [&](std::size_t i, const BatchLoss& of_batch) {
    mean.add(of_batch.loss, of_batch.sequences);
    tokens += of_batch.tokens;
    predicted += of_batch.loss.tokens;
    if (progress)
      progress->update(static_cast<std::int64_t>(i) + 1,
                       {{"perplexity", fixed(mean.perplexity(), 2)},
                        {"tok/s", compact(double(tokens) / progress->elapsed_seconds())}});
  });
  if (!progress) return 0;
  progress->finish();
  print_formatted("sequences = %zu\ntokens = %ld\npredicted tokens = %ld\nloss = %.6f\nperplexity = %.4f\n",
                  data.blocks().size(), tokens, predicted, mean.loss(), mean.perplexity());
  return 0;
}

template <class B>
int evaluate(const EvaluateOptions& options) {
  return in_group<B>(options.compute, [&](auto& group) { return evaluate_in<B>(group, options); });
}

}  // namespace examples
