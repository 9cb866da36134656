// Text for a causal language model: token files, windows over them, and vocabularies of characters.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE text_causal_data
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/data/causal_documents.hpp"
#include "neural_attention/text/data/causal_windows.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/token_file.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"
#include "neural_attention/trainer/trainer_options.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using text::CausalWindows;
using text::CharacterVocabulary;
using text::TokenArray;
using text::TokenFile;
using text::TokenFileWriter;
using text::TokenVocabulary;
using text::WindowOptions;
using text::WindowOrder;
using Ids = std::vector<int>;

static_assert(TrainingData<CausalWindows<TokenFile>> && TrainingData<CausalWindows<TokenArray>>);

namespace {

const std::string print = "0123456789abcdef", other_print = "0123456789abcdee";

Ids some_ids(std::size_t count, int vocabulary) {
  Ids ids(count);
  RandomStream random({7, 1, 2});
  for (int& id : ids) id = static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary)));
  return ids;
}

void write_tokens(const std::filesystem::path& path, const Ids& ids, const TokenVocabulary& vocabulary) {
  TokenFileWriter writer(path, vocabulary);
  for (std::size_t i = 0; i < ids.size(); i += 1000)
    writer.add(std::span(ids).subspan(i, std::min<std::size_t>(1000, ids.size() - i)));
  writer.commit();
}

Ids all(const TokenFile& file) {
  Ids ids(file.size());
  file.read(0, ids);
  return ids;
}

/// The ids of nanoGPT's train.bin.
std::string sixteen_bits(const Ids& ids) {
  std::string bytes;
  for (const int id : ids) {
    bytes += static_cast<char>(id & 0xFF);
    bytes += static_cast<char>(id >> 8);
  }
  return bytes;
}

TokenArray counting(int size) {
  Ids ids(static_cast<std::size_t>(size));
  std::iota(ids.begin(), ids.end(), 0);
  return TokenArray(ids);
}

