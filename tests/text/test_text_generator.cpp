// TextGenerator: its texts are the decoded ids of a Generator, the same from any thread, in any batch and piece by
// piece; stop strings end them wherever tokens do. And TextStream, which settles a text.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE text_text_generator
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/gpt2.hpp"
#include "neural_attention/text/services/text_generator.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using B = Cpu<float>;
using Model = Gpt2<B, LinearProjections>;
using Texts = std::vector<std::string>;
using text::TextEnd, text::TextGenerationConfig, text::TextPiece, text::TextStream;

static_assert(std::input_iterator<text::TextPieces::Iterator> &&
              std::sentinel_for<std::default_sentinel_t, text::TextPieces::Iterator>);

namespace {

Gpt2Config config(int vocabulary, int end) {
  Gpt2Config config;
  config.vocab_size = vocabulary;
  config.n_embd = 8;
  config.n_layer = config.n_head = 2;
  config.n_inner = 12;
  config.max_position_embeddings = 40;
  config.initializer_range = 0.8;
  config.bos_token_id = config.eos_token_id = end;
  return config;
}

template <class Tokenizer>
struct Subject {
  /// The model has two rows more than there are pieces.
  Subject(Tokenizer pieces, int end)
      : tokenizer(std::move(pieces)),
        model(backend, config(tokenizer.vocab_size() + 2, end), 11, Purpose::Inference),
        generate_ids(backend, model) {}

  auto generator(text::TextGeneratorOptions options = {}) const {
    return text::TextGenerator(model, tokenizer, GenerationConfig{}, options);
  }
  Generator<Model>::Results ids_of(const Texts& prompts, GenerationConfig how) {
    PackedTokens batch;
    for (const auto& prompt : prompts) batch.push(tokenizer.encode(prompt));
    for (int id = tokenizer.vocab_size(); id < model.config().vocab_size; ++id) how.suppress_tokens.push_back(id);
    return generate_ids(batch, how);
  }

  B backend{1};
  Tokenizer tokenizer;
  Model model;
  Generator<Model> generate_ids;
};

struct Characters : Subject<text::CharacterVocabulary> {
  Characters() : Subject(text::CharacterVocabulary::of_text("abcdefg \n.\u00e9\u00fc\u20ac\U0001F600"), -1) {}
};
struct Bytes : Subject<text::ByteBpe> {
  static constexpr int end = 2;  // </s>
  Bytes()
      : Subject(text::ByteBpe::train(Texts(3, "the dog sees the cat and the cat sees a caf\u00e9"), {300, 2}), end) {}
};

const Texts prompts = {"a", "abc de", "fg\u20ac\U0001F600 a", "\u00e9", "gfedcba abcdefg"};

GenerationConfig greedy(int tokens = 20) {
  GenerationConfig how;
  how.max_new_tokens = tokens;
  return how;
}
GenerationConfig drawn(int tokens = 20, int samples = 3) {
  auto how = greedy(tokens);
  how.do_sample = true;
  how.num_return_sequences = samples;
  how.temperature = 1.5;
  how.top_p = 0.95;
  how.seed = 5;
  return how;
}
GenerationConfig beams(int tokens = 12) {
  auto how = greedy(tokens);
  how.num_beams = 3;
  how.num_return_sequences = 2;
  return how;
}

void require_same(const std::vector<text::Continuation>& found, const std::vector<text::Continuation>& expected) {
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    BOOST_TEST(found[i].prompt_ids == expected[i].prompt_ids);
    BOOST_TEST_REQUIRE(found[i].candidates.size() == expected[i].candidates.size());
    for (std::size_t c = 0; c < found[i].candidates.size(); ++c) {
      const auto &a = found[i].candidates[c], &b = expected[i].candidates[c];
      BOOST_TEST(a.text == b.text);
      BOOST_TEST(a.ids == b.ids);
      BOOST_TEST(a.score == b.score);
      BOOST_TEST((a.end == b.end));
    }
  }
}

