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

#include "neural_attention/core/background_jobs.hpp"
#include "neural_attention/core/number_text.hpp"

namespace neural_attention {

/// What MPI gives, and the memory of sums.
struct MpiGroup::Connection {
  using Clock = std::chrono::steady_clock;
  enum Tag { contribution, total, fault };
  static constexpr int longest_fault = 4096;
  static constexpr std::ptrdiff_t slice_bytes = std::ptrdiff_t{1} << 18;  ///< of one message in a sum

  /// An exchange of `count` numbers, floats or doubles.
  struct Job {
    Exchange exchange;
    bool doubles;
    void* numbers;
    std::size_t count;
  };

  Connection(const MpiGroup& owner, const MpiOptions& options)
      : group(&owner), timeout(options.timeout), jobs([this](const Job& job) {
          in_background = true;
          work(job);
        }) {}

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
  /// fewer than ranks, and rank 0 may evaluate for minutes. In the background it does so at once, as the processor's
  /// other thread computes.
  bool wait_until(auto&& done, double seconds) {
    const auto start = Clock::now();
    for (long tries = 0; !done(); ++tries) {
      const bool background = in_background && !jobs.waited_for();
      if (!background && tries % 16 != 15) continue;
      if (in_background && jobs.stopping()) throw GroupError("the exchange was stopped");
      listen();
      const std::chrono::duration<double> waited = Clock::now() - start;
      if (waited.count() > seconds) return false;
      if (!background && waited.count() < 2e-3)
        sched_yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(waited.count() < 1.0 ? 50 : 500));
    }
    return true;
  }

  /// Waits for messages from or to `awaited`, which the error names.
  void wait(std::span<MPI_Request> open, std::span<const int> awaited, const char* what) {
    const auto done = [&] {
      int all = 0;
      check(MPI_Testall(static_cast<int>(open.size()), open.data(), &all, MPI_STATUSES_IGNORE), what);
      return all != 0;
    };
    if (wait_until(done, timeout)) return;
    auto silent = group->name(awaited.front());
    for (std::size_t i = 0; i < open.size(); ++i) {
      int one = 0;
      MPI_Test(&open[i], &one, MPI_STATUS_IGNORE);
      if (one) continue;
      silent = group->name(awaited[i]);
      break;
    }
    throw GroupError(group->name(group->rank()) + " has waited " + number_text(timeout) + " s for " + silent + " in " +
                     what);
  }

