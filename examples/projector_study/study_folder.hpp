// The folder of a study, beside its study.json and named like it: plan.json, and runs/<name>/ with
//   run.json         what the run is, with the fingerprint of all that it depends on, where it ran, whether it diverged
//   output/          the training program's folder: metrics.jsonl, checkpoints, the model
//   recorded/        metrics.jsonl of a run that came from records.jsonl
//   log.txt          what the training program said
//   test.json        scores of the model on the test set, and a translator's first sentences
//   test.segments    counts of a translator's sentences (test_sentences.hpp)
//   sample.txt       how a causal language model continues the beginning of the test text
// A run is claimed by a lock on its folder, which the system takes from a process that ends.
#pragma once

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/text_files.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/study/study_plan.hpp"
#include "projector_study/child.hpp"

namespace examples {

namespace na = neural_attention;
namespace study = neural_attention::study;

struct StudyFolder {
  explicit StudyFolder(const std::string& study_file) : file(study_file), path(study_file) {
    if (path.extension() != ".json") throw na::ConfigError("a study is a file NAME.json, not " + study_file);
    path.replace_extension();
  }

  std::filesystem::path plan() const { return path / "plan.json"; }
  std::filesystem::path of(const study::PlannedRun& run) const { return path / "runs" / run.name; }
  std::filesystem::path output(const study::PlannedRun& run) const { return of(run) / "output"; }
  /// The folder with the metrics that count: the recorded ones, or those of the run here.
  std::filesystem::path measured(const study::PlannedRun& run) const {
    const auto recorded = of(run) / "recorded";
    std::error_code ignored;
    return std::filesystem::exists(recorded, ignored) ? recorded : output(run);
  }

  /// What to remove, in words; the texts in `data` may be the only ones.
  std::string how_to_begin_again() const { return "remove plan.json, records.jsonl and runs from " + path.string(); }

  std::string file;            ///< study.json
  std::filesystem::path path;  ///< the folder
};

/// The last lines of a file that are not empty; "" if it cannot be read.
inline std::string last_lines(const std::filesystem::path& path, std::size_t count) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, line.rfind('\r') == std::string::npos ? 0 : line.rfind('\r') + 1);  // of a progress bar
    if (line.find_first_not_of(" \t") != std::string::npos) lines.push_back(line);
    if (lines.size() > count) lines.erase(lines.begin());
  }
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

/// How far a run is.
struct RunState {
  bool trained = false;                      ///< its metrics.jsonl has a final row
  bool away = false;                         ///< it is the base, and only its records are here, not the model
  double valid_loss = 0;                     ///< of that row
  bool tested = false;                       ///< the test set has been read
  bool sampled = false;                      ///< there is a sample
  std::optional<std::string> diverged = {};  ///< what the training program said

  /// For choosing a setting.
  double loss() const { return diverged ? std::numeric_limits<double>::infinity() : valid_loss; }
};

/// Whether a run's model must read the test set.
inline bool needs_test(const study::StudyPlan& plan, const study::PlannedRun& run) {
  return run.kind == study::RunKind::Final && plan.study.test.given();
}

/// Whether it must continue a text: causal language models do, with the first seed.
inline bool needs_sample(const study::StudyPlan& plan, const study::PlannedRun& run) {
  return plan.study.task == "causal_lm" && needs_test(plan, run) && !is_token_file(plan.study.test.text) &&
         run.seed == plan.study.seeds.front();
}
inline bool is_done(const study::StudyPlan& plan, const study::PlannedRun& run, const RunState& state) {
  return state.diverged ||
         (state.trained && (state.tested || !needs_test(plan, run)) && (state.sampled || !needs_sample(plan, run)));
}

inline constexpr int sampled_tokens = 200;

inline std::filesystem::path sample_of(const StudyFolder& folder, const study::PlannedRun& run) {
  return folder.of(run) / "sample.txt";
}

/// What a test leaves behind, last of all.
inline std::filesystem::path test_result(const StudyFolder& folder, const study::PlannedRun& run) {
  return folder.of(run) / "test.json";
}
inline std::filesystem::path test_segments(const StudyFolder& folder, const study::PlannedRun& run) {
  return folder.of(run) / "test.segments";
}

