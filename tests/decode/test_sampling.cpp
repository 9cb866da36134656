// Sampling: draws follow the model's distribution as temperature, top_k and top_p leave it, and are a function of the
// seed and of the place of a token.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_sampling
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

using Tested = Subject<Cpu<double>, LinearProjections>;

GenerationConfig sampled(double temperature, int top_k, double top_p) {
  GenerationConfig how;
  how.do_sample = true;
  how.temperature = temperature;
  how.top_k = top_k;
  how.top_p = top_p;
  return how;
}

/// What follows `history`: the probabilities of all tokens.
std::vector<double> distribution(Tested& subject, const Ids& source, const Ids& history, const GenerationConfig& how) {
  auto x = subject.logits_after(source, history);
  for (const auto& word : how.bad_words_ids) x[std::size_t(word[0])] = -std::numeric_limits<double>::infinity();
  std::vector<std::pair<double, std::size_t>> sorted;
  for (std::size_t id = 0; id < x.size(); ++id) sorted.push_back({std::exp(x[id] / how.temperature), id});
  std::sort(sorted.rbegin(), sorted.rend());
  if (how.top_k > 0) sorted.resize(std::min(sorted.size(), std::size_t(how.top_k)));
  double total = 0.0, mass = 0.0;
  for (const auto& [weight, id] : sorted) total += weight;
  std::size_t kept = 0;
  while (kept < sorted.size() && mass < how.top_p * total) mass += sorted[kept++].first;
  sorted.resize(kept);
  std::vector<double> result(x.size());
  for (const auto& [weight, id] : sorted) result[id] = weight / mass;
  return result;
}

