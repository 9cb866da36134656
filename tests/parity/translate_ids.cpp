// translate_ids DIR float32|float64 [GENERATION.json] < lines
// Translates lines of text with a model directory, as its files say or as another generation_config.json does. Prints,
// for each, one JSON object with the source's token ids and the n-best list:
// {"source": [..], "results": [{"ids": [..], "score": -0.5}, ..]}. compare_translations.py reads it.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/any_model.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"

namespace {

namespace na = neural_attention;

constexpr int sentences_together = 16;

nlohmann::json described(const std::vector<int>& source, const std::vector<na::Hypothesis>& found) {
  nlohmann::json results = nlohmann::json::array();
  for (const auto& hypothesis : found) results.push_back({{"ids", hypothesis.ids}, {"score", hypothesis.score}});
  return {{"source", source}, {"results", results}};
}

template <class Scalar>
void translate(const std::string& directory, const std::string& generation) {
  using Backend = na::Cpu<Scalar>;
  using Model = na::Marian<Backend, examples::AnyProjections>;
  const auto tokenizer = na::text::MarianTokenizer::load(directory);
  const auto config = na::io::load_marian_config(directory + "/config.json");
  const auto how = generation.empty() ? na::io::load_generation_config(directory, config)
                                      : na::io::generation_config(na::io::read_json(generation), generation);
  Backend backend(2);
  Model model(backend, config, std::nullopt, na::Purpose::Inference);
  na::io::load_model(directory, backend, model);
  na::Generator<Model> generate(backend, model);

  std::vector<std::vector<int>> sources;
  for (std::string line; std::getline(std::cin, line);) {
    auto& ids = sources.emplace_back(tokenizer.source_ids(line));
    na::text::truncate(ids, model.config().max_position_embeddings, tokenizer.eos_id());
  }
  na::TranslationBatch batch(model.config().pad_token_id);
  for (std::size_t begin = 0; begin < sources.size(); begin += sentences_together) {
    const auto end = std::min(sources.size(), begin + sentences_together);
    batch.clear();
    for (auto i = begin; i < end; ++i) batch.push(sources[i], {});
    const auto found = generate(batch, how);
    for (auto i = begin; i < end; ++i) std::cout << described(sources[i], found[i - begin]).dump() << '\n';
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 3 && count != 4)
      throw na::ConfigError("usage: translate_ids DIR float32|float64 [GENERATION.json] < lines");
    const std::string directory = arguments[1], scalar = arguments[2];
    const std::string generation = count == 4 ? arguments[3] : "";
    if (scalar != "float32" && scalar != "float64") throw na::ConfigError("there is no number format " + scalar);
    scalar == "float64" ? translate<double>(directory, generation) : translate<float>(directory, generation);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
