// All rules on tokens together: greedy decoding and sampling against a plain loop of the whole model without a cache,
// in which Hugging Face's logits processors stand in its order.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_logits_processors
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "models/tiny_gpt2.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<double>;
using Model = Gpt2<B, LinearProjections>;
using Ids = std::vector<int>;

constexpr int vocabulary = 23, positions = 24, eos = 0, longest = positions + 1;
constexpr double never = -std::numeric_limits<double>::infinity();

Gpt2Config config() {
  auto config = tiny::gpt2_config(2, 0.1);  // dropout, which decoding leaves out
  config.vocab_size = vocabulary;
  config.n_embd = 8;
  config.max_position_embeddings = positions;
  return config;
}

/// Settings and prompts drawn at random.
class Cases {
 public:
  GenerationConfig settings() {
    GenerationConfig how;
    how.do_sample = below(5) > 0;
    how.num_return_sequences = how.do_sample ? 1 + below(3) : 1;
    how.temperature = pick({1.0, 0.7, 1.6, 3.0});
    how.top_k = pick({0, 5, 12, 50});
    how.top_p = pick({1.0, 0.9, 0.6});
    how.min_p = pick({0.0, 0.05, 0.2});
    how.repetition_penalty = pick({1.0, 1.3, 0.7, 3.0});
    how.no_repeat_ngram_size = pick({0, 1, 2, 3});
    how.max_length = pick({14, 18, 100});
    how.min_length = pick({0, 9, 30});
    how.max_new_tokens = pick({0, 0, 3, 70});
    how.min_new_tokens = pick({0, 0, 5});
    how.forced_bos_token_id = pick({-1, -1, 7});
    how.forced_eos_token_id = pick({-1, eos, 3});
    how.eos_token_id = eos;
    if (below(2) > 0) how.begin_suppress_tokens = {2, 9, 11};
    if (below(2) > 0) how.suppress_tokens = {4, 5};
    if (below(2) > 0) how.further_eos_token_ids = {6};
    if (below(2) > 0) how.bad_words_ids = {{8}, {1, 2}, {10, 12, 13}};
    how.seed = static_cast<std::uint64_t>(below(1000));
    return how;
  }
  std::vector<Ids> prompts() {
    std::vector<Ids> result;
    for (const int length : {1, 12, 3, 7, 2}) {
      auto& ids = result.emplace_back();
      for (int i = 0; i < length; ++i) ids.push_back(1 + below(vocabulary - 1));
    }
    return result;
  }
  int below(int bound) { return static_cast<int>(random_.below(static_cast<std::uint32_t>(bound))); }

 private:
  template <class T>
  T pick(std::initializer_list<T> all) {
    return *(all.begin() + below(static_cast<int>(all.size())));
  }

  RandomStream random_{{77, 0, 0}};
};

/// The logits of what follows `history`, without a cache.
class Whole {
 public:
  Whole(B& backend, const Model& model) : backend_(&backend), model_(&model), memory_(backend) {}

  std::vector<double> operator()(const Ids& history) {
    const auto pass = memory_.begin_inference();
    PackedTokens tokens;
    tokens.push(history);
    const auto hidden = model_->body().forward(pass, tokens, saved_.body);
    const auto logits = pass.scratch.rows(1, vocabulary);
    model_->logits(pass, hidden.slice(hidden.rows - 1, 1), logits);
    std::vector<double> host(vocabulary);
    (*backend_)(ops::Download<B>{.x = logits, .values = host});
    return host;
  }

 private:
  B* backend_;
  const Model* model_;
  PassMemory<B> memory_;
  Model::Saved saved_;
};

double& at(std::vector<double>& x, int id) { return x[static_cast<std::size_t>(id)]; }

/// The scores of what follows `history`, which begins with a prompt of `prompt` tokens and may become `limit` long.
void process(std::vector<double>& x, const Ids& history, int prompt, int limit, const GenerationConfig& how) {
  const auto length = static_cast<int>(history.size());
  for (const int id : std::set<int>(history.begin(), history.end()))
    at(x, id) = at(x, id) < 0 ? at(x, id) * how.repetition_penalty : at(x, id) / how.repetition_penalty;
  const auto ends_with = [&](auto begin, auto end) {
    const auto count = std::distance(begin, end);
    return count <= length && std::equal(begin, end, history.end() - count);
  };
  if (const int n = how.no_repeat_ngram_size; n > 0)
    for (auto run = history.begin(); history.end() - run >= n; ++run)
      if (ends_with(run, run + n - 1)) at(x, run[n - 1]) = never;
  for (const auto& word : how.bad_words_ids)
    if (ends_with(word.begin(), word.end() - 1)) at(x, word.back()) = never;
  if (how.min_new_tokens > 0 ? length < prompt + how.min_new_tokens : length < how.min_length) {
    at(x, eos) = never;
    for (const int id : how.further_eos_token_ids) at(x, id) = never;
  }
  int forced = -1;
  if (length == 1) forced = how.forced_bos_token_id;  // behind a start token alone
  if (length == limit - 1 && how.forced_eos_token_id >= 0) forced = how.forced_eos_token_id;
  if (forced >= 0) {
    std::fill(x.begin(), x.end(), never);
    at(x, forced) = 0.0;
  }
  for (const int id : how.suppress_tokens) at(x, id) = never;
  const int begin = prompt == 1 && how.forced_bos_token_id >= 0 ? 2 : prompt;
  if (length == begin)
    for (const int id : how.begin_suppress_tokens) at(x, id) = never;
}

