// masked_lm evaluate: the perplexity of a model on a text.
#pragma once

#include <cmath>
#include <string>

#include "common/progress.hpp"
#include "common/standard_streams.hpp"
#include "masked_lm/masked_text.hpp"
#include "masked_lm/options.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

template <class B>
int evaluate(const EvaluateOptions& options) {
  const auto lines = na::text::read_lines(options.text_file);
  B backend = make_backend<B>(options.compute);
  const LoadedModel<RobertaOn<B>, na::text::ByteBpe> loaded(backend, options.model.path, options.compute.purpose());
  na::text::BatchOptions batches;
  batches.sentences = options.per_device_eval_batch_size;
  batches.shuffle = false;
  const auto cut = text_options(options.text, loaded.model.config().longest_sequence());
  const na::text::MaskedLmData data(na::text::masked_lm_blocks(lines, loaded.tokenizer, cut), loaded.tokenizer, batches,
                                    fixed_masks(options.text, options.seed));

  using na::metrics::LossMean;
  na::metrics::MeanLoss mean(options.mode == "reproducible" ? LossMean::Tokens : LossMean::Sequences);
  na::PassMemory<B> memory(backend);
  typename RobertaOn<B>::Saved saved;
  auto batch = data.empty_batch();
  Progress progress(static_cast<std::int64_t>(data.batches()), "evaluating");
  long tokens = 0, predicted = 0;
  for (std::size_t i = 0; i < data.batches(); ++i) {
    {
      const na::HostWork work("making batches");
      data.fill(i, batch);
    }
    const auto pass = memory.begin(false);
    const auto loss = loaded.model.loss(pass, batch, 0.0, saved);
    if (!std::isfinite(loss.negative_log_likelihood))
      throw na::NumericError(options.model.path + ": the loss of batch " + std::to_string(i + 1) + " is not finite");
    mean.add(loss, batch.sequences());
    tokens += batch.counted_tokens();
    predicted += loss.tokens;
    progress.update(
        static_cast<std::int64_t>(i) + 1,
        {{"perplexity", fixed(mean.perplexity(), 2)}, {"tok/s", compact(double(tokens) / progress.elapsed_seconds())}});
  }
  progress.finish();
  print_formatted("sequences = %zu\ntokens = %ld\npredicted tokens = %ld\nloss = %.6f\nperplexity = %.4f\n",
                  data.blocks().size(), tokens, predicted, mean.loss(), mean.perplexity());
  return 0;
}

}  // namespace examples
