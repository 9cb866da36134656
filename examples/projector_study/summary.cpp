// projector_study summary
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/output_file.hpp"
#include "neural_attention/core/quoted.hpp"
#include "projector_study/options.hpp"
#include "projector_study/study_report.hpp"
#include "projector_study/summary_document.hpp"

namespace examples {

namespace {

std::string name_of_study(const StudyFolder& folder) { return folder.path.filename().string(); }

/// Sections have the names of studies. Throws ConfigError if two are alike.
std::vector<StudyFolder> named_folders(const std::vector<std::string>& files) {
  std::vector<StudyFolder> folders;
  for (const auto& file : files) {
    StudyFolder folder(file);
    for (const auto& other : folders)
      if (name_of_study(other) == name_of_study(folder))
        throw na::ConfigError("two studies have the name " + na::in_quotes(name_of_study(folder)) + ": " + other.file +
                              " and " + file);
    folders.push_back(std::move(folder));
  }
  return folders;
}

/// The folder of a study as links of the page have it.
std::string from_page(const std::filesystem::path& page, const StudyFolder& folder) {
  // By the names that were given: a link of the file system may lead elsewhere on another machine.
  const auto named = [](const std::filesystem::path& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  const auto relative = named(folder.path).lexically_relative(named(page).parent_path());
  if (relative.empty()) throw na::FileError(folder.path.string(), "cannot be linked from " + page.string());
  return relative.generic_string();
}

}  // namespace

int summary(const SummaryOptions& options) {
  const std::filesystem::path page = options.output;
  const bool html = page.extension() == ".html";
  if (!html && page.extension() != ".md")
    throw na::ConfigError("--output is a page NAME.md or NAME.html, not " + na::in_quotes(options.output));
  const std::string report = html ? "report.html" : "report.md";
  const auto folders = named_folders(options.studies);
  std::vector<NamedFile> reports;
  for (const auto& folder : folders) reports.push_back({"a study's report", (folder.path / report).string()});
  require_another_file({"--output", options.output}, reports);
  require_output(options.output);
  std::vector<SummedUp> studies;
  for (const auto& folder : folders)
    studies.push_back({name_of_study(folder), read_study(folder, true), from_page(page, folder)});
  for (std::size_t i = 0; i < folders.size(); ++i) write_study_report(folders[i], studies[i].results);
  Command command = {"projector_study", "summary"};
  command.insert(command.end(), options.studies.begin(), options.studies.end());
  if (options.title != SummaryOptions::usual_title) command.insert(command.end(), {"--title", options.title});
  command.insert(command.end(), {"--output", options.output});
  const auto document = summary_document(options.title, shell_text(command), studies, report);
  write_output(options.output, html ? as_html(document, options.title) : as_markdown(document));
  print(options.output + "\n");
  return 0;
}

}  // namespace examples
