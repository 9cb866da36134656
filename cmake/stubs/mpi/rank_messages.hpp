// Waiting for other ranks, with a limit, and what they say of faults: one rank says a fault, and the others end
// quietly.
#pragma once

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "neural_attention/core/number_text.hpp"
#include "neural_attention/mpi/mpi_group.hpp"

namespace neural_attention::mpi_detail {

/// How a thread waits that has nothing else to do.
struct InForeground {
  static constexpr bool sparing() { return false; }
  static constexpr bool stopping() { return false; }
};

/// What MPI reads and writes after a fault lies in objects that are never destroyed (see ~MpiGroup): a message may
/// outlive the call that began it.
class RankMessages {
 public:
  static constexpr std::size_t longest_fault = 4096;

  explicit RankMessages(const MpiGroup& group) : group_(&group) {}

  /// Throws GroupError if MPI failed in `what`.
  void check(int code, const char* what) const {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    throw GroupError(group_->name(me()) + ": " + what +
                     " failed: " + std::string(text.data(), static_cast<std::size_t>(length)));
  }

  /// Makes the two communicators.
  void join() {
    for (auto* const one : {&world, &faults_}) {
      check(MPI_Comm_dup(MPI_COMM_WORLD, one), "the start of MPI");
      MPI_Comm_set_errhandler(*one, MPI_ERRORS_RETURN);
    }
  }
  void leave() {
    MPI_Comm_free(&world);
    MPI_Comm_free(&faults_);
  }

  /// Waits until `done()`, for `seconds` at most; returns whether it was done. Throws what another rank says of its
  /// fault. Gives its processor away: there may be fewer than ranks. Where `how` is sparing, it does so at once, as the
  /// process's other thread computes.
  template <class How = InForeground>
  bool wait_until(auto&& done, double seconds, const How& how = {}) {
    const auto start = Clock::now();
    for (long tries = 0; !done(); ++tries) {
      if (!how.sparing() && tries % 16 != 15) continue;
      if (how.stopping()) throw GroupError("the exchange was stopped");
      if (const auto text = listen()) throw GroupError(*text);
      const double waited = since(start);
      if (waited > seconds) return false;
      if (!how.sparing() && waited < 2e-3)
        sched_yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(waited < 1.0 ? 50 : 500));
    }
    return true;
  }

  /// Throws GroupError after a wait of `seconds` in `what`: names the first rank that does not wait as this one does
  /// or, if all do, `awaited`.
  [[noreturn]] void give_up(double seconds, const std::string& awaited, const char* what) {
    if (const auto text = ask()) throw GroupError(*text);
    asked_ = true;
    const auto silent = std::find(waits_.begin(), waits_.end(), false);
    throw GroupError(group_->name(me()) + " has waited " + number_text(seconds) + " s for " +
                     (silent == waits_.end() ? awaited : group_->name(static_cast<int>(silent - waits_.begin()))) +
                     " in " + what);
  }

  /// Something that all ranks do together, with memory that room() gave.
  void all_at(auto&& start, double seconds, const char* what) {
    check(start(&together_), what);
    const auto done = [&] {
      int all = 0;
      check(MPI_Test(&together_, &all, MPI_STATUS_IGNORE), what);
      return all != 0;
    };
    if (!wait_until(done, seconds)) give_up(seconds, "another rank", what);
  }
  /// Memory for that. Throws GroupError if the group has failed: MPI may still use it.
  std::span<std::byte> room(std::size_t size) {
    if (together_ != MPI_REQUEST_NULL) throw GroupError(group_->name(me()) + ": its group has failed before");
    if (room_.size() < size) room_.resize(size);
    return std::span(room_).first(size);
  }

  /// This rank has failed because of `text`. Returns whether another rank says so: rank 0 or, if it does not within
  /// `seconds`, the first rank that waits.
  bool report(const std::string& text, double seconds) {
    farewell_ = text.substr(0, longest_fault);
    failed_ = true;
    if (said_) return true;
    int first = chosen_ ? me() : asked_ ? first_that_waits() : 0;
    while (first < me()) {
      send(first, say, farewell_);
      if (hears_of_it(seconds)) return true;
      if (refused_ || asked_ || seconds <= 0.0) return false;
      if (ask()) return true;
      asked_ = true;
      first = first_that_waits();
    }
    return false;
  }
  /// Of the rank that has said it, at its end. It ends soon whether they listen or not.
  void tell_others() {
    if (said_) return;
    for (int rank = 0; rank < group_->size(); ++rank)
      if (rank != me()) send(rank, said, farewell_);
    const auto start = Clock::now();
    const auto gone = [](Message& one) {
      int done = 0;
      MPI_Test(&one.request, &done, MPI_STATUS_IGNORE);
      return done != 0;
    };
    while (since(start) < 0.5 && !std::ranges::all_of(sent_, gone)) std::this_thread::yield();
  }

