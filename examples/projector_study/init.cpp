// projector_study init
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/model_options.hpp"
#include "common/output_file.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/study/study_config.hpp"
#include "projector_study/held_out.hpp"
#include "projector_study/options.hpp"
#include "projector_study/study_data.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

namespace {

using Backend = na::Cpu<float>;

std::vector<std::string> words_of(const std::string& list, char separator) {
  std::vector<std::string> words(1);
  for (const char c : list) {
    if (c == separator)
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

/// NAME=VALUE,NAME=VALUE as names and values. A comma inside a value cannot be written.
std::vector<std::pair<std::string, std::string>> pairs_of(const std::string& list, const std::string& flag) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (list.empty()) return pairs;
  for (const auto& word : words_of(list, ',')) {
    const auto middle = word.find('=');
    if (middle == std::string::npos || middle == 0 || middle + 1 == word.size())
      throw na::ConfigError(flag + " takes NAME=VALUE, not " + na::in_quotes(word));
    pairs.emplace_back(word.substr(0, middle), word.substr(middle + 1));
  }
  return pairs;
}

/// A flag for each role whose projection is not linear.
template <class Projections>
study::StudyArm arm_of_preset(const char* name) {
  study::StudyArm arm{name, {}};
  na::for_each_role(
      [&]<class P>(std::string_view, std::type_identity<P>, const char* flag) {
        if (!std::is_same_v<P, na::Linear<Backend>>) arm.flags.emplace(flag, na::projector_name<P>());
      },
      na::RoleTypes<Backend, Projections>(), role_flag_names);
  return arm;
}

study::StudyArm arm_of(const std::string& word) {
  if (word.empty()) throw na::ConfigError("--arms has an empty name");
  if (word == "paper::marian") return arm_of_preset<na::paper::marian>("marian_paper");
  if (word == "paper::roberta") return arm_of_preset<na::paper::roberta>("roberta_paper");
  if (word.find(':') != std::string::npos)
    throw na::ConfigError("--arms knows the presets paper::marian and paper::roberta, not " + na::in_quotes(word));
  const bool query = word == na::name_of_projector<na::NonlinearQuery> || word == na::name_of_projector<na::Identity>;
  return {word, {{query ? "projector_q" : "projector", word}}};
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
    throw na::FileError(options.output, "exists already; give another --output, or remove it");
  if (std::filesystem::exists(folder.plan(), ignored))
    throw na::FileError(
        folder.plan().string(),
        "belongs to an earlier study of this name; give another --output, or remove " + folder.path.string());
  require_output(options.output);
  const bool translates = options.task == "translation", generates = translates && options.data == "grammar";
  if (!generates && !std::filesystem::is_directory(options.data, ignored))
    throw na::FileError(options.data, "is not a folder (--data)");
  study::StudyConfig config;
  config.task = config.program = options.task;
  config.flags = usual_flags(options.task);
  config.flags["data"] = options.data;
  for (const auto& [name, value] : pairs_of(options.flags, "--flags")) config.flags[name] = value;
  for (const auto& word : words_of(options.arms, ',')) config.arms.push_back(arm_of(word));
  config.control = config.arms.front().name;
  config.matchings = {study::Matching::Steps, study::Matching::Parameters, study::Matching::Time};
  if (options.tune != "none")
    for (const auto& [name, values] : pairs_of(options.tune, "--tune")) config.grid[name] = words_of(values, '/');
  config.tuning_seeds = {static_cast<std::uint64_t>(std::max(101, options.seeds + 1))};  // none of those that count
  for (int seed = 1; seed <= options.seeds; ++seed) config.seeds.push_back(static_cast<std::uint64_t>(seed));
  config.smallest_difference = 0.01;
  config.convergence = true;
  const auto endings =
      generates ? std::vector<std::string>{"de", "en"} : endings_of(options.task, options.data, config.flags);
  if (translates) {
    const study::FlagSet languages = {{"source_lang", endings[0]}, {"target_lang", endings[1]}};
    for (const auto& [name, language] : languages)
      if (const auto given = config.flags.find(name);
          generates && given != config.flags.end() && given->second != language)
        throw na::ConfigError("the grammar translates from de to en, so --flags cannot have " + name + "=" +
                              given->second);
    if (endings != std::vector<std::string>{"de", "en"}) config.flags = study::merged(config.flags, languages);
  }
  if (const auto tokenizer = config.flags.find("tokenizer");
      endings.front() == "bin" && tokenizer != config.flags.end() && tokenizer->second == "characters")
    config.flags.erase(tokenizer);  // token files have theirs
  if (!generates) {
    require_texts(options.data, config.flags, endings);
    config.test = test_of(options.data, options.test, endings);
    if (!config.test.given() && endings.front() == "bin") config.test = test_of(options.data, options.test, {"txt"});
  }
  if (!config.test.given() && options.test != "test")
    throw na::FileError(options.data, "has no " + options.test + "." + endings.front() +
                                          (translates ? " and ." + endings.back() : "") + " (--test)");
  const bool cuts = !generates && !config.test.given() && options.held_out > 0;
  if (cuts && endings.front() == "bin")
    throw na::FileError(
        options.data,
        "has token files, of which no test can be cut off: put a test.bin or test.txt there, or add --held_out 0");
  const auto own_data = (folder.path / "data").string();
  for (const auto& own : {folder.path.string(), cuts ? own_data : folder.path.string()})
    if (std::filesystem::equivalent(options.data, own, ignored))
      throw na::FileError(options.output,
                          "would keep its own files in " + own + ", which is --data; give another --output");
  if (cuts || generates) {
    config.flags["data"] = own_data;
    config.test = translates
                      ? study::TestSet{{}, own_data + "/test." + endings[0], own_data + "/test." + endings[1], {}}
                      : study::TestSet{own_data + "/test." + endings[0], {}, {}, {}};
  }
  if (translates) {
    if (config.test.given()) config.flags["no_bleu"] = "true";  // the test judges, and the loss chooses
    config.measure = study::Measure::Bleu;
    config.smallest_difference = 0.5;
  }
  const auto text = study::study_text(config);
  study::study_of(text, options.output);  // refuses what no study can be
  if (generates) write_grammar(own_data);
  if (cuts) hold_out(options.data, own_data, options.held_out, endings);
  write_output(options.output, text);
  if (cuts)
    tell("projector_study: " + options.data + " has no test text, so " + own_data +
         " tunes on the end of the training text and tests on the validation text");
  print(options.output + "\n");
  return 0;
}

}  // namespace examples
