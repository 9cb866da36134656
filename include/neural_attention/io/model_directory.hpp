// Model directories as Hugging Face lays them out: config.json, generation_config.json, and the parameters in
// model.safetensors or in shards behind an index. Loading can give the model other projectors than the files have.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/parameter_file.hpp"

namespace neural_attention::io {

struct LoadOptions {
  enum class Projections {
    AsFile,  ///< as all other parameters
    /// Initial values for all but plain Linear ones, also where the files have the same. With SequentialLinear in the
    /// linear arm this is the paper's way: there too a replaced projection begins anew, and one that stays is loaded.
    Fresh,
    Warm  ///< where the files have a linear map instead, the projector begins as that map
  };

  Projections projections = Projections::AsFile;
  std::vector<std::string> reinitialise = {};  ///< patterns with * and ?: these parameters get initial values
  std::uint64_t seed = 42;                     ///< of initial values
  WarmStartOptions warm_start = {};
};

struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> reinitialised;  ///< parameters that were not loaded
  WarmStartReport warm_started;
};

namespace detail {

/// Whether a projector is, or as a Choice holds, a plain Linear.
template <class B, class P>
bool is_linear(P& projector) {
  if constexpr (requires { projector.with_chosen([](auto&) { return true; }); })
    return projector.with_chosen([](auto& chosen) { return is_linear<B>(chosen); });
  else
    return std::is_same_v<P, Linear<B>>;
}

/// Whether the files hold just the tensors that the store has below `prefix`, in the same shapes.
template <class B>
bool same_tensors(const TensorFiles& files, const ParameterStore<B>& store, const std::string& prefix) {
  std::size_t of_store = 0, of_files = 0;
  for (const auto& entry : store.entries()) {
    if (!entry.name.starts_with(prefix)) continue;
    ++of_store;
    const auto* const tensor = files.find(entry.name);
    if (!tensor || tensor->shape != shape_of(entry)) return false;
  }
  files.for_each([&](const std::string& name, const TensorInfo&) { of_files += name.starts_with(prefix); });
  return of_store == of_files;
}

/// The linear map below `prefix`, of a Linear or a SequentialLinear; nothing where the files have another projector.
inline std::optional<LinearMap> linear_map(const TensorFiles& files, const std::string& prefix) {
  std::size_t tensors = 0;
  files.for_each([&](const std::string& name, const TensorInfo&) { tensors += name.starts_with(prefix); });
  for (const std::string infix : {"", "0."}) {
    const auto* const weight = files.find(prefix + infix + "weight");
    const auto* const bias = files.find(prefix + infix + "bias");
    if (tensors != 2 || !weight || !bias || weight->shape.size() != 2 || bias->shape.size() != 1) continue;
    constexpr std::int64_t widest = 1 << 20;
    if (weight->shape[0] > widest || weight->shape[1] > widest) continue;
    LinearMap map{static_cast<int>(weight->shape[1]), static_cast<int>(weight->shape[0]), {}, {}};
    map.weight.resize(static_cast<std::size_t>(map.in) * static_cast<std::size_t>(map.out));
    map.bias.resize(static_cast<std::size_t>(bias->shape[0]));
    files.file_of(weight->name).read(*weight, map.weight.data());
    files.file_of(bias->name).read(*bias, map.bias.data());
    return map;
  }
  return std::nullopt;
}

/// Throws FileError where a table of positions in the files is not the one that the model computes.
template <class Model>
void check_position_tables(const TensorFiles& files, const Model& model) {
  for (const auto name : Model::position_tables) {
    const auto* const tensor = files.find(name);
    if (!tensor) continue;
    const auto& config = model.config();
    const std::vector<std::int64_t> expected = {config.max_position_embeddings, config.d_model};
    const auto refuse = [&](const std::string& why) {
      throw FileError(files.path().string(), "the table of positions " + std::string(name) + " " + why);
    };
    if (tensor->shape != expected)
      refuse("has the shape " + format_shape(tensor->shape) + ", expected " + format_shape(expected));
    // Half precision has 11 bits, bfloat16 has 8.
    const double tolerance = tensor->dtype == DType::BF16 ? 1.0 / 256 : tensor->dtype == DType::F16 ? 1.0 / 2048 : 1e-6;
    std::vector<double> row(static_cast<std::size_t>(config.d_model));
    for (int p = 0; p < config.max_position_embeddings; ++p) {
      files.file_of(name).read(*tensor, static_cast<std::size_t>(p) * row.size(), row.size(), row.data());
      for (int c = 0; c < config.d_model; ++c)
        if (!(std::abs(row[static_cast<std::size_t>(c)] - model.position_value(p, c)) <= tolerance))
          refuse("does not hold Marian's sines and cosines, which are all that is supported");
    }
  }
}

}  // namespace detail

