// projector_study with a stand-in for the training programs: planning, running, resuming, sharing, divergence, reports.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE projector_study
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "examples/programs.hpp"
#include "examples/stand_in.hpp"
#include "neural_attention/io/platform.hpp"

using namespace programs;

namespace {

struct Studies : Folder {
  Studies() : program(stand_in(folder)) { write(folder / "text", "some text"); }

  /// A study of a control, an arm that gains, and one that gains nothing that matters.
  nlohmann::json usual() const {
    return {{"format", 1},
            {"task", "causal_lm"},
            {"program", program},
            {"flags", {{"max_steps", 20}, {"data", path("text")}}},
            {"arms",
             {{{"name", "control"}, {"flags", {{"gain", 0}}}},
              {{"name", "gains"}, {"flags", {{"gain", 3}}}},
              {{"name", "same"}, {"flags", {{"gain", 0}, {"other", 1}}}}}},
            {"control", "control"},
            {"matchings", {"steps", "parameters", "time"}},
            {"measure", "loss"},
            {"smallest_difference", 0.01},
            {"tuning", {{"flags", {{"learning_rate", {1, 2, 3}}}}, {"seeds", {8}}}},
            {"seeds", {1, 2, 3}},
            {"calibration_steps", 5}};
  }
  std::string study(const nlohmann::json& json, const std::string& name = "s") const {
    write(folder / (name + ".json"), json.dump(2));
    return path(name + ".json");
  }
  Outcome kit(const Arguments& arguments) const { return run("projector_study", arguments); }
  struct Kept {
    std::string report, csv, records;
  };
  /// Runs a study to its end and reports it.
  Kept finished(const std::string& file) const {
    works({"run", file, "--jobs", "2"});
    works({"report", file});
    return {content(folder / "s/report.html"), content(folder / "s/runs.csv"), content(folder / "s/records.jsonl")};
  }
  Outcome works(const Arguments& arguments) const {
    const auto outcome = kit(arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome;
  }
  nlohmann::json json(const std::string& name) const { return nlohmann::json::parse(content(folder / name)); }
  /// Ends what it starts as mpirun does, by SIGUSR1.
  std::string launcher() const {
    write(folder / "launcher", R"sh(#!/bin/sh
echo "$OMPI_ALLOW_RUN_AS_ROOT $*" >> "$(dirname "$0")/launched"
shift 2
exec "$@"
)sh");
    fs::permissions(folder / "launcher", fs::perms::owner_all);
    return path("launcher");
  }
  /// `name` is the study's.
  void interrupt_and_go_on(const std::string& file, const std::string& name) const {
    works({"plan", file});
    programs::Child child(folder, "projector_study", {"run", file, "--jobs", "2"});
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    child.signal(SIGINT);
    const auto stopped = child.wait();
    BOOST_TEST(stopped.code == 130, stopped.err);
    BOOST_TEST(contains(stopped.err, "the same command continues"), stopped.err);
    works({"run", file, "--jobs", "2"});
    std::string logs;
    for (const auto& run : fs::directory_iterator(folder / name / "runs")) logs += content(run.path() / "log.txt");
    BOOST_TEST(contains(logs, "resumed at step"), logs);
    works({"report", file});
  }

  std::string program;
};

/// A small one that takes half a second a run.
nlohmann::json slow(nlohmann::json json) {
  json.erase("tuning");
  json["matchings"] = {"steps"};
  json["flags"]["pause"] = "0.02";
  json["arms"].erase(2);
  return json;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(studies, Studies)

BOOST_AUTO_TEST_CASE(are_planned_with_matched_controls) {
  const auto file = study(usual());
  const auto text = works({"plan", file}).out;
  for (const auto* const part : {"control-parameters-of-gains", "feed_forward_width=40", "control-time-of-gains",
                                 "max_steps=50", "5 arms, each with 3 runs for tuning and 3 that count: 30 runs"})
    BOOST_TEST(contains(text, part), "'" << part << "' is not in " << text);
  BOOST_TEST(works({"plan", file}).out == text);
  if (fs::exists(fs::path(NEURAL_ATTENTION_GOLDEN_DIR) / "../../.git")) {
    const auto version = json("s/plan.json")["version"].get<std::string>();
    BOOST_TEST(contains(version, ", commit "), version);
  }
  const auto commands = lines_of(works({"plan", file, "--format", "commands"}).out);
  BOOST_REQUIRE(commands.size() == 31u);  // with a line between tuning and the runs that count
  BOOST_TEST(commands[0] == "projector_study run " + file + " --only tune-control-0-seed8");
  const auto slurm = works({"plan", file, "--format", "slurm"}).out;
  BOOST_TEST((contains(slurm, "#SBATCH --array=1-16\n") && contains(slurm, "#SBATCH --cpus-per-task=1\n")), slurm);
  auto with_threads = usual();
  with_threads["matchings"] = {"steps"};
  with_threads["flags"]["threads"] = 2;
  with_threads["arms"][2]["flags"]["threads"] = 4;
  const auto four = works({"plan", study(with_threads, "threads"), "--format", "slurm"}).out;
  BOOST_TEST(contains(four, "#SBATCH --cpus-per-task=4\n"), four);
}

BOOST_AUTO_TEST_CASE(find_what_is_better_and_what_is_the_same) {
  const auto file = study(usual());
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "| gains | control | better |"), report);
  BOOST_TEST(contains(report, "| same | control | no difference larger than 0.01 |"), report);
  BOOST_TEST(contains(report, "★"), report);
  const auto csv = lines_of(content(folder / "s/runs.csv"));
  BOOST_TEST(csv.size() == 31u);
  const auto html = content(folder / "s/report.html");
  for (const auto* const part : {"<meta name=\"viewport\"", "prefers-color-scheme", "better", "<svg",
                                 "figure{margin:1rem 0;overflow-x:auto}", "{figure svg{max-width:none}}"})
    BOOST_TEST(contains(html, part));
  for (const auto* const part : {"http:", "https:", "src=", "<script"}) {
    auto rest = html;
    for (const std::string name = "http://www.w3.org/2000/svg"; contains(rest, name);)
      rest.erase(rest.find(name), name.size());
    BOOST_TEST(!contains(rest, part), part);
  }
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.md") == report);
  BOOST_TEST(content(folder / "s/report.html") == html);
}

BOOST_AUTO_TEST_CASE(have_the_steps_of_their_epochs) {
  auto json = slow(usual());
  json["flags"] = {{"data", path("text")}, {"num_train_epochs", 2}};
  json["arms"][1]["flags"]["per_device_train_batch_size"] = 8;
  const auto file = study(json);
  const auto plan = works({"plan", file}).out;
  BOOST_TEST(contains(plan, " –\n"), plan);
  works({"run", file});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, " -75.00 % |"), report);  // 10 steps instead of 40
}

