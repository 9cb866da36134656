// projector_study report
#include "common/standard_streams.hpp"
#include "projector_study/options.hpp"
#include "projector_study/study_report.hpp"

namespace examples {

int report(const ReportOptions& options) {
  const StudyFolder folder(options.study);
  write_study_report(folder, read_study(folder, options.partial));
  print((folder.path / "report.html").string() + "\n");
  return 0;
}

}  // namespace examples
