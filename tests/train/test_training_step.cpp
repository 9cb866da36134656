// TrainingStep as a user meets it: its defaults learn at the rate that was given, and what makes no sense is refused
// when it is made, not by a crash or by a model that does not move.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE training_step
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;
using B = Cpu<float>;
using TinyModel = Marian<B, LinearProjections>;
using Masked = Roberta<B, LinearProjections>;

namespace {

auto says(const std::string& what) {
  return [what](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return std::string(error.what()).find(what) != std::string::npos;
  };
}

struct Subject {
  B backend{1};
  TinyModel model{backend, tiny::config(1, 8)};

  void refuse(const StepOptions& options, const AdamOptions& adam, const std::string& what) {
    BOOST_CHECK_EXCEPTION(TrainingStep<TinyModel>(backend, model, options, adam), ConfigError, says(what));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(options, Subject)

BOOST_AUTO_TEST_CASE(not_given_leave_a_rate_that_stays) {
  const auto batch = tiny::batch(tiny::pairs());
  const auto rates = [&](const StepOptions& given) {
    TrainingStep<TinyModel> step(backend, model, given, {});
    std::vector<double> found;
    for (int i = 0; i < 3; ++i) found.push_back(step.run(std::span(&batch, 1)).learning_rate);
    return found;
  };
  BOOST_TEST(rates({}) == (std::vector<double>(3, 5e-5)));
  BOOST_TEST(rates({.learning_rate = 1e-3}) == (std::vector<double>(3, 1e-3)));
}

BOOST_AUTO_TEST_CASE(that_make_no_sense_are_refused) {
  refuse({.schedule = {Schedule::Kind::Linear}}, {}, "a linear schedule needs total_steps");
  refuse({.schedule = {Schedule::Kind::Cosine, 5}}, {}, "a cosine schedule needs total_steps");
  refuse({.schedule = {Schedule::Kind::Constant, -5}}, {}, "-5 steps");
  for (const double bad : {std::nan(""), double(INFINITY), -1.0}) {
    refuse({.learning_rate = bad}, {}, "learning_rate must be");
    refuse({.label_smoothing = bad}, {}, "label_smoothing_factor must be");
    refuse({.max_gradient_norm = bad}, {}, "max_grad_norm must be");
    refuse({}, {.beta1 = bad}, "adam_beta1 must be");
    refuse({}, {.beta2 = bad}, "adam_beta2 must be");
    refuse({}, {.epsilon = bad}, "adam_epsilon must be");
    refuse({}, {.weight_decay = bad}, "weight_decay must be");
    refuse({}, {.rates = {{"*", bad}}}, "a factor on the learning rate must be");
    const SgdOptions sgd{.weight_decay = bad};
    BOOST_CHECK_THROW((TrainingStep<TinyModel, Sgd<B>>(backend, model, {}, sgd)), ConfigError);
  }
  refuse({}, {.epsilon = 1e-50}, "adam_epsilon must be at least 1e-37");  // 0 in float
  refuse({.label_smoothing = 1.0}, {}, "not 1");
  refuse({}, {.beta2 = 1.0}, "not 1");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(models)

BOOST_AUTO_TEST_CASE(for_inference_are_not_trained) {
  const auto what = says("made for inference");
  B backend(1);
  PassMemory<B> memory(backend);
  StepOutcome outcome;
  {
    TinyModel model(backend, tiny::config(1, 8), 3, Purpose::Inference);
    BOOST_CHECK_EXCEPTION(TrainingStep<TinyModel>(backend, model, {}, {}), ConfigError, what);
    BOOST_CHECK_EXCEPTION((TrainingStep<TinyModel, Sgd<B>>(backend, model, {}, {})), ConfigError, what);
    const auto pass = memory.begin_training();
    TinyModel::Saved saved;
    const auto batch = tiny::batch(tiny::pairs());
    BOOST_CHECK_EXCEPTION(model.loss_and_gradient(pass, batch, 0.0, 1.0, Into::Write, &outcome, saved), ConfigError,
                          what);
    BOOST_TEST(model.loss(pass, batch, 0.0, saved).tokens == 11);
  }
  Masked model(backend, tiny::roberta_config(), 3, Purpose::Inference);
  BOOST_CHECK_EXCEPTION(TrainingStep<Masked>(backend, model, {}, {}), ConfigError, what);
  const auto pass = memory.begin_training();
  Masked::Saved saved;
  const auto batch = tiny::masked_batch(tiny::masked_sequences());
  BOOST_CHECK_EXCEPTION(model.loss_and_gradient(pass, batch, 0.0, 1.0, Into::Write, &outcome, saved), ConfigError,
                        what);
}

// Decoding starts with pad: a model that learnt with another start would be asked what it never saw.
BOOST_AUTO_TEST_CASE(learn_only_from_the_start_token_of_decoding) {
  B backend(1);
  TinyModel model(backend, tiny::config(1, 8));
  TrainingStep<TinyModel> training(backend, model, {}, {});
  const auto right = tiny::batch(tiny::pairs()), wrong = tiny::batch(tiny::pairs(), 0);
  const auto what = says("target sentence 0 of a batch begins with token 0, but the model's decoder starts with");
  BOOST_CHECK_EXCEPTION(training.run(std::span(&wrong, 1)), ConfigError, what);
  BOOST_CHECK_EXCEPTION(training.evaluate(wrong), ConfigError, what);
  BOOST_CHECK_NO_THROW(training.run(std::span(&right, 1)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(frozen_tensors)

namespace {

using Doubles = Cpu<double>;
using Exact = Marian<Doubles, LinearProjections>;
const std::string frozen = "model.shared.*";

/// One gradient of a frozen tensor is not a number.
struct Spoilt : Exact {
  using Exact::Exact;
  void loss_and_gradient(auto&&... arguments) {
    Exact::loss_and_gradient(arguments...);
    const auto* const entry = parameters().find("model.shared.weight");
    parameters().gradient(*entry).data[0] = std::numeric_limits<double>::quiet_NaN();
  }
};

std::vector<TranslationBatch> parts_of_step(std::size_t parts) {
  const auto all = tiny::pairs();
  std::vector<TranslationBatch> result;
  for (std::size_t p = 0; p < parts; ++p)
    result.push_back(tiny::batch(all, p * all.size() / parts, all.size() / parts));
  return result;
}

/// One step of gradient descent at the rate 1.
template <class Model>
StepResult descend(Doubles& backend, Model& model, std::vector<TranslationBatch> parts, double limit,
                   std::vector<RateRule> rates) {
  TrainingStep<Model, Sgd<Doubles>> step(backend, model, {.learning_rate = 1.0, .max_gradient_norm = limit},
                                         {.momentum = 0.0, .rates = std::move(rates)});
  return step.run(std::span(parts));
}

}  // namespace

// As requires_grad_(False) before clip_grad_norm_ in PyTorch.
BOOST_AUTO_TEST_CASE(do_not_count_in_the_norm_that_clips_the_others) {
  Doubles backend(1);
  for (const std::size_t parts : {1, 2}) {
    Exact free(backend, tiny::config(1, 8), 7), model(backend, tiny::config(1, 8), 7);
    const auto before = tiny::values(backend, model.parameters());
    const auto whole = descend(backend, free, parts_of_step(parts), 0.0, {});
    const auto& gradients = free.parameters();
    double squares = 0.0;
    for (const auto& entry : gradients.entries())
      if (entry.trained && !matches(frozen, entry.name))
        squares += backend(ops::SquaredNorm<Doubles>{.x = gradients.gradient(entry)});
    const double norm = std::sqrt(squares), limit = norm / 2, scale = limit / (norm + 1e-6);
    BOOST_TEST_REQUIRE(whole.gradient_norm > 1.01 * norm);

    const auto clipped = descend(backend, model, parts_of_step(parts), limit, {{frozen, 0.0}});
    BOOST_TEST(clipped.gradient_norm == norm, boost::test_tools::tolerance(1e-12));
    const auto after = tiny::values(backend, model.parameters());
    for (const auto& entry : gradients.entries()) {
      if (!entry.trained) continue;
      const bool stays = matches(frozen, entry.name);
      double worst = 0.0;
      for (std::ptrdiff_t i = 0; i < entry.size(); ++i) {
        const auto at = static_cast<std::size_t>(entry.offset + i);
        const double moved = stays ? 0.0 : scale * gradients.gradient(entry).data[i];
        worst = std::max(worst, std::abs(after[at] - (before[at] - moved)));
      }
      BOOST_TEST(worst <= (stays ? 0.0 : 1e-12), entry.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(may_have_gradients_that_are_not_finite) {
  Doubles backend(1);
  Exact model(backend, tiny::config(1, 8), 7);
  Spoilt spoilt(backend, tiny::config(1, 8), 7);
  const auto expected = descend(backend, model, parts_of_step(2), 1.0, {{frozen, 0.0}});
  const auto found = descend(backend, spoilt, parts_of_step(2), 1.0, {{frozen, 0.0}});
  BOOST_TEST(found.gradient_norm == expected.gradient_norm);
  BOOST_TEST((tiny::values(backend, spoilt.parameters()) == tiny::values(backend, model.parameters())));
  BOOST_CHECK_EXCEPTION(descend(backend, spoilt, parts_of_step(2), 1.0, {}), NumericError,
                        says("the gradient of model.shared.weight is not finite"));
}

BOOST_AUTO_TEST_SUITE_END()
