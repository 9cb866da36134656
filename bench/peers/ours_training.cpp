// Our side of the training rows: optimizer steps of a model directory on the batches of a file, with what Hugging
// Face's Trainer takes where nothing is said: AdamW, learning rate 5e-5, clipping at 1. One repetition is one step for
// each batch. hf_training.py is its counterpart.
#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "backend.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/neural_attention.hpp"
#include "serve.hpp"
#include "step_flops.hpp"

namespace {

namespace na = neural_attention;
using peers::Ids;

struct Options : peers::BackendOptions {
  std::string model, batches;
  bool no_dropout = false;
};

na::TranslationBatch batch(const na::MarianConfig& config, const nlohmann::json& json) {
  na::TranslationBatch result(config.pad_token_id);
  for (const auto& pair : json) result.push(pair.at("source").get<Ids>(), pair.at("target").get<Ids>());
  return result;
}

na::MaskedBatch batch(const na::RobertaConfig& config, const nlohmann::json& json) {
  na::MaskedBatch result(config.pad_token_id);
  for (const auto& one : json)
    result.push(one.at("ids").get<Ids>(), one.at("places").get<Ids>(), one.at("originals").get<Ids>());
  return result;
}

/// Windows of n ids, of which all but the first are predicted. No id is special.
na::CausalBatch batch(const na::Gpt2Config&, const nlohmann::json& json) {
  na::CausalBatch result;
  for (const auto& window : json) result.push(window.get<Ids>());
  return result;
}

void without_dropout(na::MarianConfig& config) {
  config.dropout = config.attention_dropout = config.activation_dropout = 0.0;
}
void without_dropout(na::RobertaConfig& config) {
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0;
}

void without_dropout(na::Gpt2Config& config) { config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0; }

/// Until the last parameters are made: a GPU may still be at work where its results were read.
template <class B>
void wait(B& backend, const na::ParameterStore<B>& store) {
  using Real = typename B::Real;
  Real one;
  backend(na::ops::DownloadOf<Real>{.x = store.values().columns(0, 1), .values = std::span(&one, 1)});
}

template <class Model, class Peaks>
void train(const Options& options, typename Model::Backend& backend, typename Model::Config config, Peaks&& peaks) {
  if (options.no_dropout) without_dropout(config);
  Model model(backend, config, std::nullopt);
  na::io::load_model(options.model, backend, model);

  std::vector<typename Model::Batch> batches;
  double tokens = 0.0, weight_flops = 0.0, attention_flops = 0.0;
  for (const auto& json : peers::read_batches(options.batches)) {
    const auto& added = batches.emplace_back(batch(config, json));
    tokens += double(added.counted_tokens());
    const auto flops = bench::step_flops(backend, model, added);
    weight_flops += flops.weights;
    attention_flops += flops.attention;
  }

  na::TrainingStep<Model> step(backend, model, {.schedule = {na::Schedule::Kind::Constant}}, {});
  const auto repetition = [&] {
    std::vector<double> losses, norms;
    for (auto& one : batches) {
      const auto result = step.run(std::span(&one, 1));
      losses.push_back(result.loss.smoothed / double(result.loss.tokens));
      norms.push_back(result.gradient_norm);
    }
    wait(backend, model.parameters());
    return nlohmann::json{{"losses", losses}, {"gradient_norms", norms}};
  };
  peers::serve({{"tokens", tokens}, {"weight_flops", weight_flops}, {"attention_flops", attention_flops}}, peaks,
               repetition);
}

void run(const Options& options) {
  const auto path = options.model + "/config.json";
  const auto type = na::io::read_json(path).at("model_type").get<std::string>();
  peers::on_backend(options, [&]<class B>(B& backend, auto&& peaks) {
    if (type == "gpt2")
      train<na::Gpt2<B, na::LinearProjections>>(options, backend, na::io::load_gpt2_config(path), peaks);
    else if (type == "roberta")
      train<na::Roberta<B, na::paper::roberta>>(options, backend, na::io::load_roberta_config(path), peaks);
    else
      train<na::Marian<B, na::paper::marian>>(options, backend, na::io::load_marian_config(path), peaks);
  });
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("Training steps for compare.py");
  app.add_option("model", options.model, "model directory")->required();
  app.add_option("batches", options.batches, "file of batches")->required();
  app.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--threads", options.threads);
  app.add_flag("--no_dropout", options.no_dropout, "to compare losses");
  return peers::parse_and_run(app, count, arguments, [&] { run(options); });
}
