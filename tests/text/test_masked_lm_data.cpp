// Text as blocks, masks and batches of a masked language model. What Hugging Face makes of the same lines was written
// by tests/reference/masked_lm_blocks.py.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE text_masked_lm_data
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "golden_file.hpp"
#include "golden_hash.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/masked_lm_data.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/trainer/trainer.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using nlohmann::json;
using text::MaskedLmData;
using text::MaskedSequence;
using text::MaskingOptions;
using text::MaskingVocabulary;
using text::TokenMasker;
using Ids = std::vector<int>;
using Lines = std::vector<std::string>;

static_assert(TrainingData<MaskedLmData>);

namespace {

json golden_json(const char* name) { return json::parse(contents(golden::folder() / "masked_lm" / name)); }

const text::ByteBpe& golden_bpe() {
  static const auto bpe = text::ByteBpe::load_json((golden::folder() / "byte_bpe" / "tokenizer.json").string());
  return bpe;
}

void check_summary(const text::TokenSequences& found, const json& expected) {
  golden::Hash hash;
  for (std::size_t i = 0; i < found.size(); ++i) {
    hash.add(found[i].size());
    for (const int id : found[i]) hash.add(static_cast<std::uint64_t>(id));
  }
  BOOST_TEST(found.size() == expected["count"].get<std::size_t>());
  BOOST_TEST(hash.hex() == expected["hash"].get<std::string>());
}

/// <s> 0, <pad> 1, </s> 2, <mask> last.
MaskingVocabulary vocabulary(int size) {
  MaskingVocabulary result{std::vector<bool>(static_cast<std::size_t>(size)), size - 1, 1};
  for (const int id : {0, 1, 2, size - 1}) result.special[static_cast<std::size_t>(id)] = true;
  return result;
}

constexpr int words = 50;  // the size of the vocabulary of most tests

/// Sequences of `shortest` to `longest` ids with <s> and </s> around and sometimes inside.
text::TokenSequences make_sequences(int count, int shortest, int longest) {
  text::TokenSequences result;
  RandomStream random({5, 0, 0});
  for (int i = 0; i < count; ++i) {
    Ids ids = {0};
    const int size = shortest + static_cast<int>(random.below(static_cast<std::uint32_t>(longest - shortest + 1)));
    while (static_cast<int>(ids.size()) + 1 < size)
      ids.push_back(random.below(9) == 0 ? 2 : 3 + static_cast<int>(random.below(words - 4)));
    ids.push_back(2);
    result.add(ids);
  }
  return result;
}

text::BatchOptions by_sentences(int count, bool shuffle = true) {
  return {.sentences = count, .shuffle = shuffle, .seed = 3};
}

/// One sequence of a batch, taken apart again.
MaskedSequence sequence(const MaskedBatch& batch, int number) {
  const auto& offsets = batch.tokens.offsets();
  const int begin = offsets.begin(number), end = begin + offsets.length(number);
  MaskedSequence result;
  result.ids.assign(batch.tokens.ids().begin() + begin, batch.tokens.ids().begin() + end);
  for (std::size_t i = 0; i < batch.masked_rows.size(); ++i) {
    if (batch.masked_rows[i] < begin || batch.masked_rows[i] >= end) continue;
    result.places.push_back(batch.masked_rows[i] - begin);
    result.originals.push_back(batch.labels[i]);
  }
  return result;
}

bool same(const MaskedSequence& a, const MaskedSequence& b) {
  return a.ids == b.ids && a.places == b.places && a.originals == b.originals;
}

/// What the batches of the current epoch hold, by the number of the sequence.
std::map<int, MaskedSequence> all_sequences(const MaskedLmData& data) {
  std::map<int, MaskedSequence> result;
  auto batch = data.empty_batch();
  for (std::size_t i = 0; i < data.batches(); ++i) {
    data.fill(i, batch);
    const auto numbers = data.sequences(i);
    BOOST_TEST_REQUIRE(batch.sequences() == static_cast<int>(numbers.size()));
    BOOST_TEST_REQUIRE(batch.masked_rows.size() == batch.labels.size());
    BOOST_TEST(!batch.labels.empty());
    for (int s = 0; s < batch.sequences(); ++s) {
      const int number = numbers[static_cast<std::size_t>(s)];
      BOOST_TEST_REQUIRE(result.emplace(number, sequence(batch, s)).second);
    }
  }
  return result;
}

bool same(const std::map<int, MaskedSequence>& a, const std::map<int, MaskedSequence>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& entry) {
           return b.contains(entry.first) && same(entry.second, b.at(entry.first));
         });
}

