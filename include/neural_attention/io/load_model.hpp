// Loads the parameters of a model directory into a model, which may have other projectors than the files.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/io/int8_tensors.hpp"
#include "neural_attention/io/load_tensors.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/models/paper.hpp"
#endif

namespace neural_attention::io {

struct LoadOptions {
  enum class Projections {
    AsFile,  ///< as all other parameters
    /// Initial values for all but plain Linear ones, also where the files have the same. With SequentialLinear in the
    /// linear arm this is the paper's way: there too, a replaced projection starts at random, and one that stays is
    /// loaded.
    Fresh,
    Warm  ///< if the files have a linear map instead, the projector begins as that map
  };

  Projections projections = Projections::AsFile;
  /// Patterns with * and ?: these parameters get initial values, also those of a projector that starts warm. One whose
  /// parameters all match does not start warm, and needs no linear map in the files.
  std::vector<std::string> reinitialise = {};
  std::uint64_t seed = 42;  ///< of initial values
  WarmStartOptions warm_start = {};
};

struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> reinitialised;  ///< parameters that were not loaded
  WarmStartReport warm_started;
};

/// Whether the config.json of a directory, if it has one, says that weights are int8. Throws FileError if they are
/// quantised otherwise, or in another version.
bool holds_int8(const std::string& directory);

namespace detail {

/// Whether a projector is a plain Linear, or a Choice that holds one.
template <class B, class P>
bool is_linear(P& projector) {
  if constexpr (requires { projector.with_chosen([](auto&) { return true; }); })
    return projector.with_chosen([](auto& chosen) { return is_linear<B>(chosen); });
  else
    return std::is_same_v<P, Linear<B>>;
}

/// Whether the files hold exactly the store's tensors below `prefix`, in the same shapes.
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

/// The linear map below `prefix`, of a Linear or a SequentialLinear, with a bias or without; nothing if the files have
/// another projector.
std::optional<LinearMap> linear_map(const TensorFiles& files, const std::string& prefix);

/// Throws FileError for the linear map below `prefix`, which there must be, because no projector can begin as it.
[[noreturn]] void refuse_map(const TensorFiles& files, const std::string& prefix, const std::string& why);

/// The files of a directory, with tensors as `Model` has them.
template <class Model>
TensorFiles model_files(const std::string& directory, bool int8) {
  auto files = TensorFiles::in_directory(directory);
  constexpr auto layout = file_layout_of<Model>();
  if constexpr (!layout.prefix.empty())
    files.add_prefix(layout.prefix, [](const std::string& name) {
      return std::ranges::any_of(Model::aliases, [&](const auto& alias) { return alias[0] == name; });
    });
  if (!int8) files.divide(layout);
  return files;
}

/// Throws FileError if a table of positions in the files differs from the model's.
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
      files.read(name, static_cast<std::size_t>(p) * row.size(), row.size(), row.data());
      for (int c = 0; c < config.d_model; ++c)
        if (!(std::abs(row[static_cast<std::size_t>(c)] - model.position_value(p, c)) <= tolerance))
          refuse("does not hold Marian's sines and cosines, which are all that is supported");
    }
  }
}

/// Whether one of the patterns matches the name.
inline bool matches_any(const std::vector<std::string>& patterns, const std::string& name) {
  return std::ranges::any_of(patterns, [&](const auto& pattern) { return matches(pattern, name); });
}

/// The plan of loading.
struct LoadPlan {
  std::vector<std::string> prefixes;  ///< of projectors that are not loaded as they are, each with a dot at its end
  std::function<bool(const std::string&)> fresh;  ///< whether the parameter of a name is not loaded
  LoadRules rules;
  std::optional<TensorNames> tensors;
};

/// Makes all checks of load_model that need no memory for the model.
template <class Model>
LoadPlan plan_loading(const TensorFiles& files, Model& model, const LoadOptions& options, bool int8) {
  static_assert(sizeof(CheckStored<Model>));
  using B = typename Model::Backend;
  using Projections = LoadOptions::Projections;
  const auto& store = std::as_const(model).parameters();
  if (store.holds_int8() && (options.projections != Projections::AsFile || !options.reinitialise.empty()))
    throw ConfigError(
        "parameters that do not come from the files are for training, and this model is for inference in "
        "int8");
  constexpr bool computes_positions = requires { Model::position_tables; };
  if constexpr (computes_positions) check_position_tables(files, model);

  LoadPlan plan;
  plan.rules.int8 = int8;
  for_each_projector(model, [&](const std::string& name, auto& projector) {
    const auto prefix = name + ".";
    if (options.projections == Projections::Fresh && !is_linear<B>(projector)) plan.prefixes.push_back(prefix);
    if (options.projections == Projections::Warm && !same_tensors(files, store, prefix))
      plan.prefixes.push_back(prefix);
  });
  if (options.projections == Projections::Fresh && plan.prefixes.empty())
    throw ConfigError(
        "no projection would start at random: all have the type 'linear', which keeps the weights of the files; "
        "for linear projections that start at random choose 'sequential_linear'");
  for (const auto& pattern : options.reinitialise)
    if (std::ranges::none_of(store.entries(), [&](const auto& entry) { return matches(pattern, entry.name); }))
      throw ConfigError("no parameter's name matches the pattern '" + pattern + "'");
  plan.fresh = [prefixes = plan.prefixes, patterns = options.reinitialise](const std::string& name) {
    return std::ranges::any_of(prefixes, [&](const auto& prefix) { return name.starts_with(prefix); }) ||
           matches_any(patterns, name);
  };

  for (const auto& [alias, name] : Model::aliases) plan.rules.aliases.emplace_back(alias, name);
  for (const auto name : Model::optional_names) plan.rules.optional.emplace_back(name);
  std::vector<std::string_view> ignored(Model::ignored_names.begin(), Model::ignored_names.end());
  if constexpr (computes_positions)
    ignored.insert(ignored.end(), Model::position_tables.begin(), Model::position_tables.end());
  plan.rules.left_out = [fresh = plan.fresh, ignored](const std::string& name) {
    return fresh(name) || std::ranges::any_of(ignored, [&](const auto& pattern) { return matches(pattern, name); });
  };
  plan.tensors = matching_tensors<B, typename B::Real>(files, store, {{"", {}, true}}, plan.rules);
  return plan;
}

}  // namespace detail

