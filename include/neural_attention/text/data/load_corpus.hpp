// One function for every file format of parallel text; the files' names choose the format.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/text/data/iwslt.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"
#include "neural_attention/text/data/tsv.hpp"

namespace neural_attention::text {

/// Reads two plain or gzip-compressed files. Throws as read_lines does, and FileError, with both files and both counts,
/// if they have different numbers of lines.
inline ParallelCorpus load_parallel(const std::string& source_path, const std::string& target_path) {
  ParallelCorpus corpus{read_lines(source_path), read_lines(target_path)};
  require_same_size(corpus.source.size(), source_path, corpus.target.size(), target_path, "lines");
  return corpus;
}

enum class CorpusFormat { Lines, Tsv, IwsltXml, IwsltTags };

/// By the file's name, with or without .gz: *.tsv, *.xml, train.tags.*, and lines of text otherwise.
inline CorpusFormat corpus_format(const std::string& path) {
  auto name = std::filesystem::path(path).filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".tsv")) return CorpusFormat::Tsv;
  if (name.ends_with(".xml")) return CorpusFormat::IwsltXml;
  if (name.starts_with("train.tags.")) return CorpusFormat::IwsltTags;
  return CorpusFormat::Lines;
}

/// Sentence pairs from two files, or from one file with both sides separated by tabs (then `target_path` is empty and
/// the file may have any name). Throws as the readers do, and ConfigError for two files of different formats or two
/// .tsv.
inline ParallelCorpus load_corpus(const std::string& source_path, const std::string& target_path,
                                  const TsvColumns& columns = {}) {
  const HostWork work("reading text");
  if (target_path.empty()) return load_tsv(source_path, columns);
  const auto format = corpus_format(source_path);
  if (format != corpus_format(target_path))
    throw ConfigError("by their names " + source_path + " and " + target_path + " are of different formats");
  switch (format) {
    case CorpusFormat::Tsv:
      throw ConfigError("a .tsv file holds both sides: give " + source_path + " alone, without " + target_path);
    case CorpusFormat::IwsltXml:
      return load_iwslt_xml(source_path, target_path);
    case CorpusFormat::IwsltTags:
      return load_iwslt_tags(source_path, target_path);
    case CorpusFormat::Lines:
      break;
  }
  return load_parallel(source_path, target_path);
}

/// Sentences with one or more sets of translations; all have the same length.
struct ReferencedCorpus {
  std::vector<std::string> source;
  std::vector<std::vector<std::string>> references;
};

/// Reads a test set with its references. Throws as load_corpus with two files, and ConfigError without a reference.
inline ReferencedCorpus load_referenced_corpus(const std::string& source_path,
                                               std::span<const std::string> reference_paths) {
  if (reference_paths.empty()) throw ConfigError("the test set " + source_path + " needs at least one reference");
  auto first = load_corpus(source_path, reference_paths.front());
  ReferencedCorpus corpus{std::move(first.source), {}};
  corpus.references.push_back(std::move(first.target));
  for (const auto& path : reference_paths.subspan(1)) {
    if (corpus_format(source_path) == CorpusFormat::Lines && corpus_format(path) == CorpusFormat::Lines) {
      corpus.references.push_back(read_lines(path));  // the source may be a pipe, which can be read once
      require_same_size(corpus.source.size(), source_path, corpus.references.back().size(), path, "lines");
    } else {
      corpus.references.push_back(load_corpus(source_path, path).target);
    }
  }
  return corpus;
}

}  // namespace neural_attention::text
