// The trainer: how long it runs, when it evaluates and saves, and that a run which is cut anywhere and resumed equals
// one that is not, bit for bit.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE trainer_trainer
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"
#include "train/thread_group.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;
using TinyModel = Marian<B, LinearProjections>;
using Data = text::TranslationData;

Data data(int count, int sentences, bool shuffle) {
  RandomStream random({31, 0, shuffle ? 1u : 0u});
  text::TokenizedPairs pairs;
  const auto sentence = [&] {
    std::vector<int> ids(1 + random.below(6), 0);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) ids[i] = 1 + static_cast<int>(random.below(7));
    return ids;
  };
  for (int i = 0; i < count; ++i) {
    const auto source = sentence();
    pairs.add(source, sentence());
  }
  text::BatchOptions options;
  options.sentences = sentences;
  options.shuffle = shuffle;
  return {std::move(pairs), options, 8};
}

/// 7 batches an epoch: with accumulation 2 four steps, the last of one batch.
TrainerOptions options_for(const std::string& output_dir = {}) {
  TrainerOptions options;
  options.step.learning_rate = 3e-3;
  options.step.label_smoothing = 0.1;
  options.step.schedule = {Schedule::Kind::Linear, 2, 0};
  options.accumulation = 2;
  options.epochs = 3;
  options.load_best = false;
  options.save_total_limit = 0;
  options.output_dir = output_dir;
  return options;
}

/// What a run shows to the outside.
struct Trace {
  struct Step {
    long step;
    double epoch, loss, norm, rate;
    bool operator==(const Step&) const = default;
  };
  struct Evaluation {
    long step;
    double epoch, loss, metric;
    bool best;
    bool operator==(const Evaluation&) const = default;
  };
  std::vector<Step> steps;
  std::vector<Evaluation> evaluations;
};

template <class O>
typename O::Options optimizer_options() {
  typename O::Options options;
  if constexpr (requires { options.weight_decay; }) options.weight_decay = 0.01;
  return options;
}

template <class O>
struct SubjectWith {
  explicit SubjectWith(const TrainerOptions& options, std::uint64_t seed = 5,
                       const typename O::Options& optimizer = optimizer_options<O>())
      : model(backend, tiny::config(1, 8, 0.1), seed),
        trainer(backend, model, training, validation, options, optimizer, {}) {
    auto& callbacks = trainer.callbacks();
    callbacks.on_step = [this](const StepEvent& event) {
      trace.steps.push_back({event.step, event.epoch, event.result.loss.smoothed, event.result.gradient_norm,
                             event.result.learning_rate});
      total = event.total_steps;
      return event.step != cancel_at;
    };
    callbacks.on_evaluation = [this](const EvaluationEvent& event) {
      trace.evaluations.push_back({event.step, event.epoch, event.loss, event.metric, event.best});
    };
  }

