// Beam search against a plain reference that knows no batches, no cache and no backend operations for choosing: it runs
// the whole decoder on every history, sorts all successors of all beams and follows Hugging Face's rules to the letter.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_beam_search
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "decode/decoding_subject.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace neural_attention;
using namespace decoding;

namespace {

using B = Cpu<double>;
constexpr double ruled_out = -std::numeric_limits<double>::infinity();

void log_softmax(std::vector<double>& x) {
  const double top = *std::max_element(x.begin(), x.end());
  if (top == ruled_out) return;
  double sum = 0.0;
  for (const double v : x) sum += std::exp(v - top);
  for (double& v : x) v = v - top - std::log(sum);
}

/// Tokens of a result, the start token included.
int longest(const GenerationConfig& how) {
  return std::min(how.max_new_tokens > 0 ? how.max_new_tokens + 1 : how.max_length, positions + 1);
}

/// Hugging Face's processors in its order, on the scores of what follows one history.
void process(const GenerationConfig& how, const Ids& history, int max_length, std::vector<double>& scores) {
  const auto length = static_cast<int>(history.size());
  for (const int id : std::set<int>(history.begin(), history.end())) {
    auto& score = scores[std::size_t(id)];
    score = score < 0 ? score * how.repetition_penalty : score / how.repetition_penalty;
  }
  if (const int n = how.no_repeat_ngram_size; n > 0) {
    std::map<Ids, std::set<int>> seen;
    for (int i = 0; i + n <= length; ++i)
      seen[Ids(history.begin() + i, history.begin() + i + n - 1)].insert(history[std::size_t(i + n - 1)]);
    if (length + 1 >= n)
      for (const int id : seen[Ids(history.end() - (n - 1), history.end())]) scores[std::size_t(id)] = ruled_out;
  }
  for (const auto& word : how.bad_words_ids) {
    const Ids prefix(word.begin(), word.end() - 1);
    if ((word.size() == 1 && how.ends(word[0])) || static_cast<int>(prefix.size()) > length) continue;
    if (Ids(history.end() - std::ptrdiff_t(prefix.size()), history.end()) == prefix)
      scores[std::size_t(word.back())] = ruled_out;
  }
  if (length < (how.min_new_tokens > 0 ? 1 + how.min_new_tokens : how.min_length))
    for (std::size_t id = 0; id < scores.size(); ++id)
      if (how.ends(static_cast<int>(id))) scores[id] = ruled_out;
  const auto force = [&](int id) {
    std::fill(scores.begin(), scores.end(), ruled_out);
    scores[std::size_t(id)] = 0.0;
  };
  if (how.forced_bos_token_id >= 0 && length == 1) force(how.forced_bos_token_id);
  if (how.forced_eos_token_id >= 0 && length == max_length - 1) force(how.forced_eos_token_id);
  for (const int id : how.suppress_tokens) scores[std::size_t(id)] = ruled_out;
  if (length == (how.forced_bos_token_id >= 0 ? 2 : 1))
    for (const int id : how.begin_suppress_tokens) scores[std::size_t(id)] = ruled_out;
  if (how.renormalize_logits) log_softmax(scores);
}

struct Scored {
  double score;
  Ids ids;
};
struct Live {
  double sum;
  Ids history;
};

template <class S>
std::vector<Scored> reference(S& subject, const Ids& source, GenerationConfig how) {
  how.eos_token_id = eos;
  const auto beams = static_cast<std::size_t>(how.num_beams);
  const int max_length = longest(how);
  std::vector<Live> live(beams, {-1e9, {subject.pad()}});
  std::vector<Scored> kept;
  live[0].sum = 0.0;
  const auto keep = [&](const Ids& history, int tokens, double sum) {
    kept.push_back({sum / std::pow(double(tokens), how.length_penalty), Ids(history.begin() + 1, history.end())});
    std::stable_sort(kept.begin(), kept.end(), [](const Scored& a, const Scored& b) { return a.score > b.score; });
    if (kept.size() > beams) kept.pop_back();
  };

  bool done = false;
  for (int length = 1; length < max_length && !done; ++length) {
    const bool last = length + 1 == max_length;
    std::vector<std::pair<double, std::pair<std::size_t, int>>> all;
    for (std::size_t b = 0; b < live.size(); ++b) {
      auto scores = subject.logits_after(source, live[b].history);
      log_softmax(scores);
      process(how, live[b].history, max_length, scores);
      for (int id = 0; id < subject.vocabulary(); ++id)
        if (scores[std::size_t(id)] > ruled_out) all.push_back({scores[std::size_t(id)] + live[b].sum, {b, id}});
    }
    if (all.empty()) {  // the rules leave nothing: Hugging Face goes on with what it ruled out, here all end
      for (const auto& beam : live) keep(beam.history, std::max(1, length - 1), beam.sum);
      break;
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    all.resize(std::min(all.size(), (2 + how.further_eos_token_ids.size()) * beams));
    std::vector<Live> next;
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const auto& [beam, id] = all[rank].second;
      auto history = live[beam].history;
      const bool ends = how.ends(id);
      if (!ends) history.push_back(id);
      if (rank < beams && (ends || last)) keep(history, length, all[rank].first);
      if (!ends && next.size() < beams) next.push_back({all[rank].first, history});
    }
    live = next;
    done = live.empty();
    if (kept.size() >= beams && !done) {
      const bool never = how.early_stopping == EarlyStopping::Never && how.length_penalty > 0.0;
      const int reach = never ? max_length - 1 : length;
      done = how.early_stopping == EarlyStopping::Always ||
             kept.back().score >= live[0].sum / std::pow(double(reach), how.length_penalty);
    }
  }
  kept.resize(std::min(kept.size(), std::size_t(how.num_return_sequences)));
  return kept;
}

/// A config drawn at random.
GenerationConfig some_config(RandomStream& random, int vocabulary) {
  const auto below = [&](int bound) { return static_cast<int>(random.below(static_cast<std::uint32_t>(bound))); };
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[below(sizeof...(values))];
  };
  GenerationConfig how;
  how.num_beams = 1 + below(6);
  if (how.num_beams == 1) how.num_beams = 4;
  how.num_return_sequences = 1 + below(how.num_beams);
  how.max_length = pick(2, 3, 5, 9, 14, 20, 1000);
  how.min_length = pick(0, 0, 0, 4, 8, 30);
  how.length_penalty = pick(1.0, 1.0, 0.6, 0.0, 2.0, -0.5);
  how.early_stopping =
      pick(EarlyStopping::Heuristic, EarlyStopping::Heuristic, EarlyStopping::Always, EarlyStopping::Never);
  how.no_repeat_ngram_size = pick(0, 0, 1, 2, 3);
  how.renormalize_logits = below(2) == 0;
  how.forced_eos_token_id = pick(-1, eos, eos, 3);
  if (below(3) > 0) how.bad_words_ids.push_back({vocabulary - 1});
  for (int words = below(4); words > 0; --words) {
    auto& word = how.bad_words_ids.emplace_back();
    for (int length = pick(1, 2, 2, 3); length > 0; --length) word.push_back(below(vocabulary));
  }
  if (below(3) == 0) how.further_eos_token_ids = {4};
  if (below(3) == 0) how.forced_bos_token_id = 5;
  if (below(3) == 0) how.suppress_tokens = {6, 7};
  if (below(3) == 0) how.begin_suppress_tokens = {2, 6};
  how.repetition_penalty = pick(1.0, 1.0, 1.5, 0.8);
  how.max_new_tokens = pick(0, 0, 0, 4, 13);
  how.min_new_tokens = pick(0, 0, 0, 6);
  return how;
}

