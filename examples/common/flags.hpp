// Flags: the flags of a command, each declared in one line with its name, default, help and rules:
//   struct TrainOptions : Flags {
//     const double& dropout = flag("dropout", 0.1, "Rate of dropout", {.range = na::from_below(0, 1)});
//   };
// The check, --help, the reference page docs/flags.md and, with `kept`, the check that a run resumes with the same
// value follow from the line. Knobs of the library's configs become flags without another declaration (core/knob.hpp).
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/ranges.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/trainer/run_identity.hpp"

namespace examples {

namespace na = neural_attention;

/// Further properties of a flag.
struct FlagRules {
  na::Interval range = {};                 ///< of numbers; integers end at int's largest
  std::vector<std::string> among = {};     ///< all permitted words
  const char* group = nullptr;             ///< in --help; null: the group of the struct
  std::vector<const char*> needs = {};     ///< flags
  std::vector<const char*> excludes = {};  ///< flags
  const char* environment = nullptr;       ///< the variable with the value if the flag is missing
  bool required = false;
  bool kept = false;            ///< a run must resume with the same value
  bool one_at_a_time = false;   ///< for lists: --flag A --flag B, never --flag A B
  const char* shown = nullptr;  ///< the default in --help, if it differs from the value
  const char* type = nullptr;   ///< in --help, instead of TEXT and so on
};

/// Differences between the flags of a config and its knobs.
struct KnobChanges {
  std::vector<std::string> except = {};                             ///< no flags
  std::vector<std::pair<std::string, na::Interval>> narrower = {};  ///< ranges
  std::vector<std::pair<std::string, const char*>> excludes = {};   ///< flags
  std::vector<std::pair<std::string, std::string>> helps = {};      ///< what a flag does here

  bool takes(const na::Knob& knob) const {
    return knob.group && std::find(except.begin(), except.end(), knob.name) == except.end();
  }
  na::Interval range(const na::Knob& knob) const {
    for (const auto& [name, range] : narrower)
      if (name == knob.name) return range;
    return knob.range;
  }
  template <class T>
  std::string help(const na::Knob& knob) const {
    for (const auto& [name, text] : helps)
      if (name == knob.name) return text;
    return na::help_of<T>(knob);
  }
};

/// The values of a config that the command line gives, and no others.
template <class Config>
class Given {
 public:
  bool has(std::string_view name) const { return std::find(names_.begin(), names_.end(), name) != names_.end(); }

  /// Writes the given values into `config`.
  void apply(Config& config) const {
    Config::knobs(
        [&](const na::Knob& knob, const auto& given, auto& value) {
          if (has(knob.name)) value = given;
        },
        values_, config);
  }

 private:
  friend class Flags;

  Config values_;
  std::vector<std::string> names_;
};

namespace flags_detail {

template <class T>
struct Inside {
  using Type = T;
  static constexpr bool optional = false, list = false;
};
template <class T>
struct Inside<std::optional<T>> {
  using Type = T;
  static constexpr bool optional = true, list = false;
};
template <class T>
struct Inside<std::vector<T>> {
  using Type = T;
  static constexpr bool optional = false, list = true;
};
template <class T, std::size_t n>
struct Inside<std::array<T, n>> {
  using Type = T;
  static constexpr bool optional = false, list = false;
};

inline CLI::Validator range_of(std::type_identity<double>, const na::Interval& range) { return number(range); }
inline CLI::Validator range_of(std::type_identity<std::uint64_t>, const na::Interval&) { return seed_number(); }
template <std::signed_integral T>
CLI::Validator range_of(std::type_identity<T>, const na::Interval& range) {
  constexpr double largest = std::numeric_limits<int>::max();
  return integer(static_cast<std::int64_t>(std::max(range.least, -largest)),
                 static_cast<std::int64_t>(std::min(range.most, largest)));
}

/// Words or numbers, separated by spaces.
std::string joined(const auto& list) {
  std::string text;
  for (const auto& item : list) {
    text += text.empty() ? "" : " ";
    if constexpr (requires { std::to_string(item); })
      text += std::to_string(item);
    else
      text += item;
  }
  return text;
}

}  // namespace flags_detail

class Flags {
 public:
  /// The group of the flags in --help.
  explicit Flags(const char* group = nullptr) : group_(group) {}
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;

  /// Adds the flags in the order of their declarations.
  void add_to(CLI::App& app) const {
    for (const auto& add : adders_) add(app);
    for (const auto& relate : relations_) relate(app);
  }

  /// Whether the user gives this flag.
  bool given(std::string_view name) const { return std::find(given_.begin(), given_.end(), name) != given_.end(); }

  /// The names and values with which a run must resume.
  na::RunIdentity identity() const {
    na::RunIdentity run;
    for (const auto& keep : kept_) keep(run);
    return run;
  }

 protected:
  /// Declares the flag --`name` and returns its value, which parsing sets.
  template <class T>
  const T& flag(const char* name, T usual, const std::string& help, const FlagRules& rules = {}) {
    auto& value = store(std::move(usual));
    declare(name, value, help, rules);
    return value;
  }
  const std::string& flag(const char* name, const char* usual, const std::string& help, const FlagRules& rules = {}) {
    return flag(name, std::string(usual), help, rules);
  }

  /// A knob of the library whose value the program makes: `more` follows its help.
  template <class T>
  const T& flag(const na::Knob& knob, T usual, const std::string& more = {}, FlagRules rules = {}) {
    rules.range = knob.range;
    return flag(knob.name, std::move(usual), na::help_of<typename flags_detail::Inside<T>::Type>(knob) + more, rules);
  }

