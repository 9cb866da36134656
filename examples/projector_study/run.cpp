// projector_study run
#include "projector_study/options.hpp"
#include "projector_study/planning.hpp"
#include "projector_study/running.hpp"

namespace examples {

int run(const RunOptions& options) {
  const StudyFolder folder(options.study);
  const Interruption interruption;
  try {
    const auto plan = plan_of(folder, interruption, options.rebuilt_program);
    return StudyRunner(folder, plan, options.only, options.jobs, interruption).run();
  } catch (const Interrupted& stopped) {
    return stopped.exit_code;
  }
}

}  // namespace examples