/// The first token of every window, and its length, batch by batch; checks that labels follow their tokens.
std::vector<std::vector<std::pair<int, int>>> windows(const auto& data) {
  std::vector<std::vector<std::pair<int, int>>> result;
  auto batch = data.empty_batch();
  for (std::size_t b = 0; b < data.batches(); ++b) {
    data.fill(b, batch);
    bool follow = batch.ids().size() == batch.labels.size();
    for (std::size_t i = 0; follow && i < batch.labels.size(); ++i) follow = batch.labels[i] == batch.ids()[i] + 1;
    BOOST_TEST(follow);
    auto& starts = result.emplace_back();
    for (int w = 0; w < batch.offsets().sequences(); ++w)
      starts.emplace_back(batch.sequence(w).front(), batch.offsets().length(w));
    BOOST_TEST(data.sequences_before(b + 1) - data.sequences_before(b) == starts.size());
  }
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(token_files)

BOOST_AUTO_TEST_CASE(hold_what_was_written) {
  const Scratch scratch;
  for (const int vocabulary : {1, 65, 65536, 65537, 2'000'000'000})
    for (const std::size_t count : {0u, 1u, 7u, 700'001u}) {
      const auto ids = some_ids(count, vocabulary);
      write_tokens(scratch / "a", ids, {vocabulary, print});
      const TokenFile file(scratch / "a", {vocabulary, print});
      BOOST_TEST(file.size() == count);
      BOOST_TEST((all(file) == ids));
      BOOST_TEST(std::filesystem::file_size(scratch / "a") == 64 + 16 + count * (vocabulary <= 65536 ? 2 : 4));
      BOOST_TEST((all(TokenFile(scratch / "a", {vocabulary})) == ids));  // whoever knows no fingerprint compares none
    }
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(of_nano_gpt_are_ids_alone) {
  const Scratch scratch;
  const auto ids = some_ids(5001, 50257);
  put(scratch / "train.bin", sixteen_bits(ids));
  const TokenFile file(scratch / "train.bin", {50257, print});
  BOOST_TEST((all(file) == ids));
  Ids three(3);
  file.read(4998, three);
  BOOST_TEST((three == Ids(ids.end() - 3, ids.end())));
  put(scratch / "train.bin", sixteen_bits(ids).substr(1));
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "train.bin", {50257}), FileError,
                        says({"train.bin", "10001 bytes are no whole number of 16-bit ids"}));
}

BOOST_AUTO_TEST_CASE(with_other_ids_are_refused_where_they_are_read) {
  const Scratch scratch;
  put(scratch / "a", sixteen_bits({3, 4, 65, 5}));
  const TokenFile file(scratch / "a", {65});
  Ids two(2), three(3);
  file.read(0, two);
  BOOST_CHECK_EXCEPTION(file.read(0, three), FileError, says({"token 2 is 65", "has the ids 0 to 64"}));
  BOOST_CHECK_EXCEPTION(file.read(3, two), ShapeError, says({"has 4 tokens", "no 2 after the first 3"}));
  BOOST_CHECK_THROW(file.read(static_cast<std::size_t>(-1), two), ShapeError);
  write_tokens(scratch / "b", some_ids(9, 70000), {70000, print});
  auto bytes = scratch.read("b");
  bytes.replace(64 + 4 * 5, 4, "\xFF\xFF\xFF\xFF");
  put(scratch / "b", bytes);
  const TokenFile damaged(scratch / "b", {70000, print});
  BOOST_CHECK_EXCEPTION(all(damaged), FileError, says({"token 5 is 4294967295"}));
}

BOOST_AUTO_TEST_CASE(of_another_vocabulary_or_cut_are_refused) {
  const Scratch scratch;
  write_tokens(scratch / "a", some_ids(100, 65), {65, print});
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "a", {66, print}), FileError, says({"a vocabulary of 65 ids", "has 66"}));
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "a", {65, other_print}), FileError, says("another vocabulary of 65 ids"));
  const auto bytes = scratch.read("a");
  for (std::size_t size = 8; size < bytes.size(); ++size) {
    put(scratch / "cut", bytes.substr(0, size));
    BOOST_CHECK_EXCEPTION(TokenFile(scratch / "cut", {65, print}), FileError, says("is truncated"));
  }
  auto changed = bytes;
  changed[8] = 2;
  put(scratch / "version", changed);
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "version", {65}), FileError, says("of version 2"));
  changed = bytes;
  changed[12] = 3;
  put(scratch / "width", changed);
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "width", {65}), FileError, says("ids have 3 bytes"));
  scratch.write("plain", "abcd");
  BOOST_TEST(TokenFile(scratch / "plain", {65536}).size() == 2u);
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "plain", {65537}), FileError, says("a vocabulary of 65537"));
  BOOST_CHECK_EXCEPTION(TokenFile(scratch / "none", {65}), FileError, says("No such file"));
}

BOOST_AUTO_TEST_CASE(are_written_whole_or_not_at_all) {
  const Scratch scratch;
  {
    TokenFileWriter writer(scratch / "a", {65});
    writer.add(some_ids(1'000'000, 65));
  }
  BOOST_TEST(scratch.entries() == 0u);
  TokenFileWriter writer(scratch / "a", {65});
  BOOST_CHECK_EXCEPTION(writer.add(Ids{65}), ConfigError, says("id 65 is not in a vocabulary of 65"));
  BOOST_CHECK_THROW(writer.add(Ids{-1}), ConfigError);
  BOOST_CHECK_THROW(TokenFileWriter(scratch / "b", {0}), ConfigError);
  BOOST_CHECK_THROW(TokenFileWriter(scratch / "b", {65, "short"}), ConfigError);
  BOOST_CHECK_THROW(TokenFileWriter(scratch / "none" / "b", {65}), FileError);
  const FileSizeLimit limit(1u << 20);
  BOOST_CHECK_THROW(writer.add(some_ids(2'000'000, 65)), FileError);
}

