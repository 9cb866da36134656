// projector_study init | plan | run | report | summary: whether other projections help on somebody's data.
#include "common/commands.hpp"
#include "projector_study/options.hpp"

int main(int argc, char** argv) {
  examples::Commands program(
      "projector_study",
      "Compares projectors on your data: trains every arm with several seeds, tuned with equal effort, against "
      "controls "
      "that are matched in steps, parameters, FLOPs or time, and claims no more than the numbers support.\n"
      "  projector_study init --task causal_lm --data tinyshakespeare --arms linear,nonlinear_query\n"
      "  projector_study plan study.json\n"
      "  projector_study run study.json --jobs 2\n"
      "  projector_study report study.json");
  program.add("init", "Write a study.json with usual values, which you may change before the first run", examples::init,
              "  projector_study init --task translation --data multi30k --arms linear,paper::marian,nonlinear_query");
  program.add("plan", "Show the plan: arms, parameters, FLOPs, remaining differences, runs, minutes", examples::plan,
              "The first call measures a few steps of every arm and writes plan.json into the folder of the study.\n"
              "  projector_study plan study.json --format slurm > study.sh");
  program.add("run", "Run whatever is missing, and continue interrupted runs", examples::run,
              "Several processes, also on several machines with one file system, may work on one study. Ctrl-C saves "
              "and stops.\n"
              "  projector_study run study.json --jobs 2");
  program.add("report", "Write report.md, report.html and runs.csv into the folder of the study", examples::report,
              "  projector_study report study.json");
  program.add("summary", "Write one page over several studies: all verdicts in a table, and a section for each study",
              examples::summary,
              "It writes the reports of the studies, too, as `report --partial` does: the page leads to them.\n"
              "  projector_study summary small.json large.json --title \"Do they help?\" --output results.md");
  return program.run(argc, argv);
}
