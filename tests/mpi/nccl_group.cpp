// An NcclGroup of the ranks that mpirun started. CUDA is the tests' emulation on the CPU, and NCCL's place is taken by
// stand_in/nccl.h: what NcclGroup makes of both is tested, not they.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mpi_nccl_group
#include "neural_attention/nccl/nccl_group.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/mma_emulation.hpp"
#include "gpu_exchanges.cuh"
#include "models/tiny_marian.hpp"
#include "nccl_group.cu"
#include "neural_attention/cuda.hpp"
#include "neural_attention/mpi/mpi_group.hpp"
#include "neural_attention/train/step_share.hpp"
#include "neural_attention/train/training_step.hpp"
#include "train/largest_difference.hpp"

using namespace neural_attention;

namespace {

using Gpus = std::tuple<Cuda<float>, Cuda<bfloat16>>;

MpiGroup& ranks() {
  static MpiGroup all({.timeout = 60.0});
  return all;
}

/// With so little memory that an exchange takes several rounds.
NcclGroup& group() {
  static NcclGroup all(ranks(), {.memory = std::size_t{1} << 16});
  return all;
}

template <class B>
struct OnDevice {
  OnDevice(B& backend, const std::vector<float>& host)
      : memory(backend.allocate(host.size() * sizeof(float))),
        x(static_cast<float*>(memory.data()), 1, static_cast<int>(host.size())) {
    backend(ops::UploadOf<float>{.values = host, .x = x});
  }
  std::vector<float> values(B& backend) const {
    std::vector<float> host(static_cast<std::size_t>(x.cols));
    backend(ops::DownloadOf<float>{.x = x, .values = host});
    return host;
  }

  typename B::Memory memory;
  RowsOf<float> x;
};

/// Numbers whose sums depend on the order.
std::vector<float> numbers(std::size_t count, int rank) {
  RandomStream random({7, static_cast<std::uint32_t>(rank), 0});
  std::vector<float> x(count);
  for (auto& one : x) one = static_cast<float>(random.normal() * std::pow(10.0, rank));
  return x;
}

struct Run {
  std::vector<double> losses;
  std::vector<float> parameters;
  int held = 0;  ///< numbers of each moment
};

template <class G>
Run trained(G& how, bool sharded) {
  using B = Cuda<float>;
  using Model = Marian<B, tiny::Mixed>;
  B backend;
  Model model(backend, tiny::config(2, 8, 0.1), 5);
  StepOptions options;
  options.learning_rate = 3e-3;
  options.schedule.kind = Schedule::Kind::Constant;
  options.max_gradient_norm = 0.5;
  options.shard_optimizer = sharded;
  TrainingStep<Model, Adam<B>, G> training(backend, model, options, {}, how);
  StepShare<TranslationBatch> share(TranslationBatch(8));
  std::vector parts(1, tiny::batch(tiny::pairs()));
  const auto labels = static_cast<long>(parts[0].labels.size());
  Run run;
  for (int step = 0; step < 4; ++step) {
    training.launch(how.size() > 1 ? share.of(std::span(parts), how.rank(), how.size()) : std::span(parts), labels);
    run.losses.push_back(training.result().loss.smoothed);
  }
  run.parameters = tiny::values(backend, model.parameters());
  run.held = training.optimizer().moments().front().numbers.cols;
  return run;
}

/// Whether the error's message has `text`. Its rank says so, as programs do, and the other ranks hear of it.
auto says(MpiGroup& all, const std::string& text) {
  return [&all, text](const std::exception& error) {
    BOOST_TEST_MESSAGE(error.what());
    all.fail(error.what());
    return std::string(error.what()).find(text) != std::string::npos;
  };
}

/// The ranks of a test in which some fail. They end together: mpirun kills the others of one that ends early.
class FailingRanks {
 public:
  explicit FailingRanks(double timeout) {
    all.emplace(MpiOptions{.timeout = timeout});
    gpus.emplace(*all, NcclOptions{.patience = 2.0});
    backend.emplace();
    x.emplace(*backend, numbers(1000, all->rank()));
  }
  ~FailingRanks() {
    x.reset();
    gpus.reset();
    BOOST_TEST(stand_in::aborted == 1);
    all.reset();
    std::this_thread::sleep_until(begin_ + std::chrono::seconds(8));
  }
  void sum() {
    gpus->begin(*backend, Exchange::Sum, x->x);
    gpus->finish();
  }

