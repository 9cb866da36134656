// The Translator: text in and out, the same alone as in company, the same at once as one after another.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE translator
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/text/services/translator.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"

using namespace neural_attention;
using Lines = std::vector<std::string>;
using Backends = std::tuple<Cpu<float>, Cpu<double>>;

namespace {

const text::MarianTokenizer& tokenizer() {
  static const auto loaded = text::MarianTokenizer::load(NEURAL_ATTENTION_GOLDEN_DIR "/marian_tokenizer");
  return loaded;
}

MarianConfig config() {
  auto config = marian_small(tokenizer().vocab_size());
  config.d_model = 16;
  config.encoder_layers = config.decoder_layers = 2;
  config.encoder_attention_heads = config.decoder_attention_heads = 2;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 24;
  config.max_position_embeddings = 40;
  return config;
}

/// A model with random weights, large enough for its choices to be clear.
template <class B>
struct Subject {
  using Model = Marian<B, paper::marian>;

  Subject() : model(backend, config(), 7, Purpose::Inference) {
    backend(ops::Scale<B>{.x = model.parameters().values(), .factor = 1.5});
  }

  auto translator(text::TranslatorOptions options = {}) const {
    return text::Translator(model, tokenizer(), beams(4), options);
  }
  static GenerationConfig beams(int count) {
    auto how = generation_defaults(config());
    how.num_beams = how.num_return_sequences = count;
    how.max_length = 20;
    return how;
  }

  B backend{1};
  Model model;
};

/// 64 sentences of 1 to 16 words, with an empty line.
Lines sentences() {
  const Lines words = {"Der", "Hund", "sieht", "einen", "Mann", "Baum", "Tisch", "mag", "aber", "nicht"};
  Lines lines;
  for (std::size_t i = 0; i < 64; ++i) {
    auto& line = lines.emplace_back();
    for (std::size_t w = 0; w <= (i * 7) % 16; ++w) line += (w ? " " : "") + words[(i + w * w) % words.size()];
  }
  lines[5] = "   ";
  return lines;
}

/// Largest difference of scores. Texts and tokens must be equal.
double difference(const text::Translation& a, const text::Translation& b) {
  BOOST_TEST_REQUIRE(a.candidates.size() == b.candidates.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.candidates.size(); ++i) {
    BOOST_TEST(a.candidates[i].text == b.candidates[i].text);
    BOOST_TEST(a.candidates[i].ids == b.candidates[i].ids, boost::test_tools::per_element());
    largest = std::max(largest, std::abs(a.candidates[i].score - b.candidates[i].score));
  }
  return largest;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_sentence_is_translated_alone_as_in_company, B, Backends) {
  const Subject<B> subject;
  const auto translator = subject.translator();
  const auto lines = sentences();
  const auto together = translator.translate(lines);
  BOOST_TEST_REQUIRE(together.size() == lines.size());
#if defined(NEURAL_ATTENTION_ONEDNN)  // whose sums may depend on the number of rows
  const double bound = std::is_same_v<typename B::Scalar, float> ? 1e-5 : 0.0;
#else
  const double bound = 0.0;
#endif
  std::size_t tokens = 0, different = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    BOOST_TEST_CONTEXT("line " << i) BOOST_TEST(difference(together[i], translator.translate(lines[i])) <= bound);
    tokens += together[i].candidates.front().ids.size();
    different += together[i].text() != together[0].text();
    for (std::size_t k = 1; k < together[i].candidates.size(); ++k)
      BOOST_TEST(together[i].candidates[k - 1].score >= together[i].candidates[k].score);
  }
  BOOST_TEST(tokens > 200u);    // else there was nothing to be different
  BOOST_TEST(different > 20u);  // and all would be alike
}

BOOST_AUTO_TEST_CASE(small_batches_give_what_large_ones_give) {
  const Subject<Cpu<double>> subject;
  const auto lines = sentences();
  const auto expected = subject.translator().translate(lines);
  for (const auto& [sentences_of, tokens_of] : {std::pair{5, 8192}, std::pair{64, 100}, std::pair{1, 1}}) {
    text::TranslatorOptions options;
    options.batch_size = sentences_of;
    options.batch_tokens = tokens_of;
    const auto translator = subject.translator(options);
    std::size_t calls = 0, done = 0;
    const auto results = translator.translate(lines, translator.generation(), 0, [&](const auto& progress) {
      ++calls;
      BOOST_TEST(progress.lines > done);
      done = progress.lines;
    });
    BOOST_TEST(done == lines.size());
    BOOST_TEST(calls > 10u);
    for (std::size_t i = 0; i < lines.size(); ++i) BOOST_TEST(difference(results[i], expected[i]) == 0.0);
  }
}