BOOST_AUTO_TEST_CASE(compare_nothing_whose_size_the_plan_did_not_know) {
  auto json = usual();
  json.erase("tuning");
  json["arms"][1]["flags"]["grows"] = 700;
  const auto file = study(json);
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "| gains | control-parameters-of-gains | not matched: 2,100 parameters against 1,400 |"),
             report);
  BOOST_TEST(contains(report, " +50.00 % |"), report);
  BOOST_TEST(contains(report, "| gains | control | better |"), report);  // with equal steps
}

BOOST_AUTO_TEST_CASE(choose_the_setting_of_the_tuning_seeds) {
  const auto file = study(usual());
  works({"run", file});
  for (const auto* const arm : {"control", "gains", "control-time-of-gains"})
    BOOST_TEST(json("s/runs/" + std::string(arm) + "-seed1/run.json")["flags"]["learning_rate"] == "2");
  auto edge = usual();
  edge["tuning"]["flags"]["learning_rate"] = {2, 3};
  const auto other = study(edge, "edge");
  works({"run", other});
  works({"report", other});
  BOOST_TEST(contains(content(folder / "edge/report.md"), "stands at the edge of the grid"));
}

BOOST_AUTO_TEST_CASE(read_the_test_as_the_training_text) {
  auto json = usual();
  json.erase("tuning");
  json["matchings"] = {"steps"};
  json["seeds"] = {1, 2};
  json["test"] = {{"text", path("text")}, {"flags", {{"mlm_probability", "0.4"}}}};
  int studies = 0;
  const auto said = [&](const char* task, const nlohmann::json& flags) {
    json["task"] = task;
    json["flags"].update(flags);
    works({"run", study(json, task + std::to_string(++studies))});
    return lines_of(content(folder / "evaluated")).back();
  };
  const auto masked =
      said("masked_lm", {{"line_by_line", true}, {"max_seq_length", 20}, {"mlm_probability", 0.3}, {"block_size", 8}});
  for (const auto* const part : {"--line_by_line=true", "--max_seq_length=20", "--mlm_probability=0.4", "--threads=1"})
    BOOST_TEST(contains(masked, part), "'" << part << "' is not in " << masked);
  BOOST_TEST(!contains(masked, "block_size"));
  const auto causal = said("causal_lm", {{"block_size", 16}, {"windows", "shuffled"}});
  BOOST_TEST((contains(causal, "--block_size=16") && !contains(causal, "line_by_line")), causal);
  BOOST_TEST(!contains(causal, "windows"), causal);
  const auto lines = said("causal_lm", {{"windows", "lines"}});
  BOOST_TEST(contains(lines, "--windows=lines"), lines);
}

BOOST_AUTO_TEST_CASE(read_the_test_set_once_and_judge_by_it) {
  auto with_test = slow(usual());
  with_test["flags"]["pause"] = 0;
  with_test["test"] = {{"text", path("text")}};
  const auto file = study(with_test);
  works({"run", file});
  works({"report", file});
  const auto trained = std::stod(content(folder / "s/runs/gains-seed1/output/loss"));
  BOOST_TEST(json("s/runs/gains-seed1/test.json")["loss"].get<double>() == trained + 0.5,
             boost::test_tools::tolerance(1e-9));
  BOOST_TEST(contains(content(folder / "s/report.md"), "test loss"));
  BOOST_TEST(content(folder / "s/runs/gains-seed1/sample.txt") == "some text and so on\n");
  BOOST_TEST(!fs::exists(folder / "s/runs/gains-seed2/sample.txt"));
  BOOST_TEST(contains(content(folder / "s/report.md"), "### gains\n\n```\nsome text and so on\n```"));
  // A study from before there were samples gets them.
  fs::remove(folder / "s/runs/gains-seed1/sample.txt");
  refuses(1, "projector_study", {"report", file}, {"1 run is missing"});
  works({"run", file});
  BOOST_TEST(fs::exists(folder / "s/runs/gains-seed1/sample.txt"));
  works({"report", file});
  fs::remove_all(folder / "s/runs");
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "some text and so on"));
  // A sample that cannot be does not stop a study.
  fs::remove(folder / "s/runs/gains-seed1/sample.txt");
  write(folder / "short", "");
  BOOST_TEST(contains(works({"run", file}).err, "gains-seed1 has no sample: stand_in: the prompt is too long"));
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "no sample: stand_in: the prompt is too long"));
}

BOOST_AUTO_TEST_CASE(continue_only_what_is_text) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  json["test"] = {{"text", path("test.bin")}};
  write(folder / "test.bin", "token file\n");
  works({"run", study(json)});
  works({"report", path("s.json")});
  BOOST_TEST(!fs::exists(folder / "s/runs/gains-seed1/sample.txt"));
  BOOST_TEST(!contains(content(folder / "s/report.md"), "## Samples"));
  std::string line = "\n";
  while (line.size() < (2u << 20)) line += "so many words ";
  write(folder / "long.txt", line);  // no line end
  json["test"] = {{"text", path("long.txt")}};
  works({"run", study(json, "long")});
  BOOST_TEST(content(folder / "long/runs/gains-seed1/sample.txt") == "so many words so and so on\n");
}

BOOST_AUTO_TEST_CASE(show_commands_that_hold_where_they_ran) {
  auto json = slow(usual());
  json["flags"].update({{"pause", 0}, {"data", "text"}});
  fs::create_directories(folder / "studies");
  write(folder / "studies/s.json", json.dump());
  const auto in_folder = [&](const Arguments& arguments) {
    programs::Child child(folder, "projector_study", arguments, {}, [&] {
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
    });
    const auto outcome = child.wait();
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  };
  in_folder({"run", "studies/s.json"});
  in_folder({"report", "studies/s.json"});
  const auto report = content(folder / "studies/s/report.md");
  BOOST_TEST(contains(report, "run studies/s.json was called:"), report);
  BOOST_TEST(contains(report, "--output_dir=studies/s/runs/gains-seed2/output"), report);
  // From another folder, the same report.
  works({"report", path("studies/s.json")});
  BOOST_TEST(content(folder / "studies/s/report.md") == report);
}

BOOST_AUTO_TEST_CASE(beside_their_data_may_change_words) {
  fs::create_directories(folder / "texts/neural");
  write(folder / "texts/train.txt", "text");
  auto json = slow(usual());
  json["flags"].update({{"pause", 0}, {"data", path("texts")}, {"projector", path("texts/neural")}});
  const auto file = study(json, "texts/s");
  works({"plan", file});
  json["title"] = "Words";
  study(json, "texts/s");
  write(folder / "texts/neural/notes", "no data");
  works({"plan", file});
  write(folder / "texts/train.txt", "other text");
  refuses(1, "projector_study", {"plan", file}, {"texts: the data has changed since"});
}