  /// Declares the flags of a config of the library, with the defaults of `usual`.
  template <class Config>
  const Config& knobs(Config usual, const KnobChanges& changes = {}) {
    auto& config = store(std::move(usual));
    Config::knobs(
        [&](const na::Knob& knob, auto& value) {
          if (changes.takes(knob))
            declare(knob.name, value, changes.help<std::remove_cvref_t<decltype(value)>>(knob),
                    {.range = changes.range(knob), .group = knob.group});
        },
        config);
    return config;
  }

  /// The same for a config whose other values come from elsewhere.
  template <class Config>
  const Given<Config>& overrides(const KnobChanges& changes = {}) {
    auto& given = store(Given<Config>());
    Config::knobs(
        [&](const na::Knob& knob, auto& value) {
          if (!changes.takes(knob)) return;
          const std::string name = knob.name;
          const auto range = changes.range(knob);
          const auto help = changes.help<std::remove_cvref_t<decltype(value)>>(knob);
          adders_.push_back([name, &given, &value, range, help, group = knob.group](CLI::App& app) {
            auto* const option = add_override(app, name, value, help, {.range = range});
            option->each([&given, name](const std::string&) { given.names_.push_back(name); })->group(group);
          });
        },
        given.values_);
    for (const auto& [name, other] : changes.excludes) relate(name, {.excludes = {other}});
    return given;
  }

  /// A value that lives as long as the flags.
  template <class T>
  T& store(T value) {
    auto kept = std::make_shared<T>(std::move(value));
    auto& reference = *kept;
    values_.push_back(std::move(kept));
    return reference;
  }

  /// Declares a flag that sets `value`, which this object stores.
  template <class T>
  void declare(const char* name, T& value, const std::string& help, const FlagRules& rules) {
    adders_.push_back([this, group = rules.group ? rules.group : group_, name, &value, help, rules](CLI::App& app) {
      auto* const option = add(app, name, value, help, rules);
      option->each([this, name](const std::string&) { given_.emplace_back(name); });
      show_default(option, value, rules);
      if (group) option->group(group);
      if (rules.environment) option->envname(rules.environment);
      if (rules.required) option->required();
      if (rules.type) option->type_name(rules.type);
      if (!rules.among.empty()) option->check(CLI::IsMember(rules.among));
    });
    relate(name, rules);
    if (rules.kept) kept_.push_back([name, &value](na::RunIdentity& run) { keep(run, name, value); });
  }

 private:
  /// What is usually on can also be switched off: --bias false.
  template <class T>
  static CLI::Option* add_override(CLI::App& app, const std::string& name, T& value, const std::string& help,
                                   const FlagRules& rules) {
    if constexpr (std::is_same_v<T, bool>)
      if (value) return app.add_option("--" + name, value, help + " [true]")->type_name("true|false")->check(truth());
    return add(app, name, value, help, rules);
  }

  template <class T>
  static CLI::Option* add(CLI::App& app, const std::string& name, T& value, const std::string& help,
                          const FlagRules& rules) {
    using Inside = flags_detail::Inside<T>;
    using Value = typename Inside::Type;
    const auto flag = "--" + name;
    if constexpr (std::is_same_v<T, bool>) {
      return app.add_flag(flag, value, help)->check(truth());
    } else if constexpr (std::is_enum_v<Value>) {
      return app.add_option_function<std::string>(
          flag, [&value, flag](const std::string& word) { value = na::value_named<Value>(word, flag); }, help);
    } else {
      auto* const option = app.add_option(flag, value, help);
      if constexpr (na::is_number<Value>)
        option->transform(flags_detail::range_of(std::type_identity<Value>(), rules.range));
      if constexpr (std::is_same_v<Value, bool>) option->check(truth());
      if constexpr (Inside::list) {
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        if (rules.one_at_a_time) option->allow_extra_args(false);
      }
      return option;
    }
  }

  /// The flags that `name` needs and excludes; they may be declared later.
  void relate(const std::string& name, const FlagRules& rules) {
    if (rules.needs.empty() && rules.excludes.empty()) return;
    relations_.push_back([name, rules](CLI::App& app) {
      auto* const option = app.get_option("--" + name);
      for (const auto* const other : rules.needs) option->needs(app.get_option("--" + std::string(other)));
      for (const auto* const other : rules.excludes) option->excludes(app.get_option("--" + std::string(other)));
    });
  }

  template <class T>
  static void show_default(CLI::Option* option, const T& value, const FlagRules& rules) {
    using Inside = flags_detail::Inside<T>;
    if (rules.shown) {
      option->default_str(rules.shown);
    } else if constexpr (std::is_enum_v<T>) {
      option->default_str(std::string(name_of(value)));
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value.empty()) option->capture_default_str();
    } else if constexpr (!Inside::optional && !Inside::list && na::is_number<typename Inside::Type>) {
      option->capture_default_str();
    }
  }

  template <class T>
  static void keep(na::RunIdentity& run, const char* name, const T& value) {
    if constexpr (flags_detail::Inside<T>::optional) {
      if (value) run.set(name, *value);
    } else if constexpr (requires { value.begin(); } && !std::is_same_v<T, std::string>) {
      run.set(name, flags_detail::joined(value));
    } else if constexpr (std::is_enum_v<T>) {
      run.set(name, std::string(name_of(value)));
    } else {
      run.set(name, value);
    }
  }

  const char* group_;
  std::vector<std::string> given_;
  std::vector<std::shared_ptr<void>> values_;
  std::vector<std::function<void(CLI::App&)>> adders_, relations_;
  std::vector<std::function<void(na::RunIdentity&)>> kept_;
};

}  // namespace examples
