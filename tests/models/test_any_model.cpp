// AnyModel: the type that a config asks for among those of a program, and the message where there is none.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_any_model
#include <boost/test/unit_test.hpp>
#include <string>
#include <type_traits>

#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/any_model.hpp"

using namespace neural_attention;
using B = Cpu<float>;

namespace {

template <class Backend>
using Either = Choice<Backend, Linear, PlainNeural>;
template <class Backend>
using Deep = Stack<Backend, Linear, Gelu, Linear>;

using Stock = Marian<B, LinearProjections>;
using Paper = Marian<B, paper::marian>;
using Flexible = Marian<B, Projections<Either, Either, Either, Linear>>;
using Unnamed = Marian<B, Projections<Deep, Deep, Deep, Deep>>;
using Any = AnyModel<Stock, Paper, Flexible, Unnamed>;

MarianConfig config_with(const std::string& query, const std::string& key, const std::string& value,
                         const std::string& output) {
  auto config = tiny::config();
  config.query.type = query;
  config.key.type = key;
  config.value.type = value;
  config.output.type = output;
  return config;
}

template <class Expected>
void check_picked(const MarianConfig& config) {
  B backend(1);
  Any any(backend, config, 3);
  BOOST_TEST(any.get<Expected>() != nullptr);
  any.visit([](auto& model) {
    static_assert(!std::is_const_v<std::remove_reference_t<decltype(model)>>);
    BOOST_TEST((std::same_as<std::remove_cvref_t<decltype(model)>, Expected>));
  });
  const auto& constant = any;
  constant.visit([](auto& model) { static_assert(std::is_const_v<std::remove_reference_t<decltype(model)>>); });
  BOOST_TEST(any.config().query.type == config.query.type);
  const Expected same(backend, config, 3);
  BOOST_TEST(tiny::values(backend, any.get<Expected>()->parameters()) == tiny::values(backend, same.parameters()));
}

void check_missing(const MarianConfig& config, const std::string& type) {
  B backend(1);
  BOOST_CHECK_EXCEPTION(Any(backend, config), ConfigError, [&](const ConfigError& error) {
    BOOST_TEST_MESSAGE(error.what());
    return std::string(error.what()).ends_with("the type to instantiate is " + type);
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(picking)

BOOST_AUTO_TEST_CASE(the_type_of_the_config) {
  check_picked<Stock>(config_with("linear", "linear", "linear", "linear"));
  check_picked<Paper>(config_with("neural", "neural", "linear", "neural"));
}

BOOST_AUTO_TEST_CASE(a_choice_fits_what_it_can_become) {
  check_picked<Flexible>(config_with("plain_neural", "linear", "plain_neural", "linear"));
  check_picked<Flexible>(config_with("linear", "linear", "plain_neural", "linear"));
}

BOOST_AUTO_TEST_CASE(a_miss_names_the_type) {
  check_missing(config_with("neural", "linear", "my_own", "linear"),
                "Marian<Cpu<float>, Projections<Neural, Linear, MyOwn, Linear>>");
  check_missing(config_with("plain_neural", "linear", "linear", "plain_neural"),
                "Marian<Cpu<float>, Projections<PlainNeural, Linear, Linear, PlainNeural>>");
  check_missing(config_with("residual", "plain_residual", "sequential_linear", "deep"),
                "Marian<Cpu<float>, Projections<ResidualNeural, ResidualPlainNeural, SequentialLinear, Deep>>");
}

BOOST_AUTO_TEST_CASE(masked_language_models_are_picked_alike) {
  B backend(1);
  using Masked = AnyModel<Roberta<B, LinearProjections>, Roberta<B, paper::roberta>>;
  auto config = tiny::roberta_config();
  config.query.type = config.key.type = config.value.type = "plain_neural";
  const Masked any(backend, config, 3);
  BOOST_TEST((any.get<Roberta<B, paper::roberta>>() != nullptr));
  BOOST_TEST(any.config().hidden_size == config.hidden_size);
  config.output.type = "neural";
  BOOST_CHECK_EXCEPTION(Masked(backend, config), ConfigError, [](const ConfigError& error) {
    return std::string(error.what())
        .ends_with("Roberta<Cpu<float>, Projections<PlainNeural, PlainNeural, PlainNeural, Neural>>");
  });
}

BOOST_AUTO_TEST_CASE(without_initial_values) {
  B backend(1);
  Any any(backend, config_with("linear", "linear", "linear", "linear"), std::nullopt, Purpose::Inference);
  const auto& store = any.get<Stock>()->parameters();
  BOOST_TEST(!store.gradients());
  for (const float x : tiny::values(backend, store)) BOOST_TEST(x == 0.0f);
  BOOST_TEST(any.get<Paper>() == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(projector_names)

BOOST_AUTO_TEST_CASE(are_the_same_without_a_backend) {
  BOOST_TEST(name_of_projector<Linear> == projector_name<Linear<B>>());
  BOOST_TEST(name_of_projector<LowRank> == projector_name<LowRank<B>>());
  BOOST_TEST(name_of_projector<JointQkv> == projector_name<JointQkv<B>>());
  BOOST_TEST(name_of_projector<Linear> == ProjectorConfig().type);
}

BOOST_AUTO_TEST_CASE(tell_one_linear_map_from_others) {
  AnyProjector<B>::for_each_type([]<class P>() {
    BOOST_TEST(is_one_linear_map(ProjectorName<P>::value) ==
               (std::is_same_v<P, Linear<B>> || std::is_same_v<P, SequentialLinear<B>>));
  });
}

BOOST_AUTO_TEST_SUITE_END()