  std::optional<MpiGroup> all;
  std::optional<NcclGroup> gpus;
  std::optional<Cuda<float>> backend;
  std::optional<OnDevice<Cuda<float>>> x;

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

BOOST_AUTO_TEST_SUITE(endings)

BOOST_AUTO_TEST_CASE(are_clean) {
  std::optional<NcclGroup> all(std::in_place, ranks());
  Cuda<float> backend;
  const OnDevice x(backend, numbers(1000, ranks().rank()));
  all->begin(backend, Exchange::Sum, x.x);
  all.reset();  // without finish()
  const int several = ranks().size() > 1;
  BOOST_TEST(stand_in::finalized == several);
  BOOST_TEST(stand_in::destroyed == several);
  BOOST_TEST(stand_in::aborted == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(devices)

BOOST_AUTO_TEST_CASE(fall_to_ranks_in_their_order) {
  const std::vector<std::string> host = {"a", "b"}, other = {"c", "d"};
  for (const auto& [seen, expected] : std::vector<std::pair<std::vector<std::vector<std::string>>, std::vector<int>>>{
           {{host, host, other, other}, {0, 1, 0, 1}},
           {{{"a"}, {"b"}, {"c"}}, {0, 0, 0}},  // a launcher has given each rank its own
           {{host, other, other, host}, {0, 0, 1, 1}},
           {{host, host, host, other}, {0, 1, -1, 0}}})
    for (std::size_t r = 0; r < seen.size(); ++r) BOOST_TEST(gpu_of_rank(seen, static_cast<int>(r)) == expected[r]);
  // All see the four devices of the emulation.
  group();
  BOOST_TEST(default_cuda_device == ranks().rank());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(exchanges)

BOOST_AUTO_TEST_CASE_TEMPLATE(give_the_bits_of_an_mpi_group, B, Gpus) {
  group();
  B backend;
  for (const auto exchange : {Exchange::Sum, Exchange::SumShares, Exchange::GatherShares}) {
    std::vector<std::vector<float>> on_host;
    std::vector<OnDevice<B>> on_device;
    for (const std::size_t count : {0, 1, 33, 1000, 50005}) {
      on_host.push_back(numbers(count, ranks().rank()));
      on_device.emplace_back(backend, on_host.back());
    }
    for (auto& x : on_host) ranks().begin(exchange, std::span(x));
    ranks().finish();
    for (auto& x : on_device) group().begin(backend, exchange, x.x);
    group().finish();
    for (std::size_t i = 0; i < on_host.size(); ++i) BOOST_TEST((on_device[i].values(backend) == on_host[i]));
  }
}

BOOST_AUTO_TEST_CASE(give_all_ranks_the_numbers_of_rank_0) {
  group();
  Cuda<float> backend;
  const OnDevice x(backend, numbers(1000, ranks().rank()));
  group().broadcast(backend, x.x);
  BOOST_TEST((x.values(backend) == numbers(1000, 0)));
}

BOOST_AUTO_TEST_CASE(add_up_outcomes) {
  group();
  Cuda<float> backend;
  const auto memory = backend.allocate(sizeof(StepOutcome));
  auto* const outcome = static_cast<StepOutcome*>(memory.data());  // the host's, in the emulation
  *outcome = {};
  outcome->smoothed_loss = ranks().rank() + 1.0;
  outcome->negative_log_likelihood = 2.0;
  const int last = ranks().size() - 1;
  group().sum_outcomes(backend, outcome, ranks().rank() < last || last == 0, 0.5);
  const double counted = std::max(last, 1);
  BOOST_TEST(outcome->smoothed_loss == (last == 0 ? 1.0 : counted * (counted + 1.0) / 2.0));
  BOOST_TEST(outcome->negative_log_likelihood == 2.0 * counted);
  if (last == 0) return;  // a group of one leaves the outcome alone
  BOOST_TEST(outcome->squared_norm == 0.5 * ranks().size());
  BOOST_TEST(group().first_not_finite() == -1);
  outcome->smoothed_loss = ranks().rank() == last ? std::numeric_limits<double>::quiet_NaN() : 1.0;
  group().sum_outcomes(backend, outcome, true, 0.0);
  BOOST_TEST(group().first_not_finite() == last);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(steps)

BOOST_AUTO_TEST_CASE(have_the_losses_of_one_process) {
  group();
  const auto expected = trained(alone_group, false);
  for (const bool sharded : {false, true}) {
    const auto found = trained(group(), sharded);
    BOOST_TEST(largest_difference(found.losses, expected.losses) <= 1e-4);
    const auto bytes = std::string_view(reinterpret_cast<const char*>(found.parameters.data()),
                                        found.parameters.size() * sizeof(float));
    const auto of_ranks = ranks().gather(bytes);
    BOOST_TEST(std::ranges::count(of_ranks, of_ranks[0]) == std::ssize(of_ranks));
    BOOST_TEST((trained(group(), sharded).parameters == found.parameters));
    BOOST_TEST((sharded && ranks().size() > 1 ? found.held < expected.held : found.held == expected.held));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(faults)

BOOST_AUTO_TEST_CASE(of_a_rank_that_hangs_end_all) {
  FailingRanks ranks(1.0);
  const int last = ranks.all->size() - 1;
  const auto expected = " has waited 1 s for " + ranks.all->name(last) + " in an exchange of gradients";
  if (ranks.all->rank() == last) std::this_thread::sleep_for(std::chrono::seconds(3));
  BOOST_CHECK_EXCEPTION(ranks.sum(), GroupError, says(*ranks.all, expected));
  ranks.gpus->abandon();
  BOOST_CHECK_THROW(ranks.sum(), GroupError);
}

BOOST_AUTO_TEST_CASE(of_a_rank_that_fails_end_all) {
  FailingRanks ranks(20.0);
  if (ranks.all->rank() == ranks.all->size() - 1) {
    ranks.gpus->abandon();
    BOOST_TEST(ranks.all->fail("its memory is full"));
  } else {
    BOOST_CHECK_EXCEPTION(ranks.sum(), GroupError, says(*ranks.all, "its memory is full"));
    ranks.gpus->abandon();
  }
}

BOOST_AUTO_TEST_CASE(of_nccl_end_all) {
  FailingRanks ranks(60.0);
  if (ranks.all->rank() == 0) stand_in::next_state = ncclRemoteError;
  BOOST_CHECK_EXCEPTION(
      ranks.sum(), GroupError,
      says(*ranks.all, ranks.all->name(0) + ": an exchange of gradients failed: remote process exited"));
}

BOOST_AUTO_TEST_SUITE_END()
