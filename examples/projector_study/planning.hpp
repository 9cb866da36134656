// plan.json: made once, read by every later command, refused if study.json or what it names has changed.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "common/interruption.hpp"
#include "common/standard_streams.hpp"
#include "neural_attention/core/version.hpp"
#include "neural_attention/study/fingerprint.hpp"
#include "neural_attention/study/study_plan.hpp"
#include "projector_study/commit.hpp"
#include "projector_study/machine.hpp"
#include "projector_study/records.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/training_program.hpp"

namespace examples {

/// `now` is what study.json says. Throws FileError, which says what is no longer as the plan found it.
inline void require_same_study(const StudyFolder& folder, const study::StudyPlan& plan, const study::StudyConfig& now) {
  const std::string another = " since " + folder.plan().string() +
                              " was written; runs before and after cannot be compared: give the new study another "
                              "file name, or " +
                              folder.how_to_begin_again();
  if (const auto key = study::changed_key(plan.study, now); !key.empty())
    throw na::FileError(folder.file, "\"" + key + "\" has changed" + another);
}
/// The program may differ if it is known to be `rebuilt`.
inline void require_same_inputs(const StudyFolder& folder, const study::StudyPlan& plan, const std::string& program,
                                bool rebuilt) {
  const std::string another = " has changed since " + folder.plan().string() +
                              " was written; runs before and after cannot be compared: restore it, or " +
                              folder.how_to_begin_again();
  if (!rebuilt && study::fingerprint_of(program) != plan.program)
    throw na::FileError(program, "the training program" + another +
                                     "; if you only rebuilt it from the same sources, add --rebuilt_program");
  for (const auto& [path, hash] : plan.data) {
    if (std::error_code ignored; !std::filesystem::exists(path, ignored))
      throw na::FileError(path, "the study's data is not here; paths in " + folder.file +
                                    " count from the folder in which the command runs");
    // Plans of earlier versions counted a study.json beside the data.
    if (study::fingerprint_of(path, folder.file) != hash && study::fingerprint_of(path) != hash)
      throw na::FileError(path, "the data" + another);
  }
}

/// "0.1.0, commit 0123456789ab"
inline std::string version_text() {
  const std::string commit(commit_of_sources);
  return std::string(na::version_string) + (commit.empty() ? "" : ", commit " + commit);
}

/// The plan of a study, which is made if there is none.
inline study::StudyPlan plan_of(const StudyFolder& folder, const Interruption& interruption,
                                bool rebuilt_program = false) {
  std::error_code ignored;
  const auto config = study::load_study(folder.file);
  const auto program = find_program(config.program);
  const auto known = [&]() -> std::optional<study::StudyPlan> {
    if (!std::filesystem::exists(folder.plan(), ignored)) return {};
    auto plan = study::load_plan(folder.plan());
    require_same_study(folder, plan, config);
    require_same_inputs(folder, plan, program, rebuilt_program);
    unpack_records(folder);
    return plan;
  };
  if (auto plan = known()) return *plan;
  const auto data = study::data_paths(config);
  for (const auto& path : data)
    if (std::filesystem::equivalent(path, folder.path, ignored))
      throw na::FileError(folder.file, "would keep its results in " + folder.path.string() +
                                           ", which is its data; give the study another name");
  make_folder(folder.path);
  na::io::platform::FileHandle lock;
  for (;;) {
    lock = na::io::platform::lock_folder(folder.path);
    if (lock.is_open()) break;
    if (interruption.requested()) throw Interrupted{interruption.exit_code()};
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // another process makes the plan
  }
  if (auto plan = known()) return *plan;
  TrainingProgram training(program, folder.path / "calibration", interruption);
  tell("projector_study: measuring the sizes and times of the arms");
  // Arms of a base model are measured as if they started from nothing: that model does not exist yet.
  const auto alone = [&](const study::FlagSet& flags) {
    if (!config.base) return flags;
    auto all = study::merged(*config.base, flags);
    for (const auto* const flag : {"init_projections", "reinitialise"}) all.erase(flag);
    return all;
  };
  study::FlagSet last_timed;
  study::StudyPlan plan;
  if (config.base) training.size(*config.base);  // so that a wrong flag of it shows now
  try {
    plan = study::plan_arms(
        config, {[&](const study::FlagSet& flags) { return training.size(alone(flags)); },
                 [&](const study::FlagSet& flags) { return training.time(config, last_timed = alone(flags)); }});
  } catch (const na::ConfigError& error) {
    throw na::FileError(folder.file, error.what());
  }
  if (config.test.given()) training.try_test(config, last_timed);
  plan.file = folder.file;
  plan.machine = machine_text();
  plan.version = version_text();
  plan.program = study::fingerprint_of(program);
  for (const auto& path : data) plan.data[path] = study::fingerprint_of(path, folder.file);
  na::io::write_file_atomically(folder.plan(), study::plan_text(plan));
  return plan;
}

}  // namespace examples
