// translation evaluate: BLEU of a model on a file, and translate: standard input to standard output.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "common/any_model.hpp"
#include "common/progress.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/parallel_corpus.hpp"
#include "neural_attention/text/translate_lines.hpp"
#include "translation/commands.hpp"

namespace examples {
namespace {

na::text::TranslateOptions decoding(const auto& options) {
  if (options.max_length < 2) throw na::ConfigError("--max_length must be at least 2");
  if (options.batch_size < 1) throw na::ConfigError("--batch_size must be at least 1");
  na::text::TranslateOptions decoding;
  decoding.greedy.max_length = options.max_length;
  decoding.batch_size = options.batch_size;
  return decoding;
}

}  // namespace

int evaluate(const EvaluateOptions& options) {
  auto decode_options = decoding(options);
  const auto corpus = na::text::load_parallel(options.source, options.reference);
  Backend backend(options.threads);
  const LoadedModel loaded(backend, options.model);
  na::GreedyDecoder<Model> decoder(backend, loaded.model);
  Progress progress(static_cast<std::int64_t>(corpus.size()), "translating");
  decode_options.on_progress = [&](std::size_t done) { progress.update(static_cast<std::int64_t>(done)); };
  const auto hypotheses = na::text::translate_lines(
      decoder, loaded.tokenizer, loaded.model.config().max_position_embeddings, corpus.source, decode_options);
  progress.finish();
  if (!options.hypotheses.empty()) {
    std::string text;
    for (const auto& line : hypotheses) text += line + "\n";
    na::io::write_file_atomically(options.hypotheses, text);
  }
  const auto bleu = na::metrics::corpus_bleu(hypotheses, corpus.target);
  std::printf("%s\n%s\n", bleu.format().c_str(), bleu.signature().c_str());
  return 0;
}

int translate(const TranslateProgramOptions& options) {
  const auto decode_options = decoding(options);
  Backend backend(options.threads);
  const LoadedModel loaded(backend, options.model);
  na::GreedyDecoder<Model> decoder(backend, loaded.model);
  const bool interactive = is_terminal(stdin);
  if (interactive) std::fprintf(stderr, "Type a sentence a line; Ctrl-D ends.\n");
  const std::size_t at_once = interactive ? 1 : static_cast<std::size_t>(options.batch_size) * 16;
  std::vector<std::string> lines;
  long first_line = 1;
  const auto flush = [&] {
    for (const auto& line : na::text::translate_lines(
             decoder, loaded.tokenizer, loaded.model.config().max_position_embeddings, lines, decode_options))
      std::cout << line << '\n';
    if (!std::cout.flush()) throw na::FileError("standard output", "cannot be written");
    first_line += static_cast<long>(lines.size());
    lines.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    std::size_t offset = 0;
    if (!na::text::valid_utf8(line, offset))
      throw na::LineError("standard input", first_line + static_cast<long>(lines.size()),
                          "is not valid UTF-8 at byte " + std::to_string(offset + 1));
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    if (lines.size() == at_once) flush();
  }
  flush();
  return 0;
}

}  // namespace examples
