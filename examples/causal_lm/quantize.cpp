#include "common/quantize.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "common/quantizing_cost.hpp"

int examples::quantize_model(const QuantizeOptions& options) {
  require_files(options, 1);
  const auto generation = [&](const auto& config) {
    return na::io::load_generation_config(options.model.path, config);
  };
  return quantize<Gpt2On<Backend>, TextTokenizer>(
      options, generation, byte_bpe_files, [&](Backend& backend, const auto& before, const auto& after) {
        CorpusFiles files(options.evaluate_on);
        const auto tokens = tokens_of(files, before.tokenizer);
        const auto block = static_cast<std::size_t>(before.model.config().max_position_embeddings);
        na::PassMemory<Backend> memory(backend), other_memory(backend);
        Gpt2On<Backend>::Saved saved;
        na::CausalBatch batch;
        const auto logits = [&](const Gpt2On<Backend>& model, na::PassMemory<Backend>& of) {
          const auto pass = of.begin_inference();
          const auto hidden = model.decode(pass, batch, saved);
          const auto all = pass.scratch.aligned_rows(hidden.rows, model.config().vocab_size);
          model.head().logits(pass, model.body().words(), hidden, all);
          return all;
        };
        QuantizingCost cost;
        std::vector<int> ids;
        for (std::size_t first = 0; first + 1 < tokens.size(); first += block) {
          ids.resize(std::min(block + 1, tokens.size() - first));
          tokens.read(first, ids);
          batch.clear();
          batch.push(ids);
          before.model.check(batch);
          const auto wanted = logits(before.model, memory);
          cost.add(wanted, logits(after.model, other_memory), batch.labels);
        }
        if (tokens.size() < 2)
          throw na::FileError(options.evaluate_on.front(), "is too short: there is nothing to predict");
        cost.print();
      });
}
