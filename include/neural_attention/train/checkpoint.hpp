// Checkpoints: a directory checkpoint-N with the model, the optimizer's moments and the position of the run. Random
// numbers are functions of (seed, step), so step, epoch and batch are the whole state and a resumed run equals an
// uninterrupted one. A directory gets its name only when every file in it is complete.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "neural_attention/train/optimizers.hpp"

namespace neural_attention {

/// Where a run stands. `metric` values are larger-is-better.
struct TrainingPosition {
  static constexpr int format_version = 1;

  long step = 0;   ///< optimizer steps done
  int epoch = 0;   ///< of the next batch
  long batch = 0;  ///< next batch of that epoch
  std::uint64_t seed = 0;
  double best_metric = 0.0;
  long best_step = 0;  ///< 0: no evaluation yet
  int evaluations_without_gain = 0;
  bool evaluation_due = false;     ///< cancelled before the evaluation of this step, which comes first on resuming
  double seconds = 0.0;            ///< spent in training steps
  long tokens = 0;                 ///< that the speed of the run is measured in
  std::string optimizer = "adam";  ///< whose moments lie beside; filled in by save_checkpoint
};

namespace checkpoint_detail {

inline constexpr const char* position_file = "trainer_state.json";
inline constexpr const char* optimizer_file = "optimizer.safetensors";
inline constexpr const char* model_file = "model.safetensors";

template <class B, class O>
std::vector<io::TensorGroup<typename B::Real>> moments(const O& optimizer) {
  std::vector<io::TensorGroup<typename B::Real>> groups;
  for (const auto& moment : optimizer.moments()) groups.push_back({moment.name + ".", moment.numbers, false});
  return groups;
}

}  // namespace checkpoint_detail

inline void write_position(const std::string& path, const TrainingPosition& position) {
  const nlohmann::ordered_json json = {{"format_version", TrainingPosition::format_version},
                                       {"step", position.step},
                                       {"epoch", position.epoch},
                                       {"batch", position.batch},
                                       {"seed", position.seed},
                                       {"best_metric", position.best_metric},
                                       {"best_step", position.best_step},
                                       {"evaluations_without_gain", position.evaluations_without_gain},
                                       {"evaluation_due", position.evaluation_due},
                                       {"seconds", position.seconds},
                                       {"tokens", position.tokens},
                                       {"optimizer", position.optimizer}};
  io::write_json(path, json);
}

/// Throws FileError where the file is missing, malformed or of another format version.
inline TrainingPosition read_position(const std::string& path) {
  const auto json = io::read_json(path);
  if (const auto version = io::get<int>(json, "format_version", path); version != TrainingPosition::format_version)
    throw FileError(path, "has format version " + std::to_string(version) + ", but this program reads version " +
                              std::to_string(TrainingPosition::format_version));
  TrainingPosition position;
  position.step = io::get<long>(json, "step", path);
  position.epoch = io::get<int>(json, "epoch", path);
  position.batch = io::get<long>(json, "batch", path);
  position.seed = io::get<std::uint64_t>(json, "seed", path);
  position.best_metric = io::get<double>(json, "best_metric", path);
  position.best_step = io::get<long>(json, "best_step", path);
  position.evaluations_without_gain = io::get<int>(json, "evaluations_without_gain", path);
  position.evaluation_due = io::get_or<bool>(json, "evaluation_due", false, path);
  position.seconds = io::get<double>(json, "seconds", path);
  const char* const tokens = json.contains("target_tokens") ? "target_tokens" : "tokens";  // its name of old
  position.tokens = io::get<long>(json, tokens, path);
  position.optimizer = io::get_or<std::string>(json, "optimizer", "adam", path);
  if (position.step < 0 || position.epoch < 0 || position.batch < 0)
    throw FileError(path, "has a negative step, epoch or batch");
  return position;
}

inline std::string checkpoint_name(long step) { return "checkpoint-" + std::to_string(step); }

/// Writes output_dir/checkpoint-N and returns its path. `write_more(dir)` adds what makes it a complete model
/// directory.
template <class B, Optimizer<B> O, class WriteMore>
std::string save_checkpoint(const std::string& output_dir, B& backend, const ParameterStore<B>& store,
                            const O& optimizer, TrainingPosition position, WriteMore&& write_more) {
  namespace fs = std::filesystem;
  namespace names = checkpoint_detail;
  position.optimizer = optimizer.name();
  const fs::path target = fs::path(output_dir) / checkpoint_name(position.step);
  const fs::path growing = target.string() + ".incomplete";
  std::error_code error;
  fs::remove_all(growing, error);
  if (!fs::create_directories(growing, error) || error)
    throw FileError(growing.string(), "cannot be created: " + error.message());
  try {
    io::save_parameters((growing / names::model_file).string(), backend, store);
    io::save_tensors<B, typename B::Real>((growing / names::optimizer_file).string(), backend, store,
                                          names::moments<B>(optimizer));
    write_more(growing.string());
    write_position((growing / names::position_file).string(), position);
    fs::remove_all(target);  // left by an earlier run that was resumed before this step
    fs::rename(growing, target);
  } catch (const fs::filesystem_error& failed) {
    fs::remove_all(growing, error);
    throw FileError(target.string(), "cannot be written: " + failed.code().message());
  } catch (...) {
    fs::remove_all(growing, error);
    throw;
  }
  return target.string();
}

/// Reads parameters, moments and position back. Throws FileError, also for the checkpoint of another optimizer; nothing
/// usable is lost, the run has not begun.
template <class B, Optimizer<B> O>
TrainingPosition load_checkpoint(const std::string& directory, B& backend, ParameterStore<B>& store, O& optimizer) {
  namespace names = checkpoint_detail;
  const auto path = directory + "/" + names::position_file;
  const auto position = read_position(path);
  if (position.optimizer != optimizer.name())
    throw FileError(path, "the checkpoint was made with the optimizer " + in_quotes(position.optimizer) + ", not '" +
                              std::string(optimizer.name()) + "'");
  io::load_parameters(directory + "/" + names::model_file, backend, store);
  io::load_tensors<B, typename B::Real>(directory + "/" + names::optimizer_file, backend, store,
                                        names::moments<B>(optimizer));
  optimizer.set_steps(position.step);
  return position;
}

/// Steps of the complete checkpoints in a directory, ascending.
inline std::vector<long> list_checkpoints(const std::string& output_dir) {
  namespace fs = std::filesystem;
  std::vector<long> steps;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(output_dir, error)) {
    const auto name = item.path().filename().string();
    const std::string prefix = "checkpoint-";
    if (!name.starts_with(prefix) || !fs::exists(item.path() / checkpoint_detail::position_file)) continue;
    const auto digits = name.substr(prefix.size());
    if (!digits.empty() && digits.size() < 18 && digits.find_first_not_of("0123456789") == std::string::npos)
      steps.push_back(std::stol(digits));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

/// Of the checkpoints up to `step` removes all but the last `keep` and the one of `best_step`. keep 0 keeps all. Later
/// ones are left by an earlier run and do not count: else they would push out what this run just wrote.
inline void prune_checkpoints(const std::string& output_dir, int keep, long best_step, long step) {
  if (keep <= 0) return;
  auto steps = list_checkpoints(output_dir);
  std::erase_if(steps, [&](long other) { return other > step; });
  const auto surplus = static_cast<long>(steps.size()) - keep;
  std::error_code ignored;  // a checkpoint that cannot be removed does no harm
  for (long i = 0; i < surplus; ++i)
    if (steps[i] != best_step)
      std::filesystem::remove_all(std::filesystem::path(output_dir) / checkpoint_name(steps[i]), ignored);
}

}  // namespace neural_attention
