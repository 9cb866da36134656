// Prompts: runs of any lengths that are read in one pass leave a decoder as tokens do that come one by one, and a
// Generator continues prompts of different lengths together as it continues each alone.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_prompts
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "attention/attention_option_cases.hpp"
#include "decode/decoding_subject.hpp"
#include "models/causal_lm.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace neural_attention;
using decoding::Ids, decoding::Sentences;
using B = Cpu<double>;
using Causal = own::CausalLm<B, paper::marian>;

namespace {

/// Runs that are the first ones of all rows go another way than the tokens one by one, with sums in another order.
constexpr double rounding = 1e-12;

own::CausalLmConfig config(int positions = 24, const AttentionOptions& attention = {}) {
  own::CausalLmConfig config;
  config.attention = attention;
  config.vocab_size = 31;
  config.max_position_embeddings = positions;
  config.init_std = 0.4;
  config.dropout = 0.3;  // of training alone: decoding drops nothing
  config.pad_token_id = 30;
  return config;
}

Ids random_ids(int count, std::uint32_t number) {
  RandomStream random({9, number, 0});
  Ids ids;
  for (int i = 0; i < count; ++i) ids.push_back(1 + static_cast<int>(random.below(29)));
  return ids;
}

Sentences random_prompts(const std::vector<int>& lengths) {
  Sentences prompts;
  for (const int length : lengths) prompts.push_back(random_ids(length, static_cast<std::uint32_t>(prompts.size())));
  return prompts;
}

PackedTokens packed(const Sentences& sequences) {
  PackedTokens tokens;
  for (const auto& ids : sequences) tokens.push(ids);
  return tokens;
}

/// A language model without an end that comes by itself, and its decoding.
struct Subject {
  explicit Subject(int positions = 24, const AttentionOptions& attention = {})
      : model(backend, config(positions, attention), 3, Purpose::Inference) {}

  using State = Causal::DecoderState;
  State begin(const Sentences& prompts, int capacity, int rows_per_prompt = 1) {
    return model.begin_decoding(memory.begin_inference(), packed(prompts), capacity, rows_per_prompt, saved);
  }
  std::vector<double> append(const Sentences& runs, State& state) {
    const auto pass = memory.begin_inference();
    const auto logits = pass.scratch.rows(static_cast<int>(runs.size()), 31);
    model.append(pass, packed(runs), state, logits);
    return download(logits);
  }
  std::vector<double> next(const Ids& ids, State& state) {
    const auto pass = memory.begin_inference();
    const auto logits = pass.scratch.rows(static_cast<int>(ids.size()), 31);
    model.decode_next(pass, ids, state, logits);
    return download(logits);
  }
  /// What follows each history, without caches.
  std::vector<double> whole(const Sentences& histories) {
    std::vector<double> all;
    for (const auto& history : histories) {
      const auto pass = memory.begin_inference();
      const auto hidden = model.body().forward(pass, packed({history}), saved.body);
      const auto logits = pass.scratch.rows(1, 31);
      model.logits(pass, hidden.slice(hidden.rows - 1, 1), logits);
      const auto found = download(logits);
      all.insert(all.end(), found.begin(), found.end());
    }
    return all;
  }

  std::vector<double> download(Rows<B> x) {
    std::vector<double> host(static_cast<std::size_t>(x.size()));
    backend(ops::Download<B>{.x = x, .values = host});
    return host;
  }

  B backend{1};
  Causal model;
  PassMemory<B> memory{backend};
  Causal::Saved saved;
};

void require_close(const std::vector<double>& found, const std::vector<double>& expected) {
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  BOOST_TEST_REQUIRE(!found.empty());
  double largest = 0.0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    BOOST_TEST_REQUIRE(std::isfinite(found[i]));
    largest = std::max(largest, std::abs(found[i] - expected[i]));
  }
  BOOST_TEST(largest <= rounding);
}

void add_each(Sentences& histories, const Sentences& runs) {
  for (std::size_t i = 0; i < runs.size(); ++i) histories[i].insert(histories[i].end(), runs[i].begin(), runs[i].end());
}

GenerationConfig some_tokens(int max_length = 14) {
  GenerationConfig how;
  how.max_length = max_length;
  how.bad_words_ids = {{30}};
  return how;
}

