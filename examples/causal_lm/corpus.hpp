// From flags and files to tokens and their tokenizer.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "causal_lm/options.hpp"
#include "causal_lm/text_tokenizer.hpp"
#include "common/line_source.hpp"
#include "common/text_files.hpp"
#include "common/tokenizer_files.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/causal_windows.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/token_file.hpp"

namespace examples {

/// The tokens of a token file or of a text.
class Tokens {
 public:
  using Kind = std::variant<na::text::TokenFile, na::text::TokenArray>;
  explicit Tokens(Kind kind) : kind_(std::move(kind)) {}

  std::size_t size() const {
    return std::visit([](const auto& one) { return one.size(); }, kind_);
  }
  void read(std::size_t first, std::span<int> ids) const {
    std::visit([&](const auto& one) { one.read(first, ids); }, kind_);
  }
  std::string fingerprint() const {
    return std::visit([](const auto& one) { return one.fingerprint(); }, kind_);
  }

 private:
  Kind kind_;
};

/// The files of one side of a corpus: texts, or one token file.
class CorpusFiles {
 public:
  /// Throws ConfigError for several files of which one is a token file.
  explicit CorpusFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (const auto& path : paths_)
      if (is_token_file(path) && paths_.size() > 1)
        throw na::ConfigError(path + " is a token file, which can only stand alone, but there are " +
                              std::to_string(paths_.size()) + " files");
  }

  const std::vector<std::string>& paths() const { return paths_; }
  bool are_tokens() const { return is_token_file(paths_.front()); }

  /// All texts, which stay in memory until they are taken. Throws FileError.
  const std::vector<std::string>& texts() {
    if (texts_.empty())
      for (const auto& path : paths_) texts_.push_back(na::text::read_text_bytes(path));
    return texts_;
  }
  /// Calls use(part) for the parts of a text: all of one that is in memory, which ends there, or blocks of the file.
  void for_each_block(std::size_t i, const na::text::FindBorder& border, auto&& use) {
    if (texts_.empty()) return na::text::read_blocks(paths_[i], border, use);
    const auto text = std::move(texts_[i]);
    use(na::text::TextBlock{.text = text, .read = text.size()});
  }
  /// The lines of a text; one that is in memory ends there.
  LineSource lines(std::size_t i) {
    if (texts_.empty()) return LineSource::file(paths_[i]);
    return LineSource::text(paths_[i], std::move(texts_[i]));
  }
  /// Bytes of the file of a text, or of the text in memory; 0 if unknown.
  std::uint64_t bytes(std::size_t i) const {
    if (!texts_.empty()) return texts_[i].size();
    std::error_code unknown;
    const auto size = std::filesystem::file_size(paths_[i], unknown);
    return unknown ? 0 : size;
  }

 private:
  std::vector<std::string> paths_, texts_;
};

/// `given` or the files of --data, where a token file goes before a text. Throws ConfigError and FileError.
inline CorpusFiles corpus_files(const CorpusOptions& options, const std::vector<std::string>& given,
                                const std::string& name, const char* flag, const char* without = "") {
  if (!given.empty()) return CorpusFiles(given);
  if (options.data.empty())
    throw na::ConfigError(std::string("no text for ") + flag +
                          ": give --data DIR, or --train_file FILE and --validation_file FILE" + without);
  const auto tokens = std::filesystem::path(options.data) / (name + ".bin");
  std::error_code ignored;
  if (std::filesystem::exists(tokens, ignored)) return CorpusFiles({tokens.string()});
  return CorpusFiles({na::text::find_text_file(options.data, name + ".txt")});
}

/// use(ids) for the ids of each text, piece by piece; between two texts stands the end token, if there is one.
/// on_progress(path, done, bytes) hears how much of a text's file is done. Throws FileError for a text that `tokenizer`
/// cannot encode.
inline void for_each_piece(CorpusFiles& files, const TextTokenizer& tokenizer, auto&& use, auto&& on_progress) {
  const auto border = [&](std::string_view text, std::size_t searched) {
    return tokenizer.last_border(text, searched);
  };
  for (std::size_t i = 0; i < files.paths().size(); ++i) {
    if (const int end = tokenizer.end_id(); i > 0 && end >= 0) use(std::span(&end, 1));
    const auto& path = files.paths()[i];
    const auto bytes = files.bytes(i);
    files.for_each_block(i, border, [&](const na::text::TextBlock& block) {
      const na::HostWork work("tokenizing");
      const auto fail = [&](const na::Error& error) {
        const auto before = std::to_string(block.before);
        throw na::FileError(path, (block.before > 0 ? "after its first " + before + " bytes, " : "") + error.what());
      };
      const auto read = static_cast<double>(block.read - block.read_before);
      try {
        tokenizer.encode(block.text, [&](std::span<const int> ids, std::size_t done) {
          use(ids);
          const double share = block.text.empty() ? 1.0 : double(done) / double(block.text.size());
          on_progress(path, block.read_before + static_cast<std::uint64_t>(std::llround(read * share)), bytes);
        });
      } catch (const na::TextError& error) {
        fail(error);
      } catch (const na::ConfigError& error) {  // a text without a place to cut it may be too long
        fail(error);
      }
    });
  }
}

