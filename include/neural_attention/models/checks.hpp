// Checks of configs and batches that all models share, with messages that name the value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/hidden_width.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/nn/roles.hpp"

/// Knobs of several models' configs.
namespace neural_attention::model_knobs {

inline constexpr Knob normalize_before =
    Knob("normalize_before", "Pre-norm: LayerNorm before each sublayer, and one more after the last layer")
        .flag("Model")
        .shapes_weights();
inline constexpr Knob gradient_checkpointing =
    Knob("gradient_checkpointing", "Recompute each layer in the backward pass: less memory, about a third more time")
        .flag_alone("Model");

}  // namespace neural_attention::model_knobs

namespace neural_attention::checks {

/// Limits the number of layers, because each takes memory on the host, too.
inline constexpr Interval layers = from_to(1, 4096);
/// Of dropout.
inline constexpr Interval rate = from_below(0, 1);

/// Throws ConfigError if a token is not in the vocabulary.
inline void token(const char* name, int id, int vocabulary) {
  if (id < 0 || id >= vocabulary)
    throw ConfigError(std::string(name) + " is " + std::to_string(id) + ", outside the vocabulary of " +
                      std::to_string(vocabulary));
}

/// Throws ConfigError naming the first value of a model's config that is out of its range, or a token that is not in
/// the vocabulary.
template <class Config>
void knobs(const Config& config) {
  require_ranges(config);
  Config::knobs(
      [&]<class T>(const Knob& knob, const T& value) {
        if constexpr (std::is_same_v<T, int>)
          if (knob.token && knob.null != value) token(knob.name, value, config.vocab_size);
      },
      config);
}

/// Throws ConfigError if the hidden width of a projector of width `d` is not positive or is too large.
void hidden_widths(const auto& config, int d) {
  for_each_named_projector(
      [&](const std::string&, auto projector) {
        projector.d_in = d;
        if (projector.hidden.kind() != HiddenWidth::Kind::Matched) projector.hidden_columns();
      },
      config);
}

/// Throws ConfigError if the projector of a single layer belongs to no attention of the model, or is the second one
/// there.
void layer_projectors(const auto& config) {
  const auto places = config.attention_places();
  const auto& all = config.layer_projectors;
  for (auto one = all.begin(); one != all.end(); ++one) {
    const auto text = "the projector for the " + one->role + " of " + attention_text(one->place, one->layer);
    bool role_known = false, place_known = false;
    std::string known;
    for_each_role([&](const char* role, int) { role_known = role_known || one->role == role; }, Roles<int>());
    for (const auto& place : places) {
      place_known = place_known || (one->place == place.name && one->layer >= 0 && one->layer < place.layers);
      known +=
          (known.empty() ? "" : ", ") + std::string(place.name) + " layers 0 to " + std::to_string(place.layers - 1);
    }
    if (!role_known) throw ConfigError(text + " has no such role: it is query, key, value or output");
    if (!place_known) throw ConfigError(text + " has no such layer: the model has " + known);
    if (std::any_of(all.begin(), one, [&](const auto& other) {
          return other.place == one->place && other.layer == one->layer && other.role == one->role;
        }))
      throw ConfigError(text + " is there twice");
  }
}

/// Throws ConfigError for a value residual in a model none of whose stacks has a second layer, and for factors without
/// a value residual. `stacks` holds how many layers each stack has.
inline void value_residual(const AttentionOptions& options, std::initializer_list<int> stacks) {
  if (options.value_residual != ValueResidualKind::None) {
    if (std::max(stacks) < 2)
      throw ConfigError("value_residual is " + std::string(name_of(options.value_residual)) +
                        ", but the model has no second layer that could take the values of the first");
    return;
  }
  const AttentionOptions usual;
  const auto refuse_other = [](const char* name, double value, double expected) {
    if (value != expected)
      throw ConfigError(std::string(name) + " is " + number_text(value) +
                        ", but value_residual is none, so nothing is multiplied by it");
  };
  refuse_other("value_residual_own", options.value_residual_own, usual.value_residual_own);
  refuse_other("value_residual_first", options.value_residual_first, usual.value_residual_first);
}

/// Throws ConfigError if the heads cannot divide the width of attention, or of its values. `name` is the key that
/// says how many heads there are.
inline void heads(std::string_view name, int d, int count, const AttentionOptions& options = {}) {
  const auto divide = [&](const char* what, int width) {
    if (count <= 0 || width % count != 0)
      throw ConfigError(std::string(what) + " of " + std::to_string(width) + " cannot be split into " +
                        std::to_string(count) + " attention heads (" + std::string(name) + ")");
  };
  divide("a width", d);
  divide("an attention_value_width", options.value_width);
}

/// Throws ShapeError if an id of a batch is not in the vocabulary.
inline void ids(const char* what, std::span<const int> ids, int vocabulary) {
  for (const int id : ids)
    if (id < 0 || id >= vocabulary)
      throw ShapeError(std::string("a ") + what + " token has the id " + std::to_string(id) +
                       ", but the model's vocabulary has " + std::to_string(vocabulary) + " entries");
}

/// Throws ShapeError unless each `owner` of a batch has one `what`: each token a label, for example.
inline void one_each(const char* what, std::ptrdiff_t count, const char* owner, std::ptrdiff_t owners) {
  if (count != owners)
    throw ShapeError("a batch has " + std::to_string(count) + " " + what + "s for " + std::to_string(owners) + " " +
                     owner + "s: each " + owner + " needs one");
}

/// Throws ShapeError if a token's row of a table, `what`, is not one of `rows`.
inline void in_table(const char* what, std::span<const int> values, int rows) {
  for (const int value : values)
    if (value < 0 || value >= rows)
      throw ShapeError(std::string("a token has the ") + what + " " + std::to_string(value) +
                       ", but the model's table of them has " + std::to_string(rows) + " rows");
}

/// Throws ShapeError unless the masked rows of a batch of `tokens` tokens are among them and rise, so that none is
/// there twice.
inline void masked_rows(std::span<const int> rows, int tokens) {
  int before = -1;
  for (const int row : rows) {
    if (row < 0 || row >= tokens)
      throw ShapeError("row " + std::to_string(row) + " of a batch is masked, but the batch has " +
                       std::to_string(tokens) + " tokens");
    if (row <= before)
      throw ShapeError("row " + std::to_string(row) + " of a batch is masked after row " + std::to_string(before) +
                       ", but masked rows must rise");
    before = row;
  }
}

/// Throws ShapeError if a sequence of a batch has more tokens than the model has positions.
inline void length(const char* what, int tokens, int positions) {
  if (tokens > positions)
    throw ShapeError(std::string("a ") + what + " of " + std::to_string(tokens) +
                     " tokens is longer than the model's " + std::to_string(positions) + " positions");
}

/// Throws ShapeError if sequences of token ids do not fit a model with this many words and positions. `side` and
/// `sequence` name them in messages.
inline void tokens(const PackedTokens& tokens, int vocabulary, int positions, const char* side, const char* sequence) {
  length(sequence, tokens.offsets().longest(), positions);
  ids(side, tokens.ids(), vocabulary);
}

}  // namespace neural_attention::checks
