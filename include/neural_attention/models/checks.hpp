// What all models check in their configs and batches, with messages that name the value.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention::checks {

/// Throws ConfigError where a size is not above 0.
inline void positive(std::string_view name, int size) {
  if (size <= 0) throw ConfigError(std::string(name) + " must be positive, not " + std::to_string(size));
}

/// Throws ConfigError where there are no layers or more than anyone trains: each takes memory on the host, too.
inline void layers(std::string_view name, int count) {
  constexpr int most = 4096;
  positive(name, count);
  if (count > most)
    throw ConfigError(std::string(name) + " must be at most " + std::to_string(most) + ", not " +
                      std::to_string(count));
}

/// Throws ConfigError where an integer of a config, other than the id of a token, is not above 0, or there are too many
/// layers.
template <class Config>
void sizes(const Config& config) {
  Config::visit(config, [](std::string_view name, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const int&>) {
      if (name.ends_with("_layers"))
        layers(name, value);
      else if (!name.ends_with("_token_id"))
        positive(name, value);
    }
  });
}

/// Throws ConfigError where a token is not in the vocabulary.
inline void token(const char* name, int id, int vocabulary) {
  if (id < 0 || id >= vocabulary)
    throw ConfigError(std::string(name) + " is " + std::to_string(id) + ", outside the vocabulary of " +
                      std::to_string(vocabulary));
}

/// Throws ConfigError where the hidden width of a projector of width `d` is none or too large.
void expansions(const auto& config, int d) {
  for_each_role(
      [&](const char*, auto projector) {
        projector.d_in = d;
        projector.hidden();
      },
      config);
}

/// Throws ConfigError where attention cannot split its width.
inline void heads(std::string_view name, int d, int count) {
  if (count <= 0 || d % count != 0)
    throw ConfigError("a width of " + std::to_string(d) + " cannot be split into " + std::to_string(count) +
                      " attention heads (" + std::string(name) + ")");
}

/// Throws ShapeError where an id of a batch is not in the vocabulary.
inline void ids(const char* what, std::span<const int> ids, int vocabulary) {
  for (const int id : ids)
    if (id < 0 || id >= vocabulary)
      throw ShapeError(std::string("a ") + what + " token has the id " + std::to_string(id) +
                       ", but the model's vocabulary has " + std::to_string(vocabulary) + " entries");
}

/// Throws ShapeError where a sequence of a batch has more tokens than the model has positions.
inline void length(const char* what, int tokens, int positions) {
  if (tokens > positions)
    throw ShapeError(std::string("a ") + what + " of " + std::to_string(tokens) +
                     " tokens is longer than the model's " + std::to_string(positions) + " positions");
}

/// Throws ConfigError where a dropout rate of a config is outside [0, 1), or another real number negative or not
/// finite.
template <class Config>
void rates(const Config& config) {
  Config::visit(config, [](std::string_view name, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const double&>) {
      const bool rate = name.find("dropout") != std::string_view::npos;
      if (!(value >= 0.0 && (rate ? value < 1.0 : std::isfinite(value))))
        throw ConfigError(std::string(name) + " must be " + (rate ? "in [0, 1)" : "finite and not negative") +
                          ", not " + number_text(value));
    }
  });
}

}  // namespace neural_attention::checks
