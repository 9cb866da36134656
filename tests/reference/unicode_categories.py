#!/usr/bin/env python3
"""Writes include/neural_attention/metrics/unicode_categories.hpp: which characters are punctuation, numbers and symbols.

    pip install sacrebleu==2.4.3
    python tests/reference/unicode_categories.py

sacreBLEU's tokenizer `intl` asks the package regex for \\p{P}, \\p{N} and \\p{S}; so does this script.
"""
import pathlib

import regex

HEADER = pathlib.Path(__file__).resolve().parents[2] / "include/neural_attention/metrics/unicode_categories.hpp"
CATEGORIES = {"punctuation": regex.compile(r"\p{P}"), "number": regex.compile(r"\p{N}"), "symbol": regex.compile(r"\p{S}")}

BEGIN = """// Which characters are punctuation, numbers or symbols: Unicode's general categories P, N and S, as the Python package
// regex %s knows them. Written by tests/reference/unicode_categories.py.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "neural_attention/core/language.hpp"

namespace neural_attention::metrics::detail {

struct CharacterRange {
  char32_t first, last;
};

// In ascending order, without overlaps.
// clang-format off
"""
END = """// clang-format on

template <std::size_t n>
constexpr bool is_within(const CharacterRange (&ranges)[n], char32_t character) {
  const auto* const after =
      std::upper_bound(std::begin(ranges), std::end(ranges), character,
                       [](char32_t value, const CharacterRange& range) { return value < range.first; });
  return after != std::begin(ranges) && character <= std::prev(after)->last;
}

}  // namespace neural_attention::metrics::detail
"""


def ranges(pattern):
    result = []
    for code in range(0x110000):
        if pattern.match(chr(code)):
            if result and result[-1][1] == code - 1:
                result[-1][1] = code
            else:
                result.append([code, code])
    return result


def table(name, pattern):
    lines, line = [f"inline constexpr CharacterRange {name}_ranges[] = {{"], "   "
    for first, last in ranges(pattern):
        entry = f" {{{first:#x}, {last:#x}}},"
        if len(line) + len(entry) > 120:
            lines.append(line)
            line = "   "
        line += entry
    return "\n".join(lines + [line, "};"]) + "\n"


def main():
    HEADER.write_text(BEGIN % regex.__version__ + "\n".join(table(*category) for category in CATEGORIES.items()) + END)


if __name__ == "__main__":
    main()
