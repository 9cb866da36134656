// Projectors of single layers: the text that names them, models that have them, and their place in config.json.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_layer_projectors
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using B = Cpu<double>;

namespace {

template <class Backend>
using LinearOrBent = Choice<Backend, Linear, NonlinearQuery, PlainNeural>;
using Mixed = Projections<LinearOrBent, LinearOrBent, Linear, Linear>;

const std::vector<AttentionPlace> places{{"encoder", 4}, {"decoder", 3}, {"cross", 3}};

/// "encoder.0=linear …", the layers in order.
std::string named(const std::string& text, const std::vector<AttentionPlace>& of = places) {
  std::string all;
  const auto found = layer_names(text, of);
  for (const auto& place : of)
    for (int layer = 0; layer < place.layers; ++layer)
      for (const auto& one : found)
        if (one.place == place.name && one.layer == layer)
          all += std::string(all.empty() ? "" : " ") + std::string(place.name) + std::to_string(layer) + one.name;
  return all;
}

std::string message(auto&& make) {
  try {
    make();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

void refused(const std::string& text, const std::string& why) {
  BOOST_TEST(message([&] { layer_names(text, places); }) == why);
}

bool has(const auto& store, const std::string& name) { return store.find(name) != nullptr; }

}  // namespace

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(names_layers_of_all_places_or_of_one) {
  BOOST_TEST(named("0=a,1-=b", {{"encoder", 3}}) == "encoder0a encoder1b encoder2b");
  BOOST_TEST(named("2-2=c,0-1=a", {{"encoder", 3}}) == "encoder0a encoder1a encoder2c");
  BOOST_TEST(named("encoder:3=x,0=a,1-2=b") ==
             "encoder0a encoder1b encoder2b encoder3x decoder0a decoder1b decoder2b cross0a cross1b cross2b");
  BOOST_TEST(named("encoder=a,decoder:0-1=b,decoder:2-=c,cross=d") ==
             "encoder0a encoder1a encoder2a encoder3a decoder0b decoder1b decoder2c cross0d cross1d cross2d");
}

BOOST_AUTO_TEST_CASE(says_in_one_sentence_what_is_wrong) {
  for (const std::string wrong : {"", "=a", "0=", "0-2", "0-1x=a", "2-1=a", "encoder:=a", "encoder:x=a", "0--2=a",
                                  "99999999999=a", ":0=a", "0-=a,"})
    BOOST_TEST(
        message([&] { layer_names(wrong, places); }).find("is not LAYERS=PROJECTOR, such as") != std::string::npos,
        wrong << ": " << message([&] { layer_names(wrong, places); }));
  refused("encoder:0-4=a", "\"encoder:0-4=a\" names layer 4 of encoder, which has layers 0 to 3");
  refused("0-=a,decoder:3-=b", "\"decoder:3-=b\" names layer 3 of decoder, which has layers 0 to 2");
  refused("0-3=a", "\"0-3=a\" names layer 3 of decoder, which has layers 0 to 2");
  refused("0-=a,cross:1=b", "\"cross:1=b\" names cross layer 1 a second time");
  refused("encoder=a,decoder=b", "\"encoder=a,decoder=b\" names no projector for cross layer 0");
  refused("0-1=a,encoder:2-=a,cross:2=a", "\"0-1=a,encoder:2-=a,cross:2=a\" names no projector for decoder layer 2");
  refused("decodr=a", "\"decodr=a\" names attentions that this model does not have; it has encoder, decoder, cross");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(models)

BOOST_AUTO_TEST_CASE(have_what_each_layer_is_to_have) {
  B backend(1);
  auto config = tiny::config(3);
  set_layer_projectors(config, "query", "0-1=linear,2=nonlinear_query");
  set_layer_projectors(config, "key", "encoder=linear,decoder=linear,cross:0=plain_neural,cross:1-=linear");
  BOOST_TEST(config.layer_projectors.size() == 4u);
  const Marian<B, Mixed> model(backend, config);
  const auto& store = model.parameters();
  BOOST_TEST(has(store, "model.encoder.layers.1.self_attn.q_proj.weight"));
  BOOST_TEST(has(store, "model.encoder.layers.2.self_attn.q_proj.mlp.1.weight"));
  BOOST_TEST(has(store, "model.decoder.layers.2.self_attn.q_proj.mlp.1.weight"));
  BOOST_TEST(has(store, "model.decoder.layers.2.encoder_attn.q_proj.mlp.1.weight"));
  BOOST_TEST(has(store, "model.decoder.layers.0.encoder_attn.k_proj.2.weight"));
  BOOST_TEST(has(store, "model.decoder.layers.0.self_attn.k_proj.weight"));
  BOOST_TEST(has(store, "model.decoder.layers.1.encoder_attn.k_proj.weight"));
  // The config says the widths, too.
  const auto bent = projectors_at(model.config(), "encoder", 2).query;
  BOOST_TEST((bent.hidden == HiddenWidth::times(0.5)));
  BOOST_TEST((projectors_at(model.config(), "cross", 0).key.hidden == HiddenWidth::times(2)));
}

BOOST_AUTO_TEST_CASE(have_right_gradients) {
  using Poison = testing::Poisoned<Cpu<double>>;
  Poison backend(1);
  auto config = tiny::config(2, 4, 0.1);
  set_layer_projectors(config, "query", "encoder:0=linear,encoder:1=plain_neural,decoder=nonlinear_query,cross=linear");
  Marian<Poison, Mixed> model(backend, config, 1);
  typename Marian<Poison, Mixed>::Saved saved;
  const auto batch = tiny::batch(tiny::pairs(), 7);  // the row of padding has no gradient
  testing::GradientOptions options;
  options.zero = {"*k_proj.bias"};
  const auto report = testing::check_loss(
      backend, model.parameters(),
      [&](const Pass<Poison>& pass) { return model.loss(pass, batch, 0.1, saved).smoothed; },
      [&](const Pass<Poison>& pass) {
        StepOutcome sums;
        model.loss_and_gradient(pass, batch, 0.1, 1.0, Into::Write, &sums, saved);
        return sums.smoothed_loss;
      },
      options);
  BOOST_TEST(report.ok(), report.text());
}

BOOST_AUTO_TEST_CASE(of_equal_layers_are_as_they_were) {
  B backend(1);
  auto uniform = tiny::config(2), layered = uniform;
  uniform.query.type = "plain_neural";
  set_layer_projectors(layered, "query", "0-=plain_neural");
  BOOST_TEST(layered.layer_projectors.empty());
  const Marian<B, Mixed> one(backend, uniform, 3), other(backend, layered, 3);
  BOOST_TEST((tiny::values(backend, one.parameters()) == tiny::values(backend, other.parameters())));
  BOOST_TEST(io::to_json(one.config()).dump() == io::to_json(other.config()).dump());
}

BOOST_AUTO_TEST_CASE(of_other_types_are_refused) {
  B backend(1);
  const auto made = [&](const LayerProjector& layer) {
    return message([&] {
      auto config = tiny::config(2);
      config.layer_projectors = {layer};
      Marian<B, Mixed>{backend, config};
    });
  };
  ProjectorConfig neural;
  neural.type = "plain_neural";
  BOOST_TEST(made({"encoder", 1, "query", neural}) == "accepted");
  BOOST_TEST(
      made({"encoder", 1, "value", neural}) ==
      "the value of encoder layer 1 is to be \"plain_neural\", but the model's type has \"linear\" in all layers: "
      "make that role a Choice of both");
  BOOST_TEST(made({"encoder", 2, "query", neural}) ==
             "the projector for the query of encoder layer 2 has no such layer: the model has encoder layers 0 to 1, "
             "decoder layers 0 to 1, cross layers 0 to 1");
  BOOST_TEST(made({"middle", 0, "query", neural}).find("has no such layer") != std::string::npos);
  BOOST_TEST(made({"encoder", 0, "q", neural}) ==
             "the projector for the q of encoder layer 0 has no such role: it is query, key, value or output");
  auto twice = tiny::config(2);
  twice.layer_projectors = {{"cross", 0, "key", neural}, {"cross", 0, "key", neural}};
  BOOST_TEST(message([&] { twice.validate(); }) == "the projector for the key of cross layer 0 is there twice");
  neural.hidden = HiddenWidth::columns(-1);
  BOOST_TEST(made({"encoder", 1, "query", neural}).find("hidden width") != std::string::npos);
  neural.type = "neural";
  neural.hidden = {};
  auto unknown = tiny::config(2);
  unknown.layer_projectors = {{"encoder", 1, "query", neural}};
  BOOST_TEST((!fits<Marian<B, Mixed>>(unknown)));
  BOOST_TEST(message([&] {
               AnyModel<Marian<B, Mixed>>{backend, unknown};
             }).find("query of encoder layer 1 \"neural\"") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(keep_them) {
  auto config = tiny::config(3);
  set_layer_projectors(config, "query", "0-1=linear,2=nonlinear_query");
  const ProjectorConfig neural{.hidden = HiddenWidth::columns(7), .type = "neural"};
  config.layer_projectors.insert(config.layer_projectors.begin(), {"cross", 1, "output", neural});
  const auto json = io::to_json(config);
  BOOST_TEST(json.at("neural_attention").at("layer_projectors").at("cross.1").at("output").dump() ==
             R"({"type":"neural","hidden_width":7})");
  const auto read = io::marian_config(json, "config.json");
  BOOST_TEST(io::to_json(read).dump() == json.dump());
  BOOST_TEST(read.layer_projectors.size() == 4u);
  BOOST_TEST(projectors_at(read, "decoder", 2).query.type == "nonlinear_query");
  BOOST_TEST(projectors_at(read, "decoder", 1).query.type == "linear");
  BOOST_TEST(!io::to_json(tiny::config()).at("neural_attention").contains("layer_projectors"));

  auto roberta = tiny::roberta_config(2);
  set_layer_projectors(roberta, "value", "encoder:0=linear,1=identity");
  const auto again = io::roberta_config(io::to_json(roberta), "config.json");
  BOOST_TEST(projectors_at(again, "encoder", 1).value.type == "identity");
}

BOOST_AUTO_TEST_CASE(that_make_no_sense_are_refused) {
  const auto read = [](const std::string& layers) {
    auto json = io::to_json(tiny::config(2));
    json["neural_attention"]["layer_projectors"] = nlohmann::ordered_json::parse(layers);
    return message([&] { io::marian_config(json, "config.json"); });
  };
  BOOST_TEST(read(R"({"encoder.1": {"query": {"type": "neural"}}})") == "accepted");
  BOOST_TEST(read("[]") == "config.json: must hold an object at \"layer_projectors\"");
  for (const std::string name :
       {"encoder", "encoder.", "encoder.x", "encoder.-1", "encoder.1.5x", "encoder.-0", "encoder.01"})
    BOOST_TEST(read("{\"" + name + "\": {\"query\": {\"type\": \"neural\"}}}")
                   .find("has \"" + name + "\" in \"layer_projectors\"; expected") != std::string::npos);
  for (const std::string nothing : {"3", "{}"})
    BOOST_TEST(read("{\"encoder.1\": " + nothing + "}").find("expected are objects") != std::string::npos);
  BOOST_TEST(read(R"({"encoder.2": {"query": {"type": "neural"}}})").find("has no such layer") != std::string::npos);
  BOOST_TEST(read(R"({"encoder.1": {"q": {"type": "neural"}}})").find("has no such role") != std::string::npos);
  BOOST_TEST(read(R"({"encoder.1": {"query": {}}})") ==
             "config.json: has an object for the projector of query of encoder.1; expected is an object such as "
             "{\"type\": \"neural\", \"expansion\": 2}");
  BOOST_TEST(read(R"({"encoder.1": {"query": {"type": "neural", "expansoin": 3}}})") ==
             "config.json: has the unknown key \"expansoin\" (did you mean \"expansion\"?) in \"query of encoder.1\"");
}

BOOST_AUTO_TEST_SUITE_END()