BOOST_AUTO_TEST_CASE(with_many_seeds_draw_signs) {
  auto many = slow(usual());
  many["flags"].update({{"pause", 0}, {"max_steps", 5}});
  many["seeds"] = nlohmann::json::array();
  for (int seed = 1; seed <= 21; ++seed) many["seeds"].push_back(seed);
  const auto file = study(many);
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "with 21 seeds is \\< 0.0001: it is estimated by 99,999 random choices of signs."),
             report);
  BOOST_TEST(contains(report, "| gains | control | better |"), report);
}

BOOST_AUTO_TEST_CASE(report_an_arm_that_diverges) {
  auto diverging = slow(usual());
  diverging["flags"]["pause"] = 0;
  diverging["arms"][1]["flags"]["diverges"] = 2;
  const auto file = study(diverging);
  works({"run", file});
  BOOST_TEST(contains(json("s/runs/gains-seed2/run.json")["diverged"].get<std::string>(), "not finite"));
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "| gains | control | diverged with seed 2 |"), report);
  BOOST_TEST(contains(report, "step 3: the loss is not finite"), report);
  const auto again = works({"run", file});
  BOOST_TEST(!contains(again.err, "diverged"), again.err);
}

BOOST_AUTO_TEST_CASE(report_an_arm_that_diverges_with_every_setting) {
  auto json = usual();
  json["matchings"] = {"steps"};
  json["convergence"] = true;
  json["arms"][0]["flags"]["diverges"] = 8;  // the seed of tuning
  const auto file = study(json);
  refuses(2, "projector_study", {"run", file, "--only", "control-seed1"}, {"it waits for the tuning of its arm"});
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "| gains | control | the control diverged with every setting |"), report);
  BOOST_TEST(contains(report, "could not be tried: control diverged with every setting."), report);
  for (const auto* const name : {"control-seed1", "twice-control-seed1"}) {
    const auto said = works({"run", file, "--only", name}).err;
    BOOST_TEST(contains(said, std::string("control diverged with every setting, so there is no run ") + name), said);
  }
  refuses(2, "projector_study", {"run", file, "--only", "control-seed4"}, {"has no run \"control-seed4\""});
}

BOOST_AUTO_TEST_CASE(report_an_arm_that_diverges_with_the_calibrated_seed_or_in_the_test) {
  auto diverging = slow(usual());
  diverging["flags"]["pause"] = 0;
  diverging["arms"][0]["flags"]["overflows"] = 3;
  diverging["arms"][1]["flags"]["diverges"] = 1;  // also the seed of the short runs that measure time
  diverging["test"] = {{"text", path("text")}};
  const auto file = study(diverging);
  works({"run", file});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "| gains | control | diverged with seed 1; the control diverged with seed 3 |"), report);
  BOOST_TEST(contains(report, "the loss of a batch is not finite"), report);
}

BOOST_AUTO_TEST_CASE(start_training_by_a_launcher) {
  const auto script = folder / "chatty";
  write(script, R"sh(#!/bin/sh
echo "$OMPI_ALLOW_RUN_AS_ROOT $*" >> "$(dirname "$0")/launched"
shift 2
"$@"
code=$?
[ $code = 0 ] || echo "launcher: a process ended" >&2
exit $code
)sh");
  fs::permissions(script, fs::perms::owner_all);
  auto launched = slow(usual());
  launched["launcher"] = nlohmann::json::array({script.string(), "-n", "2"});
  launched["flags"]["pause"] = 0;
  launched["arms"][1]["flags"]["diverges"] = 2;
  launched["test"] = {{"text", path("text")}};
  const auto file = study(launched);
  const auto ran = run("projector_study", {"run", file}, {}, [] { setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1); });
  BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.err);
  const auto lines = lines_of(content(folder / "launched"));
  BOOST_TEST(lines.size() == 2u * 2 + 2 * 3);  // two short runs and three that count for each arm
  for (const auto& line : lines) BOOST_TEST(line.starts_with("1 -n 2 " + program + " train --"), line);
  BOOST_TEST(json("s/runs/gains-seed2/run.json")["diverged"] == "stand_in: step 3: the loss is not finite");
  launched["launcher"] = nlohmann::json::array({script.string(), "-n", "4"});
  refuses(1, "projector_study", {"run", study(launched)}, {"\"launcher\" has changed"});
  launched["launcher"] = nlohmann::json::array({"no_such_launcher"});
  refuses(1, "projector_study", {"run", study(launched, "none")}, {"could not be started"});
}

BOOST_AUTO_TEST_CASE(try_the_test_before_the_runs) {
  auto wrong = slow(usual());
  wrong["flags"]["pause"] = 0;
  wrong["test"] = {{"text", path("text")}, {"flags", {{"refuses", 1}}}};
  refuses(1, "projector_study", {"run", study(wrong)},
          {"to try the study's \"test\", cannot read it", "--refuses is no flag of evaluate"});
  BOOST_TEST((!fs::exists(folder / "s/plan.json") && !fs::exists(folder / "s/runs")));
  wrong["test"] = {{"text", path("tokens.bin")}};
  write(folder / "tokens.bin", "\xFF\xFE tokens");
  works({"plan", study(wrong, "tokens")});
  wrong["test"] = {{"text", path("one_line")}};
  write(folder / "one_line", std::string(3 << 20, 'x'));
  works({"plan", study(wrong, "long")});
}

BOOST_AUTO_TEST_CASE(stop_at_any_other_failure_with_its_message) {
  auto failing = slow(usual());
  failing["flags"]["pause"] = 0;
  failing["calibration_steps"] = 2;
  failing["arms"][1]["flags"]["fails"] = 1;
  const auto file = study(failing);
  refuses(1, "projector_study", {"run", file}, {"the run gains-seed1 failed with code 1", "the disk is full"});
  refuses(1, "projector_study", {"report", file}, {"runs are missing"});
}

BOOST_AUTO_TEST_CASE(need_runs_that_are_evaluated) {
  auto json = slow(usual());
  json["flags"].update({{"pause", 0}, {"unseen", 1}});
  refuses(1, "projector_study", {"run", study(json)},
          {"metrics.jsonl: ", "the run was not evaluated; a study needs validation text"});
}

