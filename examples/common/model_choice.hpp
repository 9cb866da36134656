// From the flags to a model's config and first weights. A Family describes one kind of model:
//   Config, Model; small(vocabulary), base(vocabulary); set_vocabulary(config, size), set_dropout(config, rate);
//   arrangement(projector), the meaning of --projector for each role.
#pragma once

#include <cstdio>
#include <string>
#include <type_traits>

#include "common/any_model.hpp"
#include "common/model_options.hpp"
#include "common/projector_choice.hpp"
#include "common/standard_streams.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/model_size.hpp"

namespace examples {

/// What is wrong with a model of that config, in a sentence; empty if it can be made.
template <class Family>
std::string fault_of_model(const typename Family::Config& config) {
  try {
    Family::Model::inspect(config, [](const auto&) {});
    return {};
  } catch (const na::ConfigError& error) {
    return error.what();
  }
}

/// The flag that takes away the last chance to make a model of `config`, if the projectors of the flags are set flag by
/// flag; empty if none does.
template <class Family>
std::string projector_flag_at_fault(const ModelOptions& options, const typename Family::Config& config) {
  WantedProjectors wanted;
  std::string at_fault;
  bool could_be = fault_of_model<Family>(config).empty();
  const auto add = [&](const std::string& flag, auto& part, const auto& value) {
    if (value == std::remove_cvref_t<decltype(value)>()) return;
    part = value;
    auto with_it = config;
    choose_projectors<Family>(wanted, with_it);
    const bool can_be = fault_of_model<Family>(with_it).empty();
    if (can_be) at_fault.clear();
    if (could_be && !can_be) at_fault = "--" + flag;
    could_be = can_be;
  };
  add("projector", wanted.all, options.projector);
  na::for_each_role(
      [&](const char*, const char* flag, std::string& part, const std::string& value) { add(flag, part, value); },
      role_flag_names, wanted.roles, options.roles);
  if (const auto width = given_width(options)) add(width_flag(*width), wanted.width, width);
  return at_fault;
}

/// Whether --config names a file.
inline bool has_config_file(const ModelOptions& options) {
  return !options.config.empty() && options.config != "small" && options.config != options.texts.big;
}

/// The number of pieces in the vocabulary of a new model.
inline int wanted_vocabulary(const ModelOptions& options) {
  if (options.vocab_size) return *options.vocab_size;
  if (!has_config_file(options)) return options.texts.usual_vocab_size;
  const auto json = na::io::read_json(options.config);
  const int pieces = na::io::get_or<int>(json, "vocab_size", options.texts.usual_vocab_size, options.config);
  if (pieces < 1 || pieces > most_pieces)
    throw na::FileError(options.config, "has a \"vocab_size\" of " + std::to_string(pieces) +
                                            "; it must be from 1 to " + std::to_string(most_pieces));
  return pieces;
}

/// The config that the flags describe, for a new model with `vocabulary` pieces.
template <class Family>
typename Family::Config new_config(const ModelOptionsOf<typename Family::Config>& options, int vocabulary) {
  const bool small = options.config.empty() || options.config == "small";
  auto config = small ? Family::small(vocabulary) : Family::base(vocabulary);
  if (has_config_file(options)) {
    auto json = na::io::read_json(options.config);
    // The special tokens of the file do not apply to a vocabulary that this run learns.
    const auto ignore = [&](const std::string& key) {
      if (json.is_object()) json.erase(key);
    };
    Family::Config::knobs([&](const na::Knob& knob) {
      if (knob.token) ignore(knob.name);
    });
    for (const char* key : {"vocab_size", "decoder_vocab_size", "decoder_start_token_id"}) ignore(key);
    config = na::io::model_config(json, options.config, config);
    require_known_projectors(config, options.config);
  } else if (options.further) {
    options.further(config);
  }
  Family::set_vocabulary(config, vocabulary);
  return config;
}

/// `config` with the values of the flags.
template <class Family>
typename Family::Config changed_by_flags(const ModelOptionsOf<typename Family::Config>& options,
                                         typename Family::Config config) {
  choose_projectors<Family>(wanted_projectors(options), config);
  if (options.dropout) Family::set_dropout(config, *options.dropout);
  if (options.feed_forward_width > 0) config.set_feed_forward_width(options.feed_forward_width);
  options.given.apply(config);
  return config;
}

/// The config of a run: from --model or a new one, changed by the flags. Throws if there can be no such model:
/// FileError if the file of the config is at fault, otherwise ConfigError, which names the flag of a projector that is.
template <class Family>
typename Family::Config run_config(const ModelOptionsOf<typename Family::Config>& options, int vocabulary) {
  const auto file = !options.model.empty()     ? options.model + "/config.json"
                    : has_config_file(options) ? options.config
                                               : std::string();
  const auto before = options.model.empty() ? new_config<Family>(options, vocabulary)
                                            : na::io::load_config<typename Family::Config>(file);
  if (!options.model.empty()) require_known_projectors(before, file);
  const auto config = changed_by_flags<Family>(options, before);
  const auto fault = fault_of_model<Family>(config);
  if (fault.empty()) return config;
  const auto flag = projector_flag_at_fault<Family>(options, before);
  if (!flag.empty()) throw na::ConfigError(flag + ": " + fault);
  const auto of_file = fault_of_model<Family>(before);
  if (options.vocab_size) {
    auto usual = before;
    Family::set_vocabulary(usual, options.texts.usual_vocab_size);
    if (fault_of_model<Family>(usual).empty()) throw na::ConfigError("--vocab_size: " + fault);
  }
  if (!file.empty() && !of_file.empty()) throw na::FileError(file, of_file);
  throw na::ConfigError(fault);
}

/// Prints the config of a run; a new model has `vocabulary` pieces. Returns the exit code.
template <class Family>
int dump_config(const ModelOptionsOf<typename Family::Config>& options, int vocabulary) {
  print(na::io::to_json(run_config<Family>(options, vocabulary)).dump(2) + "\n");
  return 0;
}

/// Prints the size of a new model with the vocabulary size of the flags, or of --model; makes none. Returns the exit
/// code.
template <class Family>
int dump_size(const typename Family::Config& config, const na::ExampleTokens& example) {
  const auto size = na::model_size<typename Family::Model>(config, example);
  const nlohmann::ordered_json json = {{"parameters", size.parameters},
                                       {"forward_flops_per_token", (size.flops + example.tokens / 2) / example.tokens},
                                       {"tokens", example.tokens}};
  print(json.dump(2) + "\n");
  return 0;
}

/// The label of a run: the projectors of its model. One name if the four roles match its arrangement for this kind of
/// model, otherwise the names of query, key, value and output, as in linear+neural/linear/linear/linear.
template <class Family>
std::string label_of(const typename Family::Config& config) {
  na::Roles<std::string> types{config.query.type, config.key.type, config.value.type, config.output.type};
  for (const auto& other : config.layer_projectors)
    na::for_each_role(
        [&](const char* role, std::string& type) {
          if (other.role == role && ("+" + type + "+").find("+" + other.projector.type + "+") == std::string::npos)
            type += "+" + other.projector.type;
        },
        types);
  std::string arrangement, all;
  na::for_each_role(
      [&](const char*, const std::string& type) {
        if (arrangement.empty() && Family::arrangement(type) == types) arrangement = type;
        all += (all.empty() ? "" : "/") + type;
      },
      types);
  return arrangement.empty() ? all : arrangement;
}

/// The options for loading --model.
inline na::io::LoadOptions load_options(const ModelOptions& options, std::uint64_t seed) {
  using Projections = na::io::LoadOptions::Projections;
  na::io::LoadOptions how;
  how.reinitialise = options.reinitialise;
  how.seed = seed;
  how.projections = options.init_projections == "fresh"  ? Projections::Fresh
                    : options.init_projections == "warm" ? Projections::Warm
                                                         : Projections::AsFile;
  return how;
}

/// Loads the weights of --model and prints a line about them.
template <class Model>
void load_weights(const ModelOptions& options, std::uint64_t seed, typename Model::Backend& backend, Model& model) {
  const auto report = na::io::load_model(options.model, backend, model, load_options(options, seed));
  std::fprintf(stderr, "%s: %zu of %zu tensors did not come from the file; %zu projections started warm\n",
               options.model.c_str(), report.reinitialised.size(), model.parameters().entries().size(),
               report.warm_started.projectors.size());
}

}  // namespace examples
