// The rows of a metrics.jsonl that a resumed run continues.
#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <system_error>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"

namespace examples {

namespace na = neural_attention;

using MetricRow = nlohmann::ordered_json;

/// A row's number; NaN if it has none or null, which older rows have for a number that is not finite.
inline double number_of(const MetricRow& row, const std::string& column, const std::string& path) {
  return na::io::get_or<double>(row, column, std::numeric_limits<double>::quiet_NaN(), path);
}

/// The rows of steps up to `last_step`, whose `columns` are numbers; none if there is no file. Leaves out a last line
/// that a killed run did not finish. Throws LineError for every other line that is no such row.
inline std::vector<MetricRow> read_metric_rows(const std::string& path, const std::vector<std::string>& columns,
                                               long last_step) {
  std::vector<MetricRow> rows;
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return rows;
  na::io::read_json_lines<MetricRow>(path, na::io::TornLine::LeaveOut, [&](MetricRow& row) {
    if (!row.is_object()) throw na::FileError(path, "is not a JSON object");
    if (!row.contains("step") || na::io::get<long>(row, "step", path) > last_step) return;
    for (const auto& column : columns) number_of(row, column, path);
    rows.push_back(std::move(row));
  });
  return rows;
}

}  // namespace examples