BOOST_AUTO_TEST_CASE(refuse_what_has_changed) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  auto file = study(json);
  refuses(1, "projector_study", {"report", file}, {"has no runs yet"});
  works({"run", file});
  json["smallest_difference"] = 0.5;
  study(json);
  refuses(1, "projector_study", {"run", file},
          {"\"smallest_difference\" has changed since", "remove plan.json, records.jsonl and runs from "});
  refuses(1, "projector_study", {"report", file}, {"\"smallest_difference\" has changed since"});
  json["smallest_difference"] = 0.01;
  study(json);
  write(folder / "text", "other text");
  refuses(1, "projector_study", {"run", file}, {"text: the data has changed since"});
  fs::remove(folder / "text");
  refuses(1, "projector_study", {"run", file}, {"text: the study's data is not here; paths in "});
  write(folder / "text", "some text");
  write(folder / "stand_in", content(folder / "stand_in") + "# newer\n");
  refuses(1, "projector_study", {"run", file}, {"the training program has changed since"});
  stand_in(folder);
  works({"run", file});
  fs::remove_all(folder / "s/runs/gains-seed2");
  fs::copy(folder / "s/runs/gains-seed1", folder / "s/runs/gains-seed2", fs::copy_options::recursive);
  refuses(1, "projector_study", {"run", file}, {"gains-seed2/run.json: is of a run with other flags"});
}

BOOST_AUTO_TEST_CASE(go_on_after_ctrl_c) {
  for (const std::string name : {"s", "launched"}) {
    auto json = slow(usual());
    if (name == "launched") json["launcher"] = nlohmann::json::array({launcher(), "-n", "2"});
    interrupt_and_go_on(study(json, name), name);
  }
}

BOOST_AUTO_TEST_CASE(end_with_the_same_numbers_after_ten_kills) {
  const auto undisturbed = study(slow(usual()), "undisturbed");
  works({"run", undisturbed, "--jobs", "3"});
  works({"report", undisturbed});
  const auto file = study(slow(usual()), "killed");
  works({"plan", file});
  std::mt19937 random(7);
  for (int kills = 0; kills < 10; ++kills) {
    programs::Child child(folder, "projector_study", {"run", file, "--jobs", "2"});
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 300));
    child.kill_at_once();
    child.wait();
  }
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto numbers = [&](const std::string& name) {
    auto text = content(folder / name / "runs.csv");
    const auto output = "=" + path(name) + "/";
    for (std::size_t at = 0; (at = text.find(output, at)) != std::string::npos;) text.replace(at, output.size(), "=");
    return text;
  };
  BOOST_TEST(numbers("killed") == numbers("undisturbed"));
}

BOOST_AUTO_TEST_CASE(are_shared_by_processes) {
  const auto file = study(slow(usual()));
  works({"plan", file});
  fs::create_directories(folder / "one");
  fs::create_directories(folder / "two");
  programs::Child one(folder / "one", "projector_study", {"run", file}),
      two(folder / "two", "projector_study", {"run", file});
  const auto first = one.wait(), second = two.wait();
  BOOST_TEST(first.code == 0, first.err);
  BOOST_TEST(second.code == 0, second.err);
  for (const auto* const run :
       {"control-seed1", "control-seed2", "control-seed3", "gains-seed1", "gains-seed2", "gains-seed3"}) {
    const auto line = std::string(run) + ": validation loss";
    BOOST_TEST(contains(first.err, line) != contains(second.err, line), run);
  }
  works({"report", file});
}

BOOST_AUTO_TEST_CASE(train_alone_under_a_launcher) {
  const auto file = study(usual());
  programs::Child child(folder, "projector_study", {"run", file}, {}, [] {
    for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"}) setenv(name, "2", 1);
  });
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code == 0, outcome.err);
}

BOOST_AUTO_TEST_CASE(try_twice_the_steps) {
  auto json = slow(usual());
  json["flags"].update({{"pause", 0}, {"warmup_steps", 3}});
  json["convergence"] = true;
  const auto file = study(json);
  BOOST_TEST(contains(works({"plan", file}).out, "one run of the control with twice the steps"));
  works({"run", file});
  const auto flags = this->json("s/runs/twice-control-seed1/run.json")["flags"];
  BOOST_TEST(flags["max_steps"] == "40");
  BOOST_TEST(flags["warmup_steps"] == "6");
  works({"report", file});
  // 4 / (s + 2) more than 2 after s steps, and a noise: a gain of 4 %.
  BOOST_TEST(contains(content(folder / "s/report.md"), "Not converged: with the first seed, control"));
  json["flags"]["max_steps"] = 400;
  const auto longer = study(json, "longer");
  works({"run", longer});
  works({"report", longer});
  BOOST_TEST(contains(content(folder / "longer/report.md"), "\nConverged: with the first seed, control"));
}

BOOST_AUTO_TEST_CASE(name_the_steps_that_tuning_chose) {
  auto json = usual();
  json["matchings"] = {"parameters"};
  json["flags"]["max_steps"] = 10;
  json["tuning"]["flags"] = {{"max_steps", {10, 40}}};
  json["convergence"] = true;
  const auto file = study(json);
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, " after 40 steps and of "), report);
  works({"summary", file, "--output", path("page.md")});
  const auto page = content(folder / "page.md");
  BOOST_TEST(contains(page, "Study s: causal\\_lm, 40 steps, 3 seeds"), page);
}

BOOST_AUTO_TEST_CASE(start_all_arms_from_one_model) {
  auto json = usual();
  json["flags"].erase("max_steps");
  json["flags"]["max_steps"] = 20;
  json["matchings"] = {"steps", "time"};
  json["base"] = {{"max_steps", 10}, {"data", path("text")}, {"learning_rate", 1}};
  json["arms"][1]["flags"]["init_projections"] = "fresh";
  const auto file = study(json);
  BOOST_TEST(contains(works({"plan", file}).out, "one run before them"));
  const auto commands = lines_of(works({"plan", file, "--format", "commands"}).out);
  BOOST_TEST(commands.at(0) == "projector_study run " + file + " --only base-seed1");
  BOOST_TEST(commands.at(1) == "# when those have ended:");
  refuses(2, "projector_study", {"run", file, "--only", "tune-control-0-seed8"},
          {"has no run", ", or it waits for the base model, base-seed1"});
  works({"run", file, "--jobs", "2"});
  const auto command = this->json("s/runs/gains-seed1/run.json")["command"].get<std::string>();
  BOOST_TEST(contains(command, "--model=" + path("s/runs/base-seed1/output")), command);
  BOOST_TEST(!contains(this->json("s/runs/base-seed1/run.json")["command"].get<std::string>(), "--model="));
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "| gains | control | better |"));
  json["matchings"] = {"parameters"};
  refuses(1, "projector_study", {"plan", study(json, "x")}, {"\"parameters\" with \"base\""});
  json["matchings"] = {"steps"};
  json["base"]["nonsense"] = 1;
  refuses(1, "projector_study", {"plan", study(json, "y")}, {"stand_in: what is --nonsense=1?"});
}

