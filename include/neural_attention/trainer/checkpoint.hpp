// Checkpoints: a directory checkpoint-N with the model, the optimizer's moments, the position of the run and what
// defines it. Random numbers are functions of (seed, step), so step, epoch and batch are the whole state, and a resumed
// run equals an uninterrupted one. A directory gets its name only after every file in it is complete.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/trainer/checkpoint_folder.hpp"
#include "neural_attention/trainer/training_position.hpp"

namespace neural_attention {

namespace checkpoint_detail {

inline constexpr const char* optimizer_file = "optimizer.safetensors";
inline constexpr const char* model_file = "model.safetensors";

template <class B, class O>
std::vector<io::TensorGroup<typename B::Real>> moments(const O& optimizer) {
  std::vector<io::TensorGroup<typename B::Real>> groups;
  for (const auto& moment : optimizer.moments()) groups.push_back({moment.name + ".", moment.numbers, false});
  return groups;
}

}  // namespace checkpoint_detail

/// Writes output_dir/checkpoint-N and returns its path. `write_more(dir)` adds the files that make it a complete model
/// directory. Throws FileError; an existing checkpoint of the same step then stays.
template <class B, KeptOptimizer<B> O, class WriteMore>
std::string save_checkpoint(const std::string& output_dir, B& backend, const ParameterStore<B>& store,
                            const O& optimizer, TrainingPosition position, WriteMore&& write_more) {
  namespace fs = std::filesystem;
  namespace names = checkpoint_detail;
  position.optimizer = optimizer.name();
  const fs::path target = fs::path(output_dir) / checkpoint_name(position.step);
  const fs::path growing = target.string() + std::string(names::incomplete);
  std::error_code error;
  fs::remove_all(growing, error);
  fs::create_directories(growing, error);
  if (error) throw FileError(growing.string(), "cannot be created: " + error.message());
  try {
    io::save_parameters((growing / names::model_file).string(), backend, store);
    io::save_tensors<B, typename B::Real>((growing / names::optimizer_file).string(), backend, store,
                                          names::moments<B>(optimizer));
    write_more(growing.string());
    write_position((growing / names::position_file).string(), position);
    write_manifest(growing);
  } catch (...) {
    fs::remove_all(growing, error);
    throw;
  }
  place_checkpoint(growing, target);
  return target.string();
}

/// Throws FileError if the checkpoint in `directory`, which has this position, was made with another optimizer.
inline void require_same_optimizer(const TrainingPosition& position, std::string_view name,
                                   const std::string& directory) {
  if (position.optimizer != name)
    throw FileError(
        directory + "/" + checkpoint_detail::position_file,
        "the checkpoint was made with the optimizer " + in_quotes(position.optimizer) + ", not " + in_quotes(name));
}

/// Reads parameters, moments and position back. Throws FileError, also for the checkpoint of another optimizer. The
/// model may then be partly overwritten, but the run has not begun.
template <class B, KeptOptimizer<B> O>
TrainingPosition load_checkpoint(const std::string& directory, B& backend, ParameterStore<B>& store, O& optimizer) {
  namespace names = checkpoint_detail;
  auto position = read_position(directory + "/" + names::position_file);
  require_whole_checkpoint(directory);
  require_same_optimizer(position, optimizer.name(), directory);
  io::load_parameters(directory + "/" + names::model_file, backend, store);
  bool has_moments = true;
  if constexpr (requires { optimizer.has_moments(); }) has_moments = optimizer.has_moments();
  if (has_moments)
    io::load_tensors<B, typename B::Real>(directory + "/" + names::optimizer_file, backend, store,
                                          names::moments<B>(optimizer));
  optimizer.set_steps(position.step);
  return position;
}

}  // namespace neural_attention
