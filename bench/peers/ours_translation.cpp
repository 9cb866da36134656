// Our side of the translation rows: beam searches over the sources of a file as the model directory's
// generation_config.json says. One repetition translates every batch. hf_translation.py and ct2_translation.py are its
// counterparts.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
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
  int threads = 2;
};

void run(const Options& options) {
  const auto config = na::io::load_marian_config(options.model + "/config.json");
  const auto how = na::io::load_generation_config(options.model, config);
  Backend backend(options.threads);
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
    const auto repetition = [&] {
      std::vector<peers::Ids> outputs;
      std::vector<double> scores;
      for (const auto& batch : batches)
        for (const auto& best : generate(batch, how)) {
          outputs.push_back(best.front().ids);
          scores.push_back(best.front().score);
        }
      return nlohmann::json{{"outputs", outputs}, {"scores", scores}};
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
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "int8"}));
  CLI11_PARSE(app, count, arguments);
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
