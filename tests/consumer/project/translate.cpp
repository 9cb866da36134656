// What an application does with io and text: a tokenizer and a model are written into a directory, read back, and
// translate. The model is random; what counts is that the one read back says what the first one said.
#include <cstdio>
#include <filesystem>
#include <neural_attention/io/marian_config_json.hpp>
#include <neural_attention/io/model_directory.hpp>
#include <neural_attention/metrics/chrf.hpp>
#include <neural_attention/neural_attention.hpp>
#include <neural_attention/text/data/load_corpus.hpp>
#include <neural_attention/text/services/translator.hpp>
#include <neural_attention/text/tokenizers/marian_tokenizer.hpp>
#include <string>
#include <vector>

namespace na = neural_attention;

bool translates();

bool translates() {
  using Model = na::Marian<na::Cpu<float>, na::paper::marian>;
  const std::string directory = "consumer-model";
  std::filesystem::remove_all(directory);
  const std::vector<std::string> german = {"Ein Hund läuft im Schnee.", "Zwei Kinder spielen.", "Eine Frau liest."};
  const std::vector<std::string> english = {"A dog runs in the snow.", "Two children play.", "A woman reads."};
  const auto tokenizer = na::text::MarianTokenizer::train(german, english, 60, directory);
  auto config = na::marian_small(tokenizer.vocab_size());
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_layers = config.decoder_layers = 1;
  config.pad_token_id = tokenizer.pad_id();
  config.eos_token_id = tokenizer.eos_id();

  na::Cpu<float> cpu;
  const auto translate = [&](const Model& model) {
    const na::text::Translator translator(model, tokenizer, {.num_beams = 2, .max_length = 8});
    std::vector<std::string> lines;
    for (const auto& translation : translator.translate(german)) lines.push_back(translation.text());
    return lines;
  };
  const Model model(cpu, config);
  na::io::save_model(directory, cpu, model);
  Model again(cpu, na::io::load_marian_config(directory + "/config.json"), 7);
  na::io::load_model(directory, cpu, again);
  const auto first = translate(model), second = translate(again);
  const auto chrf = na::metrics::corpus_chrf(second, first);
  std::printf("%s\n", chrf.format().c_str());
  return first == second;
}