/// The searches that differ in how rows move and end.
std::vector<GenerationConfig> searches() {
  std::vector<GenerationConfig> all(5, some_tokens());
  all[0].forced_eos_token_id = 0;
  all[1].num_beams = all[1].num_return_sequences = 3;
  all[1].forced_eos_token_id = 0;
  all[2].num_beams = 4;
  all[2].num_return_sequences = 2;
  all[2].no_repeat_ngram_size = 2;
  all[2].early_stopping = EarlyStopping::Never;
  all[2].length_penalty = 2.0;
  all[3].do_sample = true;
  all[3].num_return_sequences = 3;
  all[4].min_length = 12;
  all[4].forced_bos_token_id = 7;
  all[4].begin_suppress_tokens = {3, 4, 5};
  return all;
}

/// A model whose prompts are read token by token.
template <class M>
struct TokenByToken : M {
  using M::M;

  void append(const Pass<B>& pass, const PackedTokens& runs, typename M::DecoderState& state) const {
    for (int t = 0; t < runs.offsets().longest(); ++t) {
      PackedTokens one;
      for (int s = 0; s < runs.offsets().sequences(); ++s) {
        const auto run = runs.sequence(s);
        const auto begin = std::min(static_cast<std::size_t>(t), run.size());
        one.push(run.subspan(begin, std::min<std::size_t>(1, run.size() - begin)));
      }
      M::append(pass, one, state);
    }
  }
};

template <class Model>
auto generate(B& backend, const Model& model, const typename Model::Prompts& prompts, const GenerationConfig& how) {
  return Generator<Model>(backend, model)(prompts, how);
}

void require_close(const std::vector<std::vector<Hypothesis>>& found,
                   const std::vector<std::vector<Hypothesis>>& expected) {
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  for (std::size_t s = 0; s < found.size(); ++s) {
    BOOST_TEST_REQUIRE(found[s].size() == expected[s].size());
    for (std::size_t i = 0; i < found[s].size(); ++i) {
      BOOST_TEST(found[s][i].ids == expected[s][i].ids, boost::test_tools::per_element());
      BOOST_TEST(found[s][i].end == expected[s][i].end);
      BOOST_TEST(std::abs(found[s][i].score - expected[s][i].score) <= rounding);
    }
  }
}

