// Runs of a tiny model for tests of the trainer: 27 pairs in 7 batches an epoch, 4 steps of up to two batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"

namespace tiny_runs {

using namespace neural_attention;

using B = Cpu<float>;
using TinyModel = Marian<B, LinearProjections>;
using Data = text::TranslationData;

inline Data data(int count, int sentences, bool shuffle) {
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
inline TrainerOptions options_for(const std::string& output_dir = {}) {
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
inline void script_metric(Subject& subject, std::vector<double> values) {
  subject.trainer.callbacks().metric = [values = std::move(values), next = std::size_t{0}]() mutable {
    return values.at(next++);
  };
}

inline std::string checkpoint(const Scratch& scratch, long step) { return (scratch / checkpoint_name(step)).string(); }

inline std::vector<float> parameters_of(const std::string& directory) {
  Subject reader(options_for());
  io::load_parameters(directory + "/model.safetensors", reader.backend, reader.model.parameters());
  return reader.parameters();
}

inline std::vector<long> evaluation_steps(const Trace& trace) {
  std::vector<long> steps;
  for (const auto& evaluation : trace.evaluations) steps.push_back(evaluation.step);
  return steps;
}

using Steps = std::vector<long>;

}  // namespace tiny_runs
