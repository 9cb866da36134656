// The attention maps of a decoder: what each head of each layer attends to in the source.
#pragma once

#include <vector>

#include "neural_attention/models/attention_map.hpp"
#include "neural_attention/models/layers.hpp"

namespace neural_attention {

/// The maps of one sentence with its source: runs the layers on x [target tokens, d], the decoder's input, and takes
/// the probabilities of their attention to the encoder's output.
template <class B, class P, class Names>
std::vector<AttentionMap> cross_attention_maps(const Pass<B>& pass,
                                               const LayerStack<B, DecoderLayer<B, P, Names>, Names>& decoder,
                                               Rows<B> x, const DecoderContext<B>& context) {
  const int queries = context.target.total(), keys = context.source.total();
  std::vector<typename B::Scalar> host(static_cast<std::size_t>(queries) * static_cast<std::size_t>(keys));
  std::vector<AttentionMap> maps;
  const auto of_layers = decoder.in_stack(pass, queries, context);
  for (int layer = 0; layer < decoder.size(); ++layer) {
    typename DecoderLayer<B, P, Names>::Saved saved;
    x = decoder[layer].forward(pass, x, saved, of_layers);
    const auto& attention = decoder[layer].template sublayer<cross_sublayer>().branch();
    const ArenaScope scope(pass.scratch);
    const auto all = pass.scratch.rows(attention.heads() * queries, keys);
    attention.probabilities(pass, std::get<cross_sublayer>(saved.of).branch, all);
    for (int head = 0; head < attention.heads(); ++head) {
      pass.backend(ops::Download<B>{.x = all.slice(head * queries, queries), .values = host});
      maps.push_back({layer, head, queries, keys, {host.begin(), host.end()}});
    }
  }
  return maps;
}

}  // namespace neural_attention
