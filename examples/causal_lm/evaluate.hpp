// causal_lm evaluate: loss, perplexity, and bits a byte and a character of a model on a text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <optional>

#include "causal_lm/corpus.hpp"
#include "causal_lm/evaluated_text.hpp"
#include "causal_lm/options.hpp"
#include "causal_lm/train.hpp"
#include "common/any_model.hpp"
#include "common/backend_text.hpp"
#include "common/progress.hpp"
#include "common/run_group.hpp"
#include "common/standard_streams.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

/// What evaluating a batch says.
struct WindowsLoss {
  na::LossSum loss;
  int windows = 0, tokens = 0;
};

template <class B, class Group>
int evaluate_in(Group& group, const EvaluateOptions& options) {
  CorpusFiles files({options.text_file});
  if (!files.are_tokens()) files.texts();
  B backend = na::worker_backend<B>(rank_threads(group, options.compute), options.compute.precision());
  const LoadedModel<Gpt2On<B>, TextTokenizer> loaded(backend, options.model.path, options.compute.purpose(),
                                                     options.compute.precision());
  const int block = block_size_for(options.block_size, loaded.model.config());
  const int stride = options.stride > 0 ? options.stride : block;
  if (stride > block)
    throw na::ConfigError("--stride " + std::to_string(stride) + ": windows of " + std::to_string(block) +
                          " tokens would leave tokens out");
  const auto windows_of = options.windows == "lines" ? &EvaluatedText::by_lines : &EvaluatedText::whole;
  const auto text =
      windows_of(files, loaded.tokenizer, static_cast<std::size_t>(block), static_cast<std::size_t>(stride));
  const auto per_batch = static_cast<std::size_t>(options.per_device_eval_batch_size);
  text.check_batches(per_batch);
  const auto size = text.predicted_text(loaded.tokenizer, options.text_file);

  na::RunIdentity settings;
  settings.set("block_size", block);
  settings.set("stride", stride);
  settings.set("windows", options.windows);
  settings.set("per_device_eval_batch_size", options.per_device_eval_batch_size);
  settings.set("text", text.fingerprint());
  require_same_work(group, backend, options.model.path, options.compute, settings);

  na::metrics::MeanLoss mean;
  na::PassMemory<B> memory(backend);
  typename Gpt2On<B>::Saved saved;
  na::CausalBatch batch;
  CountedTokens counted;
  const auto batches = (text.windows() + per_batch - 1) / per_batch;
  std::optional<Progress> progress;
  if (group.rank() == 0) {
    tell_engine(backend, loaded.model, rank_threads(group, options.compute), options.compute.precision());
    progress.emplace(static_cast<std::int64_t>(batches), "evaluating");
  }
  const auto loss_of = [&](std::size_t number) {
    const auto begin = number * per_batch, end = std::min(begin + per_batch, text.windows());
    {
      const na::HostWork work("making batches");
      text.fill(begin, end, batch, counted);
    }
    const auto pass = memory.begin_inference();
    loaded.model.check(batch);
    auto hidden = loaded.model.decode(pass, batch, saved);
    if (counted.rows.size() < batch.labels.size()) {
      const auto of_counted = pass.saved.rows(static_cast<int>(counted.rows.size()), hidden.cols);
      backend(na::ops::Gather<B>{.x = hidden, .rows = counted.rows, .y = of_counted});
      hidden = of_counted;
    }
    const auto loss = loaded.model.head().loss(pass, loaded.model.body().words(), hidden, counted, 0.0, saved.head);
    if (!std::isfinite(loss.negative_log_likelihood))
      throw na::NumericError(options.model.path + ": the loss of batch " + std::to_string(number + 1) +
                             " is not finite");
    return WindowsLoss{loss, static_cast<int>(end - begin), batch.total()};
  };
  long read = 0;
  na::in_turns(group, batches, loss_of, [&](std::size_t number, const WindowsLoss& of_batch) {
    mean.add(of_batch.loss, of_batch.windows);
    read += of_batch.tokens;
    if (progress)
      progress->update(static_cast<std::int64_t>(number) + 1,
                       {{"perplexity", fixed(mean.perplexity(), 2)},
                        {"tok/s", compact(double(read) / progress->elapsed_seconds())}});
  });
  if (!progress) return 0;
  progress->finish();
  const auto predicted = text.predictions();
  const double bits = mean.loss() * double(predicted) / std::numbers::ln2;
  print_formatted(
      "windows = %zu\ntokens = %zu\nloss = %.6f\nperplexity = %.4f\nbits per byte = %.6f\nbits per character = %.6f\n",
      text.windows(), predicted, mean.loss(), mean.perplexity(), bits / double(std::max<std::size_t>(size.bytes, 1)),
      bits / double(std::max<std::size_t>(size.characters, 1)));
  return 0;
}

template <class B>
int evaluate(const EvaluateOptions& options) {
  return in_group<B>(options.compute, [&](auto& group) { return evaluate_in<B>(group, options); });
}

}  // namespace examples
