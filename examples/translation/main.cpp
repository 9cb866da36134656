// translation train | evaluate | translate | quantize: Marian encoder-decoders with linear or neural projections, on
// the CPU or a GPU.
#include "common/commands.hpp"
#include "common/quantize_options.hpp"
#include "translation/options.hpp"

int main(int argc, char** argv) {
  examples::Commands program(
      "translation",
      "Trains and runs translation models whose query, key, value and output projections may be neural.\n"
      "  translation train --data DIR --output_dir out --projector neural\n"
      "  translation evaluate --model out --source test.de --reference test.en\n"
      "  echo 'Ein Hund schläft.' | translation translate --model out");
  program.add("train", "Train a model on pairs of sentences", examples::train_on_device,
              "A new model; the paper's procedure on an existing model; a start that changes nothing at first:\n"
              "  translation train --data DIR --projector neural --output_dir out\n"
              "  translation train --data DIR --model opus-mt-de-en --projector neural --init_projections fresh "
              "--learning_rate 5e-5 --output_dir out\n"
              "  translation train --data DIR --model opus-mt-de-en --projector residual --init_projections warm "
              "--learning_rate 5e-5 --output_dir out\n"
              "Ctrl-C saves and stops; --resume_from_checkpoint last continues.");
  program.add("evaluate", "Translate a file and compare it with a reference (BLEU, chrF)", examples::evaluate_on_device,
              "  translation evaluate --model out --num_beams 4 --source test.de.gz --reference test.en.gz "
              "--hypotheses out.en");
  program.add(
      "translate", "Translate standard input, or a file, line by line", examples::translate_on_device,
      "One translation per line, in order. Empty lines stay empty. The model sees unknown words as <unk>.\n"
      "A line with more tokens than the model has positions is cut at the end, with a warning.\n"
      "  echo 'Ein Hund schläft.' | translation translate --model out --num_beams 4\n"
      "  translation translate --model out --num_beams 5 --num_return_sequences 5 --input test.de.gz --output test.en\n"
      "  translation translate --model out --do_sample --top_p 0.9 --seed 1 < test.de\n"
      "  echo 'Ein Hund schläft.' | translation translate --model out --attention heads.svg");
  program.add("quantize", "Write a model with int8 weights, for all commands except train and quantize",
              examples::quantize_model,
              "The file takes about a quarter of the memory. --evaluate_on shows the loss of quality on your text:\n"
              "  translation quantize --model out --output_dir out-int8 --evaluate_on test.de test.en\n"
              "  translation translate --model out-int8 < test.de");
  return program.run(argc, argv);
}
