// GenerationConfig to and from Hugging Face's generation_config.json, or from the generation keys that older models
// keep in config.json.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/io/json_file.hpp"

namespace neural_attention::io {

namespace detail {

/// Settings of generate() that change results and are not supported. What a value leaves as it is does not count.
inline std::vector<UnsupportedSetting> unsupported_generation(const nlohmann::json& json) {
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
  for (const char* key : {"repetition_penalty", "encoder_repetition_penalty", "guidance_scale"})
    neutral(Always, key, "1", not_one);
  neutral(Always, "encoder_no_repeat_ngram_size", "0", positive);
  neutral(Beams, "num_beam_groups", "1", [](double x) { return x > 1.0; });
  neutral(Contrastive, "penalty_alpha", "0", positive);
  neutral(Sampling, "typical_p", "1", [](double x) { return x < 1.0; });
  for (const char* key : {"epsilon_cutoff", "eta_cutoff"}) neutral(Sampling, key, "0", inside);
  for (const char* key : {"force_words_ids", "constraints", "exponential_decay_length_penalty", "forced_decoder_ids",
                          "sequence_bias", "max_time", "stop_strings", "watermarking_config"})
    if (given(key)) note(Always, key, "null");
  if (given("top_h")) note(Sampling, "top_h", "null");
  if (given("dola_layers")) note(OneBeam, "dola_layers", "null");
  if (const auto* const value = given("token_healing"); value && *value != false)
    note(Always, "token_healing", "false");
  if (const auto* const value = given("cache_implementation"); value && *value == "quantized")
    note(Always, "cache_implementation", "one that does not round");
  return found;
}

/// Keeps `value` where the key is missing or null. A list of one token is as good as the token; further tokens go to
/// `more`, once each, where that is not null.
inline void read_token(const nlohmann::json& json, const char* key, int& value, const std::string& path,
                       std::vector<int>* more = nullptr) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) {
    value = get_or<int>(json, key, value, path);
    return;
  }
  const auto tokens = get<std::vector<int>>(json, key, path);
  if (tokens.empty()) throw FileError(path, in_quotes(key) + " is an empty list");
  if (tokens.size() > 1 && !more)
    throw FileError(
        path, in_quotes(key) + " is a list of " + std::to_string(tokens.size()) + " tokens; supported is one token");
  value = tokens.front();
  if (!more) return;
  more->clear();
  for (const int token : tokens)
    if (token != value && std::find(more->begin(), more->end(), token) == more->end()) more->push_back(token);
}

/// Keeps `value` where the key is missing or null. "New" tokens are those behind the start token.
inline void read_new_tokens(const nlohmann::json& json, const char* key, int& value, const std::string& path) {
  const int tokens = get_or<int>(json, key, -1, path);
  if (tokens >= 0) value = std::min(tokens, std::numeric_limits<int>::max() - 1) + 1;
}

/// What to_json does not write itself, as text.
inline std::string other_generation_keys(nlohmann::json json) {
  for (const char* key : {"num_beams",
                          "num_return_sequences",
                          "max_length",
                          "max_new_tokens",
                          "min_length",
                          "min_new_tokens",
                          "length_penalty",
                          "no_repeat_ngram_size",
                          "renormalize_logits",
                          "decoder_start_token_id",
                          "eos_token_id",
                          "pad_token_id",
                          "forced_bos_token_id",
                          "forced_eos_token_id",
                          "do_sample",
                          "temperature",
                          "top_k",
                          "top_p",
                          "min_p",
                          "early_stopping",
                          "bad_words_ids",
                          "suppress_tokens",
                          "begin_suppress_tokens"})
    json.erase(key);
  return json.empty() ? std::string() : json.dump();
}

}  // namespace detail

