// runs.csv: the runs of a study as a table for other programs.
#pragma once

#include <string>

#include "neural_attention/core/number_text.hpp"
#include "projector_study/results.hpp"

namespace examples {

inline std::string kind_name(study::RunKind kind) {
  switch (kind) {
    case study::RunKind::Base:
      return "base";
    case study::RunKind::Tuning:
      return "tuning";
    case study::RunKind::Final:
      return "final";
    case study::RunKind::Twice:
      break;
  }
  return "twice";
}

/// A row for each run, tuning runs first. Its command names the folder `shown`.
inline std::string runs_csv(const StudyFolder& folder, const StudyFolder& shown, const StudyResults& results,
                            const std::string& program) {
  const auto quoted = [](const std::string& text) {
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
    return result + "\"";
  };
  std::string text = "run,kind,arm,setting,seed,parameters,steps,seconds,valid_loss," +
                     std::string(na::name_of(results.plan.study.measure)) + ",diverged,command\n";
  for (const auto& [run, state] : results.runs.items) {
    if (!is_done(results.plan, run, state)) continue;
    std::string numbers = ",,,,";
    if (!state.diverged) {
      const auto metrics = read_run(folder.measured(run), run.seed);
      std::string score;
      if (run.kind == study::RunKind::Final)
        for (const auto& one : results.arm(run.arm).seeds)
          if (one.run.name == run.name) score = na::number_text(one.score);
      numbers = std::to_string(metrics.parameters) + "," + std::to_string(metrics.steps) + "," +
                na::number_text(metrics.seconds) + "," + na::number_text(metrics.valid_loss) + "," + score;
    }
    text += run.name + "," + kind_name(run.kind) + "," + run.arm + "," + std::to_string(run.setting) + "," +
            std::to_string(run.seed) + "," + numbers + "," + (state.diverged ? "1" : "0") + "," +
            quoted(shell_text(training_command(program, shown, results.plan, run))) + "\n";
  }
  return text;
}

}  // namespace examples
