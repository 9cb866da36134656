// Training runs of a second, with system calls that fail or kill them (inject.cpp), and what a run leaves behind in the
// end, to be compared with an undisturbed one.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "examples/corpus_files.hpp"
#include "examples/programs.hpp"

namespace faults {

using namespace programs;

/// What a run leaves: the bytes of its model, and the rows of its metrics without times.
struct Remains {
  std::map<std::string, std::string> files;
  std::vector<std::string> rows;
  bool operator==(const Remains&) const = default;
};

inline std::vector<std::string> rows_without_times(const std::string& text) {
  std::vector<std::string> rows;
  for (const auto& line : lines_of(text)) {
    nlohmann::ordered_json row;
    const auto whole = nlohmann::ordered_json::parse(line);
    for (const auto& [name, value] : whole.items())
      if (!contains(name, "seconds") && !contains(name, "per_second")) row[name] = value;
    rows.push_back(row.dump());
  }
  return rows;
}

/// A folder with a corpus, and one program that trains a tiny model on it for four steps, a checkpoint after each.
struct Runs : Folder {
  explicit Runs(std::string which) : program(std::move(which)) {
    write_corpus(folder / "data", 60, 10);
    write(folder / "translation.json",
          R"({"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
              "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
              "max_position_embeddings": 32})");
    write(folder / "masked_lm.json",
          R"({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
              "max_position_embeddings": 34})");
  }

  Arguments training(const Arguments& more = {}) const {
    Arguments arguments = {"train",
                           "--data",
                           path("data"),
                           "--config",
                           path(program + ".json"),
                           "--max_steps",
                           "4",
                           "--save_steps",
                           "1",
                           "--eval_steps",
                           "2",
                           "--logging_steps",
                           "1",
                           "--warmup_steps",
                           "1",
                           "--threads",
                           "1",
                           "--output_dir",
                           path("run")};
    if (program == "translation")
      arguments.insert(arguments.end(),
                       {"--vocab_size", "120", "--mini_batch_words", "60", "--max_target_length", "8"});
    else
      arguments.insert(arguments.end(), {"--vocab_size", "300", "--per_device_train_batch_size", "4"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// A run with a fault, such as "rename:3:KILL"; "" for none. A flag in `more` counts more than that of training().
  Outcome disturbed(const std::string& fault, const Arguments& more = {}) const {
    const auto library = (fs::path(NEURAL_ATTENTION_BIN_DIR).parent_path() / "tests" / "fault_injection.so").string();
    BOOST_REQUIRE_MESSAGE(fs::exists(library), library << " has not been built");
    const std::map<std::string, std::string> environment = {
        {"LD_PRELOAD", library}, {"FAULT_FOLDER", path("run")}, {"FAULT", fault}, {"FAULT_COUNTS", path("counts")}};
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    const auto outcome = run(program, training(more));
    for (const auto& [name, value] : environment) unsetenv(name.c_str());
    return outcome;
  }

  /// Goes on with a run that was cut off, or begins it where nothing was saved.
  Outcome go_on() const { return run(program, training({"--resume_from_checkpoint", "auto"})); }

  void forget() const { fs::remove_all(folder / "run"); }

  /// How many calls of each kind an undisturbed run makes, and how many bytes it writes.
  std::map<std::string, long> calls() const {
    forget();
    const auto outcome = disturbed("");
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    std::map<std::string, long> counts;
    std::istringstream text(content(folder / "counts"));
    std::string kind;
    for (long number = 0; text >> kind >> number;) counts[kind] = number;
    return counts;
  }

  /// The model of the run and its metrics. Checkpoints are left out: which ones are kept depends on when it was cut
  /// off.
  Remains remains() const {
    Remains all;
    for (const auto& item : fs::directory_iterator(folder / "run")) {
      const auto name = item.path().filename().string();
      if (item.is_directory() || name.starts_with("metrics.") || name.ends_with(".svg")) continue;
      all.files[name] = content(item.path());
    }
    all.rows = rows_without_times(content(folder / "run" / "metrics.jsonl"));
    return all;
  }

  std::string program;
};

/// What differs, for a message.
inline std::string difference(const Remains& got, const Remains& expected) {
  std::string text;
  for (const auto& [name, bytes] : expected.files)
    if (!got.files.contains(name))
      text += name + " is missing; ";
    else if (got.files.at(name) != bytes)
      text += name + " differs; ";
  for (const auto& [name, bytes] : got.files)
    if (!expected.files.contains(name)) text += name + " is left over; ";
  for (std::size_t i = 0; i < std::max(got.rows.size(), expected.rows.size()); ++i)
    if (i >= got.rows.size() || i >= expected.rows.size() || got.rows[i] != expected.rows[i])
      text += "row " + std::to_string(i) + " of metrics.jsonl is " + (i < got.rows.size() ? got.rows[i] : "missing") +
              ", expected " + (i < expected.rows.size() ? expected.rows[i] : "none") + "; ";
  return text;
}

}  // namespace faults
