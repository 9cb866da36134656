// projector_study init
#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "common/output_file.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/study/study_config.hpp"
#include "projector_study/options.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

namespace {

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words(1);
  for (const char c : list) {
    if (c == ',')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

study::StudyArm arm_of(const std::string& word) {
  if (word.empty()) throw na::ConfigError("--arms has an empty name");
  if (word == "paper::marian" || word == "paper::roberta")
    return {word.substr(7) + "_paper", {{"projector", "neural"}}};
  if (word.find(':') != std::string::npos)
    throw na::ConfigError("--arms knows the presets paper::marian and paper::roberta, not " + na::in_quotes(word));
  const bool query = word == "nonlinear_query" || word == "identity";
  return {word, {{query ? "projector_q" : "projector", word}}};
}

/// The file of this name in the folder, plain or gzip; "" if there is none.
std::string file_in(const std::string& folder, const std::string& name) {
  std::error_code ignored;
  for (const char* const ending : {"", ".gz"})
    if (const auto path = folder + "/" + name + ending; std::filesystem::exists(path, ignored)) return path;
  return {};
}

/// Sizes and schedules that give a first answer within hours; the user's own take their place.
study::FlagSet usual_flags(const std::string& task) {
  study::FlagSet flags = {
      {"max_steps", "2000"},     {"eval_steps", "200"},   {"save_steps", "100"},
      {"save_total_limit", "1"}, {"warmup_steps", "100"}, {"lr_scheduler_type", "cosine_with_min_lr"},
      {"min_lr_rate", "0.1"},    {"logging_steps", "50"}, {"dropout", "0.1"}};
  if (task == "causal_lm")
    return study::merged(flags, {{"tokenizer", "characters"},
                                 {"n_layer", "4"},
                                 {"n_head", "4"},
                                 {"n_embd", "128"},
                                 {"block_size", "64"},
                                 {"per_device_train_batch_size", "12"}});
  if (task == "masked_lm") return study::merged(flags, {{"vocab_size", "4000"}, {"max_seq_length", "64"}});
  return study::merged(flags, {{"vocab_size", "4000"}});
}

}  // namespace

int init(const InitOptions& options) {
  const StudyFolder folder(options.output);
  std::error_code ignored;
  if (std::filesystem::exists(options.output, ignored))
    throw na::FileError(options.output, "is there already; give another --output, or remove it");
  require_output(options.output);
  if (!std::filesystem::is_directory(options.data, ignored))
    throw na::FileError(options.data, "is not a folder (--data)");
  study::StudyConfig config;
  config.task = config.program = options.task;
  config.flags = usual_flags(options.task);
  config.flags["data"] = options.data;
  for (const auto& word : words_of(options.arms)) config.arms.push_back(arm_of(word));
  config.control = config.arms.front().name;
  config.matchings = {study::Matching::Steps, study::Matching::Parameters, study::Matching::Time};
  config.grid = {{"learning_rate", {"0.0005", "0.001", "0.002"}}};
  config.tuning_seeds = {101};
  config.seeds = {1, 2, 3, 4, 5};
  config.smallest_difference = 0.01;
  if (options.task == "translation") {
    config.test = {{}, file_in(options.data, "test.de"), file_in(options.data, "test.en"), {}};
    if (config.test.source.empty() || config.test.reference.empty())
      config.test = {};
    else
      config.flags["no_bleu"] = "true";  // the test judges, and the loss chooses
    config.measure = study::Measure::Bleu;
    config.smallest_difference = 0.5;
  } else {
    config.test.text = file_in(options.data, "test.txt");
  }
  const auto text = study::study_text(config);
  study::study_of(text, options.output);  // refuses what no study can be
  write_output(options.output, text);
  print(options.output + "\n");
  return 0;
}

}  // namespace examples