  /// One round of an exchange of `x`, of `slice` numbers of each rank's share at most, those from `first` on. Each rank
  /// adds up all ranks' numbers of its slice, or has its slice, and sends it to all.
  template <class T>
  void round(Exchange exchange, std::span<T> x, int first, int slice) {
    const int ranks = group->size(), me = group->rank();
    const auto type = std::is_same_v<T, float> ? MPI_FLOAT : MPI_DOUBLE;
    const auto share = [&](int rank) { return share_of(static_cast<int>(x.size()), rank, ranks); };
    const auto begin = [&](int rank) { return x.data() + share(rank).first + std::min(first, share(rank).count); };
    const auto length = [&](int rank) { return std::clamp(share(rank).count - first, 0, slice); };
    T* const received = static_cast<T*>(memory.data());
    const auto mine = static_cast<std::size_t>(length(me));
    const auto add = [&](int peer, auto&& start) {
      requests.emplace_back(MPI_REQUEST_NULL);
      peers.push_back(peer);
      check(start(&requests.back()), "an exchange of gradients");
    };
    // Rank r begins behind itself, so that not all send to one rank at first.
    const auto with_others = [&](auto&& receive, auto&& send) {
      requests.clear();
      peers.clear();
      for (int i = 1; i < ranks; ++i) receive((me + i) % ranks);
      for (int i = 1; i < ranks; ++i) send((me + i) % ranks);
      wait(requests, peers, "an exchange of gradients");
    };
    if (exchange != Exchange::GatherShares) {
      with_others(
          [&](int from) {
            T* const place = received + static_cast<std::size_t>(from) * mine;
            add(from, [&](MPI_Request* request) {
              return MPI_Irecv(place, length(me), type, from, contribution, world, request);
            });
          },
          [&](int to) {
            add(to, [&](MPI_Request* request) {
              return MPI_Isend(begin(to), length(to), type, to, contribution, world, request);
            });
          });
      add_in_order(begin(me), received, mine);
    }
    if (exchange != Exchange::SumShares)
      with_others(
          [&](int from) {
            add(from, [&](MPI_Request* request) {
              return MPI_Irecv(begin(from), length(from), type, from, total, world, request);
            });
          },
          [&](int to) {
            add(to, [&](MPI_Request* request) {
              return MPI_Isend(begin(me), length(me), type, to, total, world, request);
            });
          });
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
  void exchange_all(Exchange exchange, std::span<T> x) {
    const int slice = static_cast<int>(slice_bytes / std::ptrdiff_t{sizeof(T)});
    if (!memory.data()) memory = CpuMemory(static_cast<std::size_t>(slice_bytes * group->size()));
    int longest = 0;
    for (int r = 0; r < group->size(); ++r)
      longest = std::max(longest, share_of(static_cast<int>(x.size()), r, group->size()).count);
    for (int first = 0; first < longest; first += slice) round(exchange, x, first, slice);
  }

  void work(const Job& job) {
    if (job.doubles)
      exchange_all(job.exchange, std::span(static_cast<double*>(job.numbers), job.count));
    else
      exchange_all(job.exchange, std::span(static_cast<float*>(job.numbers), job.count));
  }

  template <class T>
  void begin(Exchange exchange, std::span<T> x) {
    if (x.size() > std::size_t{std::numeric_limits<int>::max()})
      throw ConfigError("an exchange has at most " + std::to_string(std::numeric_limits<int>::max()) + " numbers");
    const Job job{exchange, std::is_same_v<T, double>, x.data(), x.size()};
    if (threads_take_turns)
      jobs.give(job);
    else
      later.push_back(job);
  }

  void finish() {
    jobs.wait();
    for (const auto& job : later) work(job);
    later.clear();
  }

  /// Ends the exchange that threw, if one did: what it sends and receives may be freed next. Receiving is cancelled;
  /// sending goes on for a second at most.
  void close_requests() noexcept {
    const std::size_t received = requests.size() / 2;
    for (std::size_t i = 0; i < received; ++i)
      if (requests[i] != MPI_REQUEST_NULL) MPI_Cancel(&requests[i]);
    const auto until = Clock::now() + std::chrono::seconds(1);
    for (int done = 0; !done && Clock::now() < until;)
      if (MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
        break;
    requests.clear();
  }

  void abandon() noexcept {
    jobs.stop();
    later.clear();
    close_requests();
  }

  /// Something that all ranks do together. Without a limit, waits for them as long as it takes.
  void all_at(auto&& start, const char* what, bool limited) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(start(&request), what);
    const auto done = [&] {
      int all = 0;
      check(MPI_Test(&request, &all, MPI_STATUS_IGNORE), what);
      return all != 0;
    };
    if (!wait_until(done, limited ? timeout : std::numeric_limits<double>::infinity()))
      throw GroupError(group->name(group->rank()) + " has waited " + number_text(timeout) + " s for another rank in " +
                       what);
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
  bool threads_take_turns = true;
  std::vector<Job> later;                  ///< those of finish(), where threads may not take turns
  static thread_local bool in_background;  ///< of this thread: whether it does `jobs`
  BackgroundJobs<Job> jobs;                ///< the last member: its thread uses the others
};

thread_local bool MpiGroup::Connection::in_background = false;

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
  int threads = MPI_THREAD_SINGLE;
  MPI_Query_thread(&threads);
  made->threads_take_turns = threads >= MPI_THREAD_SERIALIZED;
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  hosts_.assign(static_cast<std::size_t>(size), "a host");  // until they have said their names
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  for (auto* const one : {&made->world, &made->faults}) {
    made->check(MPI_Comm_dup(MPI_COMM_WORLD, one), "the start of MPI");
    MPI_Comm_set_errhandler(*one, MPI_ERRORS_RETURN);
  }
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
    mpi.jobs.stop();
    mpi.all_at([&](MPI_Request* request) { return MPI_Ibarrier(mpi.world, request); }, "the end", false);
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
        "a broadcast", false);
  }
}

