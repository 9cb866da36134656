// Definitions of what study/study_plan.hpp declares: plan.json.
#pragma once

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/study/study_plan.hpp"

namespace neural_attention::study {

namespace detail {

inline std::map<std::string, std::string> strings_of(const nlohmann::json& object, const std::string& key,
                                                     const std::filesystem::path& path) {
  std::map<std::string, std::string> result;
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_object())
    throw FileError(path.string(), "lacks the object " + in_quotes(key));
  for (const auto& [name, value] : object.at(key).items())
    result[name] = io::get<std::string>(object.at(key), name, path);
  return result;
}

inline const nlohmann::json& list_of(const nlohmann::json& object, const char* key, const std::filesystem::path& path) {
  if (!object.contains(key) || !object.at(key).is_array())
    throw FileError(path.string(), "lacks the list " + in_quotes(key));
  return object.at(key);
}

}  // namespace detail

NEURAL_ATTENTION_INLINE std::string plan_text(const StudyPlan& plan) {
  nlohmann::ordered_json json = {{"format", 1},
                                 {"study", nlohmann::ordered_json::parse(study_text(without_words(plan.study)))},
                                 {"machine", plan.machine},
                                 {"version", plan.version},
                                 {"program", plan.program},
                                 {"data", plan.data}};
  if (!plan.file.empty()) json["file"] = plan.file;
  json["arms"] = json["comparisons"] = nlohmann::ordered_json::array();
  for (const auto& arm : plan.arms)
    json["arms"].push_back({{"name", arm.name},
                            {"flags", arm.flags},
                            {"parameters", arm.size.parameters},
                            {"forward_flops_per_token", arm.size.flops},
                            {"seconds_per_step", arm.time.step},
                            {"seconds_outside_steps", arm.time.outside}});
  for (const auto& one : plan.comparisons)
    json["comparisons"].push_back({{"arm", one.arm},
                                   {"control", one.control},
                                   {"matching", name_of(one.matching)},
                                   {"unmatched", one.unmatched}});  // null if it is not known
  return json.dump(2) + "\n";
}

NEURAL_ATTENTION_INLINE StudyPlan load_plan(const std::filesystem::path& path) {
  const auto json = io::read_json(path);
  if (!json.is_object() || !json.contains("study") || !json.contains("format") || json.at("format") != 1)
    throw FileError(path.string(), "is not the plan of a study that this version reads");
  StudyPlan plan;
  plan.study = study_of(json.at("study").dump(), path);
  if (json.contains("file")) plan.file = io::get<std::string>(json, "file", path);
  plan.machine = io::get<std::string>(json, "machine", path);
  plan.version = io::get<std::string>(json, "version", path);
  plan.program = io::get<std::string>(json, "program", path);
  plan.data = detail::strings_of(json, "data", path);
  for (const auto& arm : detail::list_of(json, "arms", path))
    plan.arms.push_back(
        {io::get<std::string>(arm, "name", path),
         detail::strings_of(arm, "flags", path),
         {io::get<std::int64_t>(arm, "parameters", path), io::get<std::int64_t>(arm, "forward_flops_per_token", path)},
         {io::get<double>(arm, "seconds_per_step", path), io::get<double>(arm, "seconds_outside_steps", path)}});
  for (const auto& one : detail::list_of(json, "comparisons", path)) {
    const auto word = io::get<std::string>(one, "matching", path);
    PlannedComparison comparison{io::get<std::string>(one, "arm", path), io::get<std::string>(one, "control", path)};
    bool known = false;
    for (const auto& [name, matching] : named_matchings)
      if (word == name) comparison.matching = matching, known = true;
    if (!known) throw FileError(path.string(), "has a comparison with the matching " + in_quotes(word));
    const bool known_unmatched = !one.contains("unmatched") || !one.at("unmatched").is_null();
    comparison.unmatched =
        known_unmatched ? io::get<double>(one, "unmatched", path) : std::numeric_limits<double>::quiet_NaN();
    for (const auto* const name : {&comparison.arm, &comparison.control}) {
      bool there = false;
      for (const auto& arm : plan.arms) there = there || arm.name == *name;
      if (!there) throw FileError(path.string(), "compares " + in_quotes(*name) + ", which is no arm of it");
    }
    plan.comparisons.push_back(std::move(comparison));
  }
  return plan;
}

}  // namespace neural_attention::study
