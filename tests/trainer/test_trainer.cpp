// The trainer: how long it runs, when it evaluates and saves, and when it makes batches.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE trainer_trainer
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"
#include "train/thread_group.hpp"
#include "trainer/tiny_runs.hpp"

using namespace neural_attention;
using namespace tiny_runs;

BOOST_AUTO_TEST_SUITE(length)

BOOST_AUTO_TEST_CASE(follows_from_epochs_and_accumulation) {
  const auto steps = [](double epochs, int accumulation, long max_steps = 0) {
    auto options = options_for();
    options.epochs = epochs;
    options.accumulation = accumulation;
    options.max_steps = max_steps;
    Subject subject(options);
    const auto summary = subject.trainer.run();
    BOOST_TEST(subject.trainer.total_steps() == summary.steps);
    BOOST_TEST(static_cast<long>(subject.trace.steps.size()) == summary.steps);
    BOOST_TEST(subject.total == summary.steps);
    return summary.steps;
  };
  BOOST_TEST(steps(1, 1) == 7);
  BOOST_TEST(steps(2, 1) == 14);
  BOOST_TEST(steps(2, 2) == 8);
  BOOST_TEST(steps(2, 7) == 2);
  BOOST_TEST(steps(2, 100) == 2);
  BOOST_TEST(steps(2.5, 2) == 10);
  BOOST_TEST(steps(1.5, 1) == 11);
  BOOST_TEST(steps(0.01, 2) == 1);
  BOOST_TEST(steps(1, 2, 9) == 9);
  BOOST_TEST(steps(0, 2, 3) == 3);
  // Hugging Face's "not set" is -1.
  BOOST_TEST(steps(2, 2, -1) == 8);
  BOOST_TEST(steps(2, 2, -6) == 8);
  // No memory for batches that no epoch has.
  BOOST_TEST(steps(2, std::numeric_limits<int>::max()) == 2);
}

/// Epochs of so many batches, again and again.
struct Counted {
  struct Batch {
    long counted_tokens() const { return 0; }
  };
  void begin_epoch(int epoch) { now = counts[static_cast<std::size_t>(epoch) % counts.size()]; }
  std::size_t batches() const { return now; }
  void fill(std::size_t, Batch&) const {}
  Batch empty_batch() const { return {}; }

  std::vector<std::size_t> counts;
  std::size_t now = 0;
};

// Hugging Face has ceil(epochs * steps), of a product that may be too large by rounding: 7.000000000000001 of 0.07 *
// 100.
BOOST_AUTO_TEST_CASE(of_part_of_an_epoch_is_rounded_up) {
  const auto steps = [](double epochs, std::vector<std::size_t> counts) {
    Counted data{std::move(counts)};
    return planned_steps(data, epochs, 1);
  };
  BOOST_TEST(steps(3.3, {10}) == 33);
  BOOST_TEST(steps(4.6, {5}) == 23);
  BOOST_TEST(steps(5.1, {100}) == 510);
  BOOST_TEST(steps(0.29, {100}) == 29);
  BOOST_TEST(steps(0.07, {100}) == 7);
  BOOST_TEST(steps(1.01, {10}) == 11);
  BOOST_TEST(steps(2.5, {4, 6, 9}) == 15);
  BOOST_TEST(steps(100.3, {10}) == 1003);
  BOOST_TEST(steps(1000.31, {10}) == 10004);
  for (const double whole : {1.0, 3.0, 100.0, 101.0, 12345.0})
    BOOST_TEST(steps(whole, {7}) == static_cast<long>(7 * whole));
  BOOST_TEST(steps(150, {3, 4, 3}) == 499);  // the last fifty are like the others: 333 of a hundred
}

BOOST_AUTO_TEST_CASE(says_how_many_steps_a_share_of_them_warms_up) {
  const auto rates = [](double ratio, long max_steps) {
    auto options = options_for();
    options.warmup_ratio = ratio;
    options.max_steps = max_steps;
    Subject subject(options);
    subject.trainer.run();
    std::vector<double> used;
    for (const auto& step : subject.trace.steps) used.push_back(step.rate);
    return used;
  };
  const auto warm = [](long steps, long of) {  // the rates of a linear schedule
    std::vector<double> expected;
    for (long i = 0; i < of; ++i) expected.push_back(3e-3 * Schedule{Schedule::Kind::Linear, steps, of}.factor(i));
    return expected;
  };
  BOOST_TEST((rates(0.1, 12) == warm(2, 12)));  // 1.2 is rounded up
  BOOST_TEST((rates(0.25, -1) == warm(3, 12)));
  BOOST_TEST((rates(0.01, 5) == warm(1, 5)));
  BOOST_TEST((rates(1.0, 5) == warm(5, 5)));
  BOOST_TEST((rates(0.0, 12) == warm(2, 12)));  // the schedule's own
}

