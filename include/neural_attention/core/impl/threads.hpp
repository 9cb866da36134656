// Definitions of what core/threads.hpp declares.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/threads.hpp"

namespace neural_attention {

namespace threads_detail {

inline int checked(int threads) {
  if (threads < 0)
    throw ConfigError("the number of threads must not be negative, but is " + std::to_string(threads) +
                      "; 0 means as many as the process may use");
  return threads > 0 ? threads : available_threads();
}

/// Longer than the pause between two operations of a step, and too short to disturb other processes.
inline constexpr std::chrono::microseconds patience{50};

/// Waits without sleeping. Returns whether `ready` became true within `patience`.
template <class Ready>
bool soon(Ready&& ready) {
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

}  // namespace threads_detail

NEURAL_ATTENTION_INLINE ThreadPool::ThreadPool(int threads) : ThreadPool(Count{threads_detail::checked(threads)}) {
  // The object is complete at this point: if a thread fails to start, the destructor ends the others.
  try {
    for (int worker = 1; worker < count_; ++worker) workers_.emplace_back([this, worker] { work(worker); });
  } catch (const std::system_error& error) {
    throw ConfigError("a team of " + std::to_string(count_) + " threads cannot be started: " + error.what());
  }
}

NEURAL_ATTENTION_INLINE ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

NEURAL_ATTENTION_INLINE void ThreadPool::drain(int worker) {
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

NEURAL_ATTENTION_INLINE void ThreadPool::wait_until_done() {
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == tiles_; };
  if (!threads_detail::soon(all_done))
    while (!all_done()) std::this_thread::yield();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

NEURAL_ATTENTION_INLINE void ThreadPool::work(int worker) {
  std::uint64_t seen = 0;
  const auto is_new = [&] { return claims_.load(std::memory_order_seq_cst) >> 32 != seen || stopping_; };
  while (true) {
    if (!threads_detail::soon(is_new)) {
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

}  // namespace neural_attention
