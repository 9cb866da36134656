// The runs of a study: what is missing is run, by any number of processes that share the folder; what was cut off goes
// on. A run that diverges, as its exit code says, is a result, and a sample may be missing. Any other failure stops the
// study.
#pragma once

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/exit_codes.hpp"
#include "common/interruption.hpp"
#include "common/standard_streams.hpp"
#include "common/table.hpp"
#include "neural_attention/study/fingerprint.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/base_again.hpp"
#include "projector_study/child.hpp"
#include "projector_study/keep_test.hpp"
#include "projector_study/known_runs.hpp"
#include "projector_study/machine.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/test_command.hpp"
#include "projector_study/training_program.hpp"

namespace examples {

/// The first words of a text: the prompt of samples.
inline std::string first_words(const std::string& path) {
  constexpr std::size_t most = 4;
  std::string words;
  const auto text = beginning_of(path);
  std::istringstream lines{std::string(na::text::without_byte_order_mark(text))};
  long number = 0;
  for (std::string line; std::getline(lines, line);) {
    na::text::require_utf8(path, ++number, line);
    std::istringstream rest(line);
    std::size_t count = 0;
    for (std::string word; count < most && rest >> word; ++count) words += (count == 0 ? "" : " ") + word;
    if (count > 0) return words;
  }
  throw na::FileError(path, "has no words for the beginning of a sample");
}

class StudyRunner {
 public:
  /// `only`: the name of one run, or empty.
  StudyRunner(const StudyFolder& folder, const study::StudyPlan& plan, std::string only, int jobs,
              const Interruption& interruption)
      : folder_(folder),
        plan_(plan),
        program_(find_program(plan.study.program)),
        place_{machine_text(), study::fingerprint_of(program_)},
        only_(std::move(only)),
        jobs_(static_cast<std::size_t>(jobs)),
        interruption_(interruption),
        states_(folder, plan) {}