BOOST_AUTO_TEST_CASE(go_on_from_the_records_of_their_base) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  json["base"] = {{"max_steps", 10}, {"data", path("text")}};
  const auto file = study(json);
  const auto [report, csv, records] = finished(file);
  // Where no run is missing, nothing is trained.
  fs::remove_all(folder / "s/runs");
  BOOST_TEST(works({"run", file}).err == "");
  BOOST_TEST(!fs::exists(folder / "s/runs/base-seed1/output"));
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.html") == report);
  // Without the last run, the base is trained again, and it is the same.
  const auto without_last = records.substr(0, records.rfind("{\"run\""));
  fs::remove_all(folder / "s/runs");
  write(folder / "s/records.jsonl", without_last);
  const auto again = works({"run", file, "--jobs", "2"}).err;
  BOOST_TEST(contains(again, "training base-seed1 again"), again);
  BOOST_TEST(!contains(again, "instead of"), again);
  BOOST_TEST(lines_of(again).size() == 3u, again);
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.html") == report);
  BOOST_TEST(content(folder / "s/runs.csv") == csv);
  BOOST_TEST(content(folder / "s/records.jsonl") == records);
  // Another model than the recorded one: this is said, now and wherever the study goes.
  auto rows = lines_of(without_last);
  auto base = nlohmann::ordered_json::parse(rows[0]);
  BOOST_TEST(base["run"] == "base-seed1");
  base["metrics"].back()["valid_loss"] = 9.5;
  rows[0] = base.dump();
  std::string other;
  for (const auto& row : rows) other += row + "\n";
  fs::remove_all(folder / "s/runs");
  write(folder / "s/records.jsonl", other);
  const auto differs = works({"run", file}).err;
  BOOST_TEST(contains(differs, "instead of 9.5: runs after that start from another model"), differs);
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "instead of 9.5: runs after that"));
  fs::remove_all(folder / "s/runs");
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "instead of 9.5: runs after that"));
}

BOOST_AUTO_TEST_CASE(go_on_from_their_records) {
  auto json = usual();
  json["convergence"] = true;
  const auto file = study(json);
  const auto [report, csv, records] = finished(file);
  fs::remove_all(folder / "s/runs");
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.html") == report);
  BOOST_TEST(content(folder / "s/runs.csv") == csv);
  BOOST_TEST(content(folder / "s/records.jsonl") == records);
  fs::remove_all(folder / "s/runs");
  // Without the last run, that alone runs again.
  write(folder / "s/records.jsonl", records.substr(0, records.rfind("{\"run\"")));
  const auto again = works({"run", file});
  BOOST_TEST(lines_of(again.err).size() == 1u, again.err);
  write(folder / "s/records.jsonl", R"({"run": "../out", "about": {}, "metrics": []})"
                                    "\n");
  refuses(1, "projector_study", {"report", file}, {"records.jsonl", "line 1", "is no name of a run"});
  write(folder / "s/records.jsonl", "{\"run\": \"a\"}\n");
  refuses(1, "projector_study", {"report", file}, {"lacks a run's description"});
  write(folder / "s/records.jsonl", R"({"run": "a", "about": {}, "metrics": []})"
                                    "\n");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "line 1", "lacks the key \"hash\""});
  write(folder / "s/records.jsonl", R"({"run": "a", "about": {"hash": "x"}, "metrics": [{"valid_loss": "low"}]})"
                                    "\n");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "line 1", "\"valid_loss\" must be"});
}

BOOST_AUTO_TEST_CASE(keep_the_records_of_runs_that_began_again_here) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  const auto file = study(json);
  const auto [report, csv, records] = finished(file);
  // Of two runs that have ended elsewhere, the first steps are here; somebody goes on with one of them.
  const auto begun = [&](const std::string& name) {
    const auto run = folder / "s/runs" / name;
    fs::remove_all(run / "output");
    fs::create_directories(run / "output");
    write(run / "output/metrics.jsonl", "{\"step\":5,\"valid_loss\":3.5}\n");
  };
  for (const auto* const name : {"gains-seed2", "gains-seed3"}) begun(name);
  {
    const auto lock = neural_attention::io::platform::lock_folder(folder / "s/runs/gains-seed3");
    BOOST_REQUIRE(lock.is_open());
    works({"report", file, "--partial"});
    BOOST_TEST(contains(content(folder / "s/report.md"), "Partial: 1 run is missing."));
    const auto kept = lines_of(content(folder / "s/records.jsonl")), before = lines_of(records);
    BOOST_TEST(std::set(kept.begin(), kept.end()) == std::set(before.begin(), before.end()),
               boost::test_tools::per_element());
  }
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.html") == report);
  BOOST_TEST(content(folder / "s/runs.csv") == csv);
  BOOST_TEST(content(folder / "s/records.jsonl") == records);
  for (const auto& item : fs::directory_iterator(folder / "s/runs"))
    BOOST_TEST(!item.path().filename().string().starts_with('.'), item.path());
}

