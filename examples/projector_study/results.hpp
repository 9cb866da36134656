// The results of a study: its runs, the scores of its arms, and their comparisons. Everything comes from files of the
// study's folder and its test set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/significance.hpp"
#include "neural_attention/study/fingerprint.hpp"
#include "neural_attention/study/paired_comparison.hpp"
#include "neural_attention/study/verdict.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/running.hpp"
#include "projector_study/study_folder.hpp"
#include "results_report/runs.hpp"

namespace examples {

struct SeedResult {
  study::PlannedRun run;
  std::optional<std::string> diverged;
  Run metrics;  ///< without meaning if it diverged
  double score = not_measured;
  std::vector<std::string> translations = {};  ///< of the test set
};

struct ArmResult {
  study::PlannedArm arm;
  std::optional<study::ChosenSetting> chosen;  ///< none: every setting of the grid diverged
  std::vector<SeedResult> seeds;

  std::vector<std::uint64_t> diverged() const {
    std::vector<std::uint64_t> seeds_of;
    for (const auto& one : seeds)
      if (one.diverged) seeds_of.push_back(one.run.seed);
    return seeds_of;
  }
  bool all_scored() const { return chosen && diverged().empty(); }
  std::vector<double> scores() const {
    std::vector<double> all;
    for (const auto& one : seeds)
      if (!one.diverged) all.push_back(one.score);
    return all;
  }
};

/// Two arms of one seed on the test set of a translator; differences are arm - control.
struct TestComparison {
  std::uint64_t seed;
  struct Of {
    double difference, lower, upper, bootstrap_p, randomisation_p;
  } bleu, chrf;
};

struct ComparisonResult {
  study::PlannedComparison planned;
  std::optional<study::PairedComparison> pairs;  ///< none if a run diverged
  double corrected_p = 1;
  std::string words;
  std::vector<TestComparison> tests = {};
};

struct StudyResults {
  study::StudyPlan plan;
  KnownRuns runs;
  std::vector<ArmResult> arms;
  std::vector<ComparisonResult> comparisons;
  std::vector<std::string> sources = {}, references = {};  ///< of the test set of a translator

