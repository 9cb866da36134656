// Translations that the ranks of a group share out: each translates some of the lines, and all get the results of all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/text/services/translator.hpp"
#include "neural_attention/train/group.hpp"

namespace examples {

namespace na = neural_attention;

/// Numbers, lists of numbers and texts, one after the other.
class Packer {
 public:
  void add(const auto& number) {
    static_assert(std::is_arithmetic_v<std::remove_cvref_t<decltype(number)>>);
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void add(std::span<const int> numbers) {
    add(numbers.size());
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
  }
  void add(std::string_view text) {
    add(text.size());
    bytes_.append(text);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : left_(bytes) {}

  bool done() const { return left_.empty(); }
  template <class T>
  T number() {
    T value;
    take(&value, sizeof value);
    return value;
  }
  std::vector<int> numbers() {
    std::vector<int> values(number<std::size_t>());
    take(values.data(), values.size() * sizeof(int));
    return values;
  }
  std::string text() {
    std::string value(number<std::size_t>(), '\0');
    take(value.data(), value.size());
    return value;
  }

 private:
  void take(void* place, std::size_t size) {
    if (size == 0) return;
    std::memcpy(place, left_.data(), size);
    left_.remove_prefix(size);
  }

  std::string_view left_;
};

inline std::string packed(const std::vector<na::text::Translation>& translations) {
  Packer packer;
  for (const auto& one : translations) {
    packer.add(one.candidates.size());
    for (const auto& candidate : one.candidates) {
      packer.add(std::string_view(candidate.text));
      packer.add(candidate.score);
      packer.add(std::span<const int>(candidate.ids));
      packer.add(candidate.end);
    }
    packer.add(std::span<const int>(one.source_ids));
    packer.add(one.source_tokens);
    packer.add(one.truncated);
  }
  return packer.bytes();
}

inline void unpack(std::string_view bytes, std::vector<na::text::Translation>& translations) {
  for (Unpacker packed(bytes); !packed.done();) {
    auto& one = translations.emplace_back();
    one.candidates.resize(packed.number<std::size_t>());
    for (auto& candidate : one.candidates) {
      candidate.text = packed.text();
      candidate.score = packed.number<double>();
      candidate.ids = packed.numbers();
      candidate.end = packed.number<int>();
    }
    one.source_ids = packed.numbers();
    one.source_tokens = packed.number<int>();
    one.truncated = packed.number<bool>();
  }
}

/// The lines of `rank`: each rank has neighbouring lines, of about as many bytes.
inline std::span<const std::string> lines_of_rank(std::span<const std::string> lines, int rank, int size) {
  std::size_t all = 0, before = 0, first = lines.size(), last = 0;
  for (const auto& line : lines) all += line.size() + 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto bytes = lines[i].size() + 1;
    if ((2 * before + bytes) * static_cast<std::size_t>(size) / (2 * all) == static_cast<std::size_t>(rank)) {
      first = std::min(first, i);
      last = i + 1;
    }
    before += bytes;
  }
  return first < last ? lines.subspan(first, last - first) : std::span<const std::string>();
}

/// As Translator::translate, on all ranks with the same lines. `on_batch` hears of this rank's lines.
template <class G, class Translator>
std::vector<na::text::Translation> translate_in(
    G& group, const Translator& translator, std::span<const std::string> lines, const na::GenerationConfig& how,
    std::size_t first_line = 0, const std::function<void(const na::text::TranslationProgress&)>& on_batch = {}) {
  if constexpr (!na::is_alone<G>) {
    if (group.size() > 1) {
      const auto mine = lines_of_rank(lines, group.rank(), group.size());
      const auto before = mine.empty() ? std::size_t{0} : static_cast<std::size_t>(mine.data() - lines.data());
      std::vector<na::text::Translation> all;
      for (const auto& bytes :
           group.gather(std::string_view(packed(translator.translate(mine, how, first_line + before, on_batch)))))
        unpack(bytes, all);
      return all;
    }
  }
  return translator.translate(lines, how, first_line, on_batch);
}

/// What rank 0 says of its next lines.
enum class NextLines { None, Follow, MayTakeLong };

/// Gives lines of rank 0, or nullptr after the last ones, to the other ranks.
template <class G>
void send_lines([[maybe_unused]] G& group, [[maybe_unused]] const std::vector<std::string>* lines) {
  if constexpr (!na::is_alone<G>) {
    if (group.size() == 1) return;
    na::of_first(group, lines ? NextLines::Follow : NextLines::None);
    if (!lines) return;
    Packer packer;
    for (const auto& line : *lines) packer.add(std::string_view(line));
    group.broadcast(std::string_view(packer.bytes()));
  }
}

/// What rank 0 sends; none after the last lines.
template <class G>
std::optional<std::vector<std::string>> next_lines(G& group) {
  auto next = NextLines::MayTakeLong;
  while (next == NextLines::MayTakeLong) next = na::of_first(group, NextLines::None);
  if (next == NextLines::None) return {};
  std::vector<std::string> lines;
  if constexpr (!na::is_alone<G>) {
    const auto bytes = group.broadcast(std::string_view());
    for (Unpacker packed(bytes); !packed.done();) lines.push_back(packed.text());
  }
  return lines;
}

}  // namespace examples
