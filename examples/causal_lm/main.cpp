// causal_lm train | evaluate | generate | tokenize | quantize: GPT-2 with linear or neural projections, on the CPU or a
// GPU.
#include "causal_lm/options.hpp"
#include "common/commands.hpp"
#include "common/quantize_options.hpp"

int main(int argc, char** argv) {
  examples::Commands program(
      "causal_lm",
      "Trains and runs causal language models whose query, key, value and output projections may be neural.\n"
      "  causal_lm train --data DIR --tokenizer characters --output_dir out --projector_q nonlinear_query\n"
      "  causal_lm evaluate --model out --text test.txt\n"
      "  causal_lm generate --model out --do_sample 'Once upon a time'");
  program.add(
      "train", "Train a model on text or token files", examples::train_on_device,
      "nanoGPT's small model of characters, linear and with non-linear queries; and an existing model on another "
      "text:\n"
      "  causal_lm train --data tinyshakespeare --tokenizer characters --n_layer 4 --n_head 4 --n_embd 128 "
      "--block_size 64 --per_device_train_batch_size 12 --max_steps 2000 --dropout 0 --bias false "
      "--activation_function gelu --learning_rate 1e-3 --lr_scheduler_type cosine_with_min_lr --min_lr 1e-4 "
      "--warmup_steps 100 --adam_beta2 0.99 --weight_decay 0.1 --eval_steps 250 --output_dir out/linear\n"
      "  causal_lm train --data tinyshakespeare --tokenizer characters --projector_q nonlinear_query --output_dir "
      "out/nonlinear\n"
      "  causal_lm train --data wikitext-2 --model gpt2 --learning_rate 5e-5 --per_device_train_batch_size 8 "
      "--output_dir out/tuned\n"
      "Ctrl-C saves and stops; --resume_from_checkpoint last continues.");
  program.add("evaluate", "Loss, perplexity and bits per byte of a model on a text", examples::evaluate_on_device,
              "Each token but the first is predicted once. Overlapping windows give it more context:\n"
              "  causal_lm evaluate --model out --text test.txt.gz\n"
              "  causal_lm evaluate --model out --text test.txt.gz --stride 32");
  program.add("generate", "Continue prompts", examples::generate_on_device,
              "A single text appears token by token. If there are several, each ends with a line of dashes. Lines of "
              "standard input are answered as they come.\n"
              "  causal_lm generate --model out --do_sample --temperature 0.8 --max_new_tokens 200 'Once upon a time'\n"
              "  causal_lm generate --model out --do_sample --num_return_sequences 3 --stop '.' 'The king'\n"
              "  causal_lm generate --model out --num_beams 4 --input prompts.txt");
  program.add("tokenize", "Write token files, which train maps into memory instead of reading text", examples::tokenize,
              "With the tokenizer of a model, or one that is learned; both are then the data of train:\n"
              "  causal_lm tokenize --data wikitext-2 --tokenizer gpt2 --output_dir tokens\n"
              "  causal_lm train --data tokens --output_dir out");
  program.add("quantize", "Write a model with int8 weights, for all commands except train and quantize",
              examples::quantize_model,
              "The file takes about a quarter of the memory. --evaluate_on shows the loss of quality on your text:\n"
              "  causal_lm quantize --model out --output_dir out-int8 --evaluate_on test.txt.gz\n"
              "  causal_lm evaluate --model out-int8 --text test.txt.gz");
  return program.run(argc, argv);
}
