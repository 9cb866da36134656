// From the flags of a search to its settings: flags override the model directory's generation_config.json.
#pragma once

#include <string>
#include <string_view>

#include "common/flags.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/decode/generation_config.hpp"

namespace examples {

/// Limits results, which take memory for every text.
inline constexpr int most_results = 10'000;

/// `of_directory` with the values of the flags. Throws ConfigError for flags that the search does not use: those of
/// sampling without --do_sample, those of beams with one beam, and one of two limits.
inline na::GenerationConfig search_config(const Given<na::GenerationConfig>& flags,
                                          const na::GenerationConfig& of_directory) {
  auto how = of_directory;
  flags.apply(how);
  if (flags.has("max_length") && !flags.has("max_new_tokens")) how.max_new_tokens = 0;
  if (flags.has("min_length") && !flags.has("min_new_tokens")) how.min_new_tokens = 0;
  if (how.do_sample && flags.has("do_sample") && !flags.has("num_beams")) how.num_beams = 1;
  na::GenerationConfig::knobs([&](const na::Knob& knob) {
    if (!how.do_sample && knob.group == na::GenerationConfig::sampling && knob.name != std::string_view("do_sample") &&
        flags.has(knob.name))
      throw na::ConfigError("--" + std::string(knob.name) + " says how to draw tokens; give --do_sample as well");
  });
  for (const std::string name : {"length_penalty", "early_stopping"})
    if (how.num_beams == 1 && flags.has(name))
      throw na::ConfigError("--" + name + " is for searches with beams; give --num_beams above 1 as well");
  for (const std::string limit : {"max", "min"})
    if (flags.has(limit + "_length") && flags.has(limit + "_new_tokens"))
      throw na::ConfigError("--" + limit + "_new_tokens takes the place of --" + limit +
                            "_length; give one of the two");
  return how;
}

}  // namespace examples
