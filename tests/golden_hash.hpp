// A hash of numbers (FNV-1a over whole numbers) that stands for long lists in golden files: hash_of of
// byte_bpe_goldens.py.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace golden {

struct Hash {
  void add(std::uint64_t number) { state = (state ^ number) * 0x100000001B3u; }
  std::string hex() const {
    std::string result(16, ' ');
    std::snprintf(result.data(), result.size() + 1, "%016llx", static_cast<unsigned long long>(state));
    return result;
  }
  std::uint64_t state = 0xCBF29CE484222325u;
};

}  // namespace golden
