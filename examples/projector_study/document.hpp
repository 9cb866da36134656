// A report as blocks, written as Markdown and as one HTML file that needs nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "neural_attention/report/svg.hpp"

namespace examples {

namespace na = neural_attention;

struct Heading {
  int level;
  std::string text;
};
struct Paragraph {
  std::string text;
};
struct BulletList {
  std::vector<std::string> items;
};
/// Cells are plain text; all columns but the first `left` are aligned to the right.
struct TextTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  std::size_t left = 1;
};
struct Picture {
  std::string path, title, svg;  ///< where the file stands, from the folder of the report
};
/// A line that leads to another file.
struct Link {
  std::string text, path;  ///< from the folder of the report
};
struct CodeBlock {
  std::string text;
};

using Block = std::variant<Heading, Paragraph, BulletList, TextTable, Picture, Link, CodeBlock>;
using Document = std::vector<Block>;

namespace document_detail {

template <class... F>
struct Cases : F... {
  using F::operator()...;
};

/// Text in a cell of a Markdown table, or in a line.
inline std::string marked(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      result += ' ';
      continue;
    }
    if (c == '|' || c == '<' || c == '[' || c == ']' || c == '&' || c == '*' || c == '_' || c == '`' || c == '~' ||
        c == '\\')
      result += '\\';
    result += c;
  }
  return result;
}

/// The same for a paragraph, which must not begin like a heading, a list, a quotation or, with blanks, code.
inline std::string marked_paragraph(const std::string& text) {
  auto result = marked(text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size())));
  const auto sign = result.find_first_not_of("0123456789");
  const bool numbered = sign != 0 && sign != std::string::npos && (result[sign] == '.' || result[sign] == ')');
  const bool begins_a_block = sign == 0 && std::string_view("#+->=~").find(result[0]) != std::string_view::npos;
  if (numbered || begins_a_block) result.insert(sign, "\\");
  return result;
}

/// What stands before and behind code: more backticks than stand side by side in it.
inline std::string fence_around(const std::string& code) {
  std::size_t longest = 2, now = 0;
  for (const char c : code) {
    now = c == '`' ? now + 1 : 0;
    longest = std::max(longest, now);
  }
  return std::string(longest + 1, '`');
}

inline std::string markdown_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const auto& cell : cells) line += " " + marked(cell) + " |";
  return line + "\n";
}

/// A path as the target of a link: bytes that could mean something else there are written as %XX.
inline std::string target(const std::string& path) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~/",
                             digits = "0123456789ABCDEF";
  std::string result;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain.find(c) != std::string_view::npos)
      result += c;
    else
      for (const char sign : {'%', digits[byte / 16], digits[byte % 16]}) result += sign;
  }
  return result;
}

}  // namespace document_detail

/// Pictures are files beside it.
inline std::string as_markdown(const Document& document) {
  using namespace document_detail;
  std::string text;
  for (const auto& block : document) {
    std::visit(
        Cases{
            [&](const Heading& heading) {
              text += std::string(static_cast<std::size_t>(heading.level), '#') + " " + marked(heading.text) + "\n";
            },
            [&](const Paragraph& paragraph) { text += marked_paragraph(paragraph.text) + "\n"; },
            [&](const BulletList& list) {
              for (const auto& item : list.items) text += "- " + marked(item) + "\n";
            },
            [&](const TextTable& table) {
              text += markdown_row(table.head) + "|";
              for (std::size_t i = 0; i < table.head.size(); ++i) text += i < table.left ? "---|" : "---:|";
              text += "\n";
              for (const auto& row : table.rows) text += markdown_row(row);
            },
            [&](const Picture& picture) { text += "![" + marked(picture.title) + "](" + target(picture.path) + ")\n"; },
            [&](const Link& link) { text += "[" + marked(link.text) + "](" + target(link.path) + ")\n"; },
            [&](const CodeBlock& code) {
              const auto fence = fence_around(code.text);
              text += fence + "\n" + code.text + fence + "\n";
            }},
        block);
    text += "\n";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

/// Pictures stand in the text itself.
inline std::string as_html(const Document& document, const std::string& title) {
  using namespace document_detail;
  const auto escaped = [](const std::string& text) { return na::report::escaped(text); };
  std::string text =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
      escaped(title) +
      "</title>\n<style>\n"
      ":root{--page:#fff;--ink:#1b1f24;--line:#dfe3e8;--stripe:#f6f7f9}\n"
      "@media (prefers-color-scheme:dark){:root{--page:#15181c;--ink:#dde2e8;--line:#333941;--stripe:#1d2126}}\n"
      "body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--page);color:var(--ink);"
      "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
      "h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2.2rem}h3{font-size:1.05rem}\n"
      ".wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.88rem}\n"
      "th,td{padding:.3rem .65rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}\n"
      "th{white-space:nowrap}tbody tr:nth-child(odd){background:var(--stripe)}.left{text-align:left;min-width:6.5rem}\n"
      "pre{overflow-x:auto;background:var(--stripe);padding:.7rem;font-size:.8rem}\n"
      "figure{margin:1rem 0;overflow-x:auto}svg{max-width:100%;height:auto}\n"
      // On a phone a chart keeps its size, so that its letters can be read, and moves inside its figure.
      "@media (max-width:45rem){figure svg{max-width:none}}\n</style>\n</head>\n<body>\n";
  const auto row = [&](const TextTable& table, const std::vector<std::string>& cells, const char* tag) {
    std::string line = "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i)
      line +=
          "<" + std::string(tag) + (i < table.left ? " class=\"left\">" : ">") + escaped(cells[i]) + "</" + tag + ">";
    return line + "</tr>\n";
  };
  for (const auto& block : document)
    std::visit(Cases{[&](const Heading& heading) {
                       const auto tag = "h" + std::to_string(heading.level);
                       text += "<" + tag + ">" + escaped(heading.text) + "</" + tag + ">\n";
                     },
                     [&](const Paragraph& paragraph) { text += "<p>" + escaped(paragraph.text) + "</p>\n"; },
                     [&](const BulletList& list) {
                       text += "<ul>\n";
                       for (const auto& item : list.items) text += "<li>" + escaped(item) + "</li>\n";
                       text += "</ul>\n";
                     },
                     [&](const TextTable& table) {
                       text += "<div class=\"wide\"><table>\n<thead>" + row(table, table.head, "th") +
                               "</thead>\n<tbody>\n";
                       for (const auto& cells : table.rows) text += row(table, cells, "td");
                       text += "</tbody></table></div>\n";
                     },
                     [&](const Picture& picture) { text += "<figure>" + picture.svg + "</figure>\n"; },
                     [&](const Link& link) {
                       text += "<p><a href=\"" + target(link.path) + "\">" + escaped(link.text) + "</a></p>\n";
                     },
                     [&](const CodeBlock& code) {
                       std::string lines;
                       for (std::size_t at = 0; at < code.text.size();) {
                         const auto end = std::min(code.text.find('\n', at), code.text.size());
                         lines += escaped(code.text.substr(at, end - at)) + "\n";
                         at = end + 1;
                       }
                       text += "<pre>" + lines + "</pre>\n";
                     }},
               block);
  return text + "</body>\n</html>\n";
}

}  // namespace examples
