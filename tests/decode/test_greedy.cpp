// Greedy decoding against the same choice without a cache: the whole decoder runs again on each growing prefix.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_greedy
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/greedy.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<double>;
using Ids = std::vector<int>;
using Sentences = std::vector<Ids>;

constexpr int vocabulary = 31;
constexpr int pad = vocabulary - 1;

MarianConfig config() {
  auto result = tiny::config(2, 16);
  result.vocab_size = vocabulary;
  result.pad_token_id = pad;
  result.encoder_ffn_dim = result.decoder_ffn_dim = 24;
  result.max_position_embeddings = 24;
  return result;
}

template <class P>
struct Subject {
  explicit Subject(std::uint64_t seed) : model(backend, config(), seed, Purpose::Inference) {
    // The end of a sentence is made likelier, so that some sentences reach it and others do not.
    const auto& bias = *model.parameters().find("final_logits_bias");
    backend.fill(model.parameters().value(bias).columns(0, 1), 1.6);
  }

  Sentences decode(const Sentences& sources, int max_length) {
    TranslationBatch batch(pad);
    for (const auto& source : sources) batch.push(source, {});
    GreedyDecoder<Marian<B, P>> decoder(backend, model);
    return decoder(batch, {max_length});
  }

  /// One sentence without a cache.
  Ids reference(const Ids& source, int max_length) {
    StepMemory<B> memory(backend);
    typename Marian<B, P>::Saved saved;
    Ids result;
    while (static_cast<int>(result.size()) + 2 < max_length) {
      TranslationBatch batch(pad);
      auto target = result;
      target.push_back(0);  // what the newest position should predict; not read
      batch.push(source, target);
      auto step = memory.begin(false);
      const auto hidden = model.decode(step, batch, model.encode(step, batch, saved), saved);
      const auto logits = step.scratch.rows(1, vocabulary);
      model.logits(step, hidden.slice(hidden.rows - 1, 1), logits);
      std::vector<double> host(vocabulary);
      backend.download(logits, host);
      int best = 0;
      for (int id = 1; id < vocabulary; ++id)
        if (id != pad && host[static_cast<std::size_t>(id)] > host[static_cast<std::size_t>(best)]) best = id;
      if (best == 0) break;
      result.push_back(best);
    }
    return result;
  }

  B backend{1};
  Marian<B, P> model;
};

/// Sources of many lengths, from the end token alone to as long as the model allows.
Sentences sources() {
  RandomStream random({21, 0, 0});
  Sentences result;
  for (const int length : {5, 0, 23, 1, 9, 14, 2, 7, 3, 11}) {
    Ids ids;
    for (int i = 0; i < length; ++i) ids.push_back(1 + static_cast<int>(random.below(pad - 1)));
    ids.push_back(0);
    result.push_back(ids);
  }
  return result;
}

template <class P>
void check_against_reference() {
  int ended = 0, cut = 0;
  std::set<Ids> different;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    Subject<P> subject(seed);
    for (const int limit : {20, 1000}) {
      const auto found = subject.decode(sources(), limit);
      BOOST_TEST_REQUIRE(found.size() == sources().size());
      const int longest = std::min(limit, 24);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const auto expected = subject.reference(sources()[i], longest);
        BOOST_CHECK_EQUAL_COLLECTIONS(found[i].begin(), found[i].end(), expected.begin(), expected.end());
        const bool full = static_cast<int>(found[i].size()) == longest - 2;
        (full ? cut : ended) += 1;
        different.insert(found[i]);
      }
    }
  }
  BOOST_TEST_MESSAGE(ended << " sentences ended, " << cut << " reached the limit, " << different.size() << " differ");
  BOOST_TEST(ended >= 5);
  BOOST_TEST(cut >= 5);
  BOOST_TEST(different.size() >= 10u);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cached)

BOOST_AUTO_TEST_CASE(equals_uncached_with_linear_projectors) { check_against_reference<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(equals_uncached_with_neural_projectors) { check_against_reference<paper::marian>(); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_sentence)

BOOST_AUTO_TEST_CASE(does_not_depend_on_its_company) {
  Subject<LinearProjections> subject(2);
  const auto all = sources();
  const auto together = subject.decode(all, 20);
  const Sentences backwards(all.rbegin(), all.rend());
  const auto reversed = subject.decode(backwards, 20);
  for (std::size_t i = 0; i < all.size(); ++i) {
    BOOST_TEST(together[i] == subject.decode({all[i]}, 20)[0]);
    BOOST_TEST(together[i] == reversed[all.size() - 1 - i]);
    BOOST_TEST(together[i] == subject.decode({all[i], all[2], all[i]}, 20)[2]);
  }
}

BOOST_AUTO_TEST_CASE(is_cut_at_the_length_limit) {
  Subject<paper::marian> subject(3);
  const auto full = subject.decode(sources(), 1000);
  std::size_t longest = 0;
  for (const auto& ids : full) longest = std::max(longest, ids.size());
  BOOST_TEST_REQUIRE(longest > 10u);
  for (const int limit : {-5, 0, 1, 2, 3, 4, 9, 23, 24, 25}) {
    const auto found = subject.decode(sources(), limit);
    BOOST_TEST_REQUIRE(found.size() == full.size());
    // The start token and the end token count.
    const auto room = static_cast<std::size_t>(std::clamp(limit - 2, 0, 22));
    for (std::size_t i = 0; i < full.size(); ++i)
      BOOST_TEST((found[i] == Ids(full[i].begin(), full[i].begin() + std::ptrdiff_t(std::min(room, full[i].size())))));
  }
}

BOOST_AUTO_TEST_CASE(never_holds_special_tokens) {
  Subject<LinearProjections> subject(4);
  // Padding is the likeliest token by far and still never chosen.
  const auto& bias = *subject.model.parameters().find("final_logits_bias");
  subject.backend.fill(subject.model.parameters().value(bias).columns(pad, 1), 1000.0);
  long tokens = 0;
  for (const auto& ids : subject.decode(sources(), 24))
    for (const int id : ids) {
      BOOST_TEST((id > 0 && id < pad));
      ++tokens;
    }
  BOOST_TEST(tokens > 20);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(may_be_empty) {
  Subject<LinearProjections> subject(1);
  BOOST_TEST(subject.decode({}, 20).empty());
}

BOOST_AUTO_TEST_CASE(may_follow_one_another) {
  Subject<LinearProjections> subject(1);
  GreedyDecoder<Marian<B, LinearProjections>> decoder(subject.backend, subject.model);
  for (const std::size_t count : {10u, 1u, 3u, 10u}) {
    TranslationBatch batch(pad);
    const auto all = sources();
    const Sentences some(all.begin(), all.begin() + std::ptrdiff_t(count));
    for (const auto& source : some) batch.push(source, {});
    BOOST_TEST((decoder(batch, {20}) == subject.decode(some, 20)));
  }
}

BOOST_AUTO_TEST_CASE(that_do_not_fit_the_model_are_refused) {
  Subject<LinearProjections> subject(1);
  BOOST_CHECK_THROW(subject.decode({{1, vocabulary, 0}}, 20), ShapeError);
  BOOST_CHECK_THROW(subject.decode({{1, -1, 0}}, 20), ShapeError);
  BOOST_CHECK_THROW(subject.decode({Ids(25, 1)}, 20), ShapeError);
  BOOST_CHECK_NO_THROW(subject.decode({Ids(24, 1)}, 20));
}

BOOST_AUTO_TEST_SUITE_END()
