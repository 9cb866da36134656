// causal_lm generate: continues prompts. A single text appears token by token.
#pragma once

#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "causal_lm/options.hpp"
#include "causal_lm/text_tokenizer.hpp"
#include "common/any_model.hpp"
#include "common/backend_text.hpp"
#include "common/line_source.hpp"
#include "common/printable.hpp"
#include "common/progress.hpp"
#include "common/search.hpp"
#include "common/standard_streams.hpp"
#include "neural_attention/text/services/text_generator.hpp"

namespace examples {

/// Writes texts in the order of their prompts.
template <class Generator>
class TextWriter {
 public:
  /// `separated`: a line of dashes after each text.
  TextWriter(const Generator& generator, const GenerateOptions& options, bool separated)
      : generator_(generator), options_(options), separated_(separated) {}

  /// Continues prompts that are next.
  void write(const std::vector<std::string>& prompts) { write(prompts, std::span(prompts)); }
  /// The same; `read` are the prompts as the generator takes them.
  void write(const std::vector<std::string>& prompts, auto read) {
    const auto& how = generator_.generation();
    if (prompts.size() == 1 && how.num_return_sequences == 1) {
      bool begun = false;
      const auto begin = [&] {  // not before the prompt was found to be one
        if (!begun) show(beginning(prompts.front()));
        begun = true;
      };
      generator_.generate(read, how, done_, [&](const na::text::TextPiece& piece) {
        begin();
        show(piece.text);
        return true;
      });
      begin();
      print(end());
    } else {
      const auto results = generator_.generate(read, how, done_);
      for (std::size_t i = 0; i < results.size(); ++i)
        for (const auto& candidate : results[i].candidates)
          show(std::string(beginning(prompts[i])) + candidate.text + end());
    }
    done_ += prompts.size();
  }

  /// In the place of the texts of a prompt that cannot be continued.
  void leave_empty() {
    for (int i = 0; i < generator_.generation().num_return_sequences; ++i) print(end());
    ++done_;
  }

 private:
  /// A terminal gets no commands from a text; files and pipes get it as it is.
  void show(std::string_view text) const { print(terminal_ ? printable(text, "\n\t") : std::string(text)); }
  std::string_view beginning(const std::string& prompt) const {
    return options_.continuation_only ? std::string_view() : std::string_view(prompt);
  }
  std::string end() const { return separated_ ? "\n---------------\n" : "\n"; }

  const Generator& generator_;
  const GenerateOptions& options_;
  bool separated_, terminal_ = is_terminal(stdout);
  std::size_t done_ = 0;
};

/// The tokens of the last line of a source. If it cannot be continued, the line gets its problem.
template <class Generator>
std::vector<int> read_prompt(const Generator& generator, const LineSource& source, LineSource::Line& line) {
  try {
    if (line.problem.empty()) return generator.prompt_ids(line.text);
  } catch (const na::Error& error) {
    line.problem = na::LineError(source.name(), source.number(), error.what()).what();
  }
  return {};
}

template <class B>
int generate(const GenerateOptions& options) {
  if (!options.prompts.empty() && !options.input.empty())
    throw na::ConfigError("give prompts or --input " + options.input + ", not both");
  auto source = options.input.empty() ? LineSource::standard_input() : LineSource::file(options.input);
  B backend = na::worker_backend<B>(1);
  const LoadedModel<Gpt2On<B>, TextTokenizer> loaded(backend, options.model.path, options.compute.purpose(),
                                                     options.compute.precision());
  const auto of_directory = na::io::load_generation_config(options.model.path, loaded.model.config());
  const auto how = search_config(options.search, of_directory);
  na::io::check_generation(how, of_directory, loaded.model.config().vocab_size);
  na::text::TextGeneratorOptions together;
  together.threads = options.compute.threads;
  together.batch_size = options.batch_size;
  together.precision = options.compute.precision();
  using Generator = na::text::TextGenerator<Gpt2On<B>, TextTokenizer>;
  const Generator generator(loaded.model, loaded.tokenizer, {how, options.stops}, together);
  tell_engine(backend, loaded.model, together.threads, together.precision);
  const bool single = options.prompts.size() == 1 && how.num_return_sequences == 1;
  TextWriter<Generator> writer(generator, options, !single);
  if (!options.prompts.empty()) {
    writer.write(options.prompts);
    return 0;
  }
  if (options.input.empty() && is_terminal(stdin)) std::fprintf(stderr, "Type a prompt a line; Ctrl-D ends.\n");
  std::vector<std::string> lines;
  std::vector<std::vector<int>> ids;
  const auto most = static_cast<std::size_t>(options.batch_size);
  const auto flush = [&] {
    if (!lines.empty()) writer.write(lines, std::span<const std::vector<int>>(ids));
    lines.clear();
    ids.clear();
  };
  for (LineSource::Line line; source.next(line);) {
    auto prompt = read_prompt(generator, source, line);
    if (!line.problem.empty()) {
      flush();  // the prompts before it are answered
      if (options.on_error == "stop")
        throw na::Error(line.problem + " (--on_error skip leaves such prompts without a text and continues)");
      tell("causal_lm: " + line.problem + "; left without a text");
      writer.leave_empty();
      continue;
    }
    lines.push_back(std::move(line.text));
    ids.push_back(std::move(prompt));
    if (lines.size() == most || !source.ready()) flush();
  }
  flush();
  return 0;
}

}  // namespace examples
