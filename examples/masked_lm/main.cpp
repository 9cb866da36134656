// masked_lm train | evaluate | fill | quantize: RoBERTa with linear or neural projections, on the CPU or a GPU.
#include "common/commands.hpp"
#include "common/quantize_options.hpp"
#include "masked_lm/options.hpp"

int main(int argc, char** argv) {
  examples::Commands program(
      "masked_lm",
      "Trains and runs masked language models whose query, key, value and output projections may be neural.\n"
      "  masked_lm train --data DIR --output_dir out --projector plain_neural\n"
      "  masked_lm evaluate --model out --text test.txt\n"
      "  masked_lm fill --model out 'The capital of <mask> is Paris.'");
  program.add(
      "train", "Train a model on text", examples::train_on_device,
      "The paper's arms, from nothing; and the paper's procedure on an existing model:\n"
      "  masked_lm train --data wikitext-2 --projector linear --output_dir out/linear\n"
      "  masked_lm train --data wikitext-2 --projector plain_neural --output_dir out/neural\n"
      "  masked_lm train --data wikitext-2 --model roberta-base --projector plain_neural --init_projections fresh "
      "--learning_rate 5e-5 --per_device_train_batch_size 8 --output_dir out/paper\n"
      "Ctrl-C saves and stops; --resume_from_checkpoint last continues.");
  program.add("evaluate", "Perplexity of a model on a text", examples::evaluate_on_device,
              "  masked_lm evaluate --model out --text test.txt.gz");
  program.add("fill", "The most likely tokens in place of <mask>", examples::fill_on_device,
              "Each <mask> is filled by itself. A line per candidate: its probability, the token, the text with it.\n"
              "  masked_lm fill --model out --top_k 3 'The capital of <mask> is Paris.'");
  program.add("quantize", "Write a model with int8 weights, for all commands except train and quantize",
              examples::quantize_model,
              "The file takes about a quarter of the memory. --evaluate_on shows the loss of quality on your text:\n"
              "  masked_lm quantize --model out --output_dir out-int8 --evaluate_on test.txt.gz\n"
              "  masked_lm evaluate --model out-int8 --text test.txt.gz");
  return program.run(argc, argv);
}
