// MpiGroup: the ranks that mpirun, srun or another launcher of MPI started, as a group that trains one model
// (train/group.hpp). Sums have an order of their own, so a run repeats bit by bit with the same number of ranks:
// MPI_Allreduce promises none. MPI's header is not needed here; neural_attention::mpi holds what calls it.
#pragma once

#include <cstddef>
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
  double timeout = 600.0;  ///< seconds that a rank waits for another one before it throws; does not apply to texts
};

/// At most one at a time lives in a process. Its functions are called by one thread at a time. MPI must allow threads
/// that take turns (MPI_THREAD_SERIALIZED); if it does not, exchanges are made in finish().
class MpiGroup {
 public:
  /// Joins the other ranks. A process that no launcher started is a group of one, and MPI is not called. MPI is
  /// initialised, and finalised by the destructor, unless the program has done so. Throws GroupError.
  explicit MpiGroup(const MpiOptions& options = {});
  MpiGroup(const MpiGroup&) = delete;
  MpiGroup& operator=(const MpiGroup&) = delete;
  /// Waits for the other ranks; if this one failed or an exception ends the group, tells them.
  ~MpiGroup();

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(hosts_.size()); }
  /// "rank 2 on host b"
  std::string name(int rank) const;
  /// How many ranks this host has.
  int ranks_here() const;
  /// A megabyte of floats, so that the time of an exchange is not mostly latency.
  static constexpr int least_exchange() { return 1 << 18; }

  /// The functions of a group. They throw GroupError if a rank has failed, does not answer in time, or MPI fails.
  void broadcast(std::span<std::byte> bytes);
  void gather(std::span<const std::byte> mine, std::span<std::byte> all);
  /// An exchange goes on in a thread of its own, which polls rarely, so that it takes little of a processor; where this
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
  int first_not_finite() const { return first_not_finite_; }

  /// The texts of all ranks. Waits for them as long as it takes, as broadcasts do.
  std::vector<std::string> gather(std::string_view mine);
  /// The text of rank 0.
  std::string broadcast(std::string_view of_first);

  /// This rank ends because of `what`, and the group serves nothing any more. Rank 0 returns at once, and the
  /// destructor tells the others, so that rank 0 can say it first. Another rank tells rank 0, which throws at its next
  /// wait, and returns true when rank 0 has gone, too, or false if rank 0 has not heard of it within `seconds`. Does
  /// not throw.
  bool fail(std::string_view what, double seconds = 10.0) noexcept;

 private:
  struct Connection;

  template <class B>
  static std::span<typename B::Real> host_numbers(RowsOf<typename B::Real> x) {
    static_assert(std::is_same_v<typename B::Memory, CpuMemory>,
                  "MpiGroup sums numbers in the host's memory: it needs the backend Cpu<float> or Cpu<double>");
    return {x.data, static_cast<std::size_t>(x.size())};
  }
  void sum_outcomes(StepOutcome& outcome, bool has, double squared_norm);
  void gather(std::span<const std::byte> mine, std::span<std::byte> all, bool limited);

  int rank_ = 0;
  std::vector<std::string> hosts_ = {"localhost"};  ///< of all ranks
  int first_not_finite_ = -1;
  std::unique_ptr<Connection> connection_;  ///< none for a group of one
};

}  // namespace neural_attention
