// causal_lm tokenize: from texts to token files and their tokenizer, which train reads with --data.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "causal_lm/corpus.hpp"
#include "common/standard_streams.hpp"
#include "common/table.hpp"

namespace examples {

namespace {

CorpusFiles texts_of(const CorpusOptions& options, const std::vector<std::string>& given, const std::string& name,
                     const char* flag) {
  auto files = corpus_files(options, given, name, flag);
  if (files.are_tokens()) throw na::ConfigError(files.paths().front() + " is a token file already");
  return files;
}

void write_tokens(CorpusFiles& files, const TextTokenizer& tokenizer, const std::filesystem::path& path) {
  na::text::TokenFileWriter writer(path, na::text::token_vocabulary(tokenizer));
  for_each_text(files, tokenizer, [&](const std::vector<int>& ids) { writer.add(ids); });
  const auto tokens = writer.size();
  writer.commit();
  print_formatted("%s: %s tokens\n", path.c_str(), with_commas(static_cast<std::int64_t>(tokens)).c_str());
}

}  // namespace

int tokenize(const TokenizeOptions& options) {
  const std::filesystem::path folder(options.output_dir);
  std::error_code error;
  if (std::filesystem::exists(folder / "config.json", error))
    throw na::ConfigError(options.output_dir + " holds a model; give the token files a directory of their own");
  auto training = texts_of(options.corpus, options.corpus.train_files, "train", "--train_file");
  // With texts named one by one, that for validation may be missing.
  std::optional<CorpusFiles> validation;
  if (!options.corpus.data.empty() || !options.corpus.validation_files.empty())
    validation.emplace(texts_of(options.corpus, options.corpus.validation_files, "valid", "--validation_file"));
  const auto tokenizer =
      wanted_tokenizer(options.corpus, options.vocab_size, training, validation ? &*validation : nullptr);
  std::filesystem::create_directories(folder, error);
  if (error) throw na::FileError(options.output_dir, "cannot be created: " + error.message());
  write_tokens(training, tokenizer, folder / "train.bin");
  if (validation) write_tokens(*validation, tokenizer, folder / "valid.bin");
  tokenizer.save(options.output_dir, na::Gpt2Config().max_position_embeddings);
  print_formatted("vocabulary: %s ids\n", with_commas(tokenizer.vocab_size()).c_str());
  return 0;
}

}  // namespace examples