/// Throws as load_model does if the files of a directory do not fit a model with this config, before there is one: a
/// config.json may claim any size, and this allocates nothing for it. Also throws FileError if such a model would be
/// too large.
template <class Model>
void check_model_files(const std::string& directory, const typename Model::Config& config,
                       const LoadOptions& options = {}) {
  const bool int8 = holds_int8(directory);
  const auto files = detail::model_files<Model>(directory, int8);
  bool possible = false;
  try {
    Model::inspect(config, [&](Model& outline) {
      possible = true;
      detail::plan_loading(files, outline, options, int8);
    });
  } catch (const ConfigError& error) {
    if (possible) throw;  // of the options
    throw FileError(directory + "/config.json", error.what());
  }
}

/// Reads the parameters of a directory into `model`, which may have been made without initial values. Strict: throws
/// FileError with a table of tensors that are missing, unexpected or of another shape, and ConfigError if a pattern
/// matches no parameter or a projector has no warm start. Tensors that files may lack get their initial values where
/// they are not there. After an error the model is unchanged, except for initial values; a matrix that cannot be
/// rounded to int8, because a number is not finite, leaves the model partly loaded.
template <class Model>
LoadReport load_model(const std::string& directory, typename Model::Backend& backend, Model& model,
                      const LoadOptions& options = {}) {
  using B = typename Model::Backend;
  const HostWork work("loading a model");
  auto& store = model.parameters();
  const bool int8 = holds_int8(directory);
  if (int8 && !store.holds_int8())
    throw FileError(
        directory + "/config.json",
        "says that weights are int8: such a model can only infer, on a CPU, made with Purpose::Int8Inference");
  const auto shared = std::make_shared<const TensorFiles>(detail::model_files<Model>(directory, int8));
  const auto& files = *shared;
  const auto plan = detail::plan_loading(files, model, options, int8);

  LoadReport report;
  for (const auto& entry : store.entries())
    (plan.fresh(entry.name) ? report.reinitialised : report.loaded).push_back(entry.name);
  store.initialise(options.seed, [&](const auto& entry) {
    const bool optional = std::ranges::find(plan.rules.optional, entry.name) != plan.rules.optional.end();
    return plan.fresh(entry.name) || (optional && !(*plan.tensors)(entry.name));
  });
  const auto anew = [&](const auto& entry) { return detail::matches_any(options.reinitialise, entry.name); };
  std::set<std::string> wanted;  // of the projectors that start warm
  if (options.projections == LoadOptions::Projections::Warm)
    for (const auto& prefix : plan.prefixes)
      if (std::ranges::any_of(store.entries(),
                              [&](const auto& entry) { return entry.name.starts_with(prefix) && !anew(entry); }))
        wanted.insert(prefix);
  if (!wanted.empty()) {
    std::string prefix;  // of the map that was read last
    try {
      report.warm_started = warm_start(
          backend, model,
          [&](const std::string& name) -> std::optional<LinearMap> {
            if (!wanted.contains(name + ".")) return std::nullopt;
            auto map = detail::linear_map(files, prefix = name + ".");
            if (!map)
              throw FileError(files.path().string(), "has no linear map at " + name + ", so no warm start can be made");
            return map;
          },
          options.warm_start);
    } catch (const ShapeError& error) {
      detail::refuse_map(files, prefix, error.what());
    }
    store.initialise(options.seed, anew);
  }
  if (int8) detail::map_int8(shared, *plan.tensors, store);
  detail::upload_tensors<B, typename B::Real>(files, *plan.tensors, backend, store, {{"", store.values(), true}},
                                              plan.rules);
  if (!int8) detail::quantize_tensors(files, *plan.tensors, store);
  store.refresh();
  return report;
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template void check_model_files<paper::Marian>(const std::string&, const MarianConfig&, const LoadOptions&);
extern template LoadReport load_model(const std::string&, Cpu<float>&, paper::Marian&, const LoadOptions&);
extern template void check_model_files<paper::Roberta>(const std::string&, const RobertaConfig&, const LoadOptions&);
extern template LoadReport load_model(const std::string&, Cpu<float>&, paper::Roberta&, const LoadOptions&);
#endif

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/load_model.hpp"
#endif
