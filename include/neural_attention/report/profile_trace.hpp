// A Profile as Chrome's trace events, which Perfetto (ui.perfetto.dev) and chrome://tracing show: a bar for each call,
// a line for each thread; with the sums of all calls, those that were not kept included, under "rows".
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/report/profile.hpp"

namespace neural_attention::report {

/// `text` as a string of JSON, quotes included; '?' for bytes that are no UTF-8.
inline std::string json_quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string quoted = "\"";
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0)
      quoted += '?';
    else if (byte < 0x20)
      quoted.append("\\u00") += {digits[byte >> 4], digits[byte & 15]};
    else if (byte == '"' || byte == '\\')
      quoted.append("\\") += text.front();
    else
      quoted += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return quoted + "\"";
}

/// What every file begins with.
inline constexpr std::string_view trace_beginning = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";

/// The whole file.
inline std::string chrome_trace(const Profile& profile) {
  const auto microseconds = [](std::int64_t nanoseconds) {
    return number_text(1e-3 * static_cast<double>(nanoseconds), std::chars_format::fixed, 3);
  };
  std::string text(trace_beginning);
  const char* separator = "\n";
  for (const auto& event : profile.events()) {
    text.append(separator) += "{\"ph\":\"X\",\"pid\":1,\"tid\":" + std::to_string(event.thread);
    text += ",\"ts\":" + microseconds(event.begin) + ",\"dur\":" + microseconds(event.length);
    text += ",\"name\":" + json_quoted(profile.operation(event)) + ",\"cat\":" + json_quoted(name_of(event.phase));
    if (event.phase != Phase::Host)
      text += ",\"args\":{\"module\":" + json_quoted(profile.module(event)) + ",\"flop\":" + number_text(event.flop) +
              ",\"bytes\":" + number_text(event.bytes) + "}";
    text += "}";
    separator = ",\n";
  }
  text += "\n],\n\"otherData\":{\"wall_seconds\":" + number_text(profile.wall_seconds()) +
          ",\"events_left_out\":" + std::to_string(profile.events_left_out()) + "},\n\"rows\":[";
  separator = "\n";
  for (const auto& row : profile.rows()) {
    text.append(separator) += "{\"operation\":" + json_quoted(row.operation) +
                              ",\"module\":" + json_quoted(row.module) +
                              ",\"phase\":" + json_quoted(name_of(row.phase));
    text += ",\"calls\":" + std::to_string(row.calls) + ",\"seconds\":" + number_text(row.seconds);
    text += ",\"flop\":" + number_text(row.flop) + ",\"bytes\":" + number_text(row.bytes) + "}";
    separator = ",\n";
  }
  return text + "\n]}\n";
}

}  // namespace neural_attention::report
