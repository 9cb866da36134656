// Our side of the generation rows: a GPT-2 continues the prompts of a file as the model directory's
// generation_config.json says. One repetition continues every batch. hf_generation.py is its counterpart.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/neural_attention.hpp"
#include "rates.hpp"
#include "serve.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;
using Model = na::Gpt2<Backend, na::LinearProjections>;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string model, batches;
  int threads = 2;
  bool scores = false;
};

/// What a token of one sequence takes from memory at least, in the mean over its rounds: all weights, and all keys and
/// values so far. The position table and, but for the head, the embeddings are read one row at a time.
double bytes_per_round(const Model& model, std::size_t prompt, std::size_t rounds) {
  const auto& config = model.config();
  const double weights = double(model.parameters().count()) - double(config.max_position_embeddings) * config.n_embd;
  const double remembered = double(prompt) + double(rounds) / 2.0;
  return sizeof(float) * (weights + 2.0 * config.n_layer * config.n_embd * remembered);
}

/// The mean of -log p over all tokens of a text but the first.
double mean_loss(Backend& backend, Model& model, std::vector<int> text, const std::vector<int>& continued) {
  text.insert(text.end(), continued.begin(), continued.end());
  na::CausalBatch batch;
  batch.push(text);
  na::PassMemory<Backend> memory(backend);
  typename Model::Saved saved;
  const auto sum = model.loss(memory.begin_inference(), batch, 0.0, saved);
  return sum.smoothed / double(sum.tokens);
}

void run(const Options& options) {
  const auto config = na::io::load_gpt2_config(options.model + "/config.json");
  const auto how = na::io::load_generation_config(options.model, config);
  Backend backend(options.threads);
  Model model(backend, config, std::nullopt, na::Purpose::Inference);
  na::io::load_model(options.model, backend, model);
  na::Generator generate(backend, model);

  std::vector<std::vector<peers::Ids>> prompts;
  for (const auto& json : peers::read_batches(options.batches)) prompts.push_back(json.get<std::vector<peers::Ids>>());

  const auto repetition = [&] {
    std::vector<peers::Ids> outputs;
    std::vector<double> scores;
    double decoding = 0.0;  // seconds behind the first token of each batch
    std::size_t rounds = 0;
    for (const auto& batch : prompts) {
      na::PackedTokens tokens;
      for (const auto& prompt : batch) tokens.push(prompt);
      std::optional<Clock::time_point> first;
      const auto results = generate(tokens, how, [&](const na::GrownResult& grown) {
        if (!first) first = Clock::now();
        if (grown.prompt == 0 && grown.ids.size() > 1) ++rounds;
        return true;
      });
      decoding += bench::seconds_since(*first);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        outputs.push_back(results[i].front().ids);
        if (options.scores) scores.push_back(mean_loss(backend, model, batch[i], outputs.back()));
      }
    }
    const double bytes = bytes_per_round(model, prompts.front().front().size(), rounds / prompts.size());
    nlohmann::json result = {{"outputs", outputs}, {"scores", scores}};
    if (prompts.front().size() == 1)
      result.update(
          {{"token_seconds", decoding / double(rounds)}, {"decoding_gbs", bytes * double(rounds) / decoding / 1e9}});
    return result;
  };
  peers::serve(
      nlohmann::json::object(),
      [&] {
        return nlohmann::json{{"fma_gflops", backend.peak_gflops()},
                              {"read_gbs", bench::read_bandwidth_gbs(options.threads)}};
      },
      repetition);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("Continued texts for compare.py");
  app.add_option("model", options.model, "model directory")->required();
  app.add_option("batches", options.batches, "file of batches")->required();
  app.add_option("--threads", options.threads);
  app.add_flag("--scores", options.scores, "to compare them");
  return peers::parse_and_run(app, count, arguments, [&] { run(options); });
}
