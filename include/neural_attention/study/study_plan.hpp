// The plan of an experiment: the arms of study.json and the controls that match them, what is compared with what, and
// all runs. It is made once and written to plan.json, so that an interrupted study continues with the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/study/study_config.hpp"
#include "neural_attention/study/tuning.hpp"

namespace neural_attention::study {

struct ArmSize {
  std::int64_t parameters = 0;
  std::int64_t flops = 0;  ///< of the forward pass, a token
};

struct ArmTime {
  double step = 0;     ///< seconds of an optimizer step
  double outside = 0;  ///< seconds of a run outside its steps: reading data, learning a vocabulary, saving
};

struct PlannedArm {
  std::string name;
  FlagSet flags;  ///< with the flags of all arms, without the flags of tuning
  ArmSize size;
  ArmTime time;
};

/// An arm against its control.
struct PlannedComparison {
  std::string arm, control;
  Matching matching = Matching::Steps;
  /// The matched quantity of the arm minus that of its control, as a share of the control's. NaN for steps if the arm
  /// or the control counts epochs: then only the runs say how many steps they have.
  double unmatched = 0;
};

struct StudyPlan {
  StudyConfig study;
  std::string file = {};                    ///< study.json as the command that made the plan named it, or ""
  std::string machine;                      ///< that measured the times
  std::string version;                      ///< of the library, and its commit
  std::string program;                      ///< fingerprint of the training program
  std::map<std::string, std::string> data;  ///< fingerprints by path
  std::vector<PlannedArm> arms;             ///< the arms of the study, then the matched controls
  std::vector<PlannedComparison> comparisons;

  const PlannedArm& arm(std::string_view name) const;
};

/// How the sizes and times of arms are found; the flags belong to an arm.
struct Measurements {
  std::function<ArmSize(const FlagSet&)> size;
  std::function<ArmTime(const FlagSet&)> time;
};

/// Finds the controls and what is compared. For "parameters" and "flops" a control's width makes it as large as the
/// arm; for "time" a control trains as many steps as fit into the arm's time. Controls with equal flags are one arm.
/// Throws ConfigError for what cannot be matched. The other members of the plan remain empty.
StudyPlan plan_arms(const StudyConfig& study, const Measurements& measure);

/// The purpose of a run: the model from which all arms start, the choice of a setting, the judgement of an arm, or
/// whether twice the steps give more.
enum class RunKind { Base, Tuning, Final, Twice };

/// One training run.
struct PlannedRun {
  std::string name;  ///< of its folder
  std::string arm;   ///< "" of the base
  RunKind kind = RunKind::Final;
  std::size_t setting = 0;  ///< of the grid
  std::uint64_t seed = 0;
  FlagSet flags;     ///< all that the training program gets, without the folder and the base model
  std::string hash;  ///< of all that its numbers depend on
};

/// The run of the model from which all arms start. Throws ConfigError if the study has none.
PlannedRun base_run(const StudyPlan& plan);
/// The runs that choose an arm's setting; none without a grid.
std::vector<PlannedRun> tuning_runs(const StudyPlan& plan, const std::string& arm);
/// The runs that judge it, with a setting of the grid.
std::vector<PlannedRun> final_runs(const StudyPlan& plan, const std::string& arm, std::size_t setting);
/// The control's run with its first seed, and twice as many steps of training, warm-up and between evaluations.
PlannedRun twice_run(const StudyPlan& plan, std::size_t setting);

/// The arguments of the command `train`, in the order of the flags' names.
std::vector<std::string> arguments_of(const FlagSet& flags);

/// The paths of data: those of the test, and what data, train_file and validation_file, train_source and so on, config,
/// tokenizer and model of any arm or the base name, if it is a file or a folder.
std::vector<std::string> data_paths(const StudyConfig& study);

/// The text of plan.json, without the words for readers.
std::string plan_text(const StudyPlan& plan);
/// Reads it. Throws FileError.
StudyPlan load_plan(const std::filesystem::path& path);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/plan_file.hpp"
#include "neural_attention/study/impl/study_plan.hpp"
#endif