/// The validation loss of the final row of a folder's metrics.jsonl; none if the run has not ended. Throws FileError,
/// also for a run without evaluations.
inline std::optional<double> final_loss(const std::filesystem::path& folder) {
  const auto metrics = folder / "metrics.jsonl";
  std::optional<double> loss;
  if (std::error_code ignored; std::filesystem::exists(metrics, ignored))
    na::io::read_json_lines<nlohmann::json>(metrics, na::io::TornLine::LeaveOut, [&](const nlohmann::json& row) {
      if (!row.is_object() || !row.contains("final")) return;
      if (!row.contains("valid_loss"))
        throw na::FileError(metrics.string(), "the run was not evaluated; a study needs validation text");
      loss = na::io::get<double>(row, "valid_loss", metrics);
    });
  return loss;
}

/// Throws FileError for a folder that belongs to another run.
inline RunState state_of(const StudyFolder& folder, const study::PlannedRun& run) {
  RunState state;
  std::error_code ignored;
  const auto about = folder.of(run) / "run.json";
  if (!std::filesystem::exists(about, ignored)) {
    if (std::filesystem::exists(folder.output(run) / "metrics.jsonl", ignored))
      throw na::FileError(folder.of(run).string(), "has no run.json, so the run that wrote its files is unknown");
    return state;
  }
  const auto json = na::io::read_json(about);
  if (na::io::get<std::string>(json, "hash", about) != run.hash)
    throw na::FileError(about.string(),
                        "is of a run with other flags, other data or another version of the training program; it "
                        "cannot be part of this study");
  if (json.contains("diverged")) state.diverged = na::io::get<std::string>(json, "diverged", about);
  const auto measured = folder.measured(run);
  if (const auto loss = final_loss(measured)) {
    state.trained = true;
    state.valid_loss = *loss;
  }
  state.away = run.kind == study::RunKind::Base && state.trained && measured != folder.output(run) &&
               !final_loss(folder.output(run));
  state.tested = std::filesystem::exists(test_result(folder, run), ignored);
  state.sampled = std::filesystem::exists(sample_of(folder, run), ignored);
  return state;
}

/// What asks a training run to save and end: launchers hand SIGUSR1 on to their processes, but end at SIGTERM.
inline int stop_signal(const study::StudyConfig& config) { return config.launcher.empty() ? SIGTERM : SIGUSR1; }

/// The command that trains with these flags.
inline Command train_with(const std::string& program, const study::StudyConfig& config, const study::FlagSet& flags) {
  Command command = config.launcher;
  command.insert(command.end(), {program, "train"});
  for (auto& argument : study::arguments_of(flags)) command.push_back(std::move(argument));
  return command;
}

/// The command that trains, or goes on training, a run.
inline Command training_command(const std::string& program, const StudyFolder& folder, const study::StudyPlan& plan,
                                const study::PlannedRun& run) {
  auto command = train_with(program, plan.study, run.flags);
  if (plan.study.base && run.kind != study::RunKind::Base)
    command.push_back("--model=" + folder.output(study::base_run(plan)).string());
  command.push_back("--output_dir=" + folder.output(run).string());
  command.push_back("--resume_from_checkpoint=auto");
  return command;
}

/// Where a run runs.
struct Place {
  std::string machine;
  std::string program;  ///< fingerprint of the training program
};

inline void write_about(const StudyFolder& folder, const study::PlannedRun& run, const Command& command,
                        const Place& place, const std::optional<std::string>& diverged = {}) {
  nlohmann::ordered_json json = {{"hash", run.hash},
                                 {"arm", run.arm},
                                 {"seed", run.seed},
                                 {"flags", run.flags},
                                 {"machine", place.machine},
                                 {"program", place.program},
                                 {"command", shell_text(command)}};
  if (diverged) json["diverged"] = *diverged;
  const auto path = folder.of(run) / "run.json";
  na::io::write_file_atomically(path, na::io::json_text(json, path, 2) + "\n");
}

}  // namespace examples
