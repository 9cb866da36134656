// The runs of a report: <runs>/<experiment>/<arm>-seed<N>/metrics.jsonl, as TrainingLog writes it, and
// <runs>/<experiment>/about.md and <runs>/about.md in prose. The keys of a row give its kind: valid_loss (an
// evaluation), "final" (the result), "test" (the metric on a test set, added afterwards); rows of training steps are
// skipped.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "results_report/metric.hpp"

namespace examples {

namespace na = neural_attention;

inline constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

struct Evaluation {
  double step = 0.0, seconds = 0.0, loss = 0.0;
  double score = not_measured;
};

struct TestScore {
  std::string set;
  double value = 0.0;
  std::string signature;  ///< empty if the row has none
};

/// One training run.
struct Run {
  std::string path;  ///< of its metrics.jsonl
  const Metric* metric = nullptr;
  std::uint64_t seed = 0;
  std::int64_t parameters = 0, steps = 0;
  double valid_loss = 0.0, valid_score = not_measured, seconds = 0.0, tokens_per_second = 0.0;
  std::vector<Evaluation> evaluations;
  std::vector<TestScore> tests;

  const TestScore* test(std::string_view set) const {
    const auto found = std::find_if(tests.begin(), tests.end(), [&](const auto& score) { return score.set == set; });
    return found == tests.end() ? nullptr : &*found;
  }
};

inline double loss_at_start(const Run& run) {
  return run.evaluations.empty() || run.evaluations.front().step > 0 ? not_measured : run.evaluations.front().loss;
}

/// The runs of one arm, by ascending seed.
struct Arm {
  std::string name;
  std::vector<Run> runs;
};

struct Experiment {
  std::string name, about;
  std::vector<Arm> arms;  ///< by name

  /// Of all its runs.
  const Metric& metric() const { return *arms.front().runs.front().metric; }

  /// Whether a run was evaluated before its first step, as runs that start from a trained model are.
  bool evaluated_at_start() const {
    for (const auto& arm : arms)
      for (const auto& run : arm.runs)
        if (std::isfinite(loss_at_start(run))) return true;
    return false;
  }