BOOST_AUTO_TEST_CASE(have_fingerprints_that_tell_texts_apart) {
  const Scratch scratch;
  auto ids = some_ids(40'000, 65);
  write_tokens(scratch / "a", ids, {65, print});
  write_tokens(scratch / "b", ids, {65, other_print});
  ids[39'999] ^= 1;
  ids[0] ^= 1;
  write_tokens(scratch / "c", ids, {65, print});
  const auto of = [&](const char* name) { return TokenFile(scratch / name, {65}).fingerprint(); };
  BOOST_TEST(of("a") == of("b"));
  BOOST_TEST(of("a") != of("c"));
  BOOST_TEST(of("a").starts_with("40000 tokens, "));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(windows_of_a_text)

BOOST_AUTO_TEST_CASE(lie_side_by_side_in_order) {
  const auto tokens = counting(23);
  const CausalWindows data(tokens, {.batch_size = 2, .block_size = 5, .order = WindowOrder::Sequential});
  using Starts = std::vector<std::vector<std::pair<int, int>>>;
  BOOST_TEST((windows(data) == Starts{{{0, 5}, {5, 5}}, {{10, 5}, {15, 5}}, {{20, 2}}}));
}

BOOST_AUTO_TEST_CASE(predict_each_token_once_in_every_epoch) {
  const auto tokens = counting(1000);
  CausalWindows data(tokens, {.batch_size = 7, .block_size = 13, .order = WindowOrder::Shuffled, .seed = 3});
  std::vector<std::vector<std::vector<std::pair<int, int>>>> epochs;
  for (const int epoch : {0, 1, 0}) {
    data.begin_epoch(epoch);
    epochs.push_back(windows(data));
    std::vector<int> times(1000);
    for (const auto& batch : epochs.back())
      for (const auto& [first, length] : batch)
        for (int i = first; i < first + length; ++i) ++times[static_cast<std::size_t>(i)];
    BOOST_TEST(times.back() == 0);
    times.pop_back();
    BOOST_TEST((std::count(times.begin(), times.end(), 1) == 999));
  }
  BOOST_TEST((epochs[0] == epochs[2]));
  BOOST_TEST((epochs[0] != epochs[1]));
}

BOOST_AUTO_TEST_CASE(at_random_places_are_uniform_and_reproducible) {
  const auto tokens = counting(70);
  CausalWindows data(tokens, {.batch_size = 4, .block_size = 8, .seed = 5});
  std::map<int, int> seen;
  int drawn = 0;
  for (int epoch = 0; epoch < 2000; ++epoch) {
    data.begin_epoch(epoch);
    for (const auto& batch : windows(data))
      for (const auto& [first, length] : batch) {
        BOOST_TEST(length == 8);
        ++seen[first];
        ++drawn;
      }
  }
  BOOST_TEST(seen.begin()->first == 0);
  BOOST_TEST(seen.rbegin()->first == 61);  // as randint(70 - 8) of nanoGPT
  BOOST_TEST(seen.size() == 62u);
  double chi = 0.0;
  const double expected = drawn / 62.0;
  for (const auto& [first, times] : seen) chi += (times - expected) * (times - expected) / expected;
  BOOST_TEST(chi < 61 + 5 * std::sqrt(2 * 61.0));
  data.begin_epoch(7);
  const auto again = windows(data);
  CausalWindows same(tokens, {.batch_size = 4, .block_size = 8, .seed = 5}),
      other(tokens, {.batch_size = 4, .block_size = 8, .seed = 6});
  same.begin_epoch(7);
  other.begin_epoch(7);
  BOOST_TEST((windows(same) == again));
  BOOST_TEST((windows(other) != again));
}

BOOST_AUTO_TEST_CASE(at_random_places_fill_every_batch_and_step) {
  const auto tokens = counting(70);  // 9 windows of 8
  for (const int accumulation : {1, 2, 5}) {
    const CausalWindows data(tokens, {.batch_size = 4, .block_size = 8, .seed = 5, .batches_a_step = accumulation});
    const auto batches = windows(data);
    BOOST_TEST(batches.size() == (accumulation == 5 ? 5u : accumulation == 2 ? 4u : 3u));
    for (const auto& batch : batches) BOOST_TEST(batch.size() == 4u);
    BOOST_TEST(data.sequences_before(batches.size()) == 4 * batches.size());
  }
  const CausalWindows few(tokens, {.batch_size = 100, .block_size = 64, .seed = 5});
  BOOST_TEST((few.batches() == 1u && windows(few).front().size() == 100u));
}

BOOST_AUTO_TEST_CASE(of_a_file_are_those_of_the_same_tokens_in_memory) {
  const Scratch scratch;
  Ids ids(5000);
  std::iota(ids.begin(), ids.end(), 0);
  write_tokens(scratch / "a", ids, {5000, print});
  const TokenFile file(scratch / "a", {5000, print});
  const TokenArray array(ids);
  for (const auto order : {WindowOrder::Random, WindowOrder::Shuffled, WindowOrder::Sequential}) {
    const WindowOptions options{.batch_size = 3, .block_size = 100, .order = order};
    BOOST_TEST((windows(CausalWindows(file, options)) == windows(CausalWindows(array, options))));
  }
}

BOOST_AUTO_TEST_CASE(need_a_text_that_is_long_enough) {
  const auto one = counting(1), eight = counting(8);
  const auto make = [](const TokenArray& tokens, const WindowOptions& options) { CausalWindows(tokens, options); };
  BOOST_CHECK_EXCEPTION(make(one, {.order = WindowOrder::Sequential}), TextError, says("1 tokens is too short"));
  BOOST_CHECK_EXCEPTION(make(eight, {.block_size = 8}), TextError, says("at least 9 are needed"));
  BOOST_CHECK_NO_THROW(make(eight, {.block_size = 7}));
  BOOST_CHECK_THROW(make(eight, {.batch_size = 0, .block_size = 7}), ConfigError);
  BOOST_CHECK_THROW(make(eight, {.block_size = 0}), ConfigError);
}

BOOST_AUTO_TEST_CASE(fill_batches_that_an_int_can_count) {
  const auto tokens = counting(200);
  const auto make = [&](const WindowOptions& options) { CausalWindows(tokens, options); };
  BOOST_CHECK_EXCEPTION(make({.batch_size = 40'000'000, .block_size = 64}), ConfigError,
                        says({"a batch of 40000000 windows would have 2560000000 tokens", "at most 2147483647"}));
  BOOST_CHECK_NO_THROW(make({.batch_size = 33'554'431, .block_size = 64}));
  // Side by side, a batch has no more windows than the text.
  BOOST_CHECK_NO_THROW(make({.batch_size = 40'000'000, .block_size = 64, .order = WindowOrder::Sequential}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(documents)

text::TokenSequences texts_of(std::initializer_list<Ids> all) {
  text::TokenSequences texts;
  for (const auto& ids : all) texts.add(ids);
  return texts;
}

BOOST_AUTO_TEST_CASE(are_cut_so_that_each_token_is_predicted_once_from_its_own_text) {
  const auto texts = texts_of({{1, 2, 3, 4, 5, 6, 7, 8}, {9}, {10, 11}, {}, {12, 13, 14, 15}});
  text::BatchOptions two;
  two.sentences = 2;
  two.shuffle = false;
  const text::CausalDocuments data(texts, 3, two);
  std::vector<Ids> parts;
  for (std::size_t i = 0; i < data.parts().size(); ++i) {
    const auto part = data.parts()[i];
    parts.emplace_back(part.begin(), part.end());
  }
  BOOST_TEST((parts == std::vector<Ids>{{1, 2, 3, 4}, {4, 5, 6, 7}, {7, 8}, {10, 11}, {12, 13, 14, 15}}));
  BOOST_TEST(data.batches() == 3u);
  BOOST_TEST(data.sequences_before(3) == 5u);
  auto batch = data.empty_batch();
  data.fill(1, batch);
  BOOST_TEST((batch.labels == Ids{8, 11}));
  BOOST_TEST(batch.total() == 2);
}

BOOST_AUTO_TEST_CASE(come_in_an_order_that_follows_from_seed_and_epoch) {
  text::TokenSequences texts;
  for (int i = 0; i < 40; ++i) texts.add(Ids{i, 100 + i});
  text::BatchOptions how;
  how.sentences = 3;
  how.seed = 5;
  const auto order = [&](std::uint64_t seed, int epoch) {
    how.seed = seed;
    text::CausalDocuments data(texts, 8, how);
    data.begin_epoch(epoch);
    Ids labels;
    auto batch = data.empty_batch();
    for (std::size_t i = 0; i < data.batches(); ++i) {
      data.fill(i, batch);
      labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
    }
    return labels;
  };
  const auto first = order(5, 1);
  BOOST_TEST((order(5, 1) == first));
  BOOST_TEST((order(5, 2) != first && order(6, 1) != first));
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  Ids all(40);
  std::iota(all.begin(), all.end(), 100);
  BOOST_TEST(sorted == all, boost::test_tools::per_element());
  BOOST_TEST(text::CausalDocuments(texts, 8, how).fingerprint() !=
             text::CausalDocuments(texts_of({{1, 2}}), 8, how).fingerprint());
}

BOOST_AUTO_TEST_CASE(need_something_to_predict) {
  text::BatchOptions how;
  how.sentences = 1;
  const auto make = [&](const text::TokenSequences& texts, int block) { text::CausalDocuments(texts, block, how); };
  BOOST_CHECK_EXCEPTION(make(texts_of({{1}, {2}}), 4), TextError, says("no text has a token"));
  BOOST_CHECK_THROW(make(texts_of({{1, 2}}), 0), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(characters)

BOOST_AUTO_TEST_CASE(are_sorted_by_code_point_and_come_back) {
  const auto vocabulary = CharacterVocabulary::of_text("hello wörld\n€𝄞");
  const std::vector<std::string> expected{"\n", " ", "d", "e", "h", "l", "o", "r", "w", "ö", "€", "𝄞"};
  for (std::size_t i = 0; i < expected.size(); ++i) BOOST_TEST(vocabulary.piece(static_cast<int>(i)) == expected[i]);
  BOOST_TEST(vocabulary.vocab_size() == 12);
  BOOST_TEST((vocabulary.encode("low€\n") == Ids{5, 6, 8, 10, 0}));
  BOOST_TEST(vocabulary.decode(vocabulary.encode("𝄞 wörld")) == "𝄞 wörld");
  BOOST_CHECK_EXCEPTION(vocabulary.encode("höl-"), TextError,
                        says({"\"-\", number 4 of the text, is not in the vocabulary of 12 characters"}));
  BOOST_CHECK_EXCEPTION(vocabulary.encode("he\r\n"), TextError, says({"the character \"\\x0D\", number 3"}));
  BOOST_CHECK_EXCEPTION(vocabulary.encode("h\xFF"), TextError, says("not UTF-8"));
  BOOST_CHECK_EXCEPTION(vocabulary.decode(Ids{12}), ConfigError, says("id 12"));
  BOOST_CHECK_THROW(CharacterVocabulary::of_text(""), TextError);
}

BOOST_AUTO_TEST_CASE(of_a_long_text_come_in_pieces) {
  const auto vocabulary = CharacterVocabulary::of_text("abö");
  std::string text;
  for (std::size_t i = 0; text.size() < 3 * text::ids_at_once; ++i) text += i % 3 == 0 ? "ö" : i % 7 == 0 ? "a" : "b";
  Ids ids;
  std::vector<std::size_t> places;
  vocabulary.encode(text, [&](std::span<const int> more, std::size_t bytes) {
    ids.insert(ids.end(), more.begin(), more.end());
    places.push_back(bytes);
    BOOST_TEST(vocabulary.decode(ids).size() == bytes);
  });
  BOOST_TEST((ids == vocabulary.encode(text)));
  BOOST_TEST(places.size() > 2u);
  BOOST_TEST(places.back() == text.size());
}

BOOST_AUTO_TEST_CASE(are_kept_in_a_folder) {
  const Scratch scratch;
  const auto vocabulary = CharacterVocabulary::of_text("To be, or \"not\" to be\\\n\t\xC2\x80");
  vocabulary.save(scratch.file("model"));
  const auto again = CharacterVocabulary::load(scratch.file("model"));
  BOOST_TEST(text::token_vocabulary(again).fingerprint == text::token_vocabulary(vocabulary).fingerprint);
  BOOST_TEST(again.decode(again.encode("not\\\n\"")) == "not\\\n\"");
  const auto refused = [&](const char* json) {
    put(scratch / "vocab.json", json);
    try {
      CharacterVocabulary::load(scratch.path.string());
    } catch (const FileError& error) {
      return std::string(error.what());
    }
    return std::string("taken");
  };
  BOOST_TEST(refused(R"({"a": 0, "bc": 1})").find("\"bc\", which is not one character") != std::string::npos);
  BOOST_TEST(refused(R"({"a": 0, "b": 2})").find("no character for the id 1") != std::string::npos);
  BOOST_TEST(refused(R"({"a": 0, "": 1})").find("not one character") != std::string::npos);
  BOOST_TEST(refused("{").find("vocab.json") != std::string::npos);
  BOOST_TEST(refused(R"({"a": 1, "b": 0})") == "taken");
  std::filesystem::remove(scratch / "vocab.json");
  BOOST_CHECK_THROW(CharacterVocabulary::load(scratch.path.string()), FileError);
}

BOOST_AUTO_TEST_CASE(tell_vocabularies_apart) {
  const auto of = [](std::string_view characters) {
    return text::token_vocabulary(CharacterVocabulary::of_text(characters)).fingerprint;
  };
  BOOST_TEST(of("ab") == of("bbaa"));
  BOOST_TEST(of("ab") != of("ac"));
  BOOST_TEST(of("ab").size() == 16u);
  const auto bytes =
      text::token_vocabulary(text::ByteBpe::train(std::vector<std::string>{"a text"}, {.vocab_size = 300}));
  BOOST_TEST(bytes.size > 256);
  BOOST_TEST(bytes.fingerprint != of("ab"));
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Pieces in random order, of which each changes how others are cut into words and tokens.
std::string awkward_text(std::uint32_t seed, int count, bool valid) {
  const std::vector<std::string> pieces = {
      " ",       "  ", "\n",      "\n\n",   "\r\n",   "\t",     "\u0085",     "\u00a0", "\u2003", "\u3000", "a",
      "the",     "na", "e\u0301", "\u0301", "\u00e9", "\u20ac", "\U0001F600", "'s",     "'ll",    "'",      "12",
      "3\u00b2", "!",  "...",     "<mask>", "</s>",   "<ma",    "a b",        "the a",  "\x1C",   "\xFF",   "\xE2\x80"};
  RandomStream random({seed, 1, 2});
  const auto kinds = static_cast<std::uint32_t>(pieces.size() - (valid ? 2 : 0));
  std::string text;
  for (int i = 0; i < count; ++i) text += pieces[random.below(kinds)];
  return text;
}

/// A learned vocabulary with changes.
text::ByteBpe bpe_with(const std::vector<text::AddedToken>& tokens, bool add_prefix_space = false, bool nfc = false) {
  static const auto learned =
      text::ByteBpe::train(std::vector<std::string>{awkward_text(1, 2000, true)}, {.vocab_size = 400});
  auto model = learned.model();
  for (auto token : tokens) {
    token.id = static_cast<int>(model.pieces.size());
    model.pieces.push_back(token.content);
    model.added_tokens.push_back(token);
  }
  model.add_prefix_space = add_prefix_space;
  model.nfc = nfc;
  return text::ByteBpe(std::move(model));
}

/// The ids of the two parts that `place` cuts a text into.
Ids ids_of_parts(const auto& tokenizer, std::string_view whole, std::size_t place) {
  auto ids = tokenizer.encode(whole.substr(0, place));
  const auto more = tokenizer.encode(whole.substr(place));
  ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

/// Checks the borders of all beginnings of `whole`, and returns how many there are.
std::size_t check_borders(const auto& tokenizer, const std::string& whole) {
  const auto ids = tokenizer.encode(whole);
  std::set<std::size_t> borders;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto beginning = std::string_view(whole).substr(0, size);
    const auto border = tokenizer.last_border(beginning, 0);
    BOOST_TEST_REQUIRE((border == 0 || border < size));
    BOOST_TEST(tokenizer.last_border(beginning, border) == border);
    BOOST_TEST(tokenizer.last_border(beginning, border + 1) == 0u);
    if (border > 0) borders.insert(border);
  }
  for (const auto border : borders)
    BOOST_TEST((ids_of_parts(tokenizer, whole, border) == ids), border << " of " << in_quotes(whole, 1000));
  return borders.size();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(blocks)

BOOST_AUTO_TEST_CASE(cut_at_borders_have_the_ids_of_the_whole) {
  const std::vector<text::AddedToken> of_spaces = {{.content = "  "}, {.content = "\n\n"}, {.content = "\n the"}},
                                      stripping = {{.content = "12", .lstrip = true, .single_word = true}},
                                      normalized = {{.content = "ae\u0301", .normalized = true}};
  const std::vector<std::pair<std::string, text::ByteBpe>> cases = {{"as learned", bpe_with({})},
                                                                    {"a space in front", bpe_with({}, true)},
                                                                    {"form C", bpe_with(normalized, false, true)},
                                                                    {"both", bpe_with(normalized, true, true)},
                                                                    {"tokens of spaces", bpe_with(of_spaces)},
                                                                    {"white space goes along", bpe_with(stripping)}};
  for (const auto& [name, bpe] : cases) BOOST_TEST_CONTEXT(name) {
      std::size_t borders = 0;
      for (std::uint32_t seed = 0; seed < 20; ++seed) borders += check_borders(bpe, awkward_text(seed, 60, false));
      BOOST_TEST(borders > 20u);
    }
  const auto characters = CharacterVocabulary::of_text(awkward_text(1, 2000, true));
  for (std::uint32_t seed = 0; seed < 5; ++seed)
    BOOST_TEST(check_borders(characters, awkward_text(seed, 60, true)) > 60u);
}

BOOST_AUTO_TEST_CASE(stay_whole_where_a_token_may_lie_over_a_border) {
  for (const auto& token :
       {text::AddedToken{.content = "the a"}, text::AddedToken{.content = "the "},
        text::AddedToken{.content = "!", .rstrip = true}, text::AddedToken{.content = " a", .single_word = true}}) {
    const auto bpe = bpe_with({token});
    for (std::uint32_t seed = 0; seed < 5; ++seed) BOOST_TEST(bpe.last_border(awkward_text(seed, 60, false)) == 0u);
  }
}

// A long text without a border is asked about again and again, and only what is new in it is looked at. Otherwise
// this takes hours.
BOOST_AUTO_TEST_CASE(are_searched_for_once, *boost::unit_test::timeout(60)) {
  constexpr std::size_t size = std::size_t{24} << 20;
  const std::string letters(size, 'x'), no_characters = std::string(size, '\x80') + " ";
  const auto bpe = bpe_with({}, true);
  std::size_t none = 0, last = 0;
  for (int i = 0; i < 100'000; ++i) {
    none += bpe.last_border(letters, size - 16);
    last += bpe.last_border(no_characters, size - 16) == size;
  }
  BOOST_TEST(none == 0u);
  BOOST_TEST(last == 100'000u);
}

BOOST_AUTO_TEST_CASE(of_files_come_one_after_the_other) {
  const Scratch scratch;
  const auto whole = awkward_text(3, 4000, false);
  const auto bpe = bpe_with({}), whole_alone = bpe_with({{.content = "the a"}});
  for (const auto& path : {scratch.write("plain", whole), scratch.write_gzip("packed", whole)})
    for (const auto* const tokenizer : {&bpe, &whole_alone})
      for (const std::size_t size : {1, 64, 700, 5000}) {
        std::string together;
        Ids ids;
        std::uint64_t read = 0;
        int parts = 0;
        text::read_blocks(
            path,
            [&](std::string_view beginning, std::size_t searched) {
              return tokenizer->last_border(beginning, searched);
            },
            [&](const text::TextBlock& block) {
              BOOST_TEST(block.before == together.size());
              BOOST_TEST(block.read_before == read);
              read = block.read;
              together += block.text;
              const auto more = tokenizer->encode(block.text);
              ids.insert(ids.end(), more.begin(), more.end());
              ++parts;
            },
            size);
        BOOST_TEST((together == whole));
        BOOST_TEST((ids == tokenizer->encode(whole)));
        BOOST_TEST(read == std::filesystem::file_size(path));
        BOOST_TEST((tokenizer == &bpe ? parts > 1 : parts == 1));
      }
  const auto border = [](std::string_view, std::size_t) { return std::size_t{0}; };
  text::read_blocks(scratch.write("empty", ""), border, [](const text::TextBlock&) { BOOST_ERROR("it is empty"); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(wikitext2_data)

BOOST_AUTO_TEST_CASE(has_the_same_ids_in_blocks) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/wikitext-2";
  if (data == nullptr || !std::filesystem::is_directory(folder)) {
    std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with wikitext-2 in it");
    return;
  }
  const auto path = text::find_text_file(folder, "valid.txt");
  const auto whole = text::read_text_bytes(path);
  const auto bpe = text::ByteBpe::train(std::vector<std::string>{whole}, {.vocab_size = 2000});
  const auto expected = bpe.encode(whole);
  for (const std::size_t size : {4096, 100'000}) {
    Ids ids;
    std::size_t longest = 0;
    text::read_blocks(
        path, [&](std::string_view text, std::size_t searched) { return bpe.last_border(text, searched); },
        [&](const text::TextBlock& block) {
          longest = std::max(longest, block.text.size());
          const auto more = bpe.encode(block.text);
          ids.insert(ids.end(), more.begin(), more.end());
        },
        size);
    BOOST_TEST((ids == expected));
    BOOST_TEST(longest < whole.size());
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(shakespeare_data)

// The numbers that nanoGPT's prepare.py prints for these texts.
BOOST_AUTO_TEST_CASE(has_the_characters_of_nano_gpt) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/tinyshakespeare";
  if (data == nullptr || !std::filesystem::is_directory(folder)) {
    std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with tinyshakespeare in it");
    return;
  }
  const auto train = text::read_text_bytes(text::find_text_file(folder, "train.txt")),
             valid = text::read_text_bytes(text::find_text_file(folder, "valid.txt"));
  const auto vocabulary = CharacterVocabulary::of_text(train + valid);
  BOOST_TEST(vocabulary.vocab_size() == 65);
  BOOST_TEST(vocabulary.encode(train).size() == 1'003'854u);
  BOOST_TEST(vocabulary.encode(valid).size() == 111'540u);
  BOOST_TEST((vocabulary.decode(vocabulary.encode(train)) == train));
}

BOOST_AUTO_TEST_SUITE_END()
