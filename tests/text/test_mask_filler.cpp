// MaskFiller: probabilities are those of the model's logits, each mask by itself, the same from any thread.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mask_filler
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/services/mask_filler.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using B = Cpu<double>;
using TinyModel = Roberta<B, paper::roberta>;

namespace {

struct Subject {
  Subject() : tokenizer(make_tokenizer()), model(backend, make_config(), 7, Purpose::Inference) {}

  static text::ByteBpe make_tokenizer() {
    const std::vector<std::string> lines(3, "the dog sees the cat and the cat sees a dog in the caf\u00e9");
    return text::ByteBpe::train(lines, {300, 2, false});
  }
  RobertaConfig make_config() const {
    auto config = roberta_small(tokenizer.vocab_size());
    config.hidden_size = 8;
    config.num_hidden_layers = config.num_attention_heads = 2;
    config.intermediate_size = 12;
    config.max_position_embeddings = 26;
    config.initializer_range = 0.5;
    return config;
  }
  auto filler(text::MaskFillerOptions options = {}) const { return text::MaskFiller(model, tokenizer, options); }

  /// softmax of the logits of the masks of `ids`, row after row.
  std::vector<std::vector<double>> probabilities(const std::vector<int>& ids) {
    std::vector<int> places;
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] == tokenizer.mask_id()) places.push_back(static_cast<int>(i));
    MaskedBatch batch(model.config().pad_token_id);
    batch.push(ids, places, places);
    PassMemory<B> memory(backend);
    TinyModel::Saved saved;
    const auto pass = memory.begin_inference();
    const auto states = model.masked_states(pass, model.encode(pass, batch, saved), batch, saved);
    const auto logits = pass.scratch.rows(states.rows, tokenizer.vocab_size());
    model.logits(pass, states, logits);
    std::vector<std::vector<double>> rows;
    for (int r = 0; r < logits.rows; ++r) {
      auto& row = rows.emplace_back(static_cast<std::size_t>(logits.cols));
      backend(ops::Download<B>{.x = logits.slice(r, 1), .values = row});
      double sum = 0.0;
      for (double& x : row) sum += x = std::exp(x);
      for (double& x : row) x /= sum;
    }
    return rows;
  }

  B backend{1};
  text::ByteBpe tokenizer;
  TinyModel model;
};

bool same(const std::vector<std::vector<text::MaskCandidate>>& a,
          const std::vector<std::vector<text::MaskCandidate>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    for (std::size_t j = 0; j < a[i].size(); ++j)
      if (a[i][j].id != b[i][j].id || a[i][j].probability != b[i][j].probability || a[i][j].text != b[i][j].text)
        return false;
  }
  return !a.empty();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(filling, Subject)

BOOST_AUTO_TEST_CASE(candidates_are_the_largest_of_the_softmax) {
  const std::string line = "the <mask> sees a<mask>!";
  const auto ids = tokenizer.encode_sequence(line);
  const auto expected = probabilities(ids);
  const auto found = filler()(line, tokenizer.vocab_size() + 5);
  BOOST_REQUIRE(found.size() == 2u);
  BOOST_REQUIRE(expected.size() == 2u);
  for (std::size_t mask = 0; mask < 2; ++mask) {
    BOOST_REQUIRE(found[mask].size() == expected[mask].size());  // there are no more than the vocabulary has
    double before = 1.0, sum = 0.0;
    for (const auto& candidate : found[mask]) {
      BOOST_TEST(candidate.probability == expected[mask][static_cast<std::size_t>(candidate.id)],
                 boost::test_tools::tolerance(1e-12));
      BOOST_TEST(candidate.probability <= before);
      BOOST_TEST(candidate.token == tokenizer.decode(std::vector{candidate.id}));
      before = candidate.probability;
      sum += candidate.probability;
    }
    BOOST_TEST(sum == 1.0, boost::test_tools::tolerance(1e-12));
  }
  const auto best = filler()(line);
  BOOST_TEST(best[0].size() == 5u);
  BOOST_TEST(best[0].front().text == "the" + best[0].front().token + " sees a<mask>!");
  BOOST_TEST(best[1].front().text == "the<mask> sees a" + best[1].front().token + "!");
}

BOOST_AUTO_TEST_CASE(eight_threads_get_what_one_gets) {
  const auto fill = filler({3, 1});
  const std::vector<std::string> lines = {"<mask>", "the <mask> cat", "a <mask> <mask>", "dog in the caf\u00e9 <mask>"};
  std::vector<std::vector<std::vector<text::MaskCandidate>>> expected, found(8);
  for (const auto& line : lines) expected.push_back(fill(line));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < found.size(); ++i)
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 5; ++turn) found[i] = fill(lines[i % lines.size()]);
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < found.size(); ++i) BOOST_TEST(same(found[i], expected[i % lines.size()]));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_filled_is_refused) {
  const auto fill = filler();
  BOOST_CHECK_EXCEPTION(fill("no mask"), ConfigError, says({"no <mask>"}));
  BOOST_CHECK_EXCEPTION(fill("<mask>", 0), ConfigError, says({"at least 1"}));
  std::string line = "<mask>";
  for (int i = 0; i < 30; ++i) line += " dog";
  BOOST_CHECK_EXCEPTION(fill(line), ConfigError, says({"33 tokens", "reads 24"}));
  BOOST_CHECK_THROW(filler({0, 1}), ConfigError);
  BOOST_CHECK_EXCEPTION(fill("caf\xE9 <mask>"), TextError, says({"0xE9", "place 4", "UTF-8"}));
}

