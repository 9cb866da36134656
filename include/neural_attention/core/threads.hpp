// A small fixed team of threads that share the tiles of one operation at a time. The tiles are cut by shape and never
// by the number of threads, so a result does not depend on it. The caller works too; idle workers spin briefly, then
// sleep.
#pragma once

#include <atomic>
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
  /// `threads` ≥ 1 workers in all, the calling thread included; 0 means available_threads(). Throws ConfigError where
  /// there are fewer than none, or more than the system starts.
  explicit ThreadPool(int threads = 0) : ThreadPool(Count{checked(threads)}) {
    // The object is complete by now: should a thread fail to start, the destructor ends the others.
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
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int threads() const { return count_; }

  /// Calls body(tile, worker) once for each tile in 0 … tiles-1, in any order, and returns when all are done. `worker`
  /// < threads() names the thread, for its workspace. The first exception is rethrown here. Calls do not nest.
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
    next_.store(0, std::memory_order_relaxed);
    busy_.store(count_ - 1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      { const std::lock_guard lock(mutex_); }
      wake_.notify_all();
    }
    drain(0);
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin) relax(spin);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static constexpr int spins_before_yield = 2000;
  static constexpr int spins_before_sleep = 20000;

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

  static void relax(int spin) {
    if (spin < spins_before_yield) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      std::this_thread::yield();
    }
  }

  void drain(int worker) {
    try {
      for (int tile; (tile = next_.fetch_add(1, std::memory_order_relaxed)) < tiles_;) call_(context_, tile, worker);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_.store(tiles_, std::memory_order_relaxed);
    }
  }

  void work(int worker) {
    std::uint64_t seen = 0;
    while (true) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen; ++spin) {
        if (spin < spins_before_sleep) {
          relax(spin);
          continue;
        }
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != seen; });
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
        break;
      }
      ++seen;
      if (stopping_) return;
      drain(worker);
      busy_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  const int count_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> next_{0};
  std::atomic<int> busy_{0};
  int tiles_ = 0;
  void* context_ = nullptr;
  void (*call_)(void*, int, int) = nullptr;
  std::exception_ptr error_;
  bool stopping_ = false;
};

}  // namespace neural_attention
