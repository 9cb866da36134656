// What mpi/mpi_group.hpp declares, for neural_attention::mpi: all that calls MPI.
#include "neural_attention/mpi/mpi_group.hpp"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "neural_attention/core/available_threads.hpp"
#include "rank_exchanges.hpp"
#include "rank_messages.hpp"

namespace neural_attention {

struct MpiGroup::Connection {
  explicit Connection(const MpiGroup& group) : messages(group) {}

  /// Until the process ends: MPI may still read and write what belongs to messages after a fault.
  static void keep(std::unique_ptr<Connection> connection) {
    static auto* const kept = new std::vector<std::unique_ptr<Connection>>;
    kept->push_back(std::move(connection));
  }

  mpi_detail::RankMessages messages;
  std::optional<mpi_detail::RankExchanges> exchanges;
  double timeout = 0.0;
  bool initialised = false;  ///< MPI, by this object
};

namespace mpi_detail {

/// Whether a launcher of MPI started this process: Open MPI, MPICH and their relatives, Slurm's PMIx.
inline bool was_launched() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name)) return true;
  return false;
}

/// This process's host and, behind a null, the numbers of the CPUs that it may use.
inline std::string place_of_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string place = host.data();
  place += '\0';
  const auto cpus = allowed_cpu_numbers();
  return place.append(reinterpret_cast<const char*>(cpus.data()), cpus.size() * sizeof(int));
}

inline std::vector<int> cpus_of_place(const std::string& place) {
  const auto begin = place.find('\0') + 1;
  std::vector<int> cpus((place.size() - begin) / sizeof(int));
  std::memcpy(cpus.data(), place.data() + begin, cpus.size() * sizeof(int));
  return cpus;
}

}  // namespace mpi_detail

MpiGroup::MpiGroup(const MpiOptions& options) {
  int initialised = 0, ended = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&ended);
  if (ended) throw GroupError("MPI has ended in this process, and it cannot begin again");
  if (!initialised && !mpi_detail::was_launched()) return;
  auto made = std::make_unique<Connection>(*this);
  made->timeout = options.timeout;
  if (!initialised) {
    int given = 0;
    made->messages.check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given), "the start of MPI");
    made->initialised = true;
  }
  int threads = MPI_THREAD_SINGLE, size = 1;
  MPI_Query_thread(&threads);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  hosts_.assign(static_cast<std::size_t>(size), "a host");  // until they have said their names
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  made->messages.join();
  made->exchanges.emplace(*this, made->messages, options.timeout, threads >= MPI_THREAD_SERIALIZED);
  connection_ = std::move(made);
  try {
    meet();
  } catch (const std::exception& error) {
    fail(error.what(), 0.0);
    try {
      connection_->messages.tell_others();
    } catch (const std::exception&) {  // the others have ended otherwise
    }
    Connection::keep(std::move(connection_));
    throw;
  }
}

void MpiGroup::meet() {
  const auto places = gather(std::string_view(mpi_detail::place_of_process()));
  for (std::size_t r = 0; r < places.size(); ++r) hosts_[r] = places[r].c_str();
  std::vector<std::vector<int>> cpus_here;
  for (std::size_t r = 0; r < places.size(); ++r)
    if (hosts_[r] == hosts_[static_cast<std::size_t>(rank_)]) cpus_here.push_back(mpi_detail::cpus_of_place(places[r]));
  cpus_ = shared_cpus(allowed_cpu_numbers(), cpus_here, control_group_cpus());
}

MpiGroup::~MpiGroup() {
  if (!connection_) return;
  auto& messages = connection_->messages;
  if (!messages.failed() && std::uncaught_exceptions() > 0) fail("an exception ended it", 0.0);
  try {
    if (messages.failed()) {
      messages.tell_others();
    } else {
      connection_->exchanges->abandon();
      wait_for_all();
      messages.leave();
      if (connection_->initialised) MPI_Finalize();
      return;
    }
  } catch (const std::exception&) {  // a rank has failed, or the others have ended otherwise
    try {
      messages.refuse();
    } catch (const std::exception&) {
    }
  }
  Connection::keep(std::move(connection_));
}

std::string MpiGroup::name(int rank) const {
  return "rank " + std::to_string(rank) + " on " + hosts_[static_cast<std::size_t>(rank)];
}

std::string MpiGroup::named(std::string_view what) const {
  for (int r = 0; r < size(); ++r)
    if (what.find(name(r)) != std::string_view::npos) return std::string(what);
  return name(rank_) + ": " + std::string(what);
}