// Its workers have packed copies of the weights as they were.
BOOST_AUTO_TEST_CASE(a_model_may_change_between_requests) {
  const auto fill = filler();
  const std::string line = "the <mask> cat sees a <mask> dog in the house";
  const auto before = fill(line);
  BOOST_TEST(same(fill(line), before));
  backend(ops::Scale<B>{.x = model.parameters().values(), .factor = 1.5});
  model.parameters().refresh();
  const auto after = fill(line);
  BOOST_TEST(same(after, filler()(line)));
  BOOST_TEST(!same(after, before));
}

BOOST_AUTO_TEST_CASE(a_broken_model_is_noticed) {
  const auto fill = filler();
  auto& parameters = model.parameters();
  const auto bias = parameters.value(*parameters.find("lm_head.bias"));
  const auto refused = [&] {
    BOOST_CHECK_EXCEPTION(fill("the <mask> cat"), NumericError, says({"<mask> 1", "not finite"}));
  };
  for (const double broken : {std::nan(""), double(INFINITY)}) {
    backend(ops::Fill<B>{.x = bias.columns(bias.cols - 1, 1), .value = broken});
    refused();
  }
  backend(ops::Fill<B>{.x = bias, .value = -double(INFINITY)});
  refused();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(more_rows_than_pieces)

BOOST_AUTO_TEST_CASE(are_no_candidates) {
  Subject small;
  auto config = small.make_config();
  config.vocab_size += 7;
  TinyModel padded(small.backend, config, 7, Purpose::Inference);
  const text::MaskFiller filler(padded, small.tokenizer);
  const auto candidates = filler("the <mask> sees", 1000).at(0);
  BOOST_TEST(candidates.size() == static_cast<std::size_t>(small.tokenizer.vocab_size()));
  double sum = 0.0;
  for (const auto& candidate : candidates) {
    BOOST_TEST_REQUIRE(candidate.id < small.tokenizer.vocab_size());
    sum += candidate.probability;
  }
  BOOST_TEST((sum > 0.5 && sum < 1.0));  // the other rows have the rest
  config.vocab_size -= 8;
  const TinyModel cut(small.backend, config, 7, Purpose::Inference);
  BOOST_CHECK_THROW(text::MaskFiller(cut, small.tokenizer), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

// A published RoBERTa, of proteins, whose vocabulary has 20 letters and no bytes. What is expected is what transformers
// 5.24.0 computes.
BOOST_AUTO_TEST_SUITE(published_models)

BOOST_AUTO_TEST_CASE(sapiens) {
  const auto* const models = std::getenv("NEURAL_ATTENTION_MODELS_DIR");
  if (models == nullptr || !std::filesystem::exists(std::string(models) + "/sapiens-vh")) {
    std::puts("SKIPPED: NEURAL_ATTENTION_MODELS_DIR names no folder with sapiens-vh in it");
    return;
  }
  const auto folder = std::string(models) + "/sapiens-vh";
  const auto tokenizer = text::ByteBpe::load(folder);
  Cpu<float> backend(1);
  Roberta<Cpu<float>, LinearProjections> model(backend, io::load_roberta_config(folder + "/config.json"), std::nullopt,
                                               Purpose::Inference);
  io::load_model(folder, backend, model);

  const auto lines = text::read_lines(folder + "/sequences.txt");
  const auto masked =
      lines.at(0).substr(0, 10) + "<mask>" + lines.at(0).substr(11, 29) + "<mask>" + lines.at(0).substr(41);
  const auto masks = text::MaskFiller(model, tokenizer)(masked, 5);
  const std::vector<std::vector<std::pair<std::string, double>>> expected = {
      {{"A", 0.791216}, {"S", 0.056837}, {"T", 0.039127}, {"V", 0.01486}, {"E", 0.011853}},
      {{"E", 0.882111}, {"D", 0.013752}, {"G", 0.009037}, {"A", 0.007757}, {"Q", 0.007143}}};
  BOOST_TEST_REQUIRE(masks.size() == expected.size());
  for (std::size_t i = 0; i < masks.size(); ++i)
    for (std::size_t k = 0; k < masks[i].size(); ++k) {
      BOOST_TEST(masks[i][k].token == expected[i][k].first);
      BOOST_TEST(std::abs(masks[i][k].probability - expected[i][k].second) < 2e-6);
    }

  // Each seventh letter of each line is predicted.
  double loss = 0.0;
  long predicted = 0;
  PassMemory<Cpu<float>> memory(backend);
  Roberta<Cpu<float>, LinearProjections>::Saved saved;
  for (const auto& line : lines) {
    auto ids = tokenizer.encode_sequence(line);
    std::vector<int> places, originals;
    for (std::size_t place = 4; place + 1 < ids.size(); place += 7) {
      places.push_back(static_cast<int>(place));
      originals.push_back(std::exchange(ids[place], tokenizer.mask_id()));
    }
    MaskedBatch batch(tokenizer.pad_id());
    batch.push(ids, places, originals);
    const auto pass = memory.begin_inference();
    loss += model.loss(pass, batch, 0.0, saved).negative_log_likelihood;
    predicted += std::ssize(places);
  }
  BOOST_TEST(predicted == 191);
  BOOST_TEST(std::abs(loss / double(predicted) - 1.0516527) < 2e-6);

  // A byte without a piece is <unk>; nothing is learned of it here, but it does not go missing either.
  BOOST_TEST((tokenizer.encode("EVx Z") == std::vector{7, 21, 3, 3, 3}));
  BOOST_TEST(tokenizer.decode(std::vector{7, 3, 21}) == "E<unk>V");
}

BOOST_AUTO_TEST_SUITE_END()
