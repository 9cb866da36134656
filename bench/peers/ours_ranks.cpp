// Our side of compare_ranks.py: steps that the ranks of mpirun share, with what ours_training.cpp takes. A step takes
// as many batches of the file as there are ranks, cut evenly. Rank 0 prints one line of JSON.
#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/mpi/mpi_group.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/train/step_share.hpp"
#include "rates.hpp"
#include "serve.hpp"

namespace {

namespace na = neural_attention;
using B = na::Cpu<float>;
using Model = na::Marian<B, na::paper::marian>;

struct Options {
  std::string model, batches;
  int threads = 1, steps = 8;
  bool no_overlap = false, shard_optimizer = false;
};

/// The group of MPI, and how long its ranks wait for sums. Without overlap, sums begin after the backward pass.
class TimedGroup {
 public:
  explicit TimedGroup(bool overlap) : overlap_(overlap) {}

  int rank() const { return group_.rank(); }
  int size() const { return group_.size(); }
  std::string name(int rank) const { return group_.name(rank); }
  static int least_exchange() { return na::MpiGroup::least_exchange(); }
  void broadcast(std::span<std::byte> bytes) { group_.broadcast(bytes); }
  void gather(std::span<const std::byte> mine, std::span<std::byte> all) { group_.gather(mine, all); }
  void broadcast(B& backend, na::RowsOf<float> x) { group_.broadcast(backend, x); }
  void begin(B& backend, na::Exchange exchange, na::RowsOf<float> x) {
    if (overlap_)
      group_.begin(backend, exchange, x);
    else
      later_.push_back({&backend, exchange, x});
  }
  void finish() {
    const auto start = std::chrono::steady_clock::now();
    for (const auto& one : later_) group_.begin(*one.backend, one.exchange, one.x);
    later_.clear();
    group_.finish();
    waited += bench::seconds_since(start);
  }
  void abandon() { group_.abandon(); }
  void sum_outcomes(B& backend, na::StepOutcome* outcome, bool has, double squared_norm) {
    group_.sum_outcomes(backend, outcome, has, squared_norm);
  }
  int first_not_finite() const { return group_.first_not_finite(); }

  double waited = 0.0;  ///< seconds in finish()

 private:
  struct Begun {
    B* backend;
    na::Exchange exchange;
    na::RowsOf<float> x;
  };

  na::MpiGroup group_;
  bool overlap_;
  std::vector<Begun> later_;
};

void run(const Options& options) {
  TimedGroup group(!options.no_overlap);
  B backend(options.threads);
  const auto config = na::io::load_marian_config(options.model + "/config.json");
  Model model(backend, config, std::nullopt);
  na::io::load_model(options.model, backend, model);
  std::vector<na::TranslationBatch> batches;
  for (const auto& json : peers::read_batches(options.batches)) {
    auto& batch = batches.emplace_back(config.pad_token_id);
    for (const auto& pair : json) batch.push(pair.at("source").get<peers::Ids>(), pair.at("target").get<peers::Ids>());
  }
  na::TrainingStep<Model, na::Adam<B>, TimedGroup> training(
      backend, model, {.schedule = {na::Schedule::Kind::Constant}, .shard_optimizer = options.shard_optimizer}, {},
      group);
  na::StepShare<na::TranslationBatch> share{na::TranslationBatch(config.pad_token_id)};
  std::size_t next = 0;
  nlohmann::json seconds = nlohmann::json::array(), waited = nlohmann::json::array(), losses = nlohmann::json::array();
  double tokens = 0.0;
  for (int step = -2; step < options.steps; ++step) {  // the first two warm up
    std::vector<na::TranslationBatch> parts;
    long labels = 0;
    for (int r = 0; r < group.size(); ++r) {
      parts.push_back(batches[next++ % batches.size()]);
      if (r > 0) parts.back().follow(parts[parts.size() - 2]);
      labels += static_cast<long>(parts.back().labels.size());
    }
    na::of_first(group, 0);  // all begin together
    group.waited = 0.0;
    const auto start = std::chrono::steady_clock::now();
    training.launch(share.of(parts, group.rank(), group.size()), labels);
    const auto result = training.result();
    na::on_all(group, true);  // and end together
    if (step < 0) continue;
    seconds.push_back(bench::seconds_since(start));
    waited.push_back(group.waited);
    losses.push_back(result.loss.smoothed / double(result.loss.tokens));
    tokens += double(labels);
  }
  double moments = 0.0;
  for (const auto& moment : training.optimizer().moments()) moments += double(moment.numbers.size()) * sizeof(float);
  if (group.rank() == 0)
    peers::answer(
        {{"seconds", seconds}, {"waited", waited}, {"losses", losses}, {"tokens", tokens}, {"moments", moments}});
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("Training steps of several ranks for compare_ranks.py");
  app.add_option("model", options.model, "model directory")->required();
  app.add_option("batches", options.batches, "file of batches")->required();
  app.add_option("--threads", options.threads);
  app.add_option("--steps", options.steps);
  app.add_flag("--no_overlap", options.no_overlap, "sums begin after the backward pass");
  app.add_flag("--shard_optimizer", options.shard_optimizer);
  return peers::parse_and_run(app, count, arguments, [&] { run(options); });
}