  std::vector<float> state() {
    std::vector<float> all = tiny::values(backend, model.parameters());
    for (const auto& moment : trainer.training_step().optimizer().moments()) {
      std::vector<float> host(static_cast<std::size_t>(moment.numbers.size()));
      backend(ops::Download<B>{.x = moment.numbers, .values = host});
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  }
  std::vector<float> parameters() { return tiny::values(backend, model.parameters()); }

  long cancel_at = -1, total = 0;
  Trace trace;
  B backend{1};
  Data training = data(27, 4, true), validation = data(9, 4, false);
  TinyModel model;
  Trainer<TinyModel, Data, O> trainer;
};
using Subject = SubjectWith<Adam<B>>;

/// The metric takes these values, one an evaluation.
void script_metric(Subject& subject, std::vector<double> values) {
  subject.trainer.callbacks().metric = [values = std::move(values), next = std::size_t{0}]() mutable {
    return values.at(next++);
  };
}

std::string checkpoint(const Scratch& scratch, long step) { return (scratch / checkpoint_name(step)).string(); }

std::vector<float> parameters_of(const std::string& directory) {
  Subject reader(options_for());
  io::load_parameters(directory + "/model.safetensors", reader.backend, reader.model.parameters());
  return reader.parameters();
}

std::vector<long> evaluation_steps(const Trace& trace) {
  std::vector<long> steps;
  for (const auto& evaluation : trace.evaluations) steps.push_back(evaluation.step);
  return steps;
}

using Steps = std::vector<long>;

/// Cuts the run of `base` behind every step in turn and resumes it in a new process's place.
template <class O = Adam<B>>
void check_resume(const TrainerOptions& base, long expected_steps,
                  const typename O::Options& optimizer = optimizer_options<O>()) {
  Scratch whole_folder;
  auto options = base;
  options.output_dir = whole_folder.path.string();
  SubjectWith<O> whole(options, 5, optimizer);
  const auto whole_summary = whole.trainer.run();
  BOOST_TEST_REQUIRE(whole_summary.steps == expected_steps);
  for (long cut = 1; cut <= expected_steps; ++cut) {
    BOOST_TEST_CONTEXT("cut behind step " << cut) {
      Scratch scratch;
      options.output_dir = scratch.path.string();
      SubjectWith<O> first(options, 5, optimizer);
      first.cancel_at = cut;
      const auto cancelled = first.trainer.run();
      BOOST_TEST((cancelled.cancelled && cancelled.steps == cut && !cancelled.stopped_early));
      BOOST_TEST(list_checkpoints(options.output_dir).back() == cut);

      SubjectWith<O> second(options, 77, optimizer);  // other first weights: all must come from the checkpoint
      second.trainer.resume(checkpoint(scratch, cut));
      BOOST_TEST((second.state() == first.state()));
      const auto summary = second.trainer.run();
      BOOST_TEST((!summary.cancelled && summary.steps == expected_steps));
      BOOST_TEST((second.state() == whole.state()));
      BOOST_TEST(summary.valid_loss == whole_summary.valid_loss);
      BOOST_TEST(summary.valid_metric == whole_summary.valid_metric);
      auto trace = first.trace;
      trace.steps.insert(trace.steps.end(), second.trace.steps.begin(), second.trace.steps.end());
      trace.evaluations.insert(trace.evaluations.end(), second.trace.evaluations.begin(),
                               second.trace.evaluations.end());
      BOOST_TEST((trace.steps == whole.trace.steps));
      BOOST_TEST((trace.evaluations == whole.trace.evaluations));
      const auto &found = second.trainer.position(), &expected = whole.trainer.position();
      BOOST_TEST((found.epoch == expected.epoch && found.batch == expected.batch));
      BOOST_TEST((found.best_step == expected.best_step && found.best_metric == expected.best_metric));
      BOOST_TEST(found.evaluations_without_gain == expected.evaluations_without_gain);
      BOOST_TEST(found.tokens == expected.tokens);
    }
  }
}

}  // namespace

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
  BOOST_TEST(steps(0.01, 2) == 1);
  BOOST_TEST(steps(1, 2, 9) == 9);
  BOOST_TEST(steps(0, 2, 3) == 3);
  // Hugging Face's "not set" is -1.
  BOOST_TEST(steps(2, 2, -1) == 8);
  BOOST_TEST(steps(2, 2, -6) == 8);
  // No memory for batches that no epoch has.
  BOOST_TEST(steps(2, std::numeric_limits<int>::max()) == 2);
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
                        says({"evaluation needs data", "not one batch"}));
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

BOOST_AUTO_TEST_SUITE(resumed)

BOOST_AUTO_TEST_CASE(equals_uninterrupted_by_epochs) { check_resume(options_for(), 12); }

BOOST_AUTO_TEST_CASE(equals_uninterrupted_by_steps_with_one_batch_a_step) {
  auto options = options_for();
  options.accumulation = 1;
  options.epochs = 1.5;
  options.eval_steps = 3;
  options.save_steps = 2;
  options.load_best = true;
  check_resume(options, 10);
}

BOOST_AUTO_TEST_CASE(equals_uninterrupted_with_every_optimizer) {
  check_resume<Sgd<B>>(options_for(), 12);
  for (auto& [name, options, decoupled] : named_optimizers()) BOOST_TEST_CONTEXT(name) {
      std::visit([](auto& how) { how.weight_decay = 0.01; }, options);
      check_resume<AnyOptimizer<B>>(options_for(), 12, options);
    }
}

