#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE multi30k_text
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "scratch.hpp"

namespace text = neural_attention::text;

namespace {

/// The folder with Multi30k, or none, which is said on a line of its own.
std::string data_folder() {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/multi30k";
  if (data != nullptr && std::filesystem::is_directory(folder)) return folder;
  std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with multi30k in it");
  return {};
}

text::ParallelCorpus load(const std::string& folder, const std::string& split) {
  return text::load_parallel(text::find_text_file(folder, split + ".de"), text::find_text_file(folder, split + ".en"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(multi30k_data)

BOOST_AUTO_TEST_CASE(a_joint_model_gives_the_text_back) {
  const auto folder = data_folder();
  if (folder.empty()) return;
  const auto train = load(folder, "train"), valid = load(folder, "valid");
  BOOST_TEST_REQUIRE(train.size() == 28998u);
  BOOST_TEST_REQUIRE(valid.size() == 1014u);
  const Scratch scratch;
  const auto tokenizer = text::MarianTokenizer::train(train.source, train.target, 4000, scratch.path.string());
  BOOST_TEST(tokenizer.vocab_size() == 4000);
  const text::SentencePiece model(scratch.file("source.spm"));

  // Encoding loses only what normalisation (nmt_nfkc) changes and characters that training never saw.
  int unchanged = 0, checked = 0, with_unknown = 0;
  for (const auto* side : {&valid.source, &valid.target}) {
    for (const auto& line : *side) {
      const auto ids = side == &valid.source ? tokenizer.source_ids(line) : tokenizer.target_ids(line);
      const auto text = tokenizer.decode(ids);
      if (std::count(ids.begin(), ids.end(), tokenizer.unk_id()) > 0) {
        ++with_unknown;
        continue;
      }
      ++checked;
      unchanged += text == line;
      BOOST_TEST_REQUIRE(text == model.decode(model.pieces(line)));
      BOOST_TEST_REQUIRE((tokenizer.target_ids(text) == ids));
    }
  }
  BOOST_TEST(with_unknown <= 5);
  BOOST_TEST(checked + with_unknown == 2028);
  BOOST_TEST(unchanged >= checked - 20);
  std::printf("valid: %d of %d lines unchanged, %d with an unknown character\n", unchanged, checked, with_unknown);

  const auto pairs = text::tokenize(train, tokenizer, 512, 512);
  BOOST_TEST_REQUIRE(pairs.size() == train.size());
  const auto per_line = static_cast<double>(pairs.target_tokens()) / static_cast<double>(pairs.size());
  BOOST_TEST(per_line > 12.0);
  BOOST_TEST(per_line < 22.0);
  const auto plan = text::plan_batches(pairs, {.tokens = 1150, .seed = 1});
  BOOST_TEST(plan.sentences() == pairs.size());
  const auto least = (std::max(pairs.source_tokens(), pairs.target_tokens()) + 1149) / 1150;
  BOOST_TEST(plan.size() >= least);
  BOOST_TEST(plan.size() < least + least / 10);
}

BOOST_AUTO_TEST_SUITE_END()
