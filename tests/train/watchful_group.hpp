// A group of one rank that finds gradients which change after their exchange has begun.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/train/group.hpp"

template <class T>
class WatchfulGroup {
 public:
  using Numbers = neural_attention::RowsOf<T>;

  static int rank() { return 0; }
  static int size() { return 1; }
  static std::string name(int) { return "the only rank"; }
  static int least_exchange() { return 0; }
  static void broadcast(std::span<std::byte>) {}
  static void gather(std::span<const std::byte> mine, std::span<std::byte> all) {
    std::copy(mine.begin(), mine.end(), all.begin());
  }
  static void broadcast(auto&, Numbers) {}

  void begin(auto&, neural_attention::Exchange, Numbers x) {
    if (begun_.empty()) all_at_first_ = bits(all);
    begun_.push_back({x, bits(x)});
  }
  void finish() {
    if (begun_.empty()) return;
    int numbers = 0;
    for (const auto& [x, at_first] : begun_) {
      late += bits(x) != at_first;
      numbers += x.cols;
    }
    early += bits(all) != all_at_first_;
    whole = whole && numbers == all.cols;
    exchanges = static_cast<int>(begun_.size());
    begun_.clear();
  }
  static void abandon() {}
  static void sum_outcomes(auto&, neural_attention::StepOutcome*, bool, double) {}
  static int first_not_finite() { return -1; }

  Numbers all;        ///< the gradients of the model
  int late = 0;       ///< exchanges in which a number changed after begin
  int early = 0;      ///< steps in which other gradients changed after the first begin
  int exchanges = 0;  ///< of the last step
  bool whole = true;  ///< whether each step exchanged as many numbers as there are

 private:
  static std::vector<std::byte> bits(Numbers x) {
    const auto bytes = std::as_bytes(std::span<const T>(x.data, static_cast<std::size_t>(x.size())));
    return {bytes.begin(), bytes.end()};
  }

  std::vector<std::pair<Numbers, std::vector<std::byte>>> begun_;
  std::vector<std::byte> all_at_first_;
};
