// Text for a causal language model: token files, windows over them, and vocabularies of characters.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE text_causal_data
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/io/mapped_file.hpp"
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
