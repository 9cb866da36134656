// projector_study plan
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/ranges.hpp"
#include "common/table.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "projector_study/options.hpp"
#include "projector_study/planning.hpp"
#include "projector_study/run_time.hpp"
#include "projector_study/running.hpp"

namespace examples {

namespace {

/// "+0.12 %", or "–" if it is not known.
std::string percent(double part) {
  if (std::isnan(part)) return "–";
  return (part > 0 ? "+" : "") + na::number_text(100 * part, std::chars_format::fixed, 2) + " %";
}

std::string flags_text(const study::FlagSet& flags, const study::FlagSet& common) {
  std::string text;
  for (const auto& [name, value] : flags)
    if (const auto found = common.find(name); found == common.end() || found->second != value)
      text += (text.empty() ? "" : " ") + name + "=" + value;
  return text;
}

/// The most threads of a run.
int threads_of_runs(const study::StudyPlan& plan) {
  int most = 1;
  const auto add = [&](const std::string& value) {
    if (const auto threads = na::number_in(value); threads && *threads >= 1 && *threads <= most_threads)
      most = std::max(most, static_cast<int>(*threads));
  };
  const auto add_of = [&](const study::FlagSet& flags) {
    if (const auto found = flags.find("threads"); found != flags.end()) add(found->second);
  };
  for (const auto& arm : plan.arms) add_of(arm.flags);
  if (plan.study.base) add_of(*plan.study.base);
  if (const auto found = plan.study.grid.find("threads"); found != plan.study.grid.end())
    for (const auto& value : found->second) add(value);
  return most;
}

/// Of all runs but that of the base and of twice the steps; the steps of those that count are the mean of the settings.
double seconds_of_arms(const study::StudyPlan& plan, std::size_t runs_of_each) {
  const auto settings = study::settings_of(plan.study.grid);
  double seconds = 0;
  for (const auto& arm : plan.arms)
    for (const auto& setting : settings) seconds += seconds_of_run(study::merged(arm.flags, setting), arm);
  return static_cast<double>(runs_of_each) * seconds / static_cast<double>(settings.size());
}

std::string plan_in_words(const study::StudyPlan& plan) {
  Table arms({"arm", "parameters", "FLOPs a token", "ms a step", "its own flags"},
             {Align::left, Align::right, Align::right, Align::right});
  for (const auto& arm : plan.arms)
    arms.add({arm.name, na::with_commas(arm.size.parameters), na::with_commas(arm.size.flops),
              fixed(1000 * arm.time.step, 1), flags_text(arm.flags, plan.study.flags)});
  Table comparisons({"arm", "control", "the same", "the arm has more"},
                    {Align::left, Align::left, Align::left, Align::right});
  for (const auto& one : plan.comparisons)
    comparisons.add({one.arm, one.control, std::string(na::name_of(one.matching)), percent(one.unmatched)});
  const auto settings = study::settings_of(plan.study.grid).size();
  const auto tuning = plan.study.grid.empty() ? 0 : settings * plan.study.tuning_seeds.size();
  const auto each = tuning + plan.study.seeds.size();
  double seconds = seconds_of_arms(plan, each);
  const auto& control = plan.arm(plan.study.control);
  if (plan.study.base) seconds += seconds_of_run(*plan.study.base, control);
  if (plan.study.convergence) seconds += seconds_of_run(study::twice_run(plan, 0).flags, control);
  std::string text = arms.text() + "\n" + comparisons.text() + "\n";
  text += na::counted(plan.arms.size(), "arm") + ", each with " + na::counted(tuning, "run") + " for tuning and " +
          std::to_string(plan.study.seeds.size()) + " that count: " + na::counted(each * plan.arms.size(), "run") +
          "\n";
  if (plan.study.base) text += "one run before them, for the model from which all arms start\n";
  if (plan.study.convergence) text += "one run of the control with twice the steps, to see if they are enough\n";
  text += std::isfinite(seconds)
              ? "about " + fixed(seconds / 60, 1) +
                    " minutes if runs follow one another, without evaluations, as measured on " + plan.machine + "\n"
              : "the time is not known, because no flag max_steps says how many steps there are\n";
  return text;
}

/// The names of all runs, in groups that each wait for the one before.
std::vector<std::vector<std::string>> all_names(const study::StudyPlan& plan) {
  std::vector<std::string> tuning, finals;
  for (const auto& arm : plan.arms)
    for (const auto& run : study::tuning_runs(plan, arm.name)) tuning.push_back(run.name);
  for (const auto& arm : plan.arms)
    for (const auto& run : study::final_runs(plan, arm.name, 0)) finals.push_back(run.name);
  if (plan.study.convergence) finals.push_back(study::twice_run(plan, 0).name);
  std::vector<std::vector<std::string>> groups;
  if (plan.study.base) groups.push_back({study::base_run(plan).name});
  if (!tuning.empty()) groups.push_back(std::move(tuning));
  groups.push_back(std::move(finals));
  return groups;
}

}  // namespace

int plan(const PlanOptions& options) {
  const StudyFolder folder(options.study);
  study::StudyPlan made;
  try {
    const Interruption interruption;
    made = plan_of(folder, interruption);
  } catch (const Interrupted& stopped) {
    return stopped.exit_code;
  }
  const auto groups = all_names(made);
  std::size_t count = 0;
  for (const auto& group : groups) count += group.size();
  if (options.format == "text") {
    print(plan_in_words(made));
  } else if (options.format == "commands") {
    std::string text;
    for (const auto& group : groups) {
      if (!text.empty()) text += "# when those have ended:\n";
      for (const auto& name : group) text += shell_text({"projector_study", "run", folder.file, "--only", name}) + "\n";
    }
    print(text);
  } else {
    print("#!/bin/sh\n#SBATCH --job-name=projector_study\n#SBATCH --array=1-" +
          std::to_string(std::min<std::size_t>(count, 16)) +
          "\n#SBATCH --cpus-per-task=" + std::to_string(threads_of_runs(made)) + "\n#SBATCH --signal=B:USR1@120\n" +
          (made.study.launcher.empty() ? ""
                                       : "# A run has several processes: ask for as many as its launcher starts.\n") +
          "# Each task takes runs that no other has, until there are none.\nexec " +
          shell_text({"projector_study", "run", folder.file}) + "\n");
  }
  return 0;
}

}  // namespace examples
