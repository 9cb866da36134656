// A study's results, read from its folder, and its report, written there.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <variant>

#include "common/text_files.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "projector_study/planning.hpp"
#include "projector_study/report_document.hpp"
#include "projector_study/runs_csv.hpp"

namespace examples {

/// Unpacks the records and reads all runs; title and about are those of study.json now. Throws FileError for a study
/// without a plan or of another plan, and Error if a run is missing unless the report is `partial`.
inline StudyResults read_study(const StudyFolder& folder, bool partial) {
  const auto now = study::load_study(folder.file);
  std::error_code ignored;
  if (!std::filesystem::exists(folder.plan(), ignored))
    throw na::FileError(folder.file,
                        "has no runs yet; begin with " + shell_text({"projector_study", "run", folder.file}));
  auto plan = study::load_plan(folder.plan());
  require_same_study(folder, plan, now);
  plan.study.title = now.title;
  plan.study.about = now.about;
  unpack_records(folder);
  return read_results(folder, plan, partial);
}

/// Writes report.md, report.html, its charts, runs.csv and records.jsonl into the folder. Throws FileError.
inline void write_study_report(const StudyFolder& folder, const StudyResults& results) {
  const auto& plan = results.plan;
  // The program's name as study.json has it and the study's as its plan has it: the report does not depend on where it
  // is made, and its commands hold where the data's paths do.
  const StudyFolder shown(plan.file.empty() ? std::filesystem::path(folder.file).filename().string() : plan.file);
  const auto document = report_document(shown, results, plan.study.program);
  make_folder(folder.path / "charts");
  for (const auto& block : document)
    if (const auto* const picture = std::get_if<Picture>(&block))
      na::io::write_file_atomically(folder.path / picture->path, picture->svg);
  const auto title = report_document_detail::heading_of(shown.path.filename().string(), plan.study);
  na::io::write_file_atomically(folder.path / "report.md", as_markdown(document));
  na::io::write_file_atomically(folder.path / "report.html", as_html(document, title));
  na::io::write_file_atomically(folder.path / "runs.csv", runs_csv(folder, shown, results, plan.study.program));
  write_records(folder, results.ended_runs());
}

}  // namespace examples
