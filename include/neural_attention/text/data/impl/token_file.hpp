// Definitions of what text/data/token_file.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/text/data/token_file.hpp"

namespace neural_attention::text {

namespace detail {

inline constexpr std::string_view token_file_begin = "NATOKENS", token_file_end = "NATOKEND";
inline constexpr std::size_t token_header = 64, token_trailer = 16, token_fingerprint = 16;
inline constexpr std::uint64_t token_file_version = 1;

/// Appends `bytes` bytes of `number`.
inline void put_number(std::string& text, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i & 0xFF);
}

inline std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t place, std::size_t width) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < width; ++i) number |= std::to_integer<std::uint64_t>(bytes[place + i]) << 8 * i;
  return number;
}

inline std::string_view text_at(std::span<const std::byte> bytes, std::size_t place, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()) + place, size};
}

inline void require_token_vocabulary(const TokenVocabulary& vocabulary) {
  if (vocabulary.size < 1)
    throw ConfigError("a token file needs a vocabulary of at least one id, not " + std::to_string(vocabulary.size));
  if (!vocabulary.fingerprint.empty() && vocabulary.fingerprint.size() != token_fingerprint)
    throw ConfigError("the fingerprint of a vocabulary must have 16 digits, unlike " +
                      in_quotes(vocabulary.fingerprint));
}

}  // namespace detail

NEURAL_ATTENTION_INLINE TokenFile::TokenFile(const std::filesystem::path& path, TokenVocabulary vocabulary)
    : file_(path), vocabulary_(std::move(vocabulary)) {
  using namespace detail;
  require_token_vocabulary(vocabulary_);
  const auto bytes = file_.bytes();
  const auto fail = [&](const std::string& what) { throw FileError(path.string(), what); };
  if (bytes.size() < token_file_begin.size() || text_at(bytes, 0, token_file_begin.size()) != token_file_begin) {
    if (bytes.size() % 2 != 0)
      fail("is no token file: it has no header, and its " + std::to_string(bytes.size()) +
           " bytes are no whole number of 16-bit ids");
    if (vocabulary_.size > 0x10000)
      fail("has no header and so would have 16-bit ids, too short for a vocabulary of " +
           std::to_string(vocabulary_.size) + " ids: tokenize the text again");
    size_ = bytes.size() / 2;
    return;
  }
  if (bytes.size() < token_header + token_trailer) fail("is truncated: it ends in its header");
  begin_ = token_header;
  const auto version = number_at(bytes, 8, 4);
  if (version != token_file_version)
    fail("is a token file of version " + std::to_string(version) + ", and only version 1 is known");
  width_ = static_cast<std::size_t>(number_at(bytes, 12, 4));
  if (width_ != 2 && width_ != 4) fail("is damaged: its ids have " + std::to_string(width_) + " bytes, not 2 or 4");
  const auto body = bytes.size() - token_header - token_trailer;
  if (text_at(bytes, bytes.size() - token_file_end.size(), token_file_end.size()) != token_file_end ||
      body % width_ != 0 || number_at(bytes, bytes.size() - token_trailer, 8) != body / width_)
    fail("is truncated: it does not end as a token file does");
  size_ = body / width_;
  const auto ids = number_at(bytes, 16, 8);
  if (ids != static_cast<std::uint64_t>(vocabulary_.size))
    fail("has tokens of a vocabulary of " + std::to_string(ids) + " ids, but this one has " +
         std::to_string(vocabulary_.size));
  const std::string found(text_at(bytes, 24, token_fingerprint));
  if (found[0] != '\0' && !vocabulary_.fingerprint.empty() && found != vocabulary_.fingerprint)
    fail("has tokens of another vocabulary of " + std::to_string(ids) + " ids: tokenize the text again");
}

NEURAL_ATTENTION_INLINE std::size_t TokenFile::id_at(std::size_t place) const {
  return static_cast<std::size_t>(detail::number_at(file_.bytes(), begin_ + place * width_, width_));
}

NEURAL_ATTENTION_INLINE void TokenFile::read(std::size_t first, std::span<int> ids) const {
  if (first > size_ || ids.size() > size_ - first)
    throw ShapeError(file_.path().string() + " has " + std::to_string(size_) + " tokens; there are no " +
                     std::to_string(ids.size()) + " after the first " + std::to_string(first));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = id_at(first + i);
    if (id >= static_cast<std::size_t>(vocabulary_.size))
      throw FileError(file_.path().string(), "token " + std::to_string(first + i) + " is " + std::to_string(id) +
                                                 ", but the vocabulary has the ids 0 to " +
                                                 std::to_string(vocabulary_.size - 1));
    ids[i] = static_cast<int>(id);
  }
}

NEURAL_ATTENTION_INLINE std::string TokenFile::fingerprint() const {
  constexpr std::size_t stretches = 1000, stretch = 16;
  Fingerprint print;
  std::vector<int> ids;
  const std::size_t step = std::max<std::size_t>(size_ / stretches, stretch);
  for (std::size_t first = 0; first < size_; first += step) {
    ids.resize(std::min(stretch, size_ - first));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int>(id_at(first + i));
    print.add(ids);
  }
  return std::to_string(size_) + " tokens, " + print.digits();
}

NEURAL_ATTENTION_INLINE TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, TokenVocabulary vocabulary)
    : file_((detail::require_token_vocabulary(vocabulary), path)),
      vocabulary_(std::move(vocabulary)),
      width_(vocabulary_.size <= 0x10000 ? 2 : 4) {
  using namespace detail;
  buffer_ = token_file_begin;
  put_number(buffer_, token_file_version, 4);
  put_number(buffer_, width_, 4);
  put_number(buffer_, static_cast<std::uint64_t>(vocabulary_.size), 8);
  buffer_ += vocabulary_.fingerprint;
  buffer_.resize(token_header, '\0');
}

NEURAL_ATTENTION_INLINE void TokenFileWriter::add(std::span<const int> ids) {
  constexpr std::size_t piece = 1u << 20;
  for (const int id : ids) {
    if (id < 0 || id >= vocabulary_.size)
      throw ConfigError("the id " + std::to_string(id) + " is not in a vocabulary of " +
                        std::to_string(vocabulary_.size));
    detail::put_number(buffer_, static_cast<std::uint64_t>(id), width_);
    ++size_;
    if (buffer_.size() >= piece) {
      file_.write(buffer_);
      buffer_.clear();
    }
  }
}

NEURAL_ATTENTION_INLINE void TokenFileWriter::commit() {
  detail::put_number(buffer_, size_, 8);
  buffer_ += detail::token_file_end;
  file_.write(buffer_);
  file_.commit();
}

}  // namespace neural_attention::text
