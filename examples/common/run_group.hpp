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
#include "common/file_hash.hpp"
#include "common/launched_ranks.hpp"
#include "common/program_fault.hpp"
#include "common/tokenizer_files.hpp"
#include "common/training_options.hpp"
#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/version.hpp"
#include "neural_attention/train/group.hpp"
#include "neural_attention/trainer/run_identity.hpp"
#if defined(EXAMPLES_MPI)
#include "neural_attention/mpi/mpi_group.hpp"
#endif
#if defined(EXAMPLES_NCCL)
#include "neural_attention/nccl/nccl_group.hpp"
#endif

namespace examples {

namespace na = neural_attention;

/// Of a run on backend B.
#if defined(EXAMPLES_NCCL)
template <class B>
using RunGroup = std::conditional_t<has_threads<B>, na::MpiGroup, na::NcclGroup>;
#elif defined(EXAMPLES_MPI)
template <class B>
using RunGroup = std::conditional_t<has_threads<B>, na::MpiGroup, na::Alone>;
#else
template <class B>
using RunGroup = na::Alone;
#endif

/// Runs run(group) with the RunGroup<B> of these ranks.
template <class B, class Ranks, class Run>
int run_with(Ranks& ranks, Run&& run) {
  if constexpr (std::is_same_v<RunGroup<B>, Ranks>) {
    return run(ranks);
  } else {
    RunGroup<B> group(ranks);
    return run(group);
  }
}

/// Throws ConfigError if the launcher started other ranks than MPI has: it belongs to another MPI, and each process
/// would be alone.
template <class G>
void require_one_launch(const G& group) {
  if (const int launched = launched_ranks(); launched > 1 && launched != group.size())
    throw na::ConfigError(std::to_string(launched) + " processes were started, but MPI knows " +
                          std::to_string(group.size()) +
                          ": start them with the mpirun of the MPI that this program uses");
}

/// Thrown by all ranks where two cannot work together; the message names both.
struct RanksDiffer : na::ConfigError {
  explicit RanksDiffer(const std::string& what)
      : na::ConfigError(what + ": all ranks need the same program, flags and data") {}
};

/// Throws RanksDiffer if a rank runs another command, version or build than rank 0. `command` is a name for it.
template <class G>
void require_same_command(G& group, const std::string& command) {
  if (group.size() == 1) return;
  const auto all = group.gather(command + " " + std::string(na::version_string) + " " + hash_of_program());
  for (int r = 1; r < group.size(); ++r)
    if (all[static_cast<std::size_t>(r)] != all[0])
      throw RanksDiffer(group.name(r) + " runs another command, version or build than " + group.name(0));
}

/// Runs run(group). If this rank throws, all ranks end, and one of them, rank 0 if it can, says why and names the rank
/// and its host. Throws ConfigError if several processes cannot work together.
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
      const int code = run_with<B>(*group, run);
      group->wait_for_all();
      group.reset();
      return code;
    } catch (const std::exception& error) {
      if (group->size() == 1) throw;
      const auto fault = program_fault(error);
      const auto text = group->named(fault.text);
      if (group->fail(text)) return fault.code;
      throw_with_text(error, text);
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

/// The threads of this rank: as the flag or OMP_NUM_THREADS says, or else its part of the CPUs that it may use.
template <class G>
int rank_threads(const G& group, const Compute& compute) {
  if constexpr (!na::is_alone<G>)
    if (group.size() > 1 && compute.threads == 0 && !na::requested_threads(std::getenv("OMP_NUM_THREADS")))
      return group.cpus();
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
    const auto begins = [](bool with_model) { return with_model ? "with that of a model" : "with a new tokenizer"; };
    const auto all = group.gather(std::string_view(begins(each)));
    for (int r = 1; r < group.size(); ++r)
      if (const auto& other = all[static_cast<std::size_t>(r)]; other != all[0])
        throw RanksDiffer(group.name(r) + " begins " + other + ", and " + group.name(0) + " " + all[0]);
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

/// Throws RanksDiffer for the first value that differs between a rank and rank 0. `run` has what defines the work and
/// its text.
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
      throw RanksDiffer(group.name(r) + " has " + entry(other) + ", but " + group.name(0) + " has " + entry(all[0]));
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
    work.set("model", hash_of_model(model));
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
