// The command quantize: writes a model directory whose weights are int8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "common/any_model.hpp"
#include "common/backend_text.hpp"
#include "common/launched_ranks.hpp"
#include "common/output_directory.hpp"
#include "common/quantize_options.hpp"
#include "common/standard_streams.hpp"
#include "common/tokenizer_files.hpp"

namespace examples {

/// Bytes of the files that hold a directory's tensors.
inline std::uintmax_t tensor_bytes(const std::filesystem::path& directory) {
  std::uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const auto name = file.path().filename().string();  // a checkpoint holds the optimizer's, too
    if (name.starts_with("model") && name.ends_with(".safetensors")) bytes += file.file_size();
  }
  return bytes;
}

/// "<what>before = 100\n<what>= 26\nratio <of>= 0.2600\n"
inline void print_sizes(const std::string& what, const std::string& of, std::uintmax_t before, std::uintmax_t after) {
  print_formatted("%sbefore = %ju\n%s= %ju\nratio %s= %.4f\n", what.c_str(), before, what.c_str(), after, of.c_str(),
                  static_cast<double>(after) / static_cast<double>(before));
}

/// Throws ConfigError unless --evaluate_on has `count` files or none.
inline void require_files(const QuantizeOptions& options, std::size_t count) {
  const auto given = options.evaluate_on.size();
  if (given != 0 && given != count)
    throw na::ConfigError("--evaluate_on takes " + std::to_string(count) + (count == 1 ? " file" : " files") +
                          " here, not " + std::to_string(given));
}

/// `generation` gives the search of a directory, `files` its tokenizer; evaluate(backend, before, after) shows what
/// --evaluate_on asks for, for both LoadedModels. Throws ConfigError and FileError.
template <class Model, class Tokenizer, class Generation, class Evaluate>
int quantize(const QuantizeOptions& options, Generation&& generation, TokenizerFiles (*files)(const std::string&),
             Evaluate&& evaluate) {
  require_single_process();
  const auto& from = options.model.path;
  OutputDirectory output(options.output_dir);
  require_place_for_model(output, options.overwrite_output_dir, from);
  if (na::io::holds_int8(from)) throw na::ConfigError(from + " holds an int8 model already");
  typename Model::Backend backend;
  const LoadedModel<Model, Tokenizer> loaded(backend, from, na::Purpose::Int8Inference);
  tell_engine(backend, loaded.model, backend.threads());
  const auto tokenizer = files(from);
  if (!options.evaluate_on.empty()) {  // before an older model is replaced: it may fail
    const LoadedModel<Model, Tokenizer> in_float(backend, from);
    evaluate(backend, in_float, loaded);
  }
  output.create();
  na::io::save_model(options.output_dir, backend, loaded.model, generation(loaded.model.config()), 0, tokenizer);
  if (options.overwrite_output_dir) output.remove_run();  // which the new model does not come from
  std::uintmax_t floats = 0;
  for (const auto& entry : loaded.model.parameters().entries())
    floats += static_cast<std::uintmax_t>(entry.size()) * sizeof(float);
  print_sizes("bytes ", "", tensor_bytes(from), tensor_bytes(options.output_dir));
  print_sizes("bytes in memory ", "in memory ", floats,
              static_cast<std::uintmax_t>(loaded.model.parameters().value_bytes()));
  return 0;
}

}  // namespace examples