BOOST_AUTO_TEST_CASE(with_another_optimizer_is_refused) {
  using Chosen = SubjectWith<AnyOptimizer<B>>;
  Scratch scratch;
  const auto options = options_for(scratch.path.string());
  Chosen first(options, 5, SgdOptions{});
  first.cancel_at = 2;
  first.trainer.run();
  const auto directory = checkpoint(scratch, 2);
  const auto check = [&](auto&& second, std::initializer_list<std::string> words) {
    BOOST_CHECK_EXCEPTION(second.trainer.resume(directory), FileError, says(words));
    BOOST_TEST(second.trainer.position().step == 0);
    BOOST_TEST(second.trainer.training_step().optimizer().steps() == 0);
  };
  check(Subject(options, 6), {"trainer_state.json", "\"sgd\"", "\"adam\""});
  check(Chosen(options, 6, AdamOptions{}), {"trainer_state.json", "\"sgd\"", "\"adam\""});
  Chosen third(options, 6, SgdOptions{});
  third.trainer.resume(directory);
  BOOST_TEST((third.state() == first.state()));
  BOOST_TEST((third.state().size() > first.parameters().size()));
  for (const auto& [name, how, decoupled] : named_optimizers()) {
    const auto its_name = std::visit([](const auto& its) { return std::string(its.name); }, how);
    if (its_name != "sgd") check(Chosen(options, 6, how), {"trainer_state.json", "\"sgd\"", "\"" + its_name + "\""});
  }
}

// A checkpoint of an earlier version does not tell the settings of the optimizer.
BOOST_AUTO_TEST_CASE(with_other_settings_of_the_optimizer_is_refused_by_name) {
  using Chosen = SubjectWith<AnyOptimizer<B>>;
  Scratch scratch;
  const auto options = options_for(scratch.path.string());
  const auto directory = checkpoint(scratch, 2);
  const auto save = [&](const AnyOptimizerOptions& how) {
    Chosen first(options, 5, how);
    first.cancel_at = 2;
    first.trainer.run();
  };
  const auto refused = [&](const AnyOptimizerOptions& how, const std::string& words) {
    Chosen second(options, 6, how);
    const auto before = second.state();
    BOOST_CHECK_EXCEPTION(second.trainer.resume(directory), ConfigError, says({"checkpoint-2", words}));
    BOOST_TEST((second.state() == before));
  };
  const auto resumed = [&](const AnyOptimizerOptions& how) {
    Chosen second(options, 6, how);
    BOOST_CHECK_NO_THROW(second.trainer.resume(directory));
  };
  const auto forget_settings = [&](const AnyOptimizerOptions& how) {
    auto position = read_position(directory + "/trainer_state.json");
    RunIdentity earlier;
    for (const auto& [name, value] : position.run.entries())
      if (!identity_of_optimizer(how).find(name)) earlier.set(name, value);
    position.run = earlier;
    write_position(directory + "/trainer_state.json", position);
    write_manifest(directory);
  };
  const std::vector<RateRule> rates = {{"*encoder*", 0.5}, {"*k_proj*", 0.0}};
  const AdamOptions adam = {.weight_decay = 0.01, .rates = rates};
  save(adam);
  resumed(adam);
  const auto changed = [&](auto&& change) {
    auto other = adam;
    change(other);
    return other;
  };
  refused(changed([](auto& other) { other.weight_decay = 0.1; }), "weight_decay 0.01, not 0.1");
  refused(changed([](auto& other) { other.beta1 = 0.8; }), "adam_beta1 0.9, not 0.8");
  refused(changed([](auto& other) { other.beta2 = 0.98; }), "adam_beta2 0.999, not 0.98");
  refused(changed([](auto& other) { other.epsilon = 1e-6; }), "adam_epsilon 1e-08, not 1e-06");
  refused(changed([](auto& other) { other.decoupled = false; }), "decoupled true, not false");
  refused(changed([](auto& other) { other.rates[0].factor = 0.25; }), "rates ");
  refused(changed([](auto& other) { other.rates.clear(); }), "rates ");
  refused(changed([](auto& other) { std::swap(other.rates[0], other.rates[1]); }), "rates ");

  forget_settings(adam);
  resumed(adam);
  resumed(AdamOptions{});

  save(SgdOptions{});
  refused(SgdOptions{.momentum = 0.5}, "momentum 0.9, not 0.5");
  refused(SgdOptions{.nesterov = true}, "nesterov false, not true");
  forget_settings(SgdOptions{});
  Chosen plain(options, 6, SgdOptions{.momentum = 0.0});
  BOOST_CHECK_EXCEPTION(plain.trainer.resume(directory), FileError,
                        says({"optimizer.safetensors", "unexpected   velocity.model.decoder"}));
  BOOST_TEST((plain.trainer.position().step == 0 && plain.trainer.training_step().optimizer().steps() == 0));
  save(LionOptions{});
  refused(LionOptions{.beta1 = 0.8}, "lion_beta1 0.9, not 0.8");
  refused(LionOptions{.beta2 = 0.9}, "lion_beta2 0.99, not 0.9");
}

