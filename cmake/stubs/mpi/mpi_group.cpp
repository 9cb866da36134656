// What mpi/mpi_group.hpp declares, for neural_attention::mpi: all that calls MPI.
#include "neural_attention/mpi/mpi_group.hpp"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <thread>
#include <utility>

#include "neural_attention/core/number_text.hpp"

namespace neural_attention {

/// What MPI gives, and the memory of sums.
struct MpiGroup::Connection {
  using Clock = std::chrono::steady_clock;
  enum Tag { contribution, total, fault };
  static constexpr int longest_fault = 4096;
  static constexpr std::ptrdiff_t slice_bytes = std::ptrdiff_t{1} << 18;  ///< of one message in a sum

  Connection(const MpiGroup& owner, const MpiOptions& options) : group(&owner), timeout(options.timeout) {}

  void check(int code, const char* what) const {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    throw GroupError(group->name(group->rank()) + ": " + what +
                     " failed: " + std::string(text.data(), static_cast<std::size_t>(length)));
  }

  void tell(int rank, const std::string& what) {
    check(MPI_Isend(what.data(), static_cast<int>(what.size()), MPI_CHAR, rank, fault, faults,
                    &told.emplace_back(MPI_REQUEST_NULL)),
          "telling the other ranks");
  }
  /// Of rank 0. It ends soon whether they listen or not.
  void tell_others() {
    for (int rank = 1; rank < group->size(); ++rank) tell(rank, farewell);
    const auto until = Clock::now() + std::chrono::milliseconds(500);
    for (int done = 0; !done && Clock::now() < until;)
      MPI_Testall(static_cast<int>(told.size()), told.data(), &done, MPI_STATUSES_IGNORE);
  }

