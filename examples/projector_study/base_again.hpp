// A base model where only its records are: it is trained again when a missing run has to start from it, and its
// validation losses say whether it is the recorded one.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "neural_attention/core/number_text.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

namespace base_detail {

/// Of all evaluations and of the end, in the order of the file.
inline std::vector<double> validation_losses(const std::filesystem::path& metrics) {
  std::vector<double> losses;
  na::io::read_json_lines<nlohmann::json>(metrics, na::io::TornLine::LeaveOut, [&](const nlohmann::json& row) {
    if (row.is_object() && row.contains("valid_loss"))
      losses.push_back(na::io::get<double>(row, "valid_loss", metrics));
  });
  return losses;
}

}  // namespace base_detail

/// What run.json says of trainings after the recorded one that gave another model.
inline std::vector<std::string> other_bases(const StudyFolder& folder, const study::PlannedRun& base) {
  const auto about = folder.of(base) / "run.json";
  std::error_code ignored;
  if (!std::filesystem::exists(about, ignored)) return {};
  const auto json = na::io::read_json(about);
  return json.contains("other_bases") ? na::io::get<std::vector<std::string>>(json, "other_bases", about)
                                      : std::vector<std::string>();
}

/// If the base was recorded and then trained again here, and its losses differ, run.json says so from now on. Returns
/// the sentence, or "".
inline std::string note_other_base(const StudyFolder& folder, const study::PlannedRun& base,
                                   const std::string& machine) {
  using base_detail::validation_losses;
  if (folder.measured(base) == folder.output(base) || !final_loss(folder.output(base))) return {};
  const auto recorded = validation_losses(folder.measured(base) / "metrics.jsonl"),
             now = validation_losses(folder.output(base) / "metrics.jsonl");
  if (recorded.empty() || recorded == now) return {};
  auto notes = other_bases(folder, base);
  const auto note = base.name + ", trained again on " + machine +
                    ", has other validation losses than were recorded, at the end " + na::number_text(now.back()) +
                    " instead of " + na::number_text(recorded.back()) + ": runs after that start from another model";
  if (std::find(notes.begin(), notes.end(), note) != notes.end()) return note;
  notes.push_back(note);
  const auto about = folder.of(base) / "run.json";
  auto json = na::io::read_json(about);
  json["other_bases"] = std::move(notes);
  na::io::write_json(about, json);
  return note;
}

}  // namespace examples
