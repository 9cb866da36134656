// Training runs of a second, which faults may cut off, and what a run leaves behind in the end, to be compared with an
// undisturbed one.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "examples/corpus_files.hpp"
#include "faults/faulty_folder.hpp"

namespace faults {

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

/// What is trained: a program with its tiny model, and the flags for its text.
struct Training {
  std::string program, config;
  Arguments flags;
  std::string data = "data";  ///< or tokens, which are made of it by characters
};

inline const Training translation = {
    "translation",
    R"({"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "max_position_embeddings": 32})",
    {"--vocab_size", "120", "--mini_batch_words", "60", "--max_target_length", "8"}};
inline const Training masked_lm = {
    "masked_lm",
    R"({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
        "max_position_embeddings": 34})",
    {"--vocab_size", "300", "--per_device_train_batch_size", "4"}};
inline const std::string tiny_gpt2 = R"({"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16})";
inline const Training causal_lm = {
    "causal_lm", tiny_gpt2, {"--tokenizer", "characters", "--per_device_train_batch_size", "4"}};
inline const Training causal_lm_on_tokens = {
    "causal_lm", tiny_gpt2, {"--windows", "shuffled", "--per_device_train_batch_size", "4"}, "tokens"};

/// A folder with a corpus, and one program that trains a tiny model on it for four steps, a checkpoint after each.
struct Runs : FaultyFolder {
  explicit Runs(const Training& what) : program(what.program), flags_(what.flags), data_(what.data) {
    write_corpus(folder / "data", 60, 10);
    write(folder / "tiny.json", what.config);
    if (data_ == "data") return;
    const auto made =
        run(program, {"tokenize", "--data", path("data"), "--tokenizer", "characters", "--output_dir", path(data_)});
    BOOST_REQUIRE_MESSAGE(made.code == 0, made.err);
  }

  Arguments training(const Arguments& more = {}) const {
    Arguments arguments = {"train",
                           "--data",
                           path(data_),
                           "--config",
                           path("tiny.json"),
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
    arguments.insert(arguments.end(), flags_.begin(), flags_.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// A run with a fault. A flag in `more` counts more than that of training().
  Outcome disturbed(const std::string& fault, const Arguments& more = {}) const {
    return run_with(fault, "run", program, training(more));
  }

  /// Goes on with a run that was cut off, or begins it where nothing was saved.
  Outcome go_on() const { return run(program, training({"--resume_from_checkpoint", "auto"})); }

  void forget() const { fs::remove_all(folder / "run"); }

  /// Those of an undisturbed run.
  Counts calls() const {
    forget();
    const auto outcome = disturbed("");
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return calls_made();
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

 private:
  Arguments flags_;
  std::string data_;
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
