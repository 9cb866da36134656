// JSON text to a value, without trust and in linear time: nesting, the number of values and repeated keys are checked
// while parsing. A fault names the file, line, column and byte.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"

namespace neural_attention::io {

inline constexpr std::size_t deepest_json_nesting = 64;
inline constexpr std::size_t most_json_values = 10'000'000;

namespace detail {

using neural_attention::in_quotes;

/// Throws the FileError for nlohmann's complaint about `text` at its byte `position` (from 1; 0: unknown).
[[noreturn]] void throw_json_fault(const std::filesystem::path& path, std::string_view text, std::size_t position,
                                   std::string_view complaint);

/// Builds a value from nlohmann's parse events (its SAX interface, by duck typing). nlohmann's own parser with a
/// callback visits all elements of a list again after each one, and its parser without a callback has no limits.
template <class Json>
class JsonBuilder {
 public:
  JsonBuilder(const std::filesystem::path& path, std::string_view text) : path_(path), text_(text) {}

  Json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  template <class Bytes>
  bool binary(Bytes&) {
    return false;  // there is none in text
  }

  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() {
    if constexpr (ordered) keys_.pop_back();
    return close();
  }
  bool end_array() { return close(); }

  bool key(std::string& key) {
    auto& object = open_.back()->template get_ref<typename Json::object_t&>();
    if constexpr (ordered) {  // looks for a key from the front
      if (!keys_.back().insert(key).second) repeated(key);
      member_ = &object.emplace_back(std::move(key), nullptr).second;
    } else {
      const auto [place, is_new] = object.try_emplace(key, nullptr);
      if (!is_new) repeated(key);
      member_ = &place->second;
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    const bool placed = std::string_view(error.what()).find("parse error") != std::string_view::npos;
    throw_json_fault(path_, text_, placed ? position : 0, error.what());  // 0: a number out of range
  }

 private:
  static constexpr bool ordered = std::same_as<Json, nlohmann::ordered_json>;

  [[noreturn]] void repeated(const std::string& key) const {
    throw FileError(path_.string(), "has the key " + in_quotes(key) + " twice in the same JSON object");
  }

  /// Puts `value` in its place in the text's structure and returns that place, which stays valid while the value around
  /// it is open.
  Json* place(Json value) {
    if (++values_ > most_json_values)
      throw FileError(path_.string(), "is JSON of more than " + std::to_string(most_json_values) + " values");
    if (open_.empty()) return &(root_ = std::move(value));
    if (!open_.back()->is_array()) return &(*member_ = std::move(value));
    auto& array = open_.back()->template get_ref<typename Json::array_t&>();
    return &array.emplace_back(std::move(value));
  }
  bool add(Json value) { return place(std::move(value)) != nullptr; }

  bool open(Json value) {
    if (open_.size() >= deepest_json_nesting)
      throw FileError(path_.string(), "is JSON nested more than " + std::to_string(deepest_json_nesting) + " deep");
    open_.push_back(place(std::move(value)));
    if constexpr (ordered)
      if (open_.back()->is_object()) keys_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::filesystem::path& path_;
  std::string_view text_;
  Json root_;
  std::vector<Json*> open_;                            // the objects and lists around the next value
  Json* member_ = nullptr;                             // of the innermost object, under the key that was read last
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects
  std::size_t values_ = 0;
};

}  // namespace detail

/// Parses `text`; `path` is for the message. The time grows with the length of the text. Throws FileError for what is
/// not JSON, is nested more than 64 deep, holds more than 10 million values, or repeats a key.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, const std::filesystem::path& path) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) throw FileError(path.string(), "is empty, not JSON");
  // nlohmann takes a zero byte for the end of the text and would ignore what follows.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos)
    detail::throw_json_fault(path, text, zero + 1, "a zero byte");
  detail::JsonBuilder<Json> builder(path, text);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/json_parser.hpp"
#endif
