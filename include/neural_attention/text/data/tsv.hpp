// Tab-separated sentence pairs: one pair per line, in two columns that the caller chooses. Further columns, such as the
// attributions in the files of Tatoeba (English, German, licence), are ignored. There is no quoting: a tab always
// separates.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"

namespace neural_attention::text {

/// The columns of the two sides, counted from 1.
struct TsvColumns {
  int source = 1, target = 2;
};

/// Column `wanted` (from 1) of `line`. Throws LineError if the line has fewer.
inline std::string_view tsv_column(const std::string& path, long line_number, std::string_view line, int wanted) {
  auto rest = line;
  for (int column = 1; column < wanted; ++column) {
    const auto tab = rest.find('\t');
    if (tab == std::string_view::npos)
      throw LineError(path, line_number,
                      "has " + std::to_string(column) + (column == 1 ? " column" : " columns") +
                          " separated by tabs, but column " + std::to_string(wanted) + " is wanted");
    rest.remove_prefix(tab + 1);
  }
  return rest.substr(0, rest.find('\t'));
}

/// Reads a plain or gzip-compressed file. Throws what read_lines throws, LineError for a line that lacks a column, and
/// ConfigError for a column below 1.
inline ParallelCorpus load_tsv(const std::string& path, const TsvColumns& columns = {}) {
  if (columns.source < 1 || columns.target < 1)
    throw ConfigError("columns count from 1, not from " + std::to_string(std::min(columns.source, columns.target)));
  ParallelCorpus corpus;
  long number = 0;
  for (const auto& line : read_lines(path)) {
    ++number;
    corpus.source.emplace_back(tsv_column(path, number, line, columns.source));
    corpus.target.emplace_back(tsv_column(path, number, line, columns.target));
  }
  return corpus;
}

}  // namespace neural_attention::text
