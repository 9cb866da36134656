// A model of tests/golden/marian with the golden values and batch: what tests/reference/marian_goldens.py wrote is
// loaded here and computed again, on any backend and with any projections that the file's config.json names.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "golden_file.hpp"
#include "models/perturbed.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/train/training_step.hpp"

namespace golden {

namespace na = neural_attention;

/// Everything that is compared, under the names of the goldens.
using Results = std::map<std::string, std::vector<double>>;

/// One setting of Hugging Face's generate, and the results of each sentence.
struct Generation {
  na::GenerationConfig how;
  std::vector<std::vector<na::Hypothesis>> results;
};

inline nlohmann::json description(const std::string& preset) {
  return na::io::read_json(folder() / "marian" / (preset + ".json"));
}

inline std::vector<Generation> generations(const nlohmann::json& description) {
  const std::string path = description.at("preset").get<std::string>() + ".json";
  std::vector<Generation> all;
  for (const auto& one : description.at("generations")) {
    auto& added = all.emplace_back(Generation{na::io::generation_config(one.at("config"), path), {}});
    for (const auto& sentence : one.at("results")) {
      auto& results = added.results.emplace_back();
      for (const auto& result : sentence) results.push_back({result.at("ids"), result.value("score", 0.0)});
    }
  }
  return all;
}

template <class B, class T>
std::vector<double> on_host(B& backend, na::RowsOf<T> x) {
  std::vector<T> host(static_cast<std::size_t>(x.size()));
  backend.download(x, host);
  return {host.begin(), host.end()};
}

template <class B, class P>
struct Subject {
  using Model = na::Marian<B, P>;

  Subject(const std::string& preset, File& goldens, int threads = 1)
      : about(description(preset)),
        backend(threads),
        model(backend, na::io::marian_config(about.at("config"), preset + ".json")),
        batch(model.config().pad_token_id) {
    BOOST_REQUIRE(about.at("config").at("decoder_start_token_id") == model.config().pad_token_id);
    BOOST_REQUIRE(about.at("config").at("dropout") == 0.0);
    load(goldens);
    sources = goldens.sequences("input.source_ids", "input.source_offsets");
    const auto targets = goldens.sequences("input.target_ids", "input.target_offsets");
    BOOST_REQUIRE(sources.size() == targets.size());
    BOOST_REQUIRE(!sources.empty());
    for (std::size_t i = 0; i < sources.size(); ++i) batch.push(sources[i], targets[i]);
  }

  void load(File& goldens) {
    for (const auto& entry : model.parameters().entries()) {
      const auto name = "param." + entry.name;
      const auto expected =
          entry.vector ? std::vector<std::int64_t>{entry.cols} : std::vector<std::int64_t>{entry.rows, entry.cols};
      BOOST_TEST(goldens.shape(name) == expected, "the shape of " << name);
      backend.upload(goldens.read<typename B::Scalar>(name), model.parameters().value(entry));
    }
  }

  void forward(Results& results) {
    auto step = memory.begin(true);
    model.check(batch);
    const auto encoded = model.encode(step, batch, saved);
    const auto decoded = model.decode(step, batch, encoded, saved);
    results["output.encoder_embedding"] = on_host(backend, saved.source_embedding);
    results["output.decoder_embedding"] = on_host(backend, saved.target_embedding);
    const auto layers = [&](const std::string& side, const auto& outputs) {
      for (std::size_t i = 0; i < outputs.size(); ++i)
        results["output." + side + "_layer." + std::to_string(i)] = on_host(backend, outputs[i]);
    };
    layers("encoder", saved.encoder.outputs);
    layers("decoder", saved.decoder.outputs);
    results["output.encoder"] = on_host(backend, encoded);
    results["output.decoder"] = on_host(backend, decoded);
    const auto logits = step.scratch.rows(decoded.rows, model.config().vocab_size);
    model.logits(step, decoded, logits);
    results["output.logits"] = on_host(backend, logits);
  }

  void gradients(Results& results, const std::string& prefix, const std::string& loss_name, double smoothing) {
    const auto tokens = static_cast<double>(batch.labels.size());
    model.parameters().zero_gradients();
    auto step = memory.begin(true);
    const auto sums = model.loss_and_gradient(step, batch, smoothing, 1.0 / tokens, saved);
    BOOST_TEST(sums.tokens == static_cast<long>(tokens));
    results[loss_name] = {sums.smoothed / tokens};
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results[prefix + entry.name] = on_host(backend, model.parameters().gradient(entry));
    auto inference = memory.begin(false);
    const auto alone = model.loss(inference, batch, smoothing, saved);
    if constexpr (!std::is_same_v<B, Perturbed>) {  // its errors differ from call to call
      const double few_bits = 8 * static_cast<double>(std::numeric_limits<typename B::Scalar>::epsilon());
      BOOST_TEST(std::abs(alone.smoothed - sums.smoothed) <= few_bits * sums.smoothed);
      BOOST_TEST(std::abs(alone.negative_log_likelihood - sums.negative_log_likelihood) <=
                 few_bits * sums.negative_log_likelihood);
    }
  }

  void train(Results& results) {
    const auto& how = about.at("adamw");
    na::StepOptions options;
    options.learning_rate = how.at("learning_rate");
    options.schedule = {na::Schedule::Kind::Linear, 0, how.at("steps")};
    options.max_gradient_norm = how.at("max_gradient_norm");
    na::AdamOptions adam;
    adam.beta1 = how.at("betas").at(0);
    adam.beta2 = how.at("betas").at(1);
    adam.epsilon = how.at("eps");
    adam.weight_decay = how.at("weight_decay");
    const std::set<std::string> undecayed = how.at("no_decay_parameters");
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) BOOST_TEST(entry.vector == undecayed.contains(entry.name), entry.name);
    na::TrainingStep<Model> training(backend, model, options, adam);
    for (int i = 0; i < how.at("steps").template get<int>(); ++i) {
      const auto result = training.run(std::span(&batch, 1));
      results["adamw.losses"].push_back(result.loss.smoothed / double(result.loss.tokens));
      results["adamw.gradient_norms"].push_back(result.gradient_norm);
      results["adamw.learning_rates"].push_back(result.learning_rate);
    }
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results["adamw." + entry.name] = on_host(backend, model.parameters().value(entry));
  }

  /// All that needs no training.
  Results run() {
    Results results;
    forward(results);
    gradients(results, "grad.", "output.loss", 0.0);
    gradients(results, "grad_smoothed.", "output.loss_smoothed", about.at("label_smoothing"));
    return results;
  }

  nlohmann::json about;
  B backend;
  Model model;
  na::TranslationBatch batch;
  std::vector<std::vector<int>> sources;
  na::StepMemory<B> memory{backend};
  typename Model::Saved saved;
};

}  // namespace golden
