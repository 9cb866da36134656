// The parts of a step that ranks compute: together they are the whole step, in order and at the same places.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE step_share
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/train/step_share.hpp"

using namespace neural_attention;

namespace {

using Batches = std::tuple<CausalBatch, TranslationBatch, MaskedBatch>;

std::vector<int> ids(RandomStream& random, std::uint32_t least) {
  std::vector<int> result(least + random.below(20));
  for (auto& id : result) id = 2 + static_cast<int>(random.below(50));
  return result;
}

void push_random(RandomStream& random, CausalBatch& batch) { batch.push(ids(random, 2)); }
/// As a batch of one's own, whose decoder reads something else than the labels, shifted.
void push_random(RandomStream& random, TranslationBatch& batch) {
  const auto labels = ids(random, 1);
  auto input = labels;
  for (auto& id : input) id = static_cast<int>(random.below(50));
  batch.source.push(ids(random, 1));
  batch.decoder_input.push(input);
  batch.labels.insert(batch.labels.end(), labels.begin(), labels.end());
}
/// Some have no masked token. Types and positions are not the usual ones.
void push_random(RandomStream& random, MaskedBatch& batch) {
  const auto tokens = ids(random, 1);
  std::vector<int> places, originals;
  for (int place = 0; place < static_cast<int>(tokens.size()); ++place)
    if (random.below(10) == 0) {
      places.push_back(place);
      originals.push_back(static_cast<int>(random.below(50)));
    }
  batch.push(tokens, places, originals);
  for (std::size_t i = batch.token_types.size() - tokens.size(); i < batch.token_types.size(); ++i) {
    batch.token_types[i] = static_cast<int>(random.below(2));
    batch.position_rows[i] = static_cast<int>(random.below(50));
  }
}

CausalBatch empty(CausalBatch*) { return {}; }
TranslationBatch empty(TranslationBatch*) { return TranslationBatch(1); }
MaskedBatch empty(MaskedBatch*) { return MaskedBatch(1); }

/// All that a model reads of one sequence, and its places in the step.
struct Sequence {
  std::vector<int> tokens, target, labels, rows, types;
  Place place, target_place;
  bool operator==(const Sequence&) const = default;
};

Place place_in(const PackedTokens& tokens, int s) {
  return {tokens.place().first_row + tokens.offsets().begin(s), tokens.place().first_sequence + s};
}

Sequence sequence(const PackedTokens& tokens, int s) {
  const auto found = tokens.sequence(s);
  return {{found.begin(), found.end()}, {}, {}, {}, {}, place_in(tokens, s), {}};
}
std::vector<int> between(const std::vector<int>& all, int first, int count) {
  return {all.begin() + first, all.begin() + first + count};
}

Sequence content(const CausalBatch& batch, int s) {
  auto result = sequence(batch, s);
  result.labels = between(batch.labels, batch.offsets().begin(s), batch.offsets().length(s));
  return result;
}
Sequence content(const TranslationBatch& batch, int s) {
  auto result = sequence(batch.source, s);
  const auto target = sequence(batch.decoder_input, s);
  result.target = target.tokens;
  result.target_place = target.place;
  const auto& offsets = batch.decoder_input.offsets();
  result.labels = between(batch.labels, offsets.begin(s), offsets.length(s));
  return result;
}
Sequence content(const MaskedBatch& batch, int s) {
  auto result = sequence(batch.tokens, s);
  const int begin = batch.offsets().begin(s), length = batch.offsets().length(s);
  result.target = between(batch.position_rows, begin, length);
  result.types = between(batch.token_types, begin, length);
  for (std::size_t i = 0; i < batch.masked_rows.size(); ++i)
    if (batch.masked_rows[i] >= begin && batch.masked_rows[i] < begin + length) {
      result.rows.push_back(batch.masked_rows[i] - begin);
      result.labels.push_back(batch.labels[i]);
    }
  return result;
}

template <class Batch>
void add(const Batch& batch, std::vector<Sequence>& all) {
  for (int s = 0; s < sequences_of(batch); ++s) all.push_back(content(batch, s));
}

long tokens_in(const auto& batch) {
  long sum = 0;
  for (int s = 0; s < sequences_of(batch); ++s) sum += tokens_of(batch, s);
  return sum;
}

template <class Batch>
void check(int parts, int sequences, int ranks) {
  RandomStream random({5, static_cast<std::uint32_t>(parts), static_cast<std::uint32_t>(sequences)});
  std::vector<Batch> whole(static_cast<std::size_t>(parts), empty(static_cast<Batch*>(nullptr)));
  std::vector<Sequence> expected, found;
  long total = 0, longest = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int s = 0; s < sequences; ++s) {
      push_random(random, whole[i]);
      longest = std::max(longest, tokens_of(whole[i], s));
    }
    if (i > 0) whole[i].follow(whole[i - 1]);
    add(whole[i], expected);
    total += tokens_in(whole[i]);
  }
  const int each = (parts + ranks - 1) / ranks;
  StepShare<Batch> share(empty(static_cast<Batch*>(nullptr)));
  for (int repeat = 0; repeat < 2; ++repeat) {  // its batches are used again
    found.clear();
    for (int rank = 0; rank < ranks; ++rank) {
      const auto mine = share.of(whole, rank, ranks);
      BOOST_TEST(std::ssize(mine) <= each);
      for (const auto& part : mine) {
        BOOST_TEST(!part.labels.empty());
        BOOST_TEST(tokens_in(part) <= total / (ranks * each) + 1 + longest);
        add(part, found);
      }
    }
    // What no loss depends on may be left out: sequences of parts without labels.
    std::size_t at = 0;
    for (const auto& one : expected)
      if (at < found.size() && found[at] == one)
        ++at;
      else
        BOOST_TEST(one.labels.empty());
    BOOST_TEST(at == found.size());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shares)

