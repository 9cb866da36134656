// How long operations take on a device, and what they are compared with: the device's own copies and a large product of
// matrices, both measured in the same process.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "arrays.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"
#include "rates.hpp"

namespace bench::device {

namespace na = neural_attention;
namespace ops = neural_attention::ops;

/// How much is measured: with `Quick` nearly nothing, to see whether the program works.
struct Effort {
  double seconds = 0.02;                       ///< of a round of calls
  std::size_t turns = std::size_t{256} << 20;  ///< bytes of an array and its copies: several times a device's cache
  int product = 8192;                          ///< rows and columns of the operands of a large product
  std::size_t copied = std::size_t{1} << 30;   ///< bytes of an array that is copied
};
inline constexpr Effort quick{.seconds = 0.0, .turns = 1, .product = 16, .copied = std::size_t{1} << 12};

/// An array and copies of it that take turns, so that no cache holds one when its turn comes again.
template <class T>
class Turns {
 public:
  template <class B>
  Turns(Arrays<B>& arrays, const Effort& effort, int rows, int cols) {
    arrays_.push_back(arrays.template random<T>(rows, cols));
    const auto bytes = static_cast<std::size_t>(arrays_.front().size()) * sizeof(T);
    while (arrays_.size() * bytes < effort.turns) arrays_.push_back(arrays.copy(arrays_.front()));
  }
  na::RowsOf<T> operator[](int i) const { return arrays_[static_cast<std::size_t>(i) % arrays_.size()]; }
  /// Of one of them.
  double bytes() const { return static_cast<double>(arrays_.front().size()) * sizeof(T); }

 private:
  std::vector<na::RowsOf<T>> arrays_;
};

template <class B>
class Stopwatch {
  using Scalar = typename B::Scalar;

 public:
  Stopwatch(B& backend, const Effort& effort)
      : backend_(backend), effort_(effort), memory_(backend.allocate(sizeof(Scalar))) {}

  const Effort& effort() const { return effort_; }

  /// Seconds of one call of work(0), work(1), …: the median of five rounds of calls. The host starts all calls of a
  /// round before it waits, so its own time counts where the device is faster than it.
  template <class Work>
  double seconds(Work&& work) {
    int next = 0, calls = 1;
    const auto round = [&] {
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < calls; ++i) work(next++);
      wait();
      return seconds_since(start);
    };
    round();  // workspaces grow, cuBLASLt chooses
    while (round() < effort_.seconds) calls *= 2;
    double rounds[5];
    for (double& one : rounds) one = round();
    std::sort(std::begin(rounds), std::end(rounds));
    return rounds[2] / calls;
  }

  /// Bytes read plus bytes written by copies on the device, in 10⁹ bytes a second.
  double copy_gbs() {
    Arrays<B> arrays(backend_);
    const int count = static_cast<int>(effort_.copied / sizeof(Scalar));
    const auto from = tiled(arrays, 1, count), to = arrays.uninitialized(1, count);
    return 2.0 * static_cast<double>(effort_.copied) /
           seconds([&](int) { backend_(ops::Copy<B>{.x = from, .y = to}); }) / 1e9;
  }

  /// Of a large product of square matrices, in 10¹² operations a second.
  double product_tflops() {
    const int n = effort_.product;
    Arrays<B> arrays(backend_);
    const auto a = tiled(arrays, n, n), b = tiled(arrays, n, n), c = arrays.uninitialized(n, n);
    const double taken = seconds([&](int) { backend_(ops::Linear<B>{.x = a, .w = b, .y = c}); });
    return 2.0 * n * n * n / taken / 1e12;
  }

  /// Until the device has done what it was given.
  void wait() {
    Scalar one;
    backend_(ops::Download<B>{.x = na::RowsOf<Scalar>(static_cast<Scalar*>(memory_.data()), 1, 1),
                              .values = std::span(&one, 1)});
  }

 private:
  /// A large array of random numbers, the same again and again: the host is slow at drawing them.
  na::RowsOf<Scalar> tiled(Arrays<B>& arrays, int rows, int cols) {
    const auto array = arrays.uninitialized(rows, cols);
    const na::RowsOf<Scalar> all(array.data, 1, rows * cols);
    const int tile = std::min(all.cols, 1 << 20);
    const auto random = arrays.random(1, tile);
    for (int first = 0; first < all.cols; first += tile) {
      const int count = std::min(tile, all.cols - first);
      backend_(ops::Copy<B>{.x = random.columns(0, count), .y = all.columns(first, count)});
    }
    return array;
  }

  B& backend_;
  Effort effort_;
  typename B::Memory memory_;
};

}  // namespace bench::device
