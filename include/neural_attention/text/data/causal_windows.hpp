// CausalWindows: windows of one long run of tokens, as the batches of a Trainer for a causal language model. They are
// drawn at random places, as nanoGPT does, or lie side by side, so that an epoch predicts each token once. Both are
// pure functions of (seed, epoch, batch): resuming in the middle needs no saved state.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/text/data/fingerprint.hpp"

namespace neural_attention::text {

/// Tokens in memory, with the functions of a TokenFile that CausalWindows needs.
class TokenArray {
 public:
  explicit TokenArray(std::vector<int> ids) : ids_(std::move(ids)) {}

  std::size_t size() const { return ids_.size(); }
  void read(std::size_t first, std::span<int> ids) const {
    std::copy_n(ids_.begin() + std::ptrdiff_t(first), ids.size(), ids.begin());
  }
  std::string fingerprint() const {
    Fingerprint print;
    print.add(ids_);
    return std::to_string(size()) + " tokens, " + print.digits();
  }

 private:
  std::vector<int> ids_;
};

enum class WindowOrder {
  Random,      ///< at random places, which may overlap; an epoch has as many whole steps as would cover the text
  Shuffled,    ///< side by side, in an order that each epoch draws
  Sequential,  ///< side by side, from the beginning to the end: for evaluation
};

struct WindowOptions {
  int batch_size = 12;  ///< windows of a batch; side by side, the last one of an epoch may have fewer
  int block_size = 64;  ///< tokens that a window predicts; the last window may have fewer
  WindowOrder order = WindowOrder::Random;
  std::uint64_t seed = 1;
  int batches_a_step = 1;  ///< the accumulation of a trainer
};

/// `Tokens` is TokenFile or TokenArray, which must outlive this.
template <class Tokens>
class CausalWindows {
 public:
  using Batch = CausalBatch;

  /// Throws ConfigError if the options make no sense or a batch would have more tokens than an int counts, and
  /// TextError if the text is too short to predict a token or, for Random, to hold a window.
  CausalWindows(const Tokens& tokens, const WindowOptions& options) : tokens_(tokens), options_(options) {
    if (options.batch_size < 1 || options.block_size < 1)
      throw ConfigError("a batch needs at least one window of at least one token, not " +
                        std::to_string(options.batch_size) + " of " + std::to_string(options.block_size));
    if (options.batches_a_step < 1)
      throw ConfigError("a step needs at least one batch, not " + std::to_string(options.batches_a_step));
    const auto least = options.order == WindowOrder::Random ? block() + 1 : 2;
    if (tokens.size() < least)
      throw TextError("a text of " + std::to_string(tokens.size()) + " tokens is too short: at least " +
                      std::to_string(least) + " are needed");
    windows_ = (tokens.size() - 1 + block() - 1) / block();
    if (std::max(windows_, sequences_before(batches())) > std::size_t{std::numeric_limits<std::uint32_t>::max()})
      throw ConfigError("a text of " + std::to_string(tokens.size()) + " tokens has more windows of " +
                        std::to_string(options.block_size) + " than 32 bits can count");
    const auto together = static_cast<std::int64_t>(sequences_before(1));
    sizes::checked("a batch of " + std::to_string(together) + " windows", sizes::product(together, options.block_size),
                   "tokens", 3 * sizeof(int));  // with positions and labels
    begin_epoch(0);
  }

  void begin_epoch(int epoch) {
    const bool drawn = epoch == epoch_ && !order_.empty();
    epoch_ = epoch;
    if (options_.order != WindowOrder::Shuffled || drawn) return;
    order_.resize(windows_);
    std::iota(order_.begin(), order_.end(), std::uint32_t{0});
    RandomStream(key()).shuffle(order_);
  }

  std::size_t batches() const {
    const auto parts = [](std::size_t n, std::size_t size) { return (n + size - 1) / size; };
    const auto count = parts(windows_, per_batch());
    if (options_.order != WindowOrder::Random) return count;
    const auto step = static_cast<std::size_t>(options_.batches_a_step);
    return parts(count, step) * step;
  }
  Batch empty_batch() const { return {}; }

  void fill(std::size_t index, Batch& batch) const {
    batch.clear();
    for (std::size_t window = sequences_before(index); window < sequences_before(index + 1); ++window) {
      const auto first = begin_of(window);
      const auto ids = batch.buffer(std::min(block(), tokens_.size() - 1 - first) + 1);
      tokens_.read(first, ids);
      batch.push(ids);
    }
  }

  /// Windows in the batches before `index` of this epoch, index ≤ batches().
  std::size_t sequences_before(std::size_t index) const {
    const auto full = index * per_batch();
    return options_.order == WindowOrder::Random ? full : std::min(full, windows_);
  }
  std::string fingerprint() const { return tokens_.fingerprint(); }

  /// The first token of window number `window` of this epoch.
  std::size_t begin_of(std::size_t window) const {
    if (options_.order == WindowOrder::Sequential) return window * block();
    if (options_.order == WindowOrder::Shuffled) return order_[window] * block();
    const auto places = tokens_.size() - block();
    const auto words = key().words(static_cast<std::uint32_t>(window), 0);
    const double unit = static_cast<double>(std::uint64_t{words[0]} << 21 ^ words[1] >> 11) * 0x1p-53;
    return std::min(static_cast<std::size_t>(unit * static_cast<double>(places)), places - 1);
  }

 private:
  std::size_t block() const { return static_cast<std::size_t>(options_.block_size); }
  std::size_t per_batch() const { return static_cast<std::size_t>(options_.batch_size); }
  RandomKey key() const {
    constexpr std::uint32_t site = 0x77696e64;  // this use of the seed and no other
    return {options_.seed, static_cast<std::uint32_t>(epoch_), site};
  }

  const Tokens& tokens_;
  WindowOptions options_;
  std::size_t windows_ = 0;
  int epoch_ = 0;
  std::vector<std::uint32_t> order_;  // of Shuffled, in this epoch
};

}  // namespace neural_attention::text
