// Exchanges of gradients and parameters between GPUs: messages of NCCL and sums in the order of ranks, in a stream of
// their own.
#pragma once

#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/runtime.cuh"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/mpi/mpi_group.hpp"
#include "neural_attention/nccl/nccl_group.hpp"
#include "neural_attention/train/group.hpp"

namespace neural_attention::nccl_detail {

/// own [1, n] = Σ over ranks in their order; rank r's numbers lie in received + r · slice, this rank's in `own`.
struct AddInOrder {
  RowsOf<float> own;
  const float* received;
  int slice, me, ranks;

  template <bool Aligned>
  __device__ void run(int, int col, int count) const {
    auto sum = numbers<Aligned>(0, col, count);
    for (int r = 1; r < ranks; ++r) {
      const auto x = numbers<Aligned>(r, col, count);
      for (int i = 0; i < cuda_backend::group; ++i) sum.at[i] += x.at[i];
    }
    cuda_backend::store<Aligned>(own.data + col, count, sum);
  }

 private:
  template <bool Aligned>
  __device__ cuda_backend::Group<float> numbers(int rank, int col, int count) const {
    const float* const x = rank == me ? own.data : received + std::ptrdiff_t{rank} * slice;
    return cuda_backend::load<Aligned>(x + col, count);
  }
};

/// NCCL is told not to block: each call is followed by a wait of the MpiGroup, which ends when a rank fails or hangs.
class GpuExchanges {
 public:
  GpuExchanges(MpiGroup& ranks, int device, const NcclOptions& options)
      : ranks_(&ranks),
        patience_(options.patience),
        stream_(device),
        slice_(static_cast<int>(
                   std::clamp<std::size_t>(options.memory / sizeof(float) / count_of(ranks) / 16, 1, 1 << 24)) *
               16),
        received_(sizeof(float) * static_cast<std::size_t>(slice_) * count_of(ranks)) {}
  GpuExchanges(const GpuExchanges&) = delete;
  GpuExchanges& operator=(const GpuExchanges&) = delete;
  ~GpuExchanges() {
    if (comm_ && !ranks_->failed() && std::uncaught_exceptions() == 0) {
      try {
        ranks_->wait_for_all();
        finish();
        settle(ncclCommFinalize(comm_), "the end of NCCL");
        ncclCommDestroy(comm_);
        comm_ = nullptr;
      } catch (const std::exception&) {  // the others have ended otherwise
      }
    }
    abandon();
  }