  /// Returns the exit code: 0, or 128 + the signal that stopped it. Throws Error for a run that failed.
  int run() {
    if (plan_.study.base) check_base();  // an earlier process may have ended between training it and this
    for (;;) {
      for (std::size_t i = 0; i < active_.size();) {
        Ending ending;
        if (!active_[i].child.ended(ending))
          ++i;
        else if (finish(active_[i], ending))
          active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (interruption_.requested() || !failure_.empty()) {
        stop();
        if (active_.empty()) {
          if (!failure_.empty()) throw na::Error(failure_);
          tell("projector_study: interrupted; the same command continues");
          return interruption_.exit_code();
        }
      } else if (active_.size() < jobs_ && !start_some() && active_.empty()) {
        return 0;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

 private:
  enum class Stage { Training, Testing, Sampling };
  struct Job {
    study::PlannedRun run;
    na::io::platform::FileHandle claim;
    Child child;
    Stage stage;
  };

  std::filesystem::path log_of(const study::PlannedRun& run) const { return folder_.of(run) / "log.txt"; }

  /// Starts what is free, as far as there is room. False if everything is done.
  bool start_some() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return true;
    const auto known = states_.read();
    if (only_.empty() && known.all_done(plan_)) return false;
    bool found = only_.empty(), left = false, base_missing = false;
    for (const auto& [run, state] : known.items) {
      if (active_.size() == jobs_) return true;
      if (!only_.empty() && run.name != only_) continue;
      found = true;
      if (is_done(plan_, run, state)) continue;
      left = true;
      if (known.base_away && !state.trained)
        base_missing = true;
      else if (!is_active(run))
        claim(run);
    }
    if (base_missing && active_.size() < jobs_ && !is_active(known.items.front().run)) claim(known.items.front().run);
    if (!found) {
      if (is_hopeless(known)) return false;
      throw na::ConfigError("the study has no run " + na::in_quotes(only_) + what_waits(known));
    }
    next_look_ = now + std::chrono::milliseconds(active_.size() == jobs_ ? 0 : 500);
    return left || (only_.empty() && known.waiting > 0);
  }

  /// Whether `only_` belongs to an arm that diverged with every setting; says so.
  bool is_hopeless(const KnownRuns& known) const {
    for (const auto& arm : known.hopeless) {
      auto runs = study::final_runs(plan_, arm, 0);
      if (arm == plan_.study.control && plan_.study.convergence) runs.push_back(study::twice_run(plan_, 0));
      if (std::none_of(runs.begin(), runs.end(), [&](const auto& run) { return run.name == only_; })) continue;
      tell("projector_study: " + arm + " diverged with every setting, so there is no run " + only_);
      return true;
    }
    return false;
  }

  /// What runs wait for that are not known yet, as the end of a sentence.
  std::string what_waits(const KnownRuns& known) const {
    if (known.waiting == 0) return {};
    const auto& first = known.items.front();
    return first.run.kind == study::RunKind::Base && !first.state.trained
               ? ", or it waits for the base model, " + first.run.name
               : ", or it waits for the tuning of its arm";
  }

  bool is_active(const study::PlannedRun& run) const {
    return std::any_of(active_.begin(), active_.end(), [&](const Job& job) { return job.run.name == run.name; });
  }

  /// Takes a run unless another process has it.
  void claim(const study::PlannedRun& run) {
    make_folder(folder_.of(run));
    auto lock = na::io::platform::lock_folder(folder_.of(run));
    if (!lock.is_open()) return;
    const auto state = state_of(folder_, run);  // another process may have ended it in the meantime
    if (is_done(plan_, run, state) && !state.away) return;
    if (!state.trained || state.away) {
      const auto command = training_command(program_, folder_, plan_, run);
      if (state.away)
        tell("projector_study: training " + run.name +
             " again, from which missing runs start: only its records are here");
      else
        write_about(folder_, run, command, place_);
      const int descriptor = lock.descriptor();
      active_.push_back({run, std::move(lock),
                         Child(command, log_of(run), log_of(run), descriptor, stop_signal(plan_.study)),
                         Stage::Training});
    } else if (!state.tested) {
      active_.push_back(testing(run, std::move(lock)));
    } else if (auto job = sampling(run, std::move(lock))) {
      active_.push_back(std::move(*job));
    }
  }

  Job testing(const study::PlannedRun& run, na::io::platform::FileHandle lock) const {
    const auto out = folder_.of(run) / "test.part";
    std::error_code ignored;
    std::filesystem::remove(out, ignored);
    const auto command = test_command(program_, plan_.study, run.flags, folder_.output(run), plan_.study.test, out);
    const int descriptor = lock.descriptor();
    return {run, std::move(lock), Child(command, translates(plan_.study) ? log_of(run) : out, log_of(run), descriptor),
            Stage::Testing};
  }

  /// None, and a note in the place of the sample, if the test text has no words.
  std::optional<Job> sampling(const study::PlannedRun& run, na::io::platform::FileHandle lock) const {
    try {
      return sampling_with(first_words(plan_.study.test.text), run, std::move(lock));
    } catch (const na::FileError& error) {
      note_sample(run, error.what());
      return {};
    }
  }

  void note_sample(const study::PlannedRun& run, const std::string& why) const {
    na::io::write_file_atomically(sample_of(folder_, run), "no sample: " + why + "\n");
    tell("projector_study: " + run.name + " has no sample: " + why);
  }

  Job sampling_with(const std::string& words, const study::PlannedRun& run, na::io::platform::FileHandle lock) const {
    const auto prompt = folder_.of(run) / "prompt.txt", out = folder_.of(run) / "sample.part";
    na::io::write_file_atomically(prompt, words + "\n");
    std::error_code ignored;
    std::filesystem::remove(out, ignored);
    const Command command = {program_,
                             "generate",
                             "--model=" + folder_.output(run).string(),
                             "--input=" + prompt.string(),
                             "--do_sample",
                             "--top_k=0",
                             "--temperature=0.8",
                             "--seed=1",
                             "--max_new_tokens=" + std::to_string(sampled_tokens),
                             "--threads=1"};
    const int descriptor = lock.descriptor();
    return {run, std::move(lock), Child(command, out, log_of(run), descriptor), Stage::Sampling};
  }

  /// What follows from the end of a child: true if the run is over, at least for now.
  bool finish(Job& job, const Ending& ending) {
    const auto& run = job.run;
    if (ending.code != 0) {
      if (interruption_.requested() || stopping_) return true;
      if (job.stage == Stage::Sampling && !ending.signalled) {  // such as a prompt that is longer than the context
        note_sample(run, last_lines(log_of(run), 1));
        return true;
      }
      if (ending.code == exit_codes::diverged && !state_of(folder_, run).away) {
        const auto why = last_message(job);
        write_about(folder_, run, training_command(program_, folder_, plan_, run), place_, why);
        tell("projector_study: " + run.name + " diverged: " + why);
        return true;
      }
      failure_ = "the run " + run.name +
                 (ending.signalled ? " was ended by signal " + std::to_string(ending.code - 128)
                                   : " failed with code " + std::to_string(ending.code)) +
                 "; its last lines in " + log_of(run).string() + " are\n" + last_lines(log_of(run), 5);
      return true;
    }
    const bool goes_on = !interruption_.requested() && failure_.empty();
    if (job.stage == Stage::Sampling) {
      na::io::platform::rename_over(folder_.of(run) / "sample.part", sample_of(folder_, run));
    } else if (job.stage == Stage::Testing) {
      keep_test(folder_, plan_, run, folder_.of(run) / "test.part");
      if (needs_sample(plan_, run) && goes_on) {
        auto next = sampling(run, std::move(job.claim));
        if (!next) return true;
        job = std::move(*next);
        return false;
      }
    } else {
      const auto state = state_of(folder_, run);
      if (!state.trained || state.away) {
        failure_ =
            "the run " + run.name + " ended without a final row in " + (folder_.output(run) / "metrics.jsonl").string();
        return true;
      }
      tell("projector_study: " + run.name + ": validation loss " + fixed(*final_loss(folder_.output(run)), 4));
      if (run.kind == study::RunKind::Base) check_base();
      if (needs_test(plan_, run) && goes_on) {
        job = testing(run, std::move(job.claim));
        return false;
      }
    }
    return true;
  }

  /// Says if the base was trained again and is not the recorded one.
  void check_base() const {
    if (const auto note = note_other_base(folder_, study::base_run(plan_), place_.machine); !note.empty())
      tell("projector_study: " + note);
  }

  /// The last line of the program, which begins with its name; a launcher of training adds lines of its own behind it.
  std::string last_message(const Job& job) const {
    auto found = last_lines(log_of(job.run), 1);
    if (job.stage != Stage::Training || plan_.study.launcher.empty()) return found;
    const auto name = std::filesystem::path(program_).filename().string() + ": ";
    std::istringstream lines(last_lines(log_of(job.run), 30));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name)) found = line;
    return found;
  }

  /// Tells the children to save and end, once.
  void stop() {
    if (std::exchange(stopping_, true)) return;
    for (const auto& job : active_) job.child.stop();
  }

  const StudyFolder& folder_;
  const study::StudyPlan& plan_;
  std::string program_;
  Place place_;
  std::string only_;
  std::size_t jobs_;
  const Interruption& interruption_;
  StudyStates states_;
  std::vector<Job> active_;
  std::chrono::steady_clock::time_point next_look_ = {};
  std::string failure_;
  bool stopping_ = false;
};

}  // namespace examples
