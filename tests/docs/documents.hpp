// The README, its neighbours and the pages of docs/, taken apart: code blocks, the commands of a shell block, code
// within the prose.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace documents {

namespace fs = std::filesystem;

inline fs::path source_folder() { return fs::path(NEURAL_ATTENTION_GOLDEN_DIR).parent_path().parent_path(); }

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Block {
  std::string place;     ///< file and line
  std::string language;  ///< behind the fence
  std::string text;
};

struct Document {
  fs::path path;
  std::vector<Block> blocks;
  std::string prose;  ///< all else
};

inline Document read(const fs::path& path) {
  Document document{path, {}, {}};
  std::istringstream lines(text_of(path));
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside)
        document.blocks.push_back({path.filename().string() + ":" + std::to_string(number), line.substr(3), {}});
    } else {
      (inside ? document.blocks.back().text : document.prose) += line + "\n";
    }
  }
  return document;
}

inline std::vector<Document> all() {
  std::vector<Document> result;
  const auto docs = source_folder() / "docs";
  for (const auto& folder : {source_folder(), docs, docs / "results", docs / "results/studies"})
    for (const auto& page : fs::directory_iterator(folder))
      if (page.path().extension() == ".md") result.push_back(read(page.path()));
  return result;
}

/// What stands between backquotes.
inline std::vector<std::string> code_of(const std::string& prose) {
  std::vector<std::string> result;
  for (std::size_t begin = prose.find('`'); begin != std::string::npos;) {
    const auto end = prose.find('`', begin + 1);
    if (end == std::string::npos) break;
    result.push_back(prose.substr(begin + 1, end - begin - 1));
    begin = prose.find('`', end + 1);
  }
  return result;
}

/// The rows of tables without their first cells, and all lines of other prose.
inline std::string without_first_cells(const std::string& prose) {
  std::string result;
  std::istringstream lines(prose);
  for (std::string line; std::getline(lines, line);) {
    const auto second = line.starts_with("|") ? line.find('|', 1) : std::string::npos;
    result += (second == std::string::npos ? line : line.substr(second)) + "\n";
  }
  return result;
}

/// The words of a shell's simple commands, quotes taken away, without comments, assignments and redirections' signs.
/// What is joined by pipes, && and the like are several commands.
inline std::vector<std::vector<std::string>> commands_of(std::string_view text) {
  std::vector<std::vector<std::string>> commands(1);
  std::string word;
  bool any = false;
  char quote = 0;
  const auto end_word = [&] {
    const bool assignment = commands.back().empty() && word.find('=') != std::string::npos;
    if (any && !assignment) commands.back().push_back(word);
    word.clear();
    any = false;
  };
  const auto end_command = [&] {
    end_word();
    if (!commands.back().empty()) commands.emplace_back();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      any = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      if (text[++i] == '\n') {
        end_word();
      } else {
        word += text[i];
        any = true;
      }
    } else if (c == '#' && !any) {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '\n' || c == ';' || c == '|' || c == '&') {
      end_command();
    } else if (c == ' ' || c == '\t') {
      end_word();
    } else {
      word += c;
      any = true;
    }
  }
  end_command();
  if (commands.back().empty()) commands.pop_back();
  return commands;
}

}  // namespace documents