/// `count` of `trials` with probability p: within 5 standard deviations, which chance exceeds once in 1.7 million
/// draws.
void check_binomial(const char* what, long count, long trials, double p) {
  BOOST_TEST_CONTEXT(what << ": " << count << " of " << trials << ", expected a share of " << p) {
    BOOST_TEST_REQUIRE(trials > 1000);
    BOOST_TEST(std::abs(double(count) - double(trials) * p) <= 5.0 * std::sqrt(double(trials) * p * (1.0 - p)));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(blocks)

BOOST_AUTO_TEST_CASE(are_those_of_run_mlm) {
  const auto document = golden_json("blocks.json");
  const auto lines = document["lines"].get<Lines>();
  BOOST_TEST(std::count(lines.begin(), lines.end(), "") > 1);
  const auto vocabulary = text::masking_vocabulary(golden_bpe());
  const TokenMasker masker(vocabulary, {});
  std::set<bool> ways;
  std::size_t predicted = 0, literal = 0;
  for (const auto& form : document["cases"]) {
    BOOST_TEST_CONTEXT(form["block_size"] << " " << form["chunk_lines"] << " " << form["line_by_line"]) {
      Lines repeated;
      for (int i = 0; i < form["repeat"].get<int>(); ++i) repeated.insert(repeated.end(), lines.begin(), lines.end());
      const bool line_by_line = form["line_by_line"].get<bool>();
      const auto found = text::masked_lm_blocks(
          repeated, golden_bpe(), {form["block_size"].get<int>(), line_by_line, form["chunk_lines"].get<int>()});
      check_summary(found, form);
      ways.insert(line_by_line);
      if (!form.contains("blocks")) continue;
      for (std::size_t i = 0; i < found.size(); ++i) {
        BOOST_TEST((Ids(found[i].begin(), found[i].end()) == form["blocks"].at(i).get<Ids>()));
        for (std::size_t place = 0; place < found[i].size(); ++place) {
          const bool expected = form["special"].at(i).at(place).get<int>() == 0;
          const int id = found[i][place];
          // The one difference: </s> in the text itself is not predicted.
          const bool differs = expected && id == golden_bpe().eos_id();
          BOOST_TEST(masker.can_mask(id) == (expected && !differs));
          predicted += expected && (id == golden_bpe().unk_id() || id == golden_bpe().mask_id());
          literal += differs;
        }
      }
    }
  }
  BOOST_TEST(ways.size() == 2u);
  BOOST_TEST(predicted > 5u);  // <unk> and <mask> in the text
  BOOST_TEST(literal > 0u);
}

BOOST_AUTO_TEST_CASE(do_not_reach_over_chunks) {
  // "a" is 3 tokens, the empty line 2.
  const Lines lines = {"a", "a", "", "a", "a"};
  const auto count = [&](int block, int chunk) {
    return text::masked_lm_blocks(lines, golden_bpe(), {block, false, chunk}).size();
  };
  BOOST_TEST(count(14, 5) == 1u);
  BOOST_TEST(count(14, 1000) == 1u);
  BOOST_TEST(count(7, 1000) == 2u);
  BOOST_TEST(count(4, 2) == 2u);  // 6, 5 and 3 tokens
  BOOST_TEST(count(3, 1) == 4u);
  const auto first = text::masked_lm_blocks(lines, golden_bpe(), {4, false, 2});
  const int a = golden_bpe().encode("a").at(0);
  BOOST_TEST((Ids(first[0].begin(), first[0].end()) == Ids{0, a, 2, 0}));
  BOOST_TEST((Ids(first[1].begin(), first[1].end()) == Ids{0, 2, 0, a}));
}

BOOST_AUTO_TEST_CASE(of_too_little_text_are_refused) {
  const Lines none, empty = {"", " ", "\t"}, some = {"a", "a"};
  const auto blocks = [](const Lines& lines, text::TextOptions options) {
    return text::masked_lm_blocks(lines, golden_bpe(), options);
  };
  for (const bool line_by_line : {false, true}) BOOST_CHECK_THROW(blocks(none, {8, line_by_line}), TextError);
  BOOST_CHECK_EXCEPTION(blocks(empty, {8, true}), TextError, says({"3 lines", "empty"}));
  BOOST_CHECK_EXCEPTION(blocks(some, {8, false}), TextError, says({"block of 8", "6 in 2 lines"}));
  BOOST_CHECK_EXCEPTION(blocks(some, {4, false, 1}), TextError, says({"1 lines at a time"}));
  BOOST_TEST(blocks(some, {8, true}).size() == 2u);
  BOOST_TEST(blocks(some, {3, false}).size() == 2u);
  for (const bool line_by_line : {false, true})
    for (const int size : {2, 1, 0, -5})
      BOOST_CHECK_EXCEPTION(blocks(some, {size, line_by_line}), ConfigError, says({std::to_string(size), "no room"}));
  for (const int chunk : {0, -1})
    BOOST_CHECK_EXCEPTION(blocks(some, {4, false, chunk}), ConfigError, says({std::to_string(chunk) + " lines"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(masks)

BOOST_AUTO_TEST_CASE(have_the_shares_that_were_asked_for) {
  const auto sequences = make_sequences(600, 100, 200);
  for (const auto& options : {MaskingOptions{}, MaskingOptions{0.4, 0.3, 0.6, 9}, MaskingOptions{0.02, 0.5, 0.0, 1}}) {
    const TokenMasker masker(vocabulary(words), options);
    long candidates = 0, chosen = 0, masked = 0, changed = 0, pairs = 0, both = 0;
    std::array<long, words> random_ids{};
    MaskedSequence result;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto ids = sequences[i];
      masker.mask(ids, 2, static_cast<std::uint32_t>(i), TokenMasker::Choose::ByChance, result);
      BOOST_TEST_REQUIRE(result.ids.size() == ids.size());
      BOOST_TEST_REQUIRE(result.places.size() == result.originals.size());
      BOOST_TEST(std::is_sorted(result.places.begin(), result.places.end()));
      std::vector<bool> is_chosen(ids.size());
      for (std::size_t k = 0; k < result.places.size(); ++k) {
        const auto place = static_cast<std::size_t>(result.places[k]);
        is_chosen[place] = true;
        BOOST_TEST_REQUIRE(masker.can_mask(ids[place]));
        BOOST_TEST_REQUIRE(result.originals[k] == ids[place]);
        masked += result.ids[place] == words - 1;
        changed += result.ids[place] != ids[place];
        ++random_ids.at(static_cast<std::size_t>(result.ids[place]));
      }
      for (std::size_t place = 0; place < ids.size(); ++place) {
        if (!is_chosen[place]) BOOST_TEST_REQUIRE(result.ids[place] == ids[place]);
        candidates += masker.can_mask(ids[place]);
        if (place == 0 || !masker.can_mask(ids[place]) || !masker.can_mask(ids[place - 1])) continue;
        ++pairs;
        both += is_chosen[place] && is_chosen[place - 1];
      }
      chosen += static_cast<long>(result.places.size());
    }
    const double p = options.probability, random = options.random_share;
    check_binomial("chosen", chosen, candidates, p);
    check_binomial("<mask>", masked, chosen, options.mask_share + random / words);  // a random id may be <mask>
    check_binomial("changed", changed, chosen, options.mask_share + random * (words - 1) / words);
    // Neighbours are chosen independently. Products of neighbours are correlated, which doubles the variance at most.
    BOOST_TEST(std::abs(double(both) - double(pairs) * p * p) <= 5.0 * std::sqrt(2.0 * double(pairs)) * p);
    // Ids that no text has come from chance alone, each as often as any other: <s>, <pad> and </s>.
    for (const int id : {0, 1, 2})
      check_binomial("a special id", random_ids[static_cast<std::size_t>(id)], chosen, random / words);
  }
}

// A million draws over all ids: none is missing, none is likelier.
BOOST_AUTO_TEST_CASE(draw_random_ids_from_the_whole_vocabulary) {
  constexpr int size = 1000;
  const TokenMasker masker(vocabulary(size), {.probability = 1.0, .mask_share = 0.0, .random_share = 1.0});
  std::vector<long> counts(size);
  const Ids ids(1000, 7);
  MaskedSequence result;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    masker.mask(ids, 0, i, TokenMasker::Choose::ByChance, result);
    BOOST_TEST_REQUIRE(result.places.size() == ids.size());
    for (const int id : result.ids) ++counts.at(static_cast<std::size_t>(id));
  }
  for (const long count : counts) check_binomial("an id", count, 1'000'000, 1.0 / size);
  // χ² with 999 degrees of freedom: mean 999, variance 2 · 999.
  double chi = 0.0;
  for (const long count : counts) chi += (double(count) - 1000.0) * (double(count) - 1000.0) / 1000.0;
  BOOST_TEST(std::abs(chi - 999.0) <= 5.0 * std::sqrt(2.0 * 999.0));
}

BOOST_AUTO_TEST_CASE(at_the_extremes) {
  const Ids ids = {0, 4, 5, 2, 49, 1, 6};
  MaskedSequence result;
  const auto mask = [&](MaskingOptions options, TokenMasker::Choose how_many = TokenMasker::Choose::ByChance) {
    TokenMasker(vocabulary(words), options).mask(ids, 0, 0, how_many, result);
  };
  mask({.probability = 0.0});
  BOOST_TEST((result.ids == ids && result.places.empty() && result.originals.empty()));
  mask({.probability = 0.0, .mask_share = 1.0, .random_share = 0.0}, TokenMasker::Choose::AtLeastOne);
  BOOST_TEST((result.ids == Ids{0, 49, 5, 2, 49, 1, 6}));
  BOOST_TEST((result.places == Ids{1} && result.originals == Ids{4}));
  mask({.probability = 1.0, .mask_share = 1.0, .random_share = 0.0}, TokenMasker::Choose::AtLeastOne);
  BOOST_TEST((result.ids == Ids{0, 49, 49, 2, 49, 1, 49}));
  BOOST_TEST((result.places == Ids{1, 2, 6} && result.originals == Ids{4, 5, 6}));
  mask({.probability = 1.0, .mask_share = 0.0, .random_share = 0.0});
  BOOST_TEST((result.ids == ids && result.places == Ids{1, 2, 6} && result.originals == Ids{4, 5, 6}));

  const TokenMasker masker(vocabulary(words), {});
  masker.mask(Ids{0, 2, 1}, 0, 0, TokenMasker::Choose::AtLeastOne, result);
  BOOST_TEST((result.ids == Ids{0, 2, 1} && result.places.empty()));
  masker.mask(Ids{}, 0, 0, TokenMasker::Choose::AtLeastOne, result);
  BOOST_TEST((result.ids.empty() && result.places.empty() && result.originals.empty()));

  // One token, which may be chosen and is the mask as well.
  const TokenMasker one({{false}, 0, 0}, {.probability = 1.0, .mask_share = 0.0, .random_share = 1.0});
  one.mask(Ids{0, 0}, 0, 0, TokenMasker::Choose::ByChance, result);
  BOOST_TEST((result.ids == Ids{0, 0} && result.places == Ids{0, 1}));
}

BOOST_AUTO_TEST_CASE(that_make_no_sense_are_refused) {
  const double nan = std::nan("");
  for (const auto& options :
       {MaskingOptions{-0.1}, MaskingOptions{1.1}, MaskingOptions{nan}, MaskingOptions{0.15, -0.1, 0.1},
        MaskingOptions{0.15, 1.1, 0.0}, MaskingOptions{0.15, 0.8, nan}, MaskingOptions{0.15, 0.8, 0.3}})
    BOOST_CHECK_THROW(TokenMasker(vocabulary(words), options), ConfigError);
  BOOST_CHECK_NO_THROW(TokenMasker(vocabulary(words), MaskingOptions{0.15, 0.9, 0.1}));
  for (const int id : {-1, words})
    BOOST_CHECK_EXCEPTION(TokenMasker({std::vector<bool>(words), id, 0}, {}), ConfigError,
                          says({"<mask>", std::to_string(id)}));
  BOOST_CHECK_THROW(TokenMasker({}, {}), ConfigError);
  const TokenMasker masker(vocabulary(words), {});
  MaskedSequence result;
  for (const int id : {-1, words})
    BOOST_CHECK_EXCEPTION(masker.mask(Ids{0, id, 2}, 0, 0, TokenMasker::Choose::ByChance, result), ConfigError,
                          says({std::to_string(id)}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(hold_each_sequence_once_as_the_masker_gives_it) {
  const auto sequences = make_sequences(53, 5, 40);
  const TokenMasker masker(vocabulary(words), {});
  for (const auto& options : {by_sentences(8), by_sentences(1), by_sentences(1000), text::BatchOptions{.tokens = 90}}) {
    MaskedLmData data(sequences, vocabulary(words), options, {});
    for (const int epoch : {0, 1, 7}) {
      data.begin_epoch(epoch);
      const auto found = all_sequences(data);
      BOOST_TEST_REQUIRE(found.size() == sequences.size());
      int unmasked = 0;
      for (const auto& [number, masked] : found) {
        MaskedSequence expected;
        const auto i = static_cast<std::size_t>(number);
        masker.mask(sequences[i], epoch, static_cast<std::uint32_t>(number), TokenMasker::Choose::ByChance, expected);
        // Alone in a batch, a sequence that chance left alone has one mask.
        if (expected.places.empty() && !masked.places.empty())
          masker.mask(sequences[i], epoch, static_cast<std::uint32_t>(number), TokenMasker::Choose::AtLeastOne,
                      expected);
        BOOST_TEST(same(masked, expected));
        unmasked += masked.places.empty();
      }
      BOOST_TEST((options.sentences == 1 ? unmasked == 0 : unmasked > 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(keep_to_their_budget) {
  const auto sequences = make_sequences(300, 5, 40);
  MaskedLmData data(sequences, vocabulary(words), {.tokens = 90, .seed = 2}, {});
  auto batch = data.empty_batch();
  long total = 0;
  for (std::size_t i = 0; i < data.batches(); ++i) {
    data.fill(i, batch);
    BOOST_TEST(batch.tokens.total() <= 90);
    total += batch.tokens.total();
  }
  BOOST_TEST(total == static_cast<long>(sequences.tokens()));
  // Sorted by length, batches waste less than the longest sequence on average.
  BOOST_TEST(double(data.batches()) <= double(total) / (90.0 - 40.0));
}

// The masks of a sequence are those of its number and the epoch, whatever it is batched with.
BOOST_AUTO_TEST_CASE(do_not_change_masks_by_order_or_size) {
  const auto sequences = make_sequences(64, 40, 60);
  const auto at = [&](text::BatchOptions options, int epoch, MaskingOptions masking = {}) {
    MaskedLmData data(sequences, vocabulary(words), options, masking);
    data.begin_epoch(epoch);
    return all_sequences(data);
  };
  const auto first = at(by_sentences(8), 0), second = at(by_sentences(8), 1);
  BOOST_TEST(!same(first, second));
  for (const auto& options : {by_sentences(8, false), by_sentences(3), by_sentences(64),
                              text::BatchOptions{.tokens = 200}, text::BatchOptions{.sentences = 8, .seed = 77}}) {
    BOOST_TEST(same(at(options, 0), first));
    BOOST_TEST(same(at(options, 1), second));
  }
  BOOST_TEST(!same(at(by_sentences(8), 0, {.seed = 43}), first));
  BOOST_TEST(!same(at(by_sentences(8), 0, {.seed = 42 + (std::uint64_t{1} << 32)}), first));

  // Most tokens are masked in one of two epochs only: p² of them in both.
  long candidates = 0, both = 0;
  for (const auto& [number, masked] : first) {
    for (const int id : sequences[static_cast<std::size_t>(number)])
      candidates += vocabulary(words).special.at(id) == 0;
    for (const int place : masked.places) {
      const auto& other = second.at(number).places;
      both += std::find(other.begin(), other.end(), place) != other.end();
    }
  }
  check_binomial("masked twice", both, candidates, 0.15 * 0.15);
}

BOOST_AUTO_TEST_CASE(of_one_epoch_are_the_same_every_time) {
  const auto sequences = make_sequences(40, 20, 60);
  for (const bool shuffle : {true, false}) {
    MaskedLmData data(sequences, vocabulary(words), by_sentences(7, shuffle), {}),
        other(sequences, vocabulary(words), by_sentences(7, shuffle), {});
    const auto first = all_sequences(data);
    data.begin_epoch(3);
    const auto fourth = all_sequences(data);
    BOOST_TEST(!same(first, fourth));
    BOOST_TEST(same(all_sequences(data), fourth));
    other.begin_epoch(3);  // straight there, as a resumed run
    BOOST_TEST(same(all_sequences(other), fourth));
    data.begin_epoch(0);
    BOOST_TEST(same(all_sequences(data), first));
    if (!shuffle) BOOST_TEST((Ids(data.sequences(1).begin(), data.sequences(1).end()) == Ids{7, 8, 9, 10, 11, 12, 13}));
  }
}

BOOST_AUTO_TEST_CASE(with_fixed_masks_are_the_same_in_every_epoch) {
  const auto sequences = make_sequences(40, 20, 60);
  MaskedLmData data(sequences, vocabulary(words), by_sentences(8, false), {.fixed = true}),
      changing(sequences, vocabulary(words), by_sentences(8, false), {});
  const auto first = all_sequences(data);
  BOOST_TEST(same(first, all_sequences(changing)));
  for (const int epoch : {1, 2, 100}) {
    data.begin_epoch(epoch);
    BOOST_TEST(same(all_sequences(data), first));
    changing.begin_epoch(epoch);
    BOOST_TEST(!same(all_sequences(changing), first));
  }
}

// The parts of a step that accumulates gradients are the undivided batch.
BOOST_AUTO_TEST_CASE(in_parts_are_the_undivided_batch) {
  const auto sequences = make_sequences(48, 20, 60);
  MaskedLmData whole(sequences, vocabulary(words), by_sentences(12), {}),
      parts(sequences, vocabulary(words), by_sentences(4), {});
  for (const int epoch : {0, 2}) {
    whole.begin_epoch(epoch);
    parts.begin_epoch(epoch);
    BOOST_TEST_REQUIRE(parts.batches() == 3 * whole.batches());
    auto batch = whole.empty_batch();
    std::vector<MaskedBatch> pieces(3, parts.empty_batch());
    for (std::size_t i = 0; i < whole.batches(); ++i) {
      whole.fill(i, batch);
      Ids ids, positions, labels, rows;
      for (std::size_t k = 0; k < 3; ++k) {
        parts.fill(3 * i + k, pieces[k]);
        if (k > 0) pieces[k].follow(pieces[k - 1]);
        const auto& piece = pieces[k];
        const auto place = piece.tokens.place();
        BOOST_TEST((place == Place{static_cast<int>(ids.size()), static_cast<int>(4 * k)}));
        for (const int row : piece.masked_rows) rows.push_back(place.first_row + row);
        ids.insert(ids.end(), piece.tokens.ids().begin(), piece.tokens.ids().end());
        positions.insert(positions.end(), piece.position_rows.begin(), piece.position_rows.end());
        labels.insert(labels.end(), piece.labels.begin(), piece.labels.end());
      }
      BOOST_TEST((ids == Ids(batch.tokens.ids().begin(), batch.tokens.ids().end())));
      BOOST_TEST((positions == batch.position_rows && labels == batch.labels && rows == batch.masked_rows));
    }
  }
}

BOOST_AUTO_TEST_CASE(always_have_a_label) {
  // Two tokens, chosen once in a thousand draws: nearly every batch needs help.
  text::TokenSequences sequences;
  for (int i = 0; i < 30; ++i) sequences.add(Ids{0, 2, 4 + i, 40, 2});
  for (const int size : {1, 3}) {
    MaskedLmData data(sequences, vocabulary(words), by_sentences(size, false), {.probability = 0.001});
    auto batch = data.empty_batch();
    for (std::size_t i = 0; i < data.batches(); ++i) {
      data.fill(i, batch);
      BOOST_TEST_REQUIRE(batch.labels.size() == 1u);
      BOOST_TEST(batch.masked_rows[0] == 2);
      BOOST_TEST(batch.labels[0] == 4 + size * static_cast<int>(i));
    }
  }
}

BOOST_AUTO_TEST_CASE(leave_out_what_cannot_be_masked) {
  text::TokenSequences sequences, none;
  for (const auto& ids : {Ids{0, 2, 0, 2}, Ids{0, 5, 2}, Ids{0, 1, 2}, Ids{}, Ids{7, 8}}) sequences.add(ids);
  const MaskedLmData data(sequences, vocabulary(words), by_sentences(1, false), {});
  BOOST_TEST(data.batches() == 2u);
  BOOST_TEST(data.blocks().tokens() == 5u);
  none.add(Ids{0, 2});
  none.add(Ids{0, 2, 1});
  BOOST_CHECK_EXCEPTION(MaskedLmData(none, vocabulary(words), by_sentences(1), {}), TextError,
                        says({"none of the 2 sequences"}));
  BOOST_TEST(MaskedLmData(text::TokenSequences{}, vocabulary(words), by_sentences(1), {}).batches() == 0u);
  for (const int id : {-1, words}) {
    text::TokenSequences wrong;
    wrong.add(Ids{0, 5, id, 2});
    BOOST_CHECK_EXCEPTION(MaskedLmData(wrong, vocabulary(words), by_sentences(1), {}), ConfigError,
                          says({"token id " + std::to_string(id), std::to_string(words)}));
  }
  BOOST_CHECK_THROW(MaskedLmData(sequences, vocabulary(words), {}, {}), ConfigError);
  BOOST_CHECK_THROW(MaskedLmData(sequences, vocabulary(words), by_sentences(1), {.probability = 2.0}), ConfigError);
}

BOOST_AUTO_TEST_CASE(of_a_tokenizer_have_its_ids) {
  const Lines lines = {"the waves", "the <unk> keeper", "<mask>", "", "counted"};
  const MaskedLmData data(text::masked_lm_blocks(lines, golden_bpe(), {16, true}), golden_bpe(), by_sentences(8, false),
                          {.probability = 1.0, .mask_share = 1.0, .random_share = 0.0});
  BOOST_TEST(data.blocks().size() == 4u);  // the empty line is none
  auto batch = data.empty_batch();
  data.fill(0, batch);
  const auto ids = batch.tokens.ids();
  BOOST_TEST(std::count(batch.labels.begin(), batch.labels.end(), golden_bpe().unk_id()) == 1);
  BOOST_TEST(std::count(batch.labels.begin(), batch.labels.end(), golden_bpe().mask_id()) == 1);
  for (const int id : ids) BOOST_TEST(golden_bpe().is_special(id));
  BOOST_TEST(batch.position_rows.at(0) == golden_bpe().pad_id() + 1);
  Ids restored(ids.begin(), ids.end());
  for (std::size_t i = 0; i < batch.labels.size(); ++i)
    restored[static_cast<std::size_t>(batch.masked_rows[i])] = batch.labels[i];
  BOOST_TEST(golden_bpe().decode(restored) == "<s>the waves</s><s>the <unk> keeper</s><s><mask></s><s>counted</s>");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(wikitext2_data)

// Hugging Face's tokenizer and run_mlm's cutting give the same blocks.
BOOST_AUTO_TEST_CASE(blocks_and_masks) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/wikitext-2";
  if (data == nullptr || !std::filesystem::is_directory(folder)) {
    std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with wikitext-2 in it");
    return;
  }
  const auto expected = golden_json("wikitext2.json");
  const auto bpe = text::ByteBpe::train(text::read_lines(text::find_text_file(folder, "train.txt")));
  const auto valid = text::read_lines(text::find_text_file(folder, "valid.txt"));
  check_summary(text::masked_lm_blocks(valid, bpe, {128, false}), expected["joined_128"]);
  check_summary(text::masked_lm_blocks(valid, bpe, {512, false}), expected["joined_512"]);
  check_summary(text::masked_lm_blocks(valid, bpe, {128, true}), expected["line_by_line_128"]);

  MaskedLmData batches(text::masked_lm_blocks(valid, bpe, {}), bpe, by_sentences(8), {});
  BOOST_TEST(batches.blocks().size() == expected["joined_512"]["count"].get<std::size_t>());
  auto batch = batches.empty_batch();
  long candidates = 0, chosen = 0, masks = 0;
  for (std::size_t i = 0; i < batches.batches(); ++i) {
    batches.fill(i, batch);
    chosen += static_cast<long>(batch.labels.size());
    for (const int row : batch.masked_rows) masks += batch.tokens.ids()[static_cast<std::size_t>(row)] == bpe.mask_id();
  }
  for (std::size_t i = 0; i < batches.blocks().size(); ++i)
    for (const int id : batches.blocks()[i])
      candidates += id != bpe.bos_id() && id != bpe.eos_id() && id != bpe.pad_id();
  check_binomial("chosen", chosen, candidates, 0.15);
  check_binomial("<mask>", masks, chosen, 0.8 + 0.1 / bpe.vocab_size());
}

BOOST_AUTO_TEST_SUITE_END()
