// Our side of the translation rows: beam searches over the sources of a file as the model directory's
// generation_config.json says. One repetition translates every batch, or those of a part. hf_translation.py and
// ct2_translation.py are its counterparts.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/neural_attention.hpp"
#include "serve.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;
using AnyMarian = na::AnyModel<na::Marian<Backend, na::paper::marian>, na::Marian<Backend, na::LinearProjections>>;

struct Options {
  std::string model, batches, dtype = "float32";
  int threads = 2, num_beams = 0, max_length = 0, parts = 0;
};

void run(const Options& options) {
  const auto config = na::io::load_marian_config(options.model + "/config.json");
  auto how = na::io::load_generation_config(options.model, config);
  if (options.num_beams > 0) how.num_beams = options.num_beams;
  if (options.max_length > 0) how.max_length = options.max_length;
  Backend backend(options.threads, options.dtype == "bfloat16" ? na::Precision::BFloat16 : na::Precision::Float32);
  AnyMarian any(backend, config, std::nullopt,
                options.dtype == "int8" ? na::Purpose::Int8Inference : na::Purpose::Inference);

  std::vector<na::TranslationBatch> batches;
  for (const auto& json : peers::read_batches(options.batches)) {
    auto& batch = batches.emplace_back(config.pad_token_id);
    for (const auto& pair : json) batch.push(pair.at("source").get<peers::Ids>(), {});
  }

  any.visit([&](auto& model) {
    na::io::load_model(options.model, backend, model);
    na::Generator generate(backend, model);
    std::size_t made = 0;
    const auto repetition = [&] {
      std::vector<peers::Ids> outputs;
      std::vector<double> scores, latencies;
      const auto parts = static_cast<std::size_t>(options.parts);
      const bool warms_up = parts > 0 && made == 0;
      const std::size_t first = parts > 0 && made > 0 ? (made - 1) % parts : 0;
      const std::size_t end = warms_up ? std::min<std::size_t>(4, batches.size()) : batches.size();
      for (auto i = first; i < end; i += warms_up ? 1 : std::max<std::size_t>(parts, 1)) {
        const auto start = std::chrono::steady_clock::now();
        const auto found = generate(batches[i], how);
        latencies.push_back(bench::seconds_since(start));
        for (const auto& best : found) {
          outputs.push_back(best.front().ids);
          scores.push_back(best.front().score);
        }
      }
      ++made;
      return nlohmann::json{{"outputs", outputs}, {"scores", scores}, {"latencies", latencies}};
    };
    peers::serve(
        nlohmann::json::object(),
        [&] {
          return nlohmann::json{{"fma_gflops", na::Cpu<float>(options.threads).peak_gflops()}};
        },
        repetition);
  });
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("Translations for compare.py");
  app.add_option("model", options.model, "model directory")->required();
  app.add_option("batches", options.batches, "file of batches")->required();
  app.add_option("--threads", options.threads);
  app.add_option("--num_beams", options.num_beams, "instead of the model's");
  app.add_option("--max_length", options.max_length, "instead of the model's");
  app.add_option("--parts", options.parts, "of the batches, of which each repetition takes the next; serve.py's rule");
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16", "int8"}));
  return peers::parse_and_run(app, count, arguments, [&] { run(options); });
}