void MpiGroup::gather(std::span<const std::byte> mine, std::span<std::byte> all) { gather(mine, all, true); }

void MpiGroup::gather(std::span<const std::byte> mine, std::span<std::byte> all, bool limited) {
  if (size() == 1) {
    std::copy(mine.begin(), mine.end(), all.begin());
    return;
  }
  const auto count = static_cast<int>(mine.size());
  connection_->all_at(
      [&](MPI_Request* request) {
        return MPI_Iallgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, connection_->world, request);
      },
      "an exchange", limited);
}

std::vector<std::string> MpiGroup::gather(std::string_view mine) {
  constexpr std::size_t most = std::size_t{1} << 24;  // of a text at a time
  std::vector<std::size_t> lengths(hosts_.size());
  const std::size_t length = mine.size();
  gather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths)), false);
  const auto longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<std::string> texts(lengths.size());
  for (std::size_t first = 0; first < longest; first += most) {
    const auto count = std::min(most, longest - first);
    std::string piece(mine.substr(std::min(first, mine.size()), count)), all(count * lengths.size(), '\0');
    piece.resize(count);
    gather(std::as_bytes(std::span(piece)), std::as_writable_bytes(std::span(all)), false);
    for (std::size_t i = 0; i < texts.size(); ++i)
      texts[i].append(all, i * count, std::min(count, lengths[i] - std::min(first, lengths[i])));
  }
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

void MpiGroup::begin(Exchange exchange, std::span<float> x) {
  if (size() > 1) connection_->begin(exchange, x);
}

void MpiGroup::begin(Exchange exchange, std::span<double> x) {
  if (size() > 1) connection_->begin(exchange, x);
}

void MpiGroup::finish() {
  if (size() > 1) connection_->finish();
}

void MpiGroup::abandon() noexcept {
  if (size() > 1) connection_->abandon();
}

void MpiGroup::sum_outcomes(StepOutcome& outcome, bool has, double squared_norm) {
  if (size() == 1) return;
  using Sums = std::array<double, 3>;
  const Sums mine = {has ? outcome.smoothed_loss : 0.0, has ? outcome.negative_log_likelihood : 0.0, squared_norm};
  auto& all = connection_->gathered;
  all.resize(sizeof mine * hosts_.size());
  gather(std::as_bytes(std::span(&mine, 1)), all);
  first_not_finite_ = -1;
  Sums sums{};
  for (int r = 0; r < size(); ++r) {
    Sums one{};
    std::memcpy(&one, all.data() + static_cast<std::size_t>(r) * sizeof one, sizeof one);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += one[i];
    if (first_not_finite_ < 0 && !std::isfinite(one[0] + one[1])) first_not_finite_ = r;
  }
  outcome.smoothed_loss = sums[0];
  outcome.negative_log_likelihood = sums[1];
  outcome.squared_norm = sums[2];
}

bool MpiGroup::fail(std::string_view what, double seconds) noexcept {
  if (!connection_ || size() == 1) return true;
  auto& mpi = *connection_;
  if (std::exchange(mpi.failed, true)) return true;
  mpi.abandon();
  try {
    const bool named = (rank_ == 0 && mpi.heard) || what.starts_with(name(rank_));
    mpi.farewell = (named ? "" : name(rank_) + ": ") + std::string(what);
    mpi.farewell.resize(std::min<std::size_t>(mpi.farewell.size(), Connection::longest_fault));
    if (rank_ == 0 || mpi.heard) return true;
    mpi.tell(0, mpi.farewell);
    mpi.wait_until([] { return false; }, seconds);
    return false;
  } catch (...) {  // also of full memory
    return mpi.heard;
  }
}

}  // namespace neural_attention
