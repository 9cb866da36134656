// A run that is cut anywhere and resumed equals one that is not, bit for bit; another run is refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE trainer_resuming
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"
#include "train/thread_group.hpp"
#include "trainer/tiny_runs.hpp"

using namespace neural_attention;
using namespace tiny_runs;

namespace {

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

BOOST_AUTO_TEST_SUITE(resumed)

BOOST_AUTO_TEST_CASE(equals_uninterrupted_by_epochs) { check_resume(options_for(), 12); }

BOOST_AUTO_TEST_CASE(equals_uninterrupted_by_steps_with_one_batch_a_step) {
  auto options = options_for();
  options.accumulation = 1;
  options.epochs = 1.5;
  options.eval_steps = 3;
  options.save_steps = 2;
  options.load_best = true;
  check_resume(options, 11);
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

BOOST_AUTO_TEST_SUITE(in_ranks)

// Each rank reads the checkpoint from a disk of its own, where that of another run or of an earlier step may lie.
BOOST_AUTO_TEST_CASE(need_one_checkpoint) {
  const Scratch first, second;
  {
    auto options = options_for(first.path.string());
    options.save_steps = 2;
    Subject subject(options);
    subject.cancel_at = 4;
    subject.trainer.run();
  }
  std::filesystem::copy(checkpoint(first, 2), checkpoint(second, 4), std::filesystem::copy_options::recursive);
  const auto resumed = [&](const Scratch& of_second) {
    return in_thread_ranks<float>(2, [&](auto& group) -> std::string {
      Subject other(options_for());
      Trainer<TinyModel, Data, Adam<B>, std::remove_reference_t<decltype(group)>> trainer(
          other.backend, other.model, other.training, other.validation, options_for(), optimizer_options<Adam<B>>(), {},
          group);
      try {
        trainer.resume(checkpoint(group.rank() == 0 ? first : of_second, 4));
        return "step " + std::to_string(trainer.position().step);
      } catch (const ConfigError& error) {
        return error.what();
      }
    });
  };
  for (const auto& end : resumed(first)) BOOST_TEST(end == "step 4");
  for (const auto& end : resumed(second))
    BOOST_TEST(end.find("checkpoint-4 is another checkpoint on rank 1 than on rank 0") != std::string::npos, end);
}

BOOST_AUTO_TEST_SUITE_END()
