// projector_study plan
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/table.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "projector_study/options.hpp"
#include "projector_study/planning.hpp"
#include "projector_study/running.hpp"

namespace examples {

namespace {

/// "+0.12 %"
std::string percent(double part) {
  return (part > 0 ? "+" : "") + na::number_text(100 * part, std::chars_format::fixed, 2) + " %";
}

/// Seconds of one run without evaluations; 0 if its steps are not known.
double seconds_of(const study::PlannedArm& arm) {
  const auto steps = arm.flags.find("max_steps");
  const auto number = steps == arm.flags.end() ? std::nullopt : na::number_in(steps->second);
  return number ? *number * arm.time.step + arm.time.outside : 0.0;
}

std::string flags_text(const study::FlagSet& flags, const study::FlagSet& common) {
  std::string text;
  for (const auto& [name, value] : flags)
    if (const auto found = common.find(name); found == common.end() || found->second != value)
      text += (text.empty() ? "" : " ") + name + "=" + value;
  return text;
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
    comparisons.add({one.arm, one.control, std::string(study::matching_name(one.matching)), percent(one.unmatched)});
  const auto settings = study::settings_of(plan.study.grid).size();
  const auto tuning = plan.study.grid.empty() ? 0 : settings * plan.study.tuning_seeds.size();
  const auto each = tuning + plan.study.seeds.size();
  double seconds = 0;
  bool known = true;
  for (const auto& arm : plan.arms) {
    seconds += static_cast<double>(each) * seconds_of(arm);
    known = known && seconds_of(arm) > 0;
  }
  std::string text = arms.text() + "\n" + comparisons.text() + "\n";
  text += std::to_string(plan.arms.size()) + " arms, each with " + std::to_string(tuning) + " runs for tuning and " +
          std::to_string(plan.study.seeds.size()) + " that count: " + std::to_string(each * plan.arms.size()) +
          " runs\n";
  text += known ? "about " + fixed(seconds / 60, 1) + " minutes of one thread, without evaluations, as measured on " +
                      plan.machine + "\n"
                : "the time is not known, because no flag max_steps says how many steps there are\n";
  return text;
}

std::vector<std::string> all_names(const study::StudyPlan& plan) {
  std::vector<std::string> names;
  for (const auto& arm : plan.arms)
    for (const auto& run : study::tuning_runs(plan, arm.name)) names.push_back(run.name);
  for (const auto& arm : plan.arms)
    for (const auto& run : study::final_runs(plan, arm.name, 0)) names.push_back(run.name);
  return names;
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
  const auto names = all_names(made);
  if (options.format == "text") {
    print(plan_in_words(made));
  } else if (options.format == "commands") {
    std::string text;
    for (const auto& name : names) {
      if (!made.study.grid.empty() && name == study::final_runs(made, made.arms.front().name, 0).front().name)
        text += "# when those have ended:\n";
      text += shell_text({"projector_study", "run", folder.file, "--only", name}) + "\n";
    }
    print(text);
  } else {
    print("#!/bin/sh\n#SBATCH --job-name=projector_study\n#SBATCH --array=1-" +
          std::to_string(std::min<std::size_t>(names.size(), 16)) +
          "\n#SBATCH --cpus-per-task=1\n#SBATCH --signal=B:USR1@120\n# Each task takes runs that no other has, until "
          "there are none.\nexec " +
          shell_text({"projector_study", "run", folder.file}) + "\n");
  }
  return 0;
}

}  // namespace examples
