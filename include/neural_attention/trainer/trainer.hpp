// Trainer: epochs of optimizer steps with evaluation, checkpoints, early stopping and callbacks. It is generic in the
// model, the data, the optimizer and the group of processes that train together; the data say how an epoch is cut into
// batches, as a function of (seed, epoch). All ranks of a group have the same data and options; each computes its share
// of every step and of the evaluation, and rank 0 alone reads the best checkpoint and writes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "neural_attention/core/observer.hpp"
#include "neural_attention/train/step_share.hpp"
#include "neural_attention/train/training_step.hpp"
#include "neural_attention/trainer/checkpoint.hpp"
#include "neural_attention/trainer/resuming.hpp"
#include "neural_attention/trainer/run_folder.hpp"
#include "neural_attention/trainer/run_length.hpp"
#include "neural_attention/trainer/step_batches.hpp"
#include "neural_attention/trainer/trainer_options.hpp"

namespace neural_attention {

template <class Model, TrainingData Data, class O = Adam<typename Model::Backend>, class G = Alone>
class Trainer {
  static_assert(sizeof(CheckTrainable<Model, typename Data::Batch>));

 public:
  using B = typename Model::Backend;

  Trainer(B& backend, Model& model, Data& training, Data& validation, TrainerOptions options,
          typename O::Options optimizer, TrainerCallbacks callbacks, G& group = alone_group)
      : Trainer(backend, model, training, &validation, std::move(options), std::move(optimizer), std::move(callbacks),
                group) {}

  /// Without validation data (null), nothing is evaluated: there is no best checkpoint, and the last parameters stay.
  /// Throws ConfigError if options make no sense together, the training or validation data have no batch, or both are
  /// the same object.
  Trainer(B& backend, Model& model, Data& training, Data* validation, TrainerOptions options,
          typename O::Options optimizer, TrainerCallbacks callbacks, G& group = alone_group)
      : backend_(&backend),
        model_(&model),
        group_(&group),
        training_(&training),
        validation_(validation),
        options_(with_lengths(std::move(options), training, validation)),
        callbacks_(std::move(callbacks)),
        step_(backend, model, options_.step, optimizer, group),
        folder_(group.rank() == 0 ? options_.output_dir : std::string()),
        batches_(training, options_.accumulation),
        validation_batch_(training.empty_batch()),
        share_(training.empty_batch()) {
    position_.seed = options_.step.seed;
    position_.run = identity_of(options_, training, validation);
    position_.run.set(identity_of_optimizer(optimizer));
    training.begin_epoch(0);
  }

  long total_steps() const { return options_.max_steps; }
  const TrainingPosition& position() const { return position_; }
  TrainingStep<Model, O, G>& training_step() { return step_; }
  TrainerCallbacks& callbacks() { return callbacks_; }

  /// Continues from a checkpoint directory. Throws FileError, also for another optimizer's checkpoint, and ConfigError
  /// if the checkpoint belongs to another run (another seed, other options, also of the optimizer, other data or other
  /// batches) or is not the same on all ranks.
  void resume(const std::string& checkpoint) {
    const auto stored = read_position(checkpoint + "/" + checkpoint_detail::position_file);
    require_same_position(*group_, stored, checkpoint);
    require_same_optimizer(stored, step_.optimizer().name(), checkpoint);
    require_same_run(stored, position_, *training_, checkpoint);
    auto run = stored.run;
    run.set(position_.run);
    step_.load_optimizer(
        [&](auto& optimizer) { position_ = load_checkpoint(checkpoint, *backend_, model_->parameters(), optimizer); });
    position_.run = std::move(run);
    folder_.resume(checkpoint, position_.step);
  }

