// Ranks that are threads of one process: a group without MPI, whose exchanges go on in threads of their own.
#pragma once

#include <algorithm>
#include <array>
#include <barrier>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "neural_attention/core/background_jobs.hpp"
#include "neural_attention/train/group.hpp"

/// What the ranks share.
struct ThreadRanks {
  explicit ThreadRanks(int count) : places(static_cast<std::size_t>(count)), turn(count), exchange_turn(count) {}

  std::vector<const void*> places;  ///< of what each rank offers
  std::vector<const void*> exchanged = std::vector<const void*>(places.size());
  std::barrier<> turn, exchange_turn;
};

template <class T>
class ThreadGroup {
 public:
  using Numbers = neural_attention::RowsOf<T>;

  ThreadGroup(ThreadRanks& ranks, int rank)
      : ranks_(&ranks), rank_(rank), jobs_([this](const Job& job) { exchange(job.exchange, job.numbers); }) {}

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(ranks_->places.size()); }
  std::string name(int rank) const { return "rank " + std::to_string(rank); }
  static int least_exchange() { return 0; }

  void gather(std::span<const std::byte> mine, std::span<std::byte> all) {
    offer(mine.data(), [&] {
      for (std::size_t r = 0; r < ranks_->places.size(); ++r)
        std::memcpy(all.data() + r * mine.size(), ranks_->places[r], mine.size());
    });
  }
  void broadcast(std::span<std::byte> bytes) {
    offer(bytes.data(), [&] {
      if (rank_ > 0) std::memcpy(bytes.data(), ranks_->places[0], bytes.size());
    });
  }
  void broadcast(auto&, Numbers x) {
    broadcast(std::as_writable_bytes(std::span(x.data, static_cast<std::size_t>(x.size()))));
  }
  void begin(auto&, neural_attention::Exchange exchange, Numbers x) { jobs_.give({exchange, x}); }
  void finish() { jobs_.wait(); }
  void abandon() { jobs_.stop(); }

  void sum_outcomes(auto&, neural_attention::StepOutcome* outcome, bool has, double squared_norm) {
    using Sums = std::array<double, 3>;
    const Sums mine = {has ? outcome->smoothed_loss : 0.0, has ? outcome->negative_log_likelihood : 0.0, squared_norm};
    std::vector<Sums> all(ranks_->places.size());
    gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
    Sums sums{};
    first_not_finite_ = -1;
    for (std::size_t r = 0; r < all.size(); ++r) {
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += all[r][i];
      if (first_not_finite_ < 0 && !std::isfinite(all[r][0])) first_not_finite_ = static_cast<int>(r);
    }
    outcome->smoothed_loss = sums[0];
    outcome->negative_log_likelihood = sums[1];
    outcome->squared_norm = sums[2];
  }
  int first_not_finite() const { return first_not_finite_; }

 private:
  struct Job {
    neural_attention::Exchange exchange;
    Numbers numbers;
  };

  void offer(const void* place, auto&& take) {
    ranks_->places[static_cast<std::size_t>(rank_)] = place;
    ranks_->turn.arrive_and_wait();
    take();
    ranks_->turn.arrive_and_wait();
  }

  void exchange(neural_attention::Exchange exchange, Numbers x) {
    using neural_attention::Exchange;
    auto& turn = ranks_->exchange_turn;
    const auto share = [&](int rank) { return neural_attention::share_of(x.cols, rank, size()); };
    const auto of = [&](int rank) { return static_cast<const T*>(ranks_->exchanged[static_cast<std::size_t>(rank)]); };
    ranks_->exchanged[static_cast<std::size_t>(rank_)] = x.data;
    turn.arrive_and_wait();
    if (exchange != Exchange::GatherShares) {
      const auto mine = share(rank_);
      std::vector<T> sums(static_cast<std::size_t>(mine.count));
      for (int i = 0; i < mine.count; ++i) {
        T sum = of(0)[mine.first + i];
        for (int r = 1; r < size(); ++r) sum += of(r)[mine.first + i];
        sums[static_cast<std::size_t>(i)] = sum;
      }
      turn.arrive_and_wait();
      std::copy(sums.begin(), sums.end(), x.data + mine.first);
      turn.arrive_and_wait();
    }
    if (exchange != Exchange::SumShares)
      for (int r = 0; r < size(); ++r)
        if (r != rank_) std::copy_n(of(r) + share(r).first, share(r).count, x.data + share(r).first);
    turn.arrive_and_wait();
  }

  ThreadRanks* ranks_;
  int rank_;
  int first_not_finite_ = -1;
  neural_attention::BackgroundJobs<Job> jobs_;
};

/// Runs run(group) as each of `count` ranks, and returns their results in the order of the ranks. run must not throw.
template <class T>
auto in_thread_ranks(int count, auto&& run) {
  ThreadRanks ranks(count);
  std::vector<std::invoke_result_t<decltype(run), ThreadGroup<T>&>> results(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      ThreadGroup<T> group(ranks, rank);
      results[static_cast<std::size_t>(rank)] = run(group);
    });
  for (auto& thread : threads) thread.join();
  return results;
}
