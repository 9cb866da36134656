// Attention maps of a whole model: what cross_attention returns for a translation equals softmax(q kᵀ · scale),
// with a soft cap if there is one, computed plainly from the projections that the decoder made in a forward pass.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_cross_attention
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "attention/attention_option_cases.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/fenced.hpp"

using namespace neural_attention;

namespace {

template <class B>
std::vector<double> on_host(B& backend, Rows<B> x) {
  std::vector<double> host(static_cast<std::size_t>(x.size()));
  backend(ops::Download<B>{.x = x, .values = host});
  return host;
}

template <class B, class P>
void check(bool recompute, const AttentionOptions& options = {}) {
  auto config = tiny::config(3, 16, 0.1);  // dropout is off in inference
  config.gradient_checkpointing = recompute;
  config.attention = options;
  constexpr int heads = 2, width = 8;
  B backend(1);
  Marian<B, P> model(backend, config, 11, Purpose::Inference);
  PassMemory<B> memory(backend);
  typename Marian<B, P>::Saved saved;
  double sharpest = 0.0;
  for (const auto& [source, target] : tiny::pairs()) {
    TranslationBatch pair(config.pad_token_id);
    pair.push(source, target);
    const auto pass = memory.begin_inference();
    const auto maps = model.cross_attention(pass, pair, saved);
    BOOST_TEST_REQUIRE(maps.size() == std::size_t(3 * heads));

    auto plain_config = config;
    plain_config.dropout = plain_config.attention_dropout = plain_config.activation_dropout = 0.0;
    plain_config.gradient_checkpointing = false;
    Marian<B, P> plain(backend, plain_config, 11, Purpose::Inference);
    auto keeping = memory.begin_training();  // a training pass keeps all projections
    plain.decode(keeping, pair, plain.encode(keeping, pair, saved), saved);
    for (std::size_t m = 0; m < maps.size(); ++m) {
      const auto& map = maps[m];
      BOOST_TEST(map.layer == int(m) / heads);
      BOOST_TEST(map.head == int(m) % heads);
      BOOST_TEST_REQUIRE(map.queries == int(target.size()));
      BOOST_TEST_REQUIRE(map.keys == int(source.size()));
      BOOST_TEST_REQUIRE(map.probabilities.size() == target.size() * source.size());
      const auto& attention =
          std::get<cross_sublayer>(saved.body.decoder.layers[std::size_t(map.layer)].inner.of).branch;
      const auto q = on_host(backend, attention.q), k = on_host(backend, attention.k);
      for (int i = 0; i < map.queries; ++i) {
        std::vector<double> row;
        double sum = 0.0, found_sum = 0.0;
        for (int j = 0; j < map.keys; ++j) {
          double score = 0.0;
          for (int c = map.head * width; c < (map.head + 1) * width; ++c)
            score += q[std::size_t(i * heads * width + c)] * k[std::size_t(j * heads * width + c)];
          score *= options.fixed_scale(width);
          if (options.soft_cap > 0.0) score = options.soft_cap * std::tanh(score / options.soft_cap);
          row.push_back(std::exp(score));
          sum += row.back();
        }
        for (int j = 0; j < map.keys; ++j) {
          const double found = map.probabilities[std::size_t(i * map.keys + j)], want = row[std::size_t(j)] / sum;
          BOOST_TEST(std::abs(found - want) <= 0x1p-24 * want + 1e-14);  // rounded to float once
          found_sum += found;
          sharpest = std::max(sharpest, map.keys > 1 ? std::abs(want - 1.0 / map.keys) : 0.0);
        }
        BOOST_TEST(std::abs(found_sum - 1.0) <= map.keys * 0x1p-24);
      }
    }
  }
  BOOST_TEST(sharpest > 0.05);  // not all heads look everywhere alike
}

}  // namespace

BOOST_AUTO_TEST_SUITE(maps)

BOOST_AUTO_TEST_CASE(of_linear_projectors) { check<Cpu<double>, LinearProjections>(false); }
BOOST_AUTO_TEST_CASE(of_neural_projectors) { check<Cpu<double>, paper::marian>(false); }
BOOST_AUTO_TEST_CASE(of_a_model_that_recomputes) { check<Cpu<double>, paper::marian>(true); }
BOOST_AUTO_TEST_CASE(of_layers_that_share_values) {
  check<Cpu<double>, LinearProjections>(true, {.value_residual = ValueResidualKind::Learned});
}
BOOST_AUTO_TEST_CASE(of_narrow_values) {
  check<Cpu<double>, published::glu_attention>(false, {.value_width = 2});
  check<Cpu<double>, LinearProjections>(true, {.value_residual = ValueResidualKind::Learned, .value_width = 2});
}
BOOST_AUTO_TEST_CASE(of_other_scores) {
  check<Cpu<double>, LinearProjections>(false, {.scale = 0.7, .soft_cap = 1.5});
  check<Cpu<double>, paper::marian>(false, attention_option_cases().back().options);
}
BOOST_AUTO_TEST_CASE(behind_the_fence) {
  check<neural_attention::testing::Fenced<Cpu<double>>, LinearProjections>(false);
}

BOOST_AUTO_TEST_CASE(need_one_sentence_with_its_translation) {
  Cpu<double> backend(1);
  Marian<Cpu<double>, LinearProjections> model(backend, tiny::config(), 1, Purpose::Inference);
  PassMemory<Cpu<double>> memory(backend);
  decltype(model)::Saved saved;
  const auto refused = [&](const TranslationBatch& batch) {
    const auto pass = memory.begin_inference();
    BOOST_CHECK_THROW(model.cross_attention(pass, batch, saved), ShapeError);
  };
  refused(tiny::batch(tiny::pairs()));
  TranslationBatch batch(8);
  refused(batch);
  batch.push(std::vector<int>{1, 0}, {});
  refused(batch);
  batch.clear();
  batch.push({}, std::vector<int>{1, 0});
  refused(batch);
  batch.clear();
  batch.push(std::vector<int>{1, 9, 0}, std::vector<int>{1, 0});
  refused(batch);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batches)

// Both sides are public, and attention looks for the source of each target.
BOOST_AUTO_TEST_CASE(need_a_target_for_each_source) {
  Cpu<double> backend(1);
  using Model = Marian<Cpu<double>, LinearProjections>;
  const Model model(backend, tiny::config(), 1, Purpose::Inference);
  PassMemory<Cpu<double>> memory(backend);
  Model::Saved saved;
  const auto refused = [&](const TranslationBatch& batch, const std::string& message) {
    const auto pass = memory.begin_inference();
    BOOST_CHECK_EXCEPTION(model.loss(pass, batch, 0.0, saved), ShapeError,
                          [&](const ShapeError& error) { return error.what() == message; });
  };
  auto batch = tiny::batch(tiny::pairs());
  batch.decoder_input.push(std::vector<int>{8});
  batch.labels.push_back(0);
  refused(batch, "a batch has 5 target sentences for 4 source sentences: each source sentence needs one");
  batch = tiny::batch(tiny::pairs());
  batch.source.push(std::vector<int>{1, 0});
  refused(batch, "a batch has 4 target sentences for 5 source sentences: each source sentence needs one");
}

BOOST_AUTO_TEST_SUITE_END()
