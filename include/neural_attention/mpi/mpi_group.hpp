// MpiGroup: the ranks that mpirun, srun or another launcher of MPI started, as a group that trains one model
// (train/group.hpp). Sums have an order of their own, so a run repeats bit by bit with the same number of ranks:
// MPI_Allreduce promises none. MPI's header is not needed here; neural_attention::mpi holds what calls it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/train/group.hpp"

namespace neural_attention {

struct MpiOptions {
  /// How many times longer ranks wait where one may rightly take long, as to learn a tokenizer, to write a checkpoint
  /// or to translate: in broadcasts, for texts, and in wait_for_all().
  static constexpr double patience = 10.0;

  double timeout = 600.0;  ///< seconds that a rank waits for others before it throws
};

/// A process can have one MpiGroup in its life; if the program initialises MPI itself, one at a time. Its functions are
/// called by one thread at a time. MPI must allow threads that take turns (MPI_THREAD_SERIALIZED); if it does not,
/// exchanges are made in finish().
class MpiGroup {
 public:
  /// Joins the other ranks. A process that no launcher started is a group of one, and MPI is not called. MPI is
  /// initialised, and finalised by the destructor, unless the program has done so. Throws GroupError, also if MPI has
  /// been finalised: it cannot begin again.
  explicit MpiGroup(const MpiOptions& options = {});
  MpiGroup(const MpiGroup&) = delete;
  MpiGroup& operator=(const MpiGroup&) = delete;
  /// As wait_for_all(), but does not throw. It cannot pass on the fault of a rank that fails late, so that rank reports
  /// it itself; call wait_for_all() first to hear of it. If this rank failed or an exception ends the group, tells the
  /// others. After a fault, memory that MPI may still use is kept until the process ends.
  ~MpiGroup();

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(hosts_.size()); }
  /// "rank 2 on host b"
  std::string name(int rank) const;
  /// `what`, behind this rank's name unless it names a rank.
  std::string named(std::string_view what) const;
  /// How many threads suit this rank (shared_cpus); 1 for a group of one.
  int cpus() const { return cpus_; }
  /// A megabyte of floats, so that the time of an exchange is not mostly latency.
  static constexpr int least_exchange() { return 1 << 18; }

  /// The functions of a group. They throw GroupError if a rank has failed, does not answer in time, or MPI fails.
  void broadcast(std::span<std::byte> bytes);
  /// Throws ConfigError if a rank gives 2 GiB or more.
  void gather(std::span<const std::byte> mine, std::span<std::byte> all);
  /// An exchange runs in a separate thread, which polls rarely and so takes little processor time; where this
  /// rank has nothing else to do than to wait in finish(), it polls often at first.
  void begin(Exchange exchange, std::span<float> x);
  void begin(Exchange exchange, std::span<double> x);
  void finish();
  void abandon() noexcept;

  template <class B>
  void broadcast(B&, RowsOf<typename B::Real> x) {
    broadcast(std::as_writable_bytes(host_numbers<B>(x)));
  }
  template <class B>
  void begin(B&, Exchange exchange, RowsOf<typename B::Real> x) {
    begin(exchange, host_numbers<B>(x));
  }
  template <class B>
  void sum_outcomes(B&, StepOutcome* outcome, bool has, double squared_norm) {
    static_cast<void>(host_numbers<B>({}));
    sum_outcomes(*outcome, has, squared_norm);
  }
  /// The same of an outcome in the host's memory.
  void sum_outcomes(StepOutcome& outcome, bool has, double squared_norm);
  int first_not_finite() const { return first_not_finite_; }

  /// The texts of all ranks.
  std::vector<std::string> gather(std::string_view mine);
  /// The text of rank 0.
  std::string broadcast(std::string_view of_first);
  /// Until all ranks have called it: the last function, as a rank may fail when others have done their work.
  void wait_for_all();
  /// Until `done()`, which other ranks bring about in another way than through this group, in what the message calls
  /// `what`. Throws GroupError after the timeout, or if a rank has failed. The group has several ranks.
  void wait_until(const std::function<bool()>& done, const char* what);

  /// This rank ends because of `what`, and the group serves nothing any more. Returns whether another rank has said
  /// it; otherwise this one should, as one does for a fault of the group. Rank 0 returns false at once. Another rank
  /// tells rank 0, which throws `what` at its next wait. If rank 0 has said nothing within `seconds`, the first rank
  /// that waits takes its place; a rank that is in its destructor refuses, and this one reports its fault itself. The
  /// destructor of the one that says it tells the others, so that it can say it first. Does not throw.
  bool fail(std::string_view what, double seconds = 10.0) noexcept;
  /// Whether fail() was called.
  bool failed() const;

 private:
  struct Connection;

  /// Exchanges what ranks must know of each other.
  void meet();

  template <class B>
  static std::span<typename B::Real> host_numbers(RowsOf<typename B::Real> x) {
    static_assert(
        std::is_same_v<typename B::Memory, CpuMemory>,
        "MpiGroup sums numbers in the host's memory: it needs the backend Cpu<float> or Cpu<double>; NcclGroup "
        "has Cuda");
    return {x.data, static_cast<std::size_t>(x.size())};
  }
  /// Of all ranks; valid until the group's next function.
  std::span<const std::byte> gathered(std::span<const std::byte> mine, double seconds);

  int rank_ = 0;
  std::vector<std::string> hosts_ = {"localhost"};  ///< of all ranks
  int cpus_ = 1;
  int first_not_finite_ = -1;
  std::unique_ptr<Connection> connection_;  ///< none for a group of one
};

}  // namespace neural_attention