// Without momentum there are no moments: the optimizer's file is there, but empty.
BOOST_AUTO_TEST_CASE(without_moments) {
  Scratch scratch;
  using Plain = SubjectWith<Sgd<B>>;
  const auto options = options_for(scratch.path.string());
  Plain whole(options, 5, {.momentum = 0.0}), second(options, 6, {.momentum = 0.0});
  whole.trainer.run();
  second.trainer.resume(checkpoint(scratch, 8));
  second.trainer.run();
  BOOST_TEST((second.state() == whole.state()));
}

BOOST_AUTO_TEST_CASE(with_another_seed_is_refused) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  Subject first(options);
  first.cancel_at = 2;
  first.trainer.run();
  options.step.seed += 1;
  Subject second(options, 6);
  const auto before = second.state();
  BOOST_CHECK_EXCEPTION(second.trainer.resume(checkpoint(scratch, 2)), ConfigError, says({"checkpoint-2", "42", "43"}));
  BOOST_TEST((second.state() == before));
  BOOST_TEST(second.trainer.position().step == 0);
  BOOST_CHECK_THROW(second.trainer.resume(checkpoint(scratch, 3)), FileError);
}

/// A trainer on other text or other batches.
template <class Use>
void with_data(Data training, const TrainerOptions& options, Use&& use) {
  B backend(1);
  TinyModel model(backend, tiny::config(1, 8, 0.1), 6);
  auto validation = data(9, 4, false);
  Trainer<TinyModel, Data> trainer(backend, model, training, validation, options, optimizer_options<Adam<B>>(), {});
  const auto before = tiny::values(backend, model.parameters());
  use(trainer);
  BOOST_TEST((tiny::values(backend, model.parameters()) == before));
}

BOOST_AUTO_TEST_CASE(as_another_run_is_refused_by_name) {
  Scratch scratch;
  const auto options = options_for(scratch.path.string());
  {
    Subject first(options);
    first.cancel_at = 2;
    first.trainer.run();
  }
  const auto refused = [&](Data training, const TrainerOptions& other, std::initializer_list<std::string> words) {
    with_data(std::move(training), other, [&](auto& trainer) {
      BOOST_CHECK_EXCEPTION(trainer.resume(checkpoint(scratch, 2)), ConfigError, says(words));
    });
  };
  const auto changed = [&](auto&& change) {
    auto other = options;
    change(other);
    return other;
  };
  refused(data(27, 3, true), options, {"checkpoint-2", "other batches", "16 sequences", "12"});
  refused(data(27, 9, true), options, {"checkpoint-2", "other batches", "not so many batches"});
  refused(data(26, 4, true), options, {"checkpoint-2", "training data", "27 sequences", "26 sequences"});
  refused(data(27, 4, true), changed([](auto& other) { other.accumulation = 1; }),
          {"checkpoint-2", "gradient_accumulation_steps 2, not 1"});
  refused(data(27, 4, true), changed([](auto& other) { other.step.learning_rate = 0.01; }),
          {"learning_rate 0.003, not 0.01"});
  refused(data(27, 4, true), changed([](auto& other) { other.step.schedule.kind = Schedule::Kind::Cosine; }),
          {"lr_scheduler_type linear, not cosine"});
  refused(data(27, 4, true), changed([](auto& other) { other.step.schedule.warmup_steps = 3; }),
          {"warmup_steps 2, not 3"});
  refused(data(27, 4, true), changed([](auto& other) { other.step.label_smoothing = 0.0; }),
          {"label_smoothing_factor 0.1, not 0"});
  refused(data(27, 4, true), changed([](auto& other) { other.step.max_gradient_norm = 2; }),
          {"max_grad_norm 1, not 2"});
}

