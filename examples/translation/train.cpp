// translation train: from two text files to a model directory.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "common/progress.hpp"
#include "common/tokenizer_files.hpp"
#include "common/training_log.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/translator.hpp"
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

/// The tokenizer whose files lie in the output directory from here on: the checkpoint's, that of --model, or a new one.
na::text::MarianTokenizer tokenizer_for(const TrainOptions& options, const na::text::ParallelCorpus& corpus,
                                        const std::string& origin) {
  if (!origin.empty()) {
    copy_tokenizer(origin, options.output_dir);
    return na::text::MarianTokenizer::load(options.output_dir);
  }
  std::fprintf(stderr, "learning a joint vocabulary of %d pieces\n", options.model.vocab_size);
  na::text::MarianTokenizerOptions tokenizer;
  tokenizer.source_lang = options.data.source_lang;
  tokenizer.target_lang = options.data.target_lang;
  return na::text::MarianTokenizer::train(corpus.source, corpus.target, options.model.vocab_size, options.output_dir,
                                          tokenizer);
}

/// Other projectors than those of --model have no weights in its file: the user must say how they begin.
void require_init_projections(const ModelOptions& options, const na::MarianConfig& of_file,
                              const na::MarianConfig& config) {
  if (!options.init_projections.empty()) return;
  const auto check = [&](const char* role, const na::ProjectorConfig& before, const na::ProjectorConfig& now) {
    if (before.type != now.type || before.expansion != now.expansion)
      throw na::ConfigError(std::string("the ") + role + " projection of " + options.model + " is " + before.type +
                            " and shall be " + now.type +
                            ": say how the new ones begin, with --init_projections fresh (at random, the paper's "
                            "procedure) or --init_projections warm (as the linear maps of the model)");
  };
  check("query", of_file.query, config.query);
  check("key", of_file.key, config.key);
  check("value", of_file.value, config.value);
  check("output", of_file.output, config.output);
}

/// The weights of --model, and a line that says what became of them.
void load_weights(const TrainOptions& options, Backend& backend, Model& model) {
  using Projections = na::io::LoadOptions::Projections;
  na::io::LoadOptions how;
  how.reinitialise = options.model.reinitialise;
  how.seed = options.seed;
  how.projections = options.model.init_projections == "fresh"  ? Projections::Fresh
                    : options.model.init_projections == "warm" ? Projections::Warm
                                                               : Projections::AsFile;
  const auto report = na::io::load_model(options.model.model, backend, model, how);
  std::fprintf(stderr, "%s: %zu of %zu tensors did not come from the file; %zu projections started warm\n",
               options.model.model.c_str(), report.reinitialised.size(), model.parameters().entries().size(),
               report.warm_started.projectors.size());
}

}  // namespace

