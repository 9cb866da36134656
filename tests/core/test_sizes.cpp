// Sizes from flags and files: nothing wraps, and what is too large is refused before memory is asked for.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_sizes
#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/models/roberta.hpp"
#include "sanitized.hpp"

using namespace neural_attention;

namespace {

constexpr auto largest = std::numeric_limits<std::int64_t>::max();
constexpr int largest_int = std::numeric_limits<int>::max();

/// A backend that gives no memory: what is refused must be refused before.
struct Empty : Cpu<float> {
  Empty() : Cpu<float>(1) {}
  Memory allocate(std::size_t) {
    BOOST_ERROR("memory was asked for");
    return {};
  }
};

/// The message of the ConfigError that `act` throws.
std::string refusal(auto&& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

template <template <class, class> class Model, class Config>
std::string refused(const Config& config) {
  Empty backend;
  return refusal([&] { Model<Empty, Projections<Neural, Neural, Linear, ResidualPlainNeural>>(backend, config); });
}

void check_holds(const std::string& text, const std::string& part) {
  BOOST_CHECK_MESSAGE(text.find(part) != std::string::npos, "\"" << text << "\" does not say \"" << part << "\"");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(arithmetic)

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_the_largest) {
  BOOST_CHECK_EQUAL(sizes::product(134217727, 32), 4294967264);
  BOOST_CHECK_EQUAL(sizes::product(largest_int, largest_int), 4611686014132420609);
  BOOST_CHECK_EQUAL(sizes::product(largest, 2), largest);
  BOOST_CHECK_EQUAL(sizes::product(largest, 0), 0);
  BOOST_CHECK_EQUAL(sizes::product(0, largest), 0);
  BOOST_CHECK_EQUAL(sizes::sum(largest - 1, 1), largest);
  BOOST_CHECK_EQUAL(sizes::sum(largest, largest), largest);
}

BOOST_AUTO_TEST_CASE(bytes_in_words) {
  BOOST_CHECK_EQUAL(sizes::bytes_text(0), "0 bytes");
  BOOST_CHECK_EQUAL(sizes::bytes_text(1023), "1023 bytes");
  BOOST_CHECK_EQUAL(sizes::bytes_text(1536), "1.5 KiB");
  BOOST_CHECK_EQUAL(sizes::bytes_text(std::int64_t{1} << 39), "512.0 GiB");
  BOOST_CHECK_EQUAL(sizes::bytes_text(largest), "7.9 EiB");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(models)

BOOST_AUTO_TEST_CASE(an_expansion_that_wraps_is_refused) {
  // In 32 bits the hidden widths would be -4, 0 and 4.
  for (const int expansion : {largest_int, 1 << 30, (1 << 30) + 1, 536870912}) {
    auto config = tiny::config();
    config.query.hidden = HiddenWidth::times(expansion);
    const auto message = refused<Marian>(config);
    check_holds(message, "hidden columns, which need");
    check_holds(message, std::to_string(std::int64_t{4} * expansion));
  }
}

BOOST_AUTO_TEST_CASE(a_parameter_that_is_too_large_is_named_with_its_bytes) {
  auto config = tiny::config();
  config.output.hidden = HiddenWidth::times(100'000'000);
  const auto message = refused<Marian>(config);
  check_holds(message,
              "whose largest parameter is model.encoder.layers.0.self_attn.out_proj.mlp.0.weight [400000000, 4]");
  check_holds(message, "which need");
  check_holds(message, "GiB; at most 2147483647 are supported");
}

BOOST_AUTO_TEST_CASE(every_size_of_marian_is_bounded) {
  const auto check = [](auto&& change) {
    auto config = tiny::config();
    change(config);
    const auto message = refused<Marian>(config);
    BOOST_CHECK_MESSAGE(message.find("need") != std::string::npos || message.find("at most 4096") != std::string::npos,
                        message);
  };
  check([](auto& c) { c.vocab_size = largest_int; });
  check([](auto& c) { c.d_model = largest_int - 1; });
  check([](auto& c) { c.encoder_ffn_dim = largest_int; });
  check([](auto& c) { c.decoder_ffn_dim = largest_int; });
  check([](auto& c) { c.max_position_embeddings = largest_int; });
  check([](auto& c) { c.encoder_layers = largest_int; });
  check([](auto& c) { c.decoder_layers = 4097; });
  check([](auto& c) { c.encoder_layers = 4096, c.d_model = 1024; });
}

BOOST_AUTO_TEST_CASE(every_size_of_roberta_is_bounded) {
  const auto check = [](auto&& change) {
    auto config = roberta_small(300);
    change(config);
    const auto message = refused<Roberta>(config);
    BOOST_CHECK_MESSAGE(message.find("need") != std::string::npos || message.find("at most 4096") != std::string::npos,
                        message);
  };
  check([](auto& c) { c.vocab_size = largest_int; });
  check([](auto& c) { c.hidden_size = largest_int - 3; });
  check([](auto& c) { c.intermediate_size = largest_int; });
  check([](auto& c) { c.max_position_embeddings = largest_int; });
  check([](auto& c) { c.type_vocab_size = largest_int; });
  check([](auto& c) { c.num_hidden_layers = largest_int; });
  check([](auto& c) { c.value.hidden = HiddenWidth::times(largest_int); });
}

BOOST_AUTO_TEST_CASE(an_outline_has_names_and_shapes_and_no_memory) {
  using Model = Marian<Empty, tiny::Mixed>;
  Model::inspect(tiny::config(), [](const Model& outline) {
    BOOST_CHECK_EQUAL(outline.parameters().find("model.shared.weight")->rows, 9);
    BOOST_CHECK_GT(outline.parameters().count(), 0);
  });
  Cpu<float> cpu(1);
  const Marian<Cpu<float>, tiny::Mixed> model(cpu, tiny::config());
  Model::inspect(tiny::config(), [&](const Model& outline) {
    BOOST_CHECK_EQUAL(outline.parameters().count(), model.parameters().count());
  });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(memory_that_the_system_lacks_is_named) {
  if (NEURAL_ATTENTION_SANITIZED) return;  // their allocators abort
  try {
    Cpu<float>(1).allocate(std::size_t{1} << 61);
    BOOST_ERROR("memory was found");
  } catch (const OutOfMemory& error) {
    check_holds(error.what(), "2.0 EiB");
  }
}

BOOST_AUTO_TEST_CASE(samples_that_no_cache_can_count_are_refused) {
  Cpu<float> cpu(1);
  const Marian<Cpu<float>, tiny::Mixed> model(cpu, tiny::config());
  Generator generator(cpu, model);
  for (const int samples : {largest_int, 1 << 30, 1 << 28}) {
    GenerationConfig how;
    how.do_sample = true;
    how.num_return_sequences = samples;
    const auto message = refusal([&] { generator(tiny::batch(tiny::pairs()), how); });
    check_holds(message, "beams or samples each would have");
    check_holds(message, "tokens to remember, which need");
  }
}

BOOST_AUTO_TEST_SUITE_END()
