// byte_bpe_lines train DIR SIZE TEXT            learns a vocabulary of SIZE pieces from the lines of a text file
// byte_bpe_lines encode DIR|FILE < texts        reads a JSON string a line (so a text may hold line ends) and prints
// for
//   each {"ids": […], "ordinary": […], "text": …}: the ids with and without added tokens, and what the first decode to.
// byte_bpe_lines split < texts                  prints a list of the words that each is cut into
//   DIR is a folder, FILE a tokenizer.json. byte_bpe_compare.py reads it.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"

namespace {

namespace text = neural_attention::text;

void train(const std::string& directory, const std::string& size, const std::string& path) {
  text::ByteBpeOptions options;
  options.vocab_size = std::stoi(size);
  text::ByteBpe::train(text::read_lines(path), options).save(directory);
}

void encode(const std::string& path) {
  const auto bpe = std::filesystem::is_directory(path) ? text::ByteBpe::load(path) : text::ByteBpe::load_json(path);
  for (std::string line; std::getline(std::cin, line);) {
    const auto sentence = nlohmann::json::parse(line).get<std::string>();
    const auto ids = bpe.encode(sentence), ordinary = bpe.encode_ordinary(sentence);
    std::cout << nlohmann::json{{"ids", ids}, {"ordinary", ordinary}, {"text", bpe.decode(ids)}}.dump() << '\n';
  }
}

void split() {
  const text::WordSplitter splitter;
  for (std::string line; std::getline(std::cin, line);) {
    auto words = nlohmann::json::array();
    const auto sentence = nlohmann::json::parse(line).get<std::string>();
    splitter(sentence, [&](std::string_view word) { words.push_back(std::string(word)); });
    std::cout << words.dump() << '\n';
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string action = count > 1 ? arguments[1] : "";
    if (action == "train" && count == 5)
      train(arguments[2], arguments[3], arguments[4]);
    else if (action == "encode" && count == 3)
      encode(arguments[2]);
    else if (action == "split" && count == 2)
      split();
    else
      throw neural_attention::ConfigError(
          "usage: byte_bpe_lines train DIR SIZE TEXT | encode DIR|FILE < texts | split < texts");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
