#include "common/quantize.hpp"

#include <span>
#include <string>
#include <vector>

#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "translation/decoding.hpp"

int examples::quantize_model(const QuantizeOptions& options) {
  require_files(options, 2);
  const auto generation = [&](const auto& config) {
    return na::io::load_generation_config(options.model.path, config);
  };
  return quantize<MarianOn<Backend>, na::text::MarianTokenizer>(
      options, generation, marian_tokenizer_files, [&](Backend&, const auto& before, const auto& after) {
        const auto corpus =
            na::text::load_referenced_corpus(options.evaluate_on.front(), std::span(options.evaluate_on).subspan(1));
        const auto bleu = [&](const auto& loaded) {
          auto how = generation(loaded.model.config());
          how.num_return_sequences = 1;
          const TranslatorOn<Backend> translator(loaded.model, loaded.tokenizer, how, {});
          std::vector<std::string> hypotheses;
          for (const auto& translation : translator.translate(corpus.source)) hypotheses.push_back(translation.text());
          return na::metrics::corpus_bleu(hypotheses, corpus.references.front()).score;
        };
        print_formatted("BLEU before = %.2f\nBLEU = %.2f\n", bleu(before), bleu(after));
      });
}
