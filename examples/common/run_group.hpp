// The processes of a command: one, or the ranks that mpirun started. Rank 0 shows and writes everything; the output
// is its own.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "common/backend_text.hpp"
#include "common/launched_ranks.hpp"
#include "common/tokenizer_files.hpp"
#include "common/training_options.hpp"
#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/version.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "neural_attention/text/data/fingerprint.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/train/group.hpp"
#include "neural_attention/trainer/run_identity.hpp"
#if defined(EXAMPLES_MPI)
#include "neural_attention/mpi/mpi_group.hpp"
#endif

namespace examples {

namespace na = neural_attention;

#if defined(EXAMPLES_MPI)
/// Of a run on backend B.
template <class B>
using RunGroup = std::conditional_t<has_threads<B>, na::MpiGroup, na::Alone>;
#else
template <class B>
using RunGroup = na::Alone;
#endif

/// Throws ConfigError if the launcher started other ranks than MPI has: it belongs to another MPI, and each process
/// would be alone.
template <class G>
void require_one_launch(const G& group) {
  if (const int launched = launched_ranks(); launched > 1 && launched != group.size())
    throw na::ConfigError(std::to_string(launched) + " processes were started, but MPI knows " +
                          std::to_string(group.size()) +
                          ": start them with the mpirun of the MPI that this program uses");
}

/// Throws ConfigError, on all ranks, if one runs another command or version than rank 0. `command` is a name for it.
template <class G>
void require_same_command(G& group, const char* command) {
  const auto all = group.gather(std::string_view(command + (" " + std::string(na::version_string))));
  for (int r = 1; r < group.size(); ++r)
    if (all[static_cast<std::size_t>(r)] != all[0])
      throw na::ConfigError(group.name(r) + " runs another command or version than " + group.name(0) +
                            ": all ranks need the same program, flags and data");
}

/// Runs run(group). If this rank throws, all ranks end, and one of them, rank 0 if it can, says why. Throws ConfigError
/// if several processes cannot work together.
template <class B, class Run>
int in_group(const SharedCompute& compute, Run&& run) {
#if defined(EXAMPLES_MPI)
  if constexpr (!na::is_alone<RunGroup<B>>) {
    if (launched_ranks() > 1 && !compute.profile.empty())
      throw na::ConfigError("--profile measures one process, and " + std::to_string(launched_ranks()) +
                            " were started");
    // Lives until the program ends, as the others must not hear of a fault before rank 0 has said it.
    static std::optional<na::MpiGroup> group;
    group.emplace(na::MpiOptions{.timeout = compute.rank_timeout});
    try {
      require_one_launch(*group);
      require_same_command(*group, typeid(Run).name());
      const int code = run(*group);
      group.reset();
      return code;
    } catch (const std::exception& error) {
      const bool heard = group->fail(error.what());
      if (group->rank() == 0) throw;
      if (heard) return 1;
      const auto name = group->name(group->rank());
      throw na::GroupError((std::string_view(error.what()).starts_with(name) ? "" : name + ": ") + error.what());
    }
  }
#endif
  if constexpr (na::is_alone<RunGroup<B>>) {
    if (launched_ranks() > 1)
      throw na::ConfigError(std::to_string(launched_ranks()) + " processes were started, and --device " +
                            compute.device + " computes in one");
    return run(na::alone_group);
  }
}

/// The threads of this rank: as the flag says, or as many as the launcher bound it to; ranks that it did not bind share
/// the host's.
template <class G>
int rank_threads(const G& group, const Compute& compute) {
  if constexpr (!na::is_alone<G>) {
    const long processors = ::sysconf(_SC_NPROCESSORS_ONLN);
    const int here = group.ranks_here();
    const bool bound = static_cast<long>(na::allowed_cpus()) * here <= processors;
    if (compute.threads == 0 && here > 1 && !bound && !std::getenv("OMP_NUM_THREADS"))
      return na::threads_of_each(here, 0);
  }
  return compute.threads;
}

/// `text` of rank 0.
template <class G>
std::string text_of_first(G& group, std::string text) {
  if constexpr (!na::is_alone<G>) return group.broadcast(std::string_view(text));
  return text;
}

/// A new folder for temporary files, which goes with this object.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "neural_attention.XXXXXX").string()) {
    if (!::mkdtemp(path_.data())) throw na::FileError(path_, "cannot be created: " + std::string(std::strerror(errno)));
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The tokenizer that rank 0 learns with learn(), or that each rank has if `each` is set. load(folder) reads one
/// from its files.
template <class G, class Learn, class Load>
auto tokenizer_of_first(G& group, bool each, Learn&& learn, Load&& load) -> decltype(learn()) {
  if constexpr (!na::is_alone<G>) {
    const bool all = na::on_all(group, each), none = na::on_all(group, !each);
    if (!all && !none)
      throw na::ConfigError(
          "some ranks begin with a model or its tokenizer, and others do not: all ranks need the same program, flags "
          "and data");
    if (!each && group.size() > 1) {
      std::optional<decltype(learn())> learned;
      if (group.rank() == 0) learned.emplace(learn());
      const auto count = na::of_first(group, learned ? learned->files.size() : 0);
      TokenizerFiles files(count);
      if (learned) files = learned->files;
      for (auto& [name, bytes] : files) {
        name = text_of_first(group, name);
        bytes = text_of_first(group, bytes);
      }
      if (learned) return std::move(*learned);
      const TemporaryFolder folder;
      const WorkFolder work(folder.path());
      write_files(work.path(), files);
      return load(work.path());
    }
  }
  return learn();
}

/// Throws ConfigError, on all ranks, for the first value that differs between a rank and rank 0. `run` has what defines
/// the work and its text.
template <class G>
void require_same_on_all(G& group, na::RunIdentity run, const std::string& engine) {
  if constexpr (!na::is_alone<G>) {
    run.set("version", std::string(na::version_string));
    run.set("instructions", engine);
    std::string mine;
    for (const auto& [name, value] : run.entries()) mine += name + " " + na::in_quotes(value) + '\0';
    const auto all = group.gather(std::string_view(mine));
    for (int r = 1; r < group.size(); ++r) {
      const auto& other = all[static_cast<std::size_t>(r)];
      const auto differs = static_cast<std::size_t>(std::ranges::mismatch(other, all[0]).in1 - other.begin());
      if (differs == other.size() && other.size() == all[0].size()) continue;
      const auto entry = [&](const std::string& text) {
        const auto begin = differs == 0 ? 0 : text.rfind('\0', differs - 1) + 1;
        return std::string(text.c_str() + std::min(begin, text.size()));
      };
      throw na::ConfigError(group.name(r) + " has " + entry(other) + ", but " + group.name(0) + " has " +
                            entry(all[0]) + ": all ranks need the same program, flags and data");
    }
  }
}

/// The same of a command that evaluates or translates with the model of a directory. `work` has the settings on which
/// results depend, and the text.
template <class G, class B>
void require_same_work(G& group, const B& backend, const std::string& model, const SharedCompute& compute,
                       na::RunIdentity work) {
  if constexpr (!na::is_alone<G>) {
    if (group.size() == 1) return;
    na::text::Fingerprint print;
    print.add(na::text::read_text_bytes(model + "/config.json"));
    std::error_code ignored;
    print.add(std::to_string(std::filesystem::file_size(model + "/model.safetensors", ignored)));
    work.set("model", print.digits());
    work.set("dtype", compute.dtype);
    require_same_on_all(group, std::move(work), engine_of(backend, compute.precision()));
  }
}

/// The same of a training run.
template <class G>
void require_same_on_all(G& group, na::RunIdentity run, const na::TrainerOptions& options, const std::string& engine) {
  run.set("seed", options.step.seed);
  run.set("max_steps", options.max_steps);
  run.set("num_train_epochs", options.epochs);
  run.set("eval_steps", options.eval_steps);
  run.set("save_steps", options.save_steps);
  run.set("early_stopping_patience", options.patience);
  run.set("eval_on_start", options.eval_on_start);
  run.set("shard_optimizer", options.step.shard_optimizer);
  require_same_on_all(group, std::move(run), engine);
}

}  // namespace examples
