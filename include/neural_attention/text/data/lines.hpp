// Lines of a text file, plain or gzip-compressed, checked to be UTF-8. The first bytes identify gzip, so the name does
// not matter. A byte order mark and the carriage returns of Windows line ends are removed. And a file's bytes as they
// are, whole or in blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// Throws LineError, naming the byte and its place (from 1) in the line, unless `line` is well-formed UTF-8.
void require_utf8(const std::string& path, long line_number, std::string_view line);

inline constexpr std::size_t longest_line = std::size_t{1} << 20;  ///< bytes; a longer one is no text
/// The same with a byte order mark and a carriage return, which do not count.
inline constexpr std::size_t longest_written_line = longest_line + 4;
inline constexpr std::uint64_t most_text = std::uint64_t{16} << 30;  ///< bytes in memory of one file

/// All bytes of a plain or gzip-compressed file. Throws FileError if it cannot be opened, cannot be read, is a gzip
/// file that is truncated, corrupt, or followed by something else, is a pointer of Git LFS, or is too large.
std::string read_text_bytes(const std::string& path);

/// A part of a text.
struct TextBlock {
  std::string_view text;          ///< valid during the call
  std::uint64_t before = 0;       ///< bytes of the text in front of it
  std::uint64_t read_before = 0;  ///< bytes of the file, compressed or not, that were read for what is in front
  std::uint64_t read = 0;         ///< the same, with what was read for this part
};

/// Where `text`, the beginning of a longer one, may be cut: the last place from `searched` on; 0 if there is none.
using FindBorder = std::function<std::size_t(std::string_view text, std::size_t searched)>;

inline constexpr std::size_t usual_block = std::size_t{16} << 20;  ///< bytes

/// Calls use(part) for the parts of a plain or gzip-compressed text, which are cut at borders and have about `bytes`
/// bytes, or more where there is no border. Throws as read_text_bytes does, but the text may be of any size: only a
/// part must not be too large.
void read_blocks(const std::string& path, const FindBorder& border, const std::function<void(const TextBlock&)>& use,
                 std::size_t bytes = usual_block);

/// `text` without a byte order mark at its beginning.
std::string_view without_byte_order_mark(std::string_view text);

/// The lines of a plain or gzip-compressed UTF-8 file, without line ends. The last line may lack its line end. Throws
/// as read_text_bytes does, FileError for a file without a line, and LineError for broken UTF-8 and for a line longer
/// than 1 MiB.
std::vector<std::string> read_lines(const std::string& path);

/// `directory`/`name` if it exists, otherwise `directory`/`name`.gz. Throws FileError, which names both, if neither
/// exists.
std::string find_text_file(const std::string& directory, const std::string& name);

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/data/impl/lines.hpp"
#endif