/// All pieces of a request, put together.
struct Pieces {
  std::vector<Texts> texts;
  text::TextGenerator<Model, text::CharacterVocabulary>::OnText collect() {
    return [this](const TextPiece& piece) {
      texts.resize(std::max(texts.size(), piece.prompt + 1));
      auto& all = texts[piece.prompt];
      all.resize(std::max(all.size(), piece.candidate + 1));
      all[piece.candidate] += piece.text;
      BOOST_TEST(utf8_fault(piece.text) == "");
      BOOST_TEST(!piece.text.empty());
      return true;
    };
  }
  void require(const std::vector<text::Continuation>& whole) {
    texts.resize(whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      texts[i].resize(whole[i].candidates.size());
      for (std::size_t c = 0; c < texts[i].size(); ++c) BOOST_TEST(texts[i][c] == whole[i].candidates[c].text);
    }
  }
};

/// The pieces that a stream gives, and "|" where it ended by a stop string.
Texts streamed(const Texts& stops, const Texts& tokens) {
  TextStream stream(stops);
  Texts pieces;
  const auto take = [&] {
    if (const auto piece = stream.take(); !piece.empty()) pieces.emplace_back(piece);
  };
  for (const auto& token : tokens) {
    stream.push(token);
    take();
  }
  stream.end();
  take();
  if (stream.stopped()) pieces.push_back("|");
  return pieces;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stream)

BOOST_AUTO_TEST_CASE(gives_whole_characters) {
  BOOST_TEST(streamed({}, {"a\xE2", "\x82", "\xAC\xF0\x9F", "\x98\x80", "b"}) ==
             Texts({"a", "\u20ac", "\U0001F600", "b"}));
  // As Python's bytes.decode("utf-8", "replace") has it.
  BOOST_TEST(streamed({}, {"\xFF", "\xE2\x28", "\xF0\x9F\x98", "x\xED\xA0\x80", "\xC3"}) ==
             Texts({"\uFFFD", "\uFFFD(", "\uFFFDx\uFFFD\uFFFD\uFFFD", "\uFFFD"}));
}

BOOST_AUTO_TEST_CASE(holds_back_what_may_become_a_stop_string) {
  BOOST_TEST(streamed({"END", "\n\n"}, {"so E", "N", "T", "\n", "x\n", "\ny"}) == Texts({"so ", "ENT", "\nx", "|"}));
  BOOST_TEST(streamed({"END"}, {"so E", "N"}) == Texts({"so ", "EN"}));
  BOOST_TEST(streamed({"a\u00e9!"}, {"ba", "\xC3", "\xA9", "?"}) == Texts({"b", "a\u00e9?"}));
  BOOST_TEST(streamed({"aab"}, {"a", "a", "a", "b"}) == Texts({"a", "|"}));
  BOOST_TEST(streamed({"b"}, {"b"}) == Texts({"|"}));
}

