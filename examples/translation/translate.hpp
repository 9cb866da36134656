// translation translate: reads lines and writes translations, in the order of the lines and as soon as possible.
#pragma once

#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "common/backend_text.hpp"
#include "common/line_source.hpp"
#include "common/output_file.hpp"
#include "common/progress.hpp"
#include "neural_attention/report/attention_svg.hpp"
#include "translation/decoding.hpp"
#include "translation/options.hpp"
#include "translation/output_lines.hpp"
#include "translation/shared_translation.hpp"

namespace examples {

/// Draws the attention of one translation, and keeps its faults until all lines are translated.
class AttentionPicture {
 public:
  AttentionPicture(const TranslateOptions& options, int layers)
      : path_(options.attention), line_(options.attention_line), layer_(options.attention_layer) {
    if (path_.empty()) return;
    if (layer_ < -layers || layer_ >= layers)
      throw na::ConfigError("--attention_layer " + std::to_string(layer_) + ": the decoder has layers 0 to " +
                            std::to_string(layers - 1));
    if (layer_ < 0) layer_ += layers;
  }

  /// Draws if line `number` is the requested one.
  template <class Translator>
  void offer(const Translator& translator, const na::text::Translation& translation, long number) {
    last_ = number;
    const bool has_text = translation.source_ids.size() > 1;
    if (path_.empty() || offered_ || (line_ == 0 ? !has_text : number != line_)) return;
    offered_ = true;
    try {
      if (!has_text) throw na::ConfigError("--attention_line " + std::to_string(line_) + ": that line is empty");
      draw(translator, translation);
    } catch (const na::Error&) {
      fault_ = std::current_exception();
    }
  }

  /// Throws the fault of the picture, or ConfigError if the line did not come.
  void finish() const {
    if (fault_) std::rethrow_exception(fault_);
    if (path_.empty() || offered_) return;
    throw na::ConfigError(line_ == 0 ? "--attention: no line has text, so nothing was drawn"
                                     : "--attention_line " + std::to_string(line_) + ": the input has only " +
                                           std::to_string(last_) + " lines");
  }

 private:
  template <class Translator>
  void draw(const Translator& translator, const na::text::Translation& translation) const {
    std::vector<na::report::AttentionPanel> heads;
    for (auto& map : translator.cross_attention(translation))
      if (map.layer == layer_) heads.push_back({"head " + std::to_string(map.head), std::move(map.probabilities)});
    na::report::AttentionMapOptions options;
    options.title = "Cross-attention of decoder layer " + std::to_string(layer_);
    write_output(path_, na::report::attention_map(options, translator.pieces(translation.source_ids),
                                                  translator.pieces(translation.candidates.front().produced()), heads));
  }

  std::string path_;
  long line_;
  int layer_;
  long last_ = 0;
  bool offered_ = false;      ///< the line came
  std::exception_ptr fault_;  ///< why there is no picture of it
};

/// The part of a rank besides the first: it translates lines that rank 0 has read, until there are no more.
template <class Group, class Translator>
int follow_translation(Group& group, const Translator& translator, const na::GenerationConfig& how) {
  std::size_t before = 0;
  while (const auto lines = next_lines(group)) {
    translate_in(group, translator, *lines, how, before);
    before += lines->size();
  }
  return 0;
}

template <class B, class Group>
int translate_in_group(Group& group, const TranslateOptions& options) {
  const NamedFile output{"--output", options.output};
  if (group.rank() == 0)
    for (const auto& path : {options.output, options.attention}) require_output(path);
  auto read = files_read(options.decoding);
  if (!options.input.empty())
    read.push_back({"--input", options.input});
  else if (group.rank() == 0)
    read.push_back({"standard input", "/dev/stdin"});
  require_another_file(output, read);
  read.push_back(output);
  require_another_file({"--attention", options.attention}, read);
  // Rank 0 alone reads.
  auto source =
      options.input.empty() || group.rank() != 0 ? LineSource::standard_input() : LineSource::file(options.input);
  B backend = na::worker_backend<B>(1);
  const LoadedTranslator<B> loaded(backend, options.decoding);
  const auto how = generation_config(options.decoding, loaded);
  require_same_search(group, backend, options.decoding, how);
  const TranslatorOn<B> translator(loaded.model, loaded.tokenizer, how, translator_options(group, options.decoding));
  if (group.rank() != 0) return follow_translation(group, translator, how);
  AttentionPicture picture(options, loaded.model.config().decoder_layers);
  tell_engine(backend, loaded.model, rank_threads(group, options.decoding.compute),
              options.decoding.compute.precision());
  LineSink sink(options.output);
  std::optional<Progress> progress;
  const bool shown = options.output.empty() && is_terminal(stdout);
  if (!options.input.empty() && !shown)
    progress.emplace(static_cast<std::int64_t>(source.total()), "translating");
  else if (options.input.empty() && is_terminal(stdin))
    std::fprintf(stderr, "Type a sentence a line; Ctrl-D ends.\n");
  const auto tell = [&](const std::string& message) {
    const auto text = "translation: " + message;
    progress ? progress->message(text) : examples::tell(text);
  };

  std::vector<std::string> lines;
  std::size_t tokens = 0;
  long first = 1;
  const auto flush = [&] {
    send_lines(group, &lines);
    const auto results = translate_in(
        group, translator, lines, how, static_cast<std::size_t>(first - 1),
        [&](const na::text::TranslationProgress& done) {
          if (progress)
            progress->update(first - 1 + static_cast<long>(done.lines),
                             {{"tok/s", compact(double(tokens + done.tokens) / progress->elapsed_seconds())}});
        });
    for (const auto& result : results) {
      if (result.truncated)
        tell(source.name() + ": line " + std::to_string(first) + " has " + with_commas(result.source_tokens) +
             " tokens; the model reads " + with_commas(static_cast<long>(result.source_ids.size())) +
             ", so its end was left out");
      sink.write(output_lines(result, how, first));
      tokens += result.candidates.front().ids.size();
      ++first;
    }
    sink.flush();
    for (std::size_t i = 0; i < results.size(); ++i)
      picture.offer(translator, results[i], first - static_cast<long>(results.size() - i));
    lines.clear();
  };

  // Answers the first line at once, and every line after which no more input waits. Takes more and more lines of a long
  // text together, which is faster because sentences of one length share a batch.
  const auto most = static_cast<std::size_t>(options.decoding.batch_size) * 16 * static_cast<std::size_t>(group.size());
  std::size_t together = progress ? most : 1;
  const auto next = [&](LineSource::Line& line) {  // the other ranks do not wait for ever
    return source.next(line, options.decoding.compute.rank_timeout,
                       [&] { na::of_first(group, NextLines::MayTakeLong); });
  };
  for (LineSource::Line line; next(line);) {
    if (!line.problem.empty()) {
      if (options.on_error == "stop") {
        flush();
        throw na::Error(line.problem + " (--on_error skip leaves such lines empty and continues)");
      }
      tell(line.problem + "; left empty");
    }
    lines.push_back(std::move(line.text));
    if (lines.size() < together && source.ready()) continue;
    flush();
    together = std::min(2 * together, most);
  }
  flush();
  send_lines(group, nullptr);
  sink.close();
  if (progress) progress->finish();
  picture.finish();
  return 0;
}

template <class B>
int translate(const TranslateOptions& options) {
  return in_group<B>(options.decoding.compute, [&](auto& group) { return translate_in_group<B>(group, options); });
}

}  // namespace examples
