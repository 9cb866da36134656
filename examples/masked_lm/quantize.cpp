#include "common/quantize.hpp"

#include <cstddef>
#include <optional>

#include "common/quantizing_cost.hpp"
#include "masked_lm/masked_text.hpp"

int examples::quantize_model(const QuantizeOptions& options) {
  require_files(options, 1);
  return quantize<RobertaOn<Backend>, na::text::ByteBpe>(
      options, [](const auto&) { return std::optional<na::GenerationConfig>(); }, byte_bpe_files,
      [&](Backend& backend, const auto& before, const auto& after) {
        const MaskedTextOptions flags;
        const auto cut = text_options(flags, before.model.config().longest_sequence());
        na::text::BatchOptions batches;
        batches.sentences = 8;
        batches.shuffle = false;
        const auto& path = options.evaluate_on.front();
        const auto data =
            masked_data(path, na::text::read_lines(path), before.tokenizer, cut, batches, fixed_masks(flags, 42));
        na::PassMemory<Backend> memory(backend), other_memory(backend);
        RobertaOn<Backend>::Saved saved;
        auto batch = data.empty_batch();
        QuantizingCost cost;
        for (std::size_t i = 0; i < data.batches(); ++i) {
          data.fill(i, batch);
          const auto wanted = before.model.masked_logits(memory.begin_inference(), batch, saved);
          cost.add(wanted, after.model.masked_logits(other_memory.begin_inference(), batch, saved), batch.labels);
        }
        cost.print();
      });
}
