// Perplexity from sums of losses, in both of its means.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE perplexity
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/metrics/perplexity.hpp"

using neural_attention::ConfigError;
using neural_attention::LossSum;
using neural_attention::NumericError;
using neural_attention::metrics::LossMean;
using neural_attention::metrics::MeanLoss;
using neural_attention::metrics::perplexity;

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

struct Row {
  double loss;  // summed over the tokens
  long tokens;
  int sequences;
};
constexpr std::array<Row, 3> rows = {{{120.0, 30, 8}, {90.0, 45, 8}, {7.0, 1, 2}}};

MeanLoss collect(LossMean mean) {
  MeanLoss result(mean);
  for (const auto& row : rows) result.add({row.loss * 1.7, row.loss, row.tokens}, row.sequences);  // smoothed: not used
  return result;
}

auto says(std::string part) {
  return [part](const std::exception& error) { return std::string(error.what()).find(part) != std::string::npos; };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(means)

BOOST_AUTO_TEST_CASE(by_tokens) {
  const auto mean = collect(LossMean::Tokens);
  BOOST_TEST(std::abs(mean.loss() - 217.0 / 76.0) <= 1e-15 * 3.0);
  BOOST_TEST(std::abs(mean.perplexity() - std::exp(217.0 / 76.0)) <= 1e-14 * 18.0);
  MeanLoss standard;
  for (const auto& row : rows) standard.add({0.0, row.loss, row.tokens}, row.sequences);
  BOOST_TEST(standard.loss() == mean.loss());
}

// What Hugging Face's Trainer computes: a batch's mean, repeated for each of its sequences, and the mean of all these.
BOOST_AUTO_TEST_CASE(by_sequences) {
  const auto mean = collect(LossMean::Sequences);
  double sum = 0.0;
  int count = 0;
  for (const auto& row : rows)
    for (int i = 0; i < row.sequences; ++i, ++count) sum += row.loss / double(row.tokens);
  BOOST_TEST(count == 18);
  BOOST_TEST(std::abs(mean.loss() - sum / count) <= 1e-15 * 18 * 4.0);
  BOOST_TEST(std::abs(mean.loss() - (8 * 4.0 + 8 * 2.0 + 2 * 7.0) / 18.0) <= 1e-15 * 18 * 4.0);
  BOOST_TEST(std::abs(mean.loss() - collect(LossMean::Tokens).loss()) > 0.1);
}

BOOST_AUTO_TEST_CASE(agree_where_all_batches_are_alike) {
  MeanLoss tokens(LossMean::Tokens), sequences(LossMean::Sequences);
  for (const double loss : {64.0, 128.0, 32.0})
    for (auto* mean : {&tokens, &sequences}) mean->add({loss, loss, 16}, 4);
  BOOST_TEST(std::abs(tokens.loss() - sequences.loss()) <= 4e-15 * 5.0);
  BOOST_TEST(std::abs(tokens.loss() - 224.0 / 48.0) <= 4e-15 * 5.0);
}

BOOST_AUTO_TEST_CASE(of_a_uniform_guess_are_the_vocabulary) {
  MeanLoss mean;
  for (const long tokens : {7L, 100L, 1L}) mean.add({0.0, double(tokens) * std::log(16000.0), tokens}, 1);
  BOOST_TEST(std::abs(mean.perplexity() / 16000.0 - 1.0) <= 1e-14);
  MeanLoss certain(LossMean::Sequences);
  certain.add({0.0, 0.0, 5}, 5);
  BOOST_TEST(certain.perplexity() == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(refused)

BOOST_AUTO_TEST_CASE(nothing_to_average) {
  for (const auto mode : {LossMean::Tokens, LossMean::Sequences}) {
    MeanLoss mean(mode);
    BOOST_CHECK_THROW(mean.loss(), ConfigError);
    BOOST_CHECK_THROW(mean.perplexity(), ConfigError);
    BOOST_CHECK_EXCEPTION(mean.add({0.0, 0.0, 0}, 4), ConfigError, says("not 0 and 4"));
    BOOST_CHECK_EXCEPTION(mean.add({0.0, 1.0, 3}, 0), ConfigError, says("not 3 and 0"));
    BOOST_CHECK_THROW(mean.loss(), ConfigError);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_finite) {
  for (const auto mode : {LossMean::Tokens, LossMean::Sequences}) {
    MeanLoss mean(mode);
    mean.add({0.0, 6.0, 3}, 1);
    for (const double bad : {infinite, -infinite, not_a_number})
      BOOST_CHECK_THROW(mean.add({0.0, bad, 3}, 1), NumericError);
    BOOST_TEST(mean.loss() == 2.0);       // nothing of it was added
    mean.add({not_a_number, 3.0, 3}, 1);  // the smoothed loss is not looked at
    BOOST_TEST(mean.loss() == 1.5);
  }
  for (const double bad : {infinite, -infinite, not_a_number}) BOOST_CHECK_THROW(perplexity(bad), NumericError);
  BOOST_TEST(perplexity(710.0) == infinite);  // as run_mlm says it
  BOOST_TEST(perplexity(0.0) == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()
