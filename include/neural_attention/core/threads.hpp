// A small fixed team of threads that share the tiles of one operation at a time. Tiles are cut by shape and never by
// the number of threads, so a result does not depend on it. The caller works too, and waits for tiles, not for threads:
// if other processes occupy a worker's CPU, the caller does its part. Idle workers spin briefly, then sleep.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"

namespace neural_attention {

class ThreadPool {
 public:
  /// A team of `threads` ≥ 1, the calling thread included; 0 means available_threads(). Throws ConfigError if `threads`
  /// is negative or more than the system can start.
  explicit ThreadPool(int threads = 0) : ThreadPool(Count{checked(threads)}) {
    // The object is complete at this point: if a thread fails to start, the destructor ends the others.
    try {
      for (int worker = 1; worker < count_; ++worker) workers_.emplace_back([this, worker] { work(worker); });
    } catch (const std::system_error& error) {
      throw ConfigError("a team of " + std::to_string(count_) + " threads cannot be started: " + error.what());
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int threads() const { return count_; }

  /// Calls body(tile, worker) once for each tile in 0 … tiles-1, in any order, and returns when all calls have
  /// returned. `worker` < threads() names the thread, for its workspace. Rethrows the first exception. Calls do not
  /// nest.
  template <class Body>
  void run(int tiles, Body&& body) {
    if (count_ == 1 || tiles <= 1) {
      for (int tile = 0; tile < tiles; ++tile) body(tile, 0);
      return;
    }
    using Callable = std::remove_reference_t<Body>;
    context_ = const_cast<void*>(static_cast<const void*>(std::addressof(body)));
    call_ = [](void* context, int tile, int worker) { (*static_cast<Callable*>(context))(tile, worker); };
    tiles_ = tiles;
    done_.store(0, std::memory_order_relaxed);
    const auto before = claims_.load(std::memory_order_relaxed);
    claims_.store(((before >> 32) + 1) << 32 | static_cast<std::uint32_t>(tiles), std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      { const std::lock_guard lock(mutex_); }
      wake_.notify_all();
    }
    drain(0);
    const auto all_done = [&] { return done_.load(std::memory_order_acquire) == tiles; };
    if (!soon(all_done))
      while (!all_done()) std::this_thread::yield();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  /// Longer than the pause between two operations of a step, and too short to disturb other processes.
  static constexpr std::chrono::microseconds patience{50};
  static constexpr std::uint64_t tiles_left = 0xFFFFFFFF;

  struct Count {
    int value;
  };
  explicit ThreadPool(Count count) : count_(count.value) {}

  static int checked(int threads) {
    if (threads < 0)
      throw ConfigError("the number of threads must not be negative, but is " + std::to_string(threads) +
                        "; 0 means as many as the process may use");
    return threads > 0 ? threads : available_threads();
  }

  /// Waits without sleeping. Returns whether `ready` became true within `patience`.
  template <class Ready>
  static bool soon(Ready&& ready) {
    constexpr int looks = 32;  // at `ready` before each look at the clock
    const auto end = std::chrono::steady_clock::now() + patience;
    do {
      for (int look = 0; look < looks; ++look) {
        if (ready()) return true;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      }
    } while (std::chrono::steady_clock::now() < end);
    return ready();
  }

  /// Runs tiles until none is left. A thread may read the operation only after it has claimed one of its tiles: the
  /// operation does not change until that tile is done.
  void drain(int worker) {
    for (auto claims = claims_.load(std::memory_order_acquire); (claims & tiles_left) != 0;) {
      if (!claims_.compare_exchange_weak(claims, claims - 1, std::memory_order_acq_rel)) continue;
      int done = 1;
      try {
        call_(context_, tiles_ - static_cast<int>(claims & tiles_left), worker);
      } catch (...) {
        {
          const std::lock_guard lock(mutex_);
          if (!error_) error_ = std::current_exception();
        }
        // Skips the rest: all of it counts as done.
        claims = claims_.load(std::memory_order_relaxed);
        while (!claims_.compare_exchange_weak(claims, claims & ~tiles_left, std::memory_order_acq_rel)) {
        }
        done += static_cast<int>(claims & tiles_left);
      }
      claims = claims_.load(std::memory_order_acquire);
      done_.fetch_add(done, std::memory_order_release);
    }
  }

  void work(int worker) {
    std::uint64_t seen = 0;
    const auto is_new = [&] { return claims_.load(std::memory_order_seq_cst) >> 32 != seen || stopping_; };
    while (true) {
      if (!soon(is_new)) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, is_new);
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
      }
      if (stopping_) return;
      seen = claims_.load(std::memory_order_acquire) >> 32;
      drain(worker);
    }
  }

  const int count_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> claims_{0};  ///< the number of the operation << 32 | its tiles that no one has claimed
  std::atomic<int> sleepers_{0};
  std::atomic<int> done_{0};  ///< tiles of the operation
  std::atomic<bool> stopping_{false};
  int tiles_ = 0;
  void* context_ = nullptr;
  void (*call_)(void*, int, int) = nullptr;
  std::exception_ptr error_;
};

}  // namespace neural_attention
