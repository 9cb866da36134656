// An experiment as described by its file study.json: arms that differ in a few flags of a training program, a
// control, what they are matched in, how all are tuned, and the seeds. docs/projector_study.md describes the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/study/flag_set.hpp"
#include "neural_attention/study/verdict.hpp"

namespace neural_attention::study {

/// `flags` with the flags of `more`, which win.
FlagSet merged(FlagSet flags, const FlagSet& more);

/// The optimizer steps for which `flags` ask; none if epochs count.
std::optional<std::int64_t> steps_in(const FlagSet& flags);

/// The quantity that an arm and its control have in common.
enum class Matching { Steps, Parameters, Flops, Time };

/// The names of files and of reports.
inline constexpr Named<Matching> named_matchings[] = {{"steps", Matching::Steps},
                                                      {"parameters", Matching::Parameters},
                                                      {"flops", Matching::Flops},
                                                      {"time", Matching::Time}};
constexpr const auto& names_of(Matching) { return named_matchings; }

/// What arms are judged by.
enum class Measure { Loss, Perplexity, Bleu, Chrf };

inline constexpr Named<Measure> named_measures[] = {
    {"loss", Measure::Loss}, {"perplexity", Measure::Perplexity}, {"bleu", Measure::Bleu}, {"chrf", Measure::Chrf}};
constexpr const auto& names_of(Measure) { return named_measures; }
Better better_of(Measure measure);

struct StudyArm {
  std::string name;  ///< of letters, digits, '.', '_' and '-'; a folder's
  FlagSet flags;
};

/// The text that is read once, at the end: of a language model `text`, of a translator the other two. All empty: the
/// validation text judges.
struct TestSet {
  std::string text = {}, source = {}, reference = {};
  FlagSet flags = {};  ///< of the command that reads it

  bool given() const { return !text.empty() || !source.empty(); }
};

struct StudyConfig {
  std::string task;                        ///< translation, masked_lm or causal_lm
  std::string program;                     ///< that trains; `task` if the file names none
  std::vector<std::string> launcher = {};  ///< words before it, such as mpirun -n 2, for runs of several processes
  FlagSet flags;                           ///< of all arms
  std::vector<StudyArm> arms;
  std::string control;  ///< one of the arms
  std::vector<Matching> matchings = {Matching::Steps};
  std::string match_by = "feed_forward_width";  ///< the flag that widens the control
  Measure measure = Measure::Loss;
  double smallest_difference = 0;                        ///< δ, in units of the measure
  std::map<std::string, std::vector<std::string>> grid;  ///< values of flags, of which tuning tries all combinations
  std::vector<std::uint64_t> tuning_seeds;
  std::vector<std::uint64_t> seeds;
  TestSet test = {};
  /// Whether the control trains once more, with twice the steps, to see if runs are long enough.
  bool convergence = false;
  /// Flags of a model that is trained first and from which every arm starts; none: every arm starts from nothing.
  std::optional<FlagSet> base = {};
  int calibration_steps = 20;  ///< of the short runs that measure the time of a step
  std::string title = {};      ///< for readers, one line; may change at any time, or ""
  std::string about = {};      ///< the same: a paragraph on what the study asks

  const StudyArm& arm(std::string_view name) const;
  bool matches(Matching matching) const;
};

/// Reads study.json. Throws FileError, which names the key.
StudyConfig load_study(const std::filesystem::path& path);

/// The same from a JSON text; `path` is where it comes from.
StudyConfig study_of(const std::string& json, const std::filesystem::path& path);

/// The text of a study.json.
std::string study_text(const StudyConfig& study);

/// The study without what is only for readers: title and about.
StudyConfig without_words(StudyConfig study);

/// The first key, of those that are not only for readers, in which two studies differ, or "".
std::string changed_key(const StudyConfig& before, const StudyConfig& now);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/study_config.hpp"
#endif
