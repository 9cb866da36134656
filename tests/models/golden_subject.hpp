// A model of tests/golden with the golden values: what tests/reference/marian_goldens.py and roberta_goldens.py wrote
// is loaded here and computed again, on any backend and with any projections that the file's config.json names.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "backend/cpu_support.hpp"
#include "golden_file.hpp"
#include "models/perturbed.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/train/training_step.hpp"

namespace golden {

namespace na = neural_attention;

/// Everything that is compared, under the names of the goldens.
using Results = std::map<std::string, std::vector<double>>;

template <class B, class T>
std::vector<double> on_host(B& backend, na::RowsOf<T> x) {
  std::vector<T> host(static_cast<std::size_t>(x.size()));
  backend(na::ops::DownloadOf<T>{.x = x, .values = host});
  return {host.begin(), host.end()};
}

/// `number` is what a backend takes: threads, the seed of its errors, or a device.
template <class B>
B make_backend(int number, na::Precision precision) {
  if constexpr (std::is_constructible_v<B, int, na::Precision>) {
    return B(number, precision);
  } else {
    BOOST_REQUIRE((precision == na::Precision::Float32));
    return B(number);
  }
}

/// What does not depend on the kind of model. A family derives from it, fills `batch` and has forward(Results&).
template <class M>
class GoldenSubject {
 public:
  using Model = M;
  using B = typename Model::Backend;

  /// make_config(json, path) reads what the file says under "config"; `rate` is the name of a dropout rate there.
  template <class MakeConfig>
  GoldenSubject(const std::string& path, int number, na::Precision precision, const char* rate,
                MakeConfig&& make_config)
      : about(na::io::read_json(folder() / (path + ".json"))),
        backend(make_backend<B>(number, precision)),
        model(backend, make_config(about.at("config"), path + ".json")),
        batch(make_batch(model.config().pad_token_id)) {
    BOOST_REQUIRE(about.at("config").at(rate) == 0.0);
  }

  void load(File& goldens) {
    for (const auto& entry : model.parameters().entries()) {
      const auto name = "param." + entry.name;
      const auto expected =
          entry.vector ? std::vector<std::int64_t>{entry.cols} : std::vector<std::int64_t>{entry.rows, entry.cols};
      BOOST_TEST(goldens.shape(name) == expected, "the shape of " << name);
      backend(na::ops::UploadOf<typename B::Real>{.values = goldens.read<typename B::Real>(name),
                                                  .x = model.parameters().value(entry)});
    }
    model.parameters().refresh();
  }

  void gradients(Results& results, const std::string& prefix, const std::string& loss_name, double smoothing) {
    const auto tokens = static_cast<double>(batch.labels.size());
    model.parameters().zero_gradients();
    const auto pass = memory.begin_training();
    cpu_support::SharedOutcome sums;
    model.loss_and_gradient(pass, batch, smoothing, 1.0 / tokens, na::Into::Write, sums.place(), saved);
    results[loss_name] = {sums->smoothed_loss / tokens};
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results[prefix + entry.name] = on_host(backend, model.parameters().gradient(entry));
    auto inference = memory.begin_inference();
    const auto alone = model.loss(inference, batch, smoothing, saved);
    BOOST_TEST(alone.tokens == static_cast<long>(tokens));
    if constexpr (!std::is_same_v<B, Perturbed>) {  // its errors differ from call to call
      const double few_bits = 8 * static_cast<double>(std::numeric_limits<typename B::Real>::epsilon());
      BOOST_TEST(std::abs(alone.smoothed - sums->smoothed_loss) <= few_bits * sums->smoothed_loss);
      BOOST_TEST(std::abs(alone.negative_log_likelihood - sums->negative_log_likelihood) <=
                 few_bits * sums->negative_log_likelihood);
    }
  }
  void gradients(Results& results) {
    gradients(results, "grad.", "output.loss", 0.0);
    gradients(results, "grad_smoothed.", "output.loss_smoothed", about.at("label_smoothing"));
  }

  void train(Results& results) {
    const auto& how = about.at("adamw");
    na::StepOptions options;
    options.learning_rate = how.at("learning_rate");
    options.schedule = {na::Schedule::Kind::Linear, 0, how.at("steps")};
    options.max_gradient_norm = how.at("max_gradient_norm");
    na::AdamOptions adam;
    adam.beta1 = how.at("betas").at(0);
    adam.beta2 = how.at("betas").at(1);
    adam.epsilon = how.at("eps");
    adam.weight_decay = how.at("weight_decay");
    const std::set<std::string> undecayed = how.at("no_decay_parameters");
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) BOOST_TEST(entry.vector == undecayed.contains(entry.name), entry.name);
    na::TrainingStep<Model> training(backend, model, options, adam);
    for (int i = 0; i < how.at("steps").template get<int>(); ++i) {
      const auto result = training.run(std::span(&batch, 1));
      results["adamw.losses"].push_back(result.loss.smoothed / double(result.loss.tokens));
      results["adamw.gradient_norms"].push_back(result.gradient_norm);
      results["adamw.learning_rates"].push_back(result.learning_rate);
    }
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results["adamw." + entry.name] = on_host(backend, model.parameters().value(entry));
  }

  nlohmann::json about;
  B backend;
  Model model;
  typename Model::Batch batch;
  na::PassMemory<B> memory{backend};
  typename Model::Saved saved;

  static typename Model::Batch make_batch(int padding) {
    if constexpr (std::is_constructible_v<typename Model::Batch, int>)
      return typename Model::Batch(padding);
    else
      return {};
  }

 protected:
  void keep(Results& results, const std::string& name, na::Rows<B> x) { results[name] = on_host(backend, x); }
  /// The outputs of a stack of layers, as prefix0, prefix1, …
  template <class Stack>
  void keep(Results& results, const std::string& prefix, const na::Pass<B>& pass, const Stack& stack,
            const typename Stack::Saved& kept) {
    for (std::size_t i = 0; i < kept.outputs.size(); ++i)
      keep(results, prefix + std::to_string(i), stack.output(pass, kept, i));
  }
  void keep_logits(Results& results, const na::Pass<B>& pass, na::Rows<B> states) {
    const auto logits = pass.scratch.aligned_rows(states.rows, model.config().vocab_size);
    model.logits(pass, states, logits);
    keep(results, "output.logits", logits);
  }
};

/// All that needs no training.
template <class Subject>
Results run(Subject& subject) {
  Results results;
  subject.forward(results);
  subject.gradients(results);
  return results;
}

template <class B>
using ChosenProjector =
    na::Choice<B, na::Linear, na::SequentialLinear, na::Neural, na::PlainNeural, na::ResidualNeural>;

/// Runs `check` for the same presets with the projectors that their configs choose at run time. One model type serves
/// all presets, which compiles several times faster where a test has many backends.
template <class Check>
auto chosen_at_run_time(Check&& check) {
  using Chosen = na::Projections<ChosenProjector, ChosenProjector, ChosenProjector, ChosenProjector>;
  return [check = std::forward<Check>(check)]<class P>(const std::string& name) {
    check.template operator()<Chosen>(name);
  };
}

}  // namespace golden
