// The flags that say which model is trained. Names are Hugging Face's where it has one.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/ranges.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/roles.hpp"

namespace examples {

namespace na = neural_attention;

struct ModelOptions {
  std::string model = {};             // a model directory to begin with; empty: a new model
  std::string init_projections = {};  // fresh or warm; empty: as the file has them
  std::vector<std::string> reinitialise = {};
  std::string config = {};  // small, base or a file; empty: not given, which is small
  bool dump_config = false;
  int usual_vocab_size = 0;  // where neither --vocab_size nor the file of --config says one
  std::optional<int> vocab_size = {};
  std::string projector = {};          // empty: as the model or the config says
  na::Roles<std::string> roles = {};   // empty: as `projector` says
  int expansion = 0;                   // 0: as the model or the config says
  std::optional<double> dropout = {};  // none: as the config says
  bool gradient_checkpointing = false;
};

/// The model of a command that trains nothing. `kind` is one of Hugging Face's models.
inline void add_model_directory_flag(CLI::App& app, std::string& directory, const std::string& kind) {
  app.add_option("--model", directory,
                 "Model directory as Hugging Face lays it out: an --output_dir of train, a checkpoint, or " + kind +
                     " with model.safetensors")
      ->required();
}

/// Of a vocabulary that is learned: ten times what any published one has.
inline constexpr int most_pieces = 10'000'000;

/// What a program's --help says of the flags that mean something else in each.
struct ModelFlagTexts {
  const char *vocab_size, *projected, *not_projected, *width;
};

/// "linear: W x + b; neural: …"
inline std::string projectors_in_words() {
  std::string text;
  na::AnyProjector<na::Cpu<float>>::for_each_type([&]<class P>() {
    text += (text.empty() ? "" : "; ") + std::string(na::ProjectorName<P>::value) + ": " +
            std::string(na::ProjectorName<P>::formula);
  });
  return text;
}

inline void add_model_flags(CLI::App& app, ModelOptions& options, const ModelFlagTexts& texts) {
  auto* const model =
      app.add_option("--model", options.model,
                     "Begin with this model directory, as Hugging Face lays it out: its sizes, vocabulary and weights")
          ->group("Model");
  app.add_option("--init_projections", options.init_projections,
                 "With --model, for projectors other than its own: fresh (random, the paper's procedure) or warm (they "
                 "start as the linear maps that they replace)")
      ->check(CLI::IsMember({"fresh", "warm"}))
      ->needs(model)
      ->group("Model");
  app.add_option("--reinitialise", options.reinitialise,
                 "With --model, parameters that start at random values nevertheless: a pattern with * and ?, may be "
                 "repeated")
      ->allow_extra_args(false)
      ->needs(model)
      ->group("Model");
  app.add_option("--config", options.config, "Sizes: small, base, or a JSON file with Hugging Face's keys")
      ->excludes(model)
      ->group("Model")
      ->default_str("small");
  app.add_flag("--dump_config", options.dump_config, "Print the config as JSON and stop")->group("Model");
  app.add_option("--vocab_size", options.vocab_size,
                 std::string(texts.vocab_size) + " [" + std::to_string(options.usual_vocab_size) +
                     ", or as the file of --config says]")
      ->excludes(model)
      ->transform(integer(1, most_pieces))
      ->group("Model");
  app.add_option("--projector", options.projector,
                 std::string(texts.projected) + " projections: " + projectors_in_words() + ". " + texts.not_projected +
                     " [linear, or as --model or --config says]")
      ->group("Model");
  na::for_each_role(
      [&](const char* name, const char* flag, std::string& projector) {
        app.add_option(flag, projector, std::string("The projector of the ") + name + " alone")->group("Model");
      },
      na::Roles<const char*>{"--projector_q", "--projector_k", "--projector_v", "--projector_out"}, options.roles);
  app.add_option("--projector_expansion", options.expansion,
                 std::string("Hidden width of a neural projector in units of ") + texts.width +
                     " [2, or as --model or --config says]")
      ->transform(integer(1))
      ->group("Model");
  app.add_option("--dropout", options.dropout, "Dropout rate [as the config says]")
      ->transform(number(from_below(0, 1)))
      ->group("Model");
  app.add_flag("--gradient_checkpointing", options.gradient_checkpointing,
               "Recompute each layer in the backward pass: less memory, about a third more time")
      ->group("Model");
}

}  // namespace examples
