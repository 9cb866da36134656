// A parallel corpus: line i of the target is the translation of line i of the source.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// Sentences and their translations; both sides have the same length.
struct ParallelCorpus {
  std::vector<std::string> source, target;

  std::size_t size() const { return source.size(); }
};

/// Throws FileError, which names both files and both numbers, unless they are equal. `what` is counted: "lines".
inline void require_same_size(std::size_t source_size, const std::string& source_path, std::size_t target_size,
                              const std::string& target_path, const std::string& what) {
  if (source_size != target_size)
    throw FileError(target_path, "has " + std::to_string(target_size) + " " + what + ", but its other side " +
                                     source_path + " has " + std::to_string(source_size));
}

}  // namespace neural_attention::text