BOOST_AUTO_TEST_CASE(of_translators_are_reported_without_their_texts) {
  std::string german, english;
  for (int i = 0; i < 1200; ++i) {  // more than a row of the records has
    const auto number = std::to_string(i);
    german += "das ist Satz " + number + " von allen .\n";
    english += "this is sentence " + number + " of all .\n";
  }
  fs::create_directories(folder / "data");
  write(folder / "data/test.de", german);
  write(folder / "data/test.en", english);
  write(folder / "answers", english);
  auto json = slow(usual());
  json["task"] = "translation";
  json["flags"]["pause"] = 0;
  json["measure"] = "bleu";
  json["seeds"] = {1, 2};
  json["test"] = {{"source", path("data/test.de")}, {"reference", path("data/test.en")}};
  const auto file = study(json);
  const auto [html, csv, records] = finished(file);
  const auto report = content(folder / "s/report.md");
  for (const auto* const part :
       {"| gains | control | better |", "on 1,200 sentences", "paired bootstrap (95 % interval and p of 1,000 samples)",
        "| reference | this is sentence 0 of all . |", "| control, seed 1 | this wrong sentence 0 of all . |"})
    BOOST_TEST(contains(report, part), "'" << part << "' is not in " << report);
  // 0.2 of the lines of the better arm are wrong, 0.8 of the control's.
  BOOST_TEST(this->json("s/runs/gains-seed1/test.json")["bleu"].get<double>() > 80);
  BOOST_TEST(this->json("s/runs/control-seed1/test.json")["bleu"].get<double>() < 75);
  BOOST_TEST(!fs::exists(folder / "s/runs/gains-seed1/test.part"));
  // The first sentences are samples; no other one is kept.
  BOOST_TEST(contains(records, "sentence 2 of"));
  BOOST_TEST(!contains(records, "sentence 3"));
  fs::remove_all(folder / "s/runs");
  fs::remove_all(folder / "data");
  works({"report", file});
  BOOST_TEST(content(folder / "s/report.html") == html);
  BOOST_TEST(content(folder / "s/runs.csv") == csv);
  BOOST_TEST(content(folder / "s/records.jsonl") == records);
  // Counts that cannot be, and counts of no run, are faults of the file that is kept.
  const auto with = [&](const std::string& old, const std::string& changed) {
    auto text = records;
    text.replace(text.rfind(old), old.size(), changed);
    fs::remove_all(folder / "s/runs");
    write(folder / "s/records.jsonl", text);
  };
  with("]]}", ",1]]}");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "line ", "no list of 14 whole numbers"});
  with("\"segments\":[[", "\"segments\":[[9");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "counts that no sentence of a test set has"});
  with("{\"run\":\"gains-seed2\",\"seg", "{\"run\":\"control-seed2\",\"seg");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "in a wrong place"});
  with("{\"run\":\"gains-seed2\",\"segments\"", "{\"run\":\"gains-seed2\",\"translations\"");
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "as an earlier version did"});
  // A file that was cut: of the last run, segments are missing.
  const auto cut = [&](std::size_t rows) {
    auto text = records;
    for (std::size_t i = 0; i < rows; ++i) text.erase(text.rfind("{\"run\""));
    fs::remove_all(folder / "s/runs");
    write(folder / "s/records.jsonl", text);
  };
  cut(3);
  refuses(1, "projector_study", {"report", file}, {"s/records.jsonl", "lacks the segments of \"gains-seed2\""});
  for (const auto& item : fs::directory_iterator(folder / "s/runs"))
    BOOST_TEST(!contains(item.path().filename().string(), "unpacked"), item.path());
  cut(1);
  refuses(1, "projector_study", {"report", file}, {"gains-seed2/test.segments", "or not all of them"});
  // A translator that leaves lines out is a fault.
  fs::create_directories(folder / "data");
  write(folder / "data/test.de", german);
  write(folder / "data/test.en", english);
  write(folder / "answers", english.substr(0, 2 * (english.find('\n') + 1)));
  fs::remove_all(folder / "s/runs");
  fs::remove(folder / "s/records.jsonl");
  refuses(1, "projector_study", {"run", file}, {"test.part", "has 2 lines", "test.en has 1200"});
}

BOOST_AUTO_TEST_CASE(are_reported_in_part) {
  auto json = usual();
  json["convergence"] = true;
  const auto file = study(json);
  works({"run", file, "--jobs", "2"});
  fs::remove_all(folder / "s/runs/gains-seed2");
  fs::remove_all(folder / "s/runs/twice-control-seed1");
  refuses(1, "projector_study", {"report", file}, {"2 runs are missing", "--partial"});
  works({"report", file, "--partial"});
  const auto report = content(folder / "s/report.md");
  for (const auto* const part : {"Partial: 2 runs are missing", "| gains | control | not finished |",
                                 "| same | control | no difference larger than 0.01 |", "has not ended yet"})
    BOOST_TEST(contains(report, part), "'" << part << "' is not in " << report);
  fs::remove(folder / "s/records.jsonl");
  fs::remove_all(folder / "s/runs/tune-gains-2-seed8");
  works({"report", file, "--partial"});
  BOOST_TEST(contains(content(folder / "s/report.md"), " | – |\n| same |"), content(folder / "s/report.md"));
  works({"run", file});
  works({"report", file});
  BOOST_TEST(contains(content(folder / "s/report.md"), "| gains | control | better |"));
}

BOOST_AUTO_TEST_CASE(have_words_for_readers_that_may_change) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  const auto file = study(json);
  works({"run", file});
  works({"report", file});
  const auto begins = [&](const std::string& text) {
    const auto report = content(folder / "s/report.md");
    BOOST_TEST(report.starts_with(text), "the report begins with " << report.substr(0, 200));
  };
  begins("# Study s: causal\\_lm\n\nGenerated from the metrics of the runs; do not edit.\n");
  json["title"] = "Does _it_ gain?";
  json["about"] = "- We ask | that.";
  study(json);
  const auto again = works({"run", file}).err;
  BOOST_TEST(!contains(again, "validation loss"), again);
  works({"report", file});
  begins("# Does \\_it\\_ gain?\n\n\\- We ask \\| that.\n\nStudy s: causal\\_lm. Generated from the metrics");
  BOOST_TEST(contains(content(folder / "s/report.html"), "<title>Does _it_ gain?</title>"));
  BOOST_TEST(!this->json("s/plan.json")["study"].contains("title"));
  json["title"] = "Another title";
  json.erase("about");
  study(json);
  works({"report", file});
  begins("# Another title\n\nStudy s: causal\\_lm. Generated");
}

BOOST_AUTO_TEST_CASE(are_summed_up_on_one_page) {
  for (const auto* const name : {"my studies", "pages"}) fs::create_directories(folder / name);
  auto json = usual();
  json["title"] = "Gains";
  json["about"] = "What it asks.";
  json["convergence"] = true;
  json["matchings"] = {"steps"};
  json["arms"].erase(2);
  json["tuning"]["flags"]["learning_rate"] = {2, 3};
  auto plain = slow(usual());
  plain["flags"]["pause"] = 0;
  const auto one = study(json, "my studies/one"), two = study(plain, "two"), page = path("pages/all.md");
  works({"run", one, "--jobs", "2"});
  works({"run", two, "--jobs", "2"});
  const Arguments summary = {"summary", one, two, "--title", "Do they gain?", "--output", page};
  BOOST_TEST(works(summary).out == page + "\n");
  const auto text = content(page);
  BOOST_TEST(text.starts_with("# Do they gain?\n\nGenerated from the plans and the metrics of the runs by the "
                              "following command; do not edit.\n\n```\nprojector_study summary '" +
                              one + "' " + two + " --title 'Do they gain?' --output " + page + "\n```\n"),
             text);
  for (const auto* const part :
       {"| Gains | gains | steps | validation loss (nats a token) | better | -0.0",
        "| two | gains | steps | validation loss (nats a token) | better | -0.0", " | 0.00 % | ",
        "\n## Gains\n\nWhat it asks.\n\nStudy one: causal\\_lm, 20 steps, 3 seeds, 2 settings tried for each arm, 11 "
        "runs. Machine of the plan: ",
        "\n\nNot converged: with the first seed, control", "\n- control: the best learning\\_rate stands at the edge",
        "![Each seed](../my%20studies/one/charts/seeds.svg)\n\n"
        "![Validation loss over steps](../my%20studies/one/charts/loss-steps.svg)\n\n"
        "[The report of the study one](../my%20studies/one/report.md)\n\n## Study two: causal\\_lm\n\n"
        "Study two: causal\\_lm, 20 steps, 3 seeds, nothing tuned, 6 runs.",
        "has not been tried.\n\n![Each seed](../two/charts/seeds.svg)"})
    BOOST_TEST(contains(text, part), "'" << part << "' is not in " << text);
  for (const auto* const file : {"my studies/one/charts/seeds.svg", "two/charts/loss-steps.svg", "two/report.md"})
    BOOST_TEST(fs::exists(folder / file), file);
  // The same from the records alone.
  for (const auto* const runs : {"my studies/one/runs", "two/runs"}) fs::remove_all(folder / runs);
  works(summary);
  BOOST_TEST(content(page) == text);
  works({"summary", one, two, "--output", path("all.html")});
  const auto html = content(folder / "all.html");
  for (const auto* const part :
       {"<title>Studies</title>", "<h2>Gains</h2>", "<figure><svg", "<a href=\"my%20studies/one/report.html\">"})
    BOOST_TEST(contains(html, part), "'" << part << "' is not in the page");
  // With a run missing.
  fs::remove(folder / "two/records.jsonl");
  fs::remove_all(folder / "two/runs/gains-seed2");
  works(summary);
  const auto part_of_it = content(page);
  BOOST_TEST(
      contains(part_of_it, "| two | gains | steps | validation loss (nats a token) | not finished | – | – | – |"));
  BOOST_TEST(contains(part_of_it, "\n\nPartial: 1 run is missing.\n\n"), part_of_it);
}