inline Tokens tokens_of(CorpusFiles& files, const TextTokenizer& tokenizer) {
  if (files.are_tokens())
    return Tokens(na::text::TokenFile(files.paths().front(), na::text::token_vocabulary(tokenizer)));
  std::vector<int> all;
  for_each_piece(
      files, tokenizer, [&](std::span<const int> ids) { all.insert(all.end(), ids.begin(), ids.end()); },
      [](const std::string&, std::uint64_t, std::uint64_t) {});
  return Tokens(na::text::TokenArray(std::move(all)));
}

/// Each line of the texts that is not empty, between the special tokens that the vocabulary has. Throws FileError for a
/// token file, and LineError for a line that cannot be encoded.
inline na::text::TokenSequences line_tokens(CorpusFiles& files, const TextTokenizer& tokenizer) {
  if (files.are_tokens())
    throw na::FileError(files.paths().front(),
                        "is a token file, which does not show where lines end: --windows lines needs text");
  const na::HostWork work("tokenizing");
  na::text::TokenSequences texts;
  std::vector<int> ids;
  for (std::size_t i = 0; i < files.paths().size(); ++i) {
    auto lines = files.lines(i);
    for (LineSource::Line line; lines.next(line);) {
      if (!line.problem.empty()) throw na::Error(line.problem);
      if (na::strip_left(line.text).empty()) continue;
      ids.clear();
      if (tokenizer.begin_id() >= 0) ids.push_back(tokenizer.begin_id());
      try {
        const auto text = tokenizer.encode(line.text);
        ids.insert(ids.end(), text.begin(), text.end());
      } catch (const na::TextError& error) {
        throw na::LineError(lines.name(), lines.number(), error.what());
      }
      if (tokenizer.end_id() >= 0) ids.push_back(tokenizer.end_id());
      texts.add(ids);
    }
  }
  return texts;
}

/// The windows of `tokens`, which must outlive them. Throws FileError if the text is too short.
inline na::text::CausalWindows<Tokens> windows_of(const Tokens& tokens, const CorpusFiles& files,
                                                  const na::text::WindowOptions& options) {
  try {
    return {tokens, options};
  } catch (const na::TextError& error) {
    throw na::FileError(files.paths().front(), error.what());
  }
}

/// The tokenizer of --tokenizer. `validation` may be null. Throws ConfigError if it is to be learned from token files.
inline TextTokenizer wanted_tokenizer(const CorpusOptions& options, std::optional<int> vocab_size,
                                      CorpusFiles& training, CorpusFiles* validation) {
  const auto& first = training.paths().front();
  auto wanted = options.tokenizer;
  if (wanted.empty() && training.are_tokens()) {
    wanted = std::filesystem::path(first).parent_path().string();
    if (wanted.empty()) wanted = ".";
    if (!TextTokenizer::is_in(wanted))
      throw na::ConfigError(first +
                            " is a token file without a tokenizer beside it: give --tokenizer DIR, the one "
                            "that made it");
  }
  const bool characters = wanted == "characters", bpe = wanted == "bpe" || wanted.empty();
  if (vocab_size && !bpe)
    throw na::ConfigError("--vocab_size is for a BPE that is learned, not for --tokenizer " + wanted);
  if (!characters && !bpe) return TextTokenizer::load(wanted);
  for (const auto* const files :
       {static_cast<const CorpusFiles*>(&training), static_cast<const CorpusFiles*>(validation)})
    if (files && files->are_tokens())
      throw na::ConfigError("--tokenizer " + std::string(characters ? "characters" : "bpe") +
                            " learns from text, but " + files->paths().front() +
                            " is a token file: give the directory of the tokenizer that made "
                            "it");
  if (characters) {
    std::string all;
    for (const auto& text : training.texts()) all += text;
    if (validation)
      for (const auto& text : validation->texts()) all += text;
    try {
      return TextTokenizer(na::text::CharacterVocabulary::of_text(all));
    } catch (const na::TextError& error) {
      throw na::FileError(first, error.what());
    }
  }
  na::text::ByteBpeOptions how;
  how.vocab_size = vocab_size.value_or(usual_pieces);
  how.specials = na::text::SpecialTokens::Gpt2;
  std::fprintf(stderr, "learning a byte-level vocabulary of %d pieces\n", how.vocab_size);
  return TextTokenizer(na::text::ByteBpe::train(training.texts(), how));
}

/// Throws ConfigError if --tokenizer, where it is given, wants another one than `of_run`, that of a run's checkpoint.
inline void require_same_tokenizer(const std::string& wanted, const TextTokenizer& of_run,
                                   const std::string& checkpoint) {
  if (wanted.empty()) return;
  const bool learned = wanted == "bpe" || wanted == "characters";
  const bool same = learned ? of_run.is_of_characters() == (wanted == "characters")
                            : na::text::token_vocabulary(TextTokenizer::load(wanted)).fingerprint ==
                                  na::text::token_vocabulary(of_run).fingerprint;
  if (!same)
    throw na::ConfigError(checkpoint + " was made with another tokenizer than --tokenizer " + wanted +
                          ": a run must be resumed with its own settings");
}

}  // namespace examples
