// masked_lm fill: the likeliest tokens in the place of <mask>.
#pragma once

#include <cstdio>
#include <string>

#include "common/backend_text.hpp"
#include "common/line_source.hpp"
#include "common/printable.hpp"
#include "common/progress.hpp"
#include "common/standard_streams.hpp"
#include "masked_lm/masked_text.hpp"
#include "masked_lm/options.hpp"
#include "neural_attention/text/services/mask_filler.hpp"

namespace examples {

template <class Filler>
void answer(const Filler& fill, const std::string& text, int count) {
  const auto masks = fill(text, count);
  std::string answer;
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (masks.size() > 1) answer += "<mask> " + std::to_string(i + 1) + "\n";
    for (const auto& candidate : masks[i])
      answer += fixed(candidate.probability, 4) + "  '" + printable(candidate.token) + "'  " +
                printable(candidate.text) + "\n";
  }
  print(answer);
}

template <class B>
int fill(const FillOptions& options) {
  B backend = na::worker_backend<B>(1);
  const LoadedModel<RobertaOn<B>, na::text::ByteBpe> loaded(backend, options.model.path, options.compute.purpose(),
                                                            options.compute.precision());
  na::text::MaskFillerOptions how;
  how.threads = options.compute.threads;
  how.precision = options.compute.precision();
  const na::text::MaskFiller<RobertaOn<B>, na::text::ByteBpe> filler(loaded.model, loaded.tokenizer, how);
  tell_engine(backend, loaded.model, how.threads, how.precision);
  if (options.text) {
    answer(filler, *options.text, options.top_k);
    return 0;
  }
  if (is_terminal(stdin)) std::fprintf(stderr, "Type a text with <mask> a line; Ctrl-D ends.\n");
  auto source = LineSource::standard_input();
  for (LineSource::Line line; source.next(line);) {
    if (!line.problem.empty()) throw na::Error(line.problem);
    try {
      answer(filler, line.text, options.top_k);
    } catch (const na::ConfigError& error) {
      throw na::LineError(source.name(), source.number(), error.what());
    }
  }
  return 0;
}

}  // namespace examples
