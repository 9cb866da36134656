// Workers that are lent to one thread at a time. They make an object with const functions safe to use from several
// threads at once, although each call needs its own backend and memory.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention {

/// Makes the backend of a worker: with `threads`, if the backend computes with threads, and with `precision`, if that
/// is not part of its type; otherwise the default backend.
template <class B>
B worker_backend([[maybe_unused]] int threads, [[maybe_unused]] Precision precision = Precision::Float32) {
  if constexpr (std::is_constructible_v<B, int, Precision>)
    return B(threads, precision);
  else if constexpr (requires(const B& backend) { backend.threads(); })
    return B(threads);
  else
    return B();
}

/// The number of threads for each of `workers`: `threads` or, if that is 0, an equal share of available_threads().
/// Throws ConfigError if there are no workers or `threads` is negative.
inline int threads_of_each(int workers, int threads) {
  if (workers < 1) throw ConfigError("at least one worker is needed, not " + std::to_string(workers));
  if (threads < 0) throw ConfigError("the number of threads must not be negative, but is " + std::to_string(threads));
  return threads > 0 ? threads : std::max(1, available_threads() / workers);
}

template <class Worker>
class WorkerPool {
 public:
  /// Calls `make()`, which returns a unique_ptr<Worker>, `count` times.
  template <class Make>
  WorkerPool(int count, Make&& make) {
    for (int i = 0; i < count; ++i) free_.push_back(make());
  }

  /// Borrows a worker during its lifetime. The constructor waits until one is free.
  class Lease {
   public:
    explicit Lease(const WorkerPool& owner) : owner_(&owner) {
      std::unique_lock lock(owner.mutex_);
      owner.freed_.wait(lock, [&] { return !owner.free_.empty(); });
      worker_ = std::move(owner.free_.back());
      owner.free_.pop_back();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      {
        const std::lock_guard lock(owner_->mutex_);
        owner_->free_.push_back(std::move(worker_));  // never allocates: there is room for all workers
      }
      owner_->freed_.notify_one();
    }

    Worker* operator->() const { return worker_.get(); }

   private:
    const WorkerPool* owner_;
    std::unique_ptr<Worker> worker_;
  };

  Lease lease() const { return Lease(*this); }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable freed_;
  mutable std::vector<std::unique_ptr<Worker>> free_;
};

}  // namespace neural_attention
