// Definitions of what study/study_plan.hpp declares: the arms, and the runs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/bisection.hpp"
#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "neural_attention/study/fingerprint.hpp"
#include "neural_attention/study/study_plan.hpp"

namespace neural_attention::study {

namespace detail {

inline std::int64_t matched_count(const ArmSize& size, Matching matching) {
  return matching == Matching::Parameters ? size.parameters : size.flops;
}

/// The value of `flag` at which an arm with the other flags of `control` comes nearest to `wanted`.
inline std::int64_t matched_width(const FlagSet& control, const std::string& flag, std::int64_t wanted,
                                  Matching matching, const Measurements& measure) {
  const auto count = [&](std::int64_t width) {
    return matched_count(measure.size(merged(control, {{flag, std::to_string(width)}})), matching);
  };
  const auto amount = [&](std::int64_t number) {
    return matching == Matching::Parameters ? counted(number, "parameter") : counted(number, "FLOP") + " a token";
  };
  const auto smallest = count(1);
  if (smallest >= wanted) {
    if (smallest == wanted) return 1;
    throw ConfigError("no " + flag + " (\"match_by\") gives the control only " + amount(wanted) + ": with 1, it has " +
                      with_commas(smallest));
  }
  if (count(2) == smallest)
    throw ConfigError(flag + " (\"match_by\") makes no difference to the control, which has " + amount(smallest) +
                      " with any, so it cannot have " + with_commas(wanted));
  constexpr std::int64_t widest = 1 << 24;
  std::int64_t above = 2;
  while (count(above) < wanted) {
    if (above >= widest)
      throw ConfigError("no " + flag + " (\"match_by\") up to " + with_commas(widest) + " gives the control " +
                        amount(wanted));
    above *= 2;
  }
  return nearest_integer(wanted, above / 2, above, count);
}

/// The steps of an arm. Throws ConfigError if its flags do not say them.
inline std::int64_t steps_of(const std::string& arm, const FlagSet& flags) {
  if (const auto steps = steps_in(flags)) return *steps;
  throw ConfigError("the \"flags\" of the arm " + in_quotes(arm) + " lack max_steps, which this study changes");
}

inline std::string run_hash(const StudyPlan& plan, const FlagSet& flags) {
  Fingerprint all;
  all.add(plan.program);
  for (const auto& [path, hash] : plan.data) {
    all.add(path);
    all.add(hash);
  }
  all.add(plan.study.task);
  for (const auto& word : plan.study.launcher) all.add(word);
  std::vector<std::pair<const char*, const FlagSet*>> sets = {{"test", &plan.study.test.flags}, {"flags", &flags}};
  if (plan.study.base) sets.emplace_back("base", &*plan.study.base);
  for (const auto& [kind, set] : sets) {
    all.add(kind);
    for (const auto& [name, value] : *set) {
      all.add(name);
      all.add(value);
    }
  }
  return all.text();
}

/// Completes a run of this name: what it has beside the flags.
inline PlannedRun planned_run(const StudyPlan& plan, const std::string& name, const std::string& arm, RunKind kind,
                              std::size_t setting, std::uint64_t seed, const FlagSet& flags) {
  PlannedRun run{name + "-seed" + std::to_string(seed), arm, kind, setting, seed,
                 merged({{"threads", "1"}}, flags),     {}};
  run.flags["seed"] = std::to_string(seed);
  run.hash = run_hash(plan, run.flags);
  return run;
}

/// The name, the flags and the size of an arm, and then its time. Throws ConfigError if tuning changes the size by
/// which arms are matched; the time of a step follows from the FLOPs.
inline PlannedArm measured_arm(const StudyConfig& study, const std::string& name, const FlagSet& flags,
                               const Measurements& measure) {
  const auto size = measure.size(flags);
  const auto require_same = [&](const std::string& flag, const ArmSize& tuned, Matching matching) {
    if (matched_count(tuned, matching) != matched_count(size, matching))
      throw ConfigError(in_quotes("tuning.flags." + flag) + " changes the " + std::string(name_of(matching)) +
                        " of the arm " + in_quotes(name) +
                        "; with every setting, an arm must keep the size by which it is matched, or from which its "
                        "time follows");
  };
  const bool by_parameters = study.matches(Matching::Parameters);
  const bool by_flops = study.matches(Matching::Flops) || study.matches(Matching::Time);
  if (by_parameters || by_flops)
    for (const auto& [flag, values] : study.grid)
      for (const auto& value : values) {
        const auto tuned = measure.size(merged(flags, {{flag, value}}));
        if (by_parameters) require_same(flag, tuned, Matching::Parameters);
        if (by_flops) require_same(flag, tuned, Matching::Flops);
      }
  return {name, flags, size, measure.time(flags)};
}

}  // namespace detail

NEURAL_ATTENTION_INLINE const PlannedArm& StudyPlan::arm(std::string_view name) const {
  for (const auto& one : arms)
    if (one.name == name) return one;
  throw ConfigError("the plan has no arm " + in_quotes(name));
}

NEURAL_ATTENTION_INLINE StudyPlan plan_arms(const StudyConfig& study, const Measurements& measure) {
  StudyPlan plan;
  plan.study = study;
  for (const auto& arm : study.arms)
    plan.arms.push_back(detail::measured_arm(study, arm.name, merged(study.flags, arm.flags), measure));
  const PlannedArm control = plan.arm(study.control);
  // The name of an arm with these flags, a new one if there is none yet.
  const auto named = [&](const std::string& name, const FlagSet& flags) {
    for (const auto& one : plan.arms) {
      if (one.flags == flags) return one.name;
      if (one.name == name)
        throw ConfigError("the arm " + in_quotes(name) + " has the name of a matched control; give it another");
    }
    plan.arms.push_back(detail::measured_arm(study, name, flags, measure));
    return name;
  };
  for (const auto matching : study.matchings)
    for (const auto& of : study.arms) {
      if (of.name == control.name) continue;
      const PlannedArm arm = plan.arm(of.name);
      PlannedComparison comparison{arm.name, control.name, matching};
      auto flags = control.flags;
      if (matching == Matching::Parameters || matching == Matching::Flops) {
        const auto wanted = detail::matched_count(arm.size, matching);
        // A control that is as large, or as near, without another width stays as it is.
        if (detail::matched_count(control.size, matching) != wanted) {
          auto wider = flags;
          wider[study.match_by] =
              std::to_string(detail::matched_width(control.flags, study.match_by, wanted, matching, measure));
          if (detail::matched_count(measure.size(wider), matching) != detail::matched_count(control.size, matching))
            flags = std::move(wider);
        }
      } else if (matching == Matching::Time) {
        const double seconds = static_cast<double>(detail::steps_of(arm.name, arm.flags)) * arm.time.step;
        detail::steps_of(control.name, control.flags);
        const double steps = std::max(1.0, std::round(seconds / control.time.step));
        if (!std::isfinite(steps) || steps > 1e15)
          throw ConfigError("the time of a step of the arm " + in_quotes(control.name) + " could not be measured");
        flags["max_steps"] = std::to_string(static_cast<std::int64_t>(steps));
      }
      comparison.control = named(control.name + "-" + std::string(name_of(matching)) + "-of-" + arm.name, flags);
      if (comparison.control == arm.name) continue;  // the arm is the matched control
      const auto& found = plan.arm(comparison.control);
      if (matching == Matching::Parameters || matching == Matching::Flops) {
        const auto theirs = static_cast<double>(detail::matched_count(found.size, matching));
        comparison.unmatched = (static_cast<double>(detail::matched_count(arm.size, matching)) - theirs) / theirs;
      } else if (matching == Matching::Steps) {
        const auto ours = steps_in(arm.flags), theirs = steps_in(found.flags);
        comparison.unmatched = ours && theirs ? static_cast<double>(*ours) / static_cast<double>(*theirs) - 1.0
                                              : std::numeric_limits<double>::quiet_NaN();
      } else if (matching == Matching::Time) {
        const double theirs = static_cast<double>(detail::steps_of(found.name, found.flags)) * control.time.step;
        comparison.unmatched =
            (static_cast<double>(detail::steps_of(arm.name, arm.flags)) * arm.time.step - theirs) / theirs;
      }
      plan.comparisons.push_back(comparison);
    }
  return plan;
}

NEURAL_ATTENTION_INLINE std::vector<PlannedRun> tuning_runs(const StudyPlan& plan, const std::string& arm) {
  std::vector<PlannedRun> runs;
  if (plan.study.grid.empty()) return runs;
  const auto settings = settings_of(plan.study.grid);
  for (std::size_t setting = 0; setting < settings.size(); ++setting) {
    const auto flags = merged(plan.arm(arm).flags, settings[setting]);
    for (const auto seed : plan.study.tuning_seeds)
      runs.push_back(detail::planned_run(plan, "tune-" + arm + "-" + std::to_string(setting), arm, RunKind::Tuning,
                                         setting, seed, flags));
  }
  return runs;
}

NEURAL_ATTENTION_INLINE std::vector<PlannedRun> final_runs(const StudyPlan& plan, const std::string& arm,
                                                           std::size_t setting) {
  std::vector<PlannedRun> runs;
  const auto flags = merged(plan.arm(arm).flags, settings_of(plan.study.grid).at(setting));
  for (const auto seed : plan.study.seeds)
    runs.push_back(detail::planned_run(plan, arm, arm, RunKind::Final, setting, seed, flags));
  return runs;
}

NEURAL_ATTENTION_INLINE PlannedRun base_run(const StudyPlan& plan) {
  if (!plan.study.base) throw ConfigError("the study has no base model");
  return detail::planned_run(plan, "base", "", RunKind::Base, 0, plan.study.seeds.front(), *plan.study.base);
}

NEURAL_ATTENTION_INLINE PlannedRun twice_run(const StudyPlan& plan, std::size_t setting) {
  const auto& control = plan.study.control;
  auto flags = merged(plan.arm(control).flags, settings_of(plan.study.grid).at(setting));
  flags["max_steps"] = std::to_string(2 * detail::steps_of(control, flags));
  for (const auto* const flag : {"warmup_steps", "eval_steps"})
    if (const auto found = flags.find(flag); found != flags.end())
      if (const auto steps = number_in(found->second); steps && *steps == std::floor(*steps) && *steps < 1e15)
        found->second = std::to_string(2 * static_cast<std::int64_t>(*steps));
  return detail::planned_run(plan, "twice-" + control, control, RunKind::Twice, setting, plan.study.seeds.front(),
                             flags);
}

NEURAL_ATTENTION_INLINE std::vector<std::string> arguments_of(const FlagSet& flags) {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : flags) arguments.push_back("--" + name + "=" + value);
  return arguments;
}

