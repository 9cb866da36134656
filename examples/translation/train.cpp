// translation train: from two text files to a model directory.
#include <cstdio>
#include <filesystem>
#include <string>

#include "common/command_line.hpp"
#include "common/progress.hpp"
#include "common/tokenizer_files.hpp"
#include "common/training_log.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/translate_lines.hpp"
#include "translation/commands.hpp"
#include "translation/train_config.hpp"

namespace examples {
namespace {

namespace fs = std::filesystem;

/// The checkpoint to continue from, or "" for a new run. Refuses to overwrite an earlier run unasked.
std::string checkpoint_to_resume(const TrainOptions& options) {
  const auto steps = na::list_checkpoints(options.output_dir);
  if (options.resume_from_checkpoint == "last") {
    if (steps.empty()) throw na::FileError(options.output_dir, "holds no checkpoint to resume from");
    return options.output_dir + "/" + na::checkpoint_name(steps.back());
  }
  if (options.resume_from_checkpoint.empty() && !steps.empty() && !options.overwrite_output_dir)
    throw na::ConfigError(options.output_dir +
                          " holds the checkpoints of an earlier run; continue it with "
                          "--resume_from_checkpoint last, or begin anew with --overwrite_output_dir");
  return options.resume_from_checkpoint;
}

/// Makes the output directory; a run that begins anew leaves no checkpoint of an earlier one, which a later
/// --resume_from_checkpoint last would take for its own.
void prepare_output(const TrainOptions& options, bool anew) {
  std::error_code error;
  fs::create_directories(options.output_dir, error);
  if (error) throw na::FileError(options.output_dir, "cannot be created: " + error.message());
  if (!anew) return;
  for (const long step : na::list_checkpoints(options.output_dir))
    fs::remove_all(fs::path(options.output_dir) / na::checkpoint_name(step), error);
}

/// The tokenizer whose files lie in the output directory from here on: the checkpoint's, or a new one.
na::text::MarianTokenizer tokenizer_for(const TrainOptions& options, const na::text::ParallelCorpus& corpus,
                                        const std::string& checkpoint) {
  if (!checkpoint.empty()) {
    copy_tokenizer(checkpoint, options.output_dir);
    return na::text::MarianTokenizer::load(options.output_dir);
  }
  std::fprintf(stderr, "learning a joint vocabulary of %d pieces\n", options.model.vocab_size);
  na::text::MarianTokenizerOptions tokenizer;
  tokenizer.source_lang = options.data.source_lang;
  tokenizer.target_lang = options.data.target_lang;
  return na::text::MarianTokenizer::train(corpus.source, corpus.target, options.model.vocab_size, options.output_dir,
                                          tokenizer);
}

}  // namespace

int train(const TrainOptions& options) {
  if (options.model.dump_config) {
    std::printf("%s\n", na::io::to_json(model_config(options.model, options.model.vocab_size)).dump(2).c_str());
    return 0;
  }
  if (options.output_dir.empty()) throw na::ConfigError("--output_dir is needed: it is where the model goes");
  auto run_options = trainer_options(options);
  const auto batches = batch_options(options);
  model_config(options.model, options.model.vocab_size);  // refuse a bad config before anything is read
  const auto paths = corpus_paths(options.data);
  const auto checkpoint = checkpoint_to_resume(options);
  const auto corpus = na::text::load_parallel(paths.train_source, paths.train_target);
  const auto validation_corpus = na::text::load_parallel(paths.validation_source, paths.validation_target);
  prepare_output(options, checkpoint.empty());

  const auto tokenizer = tokenizer_for(options, corpus, checkpoint);
  auto config = checkpoint.empty() ? model_config(options.model, tokenizer.vocab_size())
                                   : na::io::load_marian_config(checkpoint + "/config.json");
  config.gradient_checkpointing = options.model.gradient_checkpointing;
  const auto tokenized = [&](const na::text::ParallelCorpus& text) {
    return na::text::tokenize(text, tokenizer, options.data.max_source_length, options.data.max_target_length);
  };
  na::text::TranslationData training(tokenized(corpus), batches, tokenizer.pad_id());
  auto validation_batches = batches;
  validation_batches.shuffle = false;
  na::text::TranslationData validation(tokenized(validation_corpus), validation_batches, tokenizer.pad_id());

  Backend backend(options.threads);
  Model model(backend, config, options.seed);
  na::GreedyDecoder<Model> decoder(backend, model);
  std::fprintf(stderr, "%s parameters, %s pairs, %s target tokens, %d threads\n",
               with_commas(model.parameters().count()).c_str(),
               with_commas(static_cast<std::int64_t>(training.pairs().size())).c_str(),
               with_commas(static_cast<std::int64_t>(training.pairs().target_tokens())).c_str(), backend.threads());

  const auto write_description = [&](const std::string& directory) {
    na::io::save_config(directory + "/config.json", config);
    if (directory != options.output_dir) copy_tokenizer(options.output_dir, directory);
  };
  const auto bleu_of = [&](const na::text::ParallelCorpus& text) {
    na::text::TranslateOptions decoding;
    decoding.greedy.max_length = options.data.max_target_length;
    const auto lines =
        na::text::translate_lines(decoder, tokenizer, config.max_position_embeddings, text.source, decoding);
    return na::metrics::corpus_bleu(lines, text.target).score;
  };

  // The callbacks speak to the progress bar and the log, which need the trainer's numbers first.
  std::optional<Progress> progress;
  std::optional<TrainingLog> log;
  const Interruption interruption;
  na::TrainerCallbacks callbacks;
  callbacks.write_more = write_description;
  if (options.bleu) callbacks.metric = [&] { return bleu_of(validation_corpus); };
  callbacks.on_step = [&](const na::StepEvent& event) {
    const double loss = event.result.loss.smoothed / double(event.result.loss.tokens);
    progress->update(event.step, {{"loss", fixed(loss, 3)},
                                  {"lr", scientific(event.result.learning_rate)},
                                  {"tok/s", compact(event.tokens_per_second)}});
    if (options.logging_steps > 0 && event.step % options.logging_steps == 0) log->add(event);
    return !interruption.requested();
  };
  na::Trainer trainer(backend, model, training, validation, run_options, std::move(callbacks));
  if (!checkpoint.empty()) trainer.resume(checkpoint);
  // set after construction because the event needs the trainer's clock
  log.emplace(options.output_dir, options.model.projector, options.bleu ? "bleu" : "", trainer.position().step);
  trainer.callbacks().on_evaluation = [&](const na::EvaluationEvent& event) {
    log->add(event, trainer.position().seconds);
    progress->message("step " + std::to_string(event.step) + "  valid loss " + fixed(event.loss, 4) +
                      (options.bleu ? "  BLEU " + fixed(event.metric, 2) : "") + (event.best ? "  (best)" : ""));
  };
  progress.emplace(trainer.total_steps(), options.model.projector);
  progress->start_at(trainer.position().step);

  const auto summary = trainer.run();
  progress->finish();
  if (summary.cancelled) {
    std::fprintf(stderr, "interrupted; continue with --resume_from_checkpoint %s/%s\n", options.output_dir.c_str(),
                 na::checkpoint_name(summary.steps).c_str());
    return 130;
  }
  write_description(options.output_dir);
  na::io::save_parameters(options.output_dir + "/model.safetensors", backend, model.parameters());
  const double bleu = options.bleu ? summary.valid_metric : bleu_of(validation_corpus);
  log->finish(options.model.projector, model.parameters().count(), options.seed, summary, bleu);
  std::printf("final valid_loss=%.4f valid_bleu=%.2f target_tokens_per_second=%.0f\n", summary.valid_loss, bleu,
              summary.tokens_per_second);
  return 0;
}

}  // namespace examples
