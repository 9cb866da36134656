// limit: 8 s
// Loads the paper's Marian from a model directory and translates a line.
#include <cstdio>
#include <neural_attention/io/model_directory.hpp>
#include <neural_attention/neural_attention.hpp>
#include <neural_attention/text/services/translator.hpp>
#include <neural_attention/text/tokenizers/marian_tokenizer.hpp>
#include <optional>
#include <string>

namespace na = neural_attention;
using Model = na::Marian<na::Cpu<float>, na::paper::marian>;

int main(int, char** arguments) {
  na::Cpu<float> cpu;
  const std::string directory = arguments[1];
  const auto config = na::io::load_marian_config(directory + "/config.json");
  Model model(cpu, config, std::nullopt, na::Purpose::Inference);
  na::io::load_model(directory, cpu, model);
  const auto tokenizer = na::text::MarianTokenizer::load(directory);
  const na::text::Translator translator(model, tokenizer, na::io::load_generation_config(directory, config));
  std::puts(translator.translate("Ein Hund schläft.").text().c_str());
}
