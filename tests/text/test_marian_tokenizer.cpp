#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE marian_tokenizer
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <locale>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "golden_file.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/io/json_parser.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "neural_attention/text/tokenizers/sentencepiece.hpp"
#include "scratch.hpp"

namespace text = neural_attention::text;
using neural_attention::ConfigError;
using neural_attention::FileError;
using nlohmann::json;
using Lines = std::vector<std::string>;

namespace {

const std::string golden_tokenizer = (golden::folder() / "marian_tokenizer").string();

/// Some hundred German and English sentences with enough different words for a small model.
std::pair<Lines, Lines> corpus() {
  const Lines nouns_de = {"Hund", "Mann", "Baum", "Garten", "Stein", "Wagen", "Vogel", "Fluss", "Tisch", "Löwe"};
  const Lines nouns_en = {"dog", "man", "tree", "garden", "stone", "car", "bird", "river", "table", "lion"};
  const Lines verbs_de = {"sieht", "findet", "malt", "trägt", "mag"},
              verbs_en = {"sees", "finds", "paints", "carries", "likes"};
  Lines german, english;
  for (std::size_t i = 0; i < nouns_de.size(); ++i)
    for (std::size_t j = 0; j < nouns_de.size(); ++j)
      for (std::size_t k = 0; k < verbs_de.size(); ++k) {
        german.push_back("Der " + nouns_de[i] + " " + verbs_de[k] + " den " + nouns_de[j] + ", aber nicht heute.");
        english.push_back("The " + nouns_en[i] + " " + verbs_en[k] + " the " + nouns_en[j] + ", but not today.");
      }
  return {german, english};
}

std::string copy_golden(const Scratch& folder) {
  for (const auto* name : {"source.spm", "target.spm", "vocab.json", "tokenizer_config.json"})
    std::filesystem::copy_file(golden_tokenizer + "/" + name, folder.file(name),
                               std::filesystem::copy_options::overwrite_existing);
  return folder.path.string();
}

void check_ids(const std::vector<int>& actual, const json& expected, const std::string& line) {
  const auto ids = expected.get<std::vector<int>>();
  BOOST_TEST_REQUIRE(!ids.empty());
  BOOST_TEST_CONTEXT("text: " << json(line).dump())
  BOOST_CHECK_EQUAL_COLLECTIONS(actual.begin(), actual.end(), ids.begin(), ids.end());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reference)

BOOST_AUTO_TEST_CASE(encodes_as_hf) {
  const auto tokenizer = text::MarianTokenizer::load(golden_tokenizer);
  const auto cases = json::parse(text::read_text_bytes(golden_tokenizer + "/cases.json"));
  BOOST_TEST(tokenizer.vocab_size() == cases["vocab_size"].get<int>());
  BOOST_TEST(tokenizer.eos_id() == 0);
  BOOST_TEST(tokenizer.unk_id() == 1);
  BOOST_TEST(tokenizer.pad_id() == tokenizer.vocab_size() - 1);
  BOOST_TEST_REQUIRE(cases["encoded"].size() > 90u);
  int sides_differ = 0;
  for (const auto& one : cases["encoded"]) {
    const auto line = one["text"].get<std::string>();
    check_ids(tokenizer.source_ids(line), one["source"], line);
    check_ids(tokenizer.target_ids(line), one["target"], line);
    sides_differ += one["source"] != one["target"];
  }
  BOOST_TEST(sides_differ > 20);  // otherwise the two models could be mixed up
}

BOOST_AUTO_TEST_CASE(decodes_as_hf) {
  auto tokenizer = text::MarianTokenizer::load(golden_tokenizer);
  BOOST_TEST(!tokenizer.clean_up_spaces());  // the folder says nothing
  const auto cases = json::parse(text::read_text_bytes(golden_tokenizer + "/cases.json"));
  BOOST_TEST_REQUIRE(cases["decoded"].size() > 190u);
  for (const auto& one : cases["decoded"]) {
    const auto ids = one["ids"].get<std::vector<int>>();
    tokenizer.set_clean_up_spaces(true);
    BOOST_TEST(tokenizer.decode(ids) == one["clean"].get<std::string>());
    tokenizer.set_clean_up_spaces(false);
    BOOST_TEST(tokenizer.decode(ids) == one["exact"].get<std::string>());
    BOOST_TEST(tokenizer.decode(ids, true) == one["clean"].get<std::string>());
  }
  BOOST_TEST_REQUIRE(cases["cleaned"].size() > 5u);
  for (const auto& one : cases["cleaned"])
    BOOST_TEST(text::MarianTokenizer::clean_up_english(one["text"].get<std::string>()) ==
               one["clean"].get<std::string>());
  for (const int id : {-1, tokenizer.vocab_size()})
    BOOST_CHECK_EXCEPTION(tokenizer.decode(std::vector<int>{0, id}), ConfigError, says(std::to_string(id)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(training)

BOOST_AUTO_TEST_CASE(writes_the_layout_that_hf_reads) {
  const Scratch folder;
  const auto [german, english] = corpus();
  const auto directory = folder.file("new/folder");
  const auto trained =
      text::MarianTokenizer::train(german, english, 96, directory, {.source_lang = "de", .target_lang = "en"});
  const auto loaded = text::MarianTokenizer::load(directory);
  BOOST_TEST(trained.vocab_size() == 96);
  BOOST_TEST(loaded.vocab_size() == 96);
  BOOST_TEST(loaded.eos_id() == 0);
  BOOST_TEST(loaded.unk_id() == 1);
  BOOST_TEST(loaded.pad_id() == 95);
  BOOST_TEST(!loaded.clean_up_spaces());

  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  BOOST_TEST((names == std::set<std::string>{"source.spm", "target.spm", "vocab.json", "tokenizer_config.json"}));
  BOOST_TEST(folder.read("new/folder/source.spm") == folder.read("new/folder/target.spm"));
  const auto vocabulary = nlohmann::ordered_json::parse(folder.read("new/folder/vocab.json"));
  int next = 0;
  for (const auto& [piece, id] : vocabulary.items()) BOOST_TEST(id.get<int>() == next++);  // in the order of the ids
  BOOST_TEST(next == 96);
  const auto bytes = folder.read("new/folder/vocab.json");
  BOOST_TEST(std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 128; }));
  const auto config = json::parse(folder.read("new/folder/tokenizer_config.json"));
  BOOST_TEST(config["source_lang"] == "de");
  BOOST_TEST(config["model_max_length"] == 512);

  for (std::size_t i = 0; i < german.size(); ++i) {
    BOOST_TEST_REQUIRE(loaded.decode(loaded.target_ids(english[i])) == english[i]);
    BOOST_TEST_REQUIRE(loaded.decode(loaded.source_ids(german[i])) == german[i]);
    BOOST_TEST_REQUIRE(trained.source_ids(german[i]) == loaded.source_ids(german[i]));
  }
}

BOOST_AUTO_TEST_CASE(is_reproducible) {
  const Scratch folder;
  const auto [german, english] = corpus();
  text::MarianTokenizer::train(german, english, 120, folder.file("a"));
  text::MarianTokenizer::train(german, english, 120, folder.file("b"));
  BOOST_TEST(folder.read("a/source.spm").size() > 1000u);
  BOOST_TEST(folder.read("a/source.spm") == folder.read("b/source.spm"));
  BOOST_TEST(folder.read("a/vocab.json") == folder.read("b/vocab.json"));
}

BOOST_AUTO_TEST_CASE(hard_lines_survive) {
  const Scratch folder;
  auto [german, english] = corpus();
  for (int i = 0; i < 30; ++i) {  // literal specials, also in forms that normalise to them, must not become pieces
    german.push_back("Der </s> Hund <pad> mag <unk> nichts </s>");
    english.push_back("The \uFF1C/s\uFF1E dog \uFF1Cpad\uFF1E likes nothing");
    german.emplace_back(i % 2 ? "" : "   ");
    english.emplace_back("</s>");
  }
  const auto tokenizer = text::MarianTokenizer::train(german, english, 104, folder.path.string());
  BOOST_TEST(tokenizer.vocab_size() == 104);
  const int eos = tokenizer.eos_id(), unk = tokenizer.unk_id(), pad = tokenizer.pad_id();
  const auto ids = [&](const std::string& line) { return tokenizer.target_ids(line); };
  BOOST_TEST((ids("") == std::vector<int>{eos}));
  BOOST_TEST((ids(" \t ") == std::vector<int>{eos}));
  BOOST_TEST((ids("</s>") == std::vector<int>{eos, eos}));
  BOOST_TEST((ids("<unk> <pad>") == std::vector<int>{unk, pad, eos}));
  BOOST_TEST((ids("The  dog   sees ") == ids("The dog sees")));  // repeated spaces
  BOOST_TEST((ids("tra\u0308gt") == ids("tr\u00E4gt")));         // NFD is NFC to the model
  BOOST_TEST((ids("\u00A0The\u3000dog") == ids("The dog")));
  BOOST_TEST((ids("The\tdog\r") == ids("The dog")));
  BOOST_TEST((ids("The\x01 dog\x7F") == ids("The dog")));  // nmt_nfkc drops control characters
  const auto emoji = ids("The \U0001F468\u200D\U0001F469 dog");
  BOOST_TEST(std::count(emoji.begin(), emoji.end(), unk) >= 1);
  BOOST_TEST(tokenizer.decode(emoji).find("The") == 0u);
  BOOST_TEST(tokenizer.decode(ids("The dog </s> likes <pad> it")).find('<') == std::string::npos);
  BOOST_TEST(tokenizer.decode(ids("")) == "");
  const auto broken = ids("The \xFF\xC3 dog");  // must not crash, whatever the library makes of it
  BOOST_TEST(broken.back() == eos);
  for (const int id : broken) BOOST_TEST((id >= 0 && id < tokenizer.vocab_size()));
}

BOOST_AUTO_TEST_CASE(a_small_text_gives_fewer_pieces) {
  const Scratch folder;
  const auto [german, english] = corpus();
  const auto tokenizer = text::MarianTokenizer::train(german, english, 4000, folder.file("small"));
  BOOST_TEST(tokenizer.vocab_size() > 64);
  BOOST_TEST(tokenizer.vocab_size() < 1000);
  BOOST_TEST(tokenizer.vocab_size() % 8 == 0);
  BOOST_TEST(tokenizer.decode(tokenizer.target_ids(english[7])) == english[7]);
  // Hardly more pieces than characters: no multiple of 8 can be had without losing one.
  const auto tiny = text::MarianTokenizer::train(Lines{"Der Hund", "Der Mann"}, Lines{"the dog", "the man"}, 4000,
                                                 folder.file("tiny"));
  BOOST_TEST(tiny.decode(tiny.target_ids("the dog")) == "the dog");
}

BOOST_AUTO_TEST_CASE(refuses_what_cannot_work) {
  const Scratch folder;
  const auto [german, english] = corpus();
  const auto directory = folder.path.string();
  BOOST_CHECK_THROW(text::MarianTokenizer::train(german, english, 0, directory), ConfigError);
  BOOST_CHECK_EXCEPTION(text::MarianTokenizer::train(german, english, 16, directory), FileError, says("source.spm"));
  BOOST_CHECK_EXCEPTION(text::MarianTokenizer::train(Lines{"", " "}, Lines{"</s>", ""}, 64, directory), FileError,
                        says("no characters"));
  BOOST_CHECK_THROW(text::MarianTokenizer::train(german, english, 96, directory, {.character_coverage = 1.5}),
                    ConfigError);
  BOOST_CHECK_THROW(text::MarianTokenizer::train(german, english, 96, directory, {.model_type = "magic"}), FileError);
  const auto file = folder.write("file", "x");
  BOOST_CHECK_THROW(text::MarianTokenizer::train(german, english, 96, file + "/sub"), FileError);
  BOOST_TEST(!std::filesystem::exists(folder.file("source.spm")));
}

BOOST_AUTO_TEST_CASE(long_lines_are_learned_from) {
  const Scratch folder;
  std::string line;
  for (int i = 0; i < 800; ++i) line += "xylophon quer ";
  const std::vector<std::string> lines(4, line);
  text::train_sentencepiece(lines, folder.file("m.spm"), {.vocab_size = 40});
  const text::SentencePiece model(folder.file("m.spm"));
  const auto ids = model.ids("xylophon quer");
  BOOST_TEST_REQUIRE(!ids.empty());
  BOOST_TEST(std::count(ids.begin(), ids.end(), 0) == 0);  // 0 is <unk>: no character was missed
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sentencepiece_model)

BOOST_AUTO_TEST_CASE(pieces_ids_and_text) {
  const text::SentencePiece model(golden_tokenizer + "/source.spm");
  const auto pieces = model.pieces("Der Hund sieht");
  const auto ids = model.ids("Der Hund sieht");
  BOOST_TEST_REQUIRE(!pieces.empty());
  BOOST_TEST_REQUIRE(pieces.size() == ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) BOOST_TEST(model.piece(ids[i]) == pieces[i]);
  BOOST_TEST(model.decode(pieces) == "Der Hund sieht");
  BOOST_TEST(model.decode({}) == "");
  BOOST_CHECK_THROW(model.piece(-1), ConfigError);
  BOOST_CHECK_THROW(model.piece(model.size()), ConfigError);
}

BOOST_AUTO_TEST_CASE(damaged_models) {
  const Scratch folder;
  const auto check = [&](const std::string& bytes) {
    const auto path = folder.write("m.spm", bytes);
    BOOST_CHECK_EXCEPTION(text::SentencePiece{path}, FileError,
                          [&](const FileError& error) { return error.path() == path; });
  };
  check("");
  check("this is no model\n");
  check(std::string(1000, '\xFF'));
  const auto whole = text::read_text_bytes(golden_tokenizer + "/source.spm");
  check(whole.substr(0, whole.size() / 2));
  int refused = 0;  // a cut between two fields is a valid, smaller message; no cut may do worse than throw
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      const text::SentencePiece model(folder.write("cut.spm", whole.substr(0, size)));
      BOOST_TEST(model.ids("Der Hund").size() < 100u);
    } catch (const FileError&) {
      ++refused;
    }
  }
  BOOST_TEST(refused > static_cast<int>(whole.size()) * 3 / 4);
  BOOST_CHECK_THROW(text::SentencePiece{folder.file("missing.spm")}, FileError);
  BOOST_CHECK_THROW(text::SentencePiece{folder.path.string()}, FileError);
}