NEURAL_ATTENTION_INLINE std::vector<std::string> data_paths(const StudyConfig& study) {
  // Other values may be the name of a file by chance.
  constexpr std::string_view flags_of_paths[] = {
      "data",   "train_file",        "validation_file", "train_source", "train_target", "validation_source",
      "config", "validation_target", "tokenizer",       "model"};
  std::set<std::string> paths;
  const auto add = [&](const std::string& value) {
    std::error_code ignored;
    if (!value.empty() && std::filesystem::exists(value, ignored)) paths.insert(value);
  };
  const auto is_of_paths = [&](const std::string& flag) {
    return std::find(std::begin(flags_of_paths), std::end(flags_of_paths), flag) != std::end(flags_of_paths);
  };
  const auto add_all = [&](const FlagSet& flags) {
    for (const auto& [name, value] : flags)
      if (is_of_paths(name)) add(value);
  };
  add_all(study.flags);
  if (study.base) add_all(*study.base);
  for (const auto& arm : study.arms) add_all(arm.flags);
  for (const auto& [flag, values] : study.grid)
    for (const auto& value : values) add_all({{flag, value}});
  for (const auto* const path : {&study.test.text, &study.test.source, &study.test.reference}) add(*path);
  return {paths.begin(), paths.end()};
}

}  // namespace neural_attention::study
