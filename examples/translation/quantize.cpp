#include "common/quantize.hpp"

#include <span>
#include <string>
#include <vector>

#include "common/quantizing_cost.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "translation/decoding.hpp"

namespace examples {

namespace {

/// The cost of predicting the references, of which each model gets the words before as they stand.
template <class Loaded>
QuantizingCost cost_of_pairs(Backend& backend, const Loaded& before, const Loaded& after,
                             const na::text::ParallelCorpus& pairs) {
  const auto& config = before.model.config();
  na::text::BatchOptions batches;
  batches.sentences = 8;
  batches.shuffle = false;
  const na::text::TranslationData data(
      na::text::tokenize(pairs, before.tokenizer, config.max_position_embeddings, config.max_position_embeddings),
      batches, config.pad_token_id);
  na::PassMemory<Backend> memory(backend), other_memory(backend);
  MarianOn<Backend>::Saved saved;
  const auto logits = [&](const MarianOn<Backend>& model, na::PassMemory<Backend>& of, const auto& batch) {
    const auto pass = of.begin_inference();
    const auto hidden = model.decode(pass, batch, model.encode(pass, batch, saved), saved);
    const auto all = pass.scratch.aligned_rows(hidden.rows, config.vocab_size);
    model.logits(pass, hidden, all);
    return all;
  };
  QuantizingCost cost;
  auto batch = data.empty_batch();
  for (std::size_t i = 0; i < data.batches(); ++i) {
    data.fill(i, batch);
    before.model.check(batch);
    const auto wanted = logits(before.model, memory, batch);
    cost.add(wanted, logits(after.model, other_memory, batch), batch.labels);
  }
  return cost;
}

}  // namespace

}  // namespace examples

int examples::quantize_model(const QuantizeOptions& options) {
  require_files(options, 2);
  const auto generation = [&](const auto& config) {
    return na::io::load_generation_config(options.model.path, config);
  };
  return quantize<MarianOn<Backend>, na::text::MarianTokenizer>(
      options, generation, marian_tokenizer_files, [&](Backend& backend, const auto& before, const auto& after) {
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
        cost_of_pairs(backend, before, after, {corpus.source, corpus.references.front()}).print();
        print_formatted("BLEU before = %.2f\nBLEU = %.2f\n", bleu(before), bleu(after));
      });
}
