// The two layouts of IWSLT's TED talks. Test sets are XML, <doc docid="767"> … <seg id="1"> text </seg>. Training files
// (train.tags.de-en.de) hold one sentence per line, between lines of metadata that begin with "<".
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"
#include "neural_attention/text/data/xml_text.hpp"

namespace neural_attention::text {

/// One sentence of a test set.
struct IwsltSegment {
  std::string document, id;  ///< as the file writes them
  std::string text;          ///< entities decoded, line breaks made spaces, without outer white space
  long line = 0;             ///< where it begins, from 1
};

/// Reads the segments of a plain or gzip-compressed XML file in their order, and skips everything else (titles,
/// keywords, …). Throws as read_text_bytes does, FileError for a file without segments, and LineError for broken UTF-8,
/// for XML that is not well-formed, and for a segment that has no id, lies outside a document, contains elements, or
/// repeats an id of its document.
inline std::vector<IwsltSegment> read_iwslt_segments(const std::string& path) {
  const std::string bytes = read_text_bytes(path);
  const auto content = without_byte_order_mark(bytes);
  if (std::size_t bad = 0; !valid_utf8(content, bad)) {
    const auto begin = content.rfind('\n', bad) + 1;  // npos + 1 is 0
    const auto line = 1 + std::count(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
    require_utf8(path, line, content.substr(begin, content.find('\n', bad) - begin));
  }
  constexpr std::size_t longest_id = 200;  // bytes
  XmlScanner scanner(path, content);
  std::vector<IwsltSegment> segments;
  std::vector<std::string> open;  // the elements that are not closed
  std::string document;
  std::unordered_set<std::string> ids;  // of the document's segments
  for (bool any = false;; any = true) {
    auto line = scanner.line();
    auto text = scanner.text();
    if (!open.empty() && open.back() == "seg") {
      for (char& c : text)
        if (c == '\n' || c == '\r' || c == '\t') c = ' ';
      segments.back().text = strip(text);
    } else if (open.empty() && !strip(text).empty()) {
      throw LineError(path, line, "there is text outside the XML's outermost element");
    }
    line = scanner.line();
    const auto tag = scanner.tag();
    if (!tag) {
      if (!open.empty()) scanner.fail("an end of the file inside <" + open.back() + ">");
      break;
    }
    const auto refuse = [&](const std::string& what) { throw LineError(path, line, what); };
    if (tag->closing) {
      if (open.empty() || open.back() != tag->name)
        refuse("</" + tag->name + "> closes " + (open.empty() ? "nothing" : "<" + open.back() + ">"));
      open.pop_back();
      continue;
    }
    if (open.empty() && any) refuse("there is a second outermost element");
    if (!open.empty() && open.back() == "seg") refuse("there is the element <" + tag->name + "> inside a segment");
    if (tag->name == "doc") {
      const auto* id = tag->attribute("docid");
      if (id == nullptr || id->size() > longest_id) refuse("a document has no docid, or one that is too long");
      document = *id;
      ids.clear();
    } else if (tag->name == "seg") {
      const auto* id = tag->attribute("id");
      if (id == nullptr || id->size() > longest_id) refuse("a segment has no id, or one that is too long");
      if (std::find(open.begin(), open.end(), "doc") == open.end()) refuse("a segment stands outside a document");
      if (!ids.insert(*id).second)
        refuse("document " + in_quotes(document) + " has a segment " + in_quotes(*id) + " before this one");
      segments.push_back({document, *id, {}, line});
    }
    if (!tag->empty) open.push_back(tag->name);
    if (open.size() > 64) refuse("elements are nested more than 64 deep");
  }
  if (segments.empty()) throw FileError(path, "has no <seg> elements");
  return segments;
}

/// Reads both sides of a test set. Throws as above, LineError if a segment of the target does not match the segment and
/// document of the source, and FileError if one side has more segments.
inline ParallelCorpus load_iwslt_xml(const std::string& source_path, const std::string& target_path) {
  auto source = read_iwslt_segments(source_path), target = read_iwslt_segments(target_path);
  const auto describe = [](const IwsltSegment& segment) {
    return "segment " + in_quotes(segment.id) + " of document " + in_quotes(segment.document);
  };
  ParallelCorpus corpus;
  for (std::size_t i = 0; i < source.size() && i < target.size(); ++i) {
    if (source[i].document != target[i].document || source[i].id != target[i].id)
      throw LineError(target_path, target[i].line,
                      describe(target[i]) + " stands opposite " + describe(source[i]) + " of " + source_path);
    corpus.source.push_back(std::move(source[i].text));
    corpus.target.push_back(std::move(target[i].text));
  }
  require_same_size(source.size(), source_path, target.size(), target_path, "segments");
  return corpus;
}

/// The sentences of a training file, without outer white space; lines that begin with "<" are metadata. These files are
/// not XML: an entity is decoded, and an & that begins none stays. Throws as read_lines does, and FileError for a file
/// without sentences.
inline std::vector<std::string> read_iwslt_tags(const std::string& path) {
  std::vector<std::string> sentences;
  for (const auto& line : read_lines(path)) {
    auto rest = strip(line);
    if (rest.starts_with('<')) continue;
    auto& sentence = sentences.emplace_back();
    while (!rest.empty()) {
      const auto plain = std::min(rest.find('&'), rest.size());
      sentence += rest.substr(0, plain);
      rest.remove_prefix(plain);
      if (rest.empty()) break;
      const auto entity = append_xml_entity(rest, sentence);
      if (entity == 0) sentence += '&';
      rest.remove_prefix(entity == 0 ? 1 : entity);
    }
  }
  if (sentences.empty()) throw FileError(path, "has no sentences: every line begins with <");
  return sentences;
}

/// Reads both sides of a training set. Throws as above, and FileError for unequal numbers of sentences.
inline ParallelCorpus load_iwslt_tags(const std::string& source_path, const std::string& target_path) {
  ParallelCorpus corpus{read_iwslt_tags(source_path), read_iwslt_tags(target_path)};
  require_same_size(corpus.source.size(), source_path, corpus.target.size(), target_path, "sentences");
  return corpus;
}

}  // namespace neural_attention::text
