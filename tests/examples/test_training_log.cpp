// The log of a training run: what was written comes back on resuming, infinite numbers too, and a damaged file is
// named.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE training_log
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include "common/training_log.hpp"
#include "scratch.hpp"

namespace {

namespace na = neural_attention;
using examples::TrainingLog;

const examples::LogNames names{"perplexity", true, "masked_tokens_per_second"};

}  // namespace

BOOST_AUTO_TEST_SUITE(resuming)

BOOST_AUTO_TEST_CASE(infinite_numbers_come_back) {
  const Scratch scratch;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  {
    TrainingLog log(scratch.path.string(), "neural", names, 0);
    log.begin();
    na::EvaluationEvent event{};
    event.step = 1;
    event.loss = 4.5;
    log.add(event, 90.0, 1.0);
    event.step = 2;
    event.loss = 800.0;
    log.add(event, infinity, 2.0);
  }
  const auto rows = scratch.read("metrics.jsonl"), table = scratch.read("metrics.csv");
  BOOST_TEST(rows.find("\"valid_perplexity\":\"Infinity\"") != std::string::npos, rows);
  BOOST_TEST(table.find(",Infinity\n") != std::string::npos, table);
  {
    TrainingLog log(scratch.path.string(), "neural", names, 2);
    log.begin();
    BOOST_TEST(scratch.read("metrics.jsonl") == rows);
    BOOST_TEST(scratch.read("metrics.csv") == table);
    na::EvaluationEvent event{};
    event.step = 3;
    event.loss = 4.0;
    BOOST_CHECK_NO_THROW(log.add(event, 60.0, 3.0));  // draws all of them
  }
}

// The evaluation before the first step may fail, and so may the step: until then an earlier run's files stay.
BOOST_AUTO_TEST_CASE(begins_when_it_is_told_to) {
  const Scratch scratch;
  const std::string old = "{\"step\":7,\"loss\":2.5}\n";
  scratch.write("metrics.jsonl", old);
  TrainingLog log(scratch.path.string(), "neural", names, 0);
  na::EvaluationEvent event{};
  event.loss = 4.5;
  BOOST_TEST(log.add(event, 90.0, 0.0) == "");
  BOOST_TEST(scratch.read("metrics.jsonl") == old);
  BOOST_TEST(!std::filesystem::exists(scratch / "loss.svg"));
  log.begin();
  const auto begun = scratch.read("metrics.jsonl");
  BOOST_TEST((begun.find("\"step\":0") != std::string::npos && begun.find("\"step\":7") == std::string::npos), begun);
  log.begin();
  BOOST_TEST(scratch.read("metrics.jsonl") == begun);
}

// An evaluation is logged before its checkpoint is saved: killed between the two, a run evaluates once more.
BOOST_AUTO_TEST_CASE(an_evaluation_that_is_made_again_stands_there_once) {
  const Scratch scratch;
  const std::string step = "{\"step\":2,\"loss\":2.5}\n", evaluation = "{\"step\":2,\"valid_loss\":3.5}\n";
  for (const bool again : {true, false}) {
    scratch.write("metrics.jsonl", step + evaluation + "{\"step\":3,\"loss\":2.0}\n");
    TrainingLog log(scratch.path.string(), "neural", names, 2, again);
    log.begin();
    BOOST_TEST(scratch.read("metrics.jsonl") == (again ? step : step + evaluation));
  }
}

BOOST_AUTO_TEST_CASE(damaged_rows_are_named) {
  const auto resumed = [](const std::string& rows) {
    const Scratch scratch;
    scratch.write("metrics.jsonl", rows);
    TrainingLog log(scratch.path.string(), "neural", names, 10);
    log.begin();
    return scratch.read("metrics.jsonl");
  };
  const std::string good = "{\"step\":1,\"loss\":2.5}\n";
  BOOST_TEST(resumed(good + "{\"step\":2,\"lo") == good);    // a killed run's
  BOOST_TEST(resumed(good + "{\"step\":11}\n") == good);     // after the checkpoint
  BOOST_TEST(resumed(good + "{\"test\":\"a\"}\n") == good);  // a result
  for (const std::string row : {"{\"step\":\"x\"}", "{\"step\":null}", "{\"step\":1e300}",
                                "{\"step\":2,\"loss\":\"x\"}", "{\"step\":2,\"loss\":{}}", "[]", "{\"step\""})
    BOOST_CHECK_EXCEPTION(resumed(good + row + "\n"), na::LineError, says("metrics.jsonl: line 2: "));
  BOOST_CHECK_EXCEPTION(resumed("{\"step\":" + std::string(200'000, '[') + "\n"), na::LineError,
                        says({"line 1", "nested more than 64"}));
}

BOOST_AUTO_TEST_SUITE_END()

// Curves are decoration: a run goes on without them.
BOOST_AUTO_TEST_SUITE(curves)

BOOST_AUTO_TEST_CASE(need_no_finite_number) {
  const Scratch scratch;
  TrainingLog log(scratch.path.string(), "neural", names, 0);
  log.begin();
  na::EvaluationEvent event{};
  event.step = 1;
  event.loss = 710.0;  // whose exponential no double can hold
  BOOST_TEST(log.add(event, std::numeric_limits<double>::infinity(), 1.0) == "");
  BOOST_TEST(!std::filesystem::exists(scratch / "perplexity.svg"));
  BOOST_TEST(std::filesystem::exists(scratch / "loss.svg"));
  event.step = 2;
  BOOST_TEST(log.add(event, 12.5, 1.0) == "");
  BOOST_TEST(std::filesystem::exists(scratch / "perplexity.svg"));
}

BOOST_AUTO_TEST_CASE(are_drawn_at_the_end_of_a_run_without_evaluations) {
  const Scratch scratch;
  TrainingLog log(scratch.path.string(), "neural", names, 0);
  log.begin();
  na::StepEvent event{};
  event.step = 1;
  event.result.loss.tokens = 2;
  event.result.loss.smoothed = 5.0;
  log.add(event);
  BOOST_TEST(!std::filesystem::exists(scratch / "loss.svg"));
  BOOST_TEST(log.finish("neural", 1, 1, na::TrainingSummary{}, std::nullopt) == "");
  BOOST_TEST(scratch.read("loss.svg").find("training") != std::string::npos);
  BOOST_TEST(!std::filesystem::exists(scratch / "perplexity.svg"));
}

BOOST_AUTO_TEST_CASE(that_cannot_be_written_are_told_of_once) {
  const Scratch scratch;
  std::filesystem::create_directories(scratch / "loss.svg");
  TrainingLog log(scratch.path.string(), "neural", names, 0);
  log.begin();
  na::EvaluationEvent event{};
  event.step = 1;
  BOOST_TEST(log.add(event, 1.0, 1.0).find("loss.svg") != std::string::npos);
  event.step = 2;
  BOOST_TEST(log.add(event, 1.0, 1.0) == "");
  BOOST_TEST(scratch.read("metrics.jsonl").find("\"step\":2") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