BOOST_AUTO_TEST_CASE(spaces_are_cleaned_up_where_asked_for) {
  const Subject<Cpu<double>> subject;
  // Of a space, "e" and a full stop, each behind each, a text has nearly all pairs: a full stop behind a space, too.
  auto how = Subject<Cpu<double>>::beams(4);
  const auto& vocabulary = tokenizer().vocabulary();
  for (int id = 1; id < vocabulary.size(); ++id)
    if (const auto& piece = vocabulary.piece(id); piece != "\u2581" && piece != "e" && piece != ".")
      how.suppress_tokens.push_back(id);
  how.no_repeat_ngram_size = 2;
  how.min_length = 10;
  const auto lines = sentences();
  text::TranslatorOptions options;
  const auto as_it_is = subject.translator(options).translate(lines, how);
  int changed = 0;
  for (const bool clean : {false, true}) {
    options.clean_up_spaces = clean;
    const auto results = subject.translator(options).translate(lines, how);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto& exact = as_it_is[i].text();  // the folder says nothing
      BOOST_TEST(results[i].text() == (clean ? text::MarianTokenizer::clean_up_english(exact) : exact));
      changed += results[i].text() != exact;
    }
  }
  BOOST_TEST(changed > 0);
}

// A full stop that ends a sentence stands in its text; </s> does not.
BOOST_AUTO_TEST_CASE(an_end_that_is_a_piece_is_part_of_the_text) {
  const Subject<Cpu<double>> subject;
  auto how = Subject<Cpu<double>>::beams(1);
  how.max_length = 12;
  const auto translator = subject.translator();
  const auto plain = translator.translate(sentences(), how);
  int ended = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const auto& ids = plain[i].candidates.front().ids;
    if (ids.size() < 4) continue;
    how.further_eos_token_ids = {ids[2]};
    const auto place = std::find(ids.begin(), ids.end(), ids[2]);
    const auto cut = translator.translate(sentences()[i], how);
    BOOST_TEST((cut.candidates.front().ids == std::vector<int>(ids.begin(), place)));
    BOOST_TEST(cut.text() == tokenizer().decode(std::vector<int>(ids.begin(), place + 1)));
    ++ended;
  }
  BOOST_TEST(ended > 10);
}

/// Counts the searches of its lifetime.
struct Searches final : OperationObserver {
  std::int64_t now() const override { return 0; }
  void ran(const OperationFacts&, std::int64_t, std::int64_t) override {}
  void enter(std::string_view work) override {
    if (work == "searching") ++count;
  }
  void leave() noexcept override {}
  std::shared_ptr<void> know(std::span<const NamedMemory>, std::span<const NamedSite>) override { return {}; }

  int count = 0;
  Observation observation{*this};
};

BOOST_AUTO_TEST_CASE(many_samples_are_drawn_in_parts) {
  const Subject<Cpu<double>> subject;
  auto how = Subject<Cpu<double>>::beams(1);
  how.do_sample = true;
  how.num_return_sequences = 20;
  const Lines lines = {"Der Hund", "", "Der Mann sieht einen Baum", "Der Tisch", "Der Mann"};
  const auto searches = [&](int batch_size) {
    text::TranslatorOptions options;
    options.batch_size = batch_size;
    const auto translator = subject.translator(options);
    Searches counted;
    auto results = translator.translate(lines, how, 3);
    return std::pair(counted.count, std::move(results));
  };
  const auto [one, expected] = searches(100);
  BOOST_TEST(one == 2);  // line 2 has no text, and the draws of a batch are of lines that follow one another
  for (const auto& [batch_size, count] : {std::pair{60, 2}, {40, 3}, {20, 4}, {7, 12}, {1, 80}}) {
    const auto [found, results] = searches(batch_size);
    BOOST_TEST(found == count);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      BOOST_TEST(results[i].candidates.size() == (i == 1 ? 1u : 20u));
      BOOST_TEST(difference(results[i], expected[i]) == 0.0);
    }
  }
}

