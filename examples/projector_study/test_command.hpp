// How a trained model reads the test set: `translate` of a translator, `evaluate` of a language model.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

inline bool translates(const study::StudyConfig& config) { return config.task == "translation"; }

/// The flags of a run that say how a text is cut and masked: the test text is read as the training text was.
inline study::FlagSet text_flags(const std::string& task, const study::FlagSet& flags) {
  std::vector<std::string> names;
  if (task == "masked_lm") names = {"line_by_line", "max_seq_length", "mlm_probability"};
  if (task == "causal_lm") names = {"block_size"};
  study::FlagSet found;
  for (const auto& name : names)
    if (const auto flag = flags.find(name); flag != flags.end()) found.insert(*flag);
  // The other windows of training are places in the whole text, which is read from its beginning to its end here.
  if (const auto windows = flags.find("windows"); task == "causal_lm" && windows != flags.end())
    if (windows->second == "lines") found.insert(*windows);
  return found;
}

/// `flags` are those of the training run, `output` its folder. A translator writes into the file `out`; a language
/// model prints its scores.
inline Command test_command(const std::string& program, const study::StudyConfig& config, const study::FlagSet& flags,
                            const std::filesystem::path& output, const study::TestSet& test,
                            const std::filesystem::path& out) {
  Command command = {program, translates(config) ? "translate" : "evaluate"};
  auto all = text_flags(config.task, flags);
  all.insert({"threads", "1"});
  for (auto& argument : study::arguments_of(study::merged(std::move(all), test.flags)))
    command.push_back(std::move(argument));
  command.push_back("--model=" + output.string());
  if (translates(config)) {
    command.push_back("--input=" + test.source);
    command.push_back("--output=" + out.string());
  } else {
    command.push_back("--text=" + test.text);
  }
  return command;
}

/// The number that a language model's `evaluate` prints after a name. Throws FileError if there is none.
inline double printed_number(const std::string& text, const std::string& name, const std::filesystem::path& path) {
  const auto at = ("\n" + text).find("\n" + name + " = ");
  if (at != std::string::npos) {
    const auto begin = at + name.size() + 3;
    if (const auto number = na::number_in(text.substr(begin, text.find('\n', begin) - begin))) return *number;
  }
  throw na::FileError(path.string(), "lacks the line \"" + name + " = …\" of the training program's evaluate");
}

}  // namespace examples
