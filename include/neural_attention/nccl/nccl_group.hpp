// NcclGroup: the ranks of an MpiGroup, each with a GPU of its own, as a group that trains one model (train/group.hpp).
// NCCL sends gradients and parameters from GPU to GPU while the backward pass goes on; all else goes through the
// MpiGroup. Sums have the MpiGroup's order, so a run repeats bit by bit with the same number of ranks: NCCL's own sums
// promise none. Plain C++: neural_attention::nccl holds what calls NCCL and CUDA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/core/operations/memory.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/mpi/mpi_group.hpp"
#include "neural_attention/train/group.hpp"

namespace neural_attention {

struct NcclOptions {
  std::size_t memory = std::size_t{64} << 20;  ///< bytes of the GPU for what other ranks send to be added up
  /// Seconds that a rank in which NCCL fails waits for what another says: that one may have failed first.
  double patience = 30.0;
};

/// The GPU that falls to `rank`: the first of those that it sees which falls to no rank before it, or -1. `seen` has,
/// for each rank, names of the GPUs that it sees; no two GPUs have the same.
inline int gpu_of_rank(const std::vector<std::vector<std::string>>& seen, int rank) {
  std::vector<std::string> taken;
  for (int r = 0;; ++r) {
    const auto& all = seen[static_cast<std::size_t>(r)];
    const auto free = std::ranges::find_if(all, [&](const auto& one) { return std::ranges::count(taken, one) == 0; });
    if (r == rank) return free == all.end() ? -1 : static_cast<int>(free - all.begin());
    if (free != all.end()) taken.push_back(*free);
  }
}

/// For Cuda<float> and Cuda<bfloat16>. Made, used and destroyed in one thread, in which the backend was made, too. The
/// current CUDA device belongs to a thread, so on ranks with another GPU than 0, services that lend a backend to other
/// threads (Translator, TextGenerator, MaskFiller) work only in that one.
class NcclGroup {
 public:
  /// Of these ranks, which must outlive it. Each rank makes one, before its first Cuda. The GPU that falls to it
  /// becomes the default_cuda_device. A group of one chooses none, and NCCL is not called. Throws ConfigError if a rank
  /// finds no free GPU, DeviceError if CUDA fails, and GroupError.
  explicit NcclGroup(MpiGroup& ranks, const NcclOptions& options = {});
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  /// Waits for the other ranks, unless this rank failed or an exception ends the group.
  ~NcclGroup();

  /// What goes through the MpiGroup.
  int rank() const { return ranks_->rank(); }
  int size() const { return ranks_->size(); }
  std::string name(int rank) const { return ranks_->name(rank); }
  int cpus() const { return ranks_->cpus(); }
  void broadcast(std::span<std::byte> bytes) { ranks_->broadcast(bytes); }
  std::string broadcast(std::string_view of_first) { return ranks_->broadcast(of_first); }
  void gather(std::span<const std::byte> mine, std::span<std::byte> all) { ranks_->gather(mine, all); }
  std::vector<std::string> gather(std::string_view mine) { return ranks_->gather(mine); }
  int first_not_finite() const { return ranks_->first_not_finite(); }

  /// Four megabytes, so that the time of an exchange is not mostly latency.
  static constexpr int least_exchange() { return 1 << 20; }

  /// By the host's memory, a piece at a time.
  template <class B>
  void broadcast(B& backend, RowsOf<float> x) {
    if (size() == 1) return;
    constexpr int most = 1 << 22;
    std::vector<float> piece;
    for (long next = 0; next < x.cols; next += most) {  // may end beyond an int
      const int first = static_cast<int>(next);
      const auto part = x.columns(first, std::min(most, x.cols - first));
      piece.resize(static_cast<std::size_t>(part.cols));
      if (rank() == 0) backend(ops::DownloadOf<float>{.x = part, .values = piece});
      broadcast(std::as_writable_bytes(std::span(piece)));
      if (rank() > 0) backend(ops::UploadOf<float>{.values = piece, .x = part});
    }
  }

  /// The exchange begins on the device when the backend's stream has come to this place, and goes on beside it.
  template <class T>
  void begin(Cuda<T>& backend, Exchange exchange, RowsOf<float> x);
  /// The host waits for the device, too.
  void finish();
  /// Stops what the device sends and receives.
  void abandon() noexcept;

  template <class T>
  void sum_outcomes(Cuda<T>& backend, StepOutcome* outcome, bool has, double squared_norm);

 private:
  struct Connection;

  MpiGroup* ranks_;
  std::unique_ptr<Connection> connection_;  ///< none for a group of one
};

}  // namespace neural_attention
