// The results of a study: its runs, the scores of its arms, and their comparisons. Everything comes from files of the
// study's folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/significance.hpp"
#include "neural_attention/study/paired_comparison.hpp"
#include "neural_attention/study/verdict.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/base_again.hpp"
#include "projector_study/known_runs.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/test_command.hpp"
#include "projector_study/test_sentences.hpp"
#include "results_report/runs.hpp"

namespace examples {

struct SeedResult {
  study::PlannedRun run;
  std::optional<std::string> diverged;
  Run metrics;  ///< without meaning if it diverged
  double score = not_measured;
  TestSentences sentences = {};  ///< of a translator
  TestSamples samples = {};      ///< of a translator
  std::string sample = {};       ///< of a causal language model, with the first seed
};

struct ArmResult {
  study::PlannedArm arm;
  std::optional<study::ChosenSetting> chosen;  ///< none: every setting of the grid diverged
  std::vector<SeedResult> seeds;
  bool finished = true;  ///< all its runs have ended; only a partial report has others

  std::vector<std::uint64_t> diverged() const {
    std::vector<std::uint64_t> seeds_of;
    for (const auto& one : seeds)
      if (one.diverged) seeds_of.push_back(one.run.seed);
    return seeds_of;
  }
  /// Of its runs that count: with those of the setting, if one is chosen.
  study::FlagSet flags(const study::StudyConfig& config) const {
    if (!chosen) return arm.flags;
    return study::merged(arm.flags, study::settings_of(config.grid).at(chosen->setting));
  }
  bool all_scored() const { return finished && chosen && diverged().empty(); }
  std::vector<double> scores() const {
    std::vector<double> all;
    for (const auto& one : seeds)
      if (!one.diverged) all.push_back(one.score);
    return all;
  }
};

/// Two arms of one seed on the test set of a translator; differences are arm - control.
struct TestComparison {
  static constexpr int samples = 1000, trials = 10'000;
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

/// The control's first seed after all steps, and after twice as many.
struct Convergence {
  double once = 0, twice = 0;  ///< validation losses; NaN if a run diverged
  std::int64_t steps = 0;

  /// The part of the loss that the second half takes away.
  double gain() const { return (once - twice) / once; }
  bool converged() const { return gain() < 0.01; }
};

struct StudyResults {
  study::StudyPlan plan;
  KnownRuns runs;
  std::vector<ArmResult> arms;
  std::vector<ComparisonResult> comparisons;
  std::optional<Convergence> convergence = {};  ///< none: not asked for, or not run yet
  std::size_t missing = 0;                      ///< runs that a partial report lacks
  std::vector<std::string> places = {};         ///< where the runs ran, in words
  std::vector<std::string> other_bases = {};    ///< sentences on base models that are not the recorded one