struct Tally {
  int results = 0, ended = 0, cut = 0, several = 0;
  double worst = 0.0;
  std::set<Ids> different;
};

template <class P>
Tally compare_with_reference(int vocabulary, double end, std::uint64_t seed, int configs) {
  Subject<B, P> subject(seed, vocabulary, end);
  const auto all = sources(vocabulary);
  RandomStream random({seed, 1, 0});
  Tally tally;
  for (int c = 0; c < configs; ++c) {
    const auto how = some_config(random, vocabulary);
    const auto found = subject.generate(all, how);
    BOOST_TEST_REQUIRE(found.size() == all.size());
    for (std::size_t s = 0; s < all.size(); ++s) {
      const auto expected = reference(subject, all[s], how);
      BOOST_TEST_REQUIRE(found[s].size() == expected.size());
      BOOST_TEST_REQUIRE(!expected.empty());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto& ids = expected[i].ids;
        BOOST_TEST((found[s][i].ids == ids),
                   "seed " << seed << ", config " << c << ", sentence " << s << ", result " << i);
        // Beams that began at -1e9 carry its rounding.
        const double difference =
            std::abs(found[s][i].score - expected[i].score) / std::max(1.0, std::abs(expected[i].score));
        BOOST_TEST(difference <= 1e-9);
        tally.worst = std::max(tally.worst, difference);
        const bool full = static_cast<int>(ids.size()) + 1 == longest(how);
        (full ? tally.cut : tally.ended) += 1;
        tally.different.insert(ids);
        ++tally.results;
      }
      tally.several += expected.size() > 1;
    }
  }
  return tally;
}