BOOST_AUTO_TEST_CASE_TEMPLATE(are_the_whole_step, Batch, Batches) {
  for (const int parts : {1, 2, 3, 5})
    for (const int sequences : {1, 2, 9, 40})
      for (const int ranks : {1, 2, 3, 4, 7}) check<Batch>(parts, sequences, ranks);
}

BOOST_AUTO_TEST_CASE(of_one_rank_are_its_batches_in_as_many_parts) {
  StepShare<CausalBatch> share({});
  std::vector<CausalBatch> whole(3);
  for (auto& part : whole) part.push(std::vector{1, 2, 3, 4});
  BOOST_TEST(share.of(whole, 0, 1).size() == 3u);
  BOOST_TEST(share.of({}, 0, 2).empty());
}

// Before anything of them is read.
BOOST_AUTO_TEST_CASE(of_batches_whose_lists_do_not_belong_together_are_refused) {
  const auto refused = [](const auto& good, auto&& spoil) {
    using Batch = std::decay_t<decltype(good)>;
    std::vector<Batch> whole(2, good);
    spoil(whole[1]);
    StepShare<Batch> share(empty(static_cast<Batch*>(nullptr)));
    for (const int rank : {0, 1}) BOOST_CHECK_THROW(share.of(whole, rank, 2), ShapeError);
  };
  const std::vector ids = {2, 3, 4, 5};
  CausalBatch causal;
  causal.push(ids);
  refused(causal, [](CausalBatch& batch) { batch.labels.pop_back(); });
  refused(causal, [](CausalBatch& batch) { batch.labels.push_back(2); });

  TranslationBatch translation(1);
  translation.push(ids, ids);
  refused(translation, [](TranslationBatch& batch) { batch.labels.pop_back(); });
  refused(translation, [&](TranslationBatch& batch) { batch.source.push(ids); });

  MaskedBatch masked(1);
  masked.push(ids, std::vector{1, 3}, std::vector{7, 8});
  refused(masked, [](MaskedBatch& batch) { batch.labels.pop_back(); });
  refused(masked, [](MaskedBatch& batch) { batch.masked_rows.back() = 4; });
  refused(masked, [](MaskedBatch& batch) { std::swap(batch.masked_rows[0], batch.masked_rows[1]); });
  refused(masked, [](MaskedBatch& batch) { batch.token_types.pop_back(); });
  refused(masked, [](MaskedBatch& batch) { batch.position_rows.pop_back(); });
}

BOOST_AUTO_TEST_SUITE_END()
