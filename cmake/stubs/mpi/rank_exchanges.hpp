// Exchanges of gradients and parameters between ranks, which go on in a thread of their own.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/background_jobs.hpp"
#include "rank_messages.hpp"

namespace neural_attention::mpi_detail {

/// Messages come from and go to memory of this object alone, so that the caller's may go after a fault.
class RankExchanges {
 public:
  RankExchanges(const MpiGroup& group, RankMessages& messages, double timeout, bool threads_take_turns)
      : group_(&group),
        messages_(&messages),
        timeout_(timeout),
        threads_take_turns_(threads_take_turns),
        jobs_([this](const Job& job) { work(job, InBackground{&jobs_}); }) {}

  /// Throws GroupError after abandon().
  template <class T>
  void begin(Exchange exchange, std::span<T> x) {
    if (jobs_.stopping()) throw GroupError(group_->name(group_->rank()) + ": its group has failed before");
    if (x.size() > std::size_t{std::numeric_limits<int>::max()})
      throw ConfigError("an exchange has at most " + std::to_string(std::numeric_limits<int>::max()) + " numbers");
    const Job job{exchange, std::is_same_v<T, double>, x.data(), x.size()};
    if (threads_take_turns_)
      jobs_.give(job);
    else
      later_.push_back(job);
  }

  void finish() {
    jobs_.wait();
    for (const auto& job : later_) work(job, InForeground());
    later_.clear();
  }

  /// Afterwards, nothing uses the numbers of what was begun.
  void abandon() noexcept {
    jobs_.stop();
    later_.clear();
  }

 private:
  static constexpr std::ptrdiff_t slice_bytes = std::ptrdiff_t{1} << 18;  ///< of one message
  static constexpr const char* name = "an exchange of gradients";
  enum Tag { contribution, total };

  /// An exchange of `count` numbers, floats or doubles.
  struct Job {
    Exchange exchange;
    bool doubles;
    void* numbers;
    std::size_t count;
  };

  struct InBackground {
    const BackgroundJobs<Job>* jobs;

    bool sparing() const { return !jobs->waited_for(); }
    bool stopping() const { return jobs->stopping(); }
  };

  template <class How>
  void work(const Job& job, const How& how) {
    if (job.doubles)
      exchange_all(job.exchange, std::span(static_cast<double*>(job.numbers), job.count), how);
    else
      exchange_all(job.exchange, std::span(static_cast<float*>(job.numbers), job.count), how);
  }

  template <class T, class How>
  void exchange_all(Exchange exchange, std::span<T> x, const How& how) {
    const int slice = static_cast<int>(slice_bytes / std::ptrdiff_t{sizeof(T)});
    if (!memory_.data()) memory_ = CpuMemory(static_cast<std::size_t>(2 * slice_bytes * group_->size()));
    int longest = 0;
    for (int r = 0; r < group_->size(); ++r)
      longest = std::max(longest, share_of(static_cast<int>(x.size()), r, group_->size()).count);
    for (int first = 0; first < longest; first += slice) round(exchange, x, first, slice, how);
  }

