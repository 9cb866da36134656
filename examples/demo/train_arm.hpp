// The training of an arm; see arm.hpp.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/progress.hpp"
#include "common/training_log.hpp"
#include "common/training_options.hpp"
#include "demo/arm.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/text/services/translator.hpp"

namespace examples {

template <class B, class P>
ArmResult train_arm(B& backend, const std::string& name, const std::string& folder, const DemoCorpus& corpus,
                    const DemoTokenizer& learned, const DemoSettings& settings, const std::function<bool()>& stop) {
  using Model = na::Marian<B, P>;
  const auto& tokenizer = learned.tokenizer;
  Model model(backend, settings.model(tokenizer.vocab_size()), settings.seed);

  na::text::BatchOptions shuffled;
  shuffled.tokens = settings.batch_tokens;
  shuffled.seed = settings.seed;
  auto in_order = shuffled;
  in_order.shuffle = false;
  const auto batches = [&](const na::text::ParallelCorpus& text, const na::text::BatchOptions& options) {
    return na::text::TranslationData(na::text::tokenize(text, tokenizer, settings.longest, settings.longest), options,
                                     tokenizer.pad_id());
  };
  auto training = batches(corpus.train, shuffled), validation = batches(corpus.held_out, in_order);

  ArmResult result;
  result.name = name;
  result.parameters = model.parameters().count();
  Progress progress(settings.max_steps, name);
  TrainingLog log(folder, name, {.metric = "bleu", .speed = "target_tokens_per_second"}, 0);
  auto greedy = na::generation_defaults(model.config());
  greedy.max_length = settings.longest;
  na::text::TranslatorOptions translator_options;
  translator_options.threads = settings.compute.threads;
  translator_options.precision = settings.compute.precision();
  const na::text::Translator translator(model, tokenizer, greedy, translator_options);
  na::TrainerCallbacks callbacks;
  callbacks.on_step = [&](const na::StepEvent& event) {
    log.begin();
    const double loss = event.result.loss.smoothed / double(event.result.loss.tokens);
    progress.update(event.step, {{"loss", fixed(loss, 3)}, {"tok/s", compact(event.tokens_per_second)}});
    if (event.step % 10 == 0) log.add(event);
    return !stop();
  };
  callbacks.metric = [&] {
    result.translations.clear();
    for (const auto& translation : translator.translate(corpus.held_out.source))
      result.translations.push_back(translation.text());
    return na::metrics::corpus_bleu(result.translations, corpus.held_out.target).score;
  };
  callbacks.on_evaluation = [&](const na::EvaluationEvent& event) {
    const auto fault = log.add(event, event.metric, progress.elapsed_seconds());
    result.losses.push_back({double(event.step), event.loss});
    result.bleus.push_back({double(event.step), event.metric});
    progress.message(name + "  step " + std::to_string(event.step) + "  held-out loss " + fixed(event.loss, 3) +
                     "  BLEU " + fixed(event.metric, 1));
    if (!fault.empty()) progress.message(fault);
  };
  na::Trainer trainer(backend, model, training, validation, settings.trainer(), usual_adam, std::move(callbacks));
  const auto summary = trainer.run();
  progress.finish();
  result.cancelled = summary.cancelled;
  if (result.cancelled) return result;

  result.valid_loss = summary.valid_loss;
  result.bleu = summary.valid_metric;
  result.tokens_per_second = summary.tokens_per_second;
  result.seconds = progress.elapsed_seconds();
  if (const auto fault = log.finish(name, result.parameters, settings.seed, summary, result.bleu); !fault.empty())
    std::fprintf(stderr, "%s\n", fault.c_str());
  na::io::save_model(folder, backend, model, {}, 0, learned.files);
  return result;
}

}  // namespace examples