BOOST_AUTO_TEST_CASE(with_another_length_and_other_intervals_is_the_same_run) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  Subject first(options);
  first.cancel_at = 2;
  first.trainer.run();
  options.max_steps = 5;
  options.epochs = 1;
  options.eval_steps = 2;
  options.save_steps = 1;
  options.save_total_limit = 1;
  options.patience = 7;
  Subject second(options);
  second.trainer.resume(checkpoint(scratch, 2));
  BOOST_TEST(second.trainer.run().steps == 5);
}

BOOST_AUTO_TEST_CASE(behind_its_end_only_evaluates) {
  Scratch scratch;
  const auto options = options_for(scratch.path.string());
  Subject first(options), second(options, 6);
  const auto expected = first.trainer.run();
  second.trainer.resume(checkpoint(scratch, 12));
  const auto summary = second.trainer.run();
  BOOST_TEST((summary.steps == 12 && second.trace.steps.empty()));
  BOOST_TEST(summary.valid_loss == expected.valid_loss);
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

BOOST_AUTO_TEST_SUITE(stopping)

BOOST_AUTO_TEST_CASE(comes_early_without_gain) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.eval_steps = 1;
  options.patience = 3;
  Subject subject(options);
  script_metric(subject, {1.0, 5.0, 4.0, 6.0, 6.0, 5.0, 1.0, 9.0});  // equal is no gain
  const auto summary = subject.trainer.run();
  BOOST_TEST((summary.stopped_early && !summary.cancelled && summary.steps == 7));
  BOOST_TEST((subject.trainer.position().best_step == 4 && subject.trainer.position().best_metric == 6.0));
  std::vector<bool> best;
  for (const auto& evaluation : subject.trace.evaluations) best.push_back(evaluation.best);
  BOOST_TEST((best == std::vector<bool>{true, true, false, true, false, false, false}));

  // A run that stopped stays stopped, unless it gets more patience.
  Subject again(options);
  again.trainer.resume(checkpoint(scratch, 7));
  BOOST_TEST(again.trainer.run().stopped_early);
  BOOST_TEST(again.trace.steps.empty());
  options.patience = 4;
  Subject patient(options);
  patient.trainer.resume(checkpoint(scratch, 7));
  script_metric(patient, {0.0, 0.0});
  BOOST_TEST(patient.trainer.run().steps == 8);
}

BOOST_AUTO_TEST_CASE(may_end_with_the_best_parameters) {
  for (const bool load_best : {true, false}) {
    Scratch scratch;
    auto options = options_for(scratch.path.string());
    options.load_best = load_best;
    options.save_total_limit = 1;
    Subject subject(options);
    script_metric(subject, {1.0, 3.0, 2.0});
    const auto summary = subject.trainer.run();
    const auto& chosen = subject.trace.evaluations[load_best ? 1 : 2];
    BOOST_TEST(summary.steps == 12);
    BOOST_TEST((summary.valid_loss == chosen.loss && summary.valid_metric == chosen.metric));
    BOOST_TEST((subject.parameters() == parameters_of(checkpoint(scratch, load_best ? 8 : 12))));
    BOOST_TEST(list_checkpoints(options.output_dir) == (Steps{8, 12}));
  }
}

