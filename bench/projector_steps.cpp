// The time of a training step with each projector in all four roles, as a multiple of that with linear ones; written
// into the table of docs/projectors.md:
//   projector_steps docs/projectors.md [rounds]
// A Marian of d 512 with 2 + 2 layers. In each round every projector makes a step, so other work of the machine meets
// all alike; the median of the rounds counts. A projector that cannot take all four roles gets a dash.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/neural_attention.hpp"
#include "projector_costs.hpp"
#include "random_batches.hpp"
#include "rates.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;
using Model = na::Marian<Backend, na::AnyProjections>;

na::MarianConfig config_with(const std::string& projector, int vocabulary) {
  auto config = na::marian_base(vocabulary);
  config.encoder_layers = config.decoder_layers = 2;
  na::for_each_role([&](const char*, na::ProjectorConfig& role) { role.type = projector; }, config);
  return config;
}

class Arm {
 public:
  Arm(Backend& backend, const std::string& projector, int vocabulary)
      : name(projector),
        model_(backend, config_with(projector, vocabulary)),
        step_(backend, model_, {.label_smoothing = 0.1}, {}) {}

  double seconds_of_a_step(std::vector<na::TranslationBatch>& parts) {
    const auto start = std::chrono::steady_clock::now();
    step_.run(std::span(parts));
    return bench::seconds_since(start);
  }

  const std::string name;
  std::vector<double> ratios;

 private:
  Model model_;
  na::TrainingStep<Model> step_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void measure(const std::string& path, int rounds) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  bench::measured_steps(page);  // throws where there is no table

  constexpr int vocabulary = 8000, tokens = 1200, untimed = 2;
  Backend backend;
  std::vector<std::unique_ptr<Arm>> arms;
  bench::MeasuredSteps steps;
  for (const auto name : na::AnyProjector<Backend>::names) {
    const std::string projector(name);
    try {
      Model::inspect(config_with(projector, vocabulary), [](const auto&) {});
    } catch (const na::ConfigError&) {  // it cannot take all roles
      steps[projector] = "–";
      continue;
    }
    arms.push_back(std::make_unique<Arm>(backend, projector, vocabulary));
  }
  std::vector<na::TranslationBatch> parts = {bench::random_pairs(tokens, vocabulary, bench::caption_length)};
  for (int round = -untimed; round < rounds; ++round) {
    double linear = 0.0;
    for (const auto& arm : arms) {
      const double seconds = arm->seconds_of_a_step(parts);
      if (arm->name == na::name_of_projector<na::Linear>) linear = seconds;  // the first of the list
      if (round >= 0) arm->ratios.push_back(seconds / linear);
    }
  }

  for (const auto& arm : arms) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", median(arm->ratios));
    steps[arm->name] = text;
  }
  const auto table = bench::costs_table(bench::projector_costs(512), steps);
  std::fputs(table.c_str(), stdout);
  std::ofstream out(path, std::ios::binary);
  if (!(out << bench::with_table(page, table)).flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 2 ? std::atoi(arguments[2]) : 15;
  if (count < 2 || count > 3 || rounds < 1) {
    std::fputs("usage: projector_steps PAGE [rounds]\n", stderr);
    return 2;
  }
  try {
    measure(arguments[1], rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "projector_steps: %s\n", error.what());
    return 1;
  }
}