  /// Of a rank that is in its destructor: it cannot report the fault that another rank asked it to report. It tells
  /// that rank and waits a little, because the launcher may end all ranks when it exits.
  void refuse() {
    if (!chosen_ || said_ || failed_) return;
    failed_ = true;
    send(asking_, refusal, {});
    hears_of_it(3.0);
  }

  bool failed() const { return failed_; }

  MPI_Comm world = MPI_COMM_NULL;

 private:
  using Clock = std::chrono::steady_clock;
  enum Tag {
    question,  ///< whether a rank waits
    answer,    ///< that it does
    say,       ///< a fault that the other rank should say
    refusal,   ///< that this rank cannot say it
    said       ///< a fault that this rank has said
  };
  struct Message {
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  static double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
  int me() const { return group_->rank(); }
  int first_that_waits() const {
    return static_cast<int>(std::find(waits_.begin(), waits_.end(), true) - waits_.begin());
  }

  void send(int rank, Tag tag, const std::string& text) {
    auto& message = sent_.emplace_back(Message{text});
    check(MPI_Isend(message.text.data(), static_cast<int>(message.text.size()), MPI_CHAR, rank, tag, faults_,
                    &message.request),
          "telling the other ranks");
  }

  /// Answers the other ranks' questions. Returns a fault that one has said, or asks this rank to say; a rank that has
  /// failed itself says its own.
  std::optional<std::string> listen() {
    for (;;) {
      int there = 0, length = 0;
      MPI_Status status;
      check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, faults_, &there, &status), "listening for the other ranks");
      if (!there) return {};
      std::array<char, longest_fault> text{};
      MPI_Get_count(&status, MPI_CHAR, &length);
      check(MPI_Recv(text.data(), static_cast<int>(text.size()), MPI_CHAR, status.MPI_SOURCE, status.MPI_TAG, faults_,
                     MPI_STATUS_IGNORE),
            "listening for the other ranks");
      if (status.MPI_TAG == question) {
        send(status.MPI_SOURCE, answer, {});
      } else if (status.MPI_TAG == answer) {
        if (!waits_.empty()) waits_[static_cast<std::size_t>(status.MPI_SOURCE)] = true;
      } else if (status.MPI_TAG == refusal) {
        refused_ = true;
      } else if (status.MPI_TAG == said || !failed_) {
        (status.MPI_TAG == said ? said_ : chosen_) = true;
        asking_ = status.MPI_SOURCE;
        return std::string(text.data(), static_cast<std::size_t>(length));
      }
    }
  }

  /// Asks all ranks whether they wait, too, until all have answered or a second is over: those that compute, were
  /// stopped or have gone do not answer. Ends with what one says of a fault.
  std::optional<std::string> ask() {
    waits_.assign(static_cast<std::size_t>(group_->size()), false);
    waits_[static_cast<std::size_t>(me())] = true;
    for (int rank = 0; rank < group_->size(); ++rank)
      if (rank != me()) send(rank, question, {});
    for (const auto start = Clock::now(); since(start) < 1.0 && std::ranges::count(waits_, false) > 0;) {
      if (const auto text = listen()) return text;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    return {};
  }

  bool hears_of_it(double seconds) {
    for (const auto start = Clock::now(); since(start) < seconds && !refused_;) {
      if (listen()) return true;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    return false;
  }

  const MpiGroup* group_;
  MPI_Comm faults_ = MPI_COMM_NULL;
  MPI_Request together_ = MPI_REQUEST_NULL;
  std::vector<std::byte> room_;
  std::deque<Message> sent_;
  std::vector<bool> waits_;  ///< of each rank, when this one asked last
  bool asked_ = false;       ///< who waits
  bool failed_ = false;      ///< this rank
  bool said_ = false;        ///< a fault, by another rank
  bool chosen_ = false;      ///< by another rank, asking_, to say a fault
  bool refused_ = false;     ///< a rank that this one asked to say a fault
  int asking_ = 0;
  std::string farewell_;
};

}  // namespace neural_attention::mpi_detail
