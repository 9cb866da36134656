#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE byte_bpe
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "golden_file.hpp"
#include "golden_hash.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/masking.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/nfc.hpp"
#include "scratch.hpp"

namespace text = neural_attention::text;
using golden::Hash;
using neural_attention::ConfigError;
using neural_attention::FileError;
using neural_attention::LineError;
using nlohmann::json;
using Words = std::vector<std::string>;
using Ids = std::vector<int>;

namespace {

std::string golden_path(const char* name) { return (golden::folder() / "byte_bpe" / name).string(); }

const text::ByteBpe& golden_bpe() {
  static const auto bpe = text::ByteBpe::load_json(golden_path("tokenizer.json"));
  return bpe;
}

const json& cases() {
  static const json all = json::parse(contents(golden_path("cases.json")));
  return all;
}

text::ByteBpe with_space(const text::ByteBpe& bpe) {
  auto model = bpe.model();
  model.add_prefix_space = true;
  return text::ByteBpe(std::move(model));
}

/// The golden vocabulary in the two files of GPT-2's layout, and what <mask> is in a third.
text::ByteBpe load_two_files(const Scratch& scratch) {
  for (const auto* name : {"vocab.json", "merges.txt"}) put(scratch / name, contents(golden_path(name)));
  put(scratch / "special_tokens_map.json", R"({"mask_token": {"content": "<mask>", "lstrip": true}})");
  return text::ByteBpe::load(scratch.path.string());
}

Words words(std::string_view line) {
  Words result;
  text::WordSplitter()(line, [&](std::string_view word) { result.emplace_back(word); });
  return result;
}

template <class A, class B>
void check_equal(const A& found, const B& expected) {
  BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
}

void check_same(const text::ByteBpeModel& found, const text::ByteBpeModel& expected) {
  BOOST_TEST((found.pieces == expected.pieces));
  BOOST_TEST((found.merges == expected.merges));
  BOOST_TEST((found.added_tokens == expected.added_tokens));
  BOOST_TEST((found.holes == expected.holes));
  BOOST_TEST(found.add_prefix_space == expected.add_prefix_space);
  BOOST_TEST(found.unk_token == expected.unk_token);
  BOOST_TEST((found.fuse_unk == expected.fuse_unk && found.ignore_merges == expected.ignore_merges &&
              found.nfc == expected.nfc));
}

/// As long_line of byte_bpe_cases.py.
std::string long_line(const json& form) {
  const auto pieces = form["pieces"].get<Words>();
  auto state = form["seed"].get<std::uint32_t>();
  std::string line;
  while (line.size() < form["bytes"].get<std::size_t>()) {
    state = (state * 1103515245u + 12345u) & 0x7FFFFFFFu;
    line += pieces[(state >> 16) % pieces.size()];
  }
  return line;
}

}  // namespace

// What Hugging Face's tokenizers learn and encode: byte_bpe_goldens.py.
BOOST_AUTO_TEST_SUITE(goldens)

BOOST_AUTO_TEST_CASE(learned_vocabulary) {
  const auto lines = text::read_lines(golden_path("text.txt"));
  const auto learned = text::ByteBpe::train(lines, {640, 2, false});
  BOOST_TEST(learned.vocab_size() == 640);
  check_same(learned.model(), golden_bpe().model());

  // The order of the lines does not matter, nor does cutting the counts into more pieces than there can be.
  check_same(text::ByteBpe::train(Words(lines.rbegin(), lines.rend()), {640, 2, false}).model(), learned.model());
  const auto all = text::ByteBpe::train(lines, {5000, 2, false});
  BOOST_TEST((all.vocab_size() > 640 && all.vocab_size() < 1000));
  for (std::size_t id = 0; id < 639; ++id) BOOST_TEST_REQUIRE(all.model().pieces[id] == learned.model().pieces[id]);
  BOOST_TEST(all.mask_id() == all.vocab_size() - 1);
}

BOOST_AUTO_TEST_CASE(learned_vocabulary_of_gpt2) {
  const auto lines = text::read_lines(golden_path("text.txt"));
  const auto learned = text::ByteBpe::train(lines, {636, 2, false, text::SpecialTokens::Gpt2});
  const auto& pieces = learned.model().pieces;
  BOOST_TEST(learned.vocab_size() == 636);
  BOOST_TEST(pieces.back() == "<|endoftext|>");
  const auto roberta = golden_bpe().model().pieces;  // 640: four special tokens in front, one at the end
  BOOST_TEST(Words(pieces.begin(), pieces.end() - 1) == Words(roberta.begin() + 4, roberta.end() - 1),
             boost::test_tools::per_element());
  const std::string others = "a <s>b</s> <mask> <pad><unk>";
  const auto ids = learned.encode(others);
  BOOST_TEST(learned.decode(ids) == others);
  BOOST_TEST(std::none_of(ids.begin(), ids.end(), [&](int id) { return learned.is_special(id); }));
  BOOST_TEST((learned.encode("<|endoftext|>") == std::vector<int>{635}));
  const Scratch scratch;
  learned.save(scratch.path.string());
  BOOST_TEST(json::parse(contents(scratch / "tokenizer_config.json")).at("tokenizer_class") == "GPT2Tokenizer");
  BOOST_TEST(json::parse(contents(scratch / "tokenizer.json")).at("post_processor").is_null());
  check_same(text::ByteBpe::load(scratch.path.string()).model(), learned.model());
}

BOOST_AUTO_TEST_CASE(cut_into_words) {
  std::size_t count = 0;
  for (const auto& row : cases()["texts"]) {
    const auto line = row["text"].get<std::string>();
    BOOST_TEST_CONTEXT(row["text"].dump()) {
      const auto found = words(line);
      std::vector<std::size_t> lengths;
      std::string joined;
      for (const auto& word : found) {
        lengths.push_back(word.size());
        joined += word;
      }
      check_equal(lengths, row["words"].get<std::vector<std::size_t>>());
      BOOST_TEST(joined == line);
      count += found.size();
    }
  }
  BOOST_TEST(count > 3000u);
}

