// The processes that train one model together: its ranks, of which each computes a part of every step. A group is a
// type, as a backend is. Alone is one process, and its functions compile to nothing; MpiGroup (mpi/mpi_group.hpp) has
// the ranks that mpirun or Slurm started.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention {

/// Another rank failed, does not answer, or cannot be reached. The message names its rank and host.
struct GroupError : Error {
  using Error::Error;
};

/// What ranks do with numbers of which each has n. A rank's share of them is share_of(n, rank, size).
enum class Exchange {
  Sum,           ///< all ranks get the same bits: x of rank 0 + x of rank 1 + …, added in this order
  SumShares,     ///< the same, but a rank gets only its share of the sum; the rest of its x stays
  GatherShares,  ///< all ranks get each rank's share of its x
};

/// A run of numbers in a flat buffer.
struct NumberRange {
  int first;
  int count;
};

/// Shares of n numbers begin at multiples of 16, as tensors do.
constexpr NumberRange share_of(int n, int rank, int size) {
  const auto begin = [&](int r) {
    const long blocks = (long{n} + 15) / 16;
    return static_cast<int>(std::min<long>(n, blocks * r / size * 16));
  };
  return {begin(rank), begin(rank + 1) - begin(rank)};
}

/// All functions but rank(), size(), name(), least_exchange() and abandon() are called by all ranks in the same order.
/// After a GroupError the group serves nothing any more.
///   name(rank)               "rank 2 on host b"
///   least_exchange()         numbers that an exchange should have, if there is a choice: fewer take as long
///   broadcast(bytes)         all ranks get the bytes of rank 0
///   gather(mine, all)        all ranks get mine of every rank, one after the other: all has size() times its length
///   broadcast(backend, x)    x of rank 0
///   begin(backend, exchange, x)  begins an Exchange of x, which continues while this rank does something else
///   finish()                 waits for all that were begun; until then no other function but begin is called
///   abandon()                this rank fails: ends what was begun, so that its memory may go. Does not throw; begin()
///                            throws GroupError from then on
///   sum_outcomes(backend, outcome, has, squared_norm)  all ranks get the sums over ranks, in their order, of a
///                            StepOutcome's losses, which count as zeros without `has`, and of `squared_norm`
///   first_not_finite()       the first rank whose losses were not finite in that, or -1
/// where x [1, n] and outcome lie in memory of the backend.
template <class G, class B>
concept Group = requires(G group, B& backend, const G& fixed, std::span<std::byte> bytes,
                         std::span<const std::byte> mine, RowsOf<typename B::Real> x, StepOutcome* outcome) {
  { fixed.rank() } -> std::same_as<int>;
  { fixed.size() } -> std::same_as<int>;
  { fixed.name(0) } -> std::same_as<std::string>;
  { fixed.least_exchange() } -> std::same_as<int>;
  group.broadcast(bytes);
  group.gather(mine, bytes);
  group.broadcast(backend, x);
  group.begin(backend, Exchange::Sum, x);
  group.finish();
  group.abandon();
  group.sum_outcomes(backend, outcome, true, 0.0);
  { fixed.first_not_finite() } -> std::same_as<int>;
};

/// A group of one process.
struct Alone {
  static constexpr int rank() { return 0; }
  static constexpr int size() { return 1; }
  static std::string name(int) { return "the only process"; }
  static constexpr int least_exchange() { return 0; }
  static void broadcast(std::span<std::byte>) {}
  static void gather(std::span<const std::byte>, std::span<std::byte>) {}
  static void broadcast(auto&, auto) {}
  static void begin(auto&, Exchange, auto) {}
  static void finish() {}
  static void abandon() {}
  static void sum_outcomes(auto&, StepOutcome*, bool, double) {}
  static constexpr int first_not_finite() { return -1; }
};

/// The group of code that names none.
inline Alone alone_group;

template <class G>
inline constexpr bool is_alone = std::same_as<G, Alone>;

/// `value` of rank 0.
template <class G, class T>
T of_first(G& group, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if constexpr (!is_alone<G>) group.broadcast(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

/// The ranks make values in turns, make(0), make(1), … make(count - 1), and all use all of them, in this order:
/// use(i, value). Values are copied as bytes.
template <class G>
void in_turns(G& group, std::size_t count, auto&& make, auto&& use) {
  using T = std::remove_cvref_t<decltype(make(std::size_t{0}))>;
  static_assert(std::is_trivially_copyable_v<T>);
  const auto ranks = static_cast<std::size_t>(group.size()), rank = static_cast<std::size_t>(group.rank());
  std::vector<T> of_turn(ranks);
  for (std::size_t first = 0; first < count; first += ranks) {
    if (first + rank < count) of_turn[rank] = make(first + rank);
    if constexpr (!is_alone<G>) {
      const T mine = of_turn[rank];
      group.gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(of_turn)));
    }
    for (std::size_t r = 0; r < ranks && first + r < count; ++r) use(first + r, of_turn[r]);
  }
}

/// The first rank whose `value` has other bytes than rank 0's, or -1.
template <class G, class T>
int first_that_differs(G& group, const T& value) {
  static_assert(std::has_unique_object_representations_v<T>);
  if constexpr (!is_alone<G>) {
    std::vector<T> all(static_cast<std::size_t>(group.size()));
    group.gather(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
    const auto other = std::ranges::find_if(all, [&](const T& one) { return one != all[0]; });
    if (other != all.end()) return static_cast<int>(other - all.begin());
  }
  return -1;
}

/// Whether it is true on every rank.
template <class G>
bool on_all(G& group, bool value) {
  if constexpr (!is_alone<G>) {
    const auto mine = static_cast<std::byte>(value);
    std::vector<std::byte> all(static_cast<std::size_t>(group.size()));
    group.gather(std::span(&mine, 1), all);
    for (const auto one : all) value = value && one != std::byte{0};
  }
  return value;
}

}  // namespace neural_attention
