// causal_lm evaluate: loss, perplexity, and bits a byte and a character of a model on a text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "causal_lm/options.hpp"
#include "causal_lm/train.hpp"
#include "common/any_model.hpp"
#include "common/backend_text.hpp"
#include "common/progress.hpp"
#include "common/run_group.hpp"
#include "common/standard_streams.hpp"
#include "neural_attention/metrics/perplexity.hpp"

namespace examples {

/// A window that predicts the tokens [first + 1, end], of which those from `counted` on are new.
struct StridedWindow {
  std::size_t first, end, counted;
};

/// Windows of up to `block` predictions that begin each `stride` tokens, until the last of `tokens` is predicted; each
/// prediction is new in one of them.
inline std::vector<StridedWindow> strided_windows(std::size_t tokens, std::size_t block, std::size_t stride) {
  std::vector<StridedWindow> windows;
  std::size_t predicted = 0;
  for (std::size_t first = 0; predicted + 1 < tokens; first += stride) {
    const auto end = std::min(first + block, tokens - 1);
    windows.push_back({first, end, predicted + 1});
    predicted = end;
  }
  return windows;
}

/// Bytes and characters of text.
struct TextSize {
  std::size_t bytes = 0, characters = 0;
};

/// The size of the text of all tokens but the first one, which nothing predicts. Special tokens, such as the end token
/// between two texts, are no text. Throws FileError, which names `path`, for an id without a piece.
inline TextSize predicted_text(const Tokens& tokens, const TextTokenizer& tokenizer, const std::string& path) {
  constexpr std::size_t piece = 1u << 16;
  TextSize size;
  std::vector<int> ids;
  for (std::size_t first = 1; first < tokens.size(); first += piece) {
    ids.resize(std::min(piece, tokens.size() - first));
    tokens.read(first, ids);
    std::string text;
    try {
      text = tokenizer.decode(ids, true);
    } catch (const na::ConfigError& error) {
      throw na::FileError(path, error.what());
    }
    size.bytes += text.size();
    size.characters += static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }
  return size;
}

/// The rows of a batch that count, and their labels.
struct CountedTokens {
  std::vector<int> rows, labels;
};

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
  const auto tokens = tokens_of(files, loaded.tokenizer);
  if (tokens.size() < 2)
    throw na::FileError(options.text_file,
                        "is too short: of " + std::to_string(tokens.size()) + " tokens there is nothing to predict");
  const auto text = predicted_text(tokens, loaded.tokenizer, options.text_file);
  const auto windows =
      strided_windows(tokens.size(), static_cast<std::size_t>(block), static_cast<std::size_t>(stride));

  na::RunIdentity settings;
  settings.set("block_size", block);
  settings.set("stride", stride);
  settings.set("per_device_eval_batch_size", options.per_device_eval_batch_size);
  settings.set("tokens of the text", tokens.size());
  require_same_work(group, backend, options.model.path, options.compute, settings);

  na::metrics::MeanLoss mean;
  na::PassMemory<B> memory(backend);
  typename Gpt2On<B>::Saved saved;
  na::CausalBatch batch;
  CountedTokens counted;
  std::vector<int> ids;
  const auto per_batch = static_cast<std::size_t>(options.per_device_eval_batch_size);
  const auto batches = (windows.size() + per_batch - 1) / per_batch;
  std::optional<Progress> progress;
  if (group.rank() == 0) {
    tell_engine(backend, loaded.model, rank_threads(group, options.compute), options.compute.precision());
    progress.emplace(static_cast<std::int64_t>(batches), "evaluating");
  }
  const auto loss_of = [&](std::size_t number) {
    const auto begin = number * per_batch, end = std::min(begin + per_batch, windows.size());
    {
      const na::HostWork work("making batches");
      batch.clear();
      counted.rows.clear();
      counted.labels.clear();
      for (auto w = begin; w < end; ++w) {
        const auto& window = windows[w];
        ids.resize(window.end - window.first + 1);
        tokens.read(window.first, ids);
        const auto old = static_cast<int>(window.counted - window.first) - 1;
        for (int i = old; i + 1 < static_cast<int>(ids.size()); ++i) {
          counted.rows.push_back(batch.total() + i);
          counted.labels.push_back(ids[static_cast<std::size_t>(i) + 1]);
        }
        batch.push(ids);
      }
    }
    const auto pass = memory.begin(false);
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
  const auto predicted = static_cast<double>(tokens.size() - 1);
  const double bits = mean.loss() * predicted / std::numbers::ln2;
  print_formatted(
      "windows = %zu\ntokens = %zu\nloss = %.6f\nperplexity = %.4f\nbits per byte = %.6f\nbits per character = %.6f\n",
      windows.size(), tokens.size() - 1, mean.loss(), mean.perplexity(),
      bits / double(std::max<std::size_t>(text.bytes, 1)), bits / double(std::max<std::size_t>(text.characters, 1)));
  return 0;
}

template <class B>
int evaluate(const EvaluateOptions& options) {
  return in_group<B>(options.compute, [&](auto& group) { return evaluate_in<B>(group, options); });
}

}  // namespace examples