/// Reads the parameters of a directory into `model`, which may have been made without initial values. Strict: throws
/// FileError with a table of what is missing, unexpected or of another shape; ConfigError where a pattern matches no
/// parameter or a projector has no warm start. The model is unchanged then, but for initial values.
template <class Model>
LoadReport load_model(const std::string& directory, typename Model::Backend& backend, Model& model,
                      const LoadOptions& options = {}) {
  using B = typename Model::Backend;
  using Projections = LoadOptions::Projections;
  const auto files = TensorFiles::in_directory(directory);
  auto& store = model.parameters();
  detail::check_position_tables(files, model);

  std::vector<std::string> prefixes;  // of projectors that are not loaded as they are, each with a dot behind
  for_each_projector(model, [&](const std::string& name, auto& projector) {
    const auto prefix = name + ".";
    if (options.projections == Projections::Fresh && !detail::is_linear<B>(projector)) prefixes.push_back(prefix);
    if (options.projections == Projections::Warm && !detail::same_tensors(files, store, prefix))
      prefixes.push_back(prefix);
  });
  if (options.projections == Projections::Fresh && prefixes.empty())
    throw ConfigError(
        "no projection would begin anew: all are of the type 'linear', which stays as the files have it; "
        "for linear projections that begin anew choose 'sequential_linear'");
  for (const auto& pattern : options.reinitialise)
    if (std::ranges::none_of(store.entries(), [&](const auto& entry) { return matches(pattern, entry.name); }))
      throw ConfigError("no parameter's name matches the pattern '" + pattern + "'");
  const auto fresh = [&](const std::string& name) {
    return std::ranges::any_of(prefixes, [&](const auto& prefix) { return name.starts_with(prefix); }) ||
           std::ranges::any_of(options.reinitialise, [&](const auto& pattern) { return matches(pattern, name); });
  };

  LoadRules rules;
  for (const auto& [alias, name] : Model::aliases) rules.aliases.emplace_back(alias, name);
  for (const auto name : Model::optional_names) rules.optional.emplace_back(name);
  const std::set<std::string_view> computed(Model::position_tables.begin(), Model::position_tables.end());
  rules.left_out = [&](const std::string& name) {
    return computed.contains(name) || name.ends_with(".position_ids") || fresh(name);
  };

  LoadReport report;
  for (const auto& entry : store.entries())
    (fresh(entry.name) ? report.reinitialised : report.loaded).push_back(entry.name);
  if (!report.reinitialised.empty())
    store.initialise(options.seed, [&](const auto& entry) { return fresh(entry.name); });
  if (options.projections == Projections::Warm && !prefixes.empty()) {
    const std::set<std::string> wanted(prefixes.begin(), prefixes.end());
    report.warm_started = warm_start(
        backend, model,
        [&](const std::string& name) -> std::optional<LinearMap> {
          if (!wanted.contains(name + ".")) return std::nullopt;
          auto map = detail::linear_map(files, name + ".");
          if (!map)
            throw FileError(files.path().string(), "has no linear map at " + name + ", so no warm start can be made");
          return map;
        },
        options.warm_start);
  }
  load_tensors<B, typename B::Scalar>(files, backend, store, {{"", store.values(), true}}, rules);
  return report;
}

/// How a directory's model translates: as generation_config.json says or, where there is none, as older models have it,
/// the generation keys of config.json on top of generation_defaults.
inline GenerationConfig load_generation_config(const std::string& directory, const MarianConfig& config) {
  const auto path = (std::filesystem::path(directory) / "generation_config.json").string();
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return generation_config(read_json(path), path);
  const auto model_path = (std::filesystem::path(directory) / "config.json").string();
  auto how = generation_config(read_json(model_path), model_path, generation_defaults(config));
  how.other_keys.clear();  // those of the model
  return how;
}

