// Hashes of files, by which ranks know that they have the same.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/fnv1a.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/save_model.hpp"

namespace examples {

namespace na = neural_attention;

/// Takes in a file, in words of eight bytes: 0.15 s a gigabyte that the system has in memory. Throws FileError.
inline void mix_file(na::Fnv1a& hash, const std::string& path) {
  const na::io::MappedFile file(path);
  const auto bytes = file.bytes();
  hash.mix(bytes.size());
  constexpr std::size_t block = std::size_t{1} << 24;
  for (std::size_t first = 0; first < bytes.size(); first += block) {
    const auto count = std::min(block, bytes.size() - first);
    for (std::size_t i = first; i < first + count; i += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, std::min(sizeof word, first + count - i));
      hash.mix(word);
    }
    file.release(first, count);
  }
}

/// Of a model directory's config, parameters and tokenizer. Throws FileError.
inline std::string hash_of_model(const std::string& directory) {
  auto paths = na::io::detail::replaced_files(directory, na::io::detail::NewFiles::ModelAndTokenizer);
  std::ranges::sort(paths);
  na::Fnv1a hash;
  mix_file(hash, directory + "/config.json");
  for (const auto& path : paths) mix_file(hash, path.string());
  return hash.digits();
}

/// Of the file of this program; empty where the system does not show it.
inline std::string hash_of_program() {
  na::Fnv1a hash;
  try {
    mix_file(hash, "/proc/self/exe");
  } catch (const na::FileError&) {
    return {};
  }
  return hash.digits();
}

}  // namespace examples
