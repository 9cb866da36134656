// The files that a new study finds in its folder of text.
#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

/// The file of this name in the folder, plain or gzip; "" if there is none.
inline std::string file_in(const std::string& folder, const std::string& name) {
  std::error_code ignored;
  for (const char* const ending : {"", ".gz"})
    if (const auto path = folder + "/" + name + ending; std::filesystem::exists(path, ignored)) return path;
  return {};
}

/// The endings E of the folder's files train.E, plain or gzip.
inline std::set<std::string> languages_in(const std::string& folder) {
  std::set<std::string> languages;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    auto name = entry.path().filename().string();
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    if (name.starts_with("train.") && name.size() > 6 && name.find('.', 6) == std::string::npos)
      languages.insert(name.substr(6));
  }
  return languages;
}

/// Source and target of a translator: as the flags source_lang and target_lang say, otherwise de and en, or what the
/// folder has if that leaves no choice: of two languages, English is the target. Throws FileError, which says what
/// there is.
inline std::vector<std::string> languages_of(const std::string& folder, const study::FlagSet& flags) {
  const auto given = [&](const char* name) {
    const auto found = flags.find(name);
    return found == flags.end() ? std::string() : found->second;
  };
  const auto source = given("source_lang"), target = given("target_lang");
  const std::vector<std::string> usual = {source.empty() ? "de" : source, target.empty() ? "en" : target};
  const auto there = languages_in(folder);
  const bool both_said = !source.empty() && !target.empty(), different = usual[0] != usual[1];
  const bool usual_there = there.contains(usual[0]) && there.contains(usual[1]);
  if (flags.contains("train_source") || (usual_there && (both_said || different))) return usual;
  const auto other_than = [&](const std::string& language) {
    return *there.begin() == language ? *there.rbegin() : *there.begin();
  };
  if (there.size() == 2) {
    if (!source.empty() && target.empty() && there.contains(source)) return {source, other_than(source)};
    const auto& known = target.empty() ? usual[1] : target;
    if (source.empty() && there.contains(known)) return {other_than(known), known};
  }
  std::string found;
  for (const auto& language : there) found += (found.empty() ? "; it has train." : ", train.") + language;
  throw na::FileError(folder, "has no train." + usual[0] + " and train." + usual[1] + found +
                                  " (--flags source_lang=…,target_lang=… says which languages to take)");
}

/// The endings of the files: two languages of a translator; txt, or bin of token files, of a language model.
inline std::vector<std::string> endings_of(const std::string& task, const std::string& folder,
                                           const study::FlagSet& flags) {
  if (task == "translation") return languages_of(folder, flags);
  const bool tokens = file_in(folder, "train.txt").empty() && !file_in(folder, "train.bin").empty();
  return {task == "causal_lm" && tokens ? "bin" : "txt"};
}

/// Throws FileError unless the folder has the training and validation text.
inline void require_texts(const std::string& folder, const study::FlagSet& flags,
                          const std::vector<std::string>& endings) {
  if (flags.contains("train_source") || flags.contains("train_file")) return;  // texts from elsewhere
  for (const auto* const name : {"train.", "valid."})
    for (const auto& ending : endings) na::text::find_text_file(folder, name + ending);
}

/// The test of these files, one of a language model, source and reference of a translator. Not given if none is there.
/// Throws FileError if only one of two is.
inline study::TestSet test_of(const std::string& folder, const std::string& name,
                              const std::vector<std::string>& endings) {
  std::vector<std::string> files;
  for (const auto& ending : endings) files.push_back(file_in(folder, name + "." + ending));
  const auto missing = static_cast<std::size_t>(std::count(files.begin(), files.end(), ""));
  if (missing == files.size()) return {};
  if (missing > 0) {
    const std::size_t first = files[0].empty() ? 0 : 1;
    throw na::FileError(files[1 - first],
                        "is there, but " + name + "." + endings[first] + " is not: a test needs both languages");
  }
  return files.size() == 1 ? study::TestSet{files[0], {}, {}, {}} : study::TestSet{{}, files[0], files[1], {}};
}

}  // namespace examples