BOOST_AUTO_TEST_CASE(draws_depend_on_the_line_and_not_on_the_batch) {
  const Subject<Cpu<double>> subject;
  auto how = Subject<Cpu<double>>::beams(1);
  how.do_sample = true;
  how.num_return_sequences = 2;
  const auto lines = sentences();
  text::TranslatorOptions small;
  small.batch_size = 7;
  const auto whole = subject.translator().translate(lines, how);
  const auto pieces = subject.translator(small);
  const auto first = pieces.translate(std::span(lines).first(30), how);
  const auto rest = pieces.translate(std::span(lines).subspan(30), how, 30);
  std::size_t drawn = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    difference(whole[i], i < 30 ? first[i] : rest[i - 30]);
    drawn += whole[i].candidates.size() == 2 && whole[i].candidates[0].ids != whole[i].candidates[1].ids;
  }
  BOOST_TEST(drawn > 40u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(requests)

/// What threads saw is compared here afterwards: Boost.Test's checks are not for several threads.
BOOST_AUTO_TEST_CASE(eight_at_once_give_what_one_after_another_gives) {
  const Subject<Cpu<float>> subject;
  const auto lines = sentences();
  const auto part = [&](std::size_t request) { return std::span(lines).subspan(request * 8, 8); };
  const auto alone = subject.translator();
  for (const int workers : {1, 3, 8}) {
    text::TranslatorOptions options;
    options.workers = workers;
    options.threads = 2;
    options.batch_size = 3;
    const auto translator = subject.translator(options);
    std::vector<std::vector<text::Translation>> found(8);
    std::vector<std::thread> callers;
    for (std::size_t request = 0; request < 8; ++request)
      callers.emplace_back([&, request] { found[request] = translator.translate(part(request)); });
    for (auto& caller : callers) caller.join();
    for (std::size_t request = 0; request < 8; ++request) {
      const auto expected = translator.translate(part(request));
      BOOST_TEST_REQUIRE(found[request].size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(difference(found[request][i], expected[i]) == 0.0);
        BOOST_TEST(found[request][i].text() == alone.translate(part(request)[i]).text());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(products_are_of_the_numbers_that_the_options_name) {
  const Subject<Cpu<float>> subject;
  text::TranslatorOptions options;
  options.precision = Precision::BFloat16;
  const auto rounded = subject.translator(options).translate("Der Hund sieht einen Baum");
  Cpu<float> backend(2, Precision::BFloat16);
  TranslationBatch batch(resolved(Subject<Cpu<float>>::beams(4), config()).decoder_start_token_id);
  batch.push(rounded.source_ids, {});
  Generator generator(backend, subject.model);
  const auto expected = generator(batch, Subject<Cpu<float>>::beams(4)).front();
  BOOST_TEST_REQUIRE(rounded.candidates.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST(rounded.candidates[i].ids == expected[i].ids, boost::test_tools::per_element());
    BOOST_TEST(rounded.candidates[i].score == expected[i].score);
  }
  BOOST_TEST(rounded.candidates.front().score !=
             subject.translator().translate("Der Hund sieht einen Baum").candidates.front().score);
}

BOOST_AUTO_TEST_CASE(a_request_that_fails_gives_its_worker_back) {
  Subject<Cpu<float>> subject;
  const auto translator = subject.translator();
  subject.backend(ops::Scale<Cpu<float>>{.x = subject.model.parameters().values(), .factor = 1e30});
  subject.model.parameters().refresh();
  BOOST_CHECK_THROW(translator.translate("Der Hund"), NumericError);
  BOOST_CHECK_THROW(translator.translate("Der Hund"), NumericError);  // with one worker lost this would wait for ever
}

BOOST_AUTO_TEST_CASE(who_hears_of_a_batch_may_translate) {
  const Subject<Cpu<float>> subject;
  text::TranslatorOptions options;
  options.batch_size = 2;
  const auto translator = subject.translator(options);  // with its one worker taken this would wait for ever
  const auto expected = translator.translate("Der Hund");
  int heard = 0;
  translator.translate(Lines{"Der Hund", "Der Mann", "Der Baum"}, translator.generation(), 0, [&](const auto&) {
    BOOST_TEST(difference(translator.translate("Der Hund"), expected) == 0.0);
    ++heard;
  });
  BOOST_TEST(heard == 2);
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense_are_refused) {
  const Subject<Cpu<float>> subject;
  const auto refused = [&](auto change) {
    text::TranslatorOptions options;
    change(options);
    BOOST_CHECK_THROW(subject.translator(options), ConfigError);
  };
  refused([](auto& o) { o.workers = 0; });
  refused([](auto& o) { o.threads = -1; });
  refused([](auto& o) { o.batch_size = 0; });
  refused([](auto& o) { o.batch_tokens = 0; });
  refused([](auto& o) { o.max_source_tokens = 1; });
  auto how = Subject<Cpu<float>>::beams(2);
  how.num_return_sequences = 3;
  BOOST_CHECK_THROW(text::Translator(subject.model, tokenizer(), how), ConfigError);
  BOOST_CHECK_THROW(subject.translator().translate("Der Hund", how), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lines)

BOOST_AUTO_TEST_CASE(that_are_not_utf8_are_refused) {
  const Subject<Cpu<float>> subject;
  const auto translator = subject.translator();
  const auto says = [](const std::string& what) {
    return [what](const TextError& error) { return std::string(error.what()).find(what) != std::string::npos; };
  };
  BOOST_CHECK_EXCEPTION(translator.translate("caf\xE9"), TextError, says("line 1: byte 0xE9 at place 4"));
  BOOST_CHECK_EXCEPTION(translator.translate(Lines{"Hund", "", "\xC3"}), TextError,
                        says("line 3: byte 0xC3 at place 1"));
  BOOST_CHECK_EXCEPTION(translator.translate(Lines{"\xFF"}, translator.generation(), 41), TextError, says("line 42: "));
}

BOOST_AUTO_TEST_CASE(empty_lines_have_one_empty_translation) {
  const Subject<Cpu<float>> subject;
  const auto translator = subject.translator();
  for (const auto* line : {"", "  \t "}) {
    const auto result = translator.translate(line);
    BOOST_TEST(result.candidates.size() == 1u);
    BOOST_TEST(result.text() == "");
    BOOST_TEST(!result.truncated);
  }
  BOOST_TEST(translator.translate(Lines{}).empty());
  BOOST_TEST(translator.translate(Lines{"", ""}).size() == 2u);
}

BOOST_AUTO_TEST_CASE(long_lines_are_cut_behind_their_first_tokens_and_keep_their_end) {
  const Subject<Cpu<float>> subject;
  std::string line = "Der";
  for (int i = 0; i < 1999; ++i) line += " Hund";
  const auto check = [&](const auto& translator, std::size_t limit) {
    const auto result = translator.translate(line);
    BOOST_TEST(result.truncated);
    BOOST_TEST(result.source_tokens == static_cast<int>(tokenizer().source_ids(line).size()));
    BOOST_TEST_REQUIRE(result.source_ids.size() == limit);
    BOOST_TEST(result.source_ids.back() == tokenizer().eos_id());
    auto whole = tokenizer().source_ids(line);
    whole.resize(limit - 1);
    BOOST_TEST(std::equal(whole.begin(), whole.end(), result.source_ids.begin()));
    BOOST_TEST(result.text() == translator.translate(line.substr(0, line.size() - 5)).text());
  };
  check(subject.translator(), 40);
  text::TranslatorOptions options;
  options.max_source_tokens = 12;
  check(subject.translator(options), 12);
  const auto fits = subject.translator(options).translate("Der Hund");
  BOOST_TEST(!fits.truncated);
  BOOST_TEST(fits.source_tokens == static_cast<int>(fits.source_ids.size()));
}

BOOST_AUTO_TEST_CASE(attention_maps_belong_to_pieces) {
  const Subject<Cpu<double>> subject;
  const auto translator = subject.translator();
  const auto result = translator.translate("Der Hund mag einen Baum");
  const auto sources = translator.pieces(result.source_ids);
  BOOST_TEST(std::count(sources.begin(), sources.end(), "▁Hund") == 1);
  BOOST_TEST(sources.back() == "</s>");
  for (std::size_t candidate = 0; candidate < result.candidates.size(); ++candidate) {
    const auto maps = translator.cross_attention(result, candidate);
    BOOST_TEST_REQUIRE(maps.size() == 4u);  // two layers of two heads
    for (const auto& map : maps) {
      BOOST_TEST(map.keys == static_cast<int>(sources.size()));
      BOOST_TEST(map.queries == static_cast<int>(result.candidates[candidate].ids.size()) + 1);
      for (int q = 0; q < map.queries; ++q) {
        double sum = 0.0;
        for (int k = 0; k < map.keys; ++k) sum += map.probabilities[static_cast<std::size_t>(q * map.keys + k)];
        BOOST_TEST(std::abs(sum - 1.0) < 1e-6);
      }
    }
    BOOST_TEST(maps[0].probabilities != maps[3].probabilities);
  }
}

// A candidate that reached the length limit has no end, and no position that produced one.
BOOST_AUTO_TEST_CASE(attention_maps_have_only_positions_that_produced_a_token) {
  const Subject<Cpu<double>> subject;
  auto how = Subject<Cpu<double>>::beams(1);
  how.forced_eos_token_id = -1;
  how.min_length = how.max_length = config().max_position_embeddings + 1;  // the start token and 40 more
  const auto translator = subject.translator();
  const auto check = [&](const text::Translation& result, std::size_t queries) {
    const auto& candidate = result.candidates.front();
    BOOST_TEST(candidate.produced().size() == queries);
    for (const auto& map : translator.cross_attention(result)) BOOST_TEST(std::size_t(map.queries) == queries);
    return candidate;
  };
  const auto cut = check(translator.translate("Der Hund mag einen Baum", how), 40);
  BOOST_TEST(cut.end == -1);
  BOOST_TEST(cut.ids.size() == 40u);
  how.forced_eos_token_id = tokenizer().eos_id();
  how.max_length = 9;
  const auto ended = check(translator.translate("Der Hund mag einen Baum", how), 8);
  BOOST_TEST(ended.end == tokenizer().eos_id());
  BOOST_TEST(ended.ids.size() == 7u);
  BOOST_CHECK_THROW(translator.cross_attention(translator.translate("")), ShapeError);
  BOOST_CHECK_THROW(translator.cross_attention(translator.translate(""), 1), ShapeError);
}

BOOST_AUTO_TEST_SUITE_END()

// Embeddings are often padded to a multiple of 8 or 64 rows. Those rows have no piece and could not be written.
BOOST_AUTO_TEST_SUITE(more_rows_than_pieces)

BOOST_AUTO_TEST_CASE(are_never_chosen) {
  Cpu<double> backend{1};
  auto padded = config();
  const int pieces = padded.vocab_size;
  padded.vocab_size = pieces + 5;
  Marian<Cpu<double>, paper::marian> model(backend, padded, 7, Purpose::Inference);
  backend(ops::Scale<Cpu<double>>{.x = model.parameters().values(), .factor = 1.5});
  for (const auto& entry : model.parameters().entries()) {
    if (entry.name != "final_logits_bias") continue;
    std::vector<double> bias(static_cast<std::size_t>(padded.vocab_size), 0.0);
    std::fill(bias.begin() + pieces, bias.end(), 1000.0);  // the likeliest by far
    backend(ops::Upload<Cpu<double>>{.values = bias,
                                     .x = {model.parameters().values().data + entry.offset, entry.rows, entry.cols}});
  }
  model.parameters().refresh();
  auto how = generation_defaults(padded);
  how.max_length = 12;
  const text::Translator translator(model, tokenizer(), how);
  const auto check = [&](const GenerationConfig& asked) {
    for (const auto& translation : translator.translate(sentences(), asked))
      for (const auto& candidate : translation.candidates)
        for (const int id : candidate.ids) BOOST_TEST_REQUIRE(id < pieces);
  };
  check(how);  // greedy
  how.num_beams = how.num_return_sequences = 4;
  check(how);
  how.renormalize_logits = false;
  check(how);
  how.num_beams = how.num_return_sequences = 1;
  how.do_sample = true;
  how.temperature = 5.0;
  check(how);
  // Neither do they end a sentence, or begin one by force.
  how.further_eos_token_ids = {pieces};
  check(how);
  how.forced_bos_token_id = pieces;
  BOOST_CHECK_THROW(check(how), ConfigError);
}

BOOST_AUTO_TEST_CASE(fewer_rows_are_refused) {
  Cpu<double> backend{1};
  auto small = config();
  small.vocab_size -= 1;
  small.pad_token_id = small.vocab_size - 1;
  const Marian<Cpu<double>, paper::marian> model(backend, small, 7, Purpose::Inference);
  BOOST_CHECK_THROW(text::Translator(model, tokenizer(), generation_defaults(small)), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()