namespace detail {

/// Files that take their names together: each is complete and on the device before the first one is renamed.
class StagedFiles {
 public:
  explicit StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  AtomicFile& add(std::string_view name) {
    return *files_.emplace_back(std::make_unique<AtomicFile>(folder_ / std::filesystem::path(name)));
  }
  void add_json(std::string_view name, const nlohmann::ordered_json& value) {
    auto& file = add(name);
    try {
      file.write(value.dump(2) + '\n');
    } catch (const nlohmann::json::exception&) {
      throw FileError(file.path().string(), "cannot hold a string that is not UTF-8 as JSON");
    }
  }
  void commit() {
    for (const auto& file : files_) file->flush();
    for (const auto& file : files_) file->commit();
  }
  bool contains(const std::filesystem::path& path) const {
    return std::ranges::any_of(files_, [&](const auto& file) { return file->path() == path; });
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

/// model.safetensors or, where that would be larger than `largest` bytes (0: never), shards with their index, divided
/// as Hugging Face does: tensors in the model's order until the next one would exceed the size.
template <class B>
void stage_parameters(StagedFiles& files, B& backend, const ParameterStore<B>& store, std::uint64_t largest) {
  using Real = typename B::Scalar;
  const auto all = tensor_list<B, Real>(store, {{"", store.values(), true}});
  std::vector<TensorList<Real>> shards(1);
  std::uint64_t total = 0, in_shard = 0;
  for (std::size_t i = 0; i < all.tensors.size(); ++i) {
    const std::uint64_t bytes = *tensor_bytes(all.tensors[i].dtype, all.tensors[i].shape);
    if (largest > 0 && in_shard > 0 && in_shard + bytes > largest) {
      shards.emplace_back();
      in_shard = 0;
    }
    shards.back().tensors.push_back(all.tensors[i]);
    shards.back().numbers.push_back(all.numbers[i]);
    in_shard += bytes;
    total += bytes;
  }
  if (shards.size() == 1) return stream_tensors(files.add(model_file), backend, all);
  const auto number = [](std::size_t n) {
    const auto digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  std::map<std::string, std::string> weight_map;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto name = "model-" + number(i + 1) + "-of-" + number(shards.size()) + ".safetensors";
    for (const auto& tensor : shards[i].tensors) weight_map[tensor.name] = name;
    stream_tensors(files.add(name), backend, shards[i]);
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = weight_map;
  files.add_json(model_index_file, index);
}

/// Removes parameter files of an earlier save that `files` did not replace: a model.safetensors beside an index would
/// be read instead of it.
inline void remove_stale_parameters(const std::filesystem::path& folder, const StagedFiles& files) {
  std::error_code ignored;
  std::vector<std::filesystem::path> stale;
  for (const auto& item : std::filesystem::directory_iterator(folder, ignored)) {
    const auto name = item.path().filename().string();
    const bool of_parameters =
        name == model_file || name == model_index_file || matches("model-*-of-*.safetensors", name);
    if (of_parameters && !files.contains(item.path())) stale.push_back(item.path());
  }
  for (const auto& path : stale) std::filesystem::remove(path, ignored);
}

/// config.json and generation_config.json: lengths as they are, the model's own token ids in place of -1.
template <class Model>
void stage_description(StagedFiles& files, const Model& model, GenerationConfig generation) {
  auto config = to_json(model.config());
  config["torch_dtype"] = std::is_same_v<typename Model::Backend::Scalar, double> ? "float64" : "float32";
  const auto checked = resolved(generation, model.config());
  generation.decoder_start_token_id = checked.decoder_start_token_id;
  generation.eos_token_id = checked.eos_token_id;
  generation.pad_token_id = checked.pad_token_id;
  files.add_json("config.json", config);
  files.add_json("generation_config.json", to_json(generation));
}

inline void create_directory(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot be created: " + error.message());
}

}  // namespace detail

/// Writes config.json and generation_config.json alone: what a checkpoint needs beside its parameters. Throws
/// FileError.
template <class Model>
void save_description(const std::string& directory, const Model& model, const GenerationConfig& generation) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_description(files, model, generation);
  files.commit();
}

/// Writes config.json, generation_config.json and the parameters: model.safetensors or, where these exceed
/// `largest_shard` bytes (0: never), shards. Every file is complete before the first one replaces an older one, so a
/// save that fails leaves the directory as it was. Keys of the config.json that the model was made of are kept. Throws
/// FileError.
template <class Model>
void save_model(const std::string& directory, typename Model::Backend& backend, const Model& model,
                const GenerationConfig& generation, std::uint64_t largest_shard = 0) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_parameters(files, backend, model.parameters(), largest_shard);
  detail::stage_description(files, model, generation);
  files.commit();
  detail::remove_stale_parameters(directory, files);
}
template <class Model>
void save_model(const std::string& directory, typename Model::Backend& backend, const Model& model) {
  save_model(directory, backend, model, generation_defaults(model.config()));
}

}  // namespace neural_attention::io