int train(const TrainOptions& options) {
  if (options.model.dump_config) {
    std::printf("%s\n", na::io::to_json(run_config(options.model, options.model.vocab_size)).dump(2).c_str());
    return 0;
  }
  if (options.output_dir.empty()) throw na::ConfigError("--output_dir is needed: it is where the model goes");
  auto run_options = trainer_options(options);
  run_options.eval_on_start = options.eval_on_start || (!options.model.model.empty() && !options.no_eval_on_start);
  const auto optimizer = optimizer_options(options);
  const auto batches = batch_options(options);
  const auto wanted = run_config(options.model, options.model.vocab_size);  // refused before anything is read
  const auto paths = corpus_paths(options.data);
  const auto checkpoint = checkpoint_to_resume(options);
  const auto& origin = checkpoint.empty() ? options.model.model : checkpoint;  // empty: a new model
  const bool begins_with_model = checkpoint.empty() && !origin.empty();
  if (begins_with_model)
    require_init_projections(options.model, na::io::load_marian_config(origin + "/config.json"), wanted);
  const na::text::TsvColumns columns{options.data.tsv_columns[0], options.data.tsv_columns[1]};
  const auto corpus = na::text::load_corpus(paths.train_source, paths.train_target, columns);
  const auto validation_corpus = na::text::load_corpus(paths.validation_source, paths.validation_target, columns);
  prepare_output(options, checkpoint.empty());

  const auto tokenizer = tokenizer_for(options, corpus, origin);
  auto config = checkpoint.empty() ? run_config(options.model, tokenizer.vocab_size())
                                   : na::io::load_marian_config(checkpoint + "/config.json");
  config.gradient_checkpointing = options.model.gradient_checkpointing;
  if (config.vocab_size != tokenizer.vocab_size())
    throw na::FileError(origin + "/config.json", "the model has a vocabulary of " + std::to_string(config.vocab_size) +
                                                     ", but vocab.json has " + std::to_string(tokenizer.vocab_size()) +
                                                     " entries");
  const auto generation =
      origin.empty() ? na::generation_defaults(config) : na::io::load_generation_config(origin, config);
  const auto tokenized = [&](const na::text::ParallelCorpus& text) {
    const int most = config.max_position_embeddings;
    return na::text::tokenize(text, tokenizer, std::min(options.data.max_source_length, most),
                              std::min(options.data.max_target_length, most));
  };
  na::text::TranslationData training(tokenized(corpus), batches, tokenizer.pad_id());
  auto validation_batches = batches;
  validation_batches.shuffle = false;
  na::text::TranslationData validation(tokenized(validation_corpus), validation_batches, tokenizer.pad_id());

  Backend backend(options.threads);
  Model model(backend, config, origin.empty() ? std::optional(options.seed) : std::nullopt);
  if (begins_with_model) load_weights(options, backend, model);
  auto greedy = na::generation_defaults(config);
  greedy.max_length = options.data.max_target_length;
  na::text::TranslatorOptions translator_options;
  translator_options.threads = options.threads;
  const na::text::Translator translator(model, tokenizer, greedy, translator_options);
  std::fprintf(stderr, "%s parameters, %s pairs, %s target tokens, %d threads\n",
               with_commas(model.parameters().count()).c_str(),
               with_commas(static_cast<std::int64_t>(training.pairs().size())).c_str(),
               with_commas(static_cast<std::int64_t>(training.pairs().target_tokens())).c_str(), backend.threads());

  const auto write_description = [&](const std::string& directory) {
    na::io::save_description(directory, model, generation);
    if (directory != options.output_dir) copy_tokenizer(options.output_dir, directory);
  };
  const auto bleu_of = [&](const na::text::ParallelCorpus& text) {
    std::vector<std::string> lines;
    for (auto& translation : translator.translate(text.source)) lines.push_back(translation.text());
    return na::metrics::corpus_bleu(lines, text.target).score;
  };

  const auto label = options.model.projector.empty() ? config.query.type : options.model.projector;

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
  na::Trainer<Model, na::text::TranslationData, TrainingOptimizer> trainer(
      backend, model, training, validation, run_options, optimizer, std::move(callbacks));
  if (!checkpoint.empty()) trainer.resume(checkpoint);
  // set after construction because the event needs the trainer's clock
  log.emplace(options.output_dir, label, options.bleu ? "bleu" : "", trainer.position().step);
  trainer.callbacks().on_evaluation = [&](const na::EvaluationEvent& event) {
    log->add(event, trainer.position().seconds);
    progress->message("step " + std::to_string(event.step) + "  valid loss " + fixed(event.loss, 4) +
                      (options.bleu ? "  BLEU " + fixed(event.metric, 2) : "") + (event.best ? "  (best)" : ""));
  };
  progress.emplace(trainer.total_steps(), label);
  progress->start_at(trainer.position().step);

  const auto summary = trainer.run();
  progress->finish();
  if (summary.cancelled) {
    std::fprintf(stderr, "interrupted; continue with --resume_from_checkpoint %s/%s\n", options.output_dir.c_str(),
                 na::checkpoint_name(summary.steps).c_str());
    return 130;
  }
  na::io::save_model(options.output_dir, backend, model, generation);
  const double bleu = options.bleu ? summary.valid_metric : bleu_of(validation_corpus);
  log->finish(label, model.parameters().count(), options.seed, summary, bleu);
  std::printf("final valid_loss=%.4f valid_bleu=%.2f target_tokens_per_second=%.0f\n", summary.valid_loss, bleu,
              summary.tokens_per_second);
  return 0;
}

}  // namespace examples