  std::vector<study::PlannedRun> ended_runs() const {
    std::vector<study::PlannedRun> ended;
    for (const auto& [run, state] : runs.items)
      if (is_done(plan, run, state)) ended.push_back(run);
    return ended;
  }
  const ArmResult& arm(const std::string& name) const {
    return *std::find_if(arms.begin(), arms.end(), [&](const ArmResult& one) { return one.arm.name == name; });
  }
};

namespace results_detail {

inline double score_of(const StudyFolder& folder, const StudyResults& results, const SeedResult& one) {
  const auto& config = results.plan.study;
  if (config.test.given()) {
    const auto path = test_result(folder, one.run);
    return na::io::get<double>(na::io::read_json(path), std::string(na::name_of(config.measure)), path);
  }
  return config.measure == study::Measure::Loss ? one.metrics.valid_loss : one.metrics.valid_score;
}

inline TestComparison compare_tests(const SeedResult& control, const SeedResult& arm,
                                    const na::metrics::BleuOptions& options) {
  const auto of = [](const na::metrics::PairedBootstrap& bootstrap,
                     const na::metrics::ApproximateRandomisation& randomised) {
    const auto& difference = bootstrap.difference;
    return TestComparison::Of{difference.score, difference.lower, difference.upper, bootstrap.p_value,
                              randomised.p_value};
  };
  constexpr int samples = TestComparison::samples, trials = TestComparison::trials;
  const auto &first = control.sentences, &second = arm.sentences;
  return {arm.run.seed,
          of(na::metrics::paired_bootstrap_bleu(first.bleu, second.bleu, options, samples),
             na::metrics::approximate_randomisation_bleu(first.bleu, second.bleu, options, trials)),
          of(na::metrics::paired_bootstrap_chrf(first.chrf, second.chrf, {}, samples),
             na::metrics::approximate_randomisation_chrf(first.chrf, second.chrf, {}, trials))};
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

/// The share by which the runs of an arm have more of something than its control's.
inline double share_of_more(double arm, double control) { return (arm - control) / control; }

/// What the runs that count say of matching, which the plan knows only from the flags: they tell the steps of epochs,
/// and whether models have grown by different numbers, as by vocabularies that differ: then nothing is compared.
inline void check_matching(ComparisonResult& one, const ArmResult& arm, const ArmResult& control) {
  auto& planned = one.planned;
  if (planned.matching == study::Matching::Steps) {
    if (study::steps_in(arm.arm.flags) && study::steps_in(control.arm.flags)) return;
    const auto steps = [](const ArmResult& of) {
      double sum = 0;
      for (const auto& seed : of.seeds) sum += static_cast<double>(seed.metrics.steps);
      return sum / static_cast<double>(of.seeds.size());
    };
    planned.unmatched = share_of_more(steps(arm), steps(control));
  } else if (planned.matching != study::Matching::Time) {
    // Settings may have parameters that cost no FLOPs.
    if (planned.matching == study::Matching::Flops && arm.chosen->setting != control.chosen->setting) return;
    const auto have = [](const ArmResult& of) { return of.seeds.front().metrics.parameters; };
    if (have(arm) - arm.arm.size.parameters == have(control) - control.arm.size.parameters) return;
    one.words = "not matched: " + na::counted(have(arm), "parameter") + " against " + na::with_commas(have(control));
    planned.unmatched = planned.matching == study::Matching::Parameters
                            ? share_of_more(static_cast<double>(have(arm)), static_cast<double>(have(control)))
                            : not_measured;
  }
}

inline void compare(StudyResults& results) {
  const auto& config = results.plan.study;
  // All comparisons of a matching, also those that have no result: Holm's correction counts them.
  const auto comparisons = [&](study::Matching matching) {
    return std::count_if(results.plan.comparisons.begin(), results.plan.comparisons.end(),
                         [&](const auto& one) { return one.matching == matching; });
  };
  for (const auto& planned : results.plan.comparisons) {
    auto& one = results.comparisons.emplace_back(ComparisonResult{planned, {}, 1, {}});
    const auto &arm = results.arm(planned.arm), &control = results.arm(planned.control);
    if (!arm.all_scored() || !control.all_scored()) {
      one.words = arm.finished && control.finished ? divergence(arm) : "not finished";
      if (arm.finished && control.finished && !control.all_scored())
        one.words += (one.words.empty() ? "" : "; ") + ("the control " + divergence(control));
      continue;
    }
    check_matching(one, arm, control);
    if (!one.words.empty()) continue;
    one.pairs = study::compare_pairs(control.scores(), arm.scores(), static_cast<int>(comparisons(planned.matching)));
    if (translates(config) && config.test.given())
      for (std::size_t i = 0; i < arm.seeds.size(); ++i)
        one.tests.push_back(compare_tests(control.seeds[i], arm.seeds[i], bleu_options(config)));
  }
  for (const auto matching : config.matchings) {
    std::vector<ComparisonResult*> family;
    std::vector<double> p_values;
    for (auto& one : results.comparisons)
      if (one.planned.matching == matching && one.pairs) {
        family.push_back(&one);
        p_values.push_back(one.pairs->p_value);
      }
    p_values.resize(static_cast<std::size_t>(comparisons(matching)), 1.0);
    const auto corrected = study::holm(p_values);
    for (std::size_t i = 0; i < family.size(); ++i) {
      family[i]->corrected_p = corrected[i];
      family[i]->words =
          study::judge(*family[i]->pairs, corrected[i], config.smallest_difference, study::better_of(config.measure))
              .text();
    }
  }
}

/// "25 runs on Some CPU, training program 0123456789abcdef", for each machine and program.
inline std::vector<std::string> places_of(const StudyFolder& folder, const StudyResults& results) {
  std::map<std::string, int> counts;
  for (const auto& run : results.ended_runs()) {
    const auto path = folder.of(run) / "run.json";
    const auto json = na::io::read_json(path);
    ++counts[na::io::get<std::string>(json, "machine", path) + ", training program " +
             na::io::get<std::string>(json, "program", path)];
  }
  std::vector<std::string> places;
  for (const auto& [place, count] : counts) places.push_back(na::counted(count, "run") + " on " + place);
  return places;
}

/// Of the runs that have ended.
inline std::optional<Convergence> convergence_of(const StudyResults& results) {
  std::optional<double> once, twice;
  std::optional<std::int64_t> steps;
  const auto& plan = results.plan;
  for (const auto& [run, state] : results.runs.items) {
    if (run.arm != plan.study.control || run.seed != plan.study.seeds.front()) continue;
    if (!state.trained && !state.diverged) continue;
    const double loss = state.diverged ? not_measured : state.valid_loss;
    if (run.kind == study::RunKind::Final) once = loss, steps = study::steps_in(run.flags);
    if (run.kind == study::RunKind::Twice) twice = loss;
  }
  if (!once || !twice) return {};
  return Convergence{*once, *twice, steps.value_or(0)};
}

}  // namespace results_detail

/// "3 runs are missing"
inline std::string missing_text(std::size_t runs) {
  return na::counted(runs, "run") + (runs == 1 ? " is" : " are") + " missing";
}

/// Throws Error if a run is missing unless the report is `partial`, and FileError for a file that cannot be read.
inline StudyResults read_results(const StudyFolder& folder, const study::StudyPlan& plan, bool partial) {
  StudyResults results;
  results.plan = plan;
  results.runs = StudyStates(folder, plan).read();
  const auto ended = [&](const KnownRuns::Item& item) { return is_done(plan, item.run, item.state); };
  if (!results.runs.all_done(plan)) {
    const auto missing = std::count_if(results.runs.items.begin(), results.runs.items.end(), std::not_fn(ended));
    results.missing = static_cast<std::size_t>(missing) + results.runs.waiting;
    if (!partial)
      throw na::Error(folder.file + ": " + missing_text(results.missing) + "; run " +
                      shell_text({"projector_study", "run", folder.file}) + ", or add --partial");
  }
  results.places = results_detail::places_of(folder, results);
  if (plan.study.base) results.other_bases = other_bases(folder, study::base_run(plan));
  std::optional<TestSentences> first_test;
  for (const auto& arm : plan.arms) {
    auto& result = results.arms.emplace_back(ArmResult{arm, {}, {}});
    if (const auto found = results.runs.chosen.find(arm.name); found != results.runs.chosen.end())
      result.chosen = found->second;
    const auto& hopeless = results.runs.hopeless;
    result.finished = result.chosen || std::find(hopeless.begin(), hopeless.end(), arm.name) != hopeless.end();
    for (const auto& item : results.runs.items) {
      if (item.run.arm != arm.name || item.run.kind != study::RunKind::Final) continue;
      if (!ended(item)) {
        result.finished = false;
        continue;
      }
      auto& one = result.seeds.emplace_back(SeedResult{item.run, item.state.diverged, {}});
      if (one.diverged) continue;
      one.metrics = read_run(folder.measured(one.run), one.run.seed);
      if (translates(plan.study) && plan.study.test.given()) {
        const auto segments = test_segments(folder, one.run);
        one.sentences = read_segments(segments);
        if (!first_test) first_test = one.sentences;
        require_same_references(*first_test, one.sentences, segments);
        one.samples = read_samples(test_result(folder, one.run));
      }
      if (needs_sample(plan, one.run)) one.sample = na::text::read_text_bytes(sample_of(folder, one.run));
      one.score = results_detail::score_of(folder, results, one);
      if (!std::isfinite(one.score))
        throw na::FileError(folder.of(one.run).string(),
                            "has no finite " + std::string(na::name_of(plan.study.measure)));
    }
  }
  results_detail::compare(results);
  results.convergence = results_detail::convergence_of(results);
  return results;
}

}  // namespace examples
