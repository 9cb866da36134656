// Generator: greedy decoding against the same choice without a cache; results that do not depend on the rest of the
// batch, on threads or on other generators; and what is refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE decode_generate
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <set>
#include <thread>
#include <tuple>

#include "decode/decoding_subject.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/fenced.hpp"

using namespace neural_attention;
using namespace decoding;

namespace {

using B = Cpu<double>;
using Scalars = std::tuple<float, double>;

template <class S>
Sentences greedy(S& subject, const Sentences& all, int max_length) {
  auto how = generation_defaults(subject.model.config());
  how.max_length = max_length;
  Sentences result;
  for (const auto& found : subject.generate(all, how)) {
    BOOST_TEST_REQUIRE(found.size() == 1u);
    BOOST_TEST(found[0].score == 0.0);
    result.push_back(found[0].ids);
  }
  return result;
}

/// The likeliest token but pad, again and again, of the whole decoder without a cache.
template <class S>
Ids reference(S& subject, const Ids& source, int max_length) {
  Ids history = {subject.pad()};
  while (static_cast<int>(history.size()) + 1 < max_length) {
    auto logits = subject.logits_after(source, history);
    logits[std::size_t(subject.pad())] = -std::numeric_limits<double>::infinity();
    const auto best = static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (best == eos) break;
    history.push_back(best);
  }
  return {history.begin() + 1, history.end()};
}

template <class P>
void check_greedy(bool pre_norm = false) {
  int ended = 0, cut = 0;
  std::set<Ids> different;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    // The residual sum of pre-norm layers favours the newest token, so hardly any sentence ends until most do.
    for (const double end : pre_norm ? std::vector{1.6, 1.5 + double(seed)} : std::vector{1.6}) {
      Subject<B, P> subject(seed, 31, end, pre_norm);
      const auto all = sources(subject.vocabulary());
      for (const int limit : {20, 1000}) {
        const auto found = greedy(subject, all, limit);
        const int longest = std::min(limit, positions + 1);
        for (std::size_t i = 0; i < found.size(); ++i) {
          const auto expected = reference(subject, all[i], longest);
          BOOST_TEST(found[i] == expected, boost::test_tools::per_element());
          (static_cast<int>(found[i].size()) == longest - 2 ? cut : ended) += 1;
          different.insert(found[i]);
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(ended << " sentences ended, " << cut << " reached the limit, " << different.size() << " differ");
  BOOST_TEST(ended >= 5);
  BOOST_TEST(cut >= 5);
  BOOST_TEST(different.size() >= 10u);
}

GenerationConfig beams(int count) {
  GenerationConfig how;
  how.num_beams = how.num_return_sequences = count;
  how.max_length = 20;
  how.forced_eos_token_id = eos;
  how.no_repeat_ngram_size = 3;
  return how;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(greedy_decoding)

BOOST_AUTO_TEST_CASE(equals_uncached_with_linear_projectors) { check_greedy<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(equals_uncached_with_neural_projectors) { check_greedy<paper::marian>(); }
BOOST_AUTO_TEST_CASE(equals_uncached_with_pre_norm) { check_greedy<paper::marian>(true); }

BOOST_AUTO_TEST_CASE(is_cut_at_the_length_limit) {
  Subject<B, paper::marian> subject(3);
  const auto all = sources(subject.vocabulary());
  const auto full = greedy(subject, all, 1000);
  std::size_t longest = 0;
  for (const auto& ids : full) longest = std::max(longest, ids.size());
  BOOST_TEST_REQUIRE(longest > 10u);
  for (const int limit : {2, 3, 4, 9, positions, positions + 1, positions + 2}) {
    const auto found = greedy(subject, all, limit);
    BOOST_TEST_REQUIRE(found.size() == full.size());
    // The start token and the end token count; the last token of all is not decoded any more.
    const auto room = static_cast<std::size_t>(std::min(limit, positions + 1) - 2);
    for (std::size_t i = 0; i < full.size(); ++i)
      BOOST_TEST((found[i] == Ids(full[i].begin(), full[i].begin() + std::ptrdiff_t(std::min(room, full[i].size())))));
  }
}

BOOST_AUTO_TEST_CASE(never_holds_special_tokens) {
  Subject<B, LinearProjections> subject(4);
  subject.set_bias(subject.pad(), 1000.0);  // the likeliest token by far, and still never chosen
  long tokens = 0;
  for (const auto& ids : greedy(subject, sources(subject.vocabulary()), positions))
    for (const int id : ids) {
      BOOST_TEST((id > eos && id < subject.pad()));
      ++tokens;
    }
  BOOST_TEST(tokens > 20);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_sentence)

// In float, alone and among 64 of other lengths. Rounding differs, since products are cut by shape: a log-probability
// of some 30 summands of size 1 is off by a few ulp of 30, which is 1e-5 at most.
BOOST_AUTO_TEST_CASE(does_not_depend_on_its_company) {
  Subject<Cpu<float>, paper::marian> subject(2, 200, 3.0);
  const auto all = sources(subject.vocabulary(), 64);
  GenerationConfig sampled;
  sampled.do_sample = true;
  sampled.max_length = 20;
  sampled.num_return_sequences = 3;
  std::set<Ids> different;
  double worst = 0.0;
  Generator<decltype(subject)::Model> generator(subject.backend, subject.model);
  for (const auto& how : {GenerationConfig{}, beams(1), beams(4), beams(6), sampled}) {
    // Draws depend on the place in the step, which is that of `all`.
    const auto generate = [&](const Sentences& some, std::size_t first) {
      auto batch = batch_of(some, subject.pad());
      batch.source.begin_at({0, static_cast<int>(first)});
      return generator(batch, how);
    };
    const auto together = generate(all, 0);
    const auto reversed = generate({all.rbegin(), all.rend()}, 0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto alone = generate({all[i]}, i)[0];
      BOOST_TEST_REQUIRE(alone.size() == std::size_t(how.num_return_sequences));
      const auto others = generate({all[i], all[2], all[i]}, i);
      std::vector same = {together[i], others[0]};
      if (!how.do_sample) same.insert(same.end(), {reversed[all.size() - 1 - i], others[2]});
      for (const auto& other : same) {
        BOOST_TEST_REQUIRE(other.size() == alone.size());
        for (std::size_t r = 0; r < alone.size(); ++r) {
          BOOST_TEST(other[r].ids == alone[r].ids);
          BOOST_TEST(std::abs(other[r].score - alone[r].score) <= 1e-5);
          worst = std::max(worst, std::abs(other[r].score - alone[r].score));
          different.insert(alone[r].ids);
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(different.size() << " different results; scores differ by " << worst << " at most");
  BOOST_TEST(different.size() > 100u);
}

// The first sentence of a batch and a sentence of a later batch draw as in the undivided batch.
BOOST_AUTO_TEST_CASE(is_sampled_by_its_place_in_the_step) {
  Subject<B, LinearProjections> subject(2);
  const auto all = sources(subject.vocabulary());
  GenerationConfig how;
  how.do_sample = true;
  how.num_return_sequences = 2;
  how.max_length = 12;
  const auto together = subject.generate(all, how);
  Generator<decltype(subject.model)> generator(subject.backend, subject.model);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto batch = batch_of({all[i]}, subject.pad());
    batch.source.begin_at({0, static_cast<int>(i)});
    BOOST_TEST((generator(batch, how)[0] == together[i]));
  }
}

BOOST_AUTO_TEST_CASE(may_be_longer_than_the_caches_first_guess) {
  MarianConfig large = config(31);
  large.max_position_embeddings = 200;
  B backend(1);
  Marian<B, LinearProjections> model(backend, large, 5, Purpose::Inference);
  Generator<Marian<B, LinearProjections>> generator(backend, model);
  PassMemory<B> memory(backend);
  Marian<B, LinearProjections>::Saved saved;
  GenerationConfig how = generation_defaults(large);
  how.min_length = 199;
  for (const int count : {1, 3}) {
    how.num_beams = count;
    const auto found = generator(batch_of({{3, 4, 0}, {7, 0}}, 30), how);
    for (const auto& results : found) {
      // Every token must be the likeliest after what precedes it, or, with beams, have the probability of the score.
      const auto& ids = results.at(0).ids;
      BOOST_TEST_REQUIRE(ids.size() == 199u - (how.max_length == 200 ? 1u : 0u));
      TranslationBatch pair(30);
      auto target = ids;
      target.push_back(eos);
      pair.push(&results == &found[0] ? Ids{3, 4, 0} : Ids{7, 0}, target);
      const auto pass = memory.begin_inference();
      const auto hidden = model.decode(pass, pair, model.encode(pass, pair, saved), saved);
      const auto logits = pass.scratch.rows(hidden.rows, 31);
      model.logits(pass, hidden, logits);
      std::vector<double> host(static_cast<std::size_t>(logits.size()));
      backend(ops::Download<B>{.x = logits, .values = host});
      double sum = 0.0;
      for (std::size_t t = 0; t < ids.size(); ++t) {
        std::vector<double> row(host.begin() + std::ptrdiff_t(31 * t), host.begin() + std::ptrdiff_t(31 * t + 31));
        row[0] = row[30] = -std::numeric_limits<double>::infinity();
        double total = 0.0;
        for (const double v : row) total += std::exp(v);
        sum += row[std::size_t(ids[t])] - std::log(total);
        if (count == 1)
          BOOST_TEST(row[std::size_t(ids[t])] == *std::max_element(row.begin(), row.end()),
                     boost::test_tools::tolerance(1e-12));
      }
      if (count > 1) BOOST_TEST(results[0].score == sum / double(ids.size() + 1), boost::test_tools::tolerance(1e-12));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(generators)

BOOST_AUTO_TEST_CASE(share_one_const_model) {
  Subject<Cpu<float>, paper::marian> subject(2, 200, 3.0);
  using Model = decltype(subject)::Model;
  const Model& model = subject.model;
  const auto all = sources(subject.vocabulary(), 32);
  GenerationConfig sampled;
  sampled.do_sample = true;
  sampled.max_length = 20;
  const std::vector<GenerationConfig> ways = {beams(4), beams(1), sampled};
  std::vector<std::vector<std::vector<Hypothesis>>> expected;
  for (const auto& how : ways) expected.push_back(subject.generate(all, how));
  std::vector<int> right(2, 0);
  const auto work = [&](int thread) {
    Cpu<float> backend(thread + 1);
    Generator<Model> generator(backend, model);
    for (int round = 0; round < 4; ++round)
      for (std::size_t w = 0; w < ways.size(); ++w)
        right[std::size_t(thread)] += generator(batch_of(all, subject.pad()), ways[w]) == expected[w];
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  BOOST_TEST(right[0] == 12);
  BOOST_TEST(right[1] == 12);
}

BOOST_AUTO_TEST_CASE(give_the_same_with_any_number_of_threads) {
  Subject<Cpu<float>, LinearProjections> subject(3, 200, 3.0);
  const auto all = sources(subject.vocabulary(), 20);
  GenerationConfig sampled;
  sampled.do_sample = true;
  sampled.top_p = 0.9;
  sampled.max_length = 20;
  for (const auto& how : {beams(5), beams(1), sampled}) {
    const auto expected = subject.generate(all, how);
    for (const int threads : {2, 7}) {
      Cpu<float> backend(threads);
      Generator<decltype(subject)::Model> generator(backend, subject.model);
      BOOST_TEST((generator(batch_of(all, subject.pad()), how) == expected));
    }
  }
}

// Device memory is never touched on the host.
BOOST_AUTO_TEST_CASE(work_behind_the_fence) {
  using Closed = neural_attention::testing::Fenced<B>;
  Subject<B, paper::marian> open(5);
  Subject<Closed, paper::marian> closed(5);
  const auto all = sources(open.vocabulary());
  GenerationConfig sampled;
  sampled.do_sample = true;
  sampled.num_return_sequences = 2;
  sampled.max_length = 20;
  for (const auto& how : {beams(4), beams(1), sampled}) {
    const auto expected = open.generate(all, how);
    BOOST_TEST(expected.size() == all.size());
    BOOST_TEST((closed.generate(all, how) == expected));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(may_be_empty) {
  Subject<B, LinearProjections> subject(1);
  for (const int count : {1, 4}) BOOST_TEST(subject.generate({}, beams(count)).empty());
}

// The backend has packed copies of the weights as they were.
BOOST_AUTO_TEST_CASE_TEMPLATE(see_weights_that_changed, Number, Scalars) {
  Subject<Cpu<Number>, paper::marian> subject(1);
  auto& store = subject.model.parameters();
  const auto all = sources(subject.vocabulary());
  const auto before = subject.generate(all, beams(4));
  const auto version = store.version();
  BOOST_TEST((subject.generate(all, beams(4)) == before));
  BOOST_TEST(store.version().number == version.number);
  subject.backend(ops::Scale<Cpu<Number>>{.x = store.values(), .factor = 1.25});
  store.refresh();
  BOOST_TEST(store.version().number != version.number);
  Cpu<Number> other(1);
  Generator<typename decltype(subject)::Model> generator(other, subject.model);
  const auto after = subject.generate(all, beams(4));
  BOOST_TEST((after == generator(batch_of(all, subject.pad()), beams(4))));
  BOOST_TEST((after != before));
}

BOOST_AUTO_TEST_CASE(may_follow_one_another) {
  Subject<B, LinearProjections> subject(1);
  Generator<decltype(subject)::Model> generator(subject.backend, subject.model);
  const auto all = sources(subject.vocabulary());
  for (const std::ptrdiff_t count : {10, 1, 3, 10})
    for (const int width : {4, 1, 2}) {
      const Sentences some(all.begin(), all.begin() + count);
      BOOST_TEST((generator(batch_of(some, subject.pad()), beams(width)) == subject.generate(some, beams(width))));
    }
}

BOOST_AUTO_TEST_CASE(that_do_not_fit_the_model_are_refused) {
  Subject<B, LinearProjections> subject(1);
  const int vocabulary = subject.vocabulary();
  BOOST_CHECK_THROW(subject.generate({{1, vocabulary, 0}}, beams(2)), ShapeError);
  BOOST_CHECK_THROW(subject.generate({{1, -1, 0}}, beams(2)), ShapeError);
  BOOST_CHECK_THROW(subject.generate({{1, 0}, {}}, beams(2)), ShapeError);
  BOOST_CHECK_THROW(subject.generate({Ids(positions + 1, 1)}, beams(2)), ShapeError);
  BOOST_CHECK_NO_THROW(subject.generate({Ids(positions, 1)}, beams(2)));
}

BOOST_AUTO_TEST_CASE(configs_that_make_no_sense_are_refused) {
  Subject<B, LinearProjections> subject(1);
  const auto refused = [&](auto&& change) {
    auto how = beams(2);
    change(how);
    BOOST_CHECK_THROW(subject.generate({{1, 0}}, how), ConfigError);
  };
  refused([](auto& how) { how.num_beams = 0; });
  refused([](auto& how) { how.num_beams = 1001; });  // candidates grow with the square
  refused([](auto& how) { how.num_return_sequences = 3; });
  refused([](auto& how) { how.max_length = 1; });
  refused([](auto& how) { how.do_sample = true; });
  refused([](auto& how) { how.eos_token_id = 31; });
  refused([](auto& how) { how.decoder_start_token_id = -2; });
  refused([](auto& how) { how.forced_eos_token_id = 31; });
  refused([](auto& how) { how.bad_words_ids = {{1, 31}}; });
  refused([](auto& how) { how.bad_words_ids = {{-1}}; });
  refused([](auto& how) { how.bad_words_ids = {{}}; });
}

BOOST_AUTO_TEST_CASE(of_a_broken_model_are_noticed) {
  for (const double broken : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Subject<B, LinearProjections> subject(1);
    for (int id = 0; id < subject.vocabulary(); ++id) subject.set_bias(id, broken);
    for (const bool renormalized : {false, true}) {
      auto how = beams(3);
      how.renormalize_logits = renormalized;
      BOOST_CHECK_THROW(subject.generate({{1, 0}}, how), NumericError);
    }
  }
  Subject<B, LinearProjections> subject(1);
  for (int id = 0; id < subject.vocabulary(); ++id) subject.set_bias(id, std::nan(""));
  auto how = beams(1);
  BOOST_CHECK_THROW(subject.generate({{1, 0}}, how), NumericError);
  how.do_sample = true;
  BOOST_CHECK_THROW(subject.generate({{1, 0}}, how), NumericError);
}

// A single logit that is not finite is refused by every search alike, wherever it stands, unless it is ruled out.
BOOST_AUTO_TEST_CASE(of_one_logit_that_is_not_finite_are_refused) {
  std::vector<GenerationConfig> searches;
  for (const int width : {1, 3})
    for (const bool renormalized : {false, true}) {
      searches.push_back(beams(width));
      searches.back().renormalize_logits = renormalized;
    }
  for (const SamplingShape shape : {SamplingShape{}, {0.7, 5, 1.0}, {1.3, 0, 0.8}}) {
    auto& how = searches.emplace_back(beams(1));
    how.do_sample = true;
    how.temperature = shape.temperature;
    how.top_k = shape.top_k;
    how.top_p = shape.top_p;
  }
  for (const double broken : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const int id : {0, 16, 29}) {
      Subject<B, LinearProjections> subject(1);
      subject.set_bias(id, broken);
      for (auto how : searches) {
        BOOST_CHECK_THROW(subject.generate({{1, 2, 0}, {1, 0}}, how), NumericError);
        if (id == eos || how.num_beams > 1) continue;
        how.bad_words_ids.push_back({id});
        BOOST_CHECK_NO_THROW(subject.generate({{1, 2, 0}, {1, 0}}, how));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
