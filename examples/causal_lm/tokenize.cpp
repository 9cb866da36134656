// causal_lm tokenize: from texts to token files and their tokenizer, which train reads with --data.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "common/launched_ranks.hpp"
#include "common/output_directory.hpp"
#include "common/progress.hpp"
#include "common/standard_streams.hpp"
#include "common/table.hpp"
#include "common/tokenizer_files.hpp"

namespace examples {

namespace {

CorpusFiles texts_of(const CorpusOptions& options, const std::vector<std::string>& given, const std::string& name,
                     const char* flag) {
  auto files = corpus_files(options, given, name, flag);
  if (files.are_tokens()) throw na::ConfigError(files.paths().front() + " is a token file already");
  return files;
}

void remove_file(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) throw na::FileError(path.string(), "cannot be replaced: " + error.message());
}

/// Throws ConfigError if `folder` has a tokenizer that no run of this command wrote: there are no token files, and its
/// files are not `mine`, those of a run that was killed before its token files came.
void require_own_tokenizer(const std::filesystem::path& folder, const TokenizerFiles& mine) {
  std::error_code ignored;
  for (const char* const tokens : {"train.bin", "valid.bin"})
    if (std::filesystem::exists(folder / tokens, ignored)) return;
  for (const auto& path : na::io::detail::replaced_files(folder, na::io::detail::NewFiles::ModelAndTokenizer)) {
    const auto name = path.filename().string();
    const auto found = read_files(folder.string(), {name.c_str()}, {});
    if (std::ranges::none_of(mine, [&](const auto& one) { return one.name == name && one.bytes == found[0].bytes; }))
      throw na::ConfigError(folder.string() + " holds a tokenizer without token files, whose " + name +
                            " would be replaced or removed; give the token files a directory of their own");
  }
}

/// A token file that stands in place after commit().
class TokensOf {
 public:
  TokensOf(CorpusFiles& files, const TextTokenizer& tokenizer, const std::filesystem::path& path)
      : path_(path), writer_(path, na::text::token_vocabulary(tokenizer)) {
    std::optional<Progress> progress;
    const std::string* shown = nullptr;
    for_each_piece(
        files, tokenizer, [&](std::span<const int> ids) { writer_.add(ids); },
        [&](const std::string& text, std::uint64_t done, std::uint64_t bytes) {
          if (&text != shown)
            progress.emplace(static_cast<std::int64_t>(bytes),
                             "tokenizing " + std::filesystem::path(text).filename().string());
          shown = &text;
          progress->update(static_cast<std::int64_t>(done),
                           {{"tokens", with_commas(static_cast<std::int64_t>(writer_.size()))}});
        });
  }

  void remove_older() const { remove_file(path_); }
  void commit() {
    writer_.commit();
    print_formatted("%s: %s tokens\n", path_.c_str(), with_commas(static_cast<std::int64_t>(writer_.size())).c_str());
  }

 private:
  std::filesystem::path path_;
  na::text::TokenFileWriter writer_;
};

}  // namespace

int tokenize(const TokenizeOptions& options) {
  require_single_process();
  OutputDirectory output(options.output_dir);
  if (output.holds_model())
    throw na::ConfigError(options.output_dir + " holds a model; give the token files a directory of their own");
  auto training = texts_of(options.corpus, options.corpus.train_files, "train", "--train_file");
  // With texts named one by one, that for validation may be missing.
  std::optional<CorpusFiles> validation;
  if (!options.corpus.data.empty() || !options.corpus.validation_files.empty())
    validation.emplace(texts_of(options.corpus, options.corpus.validation_files, "valid", "--validation_file"));
  const auto tokenizer =
      wanted_tokenizer(options.corpus, options.vocab_size, training, validation ? &*validation : nullptr);
  output.create();
  const WorkFolder work(output.path());
  tokenizer.save(work.path(), na::Gpt2Config().max_position_embeddings);
  const auto tokenizer_files = byte_bpe_files(work.path());
  require_own_tokenizer(output.path(), tokenizer_files);
  TokensOf training_tokens(training, tokenizer, output.path() / "train.bin");
  std::optional<TokensOf> validation_tokens;
  if (validation) validation_tokens.emplace(*validation, tokenizer, output.path() / "valid.bin");
  // All is there before the first file gets its name. The tokens to train on leave first and come last: a kill in
  // between leaves no corpus rather than parts of two.
  training_tokens.remove_older();
  if (!validation) remove_file(output.path() / "valid.bin");
  replace_tokenizer(output.path().string(), tokenizer_files);
  if (validation_tokens) validation_tokens->commit();
  training_tokens.commit();
  print_formatted("vocabulary: %s ids\n", with_commas(tokenizer.vocab_size()).c_str());
  return 0;
}

}  // namespace examples