/// χ² of counts against probabilities, and its degrees of freedom; tokens with less than 5 expected draws are joined.
std::pair<double, int> chi_square(const std::map<int, int>& counts, const std::vector<double>& p, int draws) {
  double sum = 0.0, rare_expected = 0.0, rare = 0.0;
  int cells = 0;
  for (std::size_t id = 0; id < p.size(); ++id) {
    const auto found = counts.find(static_cast<int>(id));
    const double count = found == counts.end() ? 0.0 : found->second, expected = draws * p[id];
    if (p[id] == 0.0) BOOST_TEST(count == 0.0, "token " << id << " is ruled out");
    if (expected < 5.0) {
      rare_expected += expected;
      rare += count;
      continue;
    }
    sum += (count - expected) * (count - expected) / expected;
    ++cells;
  }
  if (rare_expected >= 5.0) {
    sum += (rare - rare_expected) * (rare - rare_expected) / rare_expected;
    ++cells;
  }
  return {sum, cells - 1};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(draws)

// The first token, and the second one behind each common first one. χ² with f degrees of freedom has mean f and
// standard deviation √(2f); five of them, and the seed is fixed.
BOOST_AUTO_TEST_CASE(follow_the_distribution) {
  constexpr int count = 20000;
  Tested subject(3);
  const Ids source = sources(subject.vocabulary())[0];
  int degrees = 0, second_tokens = 0;
  for (auto how : {sampled(1.0, 0, 1.0), sampled(0.7, 0, 1.0), sampled(1.5, 8, 1.0), sampled(1.0, 0, 0.8),
                   sampled(1.3, 12, 0.7)}) {
    how.num_return_sequences = count;
    how.max_length = 3;
    how.bad_words_ids = {{subject.pad()}, {4}};
    const auto results = subject.generate({source}, how).at(0);
    BOOST_TEST_REQUIRE(results.size() == std::size_t(count));
    std::map<int, int> first;
    std::map<int, std::map<int, int>> second;
    for (const auto& result : results) {
      const int token = result.ids.empty() ? eos : result.ids[0];
      ++first[token];
      if (token != eos) ++second[token][result.ids.size() < 2 ? eos : result.ids[1]];
      BOOST_TEST_REQUIRE(result.ids.size() <= 2u);
    }
    const auto check = [&](const std::map<int, int>& counts, const Ids& history, int draws) {
      const auto [chi, freedom] = chi_square(counts, distribution(subject, source, history, how), draws);
      BOOST_TEST(chi <= freedom + 5 * std::sqrt(2.0 * freedom), chi << " with " << freedom << " degrees of freedom");
      degrees += freedom;
    };
    check(first, {subject.pad()}, count);
    for (const auto& [token, counts] : second)
      if (first[token] >= 1000) {
        check(counts, {subject.pad(), token}, first[token]);
        ++second_tokens;
      }
  }
  BOOST_TEST(degrees > 100);
  BOOST_TEST(second_tokens > 10);
}

BOOST_AUTO_TEST_CASE(are_a_function_of_the_seed) {
  Tested subject(3);
  const auto all = sources(subject.vocabulary());
  auto how = sampled(1.0, 0, 1.0);
  how.num_return_sequences = 3;
  how.max_length = 15;
  const auto once = subject.generate(all, how);
  BOOST_TEST((subject.generate(all, how) == once));
  how.seed = 43;
  const auto other = subject.generate(all, how);
  how.seed += std::uint64_t{1} << 32;
  const auto far = subject.generate(all, how);
  int same = 0, same_far = 0;
  std::set<Ids> different;
  for (std::size_t s = 0; s < all.size(); ++s)
    for (std::size_t r = 0; r < 3; ++r) {
      same += once[s][r] == other[s][r];
      same_far += other[s][r] == far[s][r];
      different.insert(once[s][r].ids);
    }
  BOOST_TEST(same < 5);
  BOOST_TEST(same_far < 5);
  BOOST_TEST(different.size() > 25u);
}

BOOST_AUTO_TEST_CASE(of_one_token_are_the_greedy_choice) {
  Tested subject(4);
  const auto all = sources(subject.vocabulary());
  GenerationConfig greedy;
  greedy.max_length = 18;
  auto how = sampled(1.0, 1, 1.0);
  how.max_length = 18;
  BOOST_TEST((subject.generate(all, how) == subject.generate(all, greedy)));
  how = sampled(1.0, 0, 1e-9);
  how.max_length = 18;
  BOOST_TEST((subject.generate(all, how) == subject.generate(all, greedy)));
  how = sampled(1e-6, 0, 1.0);
  how.max_length = 18;
  BOOST_TEST((subject.generate(all, how) == subject.generate(all, greedy)));
}

BOOST_AUTO_TEST_CASE(of_a_temperature_whose_inverse_is_no_float_are_refused) {
  BOOST_TEST(sampled(1e-40, 0, 1.0).fault() == "temperature must be at least 1e-30, not 1e-40");
  BOOST_TEST(sampled(1e-30, 0, 1.0).fault() == "");
}

BOOST_AUTO_TEST_CASE(obey_the_rules_on_tokens) {
  Tested subject(4);
  auto how = sampled(2.0, 0, 1.0);
  how.num_return_sequences = 50;
  how.max_length = 12;
  how.min_length = 6;
  how.no_repeat_ngram_size = 1;
  how.forced_eos_token_id = eos;
  how.bad_words_ids = {{5}, {7, 8}};
  int full = 0;
  for (const auto& results : subject.generate(sources(subject.vocabulary()), how))
    for (const auto& [ids, score, end] : results) {
      BOOST_TEST((ids.size() >= 5u && ids.size() <= 10u));  // the start counts, the forced end too
      BOOST_TEST(std::set<int>(ids.begin(), ids.end()).size() == ids.size());
      BOOST_TEST(std::count(ids.begin(), ids.end(), 5) == 0);
      const Ids bad = {7, 8};
      BOOST_TEST((std::search(ids.begin(), ids.end(), bad.begin(), bad.end()) == ids.end()));
      BOOST_TEST(end == eos);
      full += ids.size() == 10u;
    }
  BOOST_TEST(full > 0);
}

BOOST_AUTO_TEST_SUITE_END()