  /// The test sets of all runs, in the order in which they first appear.
  std::vector<std::string> test_sets() const {
    std::vector<std::string> sets;
    for (const auto& arm : arms)
      for (const auto& run : arm.runs)
        for (const auto& score : run.tests)
          if (std::find(sets.begin(), sets.end(), score.set) == sets.end()) sets.push_back(score.set);
    return sets;
  }
};

namespace runs_detail {

namespace fs = std::filesystem;

/// The metric in a row, whose key begins with `prefix`. The first row with a metric sets the metric of the run; rows of
/// training steps and evaluations may have none.
inline double score_in(const nlohmann::json& row, const std::string& prefix, const std::string& where, Run& run) {
  double score = not_measured;
  for (const auto& metric : known_metrics) {
    const auto key = prefix + metric.key;
    if (!row.contains(key)) continue;
    if (run.metric && run.metric != &metric)
      throw na::FileError(where, std::string("has ") + metric.title + " in a run with " + run.metric->title);
    run.metric = &metric;
    score = na::io::get_or<double>(row, key, not_measured, where);
  }
  return score;
}

/// Reads one row of the metrics.jsonl `where`.
inline void take_row(const nlohmann::json& row, const std::string& where, Run& run, bool& finished) {
  if (row.contains("final")) {
    if (finished) throw na::FileError(where, "is a second final row");
    finished = true;
    if (const auto seed = na::io::get<std::uint64_t>(row, "seed", where); seed != run.seed)
      throw na::FileError(where, "is of a run with seed " + std::to_string(seed) + ", but its folder says seed " +
                                     std::to_string(run.seed));
    run.parameters = na::io::get<std::int64_t>(row, "parameters", where);
    run.steps = na::io::get<std::int64_t>(row, "steps", where);
    run.valid_loss = na::io::get<double>(row, "valid_loss", where);
    run.seconds = na::io::get<double>(row, "seconds", where);
    run.valid_score = score_in(row, "valid_", where, run);
    if (!run.metric) throw na::FileError(where, "lacks the metric, \"valid_bleu\" or \"valid_perplexity\"");
    run.tokens_per_second = na::io::get<double>(row, run.metric->speed_key, where);
  } else if (row.contains("test")) {
    TestScore score{na::io::get<std::string>(row, "test", where), score_in(row, "", where, run),
                    na::io::get_or<std::string>(row, "signature", "", where)};
    if (std::isnan(score.value)) throw na::FileError(where, "lacks a score, \"bleu\" or \"perplexity\"");
    if (run.test(score.set)) throw na::FileError(where, "is a second result on " + na::in_quotes(score.set));
    run.tests.push_back(std::move(score));
  } else if (row.contains("valid_loss")) {
    run.evaluations.push_back({na::io::get<double>(row, "step", where), na::io::get<double>(row, "seconds", where),
                               na::io::get<double>(row, "valid_loss", where), score_in(row, "valid_", where, run)});
  } else if (!row.contains("step")) {
    throw na::FileError(where, "is neither a step, an evaluation, a test nor the final row");
  }
}

/// Folders, or files, inside `folder`, sorted by name, without hidden ones.
inline std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  try {
    for (const auto& item : fs::directory_iterator(folder))
      if (item.is_directory() && !item.path().filename().string().starts_with('.')) found.push_back(item.path());
  } catch (const fs::filesystem_error& failed) {
    throw na::FileError(folder.string(), "cannot be listed: " + failed.code().message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Names become headings, table cells and file names.
inline void check_name(const fs::path& folder) {
  const auto name = folder.filename().string();
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (name.find_first_not_of(allowed) != std::string::npos)
    throw na::FileError(folder.string(), "must be named with letters, digits, '.', '_' and '-' only");
}

/// Runs of one experiment must share the metric, and runs of one arm also the number of parameters and the test sets;
/// otherwise their mean would be meaningless.
inline void check_alike(const Experiment& experiment) {
  const auto& judged = experiment.arms.front().runs.front();
  for (const auto& arm : experiment.arms) {
    const auto& first = arm.runs.front();
    for (const auto& run : arm.runs) {
      if (run.metric != judged.metric)
        throw na::FileError(run.path, std::string("is judged by ") + run.metric->title + ", but " + judged.path +
                                          " by " + judged.metric->title);
      if (run.parameters != first.parameters)
        throw na::FileError(run.path, "is of a model with " + std::to_string(run.parameters) + " parameters, but " +
                                          first.path + " of one with " + std::to_string(first.parameters));
      for (const auto* one : {&run, &first})
        for (const auto& score : one->tests)
          if (const auto& other = one == &run ? first : run; !other.test(score.set))
            throw na::FileError(other.path,
                                "has no result on " + na::in_quotes(score.set) + ", but " + one->path + " has one");
    }
  }
}

}  // namespace runs_detail

/// Throws FileError and LineError if the file is missing, malformed, or from a run that has not ended.
inline Run read_run(const std::filesystem::path& folder, std::uint64_t seed) {
  Run run;
  run.path = (folder / "metrics.jsonl").string();
  run.seed = seed;
  bool finished = false;
  na::io::read_json_lines<nlohmann::json>(run.path, na::io::TornLine::Refuse, [&](const nlohmann::json& row) {
    if (!row.is_object()) throw na::FileError(run.path, "is not a JSON object");
    runs_detail::take_row(row, run.path, run, finished);
  });
  if (!finished) throw na::FileError(run.path, "has no final row: the run has not ended");
  const auto later = [](const Evaluation& a, const Evaluation& b) { return a.step >= b.step || a.seconds > b.seconds; };
  if (std::adjacent_find(run.evaluations.begin(), run.evaluations.end(), later) != run.evaluations.end())
    throw na::FileError(run.path, "has evaluations that are not in the order of their steps");
  return run;
}

/// The text of the folder's about.md, or "". Throws FileError.
inline std::string read_about(const std::filesystem::path& folder) {
  const auto about = folder / "about.md";
  return std::filesystem::exists(about) ? na::text::read_text_bytes(about.string()) : "";
}

/// Reads one experiment. Throws FileError if a folder is not named <arm>-seed<N>, or if runs cannot be compared.
inline Experiment read_experiment(const std::filesystem::path& folder) {
  runs_detail::check_name(folder);
  Experiment experiment;
  experiment.name = folder.filename().string();
  experiment.about = read_about(folder);
  for (const auto& path : runs_detail::folders_in(folder)) {
    runs_detail::check_name(path);
    const auto name = path.filename().string();
    const auto mark = name.rfind("-seed");
    std::uint64_t seed = 0;
    const char* const end = name.data() + name.size();
    const char* const digits = mark == std::string::npos ? end : name.data() + mark + 5;
    if (const auto [stop, error] = std::from_chars(digits, end, seed);
        mark == 0 || digits == end || stop != end || error != std::errc{})
      throw na::FileError(path.string(), "must be named <arm>-seed<N>");
    const auto arm_name = name.substr(0, mark);
    auto arm = std::find_if(experiment.arms.begin(), experiment.arms.end(),
                            [&](const Arm& other) { return other.name == arm_name; });
    if (arm == experiment.arms.end()) arm = experiment.arms.insert(arm, {arm_name, {}});
    arm->runs.push_back(read_run(path, seed));
  }
  if (experiment.arms.empty()) throw na::FileError(folder.string(), "holds no runs");
  std::sort(experiment.arms.begin(), experiment.arms.end(), [](const Arm& a, const Arm& b) { return a.name < b.name; });
  for (auto& arm : experiment.arms)
    std::sort(arm.runs.begin(), arm.runs.end(), [](const Run& a, const Run& b) { return a.seed < b.seed; });
  runs_detail::check_alike(experiment);
  return experiment;
}

/// All experiments below `folder`, by name.
inline std::vector<Experiment> read_experiments(const std::filesystem::path& folder) {
  std::vector<Experiment> experiments;
  for (const auto& path : runs_detail::folders_in(folder)) experiments.push_back(read_experiment(path));
  if (experiments.empty()) throw na::FileError(folder.string(), "holds no experiments");
  return experiments;
}

}  // namespace examples