void MpiGroup::broadcast(std::span<std::byte> bytes) {
  if (size() == 1) return;
  constexpr std::size_t most = std::size_t{1} << 24;
  auto& messages = connection_->messages;
  for (std::size_t first = 0; first < bytes.size(); first += most) {
    const auto part = bytes.subspan(first, std::min(most, bytes.size() - first)), sent = messages.room(part.size());
    if (rank_ == 0) std::ranges::copy(part, sent.begin());
    messages.all_at(
        [&](MPI_Request* request) {
          return MPI_Ibcast(sent.data(), static_cast<int>(sent.size()), MPI_BYTE, 0, messages.world, request);
        },
        MpiOptions::patience * connection_->timeout, "a broadcast");
    if (rank_ > 0) std::ranges::copy(sent, part.begin());
  }
}

std::span<const std::byte> MpiGroup::gathered(std::span<const std::byte> mine, double seconds) {
  auto& messages = connection_->messages;
  const auto count = mine.size();
  if (count > std::size_t{std::numeric_limits<int>::max()})
    throw ConfigError("a rank gives at most " + std::to_string(std::numeric_limits<int>::max()) +
                      " bytes to be gathered, not " + std::to_string(count));
  const auto room = messages.room(count * (hosts_.size() + 1));
  const auto sent = room.last(count), all = room.first(count * hosts_.size());
  std::ranges::copy(mine, sent.begin());
  messages.all_at(
      [&](MPI_Request* request) {
        return MPI_Iallgather(sent.data(), static_cast<int>(count), MPI_BYTE, all.data(), static_cast<int>(count),
                              MPI_BYTE, messages.world, request);
      },
      seconds, "an exchange");
  return all;
}

void MpiGroup::gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  std::ranges::copy(size() == 1 ? mine : gathered(mine, connection_->timeout), all.begin());
}

std::vector<std::string> MpiGroup::gather(std::string_view mine) {
  if (size() == 1) return {std::string(mine)};
  const double seconds = MpiOptions::patience * connection_->timeout;
  const std::size_t length = mine.size();
  std::vector<std::size_t> lengths(hosts_.size());
  std::ranges::copy(gathered(std::as_bytes(std::span(&length, 1)), seconds),
                    std::as_writable_bytes(std::span(lengths)).begin());
  const auto longest = *std::max_element(lengths.begin(), lengths.end());
  const auto most = std::max<std::size_t>((std::size_t{1} << 26) / lengths.size(), 4096);  // of a text at a time
  std::vector<std::string> texts(lengths.size());
  for (std::size_t first = 0; first < longest; first += most) {
    const auto count = std::min(most, longest - first);
    std::string piece(mine.substr(std::min(first, mine.size()), count));
    piece.resize(count);
    const auto all = gathered(std::as_bytes(std::span(piece)), seconds);
    for (std::size_t i = 0; i < texts.size(); ++i)
      texts[i].append(reinterpret_cast<const char*>(all.data()) + i * count,
                      std::min(count, lengths[i] - std::min(first, lengths[i])));
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

void MpiGroup::wait_for_all() {
  if (size() == 1) return;
  auto& messages = connection_->messages;
  messages.room(0);  // throws if the group has failed
  messages.all_at([&](MPI_Request* request) { return MPI_Ibarrier(messages.world, request); },
                  MpiOptions::patience * connection_->timeout, "the wait at the end");
}

void MpiGroup::wait_until(const std::function<bool()>& done, const char* what) {
  auto& messages = connection_->messages;
  messages.room(0);  // throws if the group has failed
  if (!messages.wait_until(done, connection_->timeout)) messages.give_up(connection_->timeout, "another rank", what);
}

bool MpiGroup::failed() const { return connection_ && connection_->messages.failed(); }

void MpiGroup::begin(Exchange exchange, std::span<float> x) {
  if (size() > 1) connection_->exchanges->begin(exchange, x);
}

void MpiGroup::begin(Exchange exchange, std::span<double> x) {
  if (size() > 1) connection_->exchanges->begin(exchange, x);
}

void MpiGroup::finish() {
  if (size() > 1) connection_->exchanges->finish();
}

void MpiGroup::abandon() noexcept {
  if (size() > 1) connection_->exchanges->abandon();
}

void MpiGroup::sum_outcomes(StepOutcome& outcome, bool has, double squared_norm) {
  if (size() == 1) return;
  using Sums = std::array<double, 3>;
  const Sums mine = {has ? outcome.smoothed_loss : 0.0, has ? outcome.negative_log_likelihood : 0.0, squared_norm};
  const auto all = gathered(std::as_bytes(std::span(&mine, 1)), connection_->timeout);
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
  if (size() == 1 || connection_->messages.failed()) return false;
  abandon();
  try {
    return connection_->messages.report(named(what), seconds);
  } catch (...) {  // also of full memory
    return false;
  }
}

}  // namespace neural_attention