  /// Throws what another rank said when it failed: rank 0 hears of every rank, the others of rank 0.
  void listen() {
    int there = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, fault, faults, &there, &status), "listening for the other ranks");
    if (!there) return;
    std::array<char, longest_fault> text{};
    int length = 0;
    MPI_Get_count(&status, MPI_CHAR, &length);
    MPI_Recv(text.data(), longest_fault, MPI_CHAR, status.MPI_SOURCE, fault, faults, MPI_STATUS_IGNORE);
    heard = true;
    throw GroupError(std::string(text.data(), static_cast<std::size_t>(length)));
  }

  /// Waits until `done()`, for `seconds` at most; returns whether it was done. Gives its processor away: there may be
  /// fewer than ranks, and rank 0 may evaluate for minutes.
  bool wait_until(auto&& done, double seconds) {
    const auto start = Clock::now();
    for (long tries = 0; !done(); ++tries) {
      if (tries % 16 != 15) continue;
      listen();
      const std::chrono::duration<double> waited = Clock::now() - start;
      if (waited.count() > seconds) return false;
      if (waited.count() < 2e-3)
        sched_yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(waited.count() < 1.0 ? 50 : 500));
    }
    return true;
  }

  /// Waits for messages from or to `awaited`, which the error names; without awaited for all ranks and as long as it
  /// takes.
  void wait(std::span<MPI_Request> open, std::span<const int> awaited, const char* what) {
    const auto done = [&] {
      int all = 0;
      check(MPI_Testall(static_cast<int>(open.size()), open.data(), &all, MPI_STATUSES_IGNORE), what);
      return all != 0;
    };
    if (wait_until(done, awaited.empty() ? std::numeric_limits<double>::infinity() : timeout)) return;
    auto silent = group->name(awaited.front());
    for (std::size_t i = 0; i < open.size(); ++i) {
      int one = 0;
      MPI_Test(&open[i], &one, MPI_STATUS_IGNORE);
      if (one) continue;
      silent = group->name(awaited[std::min(i, awaited.size() - 1)]);
      break;
    }
    throw GroupError(group->name(group->rank()) + " has waited " + number_text(timeout) + " s for " + silent + " in " +
                     what);
  }

  /// One round of a sum, of `x`: each rank adds up a slice of all ranks' numbers and sends it to all.
  template <class T>
  void sum_round(std::span<T> x) {
    const int ranks = group->size(), me = group->rank();
    const auto type = std::is_same_v<T, float> ? MPI_FLOAT : MPI_DOUBLE;
    const auto n = static_cast<std::ptrdiff_t>(x.size());
    const auto begin = [&](int slice) { return n * slice / ranks; };
    const auto length = [&](int slice) { return static_cast<int>(begin(slice + 1) - begin(slice)); };
    T* const received = static_cast<T*>(memory.data());
    const auto mine = static_cast<std::size_t>(length(me));
    requests.clear();
    peers.clear();
    const auto add = [&](int peer, auto&& start) {
      requests.emplace_back(MPI_REQUEST_NULL);
      peers.push_back(peer);
      check(start(&requests.back()), "a sum");
    };
    const auto others = [&](auto&& use) {  // rank r begins behind itself, so that not all send to one rank at first
      for (int i = 1; i < ranks; ++i) use((me + i) % ranks);
    };
    others([&](int from) {
      add(from, [&](MPI_Request* request) {
        return MPI_Irecv(received + static_cast<std::size_t>(from) * mine, length(me), type, from, contribution, world,
                         request);
      });
    });
    others([&](int to) {
      add(to, [&](MPI_Request* request) {
        return MPI_Isend(x.data() + begin(to), length(to), type, to, contribution, world, request);
      });
    });
    wait(requests, peers, "a sum");
    T* const own = x.data() + begin(me);
    add_in_order(own, received, mine);
    requests.clear();
    peers.clear();
    others([&](int from) {
      add(from, [&](MPI_Request* request) {
        return MPI_Irecv(x.data() + begin(from), length(from), type, from, total, world, request);
      });
    });
    others([&](int to) {
      add(to, [&](MPI_Request* request) { return MPI_Isend(own, length(me), type, to, total, world, request); });
    });
    wait(requests, peers, "a sum");
  }

  /// own = Σ over ranks in order; rank r's numbers lie in received + r · count, this rank's in `own`.
  template <class T>
  void add_in_order(T* own, const T* received, std::size_t count) const {
    constexpr std::size_t block = 1024;
    std::array<T, block> sum;
    for (std::size_t first = 0; first < count; first += block) {
      const auto length = std::min(block, count - first);
      for (int r = 0; r < group->size(); ++r) {
        const T* const x = first + (r == group->rank() ? own : received + static_cast<std::size_t>(r) * count);
        if (r == 0)
          std::copy_n(x, length, sum.begin());
        else
          for (std::size_t i = 0; i < length; ++i) sum[i] += x[i];
      }
      std::copy_n(sum.begin(), length, own + first);
    }
  }

  template <class T>
  void sum(std::span<T> x) {
    const auto slice = static_cast<std::size_t>(slice_bytes) / sizeof(T);
    const auto round = slice * static_cast<std::size_t>(group->size());
    if (!memory.data())
      memory = CpuMemory((static_cast<std::size_t>(slice_bytes) + 64) * static_cast<std::size_t>(group->size()));
    for (std::size_t first = 0; first < x.size(); first += round)
      sum_round(x.subspan(first, std::min(round, x.size() - first)));
  }

  void all_at(auto&& start, const char* what, std::span<const int> awaited) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(start(&request), what);
    wait(std::span(&request, 1), awaited, what);
  }

  const MpiGroup* group;
  double timeout;
  MPI_Comm world = MPI_COMM_NULL, faults = MPI_COMM_NULL;
  bool initialised = false;  ///< MPI, by this object
  bool failed = false;       ///< this rank
  bool heard = false;        ///< of another rank's fault
  std::string farewell;      ///< of a failed rank
  std::vector<MPI_Request> told;
  CpuMemory memory;
  std::vector<MPI_Request> requests;
  std::vector<int> peers;
  std::vector<std::byte> gathered;
};

namespace mpi_detail {

/// Whether a launcher of MPI started this process: Open MPI, MPICH and their relatives, Slurm's PMIx.
inline bool was_launched() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name)) return true;
  return false;
}

}  // namespace mpi_detail

MpiGroup::MpiGroup(const MpiOptions& options) {
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (!initialised && !mpi_detail::was_launched()) return;
  auto made = std::make_unique<Connection>(*this, options);
  if (!initialised) {
    int given = 0;
    made->check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given), "the start of MPI");
    made->initialised = true;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  for (auto* const one : {&made->world, &made->faults}) {
    made->check(MPI_Comm_dup(MPI_COMM_WORLD, one), "the start of MPI");
    MPI_Comm_set_errhandler(*one, MPI_ERRORS_RETURN);
  }
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  hosts_.assign(static_cast<std::size_t>(size), {});
  connection_ = std::move(made);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  hosts_ = gather(std::string_view(host.data()));
}

