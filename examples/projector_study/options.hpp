// The flags of `projector_study`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "common/flags.hpp"
#include "common/ranges.hpp"
#include "neural_attention/study/paired_comparison.hpp"

namespace examples {

/// The file of a study, before or after the flags.
struct StudyFile : Flags {
  using Flags::Flags;
  std::string study = "study.json";

  void add_to(CLI::App& app) {
    app.add_option("study", study, "The file of the study; its folder has the same name without .json")
        ->capture_default_str();
    Flags::add_to(app);
  }
};

struct InitOptions : Flags {
  const std::string& task =
      flag("task", "", "The training program", {.among = {"translation", "masked_lm", "causal_lm"}, .required = true});
  const std::string& data = flag(
      "data", "",
      "Its folder of text, as in --data of that program; translators go from .de to .en, as --flags "
      "source_lang=fr,target_lang=en says, or from the only other language to English; \"grammar\": short sentences "
      "of the demo",
      {.required = true});
  const std::string& arms =
      flag("arms", "linear,neural",
           "Projectors as in --projector, separated by commas, the control first; nonlinear_query and identity change "
           "only the query, paper::marian and paper::roberta the roles that the paper changes");
  const std::string& flags =
      flag("flags", "", "Flags of all arms as NAME=VALUE, separated by commas; they replace or add to the usual ones");
  const std::string& tune = flag("tune", "learning_rate=0.0005/0.001/0.002",
                                 "Flags to tune, as NAME=VALUE/VALUE/…, separated by commas; none: tune nothing");
  const int& seeds = flag("seeds", 5, "Seeds of each arm, not counting those of tuning",
                          {.range = from_to(2, neural_attention::study::PairedComparison::most_pairs)});
  const std::string& test = flag("test", "test", "The name of the test text in --data, without its ending and .gz");
  const double& held_out = flag("held_out", 0.05,
                                "If --data has no test text, tune on this share of the training text, cut off from its "
                                "end, and test on the validation text. 0: use the validation text for both",
                                {.range = from_to(0, 0.5)});
  const std::string& output = flag("output", "study.json", "The file to write");
};

struct PlanOptions : StudyFile {
  const std::string& format =
      flag("format", "text", "text: arms, runs and time; commands: one command per run; slurm: a job array",
           {.among = {"text", "commands", "slurm"}});
};

struct RunOptions : StudyFile {
  const int& jobs = flag("jobs", 1, "Runs at the same time, with one thread each or as the launcher says",
                         {.range = from_to(1, 1024)});
  const bool& rebuilt_program = flag("rebuilt_program", false,
                                     "Accept a training program that differs from the plan's but has the same sources, "
                                     "such as one built for another machine; run.json and the report name both");
  const std::string& only = flag("only", "", "The name of one run, as `plan --format commands` shows it");
};

struct ReportOptions : StudyFile {
  using StudyFile::StudyFile;
  const bool& partial = flag("partial", false, "Report the results so far; arms with missing runs get no verdict");
};

struct SummaryOptions : Flags {
  static constexpr char usual_title[] = "Studies";
  std::vector<std::string> studies;
  const std::string& title = flag("title", usual_title, "The heading of the page");
  const std::string& output = flag("output", "studies.md",
                                   "The page, NAME.md, which shows the charts of the studies' folders, or NAME.html, "
                                   "which has them inside");

  void add_to(CLI::App& app) {
    app.add_option("studies", studies, "Their files")->required();
    Flags::add_to(app);
  }
};

int init(const InitOptions& options);
int plan(const PlanOptions& options);
int run(const RunOptions& options);
int report(const ReportOptions& options);
int summary(const SummaryOptions& options);

}  // namespace examples
