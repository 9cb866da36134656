// RunIdentity: what defines a training run, as names with values in words. A checkpoint keeps it, so that a resumed run
// cannot be confused with another. Settings that may change when a run is resumed do not belong in it: the number of
// steps and epochs, the intervals of evaluating, saving and logging, threads, folders.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"

namespace neural_attention {

class RunIdentity {
 public:
  using Entry = std::pair<std::string, std::string>;

  /// Names are the options' names, Hugging Face's if it has one. Setting a name again replaces its value. Bytes that
  /// are not UTF-8, which a path may contain, become `\xHH`, because a checkpoint keeps text.
  void set(std::string_view name, std::string value);
  void set(std::string_view name, const char* value) { set(name, std::string(value)); }
  void set(std::string_view name, bool value) { set(name, value ? "true" : "false"); }
  void set(std::string_view name, std::integral auto value) { set(name, std::to_string(value)); }

  /// The shortest digits that read back as the same number.
  void set(std::string_view name, double value);

  /// Adds all entries of `other`.
  void set(const RunIdentity& other);

  /// Null if there is no such name.
  const std::string* find(std::string_view name) const;

  /// In the order in which they were set.
  const std::vector<Entry>& entries() const { return entries_; }

  bool operator==(const RunIdentity&) const = default;

 private:
  static std::string as_text(const std::string& value);

  std::vector<Entry> entries_;
};

/// The settings of a config for whose knobs wanted(knob) is true.
template <class Config>
RunIdentity settings_of(const Config& config, auto&& wanted) {
  RunIdentity run;
  Config::knobs(
      [&]<class T>(const Knob& knob, const T& value) {
        if (!wanted(knob)) return;
        if constexpr (HasNames<T>)
          run.set(knob.name, std::string(name_of(value)));
        else
          run.set(knob.name, value);
      },
      config);
  return run;
}

/// The settings of a config that define a run, according to its knobs.
template <class Config>
RunIdentity kept_settings(const Config& config) {
  return settings_of(config, [](const Knob& knob) { return knob.defines_the_run; });
}

/// Throws ConfigError for the first name in `now` whose value differs in `stored`, the identity in `checkpoint`. A name
/// that only one of them has contradicts nothing.
void require_same_run(const RunIdentity& stored, const RunIdentity& now, const std::string& checkpoint);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/run_identity.hpp"
#endif
