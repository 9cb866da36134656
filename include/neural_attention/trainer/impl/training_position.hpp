// Definitions of what trainer/training_position.hpp declares.
#pragma once

#include <cstdint>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/trainer/run_identity.hpp"
#include "neural_attention/trainer/training_position.hpp"

namespace neural_attention {

NEURAL_ATTENTION_INLINE void write_position(const std::string& path, const TrainingPosition& position) {
  nlohmann::ordered_json run = nlohmann::ordered_json::object();
  for (const auto& [name, value] : position.run.entries()) run[name] = value;
  const nlohmann::ordered_json json = {{"format_version", TrainingPosition::format_version},
                                       {"step", position.step},
                                       {"epoch", position.epoch},
                                       {"batch", position.batch},
                                       {"sequences", position.sequences},
                                       {"seed", position.seed},
                                       {"best_metric", position.best_metric},
                                       {"best_step", position.best_step},
                                       {"evaluations_without_gain", position.evaluations_without_gain},
                                       {"evaluation_due", position.evaluation_due},
                                       {"seconds", position.seconds},
                                       {"tokens", position.tokens},
                                       {"optimizer", position.optimizer},
                                       {"run", run}};
  io::write_json(path, json);
}

NEURAL_ATTENTION_INLINE TrainingPosition read_position(const std::string& path) {
  const auto json = io::read_json(path, std::size_t{1} << 24);
  if (const auto version = io::get<int>(json, "format_version", path); version != TrainingPosition::format_version)
    throw FileError(path, "has format version " + std::to_string(version) + ", but this program resumes version " +
                              std::to_string(TrainingPosition::format_version) +
                              "; resume with the release that wrote it, or begin a new run from its weights");
  TrainingPosition position;
  position.step = io::get<long>(json, "step", path);
  position.epoch = io::get<int>(json, "epoch", path);
  position.batch = io::get<long>(json, "batch", path);
  position.sequences = io::get<long>(json, "sequences", path);
  position.seed = io::get<std::uint64_t>(json, "seed", path);
  position.best_metric = io::get<double>(json, "best_metric", path);
  position.best_step = io::get<long>(json, "best_step", path);
  position.evaluations_without_gain = io::get<int>(json, "evaluations_without_gain", path);
  position.evaluation_due = io::get<bool>(json, "evaluation_due", path);
  position.seconds = io::get<double>(json, "seconds", path);
  position.tokens = io::get<long>(json, "tokens", path);
  position.optimizer = io::get<std::string>(json, "optimizer", path);
  if (position.step < 0 || position.epoch < 0 || position.batch < 0 || position.sequences < 0 ||
      position.best_step < 0 || position.evaluations_without_gain < 0 || position.tokens < 0 ||
      !(position.seconds >= 0.0))
    throw FileError(path, "has a negative number where none can be");
  const auto run = json.find("run");
  if (run == json.end() || !run->is_object()) throw FileError(path, "lacks the object \"run\"");
  for (const auto& [name, value] : run->items()) position.run.set(name, io::get<std::string>(*run, name, path));
  return position;
}

}  // namespace neural_attention
