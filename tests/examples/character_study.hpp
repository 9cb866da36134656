// A study of the program causal_lm, with models that are tiny.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace programs {

/// study.json of models of characters: an arm with `steps` steps, and one that is worse by construction, with half of
/// them. `flags` come on top.
inline nlohmann::json character_study(const std::string& data, int steps, const nlohmann::json& flags) {
  nlohmann::json study = {
      {"format", 1},
      {"task", "causal_lm"},
      {"flags", {{"data", data}, {"tokenizer", "characters"}, {"n_layer", 1}, {"n_head", 2}, {"block_size", 32}}},
      {"arms",
       {{{"name", "linear"}, {"flags", {{"max_steps", steps}}}},
        {{"name", "half"}, {"flags", {{"max_steps", steps / 2}}}}}},
      {"control", "linear"},
      {"measure", "loss"},
      {"smallest_difference", 0.02}};
  study["flags"].update(flags);
  return study;
}

}  // namespace programs