void check_refused(auto&& act, const std::string& message) {
  BOOST_CHECK_EXCEPTION(act(), ShapeError, [&](const ShapeError& error) {
    BOOST_TEST(error.what() == message);
    return true;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(runs)

void check_runs(Subject& subject) {
  auto histories = random_prompts({1, 5, 12, 3});
  auto state = subject.begin(histories, 24);
  require_close(subject.append(histories, state), subject.whole(histories));
  const Sentences more = {{3, 9}, {1}, {4, 4, 8, 2}, {17, 6, 5}};  // behind tokens that are there
  const auto found = subject.append(more, state);
  add_each(histories, more);
  require_close(found, subject.whole(histories));
  const Ids last = {2, 12, 22, 9};
  const auto next = subject.next(last, state);
  add_each(histories, {{2}, {12}, {22}, {9}});
  require_close(next, subject.whole(histories));
  BOOST_TEST(state.length(2) == 17);
}

BOOST_AUTO_TEST_CASE(of_different_lengths_leave_what_forward_finds) {
  Subject subject;
  check_runs(subject);
}

BOOST_AUTO_TEST_CASE(leave_it_with_options_of_attention) {
  for (const auto& how : all_option_cases()) {
    BOOST_TEST_CONTEXT(how.name) {
      Subject subject(24, how.options);
      check_runs(subject);
    }
  }
}

BOOST_AUTO_TEST_CASE(behind_others_equal_tokens_one_by_one_to_the_bit) {
  Subject subject;
  const auto prompt = random_ids(4, 1), run = random_ids(9, 2);
  auto at_once = subject.begin({prompt}, 24), one_by_one = subject.begin({prompt}, 24);
  subject.append({prompt}, at_once);
  subject.append({prompt}, one_by_one);
  std::vector<double> expected;
  for (const int id : run) expected = subject.next({id}, one_by_one);
  BOOST_TEST(subject.append({run}, at_once) == expected);
}

BOOST_AUTO_TEST_CASE(longer_than_a_cache_is_at_first) {
  Subject subject(200);
  const auto histories = random_prompts({150, 3, 70});
  auto state = subject.begin(histories, 200);
  require_close(subject.append(histories, state), subject.whole(histories));
  const Sentences more = {random_ids(50, 7), random_ids(64, 8), {5}};
  const auto found = subject.append(more, state);
  auto all = histories;
  add_each(all, more);
  require_close(found, subject.whole(all));
}

BOOST_AUTO_TEST_CASE(use_memory_of_rows_that_left) {
  Subject subject;
  const auto prompts = random_prompts({9, 2, 5});
  auto state = subject.begin(prompts, 24);
  subject.append(prompts, state);
  state.reorder(subject.backend, std::vector{1, 1, 2});  // a copy of row 1 where row 0 had more tokens
  BOOST_TEST(state.length(0) == 2);
  const Sentences more = {{3, 8}, {4}, {5, 6, 7}};
  Sentences histories = {prompts[1], prompts[1], prompts[2]};
  const auto found = subject.append(more, state);
  add_each(histories, more);
  require_close(found, subject.whole(histories));
}

BOOST_AUTO_TEST_CASE(beyond_a_limit_are_refused) {
  Subject subject;
  const auto prompts = random_prompts({4, 6});
  auto state = subject.begin(prompts, 10);
  subject.append(prompts, state);
  check_refused(
      [&] {
        subject.append({{1}, {1, 2, 3, 4, 5}}, state);
      },
      "a run of 5 tokens after 6 is longer than decoding was begun for: 10 tokens");
  check_refused([&] { subject.append({{1}}, state); }, "1 runs of tokens cannot follow 2 rows: each row needs one");
  check_refused(
      [&] {
        subject.append({{1}, {31}}, state);
      },
      "a run's token has the id 31, but the model's vocabulary has 31 entries");
  check_refused(
      [&] {
        subject.append({{1}, {}}, state);
      },
      "run 1 has no tokens, so nothing can be said of what follows it");
  BOOST_TEST(state.length(0) == 4);  // nothing was taken
  auto full = subject.begin({{1}}, 1000);
  check_refused([&] { subject.append({random_ids(25, 1)}, full); },
                "a run of 25 tokens after 0 is longer than decoding was begun for: 24 tokens");
  subject.append({random_ids(24, 1)}, full);
  check_refused([&] { subject.next({1}, full); },
                "a run of 1 tokens after 24 is longer than decoding was begun for: 24 tokens");
}

BOOST_AUTO_TEST_CASE(of_one_token_are_one_for_each_row_and_known) {
  Subject subject;
  const auto prompts = random_prompts({4, 6});
  auto state = subject.begin(prompts, 10);
  subject.append(prompts, state);
  check_refused([&] { subject.next({1}, state); },
                "a batch has 1 next tokens for 2 live rows: each live row needs one");
  check_refused(
      [&] {
        subject.next({1, 2, 3}, state);
      },
      "a batch has 3 next tokens for 2 live rows: each live row needs one");
  check_refused(
      [&] {
        subject.next({1, 31}, state);
      },
      "a next token has the id 31, but the model's vocabulary has 31 entries");
  BOOST_TEST(state.length(0) == 4);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(prompts_of_a_language_model)

BOOST_AUTO_TEST_CASE(are_continued_together_as_alone) {
  Subject subject;
  const auto prompts = random_prompts({1, 13, 5, 9, 2});
  for (const auto& how : searches()) {
    const auto together = generate(subject.backend, subject.model, packed(prompts), how);
    BOOST_TEST_REQUIRE(together.size() == prompts.size());
    for (std::size_t s = 0; s < prompts.size(); ++s) {
      auto alone = packed({prompts[s]});
      alone.begin_at({0, static_cast<int>(s)});
      const auto found = generate(subject.backend, subject.model, alone, how);
      BOOST_TEST((found.at(0) == together[s]));
      BOOST_TEST(!together[s].empty());
      for (const auto& one : together[s]) BOOST_TEST(one.ids.size() + prompts[s].size() <= 14u);
    }
  }
}

BOOST_AUTO_TEST_CASE(read_at_once_are_those_read_token_by_token) {
  Subject subject;
  const TokenByToken<Causal> slow(subject.backend, config(), 3, Purpose::Inference);
  const auto prompts = packed(random_prompts({1, 13, 5, 9, 2}));
  for (const auto& how : searches())
    require_close(generate(subject.backend, subject.model, prompts, how),
                  generate(subject.backend, slow, prompts, how));
}

BOOST_AUTO_TEST_CASE(that_leave_no_room_are_refused) {
  Subject subject;
  const auto run = [&](const Sentences& prompts, int max_length) {
    return generate(subject.backend, subject.model, packed(prompts), some_tokens(max_length));
  };
  check_refused(
      [&] {
        run({{1}, {1, 2, 3}}, 3);
      },
      "prompt 1 of a batch has 3 tokens, which leaves no room: a result has at most 3 with its prompt");
  check_refused([&] { run({{1}, {}}, 9); }, "prompt 1 of a batch has no tokens");
  check_refused([&] { run({random_ids(25, 1)}, 100); },
                "a prompt of 25 tokens is longer than the model's 24 positions");
  check_refused([&] { run({{31}}, 9); }, "a prompt's token has the id 31, but the model's vocabulary has 31 entries");
  BOOST_TEST(run({random_ids(24, 1)}, 100).at(0).at(0).ids.size() == 1u);  // what follows the last position
  BOOST_TEST(run({}, 9).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(watched)

BOOST_AUTO_TEST_CASE(results_are_heard_of_token_by_token) {
  Subject subject;
  const auto prompts = random_prompts({1, 9, 5});
  for (const auto& how : searches()) {
    if (how.num_beams > 1) continue;
    std::vector<std::vector<Ids>> heard(prompts.size(), std::vector<Ids>(3));
    std::vector<std::vector<int>> ends(prompts.size(), std::vector<int>(3, -2));
    const auto watch = [&](const GrownResult& grown) {
      auto& ids = heard[static_cast<std::size_t>(grown.prompt)][static_cast<std::size_t>(grown.sample)];
      auto& end = ends[static_cast<std::size_t>(grown.prompt)][static_cast<std::size_t>(grown.sample)];
      BOOST_TEST(end == -2);  // nothing was the last
      BOOST_TEST(grown.ids.size() == ids.size() + (grown.end < 0 ? 1 : 0));
      ids.assign(grown.ids.begin(), grown.ids.end());
      if (grown.last) end = grown.end;
      return true;
    };
    const auto found = Generator<Causal>(subject.backend, subject.model)(packed(prompts), how, watch);
    for (std::size_t p = 0; p < prompts.size(); ++p)
      for (std::size_t i = 0; i < found[p].size(); ++i) {
        BOOST_TEST(heard[p][i] == found[p][i].ids);
        BOOST_TEST(ends[p][i] == found[p][i].end);
      }
    BOOST_TEST((found == generate(subject.backend, subject.model, packed(prompts), how)));
  }
}

// One that stops at a token gets what an end token there would give, and the token.
BOOST_AUTO_TEST_CASE(results_stop_as_at_an_end_token) {
  Subject subject;
  const auto prompts = packed(random_prompts({1, 9, 5, 3}));
  int stopped = 0;
  for (const int width : {1, 3, 4})
    for (int token = 1; token < 30; ++token) {
      auto how = some_tokens();
      how.num_beams = how.num_return_sequences = width;
      how.length_penalty = 0.7;
      how.do_sample = width == 1;
      const auto stops = [&](const GrownResult& grown) { return grown.ids.empty() || grown.ids.back() != token; };
      const auto found = Generator<Causal>(subject.backend, subject.model)(prompts, how, stops);
      how.further_eos_token_ids = {token};
      auto expected = generate(subject.backend, subject.model, prompts, how);
      for (auto& results : expected)
        for (auto& one : results)
          if (one.end == token) {
            one.ids.push_back(token);
            one.end = -1;
            ++stopped;
          }
      BOOST_TEST((found == expected));
    }
  BOOST_TEST(stopped > 10);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(prefixes_of_translations)

using Translating = decoding::Subject<B, paper::marian>;

TranslationBatch with_prefixes(const Sentences& sources, const Sentences& prefixes, int pad) {
  TranslationBatch batch(pad);
  for (std::size_t s = 0; s < sources.size(); ++s) batch.push_source(sources[s], prefixes[s]);
  return batch;
}

void check_continued(Translating& subject) {
  const auto sources = decoding::sources(31, 4);
  const auto prefixes = random_prompts({0, 6, 2, 11});
  const auto batch = with_prefixes(sources, prefixes, subject.pad());
  const auto histories = subject.model.histories(batch, subject.pad());
  auto state = subject.model.begin_decoding(subject.memory.begin_inference(), batch, 20, 1, subject.saved);
  const auto pass = subject.memory.begin_inference();
  const auto logits = pass.scratch.rows(4, 31);
  subject.model.append(pass, histories, state, logits);
  std::vector<double> found(4 * 31), expected;
  subject.backend(ops::Download<B>{.x = logits, .values = found});
  for (int s = 0; s < 4; ++s) {
    const auto history = histories.sequence(s);
    const auto one = subject.logits_after(sources[static_cast<std::size_t>(s)], {history.begin(), history.end()});
    expected.insert(expected.end(), one.begin(), one.end());
  }
  require_close(found, expected);
}

BOOST_AUTO_TEST_CASE(are_continued_as_the_whole_decoder_would) {
  Translating subject(2);
  check_continued(subject);
}

BOOST_AUTO_TEST_CASE(are_continued_so_with_options_of_attention) {
  for (const auto& how : all_option_cases()) {
    BOOST_TEST_CONTEXT(how.name) {
      Translating subject(2, 31, 1.6, false, how.options);
      check_continued(subject);
    }
  }
}

BOOST_AUTO_TEST_CASE(of_its_own_lead_to_the_same_translation) {
  Translating subject(1);
  const auto sources = decoding::sources(31, 6);
  const auto how = some_tokens(20);
  const auto whole = subject.generate(sources, how);
  Sentences prefixes, rests;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const auto& ids = whole[s].at(0).ids;
    const auto kept = static_cast<std::ptrdiff_t>(std::min(ids.size(), s * 2));
    prefixes.emplace_back(ids.begin(), ids.begin() + kept);
    rests.emplace_back(ids.begin() + kept, ids.end());
  }
  const auto found = generate(subject.backend, subject.model, with_prefixes(sources, prefixes, subject.pad()), how);
  for (std::size_t s = 0; s < sources.size(); ++s) BOOST_TEST((found[s].at(0).ids == rests[s]));
}

BOOST_AUTO_TEST_CASE(read_at_once_are_those_read_token_by_token) {
  Translating subject(3);
  const TokenByToken<Translating::Model> slow(subject.backend, subject.model.config(), 3, Purpose::Inference);
  const auto batch = with_prefixes(decoding::sources(31, 5), random_prompts({0, 12, 4, 8, 1}), subject.pad());
  for (const auto& entry : subject.model.parameters().entries())
    if (entry.name == "final_logits_bias")
      subject.backend(ops::Fill<B>{.x = subject.model.parameters().value(entry), .value = 0.0});
  for (const auto& how : searches())
    require_close(generate(subject.backend, subject.model, batch, how), generate(subject.backend, slow, batch, how));
}

BOOST_AUTO_TEST_CASE(that_do_not_fit_are_refused) {
  Translating subject(1);
  auto batch = with_prefixes({{1, 0}, {2, 0}}, {{4}, {5, 31}}, subject.pad());
  check_refused([&] { generate(subject.backend, subject.model, batch, some_tokens()); },
                "a prefix's token has the id 31, but the model's vocabulary has 31 entries");
  batch = with_prefixes({{1, 0}}, {{4}}, subject.pad());
  batch.push(Ids{2, 0}, {});
  check_refused([&] { generate(subject.backend, subject.model, batch, some_tokens()); },
                "a batch has 2 sources and 1 prefixes: each source needs one, or none has any");
  batch = with_prefixes({{1, 0}}, {random_ids(13, 1)}, subject.pad());
  check_refused([&] { generate(subject.backend, subject.model, batch, some_tokens()); },
                "prompt 0 of a batch has 14 tokens, which leaves no room: a result has at most 14 with its prompt");
}

BOOST_AUTO_TEST_SUITE_END()