MpiGroup::~MpiGroup() {
  if (!connection_) return;
  auto& mpi = *connection_;
  if (!mpi.failed && std::uncaught_exceptions() > 0) fail("an exception ended it", 0.0);
  try {
    if (mpi.failed) {
      if (rank_ == 0) mpi.tell_others();
      return;
    }
    mpi.all_at([&](MPI_Request* request) { return MPI_Ibarrier(mpi.world, request); }, "the end", {});
    MPI_Comm_free(&mpi.world);
    MPI_Comm_free(&mpi.faults);
    if (mpi.initialised) MPI_Finalize();
  } catch (const GroupError&) {  // the others have ended otherwise
  }
}

std::string MpiGroup::name(int rank) const {
  return "rank " + std::to_string(rank) + " on " + hosts_[static_cast<std::size_t>(rank)];
}

int MpiGroup::ranks_here() const {
  return static_cast<int>(std::count(hosts_.begin(), hosts_.end(), hosts_[static_cast<std::size_t>(rank_)]));
}

void MpiGroup::broadcast(std::span<std::byte> bytes) {
  if (size() == 1) return;
  constexpr std::size_t most = std::size_t{1} << 28;  // MPI counts with int
  for (std::size_t first = 0; first < bytes.size(); first += most) {
    const auto part = bytes.subspan(first, std::min(most, bytes.size() - first));
    connection_->all_at(
        [&](MPI_Request* request) {
          return MPI_Ibcast(part.data(), static_cast<int>(part.size()), MPI_BYTE, 0, connection_->world, request);
        },
        "a broadcast", {});
  }
}

void MpiGroup::gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  if (size() == 1) {
    std::copy(mine.begin(), mine.end(), all.begin());
    return;
  }
  const auto count = static_cast<int>(mine.size());
  const int anybody = rank_ == 0 ? 1 : 0;
  connection_->all_at(
      [&](MPI_Request* request) {
        return MPI_Iallgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, connection_->world, request);
      },
      "an exchange", std::span(&anybody, 1));
}

std::vector<std::string> MpiGroup::gather(std::string_view mine) {
  std::vector<std::size_t> lengths(hosts_.size());
  const std::size_t length = mine.size();
  gather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths)));
  const auto longest = *std::max_element(lengths.begin(), lengths.end());
  std::string padded(mine), all(longest * lengths.size(), '\0');
  padded.resize(longest);
  gather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(all)));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < lengths.size(); ++i) texts.push_back(all.substr(i * longest, lengths[i]));
  return texts;
}

std::string MpiGroup::broadcast(std::string_view of_first) {
  std::size_t length = of_first.size();
  broadcast(std::as_writable_bytes(std::span(&length, 1)));
  std::string text(of_first);
  text.resize(length);
  broadcast(std::as_writable_bytes(std::span(text)));
  return text;
}

void MpiGroup::sum(std::span<float> x) {
  if (size() > 1) connection_->sum(x);
}

void MpiGroup::sum(std::span<double> x) {
  if (size() > 1) connection_->sum(x);
}

void MpiGroup::sum_losses(StepOutcome& outcome, bool has) {
  if (size() == 1) return;
  const std::array<double, 2> mine = {has ? outcome.smoothed_loss : 0.0, has ? outcome.negative_log_likelihood : 0.0};
  first_not_finite_ = -1;
  outcome.smoothed_loss = outcome.negative_log_likelihood = 0.0;
  const auto add = [&](const std::array<double, 2>& one, int rank) {
    outcome.smoothed_loss += one[0];
    outcome.negative_log_likelihood += one[1];
    if (first_not_finite_ < 0 && !std::isfinite(one[0] + one[1])) first_not_finite_ = rank;
  };
  auto& all = connection_->gathered;
  all.resize(sizeof mine * hosts_.size());
  gather(std::as_bytes(std::span(&mine, 1)), all);
  for (int r = 0; r < size(); ++r) {
    std::array<double, 2> one{};
    std::memcpy(&one, all.data() + static_cast<std::size_t>(r) * sizeof one, sizeof one);
    add(one, r);
  }
}

bool MpiGroup::fail(std::string_view what, double seconds) noexcept {
  if (!connection_ || size() == 1) return true;
  auto& mpi = *connection_;
  if (std::exchange(mpi.failed, true)) return true;
  try {
    mpi.farewell = (rank_ == 0 && mpi.heard ? "" : name(rank_) + ": ") + std::string(what);
    mpi.farewell.resize(std::min<std::size_t>(mpi.farewell.size(), Connection::longest_fault));
    if (rank_ == 0 || mpi.heard) return true;
    mpi.tell(0, mpi.farewell);
    mpi.wait_until([] { return false; }, seconds);
    return false;
  } catch (const GroupError&) {
    return mpi.heard;
  }
}

}  // namespace neural_attention
