// JSON files, read without trust and written atomically. A fault names the file, line, column and byte; nesting, size
// and repeated keys are checked while parsing. Fields come out through typed getters that never convert silently
// (nlohmann's own turn true into 1 and 2.9 into 2).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention::io {

inline constexpr std::size_t largest_json_file = 100'000'000;  // bytes
inline constexpr int deepest_json_nesting = 64;

namespace detail {

/// `text` in double quotes for a message: at most 80 bytes, control characters as '?', cut between UTF-8 characters.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 80;
  std::size_t length = std::min(text.size(), longest);
  if (length < text.size()) {
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0u) == 0x80u) --length;
  }
  std::string result = "\"";
  for (const char c : text.substr(0, length)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  return result + (length < text.size() ? "…\"" : "\"");
}

/// Throws the FileError for nlohmann's complaint about `text` at its byte `position` (from 1; 0: unknown).
[[noreturn]] inline void throw_json_fault(const std::filesystem::path& path, std::string_view text,
                                          std::size_t position, std::string_view complaint) {
  // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while parsing value - …"
  if (const auto end = complaint.find("] "); end != std::string_view::npos) complaint.remove_prefix(end + 2);
  if (complaint.starts_with("parse error")) {
    if (const auto end = complaint.find(": "); end != std::string_view::npos) complaint.remove_prefix(end + 2);
  }
  if (const auto end = complaint.find("; last read: "); end != std::string_view::npos) {
    complaint = complaint.substr(0, end);  // what was read may be megabytes, and need not be UTF-8
  }
  std::string reason(complaint.substr(0, 200));
  if (position == 0) throw FileError(path.string(), "is not valid JSON: " + reason);
  const auto before = text.substr(0, std::min(position - 1, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw FileError(path.string(), "is not valid JSON at line " + std::to_string(line) + ", column " +
                                     std::to_string(column) + " (byte " + std::to_string(before.size() + 1) +
                                     "): " + reason);
}

}  // namespace detail

/// Parses `text`; `path` is for the message. Throws FileError for what is not JSON, is nested more than 64 deep, or
/// repeats a key.
inline nlohmann::json parse_json(std::string_view text, const std::filesystem::path& path) {
  using nlohmann::json;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) throw FileError(path.string(), "is empty, not JSON");
  // nlohmann takes a zero byte for the end of the text and would ignore what follows.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
    detail::throw_json_fault(path, text, zero + 1, "a zero byte");
  }
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= deepest_json_nesting) {
          throw FileError(path.string(), "is JSON nested more than " + std::to_string(deepest_json_nesting) + " deep");
        }
        if (event == json::parse_event_t::object_start) keys.emplace_back();
        break;
      case json::parse_event_t::object_end:
        keys.pop_back();
        break;
      case json::parse_event_t::key:
        if (!keys.back().insert(parsed.get<std::string>()).second) {
          throw FileError(path.string(), "has the key " + detail::in_quotes(parsed.get<std::string>()) +
                                             " twice in the same JSON object");
        }
        break;
      default:
        break;
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::parse_error& error) {
    detail::throw_json_fault(path, text, error.byte, error.what());
  } catch (const json::exception& error) {  // a number out of range
    detail::throw_json_fault(path, text, 0, error.what());
  }
}

/// Reads a JSON file of at most `largest` bytes. Throws FileError.
inline nlohmann::json read_json(const std::filesystem::path& path, std::size_t largest = largest_json_file) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() > largest) {
    throw FileError(path.string(), "has " + std::to_string(bytes.size()) +
                                       " bytes, too many for a JSON file (at most " + std::to_string(largest) + ")");
  }
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

/// Writes `value`, indented by two spaces and ended by a newline, through AtomicFile. A number that is not finite
/// becomes null: JSON has no other word for it. Throws FileError, also for strings that are not UTF-8.
inline void write_json(const std::filesystem::path& path, const nlohmann::json& value) {
  std::string text;
  try {
    text = value.dump(2);
  } catch (const nlohmann::json::exception&) {
    throw FileError(path.string(), "cannot hold a string that is not UTF-8 as JSON");
  }
  write_file_atomically(path, text + '\n');
}

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// What `get<T>` asks for, in words.
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

/// Sets `result` where `value` is exactly a T; false otherwise.
template <class T>
bool convert_json(const nlohmann::json& value, T& result) {
  if constexpr (std::same_as<T, bool>) {
    if (!value.is_boolean()) return false;
    result = value.get<bool>();
  } else if constexpr (std::integral<T>) {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (!std::in_range<T>(number)) return false;
      result = static_cast<T>(number);
    } else if (value.is_number_integer()) {
      const auto number = value.get<std::int64_t>();
      if (!std::in_range<T>(number)) return false;
      result = static_cast<T>(number);
    } else {
      return false;
    }
  } else if constexpr (std::floating_point<T>) {
    if (!value.is_number()) return false;
    const auto number = value.get<double>();
    if (std::abs(number) > static_cast<double>(std::numeric_limits<T>::max())) return false;
    result = static_cast<T>(number);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!value.is_string()) return false;
    result = value.get<std::string>();
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

inline std::string describe_json(const nlohmann::json& value) {
  if (value.is_string()) return "the string " + in_quotes(value.get_ref<const std::string&>());
  if (value.is_array()) return "a list of " + std::to_string(value.size()) + " elements";
  if (value.is_object()) return "an object";
  return value.dump();
}

}  // namespace detail

/// The field `key` of `object` as exactly a T: bool, an integer type, float, double, std::string, or a std::vector of
/// these. An integer may stand for a float, never the other way round. Throws FileError, which names `path` (the file
/// that the object came from), the key, what was expected and what is there.
template <class T>
T get(const nlohmann::json& object, const std::string& key, const std::filesystem::path& path) {
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

/// As `get`, with `fallback` where the key is missing or null.
template <class T>
T get_or(const nlohmann::json& object, const std::string& key, T fallback, const std::filesystem::path& path) {
  if (object.is_object()) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return fallback;
  }
  return get<T>(object, key, path);
}

}  // namespace neural_attention::io
