// --profile: measures the operations of a command, prints a table of the most expensive ones, and writes a file of all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "common/backend_text.hpp"
#include "common/output_file.hpp"
#include "common/table.hpp"
#include "neural_attention/report/profile_trace.hpp"

namespace examples {

/// Measures the peak of B in 10⁹ floating point operations per second: the multiply-adds of the CPU's threads, or a
/// large product of matrices on a GPU.
template <class B>
double peak_gflops(B& backend) {
  if constexpr (requires { backend.peak_gflops(); })
    return backend.peak_gflops();
  else
    return product_gflops(backend);
}

/// The most expensive rows, equal layers together; `peak` in 10⁹ operations a second.
inline std::string profile_table(const na::report::Profile& profile, double peak) {
  constexpr std::size_t most = 20;
  const auto rows = profile.rows(na::report::Profile::Layers::Folded);
  const double wall = profile.wall_seconds();
  const auto share = [&](double seconds) { return fixed(wall > 0.0 ? 100.0 * seconds / wall : 0.0, 1) + "%"; };
  double all = 0.0, rest = 0.0;
  long calls = 0, rest_calls = 0;
  Table table({"operation", "module", "phase", "calls", "seconds", "share", "GFLOP/s", "of peak", "GB/s"},
              {Align::left, Align::left, Align::left, Align::right, Align::right, Align::right, Align::right,
               Align::right, Align::right});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    all += row.seconds;
    calls += row.calls;
    if (i >= most) {
      rest += row.seconds;
      rest_calls += row.calls;
      continue;
    }
    const double gflops = row.seconds > 0.0 ? row.flop / row.seconds / 1e9 : 0.0;
    const double gbs = row.seconds > 0.0 ? row.bytes / row.seconds / 1e9 : 0.0;
    table.add({row.operation, row.module, std::string(name_of(row.phase)), with_commas(row.calls),
               fixed(row.seconds, 3), share(row.seconds), row.flop > 0.0 ? fixed(gflops, 1) : "",
               row.flop > 0.0 ? fixed(100.0 * gflops / peak, 0) + "%" : "", row.bytes > 0.0 ? fixed(gbs, 1) : ""});
  }
  if (rows.size() > most)
    table.add({"(" + std::to_string(rows.size() - most) + " more)", "", "", with_commas(rest_calls), fixed(rest, 3),
               share(rest)});
  auto text = "profile: these operations and this work of the host take " + share(all) + " of " + fixed(wall, 2) +
              " s; the peak is " + fixed(peak, 0) + " GFLOP/s\n" + table.text();
  if (profile.events_left_out() > 0)
    text += "the file has the first " + with_commas(static_cast<std::int64_t>(profile.events().size())) + " of " +
            with_commas(calls) + " calls, and the sums of all\n";
  return text;
}

/// Throws FileError if results cannot be written to `path`, or if it is a file other than a profile, which the command
/// may read or have written.
inline void require_profile_output(const std::string& path) {
  require_output(path);
  const auto target = written_path(path);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(target, ignored) || std::filesystem::file_size(target, ignored) == 0) return;
  std::string beginning(na::report::trace_beginning.size(), '\0');
  std::ifstream(target, std::ios::binary).read(beginning.data(), std::ssize(beginning));
  if (beginning != na::report::trace_beginning)
    throw na::FileError(path, "exists already and is no profile, so --profile does not overwrite it");
}

/// Calls run() and, if `path` is not empty, measures it, prints the table to standard error and writes the file to
/// `path`. Throws FileError if it cannot write the file, before run() if possible. make_backend() makes a backend like
/// the command's.
template <class Run, class MakeBackend>
int profiled(const std::string& path, Run&& run, MakeBackend&& make_backend) {
  if (path.empty()) return run();
  require_profile_output(path);
  const auto peak_now = [&] {
    auto backend = make_backend();
    return peak_gflops(backend);
  };
  const double peak_before = peak_now();
  na::report::Profile profile;
  const int code = run();
  profile.stop();
  std::fputs(profile_table(profile, std::max(peak_before, peak_now())).c_str(), stderr);
  require_profile_output(path);
  write_output(path, na::report::chrome_trace(profile));
  return code;
}

}  // namespace examples
