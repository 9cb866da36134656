// translation train | evaluate | translate: Marian encoder-decoders with linear or neural projections on the CPU.
#include "common/command_line.hpp"
#include "translation/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app(
      "Trains and runs translation models whose query, key, value and output projections may be neural.\n"
      "  translation train --data DIR --output_dir out --projector neural\n"
      "  translation evaluate --model out --source test.de --reference test.en\n"
      "  echo 'Ein Hund schläft.' | translation translate --model out",
      "translation");
  app.require_subcommand(1);

  examples::TrainOptions training;
  auto* const train = app.add_subcommand("train", "Train a model on pairs of sentences");
  examples::add_train_flags(*train, training);

  examples::EvaluateOptions evaluation;
  auto* const evaluate = app.add_subcommand("evaluate", "Translate a file and compare it with a reference (BLEU)");
  examples::add_decoding_flags(*evaluate, evaluation);
  evaluate->add_option("--source", evaluation.source, "Sentences to translate, plain or gzip")->required();
  evaluate->add_option("--reference", evaluation.reference, "Their translations, plain or gzip")->required();
  evaluate->add_option("--hypotheses", evaluation.hypotheses, "Also write the translations here");

  examples::TranslateProgramOptions translation;
  auto* const translate = app.add_subcommand("translate", "Translate standard input line by line");
  examples::add_decoding_flags(*translate, translation);

  return examples::run_program(app, argc, argv, [&] {
    if (train->parsed()) return examples::train(training);
    if (evaluate->parsed()) return examples::evaluate(evaluation);
    return examples::translate(translation);
  });
}
