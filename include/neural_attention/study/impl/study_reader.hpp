// Reads the values of a study's JSON file.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/core/nearest_name.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/study/flag_set.hpp"

namespace neural_attention::study::detail {

/// Reads one object of the file; every fault names the key.
class StudyReader {
 public:
  StudyReader(const nlohmann::json& object, std::string place, const std::filesystem::path& path)
      : object_(object), place_(std::move(place)), path_(path) {
    if (!object_.is_object()) fail(place_.empty() ? "must be a JSON object" : in_quotes(place_) + " must be an object");
  }

  [[noreturn]] void fail(const std::string& what) const { throw FileError(path_.string(), what); }
  std::string name(const std::string& key) const { return in_quotes(place_.empty() ? key : place_ + "." + key); }
  bool has(const std::string& key) const { return object_.contains(key); }
  const nlohmann::json& at(const std::string& key) const {
    if (!has(key)) fail("lacks the key " + name(key));
    return object_.at(key);
  }

  void require_known(std::vector<std::string_view> known) const {
    for (const auto& [key, value] : object_.items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        fail("there is no key " + (place_.empty() ? "" : in_quotes(place_) + " > ") + quoted_with_nearest(key, known));
  }

  std::string text(const std::string& key) const {
    const auto& value = at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      fail(name(key) + " must be a string that is not empty, but is " + io::detail::describe_json(value));
    return value.get<std::string>();
  }
  std::string text_or(const std::string& key, std::string usual) const {
    return has(key) ? text(key) : std::move(usual);
  }

  std::vector<std::string> words(const std::string& key) const {
    std::vector<std::string> result;
    const auto& value = at(key);
    if (!io::detail::convert_json(value, result) || result.empty() ||
        std::find(result.begin(), result.end(), "") != result.end())
      fail(name(key) + " must be a list of words, but is " + io::detail::describe_json(value));
    return result;
  }

  bool truth(const std::string& key) const {
    const auto& value = at(key);
    if (!value.is_boolean()) fail(name(key) + " must be true or false, but is " + io::detail::describe_json(value));
    return value.get<bool>();
  }

  double number(const std::string& key) const {
    const auto& value = at(key);
    double result = 0;
    if (!io::detail::convert_json(value, result) || !std::isfinite(result) || result < 0)
      fail(name(key) + " must be a number of at least 0, but is " + io::detail::describe_json(value));
    return result;
  }

  /// The value of a flag as on the command line.
  std::string flag_value(const std::string& of, const nlohmann::json& value) const {
    if (value.is_string() && !value.get_ref<const std::string&>().empty()) return value.get<std::string>();
    if (value.is_number() || value.is_boolean()) return value.dump();
    fail(of + " must be a string that is not empty, a number, true or false, but is " +
         io::detail::describe_json(value));
  }
  std::string flag_name(const std::string& key, std::string flag) const {
    std::replace(flag.begin(), flag.end(), '-', '_');
    if (flag.empty() || flag.starts_with('_') || flag.find_first_of(" =\n\t") != std::string::npos)
      fail(name(key) + " names flags without dashes in front, not " + in_quotes(flag));
    for (const std::string_view own : {"output_dir", "seed", "resume_from_checkpoint", "overwrite_output_dir"})
      if (flag == own) fail(name(key) + " must not have the flag " + in_quotes(own) + ", which the study sets itself");
    return flag;
  }
  FlagSet flags(const std::string& key) const {
    FlagSet result;
    if (!has(key)) return result;
    const StudyReader inner(at(key), place_.empty() ? key : place_ + "." + key, path_);
    for (const auto& [flag, value] : inner.object_.items())
      result[inner.flag_name(flag, flag)] = flag_value(inner.name(flag), value);
    return result;
  }

  /// Different seeds.
  std::vector<std::uint64_t> seeds(const std::string& key) const {
    std::vector<std::uint64_t> result;
    const auto& value = at(key);
    if (!io::detail::convert_json(value, result) || result.empty())
      fail(name(key) + " must be a list of seeds, integers of at least 0, but is " + io::detail::describe_json(value));
    if (std::set(result.begin(), result.end()).size() != result.size()) fail(name(key) + " has a seed twice");
    return result;
  }

  /// The value that a word names in a list.
  template <class T, std::size_t n>
  T named(const std::string& key, const nlohmann::json& value, const Named<T> (&all)[n]) const {
    std::vector<std::string_view> known;
    for (const auto& one : all) {
      if (value == one.name) return one.value;
      known.push_back(one.name);
    }
    fail(name(key) + " must be " + names_in_words(all) + ", not " +
         (value.is_string() ? quoted_with_nearest(value.get<std::string>(), known) : io::detail::describe_json(value)));
  }

 private:
  const nlohmann::json& object_;
  std::string place_;
  const std::filesystem::path& path_;
};

}  // namespace neural_attention::study::detail