// From folder to folder: the best evaluation is that of the first one, the run ends in the third.
BOOST_AUTO_TEST_CASE(may_end_with_the_best_parameters_of_a_folder_that_is_gone) {
  for (const bool brought : {true, false}) {
    const Scratch first, second, third;
    const auto into = [](const Scratch& folder) {
      auto options = options_for(folder.path.string());
      options.load_best = true;
      options.save_total_limit = 1;
      options.save_steps = 1;
      return options;
    };
    std::vector<float> best;
    {
      Subject subject(into(first));
      script_metric(subject, {3.0});
      subject.cancel_at = 5;
      subject.trainer.run();
      best = parameters_of(checkpoint(first, 4));
    }
    {
      Subject subject(into(second));
      subject.trainer.resume(checkpoint(first, 5));
      subject.cancel_at = 6;
      subject.trainer.run();
      BOOST_TEST(list_checkpoints(second.path.string()) == (Steps{4, 6}));
      BOOST_TEST((contents(second / "checkpoint-4/trainer_state.json") ==
                  contents(first / "checkpoint-4/trainer_state.json")));
    }
    std::filesystem::remove_all(first.path);
    if (!brought) std::filesystem::remove_all(checkpoint(second, 4));
    Subject subject(into(third));
    subject.trainer.resume(checkpoint(second, 6));
    script_metric(subject, {2.0, 1.0, 1.0});
    const auto summary = subject.trainer.run();
    BOOST_TEST(summary.best_is_gone == !brought);
    BOOST_TEST((subject.parameters() == (brought ? best : parameters_of(checkpoint(third, 12)))));
  }
}

// Another run's checkpoint of the same step lies in the folder into which the run is resumed.
BOOST_AUTO_TEST_CASE(ends_with_its_own_best_parameters_in_the_folder_of_another_run) {
  const auto into = [](const Scratch& folder) {
    auto options = options_for(folder.path.string());
    options.load_best = true;
    return options;
  };
  const Scratch own;
  {
    Subject subject(into(own));
    script_metric(subject, {3.0, 2.0, 1.0});
    subject.trainer.run();
  }
  for (const long from : {12L, 8L}) {
    BOOST_TEST_CONTEXT("from step " << from) {
      const Scratch other;
      {
        Subject subject(into(other), 9);
        script_metric(subject, {1.0, 2.0, 3.0});
        subject.trainer.run();
      }
      const auto foreign = contents(other / "checkpoint-4/model.safetensors");
      Subject subject(into(other));
      subject.trainer.resume(checkpoint(own, from));
      subject.cancel_at = 9;
      const auto summary = subject.trainer.run();
      if (from == 12) {  // there is no step left
        BOOST_TEST((!summary.cancelled && !summary.best_is_gone));
        BOOST_TEST((subject.parameters() == parameters_of(checkpoint(own, 4))));
        BOOST_TEST((list_checkpoints(other.path.string()) == Steps{}));
      } else {
        BOOST_TEST((list_checkpoints(other.path.string()) == Steps{4, 9}));
        BOOST_TEST(
            (contents(other / "checkpoint-4/model.safetensors") == contents(own / "checkpoint-4/model.safetensors")));
      }
      BOOST_TEST((contents(other / "checkpoint-4.abandoned/model.safetensors") == foreign));
    }
  }
}

// Two branches of a run have checkpoints of the same steps. That of the first was set aside; the run goes on there.
BOOST_AUTO_TEST_CASE(ends_with_the_best_parameters_of_its_branch) {
  const Scratch folder;
  auto options = options_for(folder.path.string());
  options.load_best = true;
  {
    Subject subject(options);
    script_metric(subject, {1.0, 3.0, 2.0});
    subject.trainer.run();
  }
  const auto best = parameters_of(checkpoint(folder, 8));
  {
    auto longer = options;  // so the learning rates differ
    longer.max_steps = 16;
    Subject subject(longer);
    subject.trainer.resume(checkpoint(folder, 4));
    script_metric(subject, {2.5, 2.0, 1.0});
    subject.trainer.run();
  }
  BOOST_TEST((list_checkpoints(options.output_dir) == Steps{4, 8, 12, 16}));
  BOOST_TEST((parameters_of(checkpoint(folder, 8)) != best));
  Subject ended(options);
  ended.trainer.resume(checkpoint(folder, 12) + ".abandoned");
  BOOST_TEST(!ended.trainer.run().best_is_gone);
  BOOST_TEST((ended.parameters() == best));
  Subject again(options);
  again.trainer.resume(checkpoint(folder, 8) + ".abandoned");
  again.cancel_at = 9;
  again.trainer.run();
  BOOST_TEST((list_checkpoints(options.output_dir) == Steps{8, 9}));
  BOOST_TEST((parameters_of(checkpoint(folder, 8)) == best));
}

