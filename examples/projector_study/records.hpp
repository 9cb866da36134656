// records.jsonl: what the report needs of all finished runs, in one file that can be kept, sent and committed. `report`
// writes it, and keeps what it has of other runs; runs that it has and the folder lacks, or has only begun, are
// unpacked, so a study goes on where another machine left it.
//   {"run": NAME, "about": run.json, "metrics": rows of metrics.jsonl except those for steps, "test": scores,
//    "sample": text}
//   {"run": NAME, "segments": lines of test.segments}, as many rows as necessary
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "neural_attention/io/platform.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "projector_study/study_folder.hpp"
#include "projector_study/test_sentences.hpp"

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

/// Removes the folder if an error ends unpacking.
struct PartlyUnpacked {
  const fs::path& folder;
  ~PartlyUnpacked() {
    std::error_code ignored;
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
};

/// Whether the folder of a run, which has a run.json, needs no record of this hash: the run has ended, or is another.
inline bool has_ended(const fs::path& run, const std::string& hash) {
  const auto about = run / "run.json";
  const auto json = na::io::read_json(about);
  return json.contains("diverged") || final_loss(run / "output") || final_loss(run / "recorded") ||
         na::io::get<std::string>(json, "hash", about) != hash;
}

/// Moves the folder of a run that has begun, and with which no process goes on, to `aside`: its record replaces it.
/// Returns the lock of the folder.
inline na::io::platform::FileHandle make_way(const fs::path& run, const std::string& hash, const fs::path& aside) {
  auto lock = na::io::platform::lock_folder(run);
  std::error_code error;
  fs::remove_all(aside, error);
  // Another process may have ended it in the meantime.
  if (lock.is_open() && !has_ended(run, hash)) fs::rename(run, aside, error);
  return lock;
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

/// Writes the runs, which have ended, and behind them what the file has of others.
inline void write_records(const StudyFolder& folder, const std::vector<study::PlannedRun>& runs) {
  using namespace records_detail;
  const auto path = records_of(folder);
  std::string text;
  const auto add = [&](const Json& row) { text += na::io::json_text(row, path, -1) + "\n"; };
  for (const auto& run : runs) {
    add(record_of(folder, run));
    const auto segments = test_segments(folder, run);
    if (std::error_code ignored; !fs::exists(segments, ignored)) continue;
    Json lines = Json::array();
    const auto add_lines = [&] {
      if (!lines.empty()) add({{"run", run.name}, {"segments", std::exchange(lines, Json::array())}});
    };
    na::io::read_json_lines<Json>(segments, na::io::TornLine::Refuse, [&](const Json& line) {
      lines.push_back(line);
      if (lines.size() == lines_a_row) add_lines();
    });
    add_lines();
  }
  if (std::error_code ignored; fs::exists(path, ignored)) {
    const auto written = [&](const std::string& name) {
      return std::any_of(runs.begin(), runs.end(), [&](const auto& run) { return run.name == name; });
    };
    na::io::read_json_lines<Json>(path, na::io::TornLine::Refuse, [&](const Json& row) {
      if (!written(na::io::get<std::string>(row, "run", path))) add(row);
    });
  }
  na::io::write_file_atomically(path, text);
}

/// Makes the folders of runs that records.jsonl has and the study's folder lacks, or has without an end. Throws
/// FileError for a file that is none of these.
inline void unpack_records(const StudyFolder& folder) {
  using namespace records_detail;
  const auto path = records_of(folder);
  std::error_code error;
  if (!fs::exists(path, error)) return;
  std::string name, hash, segments;
  bool counted = false;  // the run is a translator's, with a test
  fs::path part;
  const PartlyUnpacked guard{part};
  // Only a run with all its files gets its name.
  const auto finish = [&] {
    if (part.empty()) return;
    if (counted == segments.empty())
      throw na::FileError(path.string(), "lacks the segments of " + na::in_quotes(name) + ", or its test");
    if (!segments.empty()) na::io::write_file_atomically(part / "test.segments", segments);
    segments.clear();
    const auto run = folder.path / "runs" / name;
    const auto aside = folder.path / "runs" / (".replaced-" + own_name());
    na::io::platform::FileHandle lock;
    if (std::error_code ignored; fs::exists(run / "run.json", ignored)) lock = make_way(run, hash, aside);
    fs::rename(part, run, error);
    if (std::error_code ignored; error && !fs::exists(run / "run.json", ignored))
      throw na::FileError(run.string(), "cannot be made: " + error.message());
    for (const auto& left : {part, aside}) fs::remove_all(left, error);
    part.clear();
  };
  na::io::read_json_lines<Json>(path, na::io::TornLine::Refuse, [&](const Json& row) {
    const auto of = na::io::get<std::string>(row, "run", path);
    if (of.empty() || of.starts_with('.') || of.find_first_of("/\\") != std::string::npos)
      throw na::FileError(path.string(), "names a run " + na::in_quotes(of) + ", which is no name of a run");
    if (row.contains("translations"))
      throw na::FileError(path.string(),
                          "keeps translations, as an earlier version did, where this one keeps counts of "
                          "sentences; remove it, and run the study where its models are");
    if (row.contains("segments")) {
      if (of != name || !row.at("segments").is_array())
        throw na::FileError(path.string(), "has segments of " + na::in_quotes(of) + " in a wrong place");
      for (const auto& counts : row.at("segments")) {
        unpacked(counts_in(counts, path), path);
        if (!part.empty()) segments += na::io::json_text(counts, path, -1) + "\n";
      }
      return;
    }
    finish();
    name = of;
    if (!row.contains("about") || !row.at("about").is_object() || !row.contains("metrics") ||
        !row.at("metrics").is_array())
      throw na::FileError(path.string(), "lacks a run's description or its metrics");
    // A fault is one of this file, not of those that are made from it.
    hash = na::io::get<std::string>(row.at("about"), "hash", path);
    for (const auto& metrics : row.at("metrics")) na::io::get<double>(metrics, "valid_loss", path);
    const auto there = folder.path / "runs" / of;
    if (fs::exists(there / "run.json", error) && has_ended(there, hash)) return;
    part = folder.path / "runs" / (".unpacked-" + own_name());
    fs::remove_all(part, error);
    counted = row.contains("test") && row.at("test").contains("sources");
    unpack(row, part, path);
  });
  finish();
}

}  // namespace examples
