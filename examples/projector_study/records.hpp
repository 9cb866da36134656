// records.jsonl: what the report needs of all finished runs, in one file that can be kept, sent and committed. `report`
// writes it; runs that it has and the folder lacks are unpacked, so a study goes on where another machine left it.
//   {"run": NAME, "about": run.json, "metrics": rows of metrics.jsonl except those for steps, "test": scores,
//    "sample": text}
//   {"run": NAME, "translations": lines}, of a translator's test set, as many rows as necessary
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/study_folder.hpp"

namespace examples {

namespace records_detail {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

inline constexpr std::size_t lines_a_row = 500;

/// No other process on this or another host has it.
inline std::string own_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return std::string(host.data()) + "-" + std::to_string(::getpid());
}

inline Json record_of(const StudyFolder& folder, const study::PlannedRun& run) {
  auto about = na::io::read_json(folder.of(run) / "run.json");
  if (about.is_object()) about.erase("command");  // has paths of the machine; the report has the command
  Json record = {{"run", run.name}, {"about", about}};
  record["metrics"] = Json::array();
  const auto metrics = folder.measured(run) / "metrics.jsonl";
  if (std::error_code ignored; fs::exists(metrics, ignored))
    na::io::read_json_lines<Json>(metrics, na::io::TornLine::LeaveOut, [&](const Json& row) {
      if (row.contains("valid_loss") || row.contains("final")) record["metrics"].push_back(row);
    });
  const auto scores = folder.of(run) / "test.json";
  if (std::error_code ignored; fs::exists(scores, ignored)) record["test"] = na::io::read_json(scores);
  const auto sample = sample_of(folder, run);
  if (std::error_code ignored; fs::exists(sample, ignored)) record["sample"] = na::text::read_text_bytes(sample);
  return record;
}

/// Writes a run's files into `part`, an empty folder.
inline void unpack(const Json& record, const fs::path& part, const fs::path& file) {
  const auto line = [&](const Json& json) { return na::io::json_text(json, file, -1) + "\n"; };
  make_folder(part);
  na::io::write_file_atomically(part / "run.json", na::io::json_text(record.at("about"), file, 2) + "\n");
  std::string rows;
  for (const auto& row : record.at("metrics")) rows += line(row);
  if (!rows.empty()) {
    make_folder(part / "recorded");
    na::io::write_file_atomically(part / "recorded/metrics.jsonl", rows);
  }
  if (record.contains("test")) na::io::write_file_atomically(part / "test.json", line(record.at("test")));
  if (record.contains("sample"))
    na::io::write_file_atomically(part / "sample.txt", na::io::get<std::string>(record, "sample", file));
}

}  // namespace records_detail

inline std::filesystem::path records_of(const StudyFolder& folder) { return folder.path / "records.jsonl"; }

/// Writes the runs, which have ended.
inline void write_records(const StudyFolder& folder, const study::StudyPlan& plan,
                          const std::vector<study::PlannedRun>& runs) {
  using namespace records_detail;
  const auto path = records_of(folder);
  std::string text;
  const auto add = [&](const Json& row) { text += na::io::json_text(row, path, -1) + "\n"; };
  for (const auto& run : runs) {
    add(record_of(folder, run));
    const auto translations = test_result(folder, plan, run);
    std::error_code ignored;
    if (plan.study.task != "translation" || !needs_test(plan, run) || !fs::exists(translations, ignored)) continue;
    const auto lines = na::text::read_lines(translations.string());
    for (std::size_t at = 0; at < lines.size(); at += lines_a_row) {
      const auto begin = lines.begin() + static_cast<std::ptrdiff_t>(at);
      const auto count = static_cast<std::ptrdiff_t>(std::min(lines_a_row, lines.size() - at));
      add({{"run", run.name}, {"translations", std::vector<std::string>(begin, begin + count)}});
    }
  }
  na::io::write_file_atomically(path, text);
}

/// Makes the folders of runs that records.jsonl has and the study's folder lacks. Throws FileError for a file that is
/// none of these.
inline void unpack_records(const StudyFolder& folder) {
  using namespace records_detail;
  const auto path = records_of(folder);
  std::error_code error;
  if (!fs::exists(path, error)) return;
  std::string name, translations;
  fs::path part;
  // Only a run with all its files gets its name.
  const auto finish = [&] {
    if (part.empty()) return;
    if (!translations.empty()) na::io::write_file_atomically(part / "test.translations", translations);
    translations.clear();
    const auto run = folder.path / "runs" / name;
    fs::rename(part, run, error);
    if (std::error_code ignored; error && !fs::exists(run / "run.json", ignored))
      throw na::FileError(run.string(), "cannot be made: " + error.message());
    fs::remove_all(part, error);
    part.clear();
  };
  na::io::read_json_lines<Json>(path, na::io::TornLine::Refuse, [&](const Json& row) {
    const auto of = na::io::get<std::string>(row, "run", path);
    if (of.empty() || of.starts_with('.') || of.find_first_of("/\\") != std::string::npos)
      throw na::FileError(path.string(), "names a run " + na::in_quotes(of) + ", which is no name of a run");
    if (row.contains("translations")) {
      if (of != name)
        throw na::FileError(path.string(), "has translations of " + na::in_quotes(of) + " in a wrong place");
      if (!part.empty())
        for (const auto& text : na::io::get<std::vector<std::string>>(row, "translations", path))
          translations += text + "\n";
      return;
    }
    finish();
    name = of;
    if (!row.contains("about") || !row.at("about").is_object() || !row.contains("metrics") ||
        !row.at("metrics").is_array())
      throw na::FileError(path.string(), "lacks a run's description or its metrics");
    if (fs::exists(folder.path / "runs" / of / "run.json", error)) return;
    part = folder.path / "runs" / (".unpacked-" + own_name());
    fs::remove_all(part, error);
    unpack(row, part, path);
  });
  finish();
}

}  // namespace examples
