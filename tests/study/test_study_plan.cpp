// The plan of a study: its arms, the controls that match them, its runs, and plan.json.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE study_plan
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "neural_attention/core/number_text.hpp"
#include "neural_attention/study/study_plan.hpp"

namespace na = neural_attention;
namespace fs = std::filesystem;
using namespace neural_attention::study;

namespace {

double number(const FlagSet& flags, const std::string& name, double usual) {
  const auto found = flags.find(name);
  return found == flags.end() ? usual : *na::number_in(found->second);
}

/// Models with 1000 parameters, 8 for each column of the feed-forward networks, and those of a projector.
ArmSize size_of(const FlagSet& flags) {
  const auto width = static_cast<std::int64_t>(number(flags, "feed_forward_width", 100));
  const auto more = static_cast<std::int64_t>(number(flags, "more", 0));
  return {1000 + 8 * width + more, 2 * (500 + 8 * width + 3 * more)};
}
/// A step takes a second, and more with a projector.
ArmTime time_of(const FlagSet& flags) { return {1.0 + number(flags, "more", 0) / 1000, 2.0}; }

const Measurements measure = {size_of, time_of};

StudyConfig usual(std::vector<Matching> matchings) {
  StudyConfig study;
  study.task = study.program = "causal_lm";
  study.flags = {{"max_steps", "100"}};
  study.arms = {{"linear", {{"more", "0"}}}, {"a", {{"more", "250"}}}, {"b", {{"more", "1000"}}}};
  study.control = "linear";
  study.matchings = std::move(matchings);
  study.seeds = {1, 2};
  study.grid = {{"learning_rate", {"1", "2", "3"}}};
  study.tuning_seeds = {8, 9};
  return study;
}

bool says(const na::ConfigError& error, const std::string& part) {
  BOOST_TEST_MESSAGE(error.what());
  return std::string(error.what()).find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(arms)

BOOST_AUTO_TEST_CASE(with_equal_steps_are_compared_with_the_control_itself) {
  const auto plan = plan_arms(usual({Matching::Steps}), measure);
  BOOST_TEST(plan.arms.size() == 3u);
  BOOST_REQUIRE(plan.comparisons.size() == 2u);
  BOOST_TEST(plan.comparisons[1].arm == "b");
  BOOST_TEST(plan.comparisons[1].control == "linear");
  BOOST_TEST(plan.comparisons[1].unmatched == 0.0);
  auto study = usual({Matching::Steps});
  study.arms[2].flags["max_steps"] = "50";
  BOOST_TEST(plan_arms(study, measure).comparisons[1].unmatched == -0.5);
}

BOOST_AUTO_TEST_CASE(that_count_epochs_have_steps_that_no_plan_knows) {
  auto study = usual({Matching::Steps});
  for (const auto* const steps : {"", "0", "-1"}) {
    study.flags = {{"num_train_epochs", "1"}};
    if (*steps) study.flags["max_steps"] = steps;
    study.arms[2].flags["max_steps"] = "50";
    for (const auto& one : plan_arms(study, measure).comparisons) BOOST_TEST(std::isnan(one.unmatched), one.arm);
  }
}

BOOST_AUTO_TEST_CASE(get_controls_of_equal_parameters_and_flops) {
  const auto plan = plan_arms(usual({Matching::Parameters, Matching::Flops}), measure);
  BOOST_REQUIRE(plan.comparisons.size() == 4u);
  BOOST_TEST(plan.comparisons[0].control == "linear-parameters-of-a");
  // 250 parameters are 31.25 columns: 31 leave 2 of 2048 over.
  BOOST_TEST(plan.arm("linear-parameters-of-a").flags.at("feed_forward_width") == "131");
  BOOST_TEST(plan.comparisons[0].unmatched == 2.0 / 2048, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(plan.arm("linear-parameters-of-b").flags.at("feed_forward_width") == "225");
  BOOST_TEST(plan.comparisons[1].unmatched == 0.0);
  BOOST_TEST(plan.arm("linear-flops-of-b").flags.at("feed_forward_width") == "475");
}

BOOST_AUTO_TEST_CASE(get_controls_that_train_as_long) {
  const auto plan = plan_arms(usual({Matching::Time}), measure);
  BOOST_TEST(plan.arm("linear-time-of-a").flags.at("max_steps") == "125");
  BOOST_TEST(plan.arm("linear-time-of-b").flags.at("max_steps") == "200");
  BOOST_TEST(plan.arm("b").flags.at("max_steps") == "100");
}

BOOST_AUTO_TEST_CASE(share_a_control_with_equal_flags) {
  auto study = usual({Matching::Steps, Matching::Parameters, Matching::Time});
  study.arms = {{"linear", {{"more", "0"}}},
                {"a", {{"more", "400"}, {"x", "1"}}},
                {"b", {{"more", "400"}, {"x", "2"}}},
                {"same", {{"x", "3"}}}};
  const auto plan = plan_arms(study, measure);
  BOOST_TEST(plan.arms.size() == 6u);  // a and b have one control for parameters and one for time
  for (const auto& one : plan.comparisons) {
    if (one.arm == "b" && one.matching == Matching::Parameters) BOOST_TEST(one.control == "linear-parameters-of-a");
    if (one.arm == "same" && one.matching == Matching::Parameters) BOOST_TEST(one.control == "linear");
  }
}

BOOST_AUTO_TEST_CASE(that_are_their_own_controls_are_not_compared) {
  auto study = usual({Matching::Parameters, Matching::Steps});
  // b as a wider linear model, in the very width that has its parameters.
  study.arms[2].flags = {{"more", "0"}, {"feed_forward_width", "225"}};
  const auto plan = plan_arms(study, measure);
  BOOST_TEST(plan.comparisons.size() == 3u);
  for (const auto& one : plan.comparisons) BOOST_TEST(one.arm != one.control);
}

BOOST_AUTO_TEST_CASE(that_cannot_be_matched_are_refused) {
  auto study = usual({Matching::Time});
  study.flags.clear();
  BOOST_CHECK_EXCEPTION(plan_arms(study, measure), na::ConfigError, [](const auto& error) {
    return says(error, "\"flags\" of the arm \"a\" lack max_steps, which this study changes");
  });
  study = usual({Matching::Parameters});
  study.arms[1].name = "linear-parameters-of-b";
  BOOST_CHECK_EXCEPTION(plan_arms(study, measure), na::ConfigError,
                        [](const auto& error) { return says(error, "has the name of a matched control"); });
  study = usual({Matching::Parameters});
  study.arms[1].flags["more"] = "-900";
  BOOST_CHECK_EXCEPTION(plan_arms(study, measure), na::ConfigError, [](const auto& error) {
    return says(error, "gives the control only 900 parameters: with 1, it has 1,008");
  });
  study = usual({Matching::Flops});
  study.grid["more"] = {"0", "10"};
  BOOST_CHECK_EXCEPTION(plan_arms(study, measure), na::ConfigError, [](const auto& error) {
    return says(
        error,
        "\"tuning.flags.more\" changes the flops of the arm \"linear\"; with every setting, an arm must keep the "
        "size by which it is matched");
  });
  study.matchings = {Matching::Time};  // FLOPs take time
  BOOST_CHECK_THROW(plan_arms(study, measure), na::ConfigError);
  study.matchings = {Matching::Steps};
  BOOST_CHECK_NO_THROW(plan_arms(study, measure));
  study = usual({Matching::Parameters});
  study.match_by = "colour";
  BOOST_CHECK_EXCEPTION(plan_arms(study, measure), na::ConfigError,
                        [](const auto& error) { return says(error, "colour (\"match_by\") makes no difference"); });
}

BOOST_AUTO_TEST_CASE(have_equal_sizes_with_every_setting) {
  // The flag changes only the arm a: no projector of the control has an expansion.
  const Measurements expanding = {[](const FlagSet& flags) {
                                    auto size = size_of(flags);
                                    if (number(flags, "more", 0) == 250) {
                                      size.parameters += static_cast<std::int64_t>(number(flags, "expansion", 1)) * 16;
                                      size.flops = 2 * size.parameters;
                                    }
                                    return size;
                                  },
                                  time_of};
  for (const auto matching : {Matching::Parameters, Matching::Flops}) {
    auto study = usual({matching});
    study.grid["expansion"] = {"1", "8"};
    const auto of_a = [&](const auto& error) {
      return says(error,
                  "\"tuning.flags.expansion\" changes the " + std::string(na::name_of(matching)) + " of the arm \"a\"");
    };
    BOOST_CHECK_EXCEPTION(plan_arms(study, expanding), na::ConfigError, of_a);
    study.grid["expansion"] = {"8"};  // the only value, but another than that with which the plan measures
    BOOST_CHECK_EXCEPTION(plan_arms(study, expanding), na::ConfigError, of_a);
    study.grid["expansion"] = {"1"};
    BOOST_CHECK_NO_THROW(plan_arms(study, expanding));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(runs)

BOOST_AUTO_TEST_CASE(are_the_grid_times_its_seeds_and_then_the_seeds) {
  auto plan = plan_arms(usual({Matching::Steps}), measure);
  const auto tuning = tuning_runs(plan, "a");
  BOOST_REQUIRE(tuning.size() == 6u);
  BOOST_TEST(tuning[3].name == "tune-a-1-seed9");
  BOOST_TEST(tuning[3].flags.at("learning_rate") == "2");
  BOOST_TEST(tuning[3].flags.at("seed") == "9");
  const auto finals = final_runs(plan, "a", 2);
  BOOST_REQUIRE(finals.size() == 2u);
  BOOST_TEST(finals[1].name == "a-seed2");
  BOOST_TEST((finals[1].flags ==
              FlagSet{{"learning_rate", "3"}, {"max_steps", "100"}, {"more", "250"}, {"seed", "2"}, {"threads", "1"}}));
  BOOST_TEST((arguments_of(finals[1].flags).front() == "--learning_rate=3"));
  plan.study.grid.clear();
  BOOST_TEST(tuning_runs(plan, "a").empty());
  BOOST_TEST(!final_runs(plan, "a", 0)[0].flags.contains("learning_rate"));
}

BOOST_AUTO_TEST_CASE(of_twice_the_steps_stretch_the_schedule) {
  auto study = usual({Matching::Steps});
  study.flags["warmup_steps"] = "10";
  study.flags["eval_steps"] = "25";
  const auto plan = plan_arms(study, measure);
  const auto run = twice_run(plan, 1);
  BOOST_TEST(run.name == "twice-" + study.control + "-seed1");
  BOOST_TEST((run.kind == RunKind::Twice));
  BOOST_TEST(run.flags.at("max_steps") == "200");
  BOOST_TEST(run.flags.at("warmup_steps") == "20");
  BOOST_TEST(run.flags.at("eval_steps") == "50");
  BOOST_TEST(run.flags.at("learning_rate") == "2");
}

BOOST_AUTO_TEST_CASE(depend_on_the_base_model) {
  auto study = usual({Matching::Steps});
  auto plan = plan_arms(study, measure);
  BOOST_CHECK_THROW(base_run(plan), na::ConfigError);
  const auto before = final_runs(plan, "a", 0)[0].hash;
  study.base = FlagSet{{"max_steps", "50"}};
  plan = plan_arms(study, measure);
  const auto run = base_run(plan);
  BOOST_TEST(run.name == "base-seed1");
  BOOST_TEST((run.flags == FlagSet{{"max_steps", "50"}, {"seed", "1"}, {"threads", "1"}}));
  BOOST_TEST(final_runs(plan, "a", 0)[0].hash != before);
}

BOOST_AUTO_TEST_CASE(have_a_hash_of_all_that_they_depend_on) {
  auto plan = plan_arms(usual({Matching::Steps}), measure);
  plan.program = "p";
  plan.data = {{"text", "1"}};
  std::set<std::string> hashes;
  for (const auto& arm : plan.arms) {
    for (const auto& run : tuning_runs(plan, arm.name)) hashes.insert(run.hash);
    for (const auto& run : final_runs(plan, arm.name, 0)) hashes.insert(run.hash);
  }
  BOOST_TEST(hashes.size() == 3u * (6 + 2));
  const auto of = [&] { return final_runs(plan, "a", 0)[0].hash; };
  const auto before = of();
  BOOST_TEST(of() == before);
  plan.program = "q";
  BOOST_TEST(of() != before);
  plan.program = "p";
  plan.data["text"] = "2";
  BOOST_TEST(of() != before);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(data)

BOOST_AUTO_TEST_CASE(is_what_flags_of_paths_name) {
  const auto folder = fs::temp_directory_path() / ("na_data_" + std::to_string(getpid()));
  fs::create_directories(folder / "neural");
  for (const auto* const name : {"train", "valid", "config", "test", "base", "grid"})
    std::ofstream(folder / name) << "x";
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  auto study = usual({Matching::Steps});
  study.flags = {{"train_file", path("train")}, {"validation_file", path("valid")}, {"data", path("nothing")}};
  study.arms[1].flags = {{"projector", path("neural")}};  // no flag of a path, whatever the folder has
  study.arms[2].flags = {{"config", path("config")}};
  study.base = FlagSet{{"tokenizer", path("base")}};
  study.grid = {{"model", {path("grid"), "none"}}, {"dropout", {path("neural")}}};
  study.test.text = path("test");
  const std::vector<std::string> expected = {path("base"), path("config"), path("grid"),
                                             path("test"), path("train"),  path("valid")};
  BOOST_TEST(data_paths(study) == expected, boost::test_tools::per_element());
  fs::remove_all(folder);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(file)

BOOST_AUTO_TEST_CASE(of_the_plan_is_the_same_when_it_is_read_again) {
  const auto path = fs::temp_directory_path() / ("na_plan_" + std::to_string(getpid()) + ".json");
  auto plan = plan_arms(usual({Matching::Steps, Matching::Flops, Matching::Time}), measure);
  plan.machine = "a machine";
  plan.version = "1";
  plan.program = "p";
  plan.data = {{"text", "1"}};
  std::ofstream(path) << plan_text(plan);
  BOOST_TEST(load_plan(path).file == "");  // of an earlier version
  plan.file = "studies/s.json";
  std::ofstream(path) << plan_text(plan);
  const auto again = load_plan(path);
  BOOST_TEST(again.file == plan.file);
  BOOST_TEST(plan_text(again) == plan_text(plan));
  BOOST_TEST(final_runs(again, "a", 1)[0].hash == final_runs(plan, "a", 1)[0].hash);
  plan.comparisons[0].unmatched = std::numeric_limits<double>::quiet_NaN();
  std::ofstream(path) << plan_text(plan);
  BOOST_TEST(std::isnan(load_plan(path).comparisons[0].unmatched));
  // Words for readers are neither in the plan nor in what a run depends on.
  auto worded = plan;
  worded.study.title = "A title";
  worded.study.about = "What it asks.";
  BOOST_TEST(plan_text(worded) == plan_text(plan));
  BOOST_TEST(final_runs(worded, "a", 1)[0].hash == final_runs(plan, "a", 1)[0].hash);
  std::ofstream(path) << "{\"format\": 1}";
  BOOST_CHECK_THROW(load_plan(path), na::FileError);
  fs::remove(path);
}

BOOST_AUTO_TEST_SUITE_END()