BOOST_AUTO_TEST_CASE(that_cannot_be_summed_up_are_named) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  const auto file = study(json), page = path("page.md");
  const auto refused = [&](int code, const Arguments& more, const std::vector<std::string>& parts) {
    Arguments arguments = {"summary"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    refuses(code, "projector_study", arguments, parts);
  };
  refused(2, {"--output", page}, {"studies"});
  refused(1, {path("nothing.json"), "--output", page}, {"nothing.json: cannot"});
  refused(1, {file, "--output", page}, {"s.json: has no runs yet; begin with projector_study run "});
  works({"run", file});
  fs::create_directories(folder / "other");
  const auto same = study(json, "other/s");
  refused(2, {file, same, "--output", page}, {"two studies have the name \"s\": " + file + " and " + same});
  refused(2, {file, file, "--output", page}, {"two studies have the name \"s\""});
  refused(1, {file, "--output", path("nowhere/page.md")}, {"nowhere/page.md: cannot be written: there is no folder"});
  refused(2, {file, "--output", path("page.txt")}, {"a page NAME.md or NAME.html, not "});
  works({"report", file});
  refused(2, {file, "--output", path("s/report.md")}, {"s/report.md is the file of a study's report"});
  BOOST_TEST(!fs::exists(page));
}

BOOST_AUTO_TEST_CASE(take_a_program_that_was_built_anew) {
  auto json = slow(usual());
  json["flags"]["pause"] = 0;
  const auto file = study(json);
  works({"run", file});
  fs::remove_all(folder / "s/runs/gains-seed3");
  write(folder / "stand_in", content(folder / "stand_in") + "# newer\n");
  refuses(1, "projector_study", {"run", file}, {"--rebuilt_program"});
  works({"run", file, "--rebuilt_program"});
  works({"report", file});
  const auto report = content(folder / "s/report.md");
  BOOST_TEST(contains(report, "\n- 1 run on "), report);
  BOOST_TEST(contains(report, "\n- 5 runs on "), report);
}