template <class P>
void check_many() {
  Tally all;
  for (const auto& [vocabulary, end] : {std::pair{9, 0.5}, {13, 1.0}, {31, 1.6}, {31, 2.6}})
    for (const std::uint64_t seed : {1, 2}) {
      const auto tally = compare_with_reference<P>(vocabulary, end, seed, 12);
      all.results += tally.results, all.ended += tally.ended, all.cut += tally.cut, all.several += tally.several;
      all.worst = std::max(all.worst, tally.worst);
      all.different.insert(tally.different.begin(), tally.different.end());
    }
  BOOST_TEST_MESSAGE(all.results << " results, " << all.ended << " ended, " << all.cut << " cut, "
                                 << all.different.size() << " different; scores differ by " << all.worst << " at most");
  BOOST_TEST(all.ended > 400);
  BOOST_TEST(all.cut > 400);
  BOOST_TEST(all.several > 400);
  BOOST_TEST(all.different.size() > 300u);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(equals_the_reference)

BOOST_AUTO_TEST_CASE(with_linear_projectors) { check_many<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(with_neural_projectors) { check_many<paper::marian>(); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(one_sentence)

namespace {

const GenerationConfig two_beams = [] {
  GenerationConfig how;
  how.num_beams = 2;
  how.eos_token_id = eos;
  how.decoder_start_token_id = 9;
  return how;
}();

}  // namespace

// An end ranked behind the first num_beams candidates is dropped, and the live beams stay num_beams.
BOOST_AUTO_TEST_CASE(ends_count_only_among_the_first) {
  BeamSearch search(two_beams);
  std::vector<BeamCandidate> candidates = {{-1.0, 0, 5}, {-2.0, 0, 6}, {-3.0, 0, eos}, {-4.0, 0, 7}};
  search.advance(candidates);
  BOOST_TEST_REQUIRE(search.beams().size() == 2u);
  BOOST_TEST((search.beams()[0].history == Ids{9, 5}));
  BOOST_TEST((search.beams()[1].history == Ids{9, 6}));
  candidates = {{-2.5, 0, eos}, {-2.6, 1, 4}, {-2.7, 1, eos}, {-2.8, 0, 4}, {-9.0, 0, 8}};
  search.advance(candidates);
  BOOST_TEST_REQUIRE(search.beams().size() == 2u);
  BOOST_TEST(search.beams()[0].parent == 1);
  BOOST_TEST(search.beams()[1].parent == 0);
  candidates.clear();  // the rules leave nothing: the live beams end as they are
  search.advance(candidates);
  const auto results = search.results(2);
  BOOST_TEST_REQUIRE(results.size() == 2u);
  BOOST_TEST((results[0] == Hypothesis{{5}, -2.5 / 2, eos}));
  BOOST_TEST((results[1] == Hypothesis{{6, 4}, -2.6 / 2, -1}));
}

// The first num_beams candidates end there, whatever they are: no more, though a beam would live.
BOOST_AUTO_TEST_CASE(at_the_limit_the_first_end) {
  auto how = two_beams;
  how.max_length = 3;
  BeamSearch search(how);
  std::vector<BeamCandidate> candidates = {{-1.0, 0, 5}, {-2.0, 0, 6}, {-4.0, 0, 7}};
  search.advance(candidates);
  BOOST_TEST(!search.done());
  candidates = {{-2.5, 0, 3}, {-2.6, 1, eos}, {-2.7, 1, 4}, {-2.8, 0, 4}};
  search.advance(candidates);
  BOOST_TEST(search.done());
  const auto results = search.results(2);
  BOOST_TEST_REQUIRE(results.size() == 2u);
  BOOST_TEST((results[0] == Hypothesis{{5, 3}, -2.5 / 2, -1}));
  BOOST_TEST((results[1] == Hypothesis{{6}, -2.6 / 2, eos}));
}

BOOST_AUTO_TEST_CASE(of_equal_candidates_the_earlier_beam_and_the_smaller_token_come_first) {
  BeamSearch search(two_beams);
  std::vector<BeamCandidate> candidates = {{-1.0, 0, 8}, {-1.0, 0, 3}, {-1.0, 0, 5}};
  search.advance(candidates);
  BOOST_TEST((search.beams()[0].history == Ids{9, 3}));
  BOOST_TEST((search.beams()[1].history == Ids{9, 5}));
  candidates = {{-2.0, 1, 2}, {-2.0, 0, 4}, {-2.0, 1, 1}};
  search.advance(candidates);
  BOOST_TEST((search.beams()[0].history == Ids{9, 3, 4}));
  BOOST_TEST((search.beams()[1].history == Ids{9, 5, 1}));
}

// One result of 2 tokens, its end counted, with log-probability -1; is a live beam of 4 tokens that can reach 8 worth
// waiting for?
BOOST_AUTO_TEST_CASE(is_settled_when_its_config_says_so) {
  using enum EarlyStopping;
  const auto settled = [](EarlyStopping when, double length_penalty, double log_probability) {
    auto how = two_beams;
    how.num_beams = 1;
    how.max_length = 9;
    how.early_stopping = when;
    how.length_penalty = length_penalty;
    FinishedBeams finished(how, 1);
    BOOST_TEST(!finished.settled(-100.0, 4));  // nothing is finished yet
    finished.add(Ids{1}, eos, -1.0);
    return finished.settled(log_probability, 4);
  };
  BOOST_TEST(settled(Always, 1.0, -1.0));
  // With the penalty 1 the result scores -1/2, the beam -x/4 now and -x/8 at best.
  BOOST_TEST(!settled(Heuristic, 1.0, -1.9));
  BOOST_TEST(settled(Heuristic, 1.0, -2.0));
  BOOST_TEST(!settled(Never, 1.0, -3.9));
  BOOST_TEST(settled(Never, 1.0, -4.0));
  // With the penalty -1 it scores -2, the beam -4x now and -8x at worst.
  BOOST_TEST(!settled(Heuristic, -1.0, -0.4));
  BOOST_TEST(settled(Heuristic, -1.0, -0.5));
  BOOST_TEST(!settled(Never, -1.0, -0.4));
  BOOST_TEST(settled(Never, -1.0, -0.5));
}

BOOST_AUTO_TEST_CASE(without_successors_ends_as_it_is) {
  BeamSearch search(two_beams);
  std::vector<BeamCandidate> candidates = {{-1.0, 0, 5}, {-2.0, 0, 6}};
  search.advance(candidates);
  candidates.clear();
  search.advance(candidates);
  BOOST_TEST(search.done());
  BOOST_TEST(search.beams().empty());
  const auto results = search.results(2);
  BOOST_TEST_REQUIRE(results.size() == 2u);
  BOOST_TEST((results[0].ids == Ids{5}));
}

BOOST_AUTO_TEST_CASE(whose_rules_leave_nothing_still_has_a_result) {
  Subject<B, LinearProjections> subject(1, 9);
  GenerationConfig how;
  how.min_length = 1000;
  how.no_repeat_ngram_size = 1;
  for (const int beams : {1, 3}) {
    how.num_beams = beams;
    for (const bool renormalized : {false, true}) {
      how.renormalize_logits = renormalized;
      for (const auto& results : subject.generate(sources(9), how)) {
        BOOST_TEST_REQUIRE(!results.empty());
        // Every token but the start and the end, once.
        BOOST_TEST(results[0].ids.size() == 7u);
        BOOST_TEST(std::set<int>(results[0].ids.begin(), results[0].ids.end()).size() == 7u);
        BOOST_TEST(std::isfinite(results[0].score));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
