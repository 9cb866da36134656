// What the benchmarks of the device's operations share: the shapes, and how an operation is timed and reported.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "measuring.hpp"
#include "table.hpp"

namespace bench::device {

/// Marian-base's sizes with 16k tokens in a step, RoBERTa-base's with 64 blocks of 512, and what else is measured.
struct Shapes {
  int tokens = 16384, width = 512, inner = 2048, vocabulary = 58101;
  int block_tokens = 32768, block_width = 768, block_inner = 3072;
  int logits = 577;                              ///< rows of logits that exist at a time
  std::vector<int> lengths = {512, 1024, 2048};  ///< of sequences, for attention alone
  int parameters = 116'000'000;
  int beams = 256, cached = 24;  ///< sentences · beams in decoding, and the tokens that each has
};
inline const Shapes tiny{32, 64, 64, 97, 40, 64, 64, 3, {16, 32}, 1000, 4, 3};

inline std::string shape(std::initializer_list<int> sizes) {
  std::string text;
  for (const int size : sizes) text += (text.empty() ? "" : " × ") + std::to_string(size);
  return text;
}

/// Ids that differ, some of them more often than once.
inline std::vector<int> some_ids(int count, int below) {
  std::vector<int> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int>(i * i * 7919 % below));
  return ids;
}

template <class B>
struct Bench {
  Bench(const Effort& effort, const char* numbers)
      : watch(backend, effort), table(numbers, watch.copy_gbs(), watch.product_tflops()) {}

  Turns<typename B::Scalar> turns(Arrays<B>& arrays, int rows, int cols) {
    return {arrays, watch.effort(), rows, cols};
  }
  /// Times work(i), which moves `bytes`.
  template <class Work>
  void moves(const std::string& operation, const std::string& shape, double bytes, Work&& work) {
    table.bytes(operation, shape, watch.seconds(work), bytes);
  }
  /// Times work(i), which makes `flops` operations.
  template <class Work>
  void computes(const std::string& operation, const std::string& shape, double flops, Work&& work) {
    table.flops(operation, shape, watch.seconds(work), flops);
  }

  B backend;
  Stopwatch<B> watch;
  Table table;
};

}  // namespace bench::device
