// RoBERTa: gradient checks in double, recomputation, parts of a batch, and what it refuses.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_roberta
#include <boost/test/unit_test.hpp>

#include "models/model_gradients.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;

namespace {

using Mixed = Projections<Neural, Linear, ResidualPlainNeural, PlainNeural>;

/// The names of the biases of the keys, whose exact gradient is zero.
template <class P>
const char* key_bias() {
  using Key = typename P::template Key<B>;
  if constexpr (std::is_same_v<Key, Linear<B>>)
    return "*self.key.bias";
  else
    return "*self.key.2.bias";
}

template <class P>
void check_roberta(RobertaConfig config, double smoothing) {
  B backend(1);
  Roberta<B, P> model(backend, config, 1);
  typename Roberta<B, P>::Saved saved;
  // The numeric gradient of a row of padding is not zero, though the exact one is by definition: padding is left out.
  auto sequences = tiny::masked_sequences();
  sequences[2].ids[1] = 4;
  const auto batch = tiny::masked_batch(sequences);
  constexpr double factor = 0.1;
  GradientOptions options;
  options.zero = {key_bias<P>()};
  const auto report = check_loss(
      backend, model.parameters(),
      [&](const Pass<B>& pass) { return factor * model.loss(pass, batch, smoothing, saved).smoothed; },
      [&](const Pass<B>& pass) {
        StepOutcome sums;
        model.loss_and_gradient(pass, batch, smoothing, factor, Into::Write, &sums, saved);
        BOOST_TEST(model.loss(pass, batch, smoothing, saved).tokens == 6);
        return factor * sums.smoothed_loss;
      },
      options);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 26u);
  std::ptrdiff_t zeros = 0;
  for (const auto& tensor : report.tensors) zeros += tensor.zero_expected;
  BOOST_TEST(zeros == config.num_hidden_layers);
}

template <class P>
void check_variant() {
  check_roberta<P>(tiny::roberta_config(1, 0.0), 0.0);
  auto config = tiny::roberta_config(2, 0.1);
  check_roberta<P>(config, 0.1);
  config.gradient_checkpointing = true;
  check_roberta<P>(config, 0.0);
  config.normalize_before = true;
  check_roberta<P>(config, 0.1);
}