BOOST_AUTO_TEST_CASE(threads_may_share_a_tokenizer) {
  const auto tokenizer = text::MarianTokenizer::load(golden_tokenizer);
  const auto german = corpus().first;
  std::vector<std::vector<int>> expected;
  for (const auto& line : german) expected.push_back(tokenizer.source_ids(line));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < german.size(); ++i) wrong[t] += tokenizer.source_ids(german[i]) != expected[i];
    });
  for (auto& thread : threads) thread.join();
  BOOST_TEST(wrong == std::vector<int>(4, 0), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(broken_folders)

BOOST_AUTO_TEST_CASE(vocabularies) {
  const Scratch folder;
  const auto directory = copy_golden(folder);
  text::MarianTokenizer::load(directory);
  const auto check = [&](const std::string& bytes, const std::string& part) {
    const auto path = folder.write("vocab.json", bytes);
    BOOST_CHECK_EXCEPTION(text::MarianTokenizer::load(directory), FileError,
                          [&](const FileError& error) { return error.path() == path && says(part)(error); });
  };
  check(R"({"</s>":0,"<unk>":1,"a":2,"<pad>":1000004})", "have ids from 0 to 1000003");
  check(R"({"</s>":0,"<unk>":1,"a":-1,"<pad>":3})", "id -1");
  check(R"({"</s>":0,"<unk>":1,"a":1,"<pad>":3})", "same id 1");
  check(R"({"</s>":0,"<unk>":1,"a":2})", "lacks the special piece <pad>");
  check(R"({"</s>":0,"a":1,"<pad>":2})", "lacks the special piece <unk>");
  check(R"({"a":0,"<unk>":1,"<pad>":2})", "lacks the special piece </s>");
  check(R"({"</s>":0,"<unk>":1.5,"<pad>":2})", "not an integer");
  check(R"({"</s>":0,"<unk>":18446744073709551615,"<pad>":2})", "has id 18446744073709551615");
  check(R"(["</s>","<unk>","<pad>"])", "not a JSON object");
  check("{}", "not a JSON object");
  check("", "not JSON");
  check(R"({"</s>":0,"<unk>":1,"<pad>":1e999})", "number overflow");
  check(R"({"</s>":0,"<unk>":1,"<pad>":2,"<pad>":2})", "twice");
  check(R"({"</s>":0,"<unk>":1,)", "not valid JSON");
  check("{\"</s>\":0,\"\xFF\":1}", "not valid JSON");
  BOOST_CHECK_THROW(text::MarianVocabulary({"</s>", "<unk>", "a", "a", "<pad>"}, "v"), FileError);
}

// Some published vocabularies lack ids in between.
BOOST_AUTO_TEST_CASE(holes) {
  const Scratch folder;
  const auto path = folder.write("vocab.json", R"({"</s>":0,"<unk>":1,"":3,"a":5,"<pad>":7})");
  const auto vocabulary = text::MarianVocabulary::load(path);
  BOOST_TEST(vocabulary.size() == 8);
  BOOST_TEST((vocabulary.id("a") == 5 && vocabulary.id("") == 3 && vocabulary.pad_id() == 7));
  BOOST_TEST((vocabulary.has_piece(3) && !vocabulary.has_piece(2) && !vocabulary.has_piece(8)));
  BOOST_CHECK_THROW(vocabulary.piece(2), ConfigError);
  vocabulary.save(folder.file("again.json"));
  BOOST_TEST(json::parse(folder.read("again.json")) == json::parse(folder.read("vocab.json")));
}

BOOST_AUTO_TEST_CASE(missing_files_and_configurations) {
  const Scratch folder;
  for (const auto* name : {"source.spm", "target.spm", "vocab.json"}) {
    const auto directory = copy_golden(folder);
    std::filesystem::remove(folder.file(name));
    BOOST_CHECK_EXCEPTION(text::MarianTokenizer::load(directory), FileError, says(name));
  }
  const auto directory = copy_golden(folder);
  std::filesystem::remove(folder.file("tokenizer_config.json"));
  BOOST_TEST(!text::MarianTokenizer::load(directory).clean_up_spaces());
  folder.write("tokenizer_config.json", R"({"clean_up_tokenization_spaces":true})");
  BOOST_TEST(text::MarianTokenizer::load(directory).clean_up_spaces());
  folder.write("tokenizer_config.json", R"({"clean_up_tokenization_spaces":false,"separate_vocabs":null})");
  BOOST_TEST(!text::MarianTokenizer::load(directory).clean_up_spaces());
  for (const auto* bytes : {R"({"separate_vocabs":true})", R"({"clean_up_tokenization_spaces":"no"})", "[]", "{"}) {
    folder.write("tokenizer_config.json", bytes);
    BOOST_CHECK_EXCEPTION(text::MarianTokenizer::load(directory), FileError, says("tokenizer_config.json"));
  }
  // As Hugging Face saves it, and what would change ids there.
  folder.write("added_tokens.json", R"({"<pad>":85})");
  folder.write("tokenizer_config.json",
               R"({"added_tokens_decoder":{"0":{"content":"</s>","lstrip":false,"special":true}},"eos_token":"</s>",
                   "unk_token":{"content":"<unk>"},"bos_token":null,"sp_model_kwargs":{},"extra_special_tokens":[]})");
  text::MarianTokenizer::load(directory);
  for (const auto* bytes :
       {R"({"added_tokens_decoder":{"9":{"content":"foo"}}})", R"({"additional_special_tokens":["<x>"]})",
        R"({"extra_special_tokens":{"image_token":"<x>"}})", R"({"pad_token":"<x>"})", R"({"eos_token":"<pad>"})",
        R"({"pad_token":{"content":"<pad>","lstrip":true}})", R"({"sp_model_kwargs":{"add_bos":true}})"}) {
    folder.write("tokenizer_config.json", bytes);
    BOOST_TEST_CONTEXT(bytes)
    BOOST_CHECK_EXCEPTION(text::MarianTokenizer::load(directory), FileError, says("tokenizer_config.json"));
  }
  folder.write("tokenizer_config.json", "{}");
  folder.write("added_tokens.json", R"({"foo":86})");
  BOOST_CHECK_EXCEPTION(text::MarianTokenizer::load(directory), FileError, says("\"foo\""));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(learning_from_any_text)

namespace {

/// A locale that writes one half as 0,5.
struct Comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

/// While it lives, the C++ streams of the process have a comma, and C's functions too where the system has such a
/// locale.
class CommaLocale {
 public:
  CommaLocale() : streams_(std::locale::global(std::locale(std::locale::classic(), new Comma))) {
    for (const auto* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
      if (std::setlocale(LC_NUMERIC, name) != nullptr) c_too = true;
  }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;
  ~CommaLocale() {
    std::locale::global(streams_);
    std::setlocale(LC_NUMERIC, "C");
  }

  bool c_too = false;

 private:
  std::locale streams_;
};

}  // namespace

// The same model wherever the host program writes a comma for the point.
BOOST_AUTO_TEST_CASE(with_a_comma_in_numbers) {
  const auto [german, english] = corpus();
  const Scratch scratch;
  text::SentencePieceOptions options;
  options.vocab_size = 60;
  options.character_coverage = 0.985;
  text::train_sentencepiece(german, scratch.file("point.spm"), options);
  {
    const CommaLocale comma;
    if (!comma.c_too) BOOST_TEST_MESSAGE("this system has no C locale with a comma: only C++'s has one here");
    text::train_sentencepiece(german, scratch.file("comma.spm"), options);
    BOOST_TEST(neural_attention::number_text(0.5) == "0.5");
    BOOST_TEST(neural_attention::number_in("0.5").value() == 0.5);
    options.character_coverage = 0.5;
    BOOST_CHECK_EXCEPTION(text::train_sentencepiece(german, "a.spm", options), ConfigError, says("not 0.5"));
    BOOST_TEST(neural_attention::io::parse_json("[0.25]", "a.json").dump() == "[0.25]");
  }
  BOOST_TEST(scratch.read("point.spm") == scratch.read("comma.spm"));
}

BOOST_AUTO_TEST_CASE(the_range_of_the_coverage_is_the_librarys) {
  const auto [german, english] = corpus();
  const Scratch scratch;
  text::SentencePieceOptions options;
  options.vocab_size = 60;
  for (const double coverage : {0.98, 0.9995, 1.0}) {
    options.character_coverage = coverage;
    BOOST_CHECK_NO_THROW(text::train_sentencepiece(german, scratch.file("a.spm"), options));
  }
  for (const double coverage : {0.979, 1.001, 0.0, std::nan("")}) {
    options.character_coverage = coverage;
    BOOST_CHECK_THROW(text::train_sentencepiece(german, scratch.file("a.spm"), options), ConfigError);
  }
  // More characters than pieces can be learned with less than all of them.
  Lines chinese;
  for (int i = 0; i < 300; ++i) {
    auto& line = chinese.emplace_back();
    for (int k = 0; k < 40; ++k) {
      const int point = 0x4E00 + (i * k) % 37;
      line += {static_cast<char>(0xE4), static_cast<char>(0x80 | (point >> 6 & 0x3F)),
               static_cast<char>(0x80 | (point & 0x3F))};
    }
  }
  for (int rare = 0; rare < 60; ++rare)
    chinese[static_cast<std::size_t>(rare)] +=
        {static_cast<char>(0xE5), static_cast<char>(0x90), static_cast<char>(0x80 | rare)};
  options.vocab_size = 64;
  options.character_coverage = 1.0;
  BOOST_CHECK_THROW(text::train_sentencepiece(chinese, scratch.file("a.spm"), options), FileError);
  options.character_coverage = 0.99;
  BOOST_CHECK_NO_THROW(text::train_sentencepiece(chinese, scratch.file("a.spm"), options));
}

// The sentencepiece library ends the process where a word has a million letters.
BOOST_AUTO_TEST_CASE(a_line_without_a_space) {
  auto [german, english] = corpus();
  const Scratch scratch;
  text::SentencePieceOptions options;
  options.vocab_size = 60;
  text::train_sentencepiece(german, scratch.file("a.spm"), options);
  const auto before = text::SentencePiece(scratch.file("a.spm")).ids("Der Hund").size();
  german.push_back(std::string(1'000'000, 'a'));
  BOOST_CHECK_NO_THROW(text::train_sentencepiece(german, scratch.file("a.spm"), options));
  BOOST_TEST(text::SentencePiece(scratch.file("a.spm")).ids("Der Hund").size() <= 2 * before);

  Lines stretches;
  const auto cut = [&](std::string_view line) {
    stretches.clear();
    text::for_each_stretch(line, 6, [&](std::string_view stretch) { stretches.emplace_back(stretch); });
    return stretches;
  };
  BOOST_TEST((cut("") == Lines{""}));
  BOOST_TEST((cut("abcdef") == Lines{"abcdef"}));
  BOOST_TEST((cut("ab cd efg") == Lines{"ab cd", "efg"}));
  BOOST_TEST((cut("abcdefgh i") == Lines{"abcdef", "gh i"}));
  BOOST_TEST((cut("\u4e00\u4e01\u4e02 a") == Lines{"\u4e00\u4e01", "\u4e02 a"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(broken_sentencepiece_models)

namespace {

/// A message of protocol buffers.
struct Message {
  Message& number(int field, unsigned value) {
    bytes += static_cast<char>(field << 3);
    return append(value);
  }
  Message& text(int field, std::string_view value) {
    bytes += static_cast<char>(field << 3 | 2);
    append(value.size());
    bytes += value;
    return *this;
  }
  Message& score(float value) {
    bytes += static_cast<char>(2 << 3 | 5);
    bytes.append(reinterpret_cast<const char*>(&value), 4);
    return *this;
  }
  Message& append(std::size_t value) {
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7F));
    bytes += static_cast<char>(value);
    return *this;
  }

  std::string bytes;
};

std::string piece(std::string_view text, unsigned type = 1, float score = -1.0f) {
  return Message().text(1, text).score(score).number(3, type).bytes;
}

/// Some pieces and a normalizer that knows `map`.
Message model(std::string_view map) {
  Message result;
  result.text(1, piece("<unk>", 2)).text(1, piece("\u2581", 1)).text(1, piece("a")).text(1, piece("b"));
  result.text(3, Message().text(1, "user_defined").text(2, map).bytes);
  return result;
}

/// A precompiled map of 512 units that are not in use, to be changed.
struct Map {
  std::vector<std::uint32_t> units = std::vector<std::uint32_t>(512, 0x800000FFu);
  std::string strings = std::string("x\0yy\0", 5);

  /// The byte `label` leads from `state` to another one, at a multiple of 256; a text that ends there has a result.
  Map& lead(std::size_t state, unsigned char label, std::size_t to, bool result = false, std::uint32_t offset = 0) {
    const auto unit = state ^ label;
    units[unit] = static_cast<std::uint32_t>((unit ^ to) << 10) | (result ? 0x100u : 0u) | label;
    if (result) units[to] = 0x80000000u | offset;
    return *this;
  }
  std::string bytes() const {
    const auto size = static_cast<std::uint32_t>(4 * units.size());
    std::string result(reinterpret_cast<const char*>(&size), 4);
    result.append(reinterpret_cast<const char*>(units.data()), size);
    return result + strings;
  }
};

/// Its root leads to state 256, where "c" becomes "yy".
Map good_map() {
  Map map;
  map.lead(0, 0, 256).lead(256, 'c', 0x100 ^ 0x40, true, 2);
  return map;
}

void refused(const std::string& bytes, const std::string& message) {
  const Scratch scratch;
  BOOST_TEST_CONTEXT(message)
  BOOST_CHECK_EXCEPTION(text::SentencePiece(scratch.write("source.spm", bytes)), FileError,
                        says({"source.spm", "SentencePiece model", message}));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_good_one_is_taken) {
  const Scratch scratch;
  const text::SentencePiece good(scratch.write("source.spm", model(good_map().bytes()).bytes));
  BOOST_TEST((good.pieces("ab") == Lines{"\u2581", "a", "b"}));
  BOOST_TEST((good.pieces("ac") == Lines{"\u2581", "a", "yy"}));
  BOOST_CHECK_NO_THROW(text::SentencePiece(scratch.write("source.spm", model("").bytes)));
}

// The sentencepiece library itself takes most of these, and then reads beyond its memory.
BOOST_AUTO_TEST_CASE(tries) {
  const auto broken = [](const Map& map, const std::string& message) { refused(model(map.bytes()).bytes, message); };
  auto map = good_map();
  map.units[0] = 0x7FFFFFFFu;  // far away
  broken(map, "leads out of itself");
  map = good_map();
  map.units[0] = 0x200u | 3u << 10;  // to a place beyond the last unit
  broken(map, "leads out of itself");
  broken(good_map().lead(256, 'd', 256, true, 0), "leads in a circle");
  broken(good_map().lead(256, 'd', 0x180, true, 100), "names no string of its map");
  broken(good_map().lead(256, 'd', 0x180, true, 3), "names no string of its map");
  map = good_map();
  map.strings.pop_back();
  broken(map, "names a string without an end");
  map.strings = std::string(3000, 'z') + '\0';
  map.units[0x140] = 0x80000000u;
  broken(map, "more than 128 bytes");
  map = good_map();
  map.strings[0] = '\xff';
  broken(map, "not UTF-8");
  map = good_map();
  map.units.resize(100);
  broken(map, "too few units");

  // Rules of 33 lengths that begin alike: the library has room for 32 results of a text.
  Map deep;
  deep.units.resize(256 * 40, 0x800000FFu);
  deep.lead(0, 0, 256);
  for (std::size_t i = 1; i <= 32; ++i) deep.lead(256 * i, 'a', 256 * (i + 1), true, 0);
  BOOST_CHECK_NO_THROW([&] {
    const Scratch scratch;
    BOOST_TEST(
        (text::SentencePiece(scratch.write("a.spm", model(deep.bytes()).bytes)).ids(std::string(100, 'a')).size() > 0));
  }());
  broken(deep.lead(256 * 33, 'a', 256 * 34, true, 0), "more than 32 rules that begin alike");

  auto bytes = good_map().bytes();
  bytes[0] = '\x07';
  refused(model(bytes).bytes, "impossible size");
  bytes[3] = '\x7f';
  refused(model(bytes).bytes, "impossible size");
  refused(model("abc").bytes, "impossible size");
  refused(Message(model("")).text(5, Message().text(2, bytes).bytes).bytes, "impossible size");  // a denormalizer
}

BOOST_AUTO_TEST_CASE(pieces) {
  const auto with = [](const std::string& one) { return model("").text(1, one).bytes; };
  refused(with(piece("c", 1, std::nanf(""))), "a score that is not finite");
  refused(with(piece("c", 1, -INFINITY)), "\"c\" has a score that is not finite");
  refused(with(piece("c", 7)), "an unknown type");
  refused(with(piece("")), "no characters");
  refused(with(piece("\xff\x1b[31m")), "the piece \"\\xFF\\x1B[31m\" is not UTF-8 text");
  refused(with(piece(std::string_view("c\0d", 3))), "not UTF-8 text");
  refused(with(piece(std::string(5000, 'c'))), "5000 bytes, more than 4096");
  refused(with(piece("a")), "already defined");
  auto users = model("");
  for (std::size_t i = 1; i <= 64; ++i) users.text(1, piece(std::string(i, 'u'), 4));
  {
    const Scratch scratch;
    BOOST_TEST(text::SentencePiece(scratch.write("a.spm", users.bytes)).pieces(std::string(70, 'u')).size() == 3u);
  }
  refused(users.text(1, piece(std::string(65, 'u'), 4)).bytes, "begin alike");
}

BOOST_AUTO_TEST_CASE(files) {
  refused("", "is empty");
  refused("no protocol buffer", "not a protocol buffer");
  refused(model("").bytes + std::string("\x0b\x0c"), "not a protocol buffer");                  // a group
  refused(model("").bytes + std::string("\x8a\x80\x00", 3), "not a protocol buffer");           // a tag with zeros
  refused(model("").bytes + std::string("\x0a\xff\xff\xff\xff\x0f"), "not a protocol buffer");  // 4 GiB
  const Scratch scratch;
  const auto large = scratch.write("large.spm", model("").bytes);
  std::filesystem::resize_file(large, 5'000'000'000);  // sparse
  BOOST_CHECK_EXCEPTION(text::SentencePiece{large}, FileError, says({"large.spm", "5000000000 bytes, more than"}));
}

// A model as it is trained, its normalizer damaged as by a bad disk: taken or refused, never a crash.
BOOST_AUTO_TEST_CASE(changed_bytes) {
  const Scratch scratch;
  const auto [german, english] = corpus();
  text::SentencePieceOptions options;
  options.vocab_size = 60;
  text::train_sentencepiece(german, scratch.file("trained.spm"), options);
  const auto bytes = scratch.read("trained.spm");
  const auto map = bytes.rfind("nmt_nfkc");
  BOOST_REQUIRE((map != std::string::npos && bytes.size() - map > 100'000));
  int taken = 0;
  for (std::size_t at = map; at < bytes.size(); at += bytes.size() / 200) {
    auto changed = bytes;
    for (std::size_t i = at; i < std::min(at + 4, bytes.size()); ++i) changed[i] = i % 2 == 0 ? '\xff' : '\x7f';
    try {
      const text::SentencePiece model(scratch.write("source.spm", changed));
      for (const auto* line : {"Der Hund \uff21\ufb01 \u00a0 e\u0301 \u3060", "\ufdfa\u0958 x"}) model.ids(line);
      ++taken;
    } catch (const FileError& error) {
      BOOST_TEST(std::string_view(error.what()).size() < 500u);
    }
  }
  BOOST_TEST_MESSAGE(taken << " damaged models were taken");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(real_files_models)

BOOST_AUTO_TEST_CASE(sentencepiece_models_are_taken) {
  const auto* const models = std::getenv("NEURAL_ATTENTION_MODELS_DIR");
  if (models == nullptr) {
    BOOST_TEST_MESSAGE("SKIPPED: NEURAL_ATTENTION_MODELS_DIR is not set");
    return;
  }
  for (const auto* name : {"opus-mt-en-mg", "opus-mt-tc-big-fr-en"})
    for (const auto* side : {"source.spm", "target.spm"})
      BOOST_CHECK_NO_THROW(text::SentencePiece(std::string(models) + "/" + name + "/" + side));
}

BOOST_AUTO_TEST_SUITE_END()