BOOST_AUTO_TEST_CASE(cut_off_what_they_tune_on) {
  fs::create_directories(folder / "data");
  std::string text;
  for (int i = 0; i < 40; ++i) text += "line " + std::to_string(i) + "\n";
  for (const auto* const ending : {"txt", "de", "en"}) {
    write(folder / "data" / (std::string("train.") + ending), text);
    write(folder / "data" / (std::string("valid.") + ending), "valid");
  }
  const auto begin = [&](const std::string& task, const std::string& name, Arguments more = {}) {
    Arguments all = {"init", "--task", task, "--data", path("data"), "--output", path(name + ".json")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto said = works(begin("causal_lm", "a")).err;
  BOOST_TEST(contains(said, "has no test text"), said);
  BOOST_TEST(content(folder / "a/data/valid.txt") == "line 38\nline 39\n");
  BOOST_TEST(content(folder / "a/data/train.txt") == text.substr(0, text.find("line 38")));
  BOOST_TEST(content(folder / "a/data/test.txt") == "valid\n");
  BOOST_TEST(json("a.json")["test"]["text"] == path("a/data/test.txt"));
  BOOST_TEST(json("a.json")["flags"]["data"] == path("a/data"));
  works(begin("translation", "b", {"--held_out", "0.1"}));
  BOOST_TEST(content(folder / "b/data/valid.en") == "line 36\nline 37\nline 38\nline 39\n");
  BOOST_TEST(json("b.json")["test"]["reference"] == path("b/data/test.en"));
  write(folder / "data/train.fr", text);
  write(folder / "data/valid.fr", "valid");
  works(begin("translation", "french", {"--flags", "source_lang=fr"}));
  BOOST_TEST(content(folder / "french/data/valid.fr") == "line 38\nline 39\n");
  BOOST_TEST(!fs::exists(folder / "french/data/valid.de"));
  BOOST_TEST(json("french.json")["test"]["source"] == path("french/data/test.fr"));
  BOOST_TEST(json("french.json")["flags"]["source_lang"] == "fr");
  refuses(
      2, "projector_study",
      {"init", "--task", "translation", "--data", "grammar", "--flags", "source_lang=fr", "--output", path("g.json")},
      {"the grammar translates from de to en, so --flags cannot have source_lang=fr"});
  works(begin("causal_lm", "c", {"--held_out", "0"}));
  BOOST_TEST(!json("c.json").contains("test"));
  refuses(1, "projector_study", begin("causal_lm", "d", {"--test", "mine"}), {"has no mine.txt (--test)"});
  write(folder / "data/train.en", "one line");
  refuses(1, "projector_study", begin("translation", "e"), {"train.en", "has 1 line, ", "has 40 lines"});
  BOOST_TEST(!fs::exists(folder / "e.json"));
  write(folder / "data/mine.txt", "text");
  works(begin("causal_lm", "f", {"--test", "mine"}));
  BOOST_TEST(json("f.json")["test"]["text"] == path("data/mine.txt"));
}

BOOST_AUTO_TEST_CASE(begin_with_usual_values) {
  fs::create_directories(folder / "data");
  for (const std::string part : {"train", "valid", "test"})
    for (const auto* const ending : {".txt", ".de", ".en"}) write(folder / "data" / (part + ending), "text");
  for (const auto* const task : {"causal_lm", "masked_lm", "translation"}) {
    const auto file = path(std::string(task) + ".json");
    works({"init", "--task", task, "--data", path("data"), "--arms",
           "linear,paper::marian,nonlinear_query,paper::roberta", "--output", file});
    const auto written = json(std::string(task) + ".json");
    BOOST_TEST(written["control"] == "linear");
    const nlohmann::json marian = {{"projector_q", "neural"}, {"projector_k", "neural"}, {"projector_out", "neural"}};
    BOOST_TEST(written["arms"][1]["flags"] == marian);
    BOOST_TEST(written["arms"][2]["flags"]["projector_q"] == "nonlinear_query");
    const nlohmann::json roberta = {
        {"projector_q", "plain_neural"}, {"projector_k", "plain_neural"}, {"projector_v", "plain_neural"}};
    BOOST_TEST(written["arms"][3]["flags"] == roberta);
    refuses(1, "projector_study", {"init", "--task", task, "--data", path("data"), "--output", file},
            {"exists already"});
  }
  refuses(1, "projector_study",
          {"init", "--task", "causal_lm", "--data", path("data"), "--arms", "linear", "--output", path("x.json")},
          {"at least two arms"});
  refuses(1, "projector_study", {"init", "--task", "causal_lm", "--data", path("nowhere")}, {"is not a folder"});
  works({"init", "--task", "causal_lm", "--data", path("data"), "--seeds", "150", "--output", path("many.json")});
  BOOST_TEST(json("many.json")["tuning"]["seeds"] == nlohmann::json::array({151}));
  works({"init", "--task", "causal_lm", "--data", path("data"), "--tune", "none", "--flags", "nonsense=1", "--output",
         path("none.json")});
  BOOST_TEST(!json("none.json").contains("tuning"));
  refuses(1, "projector_study", {"report", path("nothing.json")}, {"nothing.json: cannot"});
  auto wrong = json("none.json");
  wrong["program"] = (fs::path(NEURAL_ATTENTION_BIN_DIR) / "causal_lm").string();
  write(folder / "none.json", wrong.dump());
  refuses(1, "projector_study", {"plan", path("none.json")}, {"causal_lm: ", "--nonsense"});
}

BOOST_AUTO_TEST_CASE(that_cannot_be_matched_are_refused_by_file_and_key) {
  auto json = usual();
  json["arms"] = {{{"name", "control"}, {"flags", {{"other", 0}}}}, {{"name", "changed"}, {"flags", {{"other", 1}}}}};
  json["tuning"]["flags"] = {{"gain", {1, 2}}};
  json["matchings"] = {"parameters"};
  refuses(1, "projector_study", {"plan", study(json)},
          {"s.json", "\"tuning.flags.gain\" changes the parameters of the arm \"control\""});
  json = usual();
  json["match_by"] = "colour";
  refuses(1, "projector_study", {"plan", study(json)}, {"s.json", "colour (\"match_by\") makes no difference"});
  json = usual();
  json["flags"].erase("max_steps");
  refuses(1, "projector_study", {"plan", study(json)}, {"s.json", "the \"flags\" of the arm"});
}

BOOST_AUTO_TEST_CASE(begin_with_what_the_data_have) {
  fs::create_directories(folder / "data");
  const auto begin = [&](const std::string& task, const std::string& name, Arguments more = {}) {
    Arguments all = {"init", "--task", task, "--data", path("data"), "--output", path(name + ".json")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  refuses(1, "projector_study", begin("causal_lm", "a"), {"train.txt", "does not exist"});
  refuses(1, "projector_study", begin("translation", "a"), {"data: has no train.de and train.en"});
  for (const auto* const name : {"train.fr", "valid.fr", "train.en.gz", "valid.en", "test.fr", "test.en"})
    write(folder / "data" / name, "text");
  works(begin("translation", "french"));
  BOOST_TEST(
      (json("french.json")["flags"]["source_lang"] == "fr" && json("french.json")["flags"]["target_lang"] == "en"));
  BOOST_TEST(json("french.json")["test"]["source"] == path("data/test.fr"));
  works(begin("translation", "english", {"--flags", "source_lang=en"}));
  BOOST_TEST(json("english.json")["flags"]["target_lang"] == "fr");
  fs::remove(folder / "data/test.fr");
  refuses(1, "projector_study", begin("translation", "half"), {"test.en", "test.fr is not", "both languages"});
  for (const auto* const name : {"train.it", "valid.it"}) write(folder / "data" / name, "text");
  refuses(1, "projector_study", begin("translation", "three"),
          {"it has train.en, train.fr, train.it", "source_lang=", "target_lang="});
  for (const auto* const name : {"train.bin", "valid.bin"}) write(folder / "data" / name, "tokens");
  refuses(1, "projector_study", begin("causal_lm", "tokens"), {"token files", "--held_out 0"});
  works(begin("causal_lm", "tokens", {"--held_out", "0"}));
  refuses(1, "projector_study", begin("causal_lm", "data", {"--held_out", "0"}), {"data.json", "which is --data"});
  fs::create_directories(folder / "earlier");
  write(folder / "earlier/plan.json", "{}");
  refuses(1, "projector_study", begin("causal_lm", "earlier", {"--held_out", "0"}), {"plan.json", "an earlier study"});
  // Its own folder of data would be overwritten.
  fs::create_directories(folder / "own/data");
  for (const auto* const name : {"train.txt", "valid.txt"}) write(folder / "own/data" / name, "1\n2\n3\n");
  refuses(1, "projector_study",
          {"init", "--task", "causal_lm", "--data", path("own/data"), "--output", path("own.json")},
          {"own.json", "which is --data"});
  BOOST_TEST(content(folder / "own/data/train.txt") == "1\n2\n3\n");
}

BOOST_AUTO_TEST_CASE(refuse_wrong_files_and_programs) {
  refuses(1, "projector_study", {"plan", path("nothing.json")}, {"nothing.json"});
  refuses(2, "projector_study", {"plan", "study.txt"}, {"NAME.json"});
  auto json = usual();
  json["program"] = "no_such_program";
  refuses(1, "projector_study", {"plan", study(json)}, {"no_such_program", "is not a program"});
  refuses(2, "projector_study", {"run", study(usual()), "--jobs", "0"}, {"--jobs"});
  refuses(2, "projector_study", {"run", study(usual()), "--only", "nothing"}, {"has no run \"nothing\""});
}

BOOST_AUTO_TEST_SUITE_END()