// However tokens cut a text, it ends before the stop string that ends first.
BOOST_AUTO_TEST_CASE(ends_at_the_same_place_for_any_tokens) {
  const std::string whole = "one abcd two\u20ac three";
  for (const Texts& stops : {Texts{"abcd", "bc"}, Texts{"d two", "cd"}, Texts{"c", "bc"}, Texts{"\u20ac t", "ree"}}) {
    std::string expected;
    for (std::size_t size = 1; size <= whole.size(); ++size) {
      Texts tokens;
      for (std::size_t i = 0; i < whole.size(); i += size) tokens.push_back(whole.substr(i, size));
      std::string text;
      for (const auto& piece : streamed(stops, tokens)) text += piece;
      if (size == 1) expected = text;
      BOOST_TEST(text == expected);
      BOOST_TEST(text.ends_with("|"));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(characters, Characters)

BOOST_AUTO_TEST_CASE(are_what_a_generator_finds) {
  const auto generate = generator();
  for (const auto& how : {greedy(), drawn(), beams(), greedy(1000)}) {
    const auto expected = ids_of(prompts, how);
    const auto found = generate.generate(prompts, how);
    BOOST_TEST_REQUIRE(found.size() == prompts.size());
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      BOOST_TEST_REQUIRE(found[p].candidates.size() == expected[p].size());
      const auto most =
          std::min<std::size_t>(static_cast<std::size_t>(how.max_new_tokens), 41 - tokenizer.encode(prompts[p]).size());
      for (std::size_t c = 0; c < expected[p].size(); ++c) {
        const auto& one = found[p].candidates[c];
        BOOST_TEST(one.ids == expected[p][c].ids);
        BOOST_TEST(one.ids.size() == most);  // there is no end token
        BOOST_TEST(one.text == tokenizer.decode(one.ids));
        BOOST_TEST(one.score == expected[p][c].score);
        BOOST_TEST((one.end == TextEnd::Length));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(are_the_same_alone_in_any_batch_and_from_any_thread) {
  for (const auto& how : {greedy(), drawn(), beams()}) {
    const auto expected = generator().generate(prompts, how);
    require_same(generator({.batch_size = 1}).generate(prompts, how), expected);
    require_same(generator({.batch_size = 7}).generate(prompts, how), expected);
    const auto shared = generator({.workers = 2, .threads = 1, .batch_size = 6});
    for (std::size_t p = 0; p < prompts.size(); ++p)
      require_same(shared.generate(std::span(prompts).subspan(p, 1), how, p), {expected[p]});
    require_same({shared.generate(prompts[0], how)}, {expected[0]});
    std::vector<std::vector<text::Continuation>> found(2);
    std::vector<std::thread> threads;
    for (auto& results : found)
      threads.emplace_back([&] {
        for (int turn = 0; turn < 3; ++turn) results = shared.generate(prompts, how);
      });
    for (auto& thread : threads) thread.join();
    for (const auto& results : found) require_same(results, expected);
  }
  auto other = drawn();
  const auto first = generator().generate(prompts, other);
  other.seed = 6;
  BOOST_TEST(generator().generate(prompts, other)[0].text() != first[0].text());
  BOOST_TEST(first[0].candidates[0].text != first[0].candidates[1].text);
}

BOOST_AUTO_TEST_CASE(are_no_more_at_once_than_the_batch_size) {
  const auto expected = generator().generate("abc", drawn(6, 5));
  std::vector<std::size_t> parts;
  const Texts one = {"abc"};
  const auto found = generator({.batch_size = 2}).generate(one, drawn(6, 5), 0, [&](const TextPiece& piece) {
    parts.push_back(piece.candidate / 2);
    return true;
  });
  require_same(found, {expected});
  BOOST_TEST((std::is_sorted(parts.begin(), parts.end()) && parts.back() == 2u));
}

BOOST_AUTO_TEST_CASE(may_be_read_before_they_are_asked_for) {
  const auto generate = generator();
  BOOST_TEST(generate.prompt_ids("abc") == tokenizer.encode("abc"));
  BOOST_CHECK_EXCEPTION(generate.prompt_ids(std::string(41, 'a')), ConfigError,
                        says({"the prompt has 41 tokens, but the model reads 40"}));
  BOOST_CHECK_EXCEPTION(generate.prompt_ids("x"), TextError, says({"the prompt: "}));
  BOOST_CHECK_EXCEPTION(generate.prompt_ids("\xFF"), TextError, says({"the prompt: "}));
}

BOOST_AUTO_TEST_CASE(are_read_once) {
  struct Counting : text::CharacterVocabulary {
    explicit Counting(const text::CharacterVocabulary& all) : text::CharacterVocabulary(all) {}
    std::vector<int> encode(std::string_view prompt) const {
      ++times;
      return text::CharacterVocabulary::encode(prompt);
    }
    mutable int times = 0;
  };
  const Counting counting(tokenizer);
  const text::TextGenerator generate(model, counting, GenerationConfig{});
  for (const auto& how : {greedy(), drawn(), beams()}) {
    std::vector<std::vector<int>> read;
    for (const auto& prompt : prompts) read.push_back(generate.prompt_ids(prompt, how));
    counting.times = 0;
    require_same(generate.generate(read, how), generator().generate(prompts, how));
    BOOST_TEST(counting.times == 0);
  }
  const std::vector<std::vector<int>> none(1), beyond = {{0, model.config().vocab_size}};
  for (const auto& wrong : {none, beyond}) BOOST_CHECK_THROW(generate.generate(wrong, greedy()), ShapeError);
}

BOOST_AUTO_TEST_CASE(come_piece_by_piece) {
  const auto generate = generator({.batch_size = 6});
  for (const auto& how : {greedy(), drawn(), beams()})
    for (const Texts& stops : {Texts{}, Texts{"ab", "\u20ac", "\n"}}) {
      Pieces pieces;
      const auto whole = generate.generate(prompts, {how, stops}, 0, pieces.collect());
      pieces.require(whole);
      require_same(whole, generate.generate(prompts, {how, stops}));
    }
  int count = 0;
  std::string text;
  const auto found = generate.generate("abc", greedy(9), [&](std::string_view piece) {
    ++count;
    text += piece;
    return true;
  });
  BOOST_TEST(count == 9);
  BOOST_TEST(found.text() == text);
}

// A greedy text without and with stop strings that are cut out of it.
BOOST_AUTO_TEST_CASE(end_before_stop_strings) {
  const auto generate = generator();
  for (const auto& how : {greedy(), drawn(20, 1)}) {
    const auto ids = generate.generate("abc", how).candidates[0].ids;
    BOOST_TEST_REQUIRE(ids.size() == 20u);
    const auto decoded = [&](std::size_t from, std::size_t count) {
      return tokenizer.decode(std::span(ids).subspan(from, count));
    };
    for (const std::size_t from : {0, 3, 8})
      for (const std::size_t count : {1, 2, 3}) {
        const auto stop = decoded(from, count), whole = decoded(0, 20);
        const auto found = generate.generate("abc", {how, {"never there", stop}}).candidates[0];
        const auto place = whole.find(stop);
        BOOST_TEST(found.text == whole.substr(0, place));
        BOOST_TEST((found.end == TextEnd::StopString));
        BOOST_TEST(tokenizer.decode(found.ids) == whole.substr(0, place + stop.size()));  // and no token more
      }
  }
  // In a beam search such a text is complete, as if an end token had come.
  const auto best = generate.generate("abc", beams()).candidates[0];
  const auto stop = tokenizer.decode(std::span(best.ids).subspan(3, 2));
  for (const auto& one : generate.generate("abc", {beams(), {stop}}).candidates) {
    BOOST_TEST(one.text.find(stop) == std::string::npos);
    BOOST_TEST((tokenizer.decode(one.ids).ends_with(stop) == (one.end == TextEnd::StopString)));
  }
}

BOOST_AUTO_TEST_CASE(come_as_a_range) {
  const auto generate = generator();
  auto best = beams();
  best.num_return_sequences = 1;
  for (const auto& how : {greedy(), drawn(20, 1), best})
    for (const Texts& stops : {Texts{}, Texts{"ab", "\u20ac", "\n"}}) {
      Texts expected, found;
      const auto whole = generate.generate("abc", {how, stops}, [&](std::string_view piece) {
        expected.emplace_back(piece);
        return true;
      });
      auto pieces = generate.stream("abc", {how, stops});
      for (const auto& piece : pieces) found.push_back(piece);
      BOOST_TEST(found == expected, boost::test_tools::per_element());
      require_same({pieces.result()}, {whole});
      require_same({generate.stream("abc", {how, stops}).result()}, {whole});  // and nobody takes the pieces
    }
  std::string text;
  const text::TextGenerator usual(model, tokenizer, greedy(7));
  for (const auto& piece : usual.stream("abc")) text += piece;
  BOOST_TEST(text == generate.generate("abc", greedy(7)).text());
}

BOOST_AUTO_TEST_CASE(end_without_a_piece_when_the_range_goes) {
  std::atomic<bool> ended = false;
  {
    const text::TextPieces pieces([&](const text::TextPieces::OnPiece&, const text::TextPieces::Wanted& wanted) {
      while (wanted()) std::this_thread::yield();
      ended = true;
      return text::Continuation();
    });
  }
  BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(come_as_ranges_of_several_threads_and_within_each_other) {
  const auto one = generator({.workers = 1, .threads = 1}), two = generator({.workers = 2, .threads = 1});
  const auto expected = one.generate(prompts, greedy());
  std::vector<Texts> found(3, Texts(prompts.size()));
  std::vector<std::thread> threads;
  for (auto& texts : found)
    threads.emplace_back([&] {
      for (std::size_t p = 0; p < prompts.size(); ++p)
        for (const auto& piece : two.stream(prompts[p], greedy())) texts[p] += piece;
    });
  for (auto& thread : threads) thread.join();
  for (const auto& texts : found)
    for (std::size_t p = 0; p < prompts.size(); ++p) BOOST_TEST(texts[p] == expected[p].text());
  // A loop holds no worker.
  for (const auto& piece : one.stream(prompts[0], greedy())) {
    BOOST_TEST(!piece.empty());
    BOOST_TEST(one.generate(prompts[1], greedy()).text() == expected[1].text());
  }
}

BOOST_AUTO_TEST_CASE(end_when_a_loop_over_them_is_left) {
  struct Slow {
    std::vector<int> encode(std::string_view text) const { return pieces.encode(text); }
    std::string decode(std::span<const int> ids) const {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++decoded;
      return pieces.decode(ids);
    }
    int vocab_size() const { return pieces.vocab_size(); }

    const text::CharacterVocabulary& pieces;
    mutable std::atomic<int> decoded = 0;
  };
  constexpr int tokens = 3000;
  auto long_config = config(tokenizer.vocab_size(), -1);
  long_config.max_position_embeddings = tokens + 1;
  const Model reader(backend, long_config, 11, Purpose::Inference);
  const Slow slow{tokenizer};
  const text::TextGenerator generate(reader, slow, greedy(tokens));
  for (const auto& piece : generate.stream("a")) {
    BOOST_TEST(piece.size() > 0u);
    break;
  }
  BOOST_TEST(slow.decoded > 0);
  BOOST_TEST(slow.decoded < tokens / 2);
  const int before = slow.decoded;
  { const auto unread = generate.stream("a"); }
  BOOST_TEST(slow.decoded < before + tokens / 2);
}

BOOST_AUTO_TEST_CASE(of_a_range_that_fails_end_with_its_error) {
  const auto generate = generator();
  const auto read = [](text::TextPieces pieces) {
    for (const auto& piece : pieces) BOOST_TEST(piece == "none");
  };
  BOOST_CHECK_EXCEPTION(read(generate.stream("")), ConfigError, says("prompt 1 is empty"));
  BOOST_CHECK_EXCEPTION(read(generate.stream("x")), TextError, says({"prompt 1: ", "x"}));
  BOOST_CHECK_EXCEPTION(read(generate.stream("a", drawn())), ConfigError, says("num_return_sequences"));
  BOOST_CHECK_EXCEPTION(generate.stream("").result(), ConfigError, says("prompt 1 is empty"));
  // After some pieces.
  Texts found;
  const auto broken = [&] {
    text::TextPieces pieces([](const text::TextPieces::OnPiece& on_piece, const auto&) -> text::Continuation {
      on_piece("one");
      on_piece("two");
      throw NumericError("no number");
    });
    for (const auto& piece : pieces) found.push_back(piece);
  };
  BOOST_CHECK_EXCEPTION(broken(), NumericError, says("no number"));
  BOOST_TEST(found == Texts({"one", "two"}), boost::test_tools::per_element());
  { const auto unread = generate.stream(""); }  // an error that nobody waits for
}

BOOST_AUTO_TEST_CASE(are_cancelled_one_by_one) {
  const auto generate = generator();
  const auto whole = generate.generate(prompts, drawn());
  const auto found = generate.generate(
      prompts, drawn(), 0, [&](const TextPiece& piece) { return piece.prompt != 2 || piece.candidate != 1; });
  for (std::size_t p = 0; p < prompts.size(); ++p)
    for (std::size_t c = 0; c < 3; ++c) {
      const auto &one = found[p].candidates[c], &expected = whole[p].candidates[c];
      const bool cancelled = p == 2 && c == 1;
      BOOST_TEST((one.end == (cancelled ? TextEnd::Cancelled : TextEnd::Length)));
      BOOST_TEST(one.text == (cancelled ? tokenizer.decode(std::span(expected.ids).first(1)) : expected.text));
    }
  std::string text;
  const auto some = generate.generate("abc", greedy(), [&](std::string_view piece) {
    text += piece;
    return text.size() < 5;
  });
  BOOST_TEST(some.text() == text);
  BOOST_TEST((some.candidates[0].end == TextEnd::Cancelled));
  BOOST_TEST(generate.generate("abc", greedy()).text().starts_with(text));
}

// Hugging Face's golden searches test the penalty's numbers; here that it reaches everything and spares new tokens.
BOOST_AUTO_TEST_CASE(repeat_nothing_under_a_high_penalty) {
  auto how = greedy(8);
  how.repetition_penalty = 1e6;
  for (const int width : {1, 3}) {
    how.num_beams = width;
    for (const auto& one : generator().generate(Texts{"ab", "abc"}, how)) {
      auto all = one.prompt_ids;
      all.insert(all.end(), one.candidates[0].ids.begin(), one.candidates[0].ids.end());
      std::sort(all.begin(), all.end());
      BOOST_TEST((std::adjacent_find(all.begin(), all.end()) == all.end()));
    }
  }
}

BOOST_AUTO_TEST_CASE(are_refused_in_a_sentence) {
  const auto generate = generator();
  const auto refused = [&]<class Error>(Error, const std::string& prompt, const TextGenerationConfig& how,
                                        const std::string& message) {
    BOOST_CHECK_EXCEPTION(generate.generate(Texts{"a", prompt}, how), Error, [&](const Error& error) {
      BOOST_TEST(error.what() == message);
      return true;
    });
  };
  const ConfigError config("");
  const TextError broken("");
  refused(config, std::string(41, 'a'), greedy(), "prompt 2 has 41 tokens, but the model reads 40");
  refused(config, "", greedy(), "prompt 2 is empty, and the model has no start token (bos_token_id) to begin with");
  auto how = greedy(0);
  how.max_length = 6;
  refused(config, "abcdef", how, "prompt 2 has 6 tokens, which leaves no room: max_length is 6, the prompt included");
  refused(config, "a", {greedy(), {"x", ""}}, "a stop string is empty");
  how.repetition_penalty = 0;
  refused(config, "a", how, "repetition_penalty must be above 0, not 0");
  refused(broken, "a\xFF", greedy(),
          "prompt 2: byte 0xFF at place 2 of the line does not begin a valid UTF-8 character");
  BOOST_CHECK_EXCEPTION(generate.generate(Texts{"a", "axb"}, greedy()), TextError, says({"prompt 2: ", "x"}));
  BOOST_CHECK_THROW(generate.generate("a", drawn(), [](std::string_view) { return true; }), ConfigError);
  const Model small(backend, ::config(5, -1));
  BOOST_CHECK_EXCEPTION(text::TextGenerator(small, tokenizer, greedy()), ConfigError,
                        says({"the model has a vocabulary of 5, but its tokenizer one of 14"}));
  BOOST_TEST(generate.generate(std::string(40, 'a'), greedy()).candidates[0].ids.size() == 1u);
  BOOST_TEST(generate.generate(Texts{}).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bytes, Bytes)

// A model that knows nothing writes bytes that are no characters as well.
BOOST_AUTO_TEST_CASE(of_tokens_become_characters) {
  const auto generate = generator();
  const Texts beginnings = {"the cat", "caf\u00e9", "", "a dog sees"};
  auto how = drawn(25, 4);
  how.top_k = 0;
  std::size_t replaced = 0, ended = 0;
  std::vector<Texts> pieces(beginnings.size(), Texts(4));
  const auto found = generate.generate(beginnings, how, 0, [&](const TextPiece& piece) {
    BOOST_TEST(utf8_fault(piece.text) == "");
    pieces[piece.prompt][piece.candidate] += piece.text;
    return true;
  });
  BOOST_TEST(found[2].prompt_ids == std::vector{end});  // the start token
  for (std::size_t p = 0; p < beginnings.size(); ++p)
    for (std::size_t c = 0; c < 4; ++c) {
      const auto& one = found[p].candidates[c];
      BOOST_TEST(one.text == pieces[p][c]);
      TextStream stream({});
      stream.push(tokenizer.decode(one.ids, text::ByteBpe::Specials::LeftOut));
      stream.end();
      BOOST_TEST(one.text == stream.take());
      replaced += one.text.find("\uFFFD") != std::string::npos;
      ended += one.end == TextEnd::EndToken;
    }
  BOOST_TEST(replaced > 0u);
  BOOST_TEST(ended < 16u);
}

BOOST_AUTO_TEST_CASE(end_at_end_tokens) {
  auto how = greedy(25);
  const auto generate = generator();
  const auto ids = generate.generate("the cat", how).candidates[0].ids;
  const auto place = std::find_if(ids.begin() + 2, ids.end(), [&](int id) {
    return !tokenizer.is_special(id) && std::count(ids.begin(), ids.end(), id) == 1;
  });
  how.eos_token_id = place == ids.end() ? ids[2] : *place;
  const auto first = std::find(ids.begin(), ids.end(), how.eos_token_id);
  const auto found = generate.generate("the cat", how).candidates[0];
  BOOST_TEST((found.end == TextEnd::EndToken));
  BOOST_TEST(found.ids == std::vector<int>(ids.begin(), first));
  TextStream stream({});  // an end token that is an ordinary piece belongs to the text
  stream.push(tokenizer.decode(std::vector<int>(ids.begin(), first + 1), text::ByteBpe::Specials::LeftOut));
  stream.end();
  BOOST_TEST(found.text == stream.take());
}

BOOST_AUTO_TEST_SUITE_END()
