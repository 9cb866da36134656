// Stands in for NCCL's header in tests: what neural_attention::nccl calls of it, over MPI and the host's memory, for
// the emulation of CUDA. A stream does at once there what it is given, so messages are done when ncclCommGetAsyncError
// says ncclSuccess, and calls that NCCL need not end at once return ncclInProgress.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <deque>
#include <vector>

enum ncclResult_t { ncclSuccess = 0, ncclInvalidUsage = 5, ncclRemoteError = 6, ncclInProgress = 7 };
enum ncclDataType_t { ncclFloat = 7 };
struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { 1 }

struct ncclComm {
  struct Message {
    int peer;
    std::vector<float> numbers;
    float* received;  ///< where they go; null if they are sent
    MPI_Request request = MPI_REQUEST_NULL;
  };
  MPI_Comm ranks = MPI_COMM_NULL;
  std::deque<Message> messages;
};
using ncclComm_t = ncclComm*;

namespace stand_in {

inline ncclComm_t comm = nullptr;                      ///< the only one
inline bool grouped = false;                           ///< between ncclGroupStart and ncclGroupEnd
inline ncclResult_t next_state = ncclSuccess;          ///< of ncclCommGetAsyncError, unless ncclSuccess
inline int finalized = 0, destroyed = 0, aborted = 0;  ///< communicators
inline constexpr char id[] = "the id of rank 0";

inline ncclResult_t add(int peer, std::vector<float> numbers, float* received, ncclComm_t to) {
  if (!grouped || to != comm) return ncclInvalidUsage;
  comm->messages.push_back({peer, std::move(numbers), received});
  return ncclSuccess;
}

}  // namespace stand_in

inline const char* ncclGetErrorString(ncclResult_t status) {
  return status == ncclRemoteError ? "remote process exited" : "invalid usage";
}
inline ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memcpy(id->internal, stand_in::id, sizeof stand_in::id);
  return ncclSuccess;
}
inline ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int count, ncclUniqueId id, int rank,
                                           ncclConfig_t* config) {
  int world_size = 0, world_rank = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  if (std::strcmp(id.internal, stand_in::id) != 0 || count != world_size || rank != world_rank || config->blocking != 0)
    return ncclInvalidUsage;
  *comm = stand_in::comm = new ncclComm;
  MPI_Comm_dup(MPI_COMM_WORLD, &stand_in::comm->ranks);
  return ncclInProgress;
}

/// A call is refused until ncclCommGetAsyncError has said that the one before is done.
inline ncclResult_t ncclGroupStart() {
  if (!stand_in::comm || !stand_in::comm->messages.empty()) return ncclInvalidUsage;
  stand_in::grouped = true;
  return ncclSuccess;
}
template <class Stream>
ncclResult_t ncclSend(const void* x, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm, Stream) {
  const auto* const numbers = static_cast<const float*>(x);
  return stand_in::add(peer, std::vector<float>(numbers, numbers + count), nullptr, comm);
}
template <class Stream>
ncclResult_t ncclRecv(void* x, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm, Stream) {
  return stand_in::add(peer, std::vector<float>(count), static_cast<float*>(x), comm);
}
inline ncclResult_t ncclGroupEnd() {
  stand_in::grouped = false;
  for (auto& [peer, numbers, received, request] : stand_in::comm->messages) {
    const int count = static_cast<int>(numbers.size());
    if (received)
      MPI_Irecv(numbers.data(), count, MPI_FLOAT, peer, 0, stand_in::comm->ranks, &request);
    else
      MPI_Isend(numbers.data(), count, MPI_FLOAT, peer, 0, stand_in::comm->ranks, &request);
  }
  return ncclInProgress;
}

inline ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  std::size_t open = 0;
  for (auto& message : comm->messages) {
    int done = 0;
    MPI_Test(&message.request, &done, MPI_STATUS_IGNORE);
    if (done && message.received) std::copy(message.numbers.begin(), message.numbers.end(), message.received);
    if (done) message.received = nullptr;
    open += !done;
  }
  if (open == 0) comm->messages.clear();
  *state = stand_in::next_state != ncclSuccess ? stand_in::next_state : open > 0 ? ncclInProgress : ncclSuccess;
  return ncclSuccess;
}
inline ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (!comm->messages.empty()) return ncclInvalidUsage;
  ++stand_in::finalized;
  return ncclInProgress;
}
inline ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (stand_in::finalized == 0) return ncclInvalidUsage;
  MPI_Comm_free(&comm->ranks);
  delete comm;
  stand_in::comm = nullptr;
  ++stand_in::destroyed;
  return ncclSuccess;
}
/// MPI may still write what was begun, so it is kept.
inline ncclResult_t ncclCommAbort(ncclComm_t) {
  ++stand_in::aborted;
  return ncclSuccess;
}
