// One arm of the demo's comparison: its settings and its results.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/compute.hpp"
#include "common/flags.hpp"
#include "common/tokenizer_files.hpp"
#include "demo/corpus.hpp"
#include "neural_attention/models/marian_config.hpp"
#include "neural_attention/report/svg_chart.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "neural_attention/trainer/trainer.hpp"

namespace examples {

/// The sizes and the training of both arms, chosen for some thousand short sentences and about a minute an arm.
struct DemoSettings : Flags {
  static constexpr int evaluations = 8;
  static constexpr int vocab_size = 1500;
  static constexpr int longest = 64;  ///< tokens of a sentence
  static constexpr int batch_tokens = 500;
  static constexpr double learning_rate = 2e-3;

  const long& max_steps = flag("max_steps", 1200L, "Optimizer steps of each arm", {.range = at_least(1)});
  const std::uint64_t& seed = flag("seed", std::uint64_t{42}, "Seed of initial weights, data order and dropout");
  Compute compute;

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    compute.add_to(app);
  }

  na::MarianConfig model(int vocabulary) const {
    auto config = na::marian_small(vocabulary);
    config.d_model = 128;
    config.encoder_layers = config.decoder_layers = 2;
    config.encoder_ffn_dim = config.decoder_ffn_dim = 512;
    config.dropout = 0.05;
    return config;
  }

  na::TrainerOptions trainer() const {
    na::TrainerOptions options;
    options.step.learning_rate = learning_rate;
    options.step.schedule = {na::Schedule::Kind::Linear, max_steps / 8, max_steps};
    options.step.label_smoothing = 0.1;
    options.step.seed = seed;
    options.max_steps = max_steps;
    options.eval_steps = std::max(1L, max_steps / evaluations);
    return options;
  }
};

using DemoTokenizer = TokenizerWithFiles<na::text::MarianTokenizer>;

struct ArmResult {
  std::string name;
  bool cancelled = false;
  std::ptrdiff_t parameters = 0;
  double valid_loss = 0.0, bleu = 0.0, tokens_per_second = 0.0, seconds = 0.0;
  std::vector<std::string> translations;  ///< of the held-out sources
  std::vector<na::report::Point> losses, bleus;
};

/// Trains a model with projections `P` on backend B in `folder`, which becomes a complete model folder with metrics and
/// curves. Returns early if `stop` returns true.
template <class B, class P>
ArmResult train_arm(B& backend, const std::string& name, const std::string& folder, const DemoCorpus& corpus,
                    const DemoTokenizer& tokenizer, const DemoSettings& settings, const std::function<bool()>& stop);

/// Its type, for files that instantiate it.
template <class B>
using TrainArm = ArmResult(B&, const std::string&, const std::string&, const DemoCorpus&, const DemoTokenizer&,
                           const DemoSettings&, const std::function<bool()>&);

}  // namespace examples
