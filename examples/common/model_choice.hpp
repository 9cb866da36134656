// From the flags to a model's config and first weights. A Family says how one kind of model is configured:
//   Config; small(vocabulary), base(vocabulary); set_vocabulary(config, size), set_dropout(config, rate);
//   arrangement(projector), by role.
#pragma once

#include <array>
#include <cstdio>
#include <string>

#include "common/any_model.hpp"
#include "common/model_options.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"

namespace examples {

/// Sets what the flags say of projectors; roles that they leave open stay as they are. `arrangement` is what
/// --projector means for query, key, value and output.
template <class Config>
void choose_projectors(const ModelOptions& options, const std::array<std::string, 4>& arrangement, Config& config) {
  const std::array projectors = {&config.query, &config.key, &config.value, &config.output};
  for (std::size_t role = 0; role < projectors.size(); ++role) {
    if (!options.roles[role].empty())
      projectors[role]->type = options.roles[role];
    else if (!options.projector.empty())
      projectors[role]->type = arrangement[role];
    if (options.expansion > 0) projectors[role]->expansion = options.expansion;
    const AnyProjector<Backend> known(*projectors[role]);  // throws where there is no such type
  }
}

/// The config that the flags describe, for a new model with `vocabulary` pieces.
template <class Family>
typename Family::Config new_config(const ModelOptions& options, int vocabulary) {
  auto config = options.config == "small" ? Family::small(vocabulary) : Family::base(vocabulary);
  if (options.config != "small" && options.config != "base")
    config = na::io::model_config(na::io::read_json(options.config), options.config, config);
  Family::set_vocabulary(config, vocabulary);
  return config;
}

/// The config of a run: of --model or a new one, with what the flags change.
template <class Family>
typename Family::Config run_config(const ModelOptions& options, int vocabulary) {
  auto config = options.model.empty() ? new_config<Family>(options, vocabulary)
                                      : na::io::load_config<typename Family::Config>(options.model + "/config.json");
  choose_projectors(options, Family::arrangement(options.projector), config);
  if (options.dropout >= 0.0) Family::set_dropout(config, options.dropout);
  config.gradient_checkpointing = options.gradient_checkpointing;
  config.validate();
  return config;
}

/// Prints the config of a run with the vocabulary that the flags ask for. Returns the exit code.
template <class Family>
int dump_config(const ModelOptions& options) {
  std::printf("%s\n", na::io::to_json(run_config<Family>(options, options.vocab_size)).dump(2).c_str());
  return 0;
}

/// What a run is called: its projector.
template <class Config>
std::string label_of(const ModelOptions& options, const Config& config) {
  return options.projector.empty() ? config.query.type : options.projector;
}

/// Other projectors than those of --model have no weights in its file: the user must say how they begin.
template <class Config>
void require_init_projections(const ModelOptions& options, const Config& of_file, const Config& config) {
  if (!options.init_projections.empty()) return;
  const auto check = [&](const char* role, const na::ProjectorConfig& before, const na::ProjectorConfig& now) {
    if (before.type != now.type || before.expansion != now.expansion)
      throw na::ConfigError(std::string("the ") + role + " projection of " + options.model + " is " + before.type +
                            " and shall be " + now.type +
                            ": say how the new ones begin, with --init_projections fresh (at random, the paper's "
                            "procedure) or --init_projections warm (as the linear maps of the model)");
  };
  check("query", of_file.query, config.query);
  check("key", of_file.key, config.key);
  check("value", of_file.value, config.value);
  check("output", of_file.output, config.output);
}

/// The weights of --model, and a line that says what became of them.
template <class Model>
void load_weights(const ModelOptions& options, std::uint64_t seed, typename Model::Backend& backend, Model& model) {
  using Projections = na::io::LoadOptions::Projections;
  na::io::LoadOptions how;
  how.reinitialise = options.reinitialise;
  how.seed = seed;
  how.projections = options.init_projections == "fresh"  ? Projections::Fresh
                    : options.init_projections == "warm" ? Projections::Warm
                                                         : Projections::AsFile;
  const auto report = na::io::load_model(options.model, backend, model, how);
  std::fprintf(stderr, "%s: %zu of %zu tensors did not come from the file; %zu projections started warm\n",
               options.model.c_str(), report.reinitialised.size(), model.parameters().entries().size(),
               report.warm_started.projectors.size());
}

}  // namespace examples
