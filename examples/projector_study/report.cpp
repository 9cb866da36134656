// projector_study report
#include <filesystem>
#include <string>
#include <variant>

#include "neural_attention/io/atomic_file.hpp"
#include "projector_study/options.hpp"
#include "projector_study/planning.hpp"
#include "projector_study/report_document.hpp"
#include "projector_study/runs_csv.hpp"

namespace examples {

int report(const ReportOptions& options) {
  const StudyFolder folder(options.study);
  study::load_study(folder.file);
  std::error_code ignored;
  if (!std::filesystem::exists(folder.plan(), ignored))
    throw na::FileError(folder.file,
                        "has no runs yet; begin with " + shell_text({"projector_study", "run", folder.file}));
  const auto plan = study::load_plan(folder.plan());
  require_same_study(folder, plan);
  unpack_records(folder);
  const auto results = read_results(folder, plan, options.partial);
  // The program's name as study.json has it and the study's as its plan has it: the report does not depend on where it
  // is made, and its commands hold where the data's paths do.
  const StudyFolder shown(plan.file.empty() ? std::filesystem::path(folder.file).filename().string() : plan.file);
  const auto document = report_document(shown, results, plan.study.program);
  make_folder(folder.path / "charts");
  for (const auto& block : document)
    if (const auto* const picture = std::get_if<Picture>(&block))
      na::io::write_file_atomically(folder.path / "charts" / picture->name, picture->svg);
  const auto title = "Study " + folder.path.filename().string();
  na::io::write_file_atomically(folder.path / "report.md", as_markdown(document, "charts"));
  na::io::write_file_atomically(folder.path / "report.html", as_html(document, title));
  na::io::write_file_atomically(folder.path / "runs.csv", runs_csv(folder, shown, results, plan.study.program));
  write_records(folder, plan, results.ended_runs());
  print((folder.path / "report.html").string() + "\n");
  return 0;
}

}  // namespace examples
