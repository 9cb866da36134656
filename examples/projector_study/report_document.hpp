// From the results of a study to its report.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "projector_study/document.hpp"
#include "projector_study/report_charts.hpp"
#include "projector_study/report_texts.hpp"
#include "projector_study/results.hpp"

namespace examples {

namespace report_document_detail {

inline void add_verdicts(const StudyResults& results, Document& document) {
  const auto& config = results.plan.study;
  const int digits = digits_of(config.measure);
  document.push_back(Heading{2, "Verdicts"});
  for (const auto matching : config.matchings) {
    TextTable table{{"arm", "control", "verdict", "difference", "95 % interval", "p", "p corrected", "sign-flip p",
                     "effect", "seeds needed", "arm has more"},
                    {},
                    3};
    for (const auto& one : results.comparisons) {
      if (one.planned.matching != matching) continue;
      std::vector<std::string> row = {one.planned.arm, one.planned.control, one.words};
      if (one.pairs) {
        const auto& pairs = *one.pairs;
        row.insert(row.end(),
                   {change(pairs.difference, digits), interval_text(pairs, digits), p_text(pairs.p_value),
                    p_text(one.corrected_p), p_text(pairs.sign_flip_p), change(pairs.effect, 2),
                    pairs.pairs_needed        ? std::to_string(*pairs.pairs_needed)
                    : pairs.difference == 0.0 ? std::string("–")
                                              : "over " + std::to_string(study::PairedComparison::most_pairs)});
      } else {
        row.resize(table.head.size() - 1, "–");
      }
      row.push_back(unmatched_text(one.planned));
      table.rows.push_back(std::move(row));
    }
    document.push_back(Heading{3, "With equal " + matching_words(matching)});
    document.push_back(table);
    const auto pairs = static_cast<int>(config.seeds.size());
    document.push_back(
        Paragraph{"The smallest p of the sign-flip test with " + std::to_string(pairs) + " seeds is " +
                  p_text(study::least_sign_flip_p(pairs)) +
                  (pairs > study::PairedComparison::most_exact_pairs
                       ? ": it is estimated by " + na::with_commas(study::PairedComparison::drawn_signs) +
                             " random choices of signs."
                       : ".")});
  }
  document.push_back(BulletList{
      {"difference: arm minus control of " + measured_title(config) + ", the mean over pairs of runs with one seed; " +
           (study::better_of(config.measure) == study::Better::Lower ? "lower" : "higher") + " is better",
       "better, worse: the paired t test's p, corrected by Holm over the arms of a table, is below 0.05",
       "no difference larger than " + na::number_text(config.smallest_difference) +
           ": the 95 % interval lies inside ± that, which study.json set before the runs",
       on_undecided, "effect: the difference in units of the deviation from seed to seed",
       "seeds needed: how many would find a difference of this size in 4 of 5 studies, at the strictest level of "
       "Holm's correction",
       on_unmatched}});
}

/// The first result of a translator on its test set; null if there is none.
inline const SeedResult* first_translator(const StudyResults& results) {
  for (const auto& arm : results.arms)
    for (const auto& one : arm.seeds)
      if (!one.sentences.bleu.empty()) return &one;
  return nullptr;
}

inline void add_tests(const StudyResults& results, Document& document) {
  const auto* const shown = first_translator(results);
  if (!shown) return;
  document.push_back(Heading{2, "Test set, seed by seed"});
  document.push_back(Paragraph{"Arm minus control of the same seed on " +
                               na::counted(shown->sentences.bleu.size(), "sentence") +
                               ": paired bootstrap (95 % interval and p of " +
                               na::with_commas(TestComparison::samples) + " samples) and approximate randomisation."});
  TextTable table{{"arm", "control", "seed", "BLEU", "interval", "p bootstrap", "p randomisation", "chrF", "interval",
                   "p bootstrap", "p randomisation"},
                  {},
                  2};
  for (const auto& one : results.comparisons)
    for (const auto& test : one.tests) {
      std::vector<std::string> row = {one.planned.arm, one.planned.control, std::to_string(test.seed)};
      for (const auto* const of : {&test.bleu, &test.chrf})
        row.insert(row.end(), {change(of->difference, 2), change(of->lower, 2) + " to " + change(of->upper, 2),
                               p_text(of->bootstrap_p), p_text(of->randomisation_p)});
      table.rows.push_back(std::move(row));
    }
  document.push_back(std::move(table));
}

inline void add_arms(const StudyResults& results, Document& document) {
  const auto& config = results.plan.study;
  const int digits = digits_of(config.measure);
  document.push_back(Heading{2, "Arms"});
  const bool other_measure = config.measure != study::Measure::Loss || config.test.given();
  TextTable table{{"arm", measured_title(config), "deviation"}, {}};
  if (other_measure) table.head.push_back("validation loss");
  for (const char* const name : {"parameters", "FLOPs a token", "steps", "minutes", "setting"})
    table.head.push_back(name);
  for (const auto& arm : results.arms) {
    const auto scores = arm.scores();
    std::vector<std::string> row = {arm.arm.name};
    if (scores.empty()) {
      row.insert(row.end(), {arm.finished ? "diverged" : "–", "–"});
    } else {
      const auto spread = spread_of(scores);
      const auto all = arm.seeds.size();
      const auto survivors = scores.size() == all ? std::string()
                                                  : " (" + std::to_string(scores.size()) + " of " +
                                                        std::to_string(all) + " seeds, the others diverged)";
      row.insert(row.end(), {places(spread.mean, digits) + survivors, places(spread.deviation, digits)});
    }
    if (other_measure)
      row.push_back(places(mean_of(values_of(arm, [](const auto& one) { return one.metrics.valid_loss; })), 4));
    const auto mean = [&](auto&& value, int digits_of_it) {
      return places(mean_of(values_of(arm, value)), digits_of_it);
    };
    row.insert(row.end(), {na::with_commas(arm.arm.size.parameters), na::with_commas(arm.arm.size.flops),
                           mean([](const auto& one) { return static_cast<double>(one.metrics.steps); }, 0),
                           mean([](const auto& one) { return one.metrics.seconds / 60; }, 2),
                           arm.chosen     ? setting_text(config, arm.chosen->setting)
                           : arm.finished ? "every setting diverged"
                                          : "not chosen yet"});
    table.rows.push_back(std::move(row));
  }
  document.push_back(std::move(table));
  if (const auto picture = seeds_picture(results)) document.push_back(*picture);
}

inline void add_tuning(const StudyResults& results, Document& document) {
  const auto& config = results.plan.study;
  if (config.grid.empty()) return;
  document.push_back(Heading{2, "Tuning"});
  document.push_back(
      Paragraph{"Mean validation loss of each setting over the tuning seeds; the chosen one has a star."});
  TextTable table{{"arm"}, {}};
  const auto settings = study::settings_of(config.grid);
  for (std::size_t i = 0; i < settings.size(); ++i) table.head.push_back(setting_text(config, i));
  for (const auto& arm : results.arms) {
    std::vector<std::string> row = {arm.arm.name};
    for (std::size_t i = 0; i < settings.size(); ++i) {
      std::vector<double> losses;
      for (const auto& item : results.runs.items)
        if (item.run.arm == arm.arm.name && item.run.kind == study::RunKind::Tuning && item.run.setting == i &&
            is_done(results.plan, item.run, item.state))
          losses.push_back(item.state.loss());
      const double mean = mean_of(losses);
      row.push_back((losses.empty()        ? "–"
                     : std::isfinite(mean) ? places(mean, 4)
                                           : "diverged") +
                    (arm.chosen && arm.chosen->setting == i ? " ★" : ""));
    }
    table.rows.push_back(std::move(row));
  }
  document.push_back(std::move(table));
  if (auto warnings = edge_warnings(results); !warnings.empty()) document.push_back(BulletList{std::move(warnings)});
}

inline void add_convergence(const StudyResults& results, Document& document) {
  if (!results.plan.study.convergence) return;
  document.push_back(Heading{2, "Are the runs long enough?"});
  document.push_back(Paragraph{convergence_text(results)});
}

/// How the arms of a causal language model continue the same words.
inline void add_continuations(const StudyResults& results, Document& document) {
  bool first = true;
  for (const auto& arm : results.arms)
    for (const auto& one : arm.seeds) {
      if (one.sample.empty()) continue;
      if (std::exchange(first, false)) {
        document.push_back(Heading{2, "Samples"});
        document.push_back(Paragraph{
            "The first words of the test text and what an arm, with its first seed, writes "
            "behind them: at most " +
            std::to_string(sampled_tokens) + " tokens, as far as the context reaches, drawn at temperature 0.8."});
      }
      document.push_back(Heading{3, arm.arm.name});
      document.push_back(CodeBlock{one.sample.ends_with('\n') ? one.sample : one.sample + "\n"});
    }
}

inline void add_samples(const StudyResults& results, Document& document) {
  add_continuations(results, document);
  const auto* const first = first_translator(results);
  if (!first) return;
  const auto& texts = first->samples;
  document.push_back(Heading{2, "Samples"});
  TextTable table{{"text"}, {}, 1 + texts.sources.size()};
  for (std::size_t i = 1; i <= texts.sources.size(); ++i) table.head.push_back(std::to_string(i));
  const auto add = [&](const std::string& name, const std::vector<std::string>& lines) {
    table.rows.push_back({name});
    table.rows.back().insert(table.rows.back().end(), lines.begin(), lines.end());
    table.rows.back().resize(table.head.size());
  };
  add("source", texts.sources);
  add("reference", texts.references);
  for (const auto& arm : results.arms)
    for (const auto& one : arm.seeds)
      if (!one.diverged) {
        add(arm.arm.name + ", seed " + std::to_string(one.run.seed), one.samples.translations);
        break;
      }
  document.push_back(std::move(table));
}

inline void add_runs(const StudyFolder& folder, const StudyResults& results, const std::string& program,
                     Document& document) {
  document.push_back(Heading{2, "How it was made"});
  BulletList list{{"machine of the plan: " + results.plan.machine,
                   "NeuralAttention " + results.plan.version + ", training program " + results.plan.program}};
  for (const auto& [path, hash] : results.plan.data) list.items.push_back("data " + path + ": " + hash);
  for (const auto* const lines : {&results.places, &results.other_bases})
    list.items.insert(list.items.end(), lines->begin(), lines->end());
  for (const auto& arm : results.arms)
    for (const auto& one : arm.seeds)
      if (one.diverged) list.items.push_back(one.run.name + " diverged: " + *one.diverged);
  document.push_back(std::move(list));
  document.push_back(Paragraph{"The study, as study.json has it:"});
  document.push_back(CodeBlock{study::study_text(results.plan.study)});
  document.push_back(Paragraph{
      "The commands of the runs that count. They hold in the folder in which projector_study run " + folder.file +
      " was called" + (program.find('/') == std::string::npos ? ", with the folder of the programs in PATH:" : ":")});
  std::string commands;
  if (results.plan.study.base)
    commands += shell_text(training_command(program, folder, results.plan, study::base_run(results.plan))) + "\n";
  for (const auto& arm : results.arms)
    for (const auto& one : arm.seeds)
      commands += shell_text(training_command(program, folder, results.plan, one.run)) + "\n";
  document.push_back(CodeBlock{commands});
}

}  // namespace report_document_detail

inline Document report_document(const StudyFolder& folder, const StudyResults& results, const std::string& program) {
  using namespace report_document_detail;
  const auto& config = results.plan.study;
  const auto name = folder.path.filename().string();
  Document document = {Heading{1, heading_of(name, config)}};
  if (!config.about.empty()) document.push_back(Paragraph{config.about});
  document.push_back(Paragraph{(config.title.empty() ? "" : "Study " + name + ": " + config.task + ". ") +
                               std::string("Generated from the metrics of the runs; do not edit.")});
  if (results.missing > 0) document.push_back(Paragraph{partial_text(results)});
  add_verdicts(results, document);
  add_arms(results, document);
  add_tests(results, document);
  add_pareto(results, document);
  add_curves(results, document);
  add_convergence(results, document);
  add_tuning(results, document);
  add_samples(results, document);
  add_runs(folder, results, program, document);
  return document;
}

}  // namespace examples