/// Reads a file's content; `path` names it in errors. Keys that it lacks or that are null keep the value of `config`:
/// by default Hugging Face's, except max_length, which is 21 there. Throws FileError for a value of the wrong type.
/// Whether the values make sense and are supported depends on what else is set: GenerationConfig::fault() tells.
inline GenerationConfig generation_config(const nlohmann::json& json, const std::string& path,
                                          GenerationConfig config = {}) {
  if (!json.is_object()) throw FileError(path, "must hold a JSON object");
  const auto read = [&]<class T>(const char* key, T& value) { value = get_or<T>(json, key, value, path); };
  read("num_beams", config.num_beams);
  read("num_return_sequences", config.num_return_sequences);
  read("max_length", config.max_length);
  detail::read_new_tokens(json, "max_new_tokens", config.max_length, path);
  read("min_length", config.min_length);
  detail::read_new_tokens(json, "min_new_tokens", config.min_length, path);
  read("length_penalty", config.length_penalty);
  read("no_repeat_ngram_size", config.no_repeat_ngram_size);
  read("renormalize_logits", config.renormalize_logits);
  detail::read_token(json, "decoder_start_token_id", config.decoder_start_token_id, path);
  detail::read_token(json, "eos_token_id", config.eos_token_id, path, &config.further_eos_token_ids);
  detail::read_token(json, "pad_token_id", config.pad_token_id, path);
  detail::read_token(json, "forced_bos_token_id", config.forced_bos_token_id, path);
  detail::read_token(json, "forced_eos_token_id", config.forced_eos_token_id, path);
  read("do_sample", config.do_sample);
  read("temperature", config.temperature);
  read("top_k", config.top_k);
  read("top_p", config.top_p);
  read("min_p", config.min_p);

  if (const auto found = json.find("early_stopping"); found != json.end() && !found->is_null()) {
    if (found->is_boolean())
      config.early_stopping = found->get<bool>() ? EarlyStopping::Always : EarlyStopping::Heuristic;
    else if (found->is_string() && found->get<std::string>() == "never")
      config.early_stopping = EarlyStopping::Never;
    else
      throw FileError(path, "early_stopping must be true, false or \"never\"");
  }
  read("bad_words_ids", config.bad_words_ids);
  read("suppress_tokens", config.suppress_tokens);
  read("begin_suppress_tokens", config.begin_suppress_tokens);
  config.unsupported = detail::unsupported_generation(json);
  config.other_keys = detail::other_generation_keys(json);
  config.file = path;
  return config;
}

/// Throws where the settings cannot be searched with: FileError where `read`, as the file has them, is at fault in the
/// same way, else ConfigError.
inline void check_generation(const GenerationConfig& how, const GenerationConfig& read) {
  const auto fault = how.fault();
  if (!fault.empty() && !read.file.empty() && fault == read.fault()) throw FileError(read.file, fault);
  how.validate();
}

/// What differs from Hugging Face's defaults, and the keys that every Marian model has.
inline nlohmann::ordered_json to_json(const GenerationConfig& config) {
  const auto others = parse_json(config.other_keys.empty() ? "{}" : config.other_keys, "other_keys of a config");
  nlohmann::ordered_json json;
  for (const auto& [key, value] : others.items()) json[key] = value;
  const GenerationConfig usual;
  const auto write = [&](const char* key, const auto& value, const auto& without) {
    if (value != without) json[key] = value;
  };
  write("num_beams", config.num_beams, usual.num_beams);
  write("num_return_sequences", config.num_return_sequences, usual.num_return_sequences);
  json["max_length"] = config.max_length;
  write("min_length", config.min_length, usual.min_length);
  write("length_penalty", config.length_penalty, usual.length_penalty);
  if (config.early_stopping == EarlyStopping::Always) json["early_stopping"] = true;
  if (config.early_stopping == EarlyStopping::Never) json["early_stopping"] = "never";
  write("no_repeat_ngram_size", config.no_repeat_ngram_size, usual.no_repeat_ngram_size);
  write("bad_words_ids", config.bad_words_ids, usual.bad_words_ids);
  write("suppress_tokens", config.suppress_tokens, usual.suppress_tokens);
  write("begin_suppress_tokens", config.begin_suppress_tokens, usual.begin_suppress_tokens);
  write("renormalize_logits", config.renormalize_logits, usual.renormalize_logits);
  write("decoder_start_token_id", config.decoder_start_token_id, usual.decoder_start_token_id);
  write("eos_token_id", config.eos_token_id, usual.eos_token_id);
  if (!config.further_eos_token_ids.empty()) {
    json["eos_token_id"] = std::vector<int>{config.eos_token_id};
    for (const int token : config.further_eos_token_ids) json["eos_token_id"].push_back(token);
  }
  write("pad_token_id", config.pad_token_id, usual.pad_token_id);
  write("forced_bos_token_id", config.forced_bos_token_id, usual.forced_bos_token_id);
  write("forced_eos_token_id", config.forced_eos_token_id, usual.forced_eos_token_id);
  write("do_sample", config.do_sample, usual.do_sample);
  write("temperature", config.temperature, usual.temperature);
  write("top_k", config.top_k, usual.top_k);
  write("top_p", config.top_p, usual.top_p);
  write("min_p", config.min_p, usual.min_p);
  return json;
}

}  // namespace neural_attention::io