BOOST_AUTO_TEST_CASE(of_a_run_reaches_the_end_of_the_schedule) {
  auto options = options_for();
  Subject subject(options);
  subject.trainer.run();
  const auto& steps = subject.trace.steps;
  BOOST_TEST_REQUIRE(steps.size() == 12u);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double factor = i < 2 ? double(i) / 2.0 : 1.0 - double(i - 2) / 10.0;
    BOOST_TEST(std::abs(steps[i].rate - 3e-3 * factor) < 1e-12);
    BOOST_TEST(steps[i].step == static_cast<long>(i + 1));
  }
  BOOST_TEST(steps[0].epoch == 2.0 / 7.0);
  BOOST_TEST(steps[3].epoch == 1.0);
  BOOST_TEST(steps[4].epoch == 1.0 + 2.0 / 7.0);
  BOOST_TEST(steps[11].epoch == 3.0);
  BOOST_TEST(steps[11].loss < steps[0].loss);
}

// Both numbers are the user's: neither is counted up to, or allocated by.
BOOST_AUTO_TEST_CASE(may_be_beyond_all_bounds) {
  auto options = options_for();
  options.epochs = 1e9;
  options.accumulation = 2'000'000'000;
  BOOST_TEST(Subject(options).trainer.total_steps() == 1'000'000'000);
  options.accumulation = 2;
  BOOST_TEST(Subject(options).trainer.total_steps() == 4'000'000'000);
  for (const double epochs : {1e300, std::numeric_limits<double>::infinity()}) {
    options.epochs = epochs;
    BOOST_CHECK_EXCEPTION(Subject{options}, ConfigError, says({"epochs"}));
  }
}

BOOST_AUTO_TEST_CASE(must_make_sense) {
  const auto build = [](auto&& change) {
    auto options = options_for();
    change(options);
    Subject subject(options);
  };
  BOOST_CHECK_THROW(build([](TrainerOptions& options) { options.accumulation = 0; }), ConfigError);
  for (const double ratio : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
    BOOST_CHECK_THROW(build([&](TrainerOptions& options) { options.warmup_ratio = ratio; }), ConfigError);
  BOOST_CHECK_THROW(build([](TrainerOptions& options) { options.epochs = 0; }), ConfigError);
  BOOST_CHECK_THROW(build([](TrainerOptions& options) { options.epochs = -1; }), ConfigError);
  BOOST_CHECK_THROW(build([](TrainerOptions& options) { options.epochs = std::numeric_limits<double>::quiet_NaN(); }),
                    ConfigError);
  B backend(1);
  TinyModel model(backend, tiny::config());
  auto nothing = data(0, 4, true), validation = data(3, 4, false);
  using Training = Trainer<TinyModel, Data>;
  BOOST_CHECK_THROW(Training(backend, model, nothing, validation, options_for(), {}, {}), ConfigError);
  BOOST_CHECK_EXCEPTION(Training(backend, model, validation, nothing, options_for(), {}, {}), ConfigError,
                        says({"evaluation needs data", "no batch"}));
  // An evaluation would replace the order of the running epoch.
  BOOST_CHECK_EXCEPTION(Training(backend, model, validation, validation, options_for(), {}, {}), ConfigError,
                        says({"a data object each"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cadence)

BOOST_AUTO_TEST_CASE(is_by_epochs_unless_told) {
  Scratch scratch;
  Subject subject(options_for(scratch.path.string()));
  const auto summary = subject.trainer.run();
  BOOST_TEST(evaluation_steps(subject.trace) == (Steps{4, 8, 12}));
  BOOST_TEST(list_checkpoints(scratch.path.string()) == (Steps{4, 8, 12}));
  BOOST_TEST(subject.trace.evaluations[1].epoch == 2.0);
  BOOST_TEST(summary.valid_loss == subject.trace.evaluations[2].loss);
  BOOST_TEST(summary.valid_metric == -summary.valid_loss);
  BOOST_TEST(scratch.entries() == 3u);
}

BOOST_AUTO_TEST_CASE(may_be_by_steps) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.max_steps = 11;
  options.eval_steps = 3;
  options.save_steps = 2;
  Subject subject(options);
  subject.trainer.run();
  BOOST_TEST(evaluation_steps(subject.trace) == (Steps{3, 6, 9, 11}));
  BOOST_TEST(list_checkpoints(options.output_dir) == (Steps{2, 3, 4, 6, 8, 9, 10, 11}));
  BOOST_TEST((parameters_of(checkpoint(scratch, 11)) == subject.parameters()));
}

BOOST_AUTO_TEST_CASE(may_come_before_the_first_step_and_changes_nothing) {
  Subject plain(options_for());
  plain.trainer.run();
  auto options = options_for();
  options.eval_on_start = true;
  Subject subject(options);
  script_metric(subject, {9.0, 1.0, 2.0, 3.0});
  subject.trainer.run();
  BOOST_TEST(evaluation_steps(subject.trace) == (Steps{0, 4, 8, 12}), boost::test_tools::per_element());
  BOOST_TEST(!subject.trace.evaluations.front().best);  // the start is no result of the run
  BOOST_TEST(subject.trace.evaluations.front().loss > subject.trace.evaluations.back().loss);
  BOOST_TEST(subject.trainer.position().best_step == 12);
  BOOST_TEST((subject.state() == plain.state()));
}

BOOST_AUTO_TEST_CASE(saves_nothing_without_a_folder) {
  auto options = options_for();
  options.save_steps = 1;
  options.load_best = true;
  Subject subject(options);
  bool wrote = false;
  subject.trainer.callbacks().write_more = [&](const std::string&) { wrote = true; };
  BOOST_TEST(subject.trainer.run().steps == 12);
  BOOST_TEST(!wrote);
}

BOOST_AUTO_TEST_CASE(keeps_the_last_checkpoints_and_the_best) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.eval_steps = 2;
  options.save_total_limit = 2;
  Subject subject(options);
  script_metric(subject, {1.0, 9.0, 2.0, 3.0, 4.0, 5.0});
  std::vector<std::string> written;
  subject.trainer.callbacks().write_more = [&](const std::string& directory) {
    written.push_back(directory);
    put(std::filesystem::path(directory) / "config.json", "{}");
  };
  subject.trainer.run();
  BOOST_TEST(list_checkpoints(options.output_dir) == (Steps{4, 10, 12}));
  BOOST_TEST(written.size() == 6u);
  for (const long step : {4L, 10L, 12L})
    BOOST_TEST(std::filesystem::exists(checkpoint(scratch, step) + "/config.json"));
  BOOST_TEST(scratch.entries() == 3u);
}

// Resumed from an early checkpoint, the run is the only one that the folder tells of: what lies later is not its own.
BOOST_AUTO_TEST_CASE(sets_later_checkpoints_aside_on_resuming_from_an_early_one) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.save_steps = 1;
  {
    Subject subject(options);
    subject.trainer.run();
  }
  options.save_total_limit = 1;
  Subject subject(options);
  subject.trainer.resume(checkpoint(scratch, 1));
  subject.cancel_at = 3;
  subject.trainer.run();
  BOOST_TEST(std::filesystem::exists(checkpoint(scratch, 3)));
  BOOST_TEST(!std::filesystem::exists(checkpoint(scratch, 2)));
  BOOST_TEST((list_checkpoints(options.output_dir) == Steps{3}));
  BOOST_TEST(is_whole_checkpoint(checkpoint(scratch, 12) + ".abandoned"));
}

// Else a kill between the two would lose the evaluation for ever.
BOOST_AUTO_TEST_CASE(tells_of_an_evaluation_before_it_saves) {
  Scratch scratch;
  Subject subject(options_for(scratch.path.string()));
  std::vector<std::size_t> saved;
  subject.trainer.callbacks().on_evaluation = [&](const EvaluationEvent&) {
    saved.push_back(list_checkpoints(scratch.path.string()).size());
  };
  subject.trainer.run();
  BOOST_TEST(saved == (std::vector<std::size_t>{0, 1, 2}), boost::test_tools::per_element());
}

/// The last operation of each thread.
struct LastOperation : OperationObserver {
  std::int64_t now() const override { return 0; }
  void ran(const OperationFacts& facts, std::int64_t, std::int64_t) override { name = facts.name; }
  void enter(std::string_view) override {}
  void leave() noexcept override {}
  std::shared_ptr<void> know(std::span<const NamedMemory>, std::span<const NamedSite>) override { return {}; }

  static thread_local std::string_view name;
};
thread_local std::string_view LastOperation::name;

// A metric may be measured by another backend, which must find the parameters of the last step, also on a rank that has
// no validation batch. That a device is waited for shows in the download.
BOOST_AUTO_TEST_CASE(waits_on_every_rank_before_a_metric) {
  LastOperation observer;
  const Observation observation(observer);
  const auto of_ranks = in_thread_ranks<float>(2, [](auto& group) {
    B backend(1);
    TinyModel model(backend, tiny::config(1, 8, 0.1), 5);
    auto training = data(27, 4, true), validation = data(3, 4, false);
    std::vector<std::string> last;
    TrainerCallbacks callbacks;
    callbacks.metric = [&] {
      last.emplace_back(LastOperation::name);
      return 0.0;
    };
    Trainer<TinyModel, Data, Adam<B>, std::remove_reference_t<decltype(group)>> trainer(
        backend, model, training, validation, options_for(), {}, callbacks, group);
    trainer.run();
    last.emplace_back(LastOperation::name);
    return last;
  });
  for (const auto& last : of_ranks)
    BOOST_TEST(last == std::vector<std::string>(4, "download"), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(needs_no_validation_data) {
  using Training = Trainer<TinyModel, Data>;
  const auto train = [](const TrainerOptions& options) {
    B backend(1);
    TinyModel model(backend, tiny::config(1, 8, 0.1), 5);
    auto training = data(27, 4, true);
    TrainerCallbacks callbacks;
    callbacks.on_evaluation = [](const EvaluationEvent&) { BOOST_ERROR("nothing can be evaluated"); };
    Training trainer(backend, model, training, nullptr, options, optimizer_options<Adam<B>>(), callbacks);
    BOOST_TEST(trainer.run().steps == 12);
    return tiny::values(backend, model.parameters());
  };
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.load_best = options.eval_on_start = true;
  Subject whole(options_for());
  whole.trainer.run();
  BOOST_TEST((train(options) == whole.parameters()));
  BOOST_TEST((list_checkpoints(options.output_dir) == Steps{4, 8, 12}));
  Scratch other;
  options.output_dir = other.path.string();
  options.save_steps = 5;
  train(options);
  BOOST_TEST((list_checkpoints(options.output_dir) == Steps{5, 10, 12}));
  options.patience = 1;
  BOOST_CHECK_EXCEPTION(train(options), ConfigError, says({"validation"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

/// Says which batches have been made.
struct Recorded : Data {
  explicit Recorded(Data&& data) : Data(std::move(data)) {}
  void begin_epoch(int epoch) {
    Data::begin_epoch(epoch);
    filled.clear();
  }
  void fill(std::size_t index, Batch& batch) {
    Data::fill(index, batch);
    filled.push_back(index);
  }
  std::vector<std::size_t> filled;
};

// So that a device does not wait for the host.
BOOST_AUTO_TEST_CASE(of_the_next_step_are_made_before_a_result_is_asked_for) {
  B backend(1);
  TinyModel model(backend, tiny::config(1, 8, 0.1), 5);
  Recorded training(data(27, 4, true)), validation(data(9, 4, false));
  std::vector<std::size_t> made;
  TrainerCallbacks callbacks;
  callbacks.on_step = [&](const StepEvent&) {
    made.push_back(training.filled.size());
    return true;
  };
  auto options = options_for();
  options.epochs = 2;
  Trainer<TinyModel, Recorded> trainer(backend, model, training, validation, options, {}, callbacks);
  trainer.run();
  BOOST_TEST(made == (std::vector<std::size_t>{4, 6, 7, 7, 4, 6, 7, 7}), boost::test_tools::per_element());
  BOOST_TEST(training.filled == (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
