// The training program of a study: where it is, how large it says a model is, and how long a step takes.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "common/interruption.hpp"
#include "common/text_files.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"
#include "projector_study/child.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/test_command.hpp"

namespace examples {

/// Thrown if a signal asks to stop.
struct Interrupted {
  int exit_code;
};

/// The program itself: a path with a '/', or the name of a program beside this one. Throws FileError.
inline std::string find_program(const std::string& name) {
  std::error_code error;
  auto path = std::filesystem::path(name);
  if (name.find('/') == std::string::npos)
    path = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name;
  if (error || ::access(path.c_str(), X_OK) != 0 || std::filesystem::is_directory(path, error))
    throw na::FileError(path.string(), "is not a program that can be run (\"program\" in study.json names it)");
  return path.string();
}

inline std::string whole_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline constexpr std::size_t most_of_beginning = std::size_t{1} << 18;  ///< bytes

/// The first characters of a plain or gzip-compressed text, at most `most_of_beginning` bytes. Throws FileError.
inline std::string beginning_of(const std::string& path) {
  auto text = na::text::read_text_bytes(path);
  if (text.size() > most_of_beginning)
    text.resize(na::text::CharacterVocabulary::last_border(std::string_view(text).substr(0, most_of_beginning)));
  return text;
}

/// Runs a command to its end. Returns what it prints; throws Error with its last message if it fails.
inline std::string output_of(const Command& command, const std::filesystem::path& work,
                             const Interruption& interruption) {
  make_folder(work);
  const auto out = work / "stdout", err = work / "stderr";
  std::error_code ignored;
  std::filesystem::remove(out, ignored);
  std::filesystem::remove(err, ignored);
  Child child(command, out, err);
  Ending ending;
  for (auto pause = std::chrono::milliseconds(1); !child.ended(ending);
       pause = std::min(pause * 2, std::chrono::milliseconds(50))) {
    if (interruption.requested()) throw Interrupted{interruption.exit_code()};
    std::this_thread::sleep_for(pause);
  }
  if (ending.code != 0) {
    auto message = last_lines(err, 1);
    if (message.starts_with('(')) message = last_lines(err, 2);  // the hint on --help stands below the error
    throw na::Error(message.empty() ? shell_text(command) + " ended with code " + std::to_string(ending.code)
                                    : message);
  }
  return whole_file(out);
}

/// Asks a training program about arms, in a folder for its files.
class TrainingProgram {
 public:
  TrainingProgram(std::string path, std::filesystem::path work, const Interruption& interruption)
      : path_(std::move(path)), work_(std::move(work)), interruption_(interruption) {}
  ~TrainingProgram() {
    std::error_code ignored;
    std::filesystem::remove_all(work_, ignored);
  }
  TrainingProgram(const TrainingProgram&) = delete;
  TrainingProgram& operator=(const TrainingProgram&) = delete;

  study::ArmSize size(const study::FlagSet& flags) {
    const auto known = sizes_.find(flags);
    if (known != sizes_.end()) return known->second;
    Command command = {path_, "train"};
    for (auto& argument : study::arguments_of(flags)) command.push_back(std::move(argument));
    command.push_back("--dump_size");
    const auto json = na::io::parse_json<nlohmann::json>(output_of(command, work_, interruption_), path_);
    const study::ArmSize size{na::io::get<std::int64_t>(json, "parameters", path_),
                              na::io::get<std::int64_t>(json, "forward_flops_per_token", path_)};
    return sizes_[flags] = size;
  }

  /// Two short runs without evaluations; the faster one counts. Their learning rate is 0, so that no update diverges.
  study::ArmTime time(const study::StudyConfig& config, const study::FlagSet& flags) {
    const int steps = config.calibration_steps;
    auto short_run = study::merged({{"threads", "1"}}, flags);
    for (const auto* const flag : {"eval_steps", "eval_on_start", "early_stopping_patience", "save_steps"})
      short_run.erase(flag);
    short_run = study::merged(
        short_run,
        {{"eval_strategy", "no"}, {"learning_rate", "0"}, {"max_steps", std::to_string(steps)}, {"seed", "1"}});
    study::ArmTime time{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    for (int i = 0; i < 2; ++i) {
      std::error_code ignored;
      std::filesystem::remove_all(output(), ignored);
      auto command = train_with(path_, config, short_run);
      command.push_back("--output_dir=" + output().string());
      const auto begin = std::chrono::steady_clock::now();
      output_of(command, work_, interruption_);
      const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const auto metrics = output() / "metrics.jsonl";
      double seconds = -1;
      na::io::read_json_lines<nlohmann::json>(metrics, na::io::TornLine::Refuse, [&](const nlohmann::json& row) {
        if (row.is_object() && row.contains("final")) seconds = na::io::get<double>(row, "seconds", metrics);
      });
      if (!(seconds > 0)) throw na::FileError(metrics.string(), "has no final row with the seconds of training");
      time.step = std::min(time.step, seconds / steps);
      time.outside = std::min(time.outside, std::max(0.0, whole - seconds));
    }
    return time;
  }

  /// Whether the model of the last short run, which had `flags`, can read the test set: its beginning, so that a fault
  /// in the test's files or flags shows before any run. Throws Error with the program's message.
  void try_test(const study::StudyConfig& config, const study::FlagSet& flags) {
    auto test = config.test;
    try {
      if (translates(config))
        shorten_pairs(test);
      else if (!is_token_file(test.text))
        shorten_text(test);
      output_of(test_command(path_, config, flags, output(), test, work_ / "tested"), work_, interruption_);
    } catch (const na::Error& error) {
      throw na::Error("a model of " + na::counted(config.calibration_steps, "step") +
                      ", made to try the study's \"test\", cannot read it: " + error.what());
    }
  }

 private:
  std::filesystem::path output() const { return work_ / "output"; }

  void shorten_pairs(study::TestSet& test) const {
    constexpr std::size_t most_lines = 100;
    auto lines = na::text::read_lines(test.source);
    na::text::require_same_size(lines.size(), test.source, na::text::read_lines(test.reference).size(), test.reference,
                                "lines");
    lines.resize(std::min(lines.size(), most_lines));
    test.source = (work_ / "test.txt").string();
    write_lines(test.source, lines);
  }

  void shorten_text(study::TestSet& test) const {
    auto text = beginning_of(test.text);
    const auto line_end = text.rfind('\n');
    const bool cut = text.size() + 4 > most_of_beginning;  // at a character
    if (cut && line_end != std::string::npos && line_end >= most_of_beginning / 2) text.resize(line_end + 1);
    test.text = (work_ / "test.txt").string();
    na::io::write_file_atomically(test.text, text);
  }

  std::string path_;
  std::filesystem::path work_;
  const Interruption& interruption_;
  std::map<study::FlagSet, study::ArmSize> sizes_;
};

}  // namespace examples
