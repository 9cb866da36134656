// BackgroundJobs: a thread that does jobs in the order in which they were given, while the thread that gives them goes
// on with something else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "neural_attention/core/start_thread.hpp"

namespace neural_attention {

/// give() and wait() are called by one thread at a time. `Job` is a small value.
template <class Job>
class BackgroundJobs {
 public:
  /// `work(job)` is called in the thread, which starts with the first job.
  explicit BackgroundJobs(std::function<void(const Job&)> work) : work_(std::move(work)) {}
  BackgroundJobs(const BackgroundJobs&) = delete;
  BackgroundJobs& operator=(const BackgroundJobs&) = delete;
  ~BackgroundJobs() { stop(); }

  /// After stop() and after a job that threw, jobs are dropped. Throws ConfigError if the system cannot start the
  /// thread.
  void give(const Job& job) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ || error_) return;
      if (!thread_.joinable()) thread_ = start_thread([this] { run(); });
      jobs_.push_back(job);
    }
    changed_.notify_all();
  }

  /// Waits until all jobs are done. Throws what one of them threw, once; the jobs after it were dropped.
  void wait() {
    std::unique_lock lock(mutex_);
    waited_for_ = true;
    changed_.wait(lock, [this] { return jobs_.empty(); });
    waited_for_ = false;
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  /// For jobs that poll: whether the other thread waits and leaves the processor free.
  bool waited_for() const { return waited_for_; }
  /// For jobs that take long: whether they should throw.
  bool stopping() const { return stopping_; }

  /// Drops the jobs that have not begun and waits for the one that has. Does not throw.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      drop_next();
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void drop_next() { jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(next_), jobs_.end()); }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || next_ < jobs_.size(); });
      if (next_ == jobs_.size()) return;
      const Job job = jobs_[next_++];
      lock.unlock();
      std::exception_ptr thrown;
      try {
        work_(job);
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      if (thrown) {
        error_ = thrown;
        drop_next();
      }
      if (next_ == jobs_.size()) {
        jobs_.clear();
        next_ = 0;
        changed_.notify_all();
      }
    }
  }

  std::function<void(const Job&)> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Job> jobs_;  ///< those before `next_` are done or being done; all are forgotten when none is left
  std::size_t next_ = 0;
  std::exception_ptr error_;
  std::atomic<bool> stopping_ = false, waited_for_ = false;
  std::thread thread_;
};

}  // namespace neural_attention
