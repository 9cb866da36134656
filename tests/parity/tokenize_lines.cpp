// tokenize_lines train DIR SIZE SOURCE TARGET   learns a tokenizer of SIZE pieces from two text files and writes it to
// DIR tokenize_lines encode DIR < texts             reads a JSON string a line (so a text may hold line ends) and
// prints for
//   each {"source": [ids], "target": [ids], "exact": [texts], "clean": [texts]}: the text as a source and as a target,
//   and what the ids of both decode to, without and with English clean-up. tokenizer_parity.py reads it.
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"

namespace {

namespace text = neural_attention::text;

void train(const std::string& directory, const std::string& size, const std::string& source,
           const std::string& target) {
  text::MarianTokenizer::train(text::read_lines(source), text::read_lines(target), std::stoi(size), directory);
}

void encode(const std::string& directory) {
  auto exact = text::MarianTokenizer::load(directory), clean = exact;
  exact.set_clean_up_spaces(false);
  clean.set_clean_up_spaces(true);
  for (std::string line; std::getline(std::cin, line);) {
    const auto sentence = nlohmann::json::parse(line).get<std::string>();
    const auto source = exact.source_ids(sentence), target = exact.target_ids(sentence);
    const nlohmann::json result = {{"source", source},
                                   {"target", target},
                                   {"exact", {exact.decode(source), exact.decode(target)}},
                                   {"clean", {clean.decode(source), clean.decode(target)}}};
    std::cout << result.dump() << '\n';
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string action = count > 1 ? arguments[1] : "";
    if (action == "train" && count == 6)
      train(arguments[2], arguments[3], arguments[4], arguments[5]);
    else if (action == "encode" && count == 3)
      encode(arguments[2]);
    else
      throw neural_attention::ConfigError("usage: tokenize_lines train DIR SIZE SOURCE TARGET | encode DIR < texts");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
