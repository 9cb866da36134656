// A small fixed team of threads that share the tiles of one operation at a time. Tiles are cut by shape and never by
// the number of threads, so a result does not depend on it. The caller works too, and waits for tiles, not for threads:
// if other processes occupy a worker's CPU, the caller does its part. Idle workers spin briefly, then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/language.hpp"

namespace neural_attention {

class ThreadPool {
 public:
  /// A team of `threads` ≥ 1, the calling thread included; 0 means available_threads(). Throws ConfigError if `threads`
  /// is negative or more than the system can start.
  explicit ThreadPool(int threads = 0);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

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
    wait_until_done();
  }

 private:
  static constexpr std::uint64_t tiles_left = 0xFFFFFFFF;

  struct Count {
    int value;
  };
  explicit ThreadPool(Count count) : count_(count.value) {}

  /// Runs tiles until none is left. A thread may read the operation only after it has claimed one of its tiles: the
  /// operation does not change until that tile is done.
  void drain(int worker);

  /// Returns when all tiles are done. Rethrows the first exception.
  void wait_until_done();

  /// The loop of a worker.
  void work(int worker);

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

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/core/impl/threads.hpp"
#endif
