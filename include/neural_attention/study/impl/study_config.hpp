// Definitions of what study/study_config.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/nearest_name.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/study/impl/study_reader.hpp"
#include "neural_attention/study/paired_comparison.hpp"
#include "neural_attention/study/study_config.hpp"

namespace neural_attention::study {

namespace detail {

inline std::vector<StudyArm> study_arms(const StudyReader& study, const std::filesystem::path& path) {
  const auto& list = study.at("arms");
  if (!list.is_array() || list.size() < 2) study.fail("\"arms\" must be a list of at least two arms");
  std::vector<StudyArm> arms;
  for (const auto& item : list) {
    const StudyReader arm(item, "arms[" + std::to_string(arms.size()) + "]", path);
    arm.require_known({"name", "flags"});
    arms.push_back({arm.text("name"), arm.flags("flags")});
    const auto& name = arms.back().name;
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (name.find_first_not_of(allowed) != std::string::npos || name.starts_with('.') || name.starts_with("tune-") ||
        name.starts_with("twice-"))
      arm.fail(
          "the name of an arm has letters, digits, '.', '_' and '-' only and does not begin with '.', \"tune-\" or "
          "\"twice-\", unlike " +
          in_quotes(name));
    for (std::size_t i = 0; i + 1 < arms.size(); ++i) {
      if (arms[i].name == name) arm.fail("two arms have the name " + in_quotes(name));
      if (arms[i].flags == arms.back().flags)
        arm.fail("the arms " + in_quotes(arms[i].name) + " and " + in_quotes(name) + " have the same flags");
    }
  }
  return arms;
}

inline void read_tuning(const StudyReader& study, const std::filesystem::path& path, StudyConfig& config) {
  if (!study.has("tuning")) return;
  const StudyReader tuning(study.at("tuning"), "tuning", path);
  tuning.require_known({"flags", "seeds"});
  const StudyReader grid(tuning.at("flags"), "tuning.flags", path);
  constexpr std::size_t most_settings = 1000;
  std::size_t settings = 1;
  for (const auto& [flag, values] : tuning.at("flags").items()) {
    if (!values.is_array() || values.empty()) grid.fail(grid.name(flag) + " must be a list of values");
    auto& list = config.grid[grid.flag_name(flag, flag)];
    for (const auto& value : values) list.push_back(grid.flag_value(grid.name(flag), value));
    if (std::set(list.begin(), list.end()).size() != list.size()) grid.fail(grid.name(flag) + " has a value twice");
    settings *= list.size();
    if (settings > most_settings)
      grid.fail("\"tuning.flags\" has more than " + std::to_string(most_settings) + " combinations");
  }
  if (config.grid.empty()) tuning.fail("\"tuning.flags\" has no flag to tune");
  config.tuning_seeds = tuning.seeds("seeds");
  for (const auto seed : config.tuning_seeds)
    if (std::find(config.seeds.begin(), config.seeds.end(), seed) != config.seeds.end())
      tuning.fail("\"tuning.seeds\" and \"seeds\" share the seed " + std::to_string(seed) +
                  ": tuning and final runs need different seeds");
}

/// Refuses flags of tuning that make arms, or change what arms and controls have in common.
inline void require_tunable(const StudyReader& study, const StudyConfig& config) {
  constexpr std::string_view of_steps[] = {"max_steps", "num_train_epochs"};
  constexpr std::string_view of_batches[] = {"per_device_train_batch_size",
                                             "mini_batch_words",
                                             "gradient_accumulation_steps",
                                             "block_size",
                                             "max_seq_length",
                                             "max_source_length",
                                             "max_target_length",
                                             "line_by_line",
                                             "windows"};
  constexpr std::string_view of_speed[] = {"threads", "device", "dtype", "gradient_checkpointing"};
  const bool by_width = config.matches(Matching::Parameters) || config.matches(Matching::Flops);
  const bool by_time = config.matches(Matching::Time), by_steps = config.matches(Matching::Steps) || by_time;
  // Batches decide how many steps an epoch has.
  const bool of_epochs = std::any_of(config.arms.begin(), config.arms.end(),
                                     [&](const StudyArm& arm) { return !steps_in(merged(config.flags, arm.flags)); });
  for (const auto& [flag, values] : config.grid) {
    const auto among = [&name = flag](const auto& names) {
      return std::find(std::begin(names), std::end(names), name) != std::end(names);
    };
    if ((by_width && flag == config.match_by) || (by_steps && among(of_steps)) ||
        ((by_time || (by_steps && of_epochs)) && among(of_batches)) || (by_time && among(of_speed)))
      study.fail("\"tuning\" must not change " + in_quotes(flag) +
                 ", which changes what arms and controls have in common");
    for (const auto& arm : config.arms)
      if (arm.flags.contains(flag))
        study.fail("\"tuning\" must not change " + in_quotes(flag) + ", which makes the arm " + in_quotes(arm.name));
  }
}

/// Refuses runs without evaluations: validation losses choose settings and tell how a run ended.
inline void require_evaluations(const StudyReader& study, const StudyConfig& config) {
  const auto require = [&](const std::string& flag, const std::string& value) {
    if (flag == "eval_strategy" && value == "no")
      study.fail("no run may have the flag \"eval_strategy\" \"no\": a study needs validation losses");
  };
  std::vector<FlagSet> all = {config.flags, config.base.value_or(FlagSet{})};
  for (const auto& arm : config.arms) all.push_back(arm.flags);
  for (const auto& flags : all)
    for (const auto& [flag, value] : flags) require(flag, value);
  for (const auto& [flag, values] : config.grid)
    for (const auto& value : values) require(flag, value);
}

/// The base model, and the run of twice the steps.
inline void read_more_runs(const StudyReader& study, StudyConfig& config) {
  if (study.has("convergence")) config.convergence = study.truth("convergence");
  if (config.convergence && !steps_in(merged(config.flags, config.arm(config.control).flags)))
    study.fail("\"convergence\" doubles max_steps, so the control must set it");
  if (!study.has("base")) return;
  config.base = study.flags("base");
  for (const auto matching : {Matching::Parameters, Matching::Flops})
    if (config.matches(matching))
      study.fail("\"matchings\" cannot have " + in_quotes(name_of(matching)) +
                 " with \"base\": the width of a trained model cannot change");
  const auto refuse_model = [&](const FlagSet& flags) {
    if (flags.contains("model")) study.fail("no arm may have the flag \"model\" with \"base\", which is its model");
  };
  refuse_model(config.flags);
  for (const auto& arm : config.arms) {
    refuse_model(arm.flags);
    if (arm.name == "base") study.fail("no arm may have the name \"base\" beside a base model, whose name it is");
  }
}

inline void read_test(const StudyReader& study, const std::filesystem::path& path, StudyConfig& config) {
  if (study.has("test")) {
    const StudyReader test(study.at("test"), "test", path);
    if (config.task == "translation") {
      test.require_known({"source", "reference", "flags"});
      config.test.source = test.text("source");
      config.test.reference = test.text("reference");
    } else {
      test.require_known({"text", "flags"});
      config.test.text = test.text("text");
    }
    config.test.flags = test.flags("flags");
  }
  const bool of_translations = config.measure == Measure::Bleu || config.measure == Measure::Chrf;
  const std::string word(name_of(config.measure));
  if (of_translations != (config.task == "translation") && config.measure != Measure::Loss)
    study.fail("\"measure\" " + in_quotes(word) + " does not belong to the task " + in_quotes(config.task));
  if (config.measure == Measure::Chrf && !config.test.given()) study.fail("\"measure\" \"chrf\" needs \"test\"");
  if (config.task == "translation" && config.measure == Measure::Loss && config.test.given())
    study.fail(
        "\"test\" of a translator needs the measure \"bleu\" or \"chrf\"; the loss comes from the validation text");
}

/// What is only for readers.
inline void read_words(const StudyReader& study, StudyConfig& config) {
  constexpr std::size_t longest_title = 120, longest_about = 2000;
  config.title = study.text_or("title", "");
  config.about = study.text_or("about", "");
  if (config.title.find_first_of("\r\n") != std::string::npos) study.fail("\"title\" must be one line");
  for (const auto& [key, text, longest] :
       {std::tuple("title", &config.title, longest_title), {"about", &config.about, longest_about}})
    if (text->size() > longest)
      study.fail(in_quotes(key) + " must have at most " + counted(longest, "byte") + ", not " +
                 with_commas(static_cast<std::int64_t>(text->size())));
}

}  // namespace detail

NEURAL_ATTENTION_INLINE FlagSet merged(FlagSet flags, const FlagSet& more) {
  for (const auto& [name, value] : more) flags[name] = value;
  return flags;
}

NEURAL_ATTENTION_INLINE std::optional<std::int64_t> steps_in(const FlagSet& flags) {
  const auto found = flags.find("max_steps");
  const auto steps = found == flags.end() ? std::nullopt : number_in(found->second);
  if (!steps || *steps < 1 || *steps > 1e15 || *steps != std::floor(*steps)) return {};
  return static_cast<std::int64_t>(*steps);
}

NEURAL_ATTENTION_INLINE Better better_of(Measure measure) {
  return measure == Measure::Bleu || measure == Measure::Chrf ? Better::Higher : Better::Lower;
}

NEURAL_ATTENTION_INLINE const StudyArm& StudyConfig::arm(std::string_view name) const {
  for (const auto& one : arms)
    if (one.name == name) return one;
  throw ConfigError("the study has no arm " + in_quotes(name));
}

NEURAL_ATTENTION_INLINE bool StudyConfig::matches(Matching matching) const {
  return std::find(matchings.begin(), matchings.end(), matching) != matchings.end();
}

NEURAL_ATTENTION_INLINE StudyConfig study_of(const std::string& json, const std::filesystem::path& path) {
  const auto object = io::parse_json<nlohmann::json>(json, path);
  const detail::StudyReader study(object, "", path);
  study.require_known({"format", "task", "program", "launcher", "flags", "arms", "control", "matchings", "match_by",
                       "measure", "smallest_difference", "tuning", "seeds", "test", "convergence", "base",
                       "calibration_steps", "title", "about"});
  if (study.at("format") != 1) study.fail("\"format\" must be 1, which this version reads");
  StudyConfig config;
  constexpr Named<std::string_view> tasks[] = {
      {"translation", "translation"}, {"masked_lm", "masked_lm"}, {"causal_lm", "causal_lm"}};
  config.task = study.named("task", study.at("task"), tasks);
  config.program = study.text_or("program", config.task);
  if (study.has("launcher")) config.launcher = study.words("launcher");
  config.flags = study.flags("flags");
  config.arms = detail::study_arms(study, path);
  config.control = study.text("control");
  std::vector<std::string_view> names;
  for (const auto& arm : config.arms) names.push_back(arm.name);
  if (std::find(names.begin(), names.end(), config.control) == names.end())
    study.fail("\"control\" must be one of the arms, not " + quoted_with_nearest(config.control, names));
  if (study.has("matchings")) {
    const auto& list = study.at("matchings");
    if (!list.is_array() || list.empty()) study.fail("\"matchings\" must be a list of words");
    config.matchings.clear();
    for (const auto& word : list) {
      const auto matching = study.named("matchings", word, named_matchings);
      if (config.matches(matching)) study.fail("\"matchings\" has " + in_quotes(name_of(matching)) + " twice");
      config.matchings.push_back(matching);
    }
  }
  config.match_by = study.flag_name("match_by", study.text_or("match_by", config.match_by));
  config.measure = study.named("measure", study.at("measure"), named_measures);
  config.smallest_difference = study.number("smallest_difference");
  config.seeds = study.seeds("seeds");
  if (config.seeds.size() < 2 || config.seeds.size() > static_cast<std::size_t>(PairedComparison::most_pairs))
    study.fail("\"seeds\" must have 2 to " + std::to_string(PairedComparison::most_pairs) + " seeds, not " +
               std::to_string(config.seeds.size()));
  detail::read_tuning(study, path, config);
  detail::require_tunable(study, config);
  detail::read_test(study, path, config);
  detail::read_more_runs(study, config);
  detail::require_evaluations(study, config);
  if (study.has("calibration_steps")) {
    const double steps = study.number("calibration_steps");
    if (!(steps >= 1 && steps <= 10000) || steps != std::floor(steps))
      study.fail("\"calibration_steps\" must be a whole number from 1 to 10000");
    config.calibration_steps = static_cast<int>(steps);
  }
  detail::read_words(study, config);
  return config;
}

NEURAL_ATTENTION_INLINE StudyConfig load_study(const std::filesystem::path& path) {
  return study_of(io::read_json(path).dump(), path);
}

NEURAL_ATTENTION_INLINE std::string study_text(const StudyConfig& study) {
  nlohmann::ordered_json json = {{"format", 1}};
  if (!study.title.empty()) json["title"] = study.title;
  if (!study.about.empty()) json["about"] = study.about;
  json["task"] = study.task;
  if (study.program != study.task) json["program"] = study.program;
  if (!study.launcher.empty()) json["launcher"] = study.launcher;
  json["flags"] = study.flags;
  json["arms"] = nlohmann::ordered_json::array();
  for (const auto& arm : study.arms) json["arms"].push_back({{"name", arm.name}, {"flags", arm.flags}});
  json["control"] = study.control;
  json["matchings"] = nlohmann::ordered_json::array();
  for (const auto matching : study.matchings) json["matchings"].push_back(name_of(matching));
  json["match_by"] = study.match_by;
  json["measure"] = name_of(study.measure);
  json["smallest_difference"] = study.smallest_difference;
  if (!study.grid.empty()) json["tuning"] = {{"flags", study.grid}, {"seeds", study.tuning_seeds}};
  json["seeds"] = study.seeds;
  if (!study.test.text.empty()) json["test"]["text"] = study.test.text;
  if (!study.test.source.empty()) json["test"] = {{"source", study.test.source}, {"reference", study.test.reference}};
  if (!study.test.flags.empty()) json["test"]["flags"] = study.test.flags;
  if (study.convergence) json["convergence"] = true;
  if (study.base) json["base"] = *study.base;
  json["calibration_steps"] = study.calibration_steps;
  return json.dump(2) + "\n";
}

NEURAL_ATTENTION_INLINE StudyConfig without_words(StudyConfig study) {
  study.title.clear();
  study.about.clear();
  return study;
}

NEURAL_ATTENTION_INLINE std::string changed_key(const StudyConfig& before, const StudyConfig& now) {
  const auto old_json = nlohmann::json::parse(study_text(without_words(before))),
             new_json = nlohmann::json::parse(study_text(without_words(now)));
  for (const auto* of : {&new_json, &old_json})
    for (const auto& [key, value] : of->items())
      if (old_json.value(key, nlohmann::json()) != new_json.value(key, nlohmann::json())) return key;
  return {};
}

}  // namespace neural_attention::study
