// JSON files, read without trust (json_parser.hpp) and written atomically. Fields come out through typed getters that
// never convert silently (nlohmann's own turn true into 1 and 2.9 into 2).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_parser.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention::io {

inline constexpr std::size_t largest_json_file = 100'000'000;  ///< bytes

/// Reads a JSON file of at most `largest` bytes. Throws FileError.
nlohmann::json read_json(const std::filesystem::path& path, std::size_t largest = largest_json_file);

namespace detail {

inline constexpr std::string_view infinity_word = "Infinity", negative_infinity_word = "-Infinity", nan_word = "NaN";

template <class Json>
bool all_finite(const Json& value) {
  if (value.is_number_float()) return std::isfinite(value.template get<double>());
  return !value.is_structured() || std::all_of(value.begin(), value.end(), [](const Json& v) { return all_finite(v); });
}

template <class Json>
void name_infinities(Json& value) {
  if (value.is_structured()) {
    for (auto& element : value) name_infinities(element);
  } else if (value.is_number_float()) {
    const auto number = value.template get<double>();
    if (std::isfinite(number)) return;
    value = std::isnan(number) ? nan_word : number > 0 ? infinity_word : negative_infinity_word;
  }
}

}  // namespace detail

/// `value` as text, on one line or indented by `indent` spaces. JSON has no numbers that are not finite: they become
/// the strings "Infinity", "-Infinity" and "NaN", which `get<double>` reads as the numbers. Throws FileError, naming
/// `path`, for strings that are not UTF-8.
template <class Json>
std::string json_text(const Json& value, const std::filesystem::path& path, int indent = -1) {
  try {
    if (detail::all_finite(value)) return value.dump(indent);
    auto named = value;
    detail::name_infinities(named);
    return named.dump(indent);
  } catch (const nlohmann::json::exception&) {
    throw FileError(path.string(), "cannot hold a string that is not UTF-8 as JSON");
  }
}

/// Writes `value` as json_text, indented by two spaces and ended by a newline, through AtomicFile. Throws FileError.
void write_json(const std::filesystem::path& path, const nlohmann::json& value);

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// The type that `get<T>` expects, in words.
template <class T>
std::string json_type_name() {
  if constexpr (std::same_as<T, bool>) {
    return "true or false";
  } else if constexpr (std::integral<T>) {
    return std::string(std::unsigned_integral<T> ? "a non-negative" : "an") + " integer of " +
           std::to_string(8 * sizeof(T)) + " bits";
  } else if constexpr (std::floating_point<T>) {
    return "a number";
  } else if constexpr (std::same_as<T, std::string>) {
    return "a string";
  } else {
    static_assert(IsVector<T>::value, "get<T> knows bool, integers, floats, std::string, and std::vector of these");
    return "a list, each element " + json_type_name<typename T::value_type>();
  }
}

/// Sets `result` if `word` is json_text's spelling of a number that is not finite; otherwise returns false.
template <std::floating_point T>
bool named_number(std::string_view word, T& result) {
  constexpr auto infinity = std::numeric_limits<T>::infinity();
  if (word != infinity_word && word != negative_infinity_word && word != nan_word) return false;
  result = word == nan_word ? std::numeric_limits<T>::quiet_NaN() : word == infinity_word ? infinity : -infinity;
  return true;
}

/// Sets `result` if `value` is exactly a T; otherwise returns false.
template <class T, class Json>
bool convert_json(const Json& value, T& result) {
  if constexpr (std::same_as<T, bool>) {
    if (!value.is_boolean()) return false;
    result = value.template get<bool>();
  } else if constexpr (std::integral<T>) {
    if (value.is_number_unsigned()) {
      const auto number = value.template get<std::uint64_t>();
      if (!std::in_range<T>(number)) return false;
      result = static_cast<T>(number);
    } else if (value.is_number_integer()) {
      const auto number = value.template get<std::int64_t>();
      if (!std::in_range<T>(number)) return false;
      result = static_cast<T>(number);
    } else {
      return false;
    }
  } else if constexpr (std::floating_point<T>) {
    if (value.is_string()) return named_number(value.template get_ref<const std::string&>(), result);
    if (!value.is_number()) return false;
    const auto number = value.template get<double>();
    if (std::isfinite(number) && std::abs(number) > static_cast<double>(std::numeric_limits<T>::max())) return false;
    result = static_cast<T>(number);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!value.is_string()) return false;
    result = value.template get<std::string>();
  } else {
    if (!value.is_array()) return false;
    result.clear();
    for (const auto& element : value) {
      typename T::value_type converted{};
      if (!convert_json(element, converted)) return false;
      result.push_back(std::move(converted));
    }
  }
  return true;
}

template <class Json>
std::string describe_json(const Json& value) {
  if (value.is_string()) return "the string " + in_quotes(value.template get_ref<const std::string&>());
  if (value.is_array()) return "a list of " + std::to_string(value.size()) + " elements";
  if (value.is_object()) return "an object";
  return value.dump();
}

}  // namespace detail

/// The field `key` of `object` as exactly a T: bool, an integer type, float, double, std::string, or a std::vector of
/// these. An integer may stand for a float, never the other way round, and so may the three strings of json_text.
/// Throws FileError, which names `path` (the file that the object came from), the key, what was expected and what is
/// there.
template <class T, class Json>
T get(const Json& object, const std::string& key, const std::filesystem::path& path) {
  if (!object.is_object()) {
    throw FileError(path.string(), "must be a JSON object with the key " + detail::in_quotes(key) + ", but is " +
                                       detail::describe_json(object));
  }
  const auto found = object.find(key);
  if (found == object.end()) throw FileError(path.string(), "lacks the key " + detail::in_quotes(key));
  T result{};
  if (!detail::convert_json(*found, result)) {
    throw FileError(path.string(), "the value of " + detail::in_quotes(key) + " must be " +
                                       detail::json_type_name<T>() + ", but is " + detail::describe_json(*found));
  }
  return result;
}

/// Like `get`, but returns `fallback` if the key is missing or null.
template <class T, class Json>
T get_or(const Json& object, const std::string& key, T fallback, const std::filesystem::path& path) {
  if (object.is_object()) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return fallback;
  }
  return get<T>(object, key, path);
}

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/json_file.hpp"
#endif
