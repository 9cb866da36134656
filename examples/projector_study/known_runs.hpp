// Which runs a study has and how far they are. The settings of an arm's runs that count are known when it is tuned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/study/study_plan.hpp"
#include "neural_attention/study/tuning.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

/// All runs of a study whose settings are known, with their states.
struct KnownRuns {
  struct Item {
    study::PlannedRun run;
    RunState state;
  };
  std::vector<Item> items;
  std::map<std::string, study::ChosenSetting> chosen = {};  ///< by arm; without a grid, setting 0
  std::vector<std::string> hopeless = {};                   ///< arms that diverged with every setting of the grid
  std::size_t waiting = 0;                                  ///< runs whose arm is still being tuned
  bool base_away = false;  ///< only records of the base are here: a run cannot start from it

  bool all_done(const study::StudyPlan& plan) const {
    return waiting == 0 && std::all_of(items.begin(), items.end(),
                                       [&](const Item& item) { return is_done(plan, item.run, item.state); });
  }
};

/// Reads the states of runs; those that are done stay so.
class StudyStates {
 public:
  StudyStates(const StudyFolder& folder, const study::StudyPlan& plan) : folder_(folder), plan_(plan) {}

  /// Tuning first.
  KnownRuns read() {
    KnownRuns known;
    if (plan_.study.base) {
      auto run = study::base_run(plan_);
      const auto state = state_of_run(run);
      if (state.diverged) throw na::Error("the base model, from which all arms start, diverged: " + *state.diverged);
      known.items.push_back({std::move(run), state});
      known.base_away = state.away;
      if (!state.trained) {
        known.waiting = plan_.arms.size() * plan_.study.seeds.size();
        return known;
      }
    }
    std::vector<KnownRuns::Item> finals;
    for (const auto& arm : plan_.arms) {
      bool tuned = true;
      std::vector<std::vector<double>> losses;
      for (auto& run : study::tuning_runs(plan_, arm.name)) {
        const auto state = state_of_run(run);
        tuned = tuned && is_done(plan_, run, state);
        losses.resize(run.setting + 1);
        losses.back().push_back(state.loss());
        known.items.push_back({std::move(run), state});
      }
      if (!tuned) {
        known.waiting += plan_.study.seeds.size();
        continue;
      }
      std::optional<study::ChosenSetting> chosen = study::ChosenSetting{};
      if (!losses.empty()) chosen = study::choose_setting(plan_.study.grid, losses);
      if (!chosen) {
        known.hopeless.push_back(arm.name);
        continue;
      }
      known.chosen[arm.name] = *chosen;
      for (auto& run : study::final_runs(plan_, arm.name, chosen->setting)) {
        const auto state = state_of_run(run);
        finals.push_back({std::move(run), state});
      }
      if (arm.name == plan_.study.control && plan_.study.convergence) {
        auto run = study::twice_run(plan_, chosen->setting);
        const auto state = state_of_run(run);
        finals.push_back({std::move(run), state});
      }
    }
    for (auto& item : finals) known.items.push_back(std::move(item));
    return known;
  }

 private:
  RunState state_of_run(const study::PlannedRun& run) {
    const auto found = done_.find(run.name);
    if (found != done_.end()) return found->second;
    const auto state = state_of(folder_, run);
    if (is_done(plan_, run, state) && !state.away) done_[run.name] = state;
    return state;
  }

  const StudyFolder& folder_;
  const study::StudyPlan& plan_;
  std::map<std::string, RunState> done_;
};

}  // namespace examples
