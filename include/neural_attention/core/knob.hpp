// Knob: what there is to say of one setting of a config. A config lists its settings in one place,
//   static void knobs(auto&& use, auto&... configs) {
//     use(Knob("dropout", "Rate of dropout", from_below(0, 1)), configs.dropout...);
//     …
//   }
// and from the list follow checks, the keys of JSON files, the flags of programs with their help, what checkpoints
// keep, and the reference page. `configs` are any number of configs whose members are walked side by side, also none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/interval.hpp"
#include "neural_attention/core/named.hpp"

namespace neural_attention {

struct Knob {
  const char* name;              ///< the key in files and, after --, the flag
  const char* help;              ///< without the names of an enumeration: see help_of
  Interval range;                ///< of a number: what makes sense
  const char* group = nullptr;   ///< of the flags in --help; null: programs have no flag for it
  bool in_file = true;           ///< a key of the config's JSON file
  bool own = false;              ///< one that Hugging Face does not know
  bool optional = false;         ///< files have the key only if the value is not the usual one
  bool token = false;            ///< the id of a token
  bool size = false;             ///< a model with weights keeps it
  bool defines_the_run = false;  ///< a training run is resumed with the same value
  std::optional<int> null = {};  ///< the value that files write as null, if they may

  constexpr Knob(const char* key, const char* what_it_does, Interval sensible = {})
      : name(key), help(what_it_does), range(sensible) {}

  constexpr Knob flag(const char* in_group) const {
    auto knob = *this;
    knob.group = in_group;
    return knob;
  }
  constexpr Knob flag_alone(const char* in_group) const {
    auto knob = flag(in_group);
    knob.in_file = false;
    return knob;
  }
  constexpr Knob not_of_hugging_face() const {
    auto knob = *this;
    knob.own = true;
    return knob;
  }
  constexpr Knob left_out_if_usual() const {
    auto knob = *this;
    knob.optional = true;
    return knob;
  }
  constexpr Knob shapes_weights() const {
    auto knob = *this;
    knob.size = true;
    return knob;
  }
  constexpr Knob null_means(int value) const {
    auto knob = *this;
    knob.null = value;
    return knob;
  }
  constexpr Knob kept() const {
    auto knob = *this;
    knob.defines_the_run = true;
    return knob;
  }
};

/// The id of a token; a config checks that it is in the vocabulary.
constexpr Knob token_knob(const char* name, const char* help) {
  Knob knob(name, help);
  knob.token = true;
  return knob;
}

/// The knob of `Config` called `name`. Throws ConfigError if there is none.
template <class Config>
Knob knob_named(std::string_view name) {
  std::optional<Knob> found;
  Config::knobs([&](const Knob& knob) {
    if (knob.name == name) found = knob;
  });
  if (!found) throw ConfigError("there is no setting called " + std::string(name));
  return *found;
}

/// What a knob of type T does, with the names of its values if these are words: "The norm (pre or post)".
template <class T>
std::string help_of(const Knob& knob) {
  if constexpr (HasNames<T>)
    return std::string(knob.help) + " (" + names_in_words(names_of(T())) + ")";
  else
    return knob.help;
}

/// A number that `knob.range` is for.
template <class T>
inline constexpr bool is_number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

/// What is wrong with a value, in a sentence; empty if it is valid.
template <class T>
std::string fault_of(const Knob& knob, const T& value) {
  if constexpr (is_number<T>) {
    const auto number = static_cast<double>(value);
    if (knob.range.contains(number)) return {};
    const auto text = [&] {
      if constexpr (std::is_integral_v<T>)
        return std::to_string(value);
      else
        return number_text(value);
    };
    return std::string(knob.name) + " must be " + knob.range.words_against(number) + ", not " + text();
  } else {
    return {};
  }
}

/// Throws ConfigError, which names the first value of `config` that is out of its range.
template <class Config>
void require_ranges(const Config& config) {
  Config::knobs(
      [](const Knob& knob, const auto& value) {
        if (const auto fault = fault_of(knob, value); !fault.empty()) throw ConfigError(fault);
      },
      config);
}

}  // namespace neural_attention