/// The loss and all gradients of training passes over consecutive parts of one batch.
template <class P>
std::pair<double, std::vector<double>> pass(const std::vector<std::size_t>& parts, bool checkpointing = false) {
  B backend(2);
  auto config = tiny::roberta_config(2, 0.2);
  config.gradient_checkpointing = checkpointing;
  Roberta<B, P> model(backend, config, 1);
  typename Roberta<B, P>::Saved saved;
  PassMemory<B> memory(backend);
  StepOutcome loss;
  std::size_t first = 0;
  for (const auto count : parts) {
    const auto pass = memory.begin_training(7, 3);
    const auto part = tiny::masked_batch(tiny::masked_sequences(), first, count);
    model.loss_and_gradient(pass, part, 0.0, 1.0, first > 0 ? Into::Add : Into::Write, &loss, saved);
    first += count;
  }
  return {loss.smoothed_loss, download(backend, model.parameters().gradients())};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE(linear_projectors) { check_variant<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(paper_projectors) { check_variant<neural_attention::paper::roberta>(); }
BOOST_AUTO_TEST_CASE(mixed_projectors) { check_variant<Mixed>(); }

BOOST_AUTO_TEST_CASE(recomputing_gives_the_same_bits) {
  const auto [plain_loss, plain] = pass<neural_attention::paper::roberta>({4});
  const auto [loss, recomputed] = pass<neural_attention::paper::roberta>({4}, true);
  BOOST_REQUIRE(!plain.empty());
  BOOST_TEST(plain_loss == loss);
  BOOST_TEST(plain == recomputed);
}

BOOST_AUTO_TEST_CASE(parts_draw_as_the_whole_batch) {
  const auto [whole_loss, whole] = pass<LinearProjections>({4});
  const auto [loss, parts] = pass<LinearProjections>({1, 1, 2});
  BOOST_TEST(std::abs(whole_loss - loss) <= 1e-14 * whole_loss);
  BOOST_REQUIRE(whole.size() == parts.size());
  double most = 0.0, difference = 0.0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    most = std::max(most, std::abs(whole[i]));
    difference = std::max(difference, std::abs(whole[i] - parts[i]));
  }
  BOOST_TEST(most > 0.1);
  BOOST_TEST(difference <= 1e-13 * most);
}

// Files of other models than RoBERTa have two types.
BOOST_AUTO_TEST_CASE(of_token_types) {
  B backend(1);
  auto config = tiny::roberta_config(1, 0.1);
  config.type_vocab_size = 2;
  Roberta<B, LinearProjections> model(backend, config, 1);
  auto sequences = tiny::masked_sequences();
  sequences[2].ids[1] = 4;  // no padding, as above
  const auto of_one_type = tiny::masked_batch(sequences);
  auto batch = of_one_type;
  for (const std::size_t token : {3, 4, 8, 18}) batch.token_types[token] = 1;
  GradientOptions options;
  options.zero = {"*self.key.bias"};
  const auto report = check_model_loss(backend, model, batch, 0.1, options);
  BOOST_TEST(report.ok(), report.text());

  typename Roberta<B, LinearProjections>::Saved saved;
  PassMemory<B> memory(backend);
  const auto loss = [&](const MaskedBatch& of) {
    return model.loss(memory.begin_inference(), of, 0.0, saved).smoothed;
  };
  BOOST_TEST(std::abs(loss(batch) - loss(of_one_type)) > 1e-3);
  StepOutcome sums;
  model.loss_and_gradient(memory.begin_training(), batch, 0.0, 1.0, Into::Write, &sums, saved);
  const auto& types = *model.parameters().find("roberta.embeddings.token_type_embeddings.weight");
  for (const int row : {0, 1})
    for (const double value : download(backend, model.parameters().gradient(types).slice(row, 1)))
      BOOST_TEST(std::abs(value) > 1e-6);
}

BOOST_AUTO_TEST_CASE(padding_gets_no_gradient_from_lookups) {
  B backend(1);
  Roberta<B, LinearProjections> model(backend, tiny::roberta_config(), 1);
  typename Roberta<B, LinearProjections>::Saved saved;
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training();
  StepOutcome loss;
  model.loss_and_gradient(pass, tiny::masked_batch(tiny::masked_sequences()), 0.0, 1.0, Into::Write, &loss, saved);
  const auto row = [&](const char* name, int index) {
    const auto* const entry = model.parameters().find(name);
    BOOST_REQUIRE(entry);
    return download(backend, model.parameters().gradient(*entry).slice(index, 1));
  };
  const std::vector<double> zeros(4, 0.0);
  BOOST_TEST(row("roberta.embeddings.position_embeddings.weight", 0) == zeros);
  BOOST_TEST(row("roberta.embeddings.position_embeddings.weight", 1) == zeros);
  BOOST_TEST(row("roberta.embeddings.position_embeddings.weight", 2) != zeros);
  BOOST_TEST(row("roberta.embeddings.position_embeddings.weight", 8) != zeros);  // seven tokens: rows 2 to 8
  BOOST_TEST(row("roberta.embeddings.word_embeddings.weight", 1) != zeros);      // from the tied output layer
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(positions_skip_padding) {
  const auto batch = tiny::masked_batch(tiny::masked_sequences());
  BOOST_TEST(batch.sequences() == 4);
  BOOST_TEST(batch.position_rows == (std::vector{2, 3, 4, 5, 6, 2, 3, 4, 2, 1, 3, 4, 5, 2, 3, 4, 5, 6, 7, 8}));
  BOOST_TEST(batch.masked_rows == (std::vector{1, 3, 9, 11, 15, 18}));
  BOOST_TEST(batch.labels == (std::vector{5, 6, 7, 3, 4, 5}));
}

BOOST_AUTO_TEST_CASE(a_sequence_does_not_see_the_others) {
  Cpu<double> backend(1);
  using Model = Roberta<Cpu<double>, neural_attention::paper::roberta>;
  Model model(backend, tiny::roberta_config(2), 1);
  Model::Saved saved;
  PassMemory<Cpu<double>> memory(backend);
  const auto loss = [&](std::size_t first, std::size_t count) {
    const auto pass = memory.begin_inference();
    return model.loss(pass, tiny::masked_batch(tiny::masked_sequences(), first, count), 0.0, saved);
  };
  const auto together = loss(0, 4);
  LossSum alone;
  for (std::size_t i = 0; i < 4; ++i) alone += loss(i, 1);
  BOOST_TEST(together.tokens == alone.tokens);
  BOOST_TEST(std::abs(together.smoothed - alone.smoothed) <= 1e-14 * together.smoothed);
}

BOOST_AUTO_TEST_CASE(refuses_what_does_not_fit) {
  Cpu<float> backend(1);
  const Roberta<Cpu<float>, LinearProjections> model(backend, tiny::roberta_config(), 1);
  const auto refused = [&](std::vector<int> ids, std::vector<int> places, std::vector<int> originals,
                           const std::string& words) {
    const auto batch = tiny::masked_batch({{std::move(ids), std::move(places), std::move(originals)}});
    BOOST_CHECK_EXCEPTION(model.check(batch), ShapeError, [&](const ShapeError& error) {
      BOOST_TEST(std::string(error.what()).find(words) != std::string::npos, error.what());
      return true;
    });
  };
  refused({0, 9, 2}, {}, {}, "id 9");
  refused({0, -1, 2}, {}, {}, "id -1");
  refused({0, 3, 2}, {1}, {9}, "id 9");
  refused({0, 3, 3, 3, 3, 3, 3, 2}, {}, {}, "8 tokens is longer than the model's 7 positions");
  refused({0, 3, 2}, {1}, {4, 5}, "2 labels for 1 masked tokens");
  refused({0, 3, 2}, {1, 2}, {4}, "1 labels for 2 masked tokens");
  refused({0, 3, 2}, {3}, {4}, "row 3 of a batch is masked, but the batch has 3 tokens");
  refused({0, 3, 2}, {-1}, {4}, "row -1 of a batch is masked");
  refused({0, 3, 2}, {1, 1}, {4, 4}, "row 1 of a batch is masked after row 1");
  refused({0, 3, 2}, {2, 1}, {4, 4}, "row 1 of a batch is masked after row 2");
  auto config = tiny::roberta_config();
  config.max_position_embeddings = 2;
  BOOST_CHECK_THROW(config.validate(), ConfigError);
  config = tiny::roberta_config();
  config.pad_token_id = 9;
  BOOST_CHECK_THROW(config.validate(), ConfigError);
}

// Types and positions are public, so code of one's own may fill them.
BOOST_AUTO_TEST_CASE(refuses_types_and_positions_that_do_not_fit) {
  Cpu<float> backend(1);
  const Roberta<Cpu<float>, LinearProjections> model(backend, tiny::roberta_config(), 1);
  const auto refused = [&](auto&& spoil, const std::string& message) {
    auto batch = tiny::masked_batch(tiny::masked_sequences());
    spoil(batch);
    BOOST_CHECK_EXCEPTION(model.check(batch), ShapeError,
                          [&](const ShapeError& error) { return error.what() == message; });
  };
  refused([](MaskedBatch& batch) { batch.token_types.pop_back(); },
          "a batch has 19 token types for 20 tokens: each token needs one");
  refused([](MaskedBatch& batch) { batch.position_rows.push_back(2); },
          "a batch has 21 position rows for 20 tokens: each token needs one");
  refused([](MaskedBatch& batch) { batch.token_types[3] = 1; },
          "a token has the type 1, but the model's table of them has 1 rows");
  refused([](MaskedBatch& batch) { batch.token_types[3] = -1; },
          "a token has the type -1, but the model's table of them has 1 rows");
  refused([](MaskedBatch& batch) { batch.position_rows[3] = -1; },
          "a token has the position row -1, but the model's table of them has 9 rows");
}

BOOST_AUTO_TEST_SUITE_END()