  const ArmResult& arm(const std::string& name) const {
    return *std::find_if(arms.begin(), arms.end(), [&](const ArmResult& one) { return one.arm.name == name; });
  }
};

namespace results_detail {

inline double score_of(const StudyFolder& folder, const StudyResults& results, const SeedResult& one) {
  const auto& config = results.plan.study;
  using study::Measure;
  if (config.task == "translation" && config.test.given())
    return config.measure == Measure::Bleu ? na::metrics::corpus_bleu(one.translations, results.references).score
                                           : na::metrics::corpus_chrf(one.translations, results.references).score;
  if (config.test.given()) {
    const auto path = test_result(folder, results.plan, one.run);
    return na::io::get<double>(na::io::read_json(path), std::string(study::measure_name(config.measure)), path);
  }
  return config.measure == Measure::Loss ? one.metrics.valid_loss : one.metrics.valid_score;
}

inline TestComparison compare_tests(const SeedResult& control, const SeedResult& arm,
                                    const std::vector<std::string>& references) {
  const auto of = [](const na::metrics::PairedBootstrap& bootstrap,
                     const na::metrics::ApproximateRandomisation& randomised) {
    const auto& difference = bootstrap.difference;
    return TestComparison::Of{difference.score, difference.lower, difference.upper, bootstrap.p_value,
                              randomised.p_value};
  };
  const auto &first = control.translations, &second = arm.translations;
  const std::vector<std::span<const std::string>> streams = {references};
  return {arm.run.seed,
          of(na::metrics::paired_bootstrap_bleu(first, second, references),
             na::metrics::approximate_randomisation_bleu(first, second, streams)),
          of(na::metrics::paired_bootstrap_chrf(first, second, references),
             na::metrics::approximate_randomisation_chrf(first, second, streams))};
}

/// "diverged with seeds 3 and 4", or "".
inline std::string divergence(const ArmResult& arm) {
  if (!arm.chosen) return "diverged with every setting";
  const auto seeds = arm.diverged();
  std::string list;
  for (std::size_t i = 0; i < seeds.size(); ++i)
    list += (i == 0 ? "" : i + 1 == seeds.size() ? " and " : ", ") + std::to_string(seeds[i]);
  return seeds.empty() ? "" : "diverged with seed" + std::string(seeds.size() > 1 ? "s " : " ") + list;
}

inline void compare(StudyResults& results) {
  const auto& config = results.plan.study;
  for (const auto& planned : results.plan.comparisons) {
    auto& one = results.comparisons.emplace_back(ComparisonResult{planned, {}, 1, {}});
    const auto &arm = results.arm(planned.arm), &control = results.arm(planned.control);
    if (!arm.all_scored() || !control.all_scored()) {
      one.words = divergence(arm);
      if (!control.all_scored()) one.words += (one.words.empty() ? "" : "; ") + ("the control " + divergence(control));
      continue;
    }
    one.pairs = study::compare_pairs(control.scores(), arm.scores());
    if (!results.references.empty())
      for (std::size_t i = 0; i < arm.seeds.size(); ++i)
        one.tests.push_back(compare_tests(control.seeds[i], arm.seeds[i], results.references));
  }
  for (const auto matching : config.matchings) {
    std::vector<ComparisonResult*> family;
    std::vector<double> p_values;
    for (auto& one : results.comparisons)
      if (one.planned.matching == matching && one.pairs) {
        family.push_back(&one);
        p_values.push_back(one.pairs->p_value);
      }
    const auto corrected = study::holm(p_values);
    for (std::size_t i = 0; i < family.size(); ++i) {
      family[i]->corrected_p = corrected[i];
      family[i]->words =
          study::judge(*family[i]->pairs, corrected[i], config.smallest_difference, study::better_of(config.measure))
              .text();
    }
  }
}

}  // namespace results_detail

/// Throws Error if a run is missing, and FileError for a file that cannot be read.
inline StudyResults read_results(const StudyFolder& folder, const study::StudyPlan& plan) {
  StudyResults results;
  results.plan = plan;
  results.runs = StudyStates(folder, plan).read();
  if (!results.runs.all_done(plan)) {
    const auto missing = std::count_if(results.runs.items.begin(), results.runs.items.end(),
                                       [&](const auto& item) { return !item.state.done(needs_test(plan, item.run)); });
    throw na::Error(folder.file + ": " + std::to_string(static_cast<std::size_t>(missing) + results.runs.waiting) +
                    " runs are missing; run them with " + shell_text({"projector_study", "run", folder.file}));
  }
  if (!plan.study.test.source.empty()) {
    for (const auto& path : {plan.study.test.source, plan.study.test.reference})
      if (const auto known = plan.data.find(path);
          known != plan.data.end() && study::fingerprint_of(path) != known->second)
        throw na::FileError(path, "has changed since " + folder.plan().string() + " was written; restore it");
    results.sources = na::text::read_lines(plan.study.test.source);
    results.references = na::text::read_lines(plan.study.test.reference);
    if (results.sources.size() != results.references.size())
      throw na::FileError(plan.study.test.reference, "has " + std::to_string(results.references.size()) +
                                                         " lines, but " + plan.study.test.source + " has " +
                                                         std::to_string(results.sources.size()));
  }
  for (const auto& arm : plan.arms) {
    auto& result = results.arms.emplace_back(ArmResult{arm, {}, {}});
    if (const auto found = results.runs.chosen.find(arm.name); found != results.runs.chosen.end())
      result.chosen = found->second;
    for (const auto& item : results.runs.items) {
      if (item.run.arm != arm.name || item.run.tuning) continue;
      auto& one = result.seeds.emplace_back(SeedResult{item.run, item.state.diverged, {}});
      if (one.diverged) continue;
      one.metrics = read_run(folder.output(one.run), one.run.seed);
      if (!results.references.empty()) {
        const auto path = test_result(folder, plan, one.run);
        one.translations = na::text::read_lines(path.string());
        if (one.translations.size() != results.references.size())
          throw na::FileError(path.string(), "has " + std::to_string(one.translations.size()) + " lines, but " +
                                                 plan.study.test.reference + " has " +
                                                 std::to_string(results.references.size()));
      }
      one.score = results_detail::score_of(folder, results, one);
      if (!std::isfinite(one.score))
        throw na::FileError(folder.of(one.run).string(),
                            "has no finite " + std::string(study::measure_name(plan.study.measure)));
    }
  }
  results_detail::compare(results);
  return results;
}

}  // namespace examples
