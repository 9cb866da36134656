// The windows that `causal_lm evaluate` predicts.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE evaluated_text
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>

#include "causal_lm/evaluated_text.hpp"
#include "causal_lm/text_tokenizer.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"
#include "scratch.hpp"

using namespace examples;

BOOST_AUTO_TEST_SUITE(windows)

BOOST_AUTO_TEST_CASE(fill_batches_that_an_int_can_count) {
  const Scratch scratch;
  CorpusFiles files({scratch.write("text", std::string(100'000, 'a'))});
  const TextTokenizer tokenizer(na::text::CharacterVocabulary::of_text("a"));
  const auto text = EvaluatedText::whole(files, tokenizer, 1 << 16, 1);
  BOOST_TEST_REQUIRE(text.windows() == 34'464u);
  BOOST_CHECK_NO_THROW(text.check_batches(32'767));
  for (const std::size_t together : {32'768, 1'000'000})
    BOOST_CHECK_EXCEPTION(text.check_batches(together), na::ConfigError, says("at most 2147483647 are supported"));
}

BOOST_AUTO_TEST_SUITE_END()
