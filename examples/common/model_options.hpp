// The flags that describe the model to train, with Hugging Face's names if it has them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/flags.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/roles.hpp"

namespace examples {

/// The model of a command that does not train. `kind` is one of Hugging Face's models.
struct ModelDirectory : Flags {
  explicit ModelDirectory(const std::string& kind)
      : path(flag("model", "",
                  "Model directory in Hugging Face's layout: an --output_dir of train, a checkpoint, or " + kind +
                      " with model.safetensors",
                  {.required = true})) {}

  const std::string& path;
};

/// Limit of a learned vocabulary: ten times the size of any published one.
inline constexpr int most_pieces = 10'000'000;
/// Of a byte-level BPE.
inline constexpr int usual_pieces = 16000;
inline constexpr const char* learned_pieces = "Most pieces of the learned byte-level BPE";

/// "linear: W x + b; neural: …"
inline std::string projectors_in_words() {
  std::string text;
  na::AnyProjector<na::Cpu<float>>::for_each_type([&]<class P>() {
    text += (text.empty() ? "" : "; ") + std::string(na::ProjectorName<P>::value) + ": " +
            std::string(na::ProjectorName<P>::formula);
  });
  return text;
}

/// Texts and values that differ between the programs.
struct ModelFlagTexts {
  int usual_vocab_size;  ///< without --vocab_size and without one in the file of --config
  std::string vocab_size, projected, not_projected, width;
  std::string by_layer;      ///< projectors layer by layer
  std::string big = "base";  ///< what --config calls the published sizes
};

inline constexpr na::Roles<const char*> role_flag_names = {"projector_q", "projector_k", "projector_v",
                                                           "projector_out"};

struct ModelOptions : Flags {
  explicit ModelOptions(const ModelFlagTexts& of_program) : Flags("Model"), texts(of_program) {}

  const ModelFlagTexts texts;
  /// Empty: a new model.
  const std::string& model =
      flag("model", "", "Start from this model directory in Hugging Face's layout: its sizes, vocabulary and weights");
  /// Empty: as in the file.
  const std::string& init_projections =
      flag("init_projections", "",
           "With --model and projectors other than its own: fresh starts them at random, as in the paper; warm starts "
           "them as the linear maps that they replace",
           {.among = {"fresh", "warm"}, .needs = {"model"}});
  const std::vector<std::string>& reinitialise =
      flag("reinitialise", std::vector<std::string>(),
           "With --model: parameters that start at random values, as a pattern with * and ?; may be repeated",
           {.needs = {"model"}, .one_at_a_time = true});
  /// Empty: not given, the same as small.
  const std::string& config =
      flag("config", "", "Sizes: small, " + texts.big + ", or a JSON file with Hugging Face's keys",
           {.excludes = {"model"}, .shown = "small"});
  const bool& dump_config = flag("dump_config", false, "Print the config as JSON and stop");
  const bool& dump_size =
      flag("dump_size", false, "Print the number of parameters and the FLOPs of a token as JSON and stop");
  const std::optional<int>& vocab_size =
      flag("vocab_size", std::optional<int>(),
           texts.vocab_size + " [" + std::to_string(texts.usual_vocab_size) + ", or as the file of --config says]",
           {.range = from_to(1, most_pieces), .excludes = {"model"}});
  /// Empty: as in the model or the config.
  const std::string& projector = flag("projector", "",
                                      texts.projected + " projections: " + projectors_in_words() + ". " +
                                          texts.not_projected + " [linear, or as --model or --config says]");
  const na::Roles<std::string>& roles = role_flags();  ///< empty: the value of `projector`
  /// 0: as in the model or the config, or the usual width of the projector.
  const double& expansion = flag("projector_expansion", 0.0,
                                 "Hidden width of a projector in units of " + texts.width +
                                     ", also below 1 [as --model or --config says, or the projector's usual one]",
                                 {.range = above(0), .excludes = {"projector_width"}, .shown = ""});
  /// Empty: the value of `expansion`.
  const std::string& width = flag(
      "projector_width", "",
      "Hidden width of a projector in columns, or match: the width that makes its matrices as large as a linear map's");
  /// 0: as in the config.
  const int& feed_forward_width =
      flag("feed_forward_width", 0, "Hidden width of all feed-forward networks [as the config says]",
           {.range = at_least(1), .excludes = {"model"}, .shown = ""});
  /// None: as in the config.
  const std::optional<double>& dropout =
      flag("dropout", std::optional<double>(), "Dropout rate [as the config says]", {.range = from_below(0, 1)});

 private:
  const na::Roles<std::string>& role_flags() {
    auto& projectors = store(na::Roles<std::string>());
    na::for_each_role(
        [&](const char* role, const char* name, std::string& alone) {
          declare(name, alone,
                  "The projector of the " + std::string(role) +
                      " alone, or one for each layer, counted from 0: " + texts.by_layer,
                  {});
        },
        role_flag_names, projectors);
    return projectors;
  }
};

/// Adds the flags of the knobs of `Config`, a model's config.
template <class Config>
struct ModelOptionsOf : ModelOptions {
  using ModelOptions::ModelOptions;

  /// Values that are not given come from the model or the config.
  const Given<Config>& given = overrides<Config>({.excludes = sizes()});
  /// What further flags of a program change in a new model of small or published sizes.
  std::function<void(Config&)> further = {};

 private:
  /// The flags that the weights of --model do not fit.
  static std::vector<std::pair<std::string, const char*>> sizes() {
    std::vector<std::pair<std::string, const char*>> all;
    Config::knobs([&](const na::Knob& knob) {
      if (knob.group && knob.size) all.emplace_back(knob.name, "model");
    });
    return all;
  }
};

}  // namespace examples