BOOST_AUTO_TEST_CASE(ids) {
  const Scratch scratch, saved;
  golden_bpe().save(saved.path.string());
  const auto two_files = load_two_files(scratch), again = text::ByteBpe::load(saved.path.string()),
             prefixing = with_space(golden_bpe());
  std::size_t prefixed = 0;
  for (const auto& row : cases()["texts"]) {
    const auto line = row["text"].get<std::string>();
    const auto expected = row["ids"].get<Ids>();
    BOOST_TEST_CONTEXT(row["text"].dump()) {
      check_equal(golden_bpe().encode(line), expected);
      check_equal(two_files.encode(line), expected);
      check_equal(again.encode(line), expected);
      prefixed += !row["prefixed"].is_null();
      check_equal(prefixing.encode(line), row["prefixed"].is_null() ? expected : row["prefixed"].get<Ids>());
      BOOST_TEST(golden_bpe().decode(golden_bpe().encode_ordinary(line)) == line);
      if (line.find("<mask>") == std::string::npos) BOOST_TEST(golden_bpe().decode(expected) == line);
    }
  }
  BOOST_TEST(cases()["texts"].size() > 400u);
  BOOST_TEST(prefixed > 200u);
}

// A quadratic merge would need an hour for these.
BOOST_AUTO_TEST_CASE(long_lines) {
  BOOST_TEST_REQUIRE(cases()["long"].size() == 8u);
  for (const auto& form : cases()["long"]) {
    BOOST_TEST_CONTEXT(form.dump()) {
      const auto line = long_line(form);
      const auto found = golden_bpe().encode(line);
      Hash hash;
      for (const int id : found) hash.add(static_cast<std::uint64_t>(id));
      BOOST_TEST(found.size() == form["count"].get<std::size_t>());
      BOOST_TEST(hash.hex() == form["hash"].get<std::string>());
      BOOST_TEST((golden_bpe().decode(golden_bpe().encode_ordinary(line)) == line));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(any_bytes)

BOOST_AUTO_TEST_CASE(spelling) {
  BOOST_TEST(text::spell_bytes(" the\n") == "ĠtheĊ");
  BOOST_TEST(text::spell_bytes("é") == "Ã©");
  BOOST_TEST(text::unspell_bytes("Ġthe").value() == " the");
  for (const auto* not_bytes : {"a b", "☃", "\u0144", "\u00ad", "\n", "\xff", "\U0001F600"})
    BOOST_TEST(!text::unspell_bytes(not_bytes).has_value());
  std::set<std::string> characters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    const auto spelled = text::spell_bytes(one);
    characters.insert(spelled);
    BOOST_TEST(neural_attention::utf8_length(spelled) == spelled.size());
    BOOST_TEST((text::unspell_bytes(spelled) == one));
  }
  BOOST_TEST(characters.size() == 256u);
  const auto order = text::bytes_in_spelling_order();
  BOOST_TEST((order[0] == '!' && order[93] == '~' && order[94] == 0xA1 && order[188] == 0 && order[255] == 0xAD));
}

BOOST_AUTO_TEST_CASE(every_pair_of_bytes) {
  int wrong = 0;
  std::string all;
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      const std::string pair = {static_cast<char>(first), static_cast<char>(second)};
      wrong += golden_bpe().decode(golden_bpe().encode(pair)) != pair;
      all += pair;
    }
  BOOST_TEST(wrong == 0);
  BOOST_TEST((golden_bpe().decode(golden_bpe().encode(all)) == all));
}

BOOST_AUTO_TEST_CASE(random_bytes) {
  std::mt19937 random(1);
  const Words parts = {"\xF0\x9F\x98",
                       "\xE2\x80",
                       "\xC3",
                       "\x80",
                       "\xFF",
                       "\xED\xA0\x80",
                       "\xC0\xAF",
                       "\xF4\x90\x80\x80",
                       "é",
                       "waves",
                       " ",
                       "\n",
                       "'ll",
                       "12",
                       "🐝",
                       "the"};
  for (int round = 0; round < 3000; ++round) {
    std::string line;
    for (auto left = random() % 20; left > 0; --left)
      line += round % 2 == 0 ? parts[random() % parts.size()] : std::string(1, static_cast<char>(random() % 256));
    BOOST_TEST_REQUIRE(golden_bpe().decode(golden_bpe().encode_ordinary(line)) == line);
    std::string joined;
    for (const auto& word : words(line)) joined += word;
    BOOST_TEST_REQUIRE(joined == line);
  }
}

// A byte that begins no character of UTF-8 is a symbol, as "!" is.
BOOST_AUTO_TEST_CASE(words_of_invalid_utf8) {
  check_equal(words("a\xFF\xFE b"), Words{"a", "\xFF\xFE", " b"});
  check_equal(words("ab\xC3"), Words{"ab", "\xC3"});
  check_equal(words("1\xC3 2"), Words{"1", "\xC3", " 2"});
  check_equal(words("  \xFF!\xC3\xA9"), Words{" ", " \xFF!", "\xC3\xA9"});
  check_equal(words("\xC0\xAFx"), Words{"\xC0\xAF", "x"});
  check_equal(words("x\xED\xA0\x80y"), Words{"x", "\xED\xA0\x80", "y"});
  check_equal(words("\n\n\xFF"), Words{"\n", "\n", "\xFF"});
  check_equal(words("\xF0\x9F\x90"), Words{"\xF0\x9F\x90"});
}

// Characters that PCRE2's \s and Unicode's White_Space, or Python's, see differently.
BOOST_AUTO_TEST_CASE(white_space) {
  for (const auto* space :
       {"\t", "\v", "\f", "\r", "\u0085", "\u00a0", "\u1680", "\u2028", "\u2029", "\u202f", "\u3000"})
    check_equal(words("!" + std::string(space)), Words{"!", space});
  for (const auto* symbol : {"\u180e", "\u200b", "\x1c", "\x1f", "\ufeff", "\u2060", "\u0300"})
    check_equal(words("!" + std::string(symbol)), Words{"!" + std::string(symbol)});
}

BOOST_AUTO_TEST_CASE(a_long_text_in_pieces) {
  std::string line;
  for (int i = 0; line.size() < 500'000; ++i) line += i % 50 == 0 ? " e\u0301<mask>" : " Wörter the 12\n";
  auto model = golden_bpe().model();
  for (const bool nfc : {false, true})
    for (const bool space : {false, true}) {
      model.nfc = nfc;
      model.add_prefix_space = space;
      const text::ByteBpe bpe(model);
      Ids ids;
      std::vector<std::size_t> places;
      bpe.encode(line, [&](std::span<const int> more, std::size_t bytes) {
        ids.insert(ids.end(), more.begin(), more.end());
        places.push_back(bytes);
      });
      BOOST_TEST((ids == bpe.encode(line)));
      BOOST_TEST(places.size() > 2u);
      BOOST_TEST(std::is_sorted(places.begin(), places.end()));
      BOOST_TEST(places.front() > 0u);
      BOOST_TEST(places.front() < line.size());
      BOOST_TEST(places.back() == line.size());
    }
}

BOOST_AUTO_TEST_CASE(from_several_threads) {
  const auto& bpe = golden_bpe();
  std::vector<std::vector<Ids>> found(4);
  std::vector<std::thread> threads;
  for (auto& results : found)
    threads.emplace_back([&bpe, &results] {
      for (const auto& row : cases()["texts"]) results.push_back(bpe.encode(row["text"].get<std::string>()));
    });
  for (auto& thread : threads) thread.join();
  for (const auto& results : found) BOOST_TEST((results == found[0]));
  BOOST_TEST((found[0].at(5) == cases()["texts"][5]["ids"].get<Ids>()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(added_tokens)

BOOST_AUTO_TEST_CASE(of_roberta) {
  const auto& bpe = golden_bpe();
  BOOST_TEST(
      (bpe.bos_id() == 0 && bpe.pad_id() == 1 && bpe.eos_id() == 2 && bpe.unk_id() == 3 && bpe.mask_id() == 639));
  for (int id = 0; id < bpe.vocab_size(); ++id) BOOST_TEST(bpe.is_special(id) == (id < 4 || id == 639));
  BOOST_TEST(bpe.piece(4) == "!");

  // <mask> takes white space on its left along, the others take nothing.
  const auto ids = bpe.encode_sequence("The \t\u3000<mask> <pad> sea");
  BOOST_TEST((ids.front() == 0 && ids.back() == 2));
  BOOST_TEST(bpe.decode(ids) == "<s>The<mask> <pad> sea</s>");
  BOOST_TEST(bpe.decode(ids, text::ByteBpe::Specials::LeftOut) == "The  sea");
  BOOST_TEST(bpe.decode(bpe.encode("a \x1f<mask>")) == "a \x1f<mask>");
  BOOST_TEST(bpe.decode(bpe.encode_ordinary("a <mask>"), text::ByteBpe::Specials::LeftOut) == "a <mask>");
  BOOST_TEST(bpe.encode("").empty());
  check_equal(bpe.encode_sequence(""), Ids{0, 2});
  for (const int bad : {-1, 640}) {
    BOOST_CHECK_EXCEPTION(bpe.decode(Ids{bad}), ConfigError, says({std::to_string(bad), "vocabulary of 640"}));
    BOOST_CHECK_THROW(bpe.piece(bad), ConfigError);
    BOOST_CHECK_THROW(bpe.is_special(bad), ConfigError);
  }
}

// Without tokenizer.json <mask> takes white space along only where another file says so, as in Hugging Face 5.
BOOST_AUTO_TEST_CASE(of_two_files_take_white_space_as_others_say) {
  const Scratch scratch;
  put(scratch / "vocab.json", contents(golden_path("vocab.json")));
  put(scratch / "merges.txt", contents(golden_path("merges.txt")));
  const auto read = [&] {
    const auto bpe = text::ByteBpe::load(scratch.path.string());
    return bpe.decode(bpe.encode("The \t<mask> sea"));
  };
  const std::string kept = "The \t<mask> sea", taken = "The<mask> sea";
  BOOST_TEST(read() == kept);
  put(scratch / "special_tokens_map.json", R"({"mask_token": {"content": "<mask>", "lstrip": true}, "x": "<mask>"})");
  BOOST_TEST(read() == taken);
  put(scratch / "tokenizer_config.json", R"({"mask_token": "<mask>", "added_tokens_decoder": {}})");
  BOOST_TEST(read() == taken);
  put(scratch / "tokenizer_config.json",
      R"({"added_tokens_decoder": {"639": {"content": "<mask>", "lstrip": false, "special": true}}})");
  BOOST_TEST(read() == kept);
  std::filesystem::remove(scratch / "special_tokens_map.json");
  BOOST_TEST(read() == kept);
  put(scratch / "tokenizer_config.json", R"({"mask_token": {"content": "<mask>", "lstrip": true}})");
  BOOST_TEST(read() == taken);
  put(scratch / "tokenizer_config.json", R"({"mask_token": {"content": "<mask>", "lstrip": "yes"}})");
  BOOST_CHECK_EXCEPTION(read(), FileError, says({"tokenizer_config.json", "lstrip"}));
  put(scratch / "tokenizer_config.json", "[]");
  BOOST_CHECK_EXCEPTION(read(), FileError, says({"tokenizer_config.json"}));
}

BOOST_AUTO_TEST_CASE(of_gpt2) {
  const Scratch scratch;
  auto vocabulary = json::parse(contents(golden_path("vocab.json")));
  for (const auto& [piece, other] : {std::pair("<s>", "<|endoftext|>"), {"<mask>", "[a]"}, {"<pad>", "[b]"}}) {
    vocabulary[other] = vocabulary[piece];
    vocabulary.erase(piece);
  }
  put(scratch / "vocab.json", vocabulary.dump());
  put(scratch / "merges.txt", contents(golden_path("merges.txt")));
  auto bpe = text::ByteBpe::load(scratch.path.string());
  BOOST_TEST(bpe.encode("sea<|endoftext|>").back() == 0);
  BOOST_TEST(bpe.is_special(0));
  BOOST_CHECK_EXCEPTION(bpe.mask_id(), ConfigError, says("<mask>"));
  BOOST_CHECK_EXCEPTION(bpe.encode_sequence("sea"), ConfigError, says("<s>"));
  const Scratch saved;
  bpe.save(saved.path.string());
  check_same(text::ByteBpe::load(saved.path.string()).model(), bpe.model());
  BOOST_TEST(json::parse(saved.read("tokenizer_config.json"))["tokenizer_class"] == "GPT2Tokenizer");
}

// The longest token at a place, tokens that are not normalized first, and white space on either side.
BOOST_AUTO_TEST_CASE(stretches) {
  const text::AddedTokens tokens({{"<a>", 1}, {"<a>b", 2}, {"b<", 3, false, false, true}, {"r", 4, false, true}});
  const auto cut = [&](std::string_view line) {
    std::string result;
    for (const auto& stretch : tokens.cut(line))
      result += (stretch.id < 0 ? "" : std::to_string(stretch.id) + ":") + std::string(stretch.text) + "|";
    return result;
  };
  BOOST_TEST(cut("") == "");
  BOOST_TEST(cut("x") == "x|");
  BOOST_TEST(cut("<a><a>bb<") == "1:<a>|2:<a>b|3:b<|");
  BOOST_TEST(cut("b<a>") == "b|1:<a>|");
  BOOST_TEST(cut("b<a") == "3:b<|a|");
  BOOST_TEST(cut(" r \u3000\xFFr ") == " |4:r \u3000|\xFF|4:r |");
  BOOST_TEST(text::AddedTokens().cut("<a>").size() == 1u);

  // As Hugging Face, which searches on behind a token's content: the white space of one token may begin the next.
  const text::AddedTokens spaces({{"r", 1, false, true}, {" b", 2}, {"  ", 3, true}});
  std::string found;
  for (const auto& stretch : spaces.cut("xr bx  r  x"))
    found += (stretch.id < 0 ? "" : std::to_string(stretch.id) + ":") + std::string(stretch.text) + "|";
  BOOST_TEST(found == "x|1:r |2: b|x|3:  |1:r  |x|");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(saved_and_loaded) {
  const Scratch scratch;
  const auto bpe = with_space(golden_bpe());
  const auto folder = scratch.file("new");
  bpe.save(folder, 128);
  check_same(text::ByteBpe::load(folder).model(), bpe.model());
  check_same(text::ByteBpe::load_json(folder + "/tokenizer.json").model(), bpe.model());
  const auto config = json::parse(contents(folder + "/tokenizer_config.json"));
  BOOST_TEST(config["model_max_length"] == 128);
  BOOST_TEST(config["tokenizer_class"] == "RobertaTokenizer");
  std::filesystem::remove(folder + "/tokenizer.json");
  auto without = bpe.model();
  for (auto& token : without.added_tokens) token.lstrip = false;  // which no other file says
  check_same(text::ByteBpe::load(folder).model(), without);

  // As RobertaTokenizerFast, which does not ask tokenizer.json whether a space is put in front.
  bpe.save(folder);
  std::filesystem::remove(folder + "/tokenizer_config.json");
  BOOST_TEST(!text::ByteBpe::load(folder).model().add_prefix_space);
  put(folder + "/tokenizer_config.json", "{}");
  BOOST_TEST(!text::ByteBpe::load(folder).model().add_prefix_space);
  put(folder + "/tokenizer_config.json", R"({"add_prefix_space": 1})");
  BOOST_CHECK_THROW(text::ByteBpe::load(folder), FileError);
  BOOST_CHECK_EXCEPTION(bpe.save(scratch.write("file", "")), FileError, says(scratch.file("file")));
}

// Hugging Face 5 makes RoBERTa's and GPT-2's tokenizers anew and takes tokenizer.json as it is under other classes.
BOOST_AUTO_TEST_CASE(the_class_of_a_folder) {
  const Scratch scratch;
  const auto folder = scratch.path.string();
  with_space(golden_bpe()).save(folder);
  const auto load = [&](const json& config) {
    put(scratch / "tokenizer_config.json", config.dump());
    return text::ByteBpe::load(folder);
  };
  for (const auto* name : {"PreTrainedTokenizerFast", "TokenizersBackend"})
    for (const bool value : {false, true})
      BOOST_TEST(load({{"tokenizer_class", name}, {"add_prefix_space", value}}).model().add_prefix_space);
  for (const auto* name : {"RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast"}) {
    BOOST_TEST(!load({{"tokenizer_class", name}}).model().add_prefix_space);
    BOOST_TEST(load({{"tokenizer_class", name}, {"add_prefix_space", true}}).model().add_prefix_space);
  }
  auto model = golden_bpe().model();
  model.add_prefix_space = true;
  for (const bool nfc : {true, false}) {
    model.nfc = nfc;
    model.ignore_merges = !nfc;
    const text::ByteBpe bpe(model);
    bpe.save(folder);
    const auto config = json::parse(scratch.read("tokenizer_config.json"));
    BOOST_TEST(config["tokenizer_class"] == "PreTrainedTokenizerFast");
    BOOST_TEST(config["mask_token"] == "<mask>");
    check_same(text::ByteBpe::load(folder).model(), model);
    for (const json& other : {json::object(), json{{"tokenizer_class", "RobertaTokenizer"}}})
      BOOST_CHECK_EXCEPTION(load(other), FileError, says({nfc ? "NFC" : "ignore_merges", "PreTrainedTokenizerFast"}));
  }
}

// Hugging Face gives a token that a folder names a new id.
BOOST_AUTO_TEST_CASE(tokens_beside_the_vocabulary) {
  const Scratch scratch;
  const auto folder = scratch.path.string();
  golden_bpe().save(folder);
  for (const bool one_file : {true, false}) {
    if (!one_file) std::filesystem::remove(scratch / "tokenizer.json");
    put(scratch / "tokenizer_config.json",
        R"({"bos_token":"<s>","mask_token":{"content":"<mask>"},"cls_token":null,"add_bos_token":false,
            "extra_special_tokens":["<pad>"],"added_tokens_decoder":{"3":{"content":"<unk>"}}})");
    text::ByteBpe::load(folder);
    for (const auto* bytes :
         {R"({"pad_token":"<x>"})", R"({"extra_special_tokens":["<x>"]})", R"({"additional_special_tokens":["<x>"]})",
          R"({"extra_special_tokens":{"image_token":"<x>"}})", R"({"added_tokens_decoder":{"9":{"content":"<x>"}}})",
          R"({"add_bos_token":true})", R"({"add_eos_token":true})"}) {
      put(scratch / "tokenizer_config.json", bytes);
      BOOST_TEST_CONTEXT(bytes)
      BOOST_CHECK_EXCEPTION(text::ByteBpe::load(folder), FileError, says("tokenizer_config.json"));
    }
  }
  put(scratch / "tokenizer_config.json", "{}");
  put(scratch / "special_tokens_map.json", R"({"pad_token":"<x>"})");
  BOOST_CHECK_EXCEPTION(text::ByteBpe::load(folder), FileError, says({"special_tokens_map.json", "<x>"}));
  std::filesystem::remove(scratch / "tokenizer_config.json");
  std::filesystem::create_symlink("gone", scratch / "tokenizer_config.json");
  BOOST_CHECK_EXCEPTION(text::ByteBpe::load(folder), FileError, says({"tokenizer_config.json: is a link to \"gone\""}));
}

BOOST_AUTO_TEST_CASE(vocabulary_and_merges) {
  const Scratch scratch;
  check_same(load_two_files(scratch).model(), golden_bpe().model());
  const auto merges = scratch.read("merges.txt");
  const auto load = [&] { return text::ByteBpe::load(scratch.path.string()); };

  // Line ends of Windows, no line end at the end, no version.
  put(scratch / "merges.txt", neural_attention::replace_all(merges, "\n", "\r\n"));
  check_same(load().model(), golden_bpe().model());
  put(scratch / "merges.txt", merges.substr(merges.find('\n') + 1, merges.size() - merges.find('\n') - 2));
  check_same(load().model(), golden_bpe().model());

  const auto count = std::to_string(golden_bpe().model().merges.size() + 2);
  for (const auto& [line, part] : {std::pair("h e", "a second time"),
                                   {"h", "two pieces"},
                                   {"h e e", "two pieces"},
                                   {"", "two pieces"},
                                   {"h  e", "two pieces"},
                                   {"h ☃", "spelling: \"h☃\""},
                                   {"h ", "spelling"},
                                   {"h 0", "\"h0\", which has no id"},
                                   {"q q", "\"qq\""}}) {
    put(scratch / "merges.txt", merges + line + "\n");
    BOOST_CHECK_EXCEPTION(load(), LineError, says({scratch.file("merges.txt"), "line " + count, part}));
  }
  std::filesystem::remove(scratch / "merges.txt");
  BOOST_CHECK_EXCEPTION(load(), FileError, says(scratch.file("merges.txt")));
  put(scratch / "merges.txt", merges);

  put(scratch / "added_tokens.json", "{}");
  BOOST_CHECK_EXCEPTION(load(), FileError, says({"added_tokens.json", "tokenizer.json"}));
  std::filesystem::remove(scratch / "added_tokens.json");

  auto vocabulary = json::parse(scratch.read("vocab.json"));
  vocabulary["new"] = 640;
  vocabulary["newer"] = 2'000'000;
  put(scratch / "vocab.json", vocabulary.dump());
  BOOST_CHECK_EXCEPTION(load(), FileError, says({scratch.file("vocab.json"), "\"newer\" has id 2000000"}));
  vocabulary.erase("newer");
  vocabulary.erase("<unk>");
  vocabulary["not Z"] = vocabulary["Z"];
  vocabulary.erase("Z");
  put(scratch / "vocab.json", vocabulary.dump());
  BOOST_CHECK_EXCEPTION(load(), FileError, says({scratch.file("vocab.json"), "\"Z\" of byte 90", "<unk>"}));
}

// As published: ids that nothing has, and bytes that a vocabulary of few characters lacks.
BOOST_AUTO_TEST_CASE(holes_and_missing_bytes) {
  const Scratch scratch, saved;
  scratch.write("vocab.json", R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"A":5,"B":6,"AB":9,"<mask>":12})");
  scratch.write("merges.txt", "#version: 0.2\nA B\n");
  const auto bpe = text::ByteBpe::load(scratch.path.string());
  BOOST_TEST(bpe.vocab_size() == 13);
  check_equal(bpe.model().holes, Ids{4, 7, 8, 10, 11});
  BOOST_TEST((bpe.has_piece(9) && !bpe.has_piece(4) && !bpe.has_piece(13) && !bpe.has_piece(-1)));
  for (const int hole : {4, 11}) BOOST_CHECK_THROW(bpe.piece(hole), ConfigError);
  check_equal(bpe.encode("ABA"), Ids{9, 5});
  check_equal(bpe.encode("A ?\u00e4B<mask>"), Ids{5, 3, 3, 3, 3, 6, 12});
  BOOST_TEST(bpe.decode(Ids{9, 3, 5}) == "AB<unk>A");
  BOOST_TEST(bpe.decode(Ids{9, 3, 5}, text::ByteBpe::Specials::LeftOut) == "ABA");

  bpe.save(saved.path.string());
  check_same(text::ByteBpe::load(saved.path.string()).model(), bpe.model());
  std::filesystem::remove(saved / "tokenizer.json");
  check_same(text::ByteBpe::load(saved.path.string()).model(), bpe.model());

  // As Hugging Face's tokenizers do where a tokenizer.json says so: one <unk> for several, or none at all.
  auto model = bpe.model();
  model.fuse_unk = true;
  check_equal(text::ByteBpe(model).encode("A??B? ?"), Ids{5, 3, 6, 3, 3});
  model.unk_token.clear();
  check_equal(text::ByteBpe(model).encode("A??B? ?"), Ids{5, 6});

  const auto vocabulary = text::masking_vocabulary(bpe);
  check_equal(vocabulary.pieces, Ids{0, 1, 2, 3, 5, 6, 9, 12});
  text::MaskedSequence result;
  const std::vector<int> ids(2000, 5);
  text::TokenMasker(vocabulary, {1.0, 0.0, 1.0}).mask(ids, 0, 0, text::TokenMasker::Choose::ByChance, result);
  const std::set<int> drawn(result.ids.begin(), result.ids.end());
  check_equal(Ids(drawn.begin(), drawn.end()), vocabulary.pieces);
}

BOOST_AUTO_TEST_CASE(form_c) {
  for (const auto& row : json::parse(contents(golden_path("nfc.json")))) {
    const auto line = row[0].get<std::string>();
    BOOST_TEST_CONTEXT(row[0].dump(-1, ' ', true)) BOOST_TEST(text::nfc(line) == row[1].get<std::string>());
  }
  for (const char32_t character : {0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string bytes = "x";
    neural_attention::append_utf8(character, bytes);
    const auto last = neural_attention::last_character(bytes);
    BOOST_TEST(last.size() + 1 == bytes.size());
    BOOST_TEST((neural_attention::decode_utf8(last) == character));
  }
  BOOST_TEST(text::nfc("e\u0301\xff\u0301e\xcc") == "\u00e9\xff\u0301e\xcc");
}

BOOST_AUTO_TEST_CASE(tokenizer_json) {
  const Scratch scratch;
  const auto document = json::parse(contents(golden_path("tokenizer.json")));
  const auto load = [&](const json& changed) {
    return text::ByteBpe::load_json(scratch.write("t.json", changed.dump()));
  };
  check_same(load(document).model(), golden_bpe().model());

  // Older versions write a merge as one string; an added token need not be in the model's vocabulary.
  auto other = document;
  for (auto& merge : other["model"]["merges"]) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  BOOST_TEST(!other["model"]["vocab"].contains("<mask>"));
  other["model"]["vocab"]["<mask>"] = 639;
  other["truncation"] = {{"max_length", 5}};
  other["post_processor"] = nullptr;
  other["model"].erase("type");
  check_same(load(other).model(), golden_bpe().model());

  struct Change {
    const char *pointer, *value, *part;
  };
  // Other ways to say the same.
  const auto same_as = [&](const char* pointer, const json& value) {
    BOOST_TEST_CONTEXT(pointer << " " << value) {
      auto changed = document;
      changed[json::json_pointer(pointer)] = value;
      check_same(load(changed).model(), golden_bpe().model());
    }
  };
  const auto byte_level = document["pre_tokenizer"];
  const json around = {{"type", "TemplateProcessing"},
                       {"single",
                        {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                         {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                         {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}}}};
  same_as("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {byte_level}}});
  same_as("/decoder", {{"type", "Sequence"}, {"decoders", {byte_level}}});
  same_as("/post_processor", around);
  same_as("/post_processor", {{"type", "Sequence"}, {"processors", {around}}});
  same_as("/post_processor", {{"type", "Sequence"}, {"processors", {byte_level, around}}});
  same_as("/model/ignore_merges", nullptr);

  // Settings of their own, which come back from what is saved.
  const auto setting = [&](const char* pointer, const json& value) {
    auto changed = document;
    changed[json::json_pointer(pointer)] = value;
    const auto bpe = load(changed);
    check_same(load(text::to_json(bpe.model())).model(), bpe.model());
    return bpe;
  };
  const auto nfc = setting("/normalizer", {{"type", "NFC"}});
  BOOST_TEST(nfc.decode(nfc.encode("e\u0301 <mask>")) == "\u00e9<mask>");
  BOOST_TEST(nfc.decode(nfc.encode_ordinary("e\u0301")) == "\u00e9");
  BOOST_TEST(setting("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}).model().nfc);
  const auto unmerged = setting("/model/merges", json::array());
  auto by_word = unmerged.model();
  by_word.ignore_merges = true;
  check_equal(text::ByteBpe(by_word).encode("The waves"), golden_bpe().encode("The waves"));
  BOOST_TEST(unmerged.encode("The waves").size() == 9u);

  // A single word is not found inside another one.
  const auto word = setting("/added_tokens/4/single_word", true);
  for (const auto& [line, masks] : {std::pair("<mask>", 1),
                                    {"a <mask>, b", 1},
                                    {"a<mask>", 0},
                                    {"<mask>1", 0},
                                    {"_<mask>", 0},
                                    {"<mask>\u0301", 0},
                                    {"\u24b6<mask>", 0},
                                    {"\u00e9<mask>", 0},
                                    {"\u2603<mask>\u2603", 1},
                                    {"a<mask> <mask>", 1}}) {
    const auto ids = word.encode(line);
    BOOST_TEST_CONTEXT(line) BOOST_TEST(std::count(ids.begin(), ids.end(), 639) == masks);
  }

  for (const auto& [pointer, value, part] : std::initializer_list<Change>{
           {"/normalizer", R"({"type":"Lowercase"})", "normalizer of type \"Lowercase\""},
           {"/normalizer", R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFC"}]})", "\"Sequence\""},
           {"/pre_tokenizer", R"({"type":"Sequence","pretokenizers":[]})", "\"Sequence\""},
           {"/post_processor", R"({"type":"TemplateProcessing"})", "template \"\""},
           {"/post_processor",
            R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]})",
            "template \"<s> A\""},
           {"/post_processor", R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"Bert"}]})",
            "\"Bert\""},
           {"/post_processor", R"({"type":"Sequence","processors":[]})", "sequence is not supported"},
           {"/model/byte_fallback", "true", "byte_fallback"},
           {"/model/unk_token", "\"[UNK]\"", "\"[UNK]\" is not in"},
           {"/normalizer", "[]", "\"type\""},
           {"/pre_tokenizer", "null", "pre_tokenizer that is missing"},
           {"/pre_tokenizer/type", "\"Metaspace\"", "pre_tokenizer of type \"Metaspace\""},
           {"/pre_tokenizer/use_regex", "false", "use_regex"},
           {"/pre_tokenizer/add_prefix_space", "null", "add_prefix_space"},
           {"/decoder/type", "\"WordPiece\"", "decoder of type \"WordPiece\""},
           {"/post_processor/type", "\"BertProcessing\"", "post_processor of type \"BertProcessing\""},
           {"/post_processor/cls", R"(["[CLS]",0])", "\"cls\" is not <s>"},
           {"/post_processor/sep", "null", "\"sep\" is not </s>"},
           {"/model", "null", "\"model\""},
           {"/model/type", "\"Unigram\"", "\"Unigram\""},
           {"/model/dropout", "0.1", "dropout"},
           {"/model/ignore_merges", "1", "ignore_merges"},
           {"/model/end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
           {"/model/continuing_subword_prefix", "\"##\"", "continuing_subword_prefix"},
           {"/model/vocab", "[]", "\"vocab\""},
           {"/model/vocab/!", "1999999", "\"!\" has id 1999999"},
           {"/model/merges", "{}", "\"merges\""},
           {"/model/merges/1", "3", "merge 2"},
           {"/model/merges/1", R"(["h"])", "merge 2"},
           {"/model/merges/1", "\"h e\"", "merge 2 joins \"h\" and \"e\" a second time"},
           {"/model/merges/0", "\"h \u2603\"", "merge 1 is not of pieces"},
           {"/model/merges/0", R"(["h e", "r"])", "merge 1 is not of pieces"},
           {"/added_tokens", "7", "\"added_tokens\""},
           {"/added_tokens/4/single_word", "\"yes\"", "single_word"},
           {"/added_tokens/4/lstrip", "\"yes\"", "lstrip"},
           {"/added_tokens/4/content", "\"\"", "without characters"},
           {"/added_tokens/4/content", "\"!\"", "id 639, but 4 in the model's"},
           {"/added_tokens/4/id", "-1", "negative"},
           {"/added_tokens/4/id", "7000000", "\"<mask>\" has id 7000000"}}) {
    BOOST_TEST_CONTEXT(pointer << " " << value) {
      auto changed = document;
      changed[json::json_pointer(pointer)] = json::parse(value);
      BOOST_CHECK_EXCEPTION(load(changed), FileError, says({scratch.file("t.json") + ": ", part}));
    }
  }
  for (const json& whole : {json(3), json::array(), json::object()}) BOOST_CHECK_THROW(load(whole), FileError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(learning)

// Each merge walks through the words that it changes: a word of all letters in hundreds of thousands would take
// minutes.
BOOST_AUTO_TEST_CASE(a_long_word) {
  std::mt19937 random(1);
  std::string word;
  for (int i = 0; i < 500'000; ++i) word += static_cast<char>('a' + random() % 26);
  const auto bpe = text::ByteBpe::train(Words{word}, {8000, 2, false});
  BOOST_TEST(bpe.vocab_size() == 8000);
  BOOST_TEST((bpe.decode(bpe.encode_ordinary(word)) == word));
}

BOOST_AUTO_TEST_CASE(options) {
  const Words lines = {"abab abab", "", "abc"};
  BOOST_CHECK_EXCEPTION(text::ByteBpe::train(lines, {260, 2, false}), ConfigError, says({"261", "260"}));
  BOOST_CHECK_THROW(text::ByteBpe::train(Words{"", ""}), ConfigError);
  BOOST_CHECK_THROW(text::ByteBpe::train({}), ConfigError);
  BOOST_TEST(text::ByteBpe::train(lines, {261, 2, false}).vocab_size() == 261);

  // ab occurs 5 times, then abab 2 times (once with a space before it), the rest once: the space has a smaller id than
  // ab.
  const auto pieces = [](const text::ByteBpe& bpe) {
    const auto& all = bpe.model().pieces;
    return Words(all.begin() + 260, all.end() - 1);
  };
  check_equal(pieces(text::ByteBpe::train(lines, {1000, 2, false})), Words{"ab", "abab"});
  check_equal(pieces(text::ByteBpe::train(lines, {1000, 3, false})), Words{"ab"});
  check_equal(pieces(text::ByteBpe::train(lines, {1000, 0, false})), Words{"ab", "abab", "Ġabab", "abc"});
  check_equal(pieces(text::ByteBpe::train(lines, {263, 0, false})), Words{"ab", "abab"});
  // With a space in front of each line: " abab" twice, " abc".
  check_equal(pieces(text::ByteBpe::train(lines, {1000, 2, true})), Words{"ab", "Ġab", "Ġabab"});
}

// The trainer's counts are kept up to date: each merge joins the most frequent pair, counted anew from the words.
BOOST_AUTO_TEST_CASE(most_frequent_pair) {
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    text::WordCounts counts;
    for (int i = 0; i < 12; ++i) {
      std::string word(1 + random() % 24, 'a');
      for (auto& c : word) c = static_cast<char>('a' + random() % (1 + round % 4));
      counts[word] += 1 + static_cast<int>(random() % 5);
    }
    const auto learned = text::learn_bpe(counts, 256 + 60, 2);
    std::vector<std::pair<Ids, std::int64_t>> corpus;
    for (const auto& [word, count] : counts) {
      Ids ids;
      for (const char c : word) ids.push_back(c - '!');  // printable characters come first, from '!' on
      corpus.emplace_back(ids, count);
    }
    std::size_t made = 0;
    for (; made <= learned.merges.size(); ++made) {
      std::map<std::pair<int, int>, std::int64_t> pairs;
      for (const auto& [ids, count] : corpus)
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) pairs[{ids[i], ids[i + 1]}] += count;
      std::pair<int, int> best;
      std::int64_t most = 1;
      for (const auto& [pair, count] : pairs)
        if (count > most) std::tie(best, most) = std::tie(pair, count);
      if (made == learned.merges.size()) {
        BOOST_TEST((most < 2 || learned.pieces.size() == 256 + 60));
        break;
      }
      const auto& merge = learned.merges[made];
      BOOST_TEST_REQUIRE((merge == text::BpeMerge{best.first, best.second, static_cast<int>(256 + made)}));
      BOOST_TEST_REQUIRE(learned.pieces[256 + made] == learned.pieces[static_cast<std::size_t>(best.first)] +
                                                           learned.pieces[static_cast<std::size_t>(best.second)]);
      for (auto& [ids, count] : corpus)
        for (std::size_t i = 0; i + 1 < ids.size(); ++i)
          if (ids[i] == best.first && ids[i + 1] == best.second) {
            ids[i] = merge.id;
            ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(wikitext2_data)

// Hugging Face's tokenizers learn the same 16,000 pieces and give the same ids.
BOOST_AUTO_TEST_CASE(learned_and_encoded) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/wikitext-2";
  if (data == nullptr || !std::filesystem::is_directory(folder)) {
    std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with wikitext-2 in it");
    return;
  }
  const auto expected = json::parse(contents(golden_path("wikitext2.json")));
  const auto train = text::read_lines(text::find_text_file(folder, "train.txt")),
             valid = text::read_lines(text::find_text_file(folder, "valid.txt"));
  BOOST_TEST_REQUIRE(train.size() == 36718u);
  BOOST_TEST_REQUIRE(valid.size() == 3760u);
  const auto bpe = text::ByteBpe::train(train, {expected["vocab_size"].get<int>(), 2, false});
  Hash merges, ids;
  for (const auto& merge : bpe.model().merges) {
    merges.add(static_cast<std::uint64_t>(merge.left));
    merges.add(static_cast<std::uint64_t>(merge.right));
  }
  BOOST_TEST(bpe.model().merges.size() == expected["merges"].get<std::size_t>());
  BOOST_TEST(merges.hex() == expected["merges_hash"].get<std::string>());

  std::size_t count = 0, wrong = 0;
  for (const auto& line : valid) {
    const auto found = bpe.encode(line);
    for (const int id : found) ids.add(static_cast<std::uint64_t>(id));
    count += found.size();
    wrong += bpe.decode(found) != line;
  }
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(count == expected["valid_ids"].get<std::size_t>());
  BOOST_TEST(ids.hex() == expected["valid_hash"].get<std::string>());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(gpt2_models)

// GPT-2's own vocabulary, and the ids that Hugging Face's GPT2TokenizerFast gives.
BOOST_AUTO_TEST_CASE(wikitext2_as_two_texts) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const char* const models = std::getenv("NEURAL_ATTENTION_MODELS_DIR");
  const auto texts = std::string(data == nullptr ? "" : data) + "/wikitext-2";
  const auto folder = std::string(models == nullptr ? "" : models) + "/gpt2-tokenizer";
  if (data == nullptr || models == nullptr || !std::filesystem::is_directory(texts) ||
      !std::filesystem::is_directory(folder)) {
    std::puts(
        "SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with wikitext-2 in it, or NEURAL_ATTENTION_MODELS_DIR none "
        "with gpt2-tokenizer");
    return;
  }
  const auto expected = json::parse(contents(golden_path("gpt2.json")));
  const auto bpe = text::ByteBpe::load(folder);
  BOOST_TEST(bpe.vocab_size() == 50257);
  for (const std::string name : {"train", "valid"}) BOOST_TEST_CONTEXT(name) {
      const auto whole = text::read_text_bytes(text::find_text_file(texts, name + ".txt"));
      const auto found = bpe.encode(whole);
      Hash ids;
      for (const int id : found) ids.add(static_cast<std::uint64_t>(id));
      BOOST_TEST(found.size() == expected[name + "_ids"].get<std::size_t>());
      BOOST_TEST(ids.hex() == expected[name + "_hash"].get<std::string>());
      BOOST_TEST((bpe.decode(found) == whole));
    }
}

BOOST_AUTO_TEST_SUITE_END()