// A run that fails before its first step leaves the later checkpoints under their names.
BOOST_AUTO_TEST_CASE(before_the_first_step_sets_nothing_aside) {
  const Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.save_steps = 1;
  Subject(options).trainer.run();
  const auto before = list_checkpoints(options.output_dir);
  Subject spoilt(options);
  spoilt.trainer.resume(checkpoint(scratch, 5));
  const auto& entry = *spoilt.model.parameters().find("model.encoder.layers.0.fc1.weight");
  spoilt.backend(
      ops::Fill<B>{.x = spoilt.model.parameters().value(entry), .value = std::numeric_limits<float>::infinity()});
  BOOST_CHECK_THROW(spoilt.trainer.run(), NumericError);
  BOOST_TEST(list_checkpoints(options.output_dir) == before);
  Subject again(options);
  again.trainer.resume(checkpoint(scratch, 5));
  again.cancel_at = 6;
  again.trainer.run();
  BOOST_TEST(list_checkpoints(options.output_dir) == (Steps{1, 2, 3, 4, 5, 6}));
}

BOOST_AUTO_TEST_CASE(by_an_exception_of_a_callback_leaves_the_trainer) {
  Subject subject(options_for());
  subject.trainer.callbacks().on_step = [](const StepEvent&) -> bool { throw std::runtime_error("enough"); };
  BOOST_CHECK_EXCEPTION(subject.trainer.run(), std::runtime_error, says({"enough"}));
}

BOOST_AUTO_TEST_CASE(by_a_validation_loss_that_is_not_finite_names_the_step) {
  auto options = options_for();
  options.eval_on_start = true;
  Subject subject(options);
  const auto& entry = *subject.model.parameters().find("model.encoder.layers.0.fc1.weight");
  subject.backend(
      ops::Fill<B>{.x = subject.model.parameters().value(entry), .value = std::numeric_limits<float>::quiet_NaN()});
  BOOST_CHECK_EXCEPTION(subject.trainer.run(), NumericError, says({"step 0", "validation loss is not finite"}));
}

BOOST_AUTO_TEST_CASE(by_a_number_that_is_not_finite_keeps_the_last_checkpoint) {
  Scratch scratch;
  auto options = options_for(scratch.path.string());
  options.save_steps = 1;
  options.save_total_limit = 1;
  Subject whole(options_for());
  whole.trainer.run();
  {
    Subject subject(options);
    subject.cancel_at = 5;
    BOOST_TEST(subject.trainer.run().cancelled);  // a good checkpoint behind step 5
    const auto good = contents(scratch / "checkpoint-5/model.safetensors");
    Subject spoilt(options);
    spoilt.trainer.resume(checkpoint(scratch, 5));
    const auto& entry = *spoilt.model.parameters().find("model.encoder.layers.0.fc1.weight");
    spoilt.backend(
        ops::Fill<B>{.x = spoilt.model.parameters().value(entry), .value = std::numeric_limits<float>::infinity()});
    BOOST_CHECK_EXCEPTION(spoilt.trainer.run(), NumericError, says({"step 6", "model.encoder.layers.0.fc1.weight"}));
    BOOST_TEST((contents(scratch / "checkpoint-5/model.safetensors") == good));
    BOOST_TEST((list_checkpoints(options.output_dir) == Steps{4, 5}));  // step 4 was the best evaluation
  }
  Subject resumed(options);
  resumed.trainer.resume(checkpoint(scratch, 5));
  resumed.trainer.run();
  BOOST_TEST((resumed.state() == whole.state()));
}

BOOST_AUTO_TEST_SUITE_END()