/// The token that the uniform number u falls on, among those that temperature, top_k, top_p and min_p leave, by their
/// ids.
int drawn(const std::vector<double>& x, double u, const GenerationConfig& how) {
  struct Token {
    double weight;
    int id;
  };
  std::vector<Token> tokens;
  const double top = *std::max_element(x.begin(), x.end());
  for (int id = 0; id < vocabulary; ++id)
    if (const double score = x[static_cast<std::size_t>(id)]; score > never)
      tokens.push_back({std::exp((score - top) / how.temperature), id});
  std::stable_sort(tokens.begin(), tokens.end(), [](auto& a, auto& b) { return a.weight > b.weight; });
  if (how.top_k > 0) tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(how.top_k)));
  double sum = 0.0, mass = 0.0;
  for (const auto& token : tokens) sum += token.weight;
  std::size_t kept = 0;
  while (kept < tokens.size() && (kept == 0 || mass < how.top_p * sum)) mass += tokens[kept++].weight;
  tokens.resize(kept);
  std::erase_if(tokens, [&](auto& token) { return token.weight < how.min_p; });
  std::sort(tokens.begin(), tokens.end(), [](auto& a, auto& b) { return a.id < b.id; });
  sum = 0.0;
  for (const auto& token : tokens) sum += token.weight;
  double left = u * sum;
  for (const auto& token : tokens)
    if ((left -= token.weight) < 0.0) return token.id;
  return tokens.back().id;
}

/// The number in [0, 1) of one draw.
double uniform(std::uint64_t seed, int prompt, int sample, int length) {
  const RandomKey key{seed, static_cast<std::uint32_t>(length), name_hash("sample")};
  const auto words = key.words(static_cast<std::uint32_t>(prompt), static_cast<std::uint32_t>(sample));
  return unit_interval(words[0]) + unit_interval(words[1] >> 11 << 11) * 0x1p-32;
}

struct Reference {
  Ids ids;
  int end = -1;
  bool stuck = false;  ///< the rules left no token
};

Reference reference(Whole& whole, const Ids& prompt, const GenerationConfig& how, int place, int sample) {
  const auto first = static_cast<int>(prompt.size());
  const int limit = std::min(how.max_new_tokens > 0 ? first + how.max_new_tokens : how.max_length, longest);
  auto history = prompt;
  Reference result;
  while (static_cast<int>(history.size()) < limit) {
    auto x = whole(history);
    process(x, history, first, limit, how);
    const auto best = std::max_element(x.begin(), x.end());
    result.stuck = *best == never;
    if (result.stuck) break;
    const double u = uniform(how.seed, place, sample, static_cast<int>(history.size()));
    const int token = how.do_sample ? drawn(x, u, how) : static_cast<int>(best - x.begin());
    if (how.ends(token)) {
      result.end = token;
      break;
    }
    history.push_back(token);
  }
  result.ids.assign(history.begin() + first, history.end());
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(results)

BOOST_AUTO_TEST_CASE(equal_the_reference) {
  B backend(1);
  const Model model(backend, config(), 5, Purpose::Inference);
  Whole whole(backend, model);
  Generator<Model> generate(backend, model);
  Cases cases;
  int ended = 0, full = 0, stuck = 0;
  std::set<Ids> different;
  for (int round = 0; round < 60; ++round) {
    const auto how = cases.settings();
    const auto prompts = cases.prompts();
    const int first_prompt = cases.below(4), first_sample = cases.below(3);
    PackedTokens packed;
    for (const auto& prompt : prompts) packed.push(prompt);
    packed.begin_at({0, first_prompt});
    const auto found = generate(packed, how, GrownResult::goes_on, first_sample);
    BOOST_TEST_REQUIRE(found.size() == prompts.size());
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      BOOST_TEST_REQUIRE(std::ssize(found[p]) == how.num_return_sequences);
      for (int s = 0; s < how.num_return_sequences; ++s) {
        const auto& result = found[p][static_cast<std::size_t>(s)];
        const auto expected = reference(whole, prompts[p], how, first_prompt + static_cast<int>(p), first_sample + s);
        BOOST_TEST_CONTEXT("round " << round << ", prompt " << p << ", sample " << s) {
          BOOST_TEST(result.ids == expected.ids, boost::test_tools::per_element());
          BOOST_TEST(result.end == expected.end);
        }
        ended += expected.end >= 0;
        stuck += expected.stuck;
        full += expected.end < 0 && !expected.stuck;
        different.insert(expected.ids);
      }
    }
  }
  BOOST_TEST_MESSAGE(ended << " results ended, " << full << " reached the limit, " << stuck << " had no token left, "
                           << different.size() << " differ");
  BOOST_TEST(ended >= 50);
  BOOST_TEST(full >= 50);
  BOOST_TEST(stuck >= 5);
  BOOST_TEST(different.size() >= 300u);
}

BOOST_AUTO_TEST_SUITE_END()