  /// Afterwards the parameters are there for other backends, too.
  TrainingSummary run() {
    TrainingSummary summary;
    bool evaluated = false;
    begin_alike();
    training_->begin_epoch(position_.epoch);
    if (validation_ && options_.eval_on_start && position_.step == 0 && (callbacks_.on_evaluation || !is_alone<G>)) {
      const auto event = evaluation();
      if (callbacks_.on_evaluation) callbacks_.on_evaluation(event);
    }
    if (position_.evaluation_due && validation_) {
      evaluate();
      evaluated = true;
    }
    summary.stopped_early = out_of_patience();
    while (position_.step < total_steps() && !summary.cancelled && !summary.stopped_early) {
      training_->begin_epoch(position_.epoch);
      const auto batches = static_cast<long>(training_->batches());
      batches_.restart();
      while (position_.batch < batches && position_.step < total_steps()) {
        evaluated = false;
        const bool go_on = one_step(batches);
        const bool due = evaluation_due(batches);
        if (!go_on) {
          position_.evaluation_due = due;
          summary.cancelled = true;
          break;
        }
        if (due) {
          evaluate();
          evaluated = true;
          summary.stopped_early = out_of_patience();
          if (summary.stopped_early) break;
        } else if (save_due(batches)) {
          save();
        }
      }
      if (position_.batch >= batches) {
        ++position_.epoch;
        position_.batch = 0;
      }
    }
    finish(summary, evaluated);
    step_.settle();
    return summary;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool evaluation_due(long batches) const {
    if (!validation_) return false;
    if (position_.step == total_steps()) return true;
    return options_.eval_steps > 0 ? position_.step % options_.eval_steps == 0 : position_.batch >= batches;
  }

  /// Where no evaluation saves.
  bool save_due(long batches) const {
    if (options_.save_steps > 0 && position_.step % options_.save_steps == 0) return true;
    return !validation_ &&
           (position_.step == total_steps() || (options_.save_steps <= 0 && position_.batch >= batches));
  }

  bool out_of_patience() const {
    return options_.patience > 0 && position_.evaluations_without_gain >= options_.patience;
  }

  double epochs_done(long batches) const {
    return position_.epoch + (batches > 0 ? double(position_.batch) / double(batches) : 0.0);
  }

  /// All ranks get rank 0's parameters and moments: other processors may draw initial values that differ by rounding.
  void begin_alike() {
    if constexpr (!is_alone<G>) {
      group_->broadcast(*backend_, model_->parameters().values());
      model_->parameters().refresh();
      if (!step_.sharded())
        for (const auto& moment : step_.optimizer().moments()) group_->broadcast(*backend_, moment.numbers);
    }
  }

  void launch(std::span<typename Data::Batch> parts) {
    if constexpr (is_alone<G>) {
      step_.launch(parts);
    } else {
      long labels = 0;
      for (const auto& part : parts) labels += static_cast<long>(part.labels.size());
      step_.launch(group_->size() > 1 ? share_.of(parts, group_->rank(), group_->size()) : parts, labels);
    }
  }

  /// The host makes the next step's batches while a device works on this step. It waits for the result before it
  /// launches the next one: a callback that cancels must find the parameters as of the step that it saw.
  bool one_step(long batches) {
    const auto begin = Clock::now();
    const auto parts = batches_.at(position_.batch);
    launch(parts);
    batches_.prepare(position_.batch + std::ssize(parts));
    StepEvent event;
    event.result = step_.result();
    folder_.begin();
    position_.batch += std::ssize(parts);
    event.step = ++position_.step;
    for (const auto& part : parts) position_.tokens += part.counted_tokens();
    position_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    event.total_steps = total_steps();
    event.epoch = epochs_done(batches);
    event.tokens_per_second = double(position_.tokens) / position_.seconds;
    return on_all(*group_, !callbacks_.on_step || callbacks_.on_step(event));
  }

  /// The ranks take turns; the sum is the same as in one process, in the order of the batches.
  double validation_loss() {
    LossSum sum;
    validation_->begin_epoch(0);
    const auto loss_of = [this](std::size_t index) {
      {
        const HostWork work("making batches");
        validation_->fill(index, validation_batch_);
      }
      return step_.evaluate(validation_batch_);
    };
    in_turns(*group_, validation_->batches(), loss_of, [&](std::size_t, const LossSum& loss) { sum += loss; });
    if (!std::isfinite(sum.negative_log_likelihood))
      throw NumericError("step " + std::to_string(position_.step) + ": the validation loss is not finite");
    return sum.tokens > 0 ? sum.negative_log_likelihood / double(sum.tokens) : 0.0;
  }

  /// The metric may be measured by another backend, also on a rank that had no validation batch to wait for.
  double metric(double loss) {
    if (!callbacks_.metric) return of_first(*group_, -loss);
    step_.settle();
    return of_first(*group_, callbacks_.metric());
  }

  EvaluationEvent evaluation() {
    EvaluationEvent event;
    event.step = position_.step;
    event.epoch = epochs_done(static_cast<long>(training_->batches()));
    event.loss = validation_loss();
    event.metric = metric(event.loss);
    return event;
  }

  void evaluate() {
    auto event = evaluation();
    folder_.begin();
    position_.evaluation_due = false;
    const bool first = position_.best_step == 0;
    event.best = std::isfinite(event.metric) && (first || event.metric > position_.best_metric);
    last_ = event;
    if (event.best) {
      best_ = event;
      position_.best_metric = event.metric;
      position_.best_step = event.step;
      position_.evaluations_without_gain = 0;
    } else {
      ++position_.evaluations_without_gain;
    }
    if (callbacks_.on_evaluation) callbacks_.on_evaluation(event);
    save();
  }

  void save() {
    if (!of_first(*group_, folder_.keeps())) return;
    const HostWork work("writing checkpoints");
    if (step_.sharded() || folder_.keeps())
      step_.save_optimizer([this](const auto& optimizer) {
        if (folder_.keeps()) write(optimizer);
      });
    of_first(*group_, true);  // the others wait here, where the limit is longer than in a step
  }

  void write(const KeptOptimizer<B> auto& optimizer) {
    folder_.bring_best(position_);
    save_checkpoint(folder_.path(), *backend_, model_->parameters(), optimizer, resting_position(),
                    [this](const std::string& directory) {
                      if (callbacks_.write_more) callbacks_.write_more(directory);
                    });
    prune_checkpoints(folder_.path(), options_.save_total_limit, position_.best_step, position_.step);
  }

  /// The position with the end of an epoch written as the beginning of the next.
  TrainingPosition resting_position() const {
    auto position = position_;
    if (position.batch >= static_cast<long>(training_->batches())) {
      ++position.epoch;
      position.batch = 0;
    }
    position.sequences = sequences_before(*training_, position.batch);
    return position;
  }

  void finish(TrainingSummary& summary, bool evaluated) {
    folder_.begin();
    if (summary.cancelled) save();
    summary.steps = position_.step;
    summary.seconds = position_.seconds;
    summary.tokens_per_second = position_.seconds > 0 ? double(position_.tokens) / position_.seconds : 0.0;
    if (summary.cancelled || !validation_) return;
    const bool wanted =
        options_.load_best && folder_.keeps() && position_.best_step > 0 && position_.best_step != position_.step;
    const auto best = wanted ? folder_.best(position_) : std::filesystem::path();
    const bool reload = of_first(*group_, !best.empty());
    summary.best_is_gone = wanted && !reload;
    if (!best.empty())
      io::load_parameters((best / checkpoint_detail::model_file).string(), *backend_, model_->parameters());
    if (reload) begin_alike();
    if (reload && best_.step == position_.best_step) {
      summary.valid_loss = best_.loss;
      summary.valid_metric = best_.metric;
    } else if (evaluated && !reload) {
      summary.valid_loss = last_.loss;
      summary.valid_metric = last_.metric;
    } else {
      summary.valid_loss = validation_loss();
      summary.valid_metric = metric(summary.valid_loss);
    }
  }

  B* backend_;
  Model* model_;
  G* group_;
  Data* training_;
  Data* validation_;  ///< may be null
  TrainerOptions options_;
  TrainerCallbacks callbacks_;
  TrainingStep<Model, O, G> step_;
  RunFolder folder_;
  StepBatches<Data> batches_;
  typename Data::Batch validation_batch_;
  struct NoShare {
    explicit NoShare(const typename Data::Batch&) {}
  };
  [[no_unique_address]] std::conditional_t<is_alone<G>, NoShare, StepShare<typename Data::Batch>> share_;
  TrainingPosition position_;
  EvaluationEvent last_, best_;
};

}  // namespace neural_attention
