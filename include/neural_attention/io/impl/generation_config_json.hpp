// Definitions of what io/generation_config_json.hpp declares.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/json_file.hpp"

namespace neural_attention::io {

namespace detail {

/// Settings of generate() that change results and are not supported. A value that changes nothing is accepted.
inline std::vector<UnsupportedSetting> unsupported_generation(const nlohmann::json& json, bool continues_texts) {
  using enum UnsupportedSetting::Matters;
  std::vector<UnsupportedSetting> found;
  const auto given = [&](const char* key) -> const nlohmann::json* {
    const auto at = json.find(key);
    return at == json.end() || at->is_null() ? nullptr : &*at;
  };
  const auto note = [&](UnsupportedSetting::Matters when, const char* key, const std::string& supported) {
    found.push_back({when, in_quotes(key) + " is " + describe_json(*given(key)) + "; supported is " + supported});
  };
  // Numbers that change nothing in a range, which may be a single one.
  const auto neutral = [&](UnsupportedSetting::Matters when, const char* key, const char* supported, auto&& changes) {
    const auto* const value = given(key);
    if (value && (!value->is_number() || changes(value->template get<double>()))) note(when, key, supported);
  };
  const auto not_one = [](double x) { return x != 1.0; };
  const auto positive = [](double x) { return x > 0.0; };
  const auto inside = [](double x) { return x > 0.0 && x < 1.0; };
  for (const char* key : {"encoder_repetition_penalty", "guidance_scale"}) neutral(Always, key, "1", not_one);
  neutral(Always, "encoder_no_repeat_ngram_size", "0", positive);
  neutral(Beams, "num_beam_groups", "1", [](double x) { return x > 1.0; });
  neutral(Contrastive, "penalty_alpha", "0", positive);
  neutral(Sampling, "typical_p", "1", [](double x) { return x < 1.0; });
  for (const char* key : {"epsilon_cutoff", "eta_cutoff"}) neutral(Sampling, key, "0", inside);
  for (const char* key : {"force_words_ids", "constraints", "exponential_decay_length_penalty", "forced_decoder_ids",
                          "sequence_bias", "max_time", "watermarking_config"})
    if (given(key)) note(Always, key, "null");
  if (const auto* const value = given("stop_strings"); value && !continues_texts && !value->empty())
    note(Always, "stop_strings", "null");
  if (given("top_h")) note(Sampling, "top_h", "null");
  if (given("dola_layers")) note(OneBeam, "dola_layers", "null");
  if (const auto* const value = given("token_healing"); value && *value != false)
    note(Always, "token_healing", "false");
  if (const auto* const value = given("cache_implementation"); value && *value == "quantized")
    note(Always, "cache_implementation", "one that does not round");
  return found;
}

/// Keeps `value` if the key is missing or null. A list of one token counts as the token; further tokens go to `more`,
/// once each, unless that is null. Throws FileError for a negative one, where Hugging Face warns and takes it
/// literally.
inline void read_token(const nlohmann::json& json, const char* key, int& value, const std::string& path,
                       std::vector<int>* more = nullptr) {
  const auto checked = [&](int token) {
    if (token < 0)
      throw FileError(path, in_quotes(key) + " is " + std::to_string(token) + ", and ids of tokens are not negative");
    return token;
  };
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  if (!found->is_array()) {
    value = checked(get<int>(json, key, path));
    return;
  }
  const auto tokens = get<std::vector<int>>(json, key, path);
  if (tokens.empty()) throw FileError(path, in_quotes(key) + " is an empty list");
  if (tokens.size() > 1 && !more)
    throw FileError(
        path, in_quotes(key) + " is a list of " + std::to_string(tokens.size()) + " tokens; supported is one token");
  value = checked(tokens.front());
  if (!more) return;
  more->clear();
  for (const int token : tokens)
    if (checked(token) != value && std::find(more->begin(), more->end(), token) == more->end()) more->push_back(token);
}

/// A string counts as a list of it. Keeps `value` if the key is missing or null.
inline void read_strings(const nlohmann::json& json, const char* key, std::vector<std::string>& value,
                         const std::string& path) {
  const auto found = json.find(key);
  if (found != json.end() && found->is_string())
    value.assign(1, get<std::string>(json, key, path));
  else
    value = get_or<std::vector<std::string>>(json, key, value, path);
  if (std::find(value.begin(), value.end(), "") != value.end())
    throw FileError(path, in_quotes(key) + " holds an empty string");
}

/// true, false or "never".
inline nlohmann::ordered_json in_json(EarlyStopping value) {
  const auto name = name_of(value);
  if (name == "true" || name == "false") return name == "true";
  return name;
}

/// Keeps `value` if the key is missing or null.
inline void read_early_stopping(const nlohmann::json& json, const char* key, EarlyStopping& value,
                                const std::string& path) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  for (const auto& one : named_early_stopping)
    if (nlohmann::json(in_json(one.value)) == *found) {
      value = one.value;
      return;
    }
  throw FileError(
      path, std::string(key) + " must be " + names_in_words(named_early_stopping) + ", not " + describe_json(*found));
}

/// The keys that to_json does not write itself, as text.
inline std::string other_generation_keys(nlohmann::json json) {
  GenerationConfig::knobs([&](const Knob& knob) {
    if (knob.in_file) json.erase(knob.name);
  });
  return json.empty() ? std::string() : json.dump();
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json all_generation_keys(const GenerationConfig& config) {
  nlohmann::ordered_json json;
  GenerationConfig::knobs(
      [&]<class T>(const Knob& knob, const T& value) {
        if (!knob.in_file) return;
        if constexpr (std::is_same_v<T, EarlyStopping>)
          json[knob.name] = in_json(value);
        else
          json[knob.name] = value;
      },
      config);
  if (!config.further_eos_token_ids.empty()) {
    json["eos_token_id"] = std::vector<int>{config.eos_token_id};
    for (const int token : config.further_eos_token_ids) json["eos_token_id"].push_back(token);
  }
  return json;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE GenerationConfig generation_config(const nlohmann::json& json, const std::string& path,
                                                           GenerationConfig config, bool continues_texts) {
  if (!json.is_object()) throw FileError(path, "must hold a JSON object");
  GenerationConfig::knobs(
      [&]<class T>(const Knob& knob, T& value) {
        if (!knob.in_file) return;
        if constexpr (std::is_same_v<T, EarlyStopping>) {
          detail::read_early_stopping(json, knob.name, value, path);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          detail::read_strings(json, knob.name, value, path);
        } else if constexpr (std::is_same_v<T, int>) {
          const bool several = static_cast<void*>(&value) == &config.eos_token_id;
          if (knob.token)
            detail::read_token(json, knob.name, value, path, several ? &config.further_eos_token_ids : nullptr);
          else
            value = get_or<int>(json, knob.name, value, path);
        } else {
          value = get_or<T>(json, knob.name, value, path);
        }
      },
      config);
  config.unsupported = detail::unsupported_generation(json, continues_texts);
  config.other_keys = detail::other_generation_keys(json);
  config.file = path;
  return config;
}

NEURAL_ATTENTION_INLINE void check_generation(const GenerationConfig& how, const GenerationConfig& read,
                                              int vocab_size) {
  const auto fault_of = [&](const GenerationConfig& config) {
    const auto fault = config.fault();
    return fault.empty() ? config.fault_of_tokens(vocab_size) : fault;
  };
  const auto fault = fault_of(how);
  if (!fault.empty() && !read.file.empty() && fault == fault_of(read)) throw FileError(read.file, fault);
  how.validate(vocab_size);
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json to_json(const GenerationConfig& config) {
  const auto others = parse_json(config.other_keys.empty() ? "{}" : config.other_keys, "other_keys of a config");
  nlohmann::ordered_json json;
  for (const auto& [key, value] : others.items()) json[key] = value;
  const auto all = detail::all_generation_keys(config), usual = detail::all_generation_keys({});
  for (const auto& [key, value] : all.items())
    if (key == "max_length" || value != usual.at(key)) json[key] = value;
  return json;
}

}  // namespace neural_attention::io