  /// One round of an exchange of `x`, of `slice` numbers of each rank's share at most, those from `first` on. Each rank
  /// adds up all ranks' numbers of its slice, or has its slice, and sends it to all.
  template <class T, class How>
  void round(Exchange exchange, std::span<T> x, int first, int slice, const How& how) {
    const int me = group_->rank();
    const auto type = std::is_same_v<T, float> ? MPI_FLOAT : MPI_DOUBLE;
    const auto share = [&](int rank) { return share_of(static_cast<int>(x.size()), rank, group_->size()); };
    const auto slice_of = [&](int rank) {
      const auto all = share(rank);
      return x.subspan(static_cast<std::size_t>(all.first + std::min(first, all.count)),
                       static_cast<std::size_t>(std::clamp(all.count - first, 0, slice)));
    };
    const auto place = [&](int rank) { return static_cast<std::size_t>(rank) * static_cast<std::size_t>(slice); };
    T* const received = static_cast<T*>(memory_.data());
    T* const sent = received + place(group_->size());
    const auto receive = [&](int from, std::size_t count, Tag tag) {
      add(from, [&](MPI_Request* request) {
        return MPI_Irecv(received + place(from), static_cast<int>(count), type, from, tag, messages_->world, request);
      });
    };
    const auto send = [&](int to, const T* numbers, std::size_t count, Tag tag) {
      add(to, [&](MPI_Request* request) {
        return MPI_Isend(numbers, static_cast<int>(count), type, to, tag, messages_->world, request);
      });
    };
    const auto mine = slice_of(me);
    if (exchange != Exchange::GatherShares) {
      with_others([&](int from) { receive(from, mine.size(), contribution); },
                  [&](int to) {
                    const auto theirs = slice_of(to);
                    std::ranges::copy(theirs, sent + place(to));
                    send(to, sent + place(to), theirs.size(), contribution);
                  },
                  how);
      add_in_order(mine, received, slice);
    }
    if (exchange != Exchange::SumShares) {
      std::ranges::copy(mine, sent);
      with_others([&](int from) { receive(from, slice_of(from).size(), total); },
                  [&](int to) { send(to, sent, mine.size(), total); }, how);
      for (int r = 0; r < group_->size(); ++r)
        if (r != me) std::copy_n(received + place(r), slice_of(r).size(), slice_of(r).begin());
    }
  }

  /// Receives from all other ranks, sends to them, and waits for both. Rank r begins behind itself, so that not all
  /// send to one rank at first.
  template <class How>
  void with_others(auto&& receive, auto&& send, const How& how) {
    const int ranks = group_->size(), me = group_->rank();
    requests_.clear();
    peers_.clear();
    for (int i = 1; i < ranks; ++i) receive((me + i) % ranks);
    for (int i = 1; i < ranks; ++i) send((me + i) % ranks);
    const auto done = [&] {
      int all = 0;
      messages_->check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE),
                       name);
      return all != 0;
    };
    if (messages_->wait_until(done, timeout_, how)) return;
    std::size_t open = 0;
    for (int one = 1; open + 1 < requests_.size(); ++open) {
      MPI_Test(&requests_[open], &one, MPI_STATUS_IGNORE);
      if (!one) break;
    }
    messages_->give_up(timeout_, group_->name(peers_[open]), name);
  }

  void add(int peer, auto&& start) {
    requests_.emplace_back(MPI_REQUEST_NULL);
    peers_.push_back(peer);
    messages_->check(start(&requests_.back()), name);
  }

  /// own = Σ over ranks in order; rank r's numbers lie in received + r · slice, this rank's in `own`.
  template <class T>
  void add_in_order(std::span<T> own, const T* received, int slice) const {
    constexpr std::size_t block = 1024;
    std::array<T, block> sum;
    for (std::size_t first = 0; first < own.size(); first += block) {
      const auto length = std::min(block, own.size() - first);
      for (int r = 0; r < group_->size(); ++r) {
        const T* const numbers =
            r == group_->rank() ? own.data() : received + static_cast<std::ptrdiff_t>(r) * std::ptrdiff_t{slice};
        const T* const x = numbers + first;
        if (r == 0)
          std::copy_n(x, length, sum.begin());
        else
          for (std::size_t i = 0; i < length; ++i) sum[i] += x[i];
      }
      std::copy_n(sum.begin(), length, own.data() + first);
    }
  }

  const MpiGroup* group_;
  RankMessages* messages_;
  double timeout_;
  bool threads_take_turns_;
  CpuMemory memory_;  ///< what is received, and behind it what is sent, `slice` numbers for each rank
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;    ///< of the requests
  std::vector<Job> later_;    ///< those of finish(), where threads may not take turns
  BackgroundJobs<Job> jobs_;  ///< the last member: its thread uses the others
};

}  // namespace neural_attention::mpi_detail