  /// Joins the other ranks.
  void join() {
    constexpr const char* what = "the start of NCCL";
    ncclUniqueId id{};
    if (ranks_->rank() == 0)
      if (const auto status = ncclGetUniqueId(&id); status != ncclSuccess) fail(status, what);
    id = of_first(*ranks_, id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(ncclCommInitRankConfig(&comm_, ranks_->size(), id, ranks_->rank(), &config), what);
  }

  /// x [1, n] of a backend with this stream.
  void begin(cuda_backend::Stream backend, Exchange exchange, RowsOf<float> x) {
    if (!comm_) throw GroupError(ranks_->name(ranks_->rank()) + ": its group has failed before");
    given_.record(backend);
    given_.wait_in(stream_.get());
    int longest = 0;
    for (int r = 0; r < ranks_->size(); ++r) longest = std::max(longest, share_of(x.cols, r, ranks_->size()).count);
    for (int first = 0; first < longest; first += slice_) round(exchange, x, first);
  }

  void finish() {
    if (!comm_) return;
    done_.record(stream_.get());
    const auto done = [this] {
      if (done_.reached()) return true;
      is_settled(ncclInProgress, name);  // throws if NCCL fails
      return false;
    };
    ranks_->wait_until(done, name);
  }

  /// Afterwards, nothing uses the numbers of what was begun.
  void abandon() noexcept {
    if (!comm_) return;
    ncclCommAbort(comm_);
    comm_ = nullptr;
    try {
      cuda_backend::wait(stream_.get());
    } catch (const std::exception&) {  // the device has failed and runs nothing
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr const char* name = "an exchange of gradients";

  class OwnStream {
   public:
    explicit OwnStream(int device) : stream_(cuda_backend::make_stream(device)) {}
    OwnStream(const OwnStream&) = delete;
    OwnStream& operator=(const OwnStream&) = delete;
    ~OwnStream() { cuda_backend::free_stream(stream_); }
    cuda_backend::Stream get() const { return stream_; }

   private:
    cuda_backend::Stream stream_;
  };

  static std::size_t count_of(const MpiGroup& ranks) { return static_cast<std::size_t>(ranks.size()); }

  /// One round of an exchange of `x`, of slice_ numbers of each rank's share at most, those from `first` on. Each rank
  /// adds up all ranks' numbers of its slice, or has its slice, and sends it to all.
  void round(Exchange exchange, RowsOf<float> x, int first) {
    const auto slice_of = [&](int rank) {
      const auto all = share_of(x.cols, rank, ranks_->size());
      return x.columns(all.first + std::min(first, all.count), std::clamp(all.count - first, 0, slice_));
    };
    const auto mine = slice_of(ranks_->rank());
    if (exchange != Exchange::GatherShares) {
      auto* const received = static_cast<float*>(received_.data());
      with_others([&](int other) {
        send(slice_of(other), other);
        receive(RowsOf<float>(received + std::ptrdiff_t{other} * slice_, 1, mine.cols), other);
      });
      cuda_backend::map("sum of ranks", AddInOrder{mine, received, slice_, ranks_->rank(), ranks_->size()}, 1,
                        mine.cols, cuda_backend::aligned(mine), stream_.get());
    }
    if (exchange != Exchange::SumShares)
      with_others([&](int other) {
        send(mine, other);
        receive(slice_of(other), other);
      });
  }

  /// Messages from and to all other ranks, which NCCL carries together.
  void with_others(auto&& exchange) {
    const int ranks = ranks_->size();
    keep(ncclGroupStart());
    for (int i = 1; i < ranks; ++i) exchange((ranks_->rank() + i) % ranks);
    keep(ncclGroupEnd());
    settle(std::exchange(status_, ncclSuccess), name);
  }
  void send(RowsOf<float> x, int to) {
    if (x.cols > 0) keep(ncclSend(x.data, static_cast<std::size_t>(x.cols), ncclFloat, to, comm_, stream_.get()));
  }
  void receive(RowsOf<float> x, int from) {
    if (x.cols > 0) keep(ncclRecv(x.data, static_cast<std::size_t>(x.cols), ncclFloat, from, comm_, stream_.get()));
  }
  /// Of the calls between ncclGroupStart and ncclGroupEnd, the first error counts: the second one must be called.
  void keep(ncclResult_t status) {
    if (status_ == ncclSuccess || status_ == ncclInProgress) status_ = status;
  }

  /// Waits until NCCL has done what it was told; what it told the device is not done by then.
  void settle(ncclResult_t status, const char* what) {
    ranks_->wait_until([&] { return is_settled(status, what); }, what);
  }

  /// `status` is that of a call, or ncclInProgress: then NCCL is asked. If NCCL fails, another rank may have ended, and
  /// what that one says comes first: throws when the patience ends.
  bool is_settled(ncclResult_t status, const char* what) {
    if (status == ncclInProgress && comm_)
      if (const auto asked = ncclCommGetAsyncError(comm_, &status); asked != ncclSuccess) status = asked;
    if (status == ncclSuccess || status == ncclInProgress) return status == ncclSuccess;
    if (!failed_) failed_ = Clock::now();
    if (Clock::now() - *failed_ > patience_) fail(status, what);
    return false;
  }
  [[noreturn]] void fail(ncclResult_t status, const char* what) const {
    throw GroupError(ranks_->name(ranks_->rank()) + ": " + what + " failed: " + ncclGetErrorString(status) +
                     " (NCCL_DEBUG=INFO in the environment says more)");
  }

  MpiGroup* ranks_;
  std::chrono::duration<double> patience_;
  OwnStream stream_;
  int slice_;
  CudaMemory received_;  ///< slice_ numbers of each rank
  ncclComm_t comm_ = nullptr;
  ncclResult_t status_ = ncclSuccess;
  std::optional<Clock::time_point> failed_;
  cuda_backend::Event given_, done_;
};

}  // namespace neural_attention::nccl_detail
