// How a run ends: early, with the best parameters, or by a fault.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE trainer_stopping
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"
#include "trainer/tiny_runs.hpp"

using namespace neural_attention;
using namespace tiny_runs;

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
