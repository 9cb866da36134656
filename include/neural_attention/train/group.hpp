// The processes that train one model together: its ranks, of which each computes a part of every step. A group is a
// type, as a backend is. Alone is one process, and its functions compile to nothing; MpiGroup (mpi/mpi_group.hpp) has
// the ranks that mpirun or Slurm started.
#pragma once

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

/// All functions but rank(), size() and name() are called by all ranks in the same order. After a GroupError the group
/// serves nothing any more.
///   name(rank)               "rank 2 on host b"
///   broadcast(bytes)         all ranks get those of rank 0
///   gather(mine, all)        all ranks get mine of every rank, one behind the other: all has size() times its length
///   sum(backend, x)          all ranks get the same bits: x of rank 0 + x of rank 1 + …, added in this order
///   sum_losses(backend, outcome, has)  the same of the losses of a StepOutcome; a rank that has none counts as zeros
///   first_not_finite()       the first rank whose losses were not finite in that, or -1
///   broadcast(backend, x)    x of rank 0
/// where x [1, n] and outcome lie in memory of the backend.
template <class G, class B>
concept Group = requires(G group, B& backend, const G& fixed, std::span<std::byte> bytes,
                         std::span<const std::byte> mine, RowsOf<typename B::Real> x, StepOutcome* outcome) {
  { fixed.rank() } -> std::same_as<int>;
  { fixed.size() } -> std::same_as<int>;
  { fixed.name(0) } -> std::same_as<std::string>;
  group.broadcast(bytes);
  group.gather(mine, bytes);
  group.sum(backend, x);
  group.sum_losses(backend, outcome, true);
  { fixed.first_not_finite() } -> std::same_as<int>;
  group.broadcast(backend, x);
};

/// A group of one process.
struct Alone {
  static constexpr int rank() { return 0; }
  static constexpr int size() { return 1; }
  static std::string name(int) { return "the only process"; }
  static void broadcast(std::span<std::byte>) {}
  static void gather(std::span<const std::byte>, std::span<std::byte>) {}
  static void sum(auto&, auto) {}
  static void sum_losses(auto&, StepOutcome*, bool) {}
  static constexpr int first_not_finite() { return -1; }
  static void broadcast(auto&, auto) {}
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
