// The reference page docs/flags.md, made of what the programs say of their flags and the library of its settings.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "examples/programs.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/gpt2_config_json.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"

namespace flags_page {

namespace na = neural_attention;

/// A flag as --help shows it: `--num_beams INT:(1 to 10000)=4 Needs: --x`, and behind it or in the next line what it
/// does.
struct Flag {
  std::string name, value, default_value, help;
};

/// Flags with the heading that they stand below.
using Groups = std::vector<std::pair<std::string, std::vector<Flag>>>;

/// `text` up to `end`, which goes with it; all of it where there is no `end`.
inline std::string cut(std::string& text, const std::string& end) {
  const auto at = text.find(end);
  const auto part = text.substr(0, at);
  text = at == std::string::npos ? "" : text.substr(at + end.size());
  return part;
}

inline Flag flag_of(std::string declaration, std::string help) {
  Flag flag;
  flag.name = cut(declaration, " ");
  for (const std::string relation : {"Excludes: ", "Needs: "}) {
    const auto at = declaration.find(relation);
    if (at == std::string::npos) continue;
    auto others = declaration.substr(at + relation.size());
    declaration.resize(at);
    std::string names;
    while (!others.empty()) names += (names.empty() ? "`" : ", `") + cut(others, " ") + "`";
    help += relation == "Needs: " ? ". Needs " + names : ". Not with " + names;
  }
  if (const auto at = declaration.find("(Env:"); at != std::string::npos) {
    auto variable = declaration.substr(at + 5);
    declaration.resize(at);
    help += ". Without the flag the environment variable `" + cut(variable, ")") + "` counts";
  }
  if (const auto at = declaration.find("REQUIRED"); at != std::string::npos) {
    declaration.erase(at);
    flag.default_value = "required";
  }
  while (declaration.ends_with(' ')) declaration.pop_back();
  const auto kind = declaration.find_first_of(":=");
  flag.value = declaration.substr(0, kind);
  declaration = kind == std::string::npos ? "" : declaration.substr(kind);
  if (declaration.starts_with(":(")) {
    flag.value += ", " + cut(declaration, ")").substr(2);
  } else if (declaration.starts_with(":{")) {
    auto words = cut(declaration, "}").substr(2);
    flag.value.clear();
    while (!words.empty()) flag.value += (flag.value.empty() ? "`" : ", `") + cut(words, ",") + "`";
  }
  if (declaration.starts_with("=")) flag.default_value = "`" + declaration.substr(1) + "`";
  flag.help = std::move(help);
  return flag;
}

inline Groups groups_of(const std::string& help) {
  constexpr std::size_t column = 30;  // where --help writes what a flag does
  Groups groups;
  const auto lines = programs::lines_of(help);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    if (line.ends_with(':') && !line.starts_with(' ')) groups.push_back({line.substr(0, line.size() - 1), {}});
    if (groups.empty() || !line.starts_with("  --")) continue;
    const bool below = i + 1 < lines.size() && lines[i + 1].starts_with(std::string(column, ' '));
    auto declaration = below ? line : line.substr(0, column);
    while (declaration.ends_with(' ')) declaration.pop_back();
    groups.back().second.push_back(flag_of(
        declaration.substr(2), below ? lines[i + 1].substr(column) : line.substr(std::min(column, line.size()))));
  }
  return groups;
}

/// A cell of a table.
inline std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') result += '\\';
    result += c;
  }
  return result;
}

inline std::string table_of(const Groups& groups) {
  std::string text;
  for (const auto& [group, flags] : groups) {
    if (flags.empty()) continue;
    text += "**" + group + "**\n\n| flag | value | default | what it does |\n|---|---|---|---|\n";
    for (const auto& flag : flags)
      text += "| `" + flag.name + "` | " + cell(flag.value) + " | " + cell(flag.default_value) + " | " +
              cell(flag.help) + " |\n";
    text += "\n";
  }
  return text;
}

/// The keys of a config's file. `of` has the value of each key that a new one has.
template <class Config, class Json>
std::string keys_of(const Json& of) {
  const Config config{};
  std::string text = "| key | value | default | what it is |\n|---|---|---|---|\n";
  Config::knobs(
      [&]<class T>(const na::Knob& knob, const T& usual) {
        if (!knob.in_file) return;
        const auto& object = knob.own ? of.at("neural_attention") : of;
        Json usually;  // of a key that may be missing
        if constexpr (na::HasNames<T>) usually = name_of(usual);
        if constexpr (std::is_arithmetic_v<T>) usually = usual;
        const Json value = object.value(knob.name, usually);
        std::string kind = knob.token ? "a token's id" : std::is_same_v<T, bool> ? "true or false" : "";
        if (na::is_number<T> && kind.empty())
          kind = (std::is_integral_v<T> ? "an integer, " : "a number, ") + knob.range.words();
        text += "| `" + std::string(knob.name) + "` | " + kind + " | `" + value.dump() + "` | " +
                cell(na::help_of<T>(knob)) + " |\n";
      },
      config);
  return text + "\n";
}

inline std::string projectors() {
  std::string text = "| name | type | formula |\n|---|---|---|\n";
  na::AnyProjector<na::Cpu<float>>::for_each_type([&]<class P>() {
    using Name = na::ProjectorName<P>;
    text += "| `" + std::string(Name::value) + "` | `" + std::string(Name::type) + "` | " +
            cell(std::string(Name::formula)) + " |\n";
  });
  return text + "\n";
}

/// `helps` has what each command prints with --help.
inline std::string page(const std::vector<std::pair<std::string, std::string>>& helps) {
  std::string text =
      "# Flags and keys\n\n<!-- Made by the target flags-page; a test compares it with the programs. Do not edit it. "
      "-->\n\nEvery flag of the programs, every key of the files that describe a model, and the projectors. `-` and "
      "`_` are\ninterchangeable in flags. If a flag is given twice, the last one counts. Without a default, the text "
      "says what happens\nwithout the flag.\n\n";
  for (const auto& [command, help] : helps)
    text += "## " + command + "\n\n" + cell(programs::lines_of(help).front()) + "\n\n" + table_of(groups_of(help));
  text +=
      "## Keys of config.json: Marian\n\nThe defaults belong to a new model of the size base. The last keys are in the "
      "object `neural_attention`,\nwith the projectors.\n\n";
  text += keys_of<na::MarianConfig>(na::io::to_json(na::marian_base(58101)));
  text += "## Keys of config.json: RoBERTa\n\n" + keys_of<na::RobertaConfig>(na::io::to_json(na::roberta_base()));
  text += "## Keys of config.json: GPT-2\n\n" + keys_of<na::Gpt2Config>(na::io::to_json(na::gpt2_base()));
  text +=
      "## Keys of generation_config.json\n\nThe defaults are Hugging Face's; -1 is the model's own token, or none.\n\n";
  text += keys_of<na::GenerationConfig>(na::io::detail::all_generation_keys(na::GenerationConfig()));
  text += "## Projectors\n\n" + projectors();
  text.pop_back();
  return text;
}

}  // namespace flags_page
