// Model directories of RoBERTa: what is written is read back to the bit; other names of tied tensors, tensors of other
// heads; fresh and warm projections; and what is refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE io_roberta_directory
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/model_tensors.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "scratch.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;
using Stock = Roberta<B, LinearProjections>;
using Paper = Roberta<B, paper::roberta>;

const std::string words = "roberta.embeddings.word_embeddings.weight";
const std::string first_query = "roberta.encoder.layer.0.attention.self.query.";

/// A stock model with random values everywhere, saved, and its tensors as they were.
struct Saved {
  Saved() : model(backend, tiny::roberta_config(2), 5), tensors(backend, model) {
    fill_with_noise(backend, model);
    tensors = ModelTensors(backend, model);
    io::save_model(folder.path.string(), backend, model);
  }

  template <class Model = Stock>
  Model load(const io::LoadOptions& how = {}) {
    Model other(backend, io::load_roberta_config(folder.file("config.json")), std::nullopt, Purpose::Inference);
    report = io::load_model(folder.path.string(), backend, other, how);
    return other;
  }
  void rewrite() const { tensors.write(folder / "model.safetensors"); }
  bool is_whole(const Stock& other) {
    for (const auto& entry : model.parameters().entries())
      if (tensor(backend, other, entry.name) != tensor(backend, model, entry.name)) return false;
    return true;
  }

  B backend{1};
  Scratch folder;
  Stock model;
  ModelTensors tensors;
  io::LoadReport report;
};

double loss(B& backend, const auto& model) {
  PassMemory<B> memory(backend);
  typename std::remove_cvref_t<decltype(model)>::Saved saved;
  const auto pass = memory.begin_inference();
  const auto sums = model.loss(pass, tiny::masked_batch(tiny::masked_sequences()), 0.0, saved);
  return sums.negative_log_likelihood / double(sums.tokens);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(reading_and_writing, Saved)

BOOST_AUTO_TEST_CASE(gives_the_same_bits) {
  BOOST_TEST(is_whole(load()));
  BOOST_TEST(!std::filesystem::exists(folder / "generation_config.json"));
  const auto config = io::read_json(folder / "config.json");
  BOOST_TEST(config.at("architectures").at(0) == "RobertaForMaskedLM");
  BOOST_TEST(config.at("model_type") == "roberta");
  BOOST_TEST(config.at("hidden_size") == 4);
  BOOST_TEST(config.at("neural_attention").at("projectors").at("query").at("type") == "linear");
  const auto bytes = contents(folder / "model.safetensors");
  const auto again = load();
  io::save_model(folder.path.string(), backend, again);
  BOOST_TEST((contents(folder / "model.safetensors") == bytes));
}

BOOST_AUTO_TEST_CASE(tied_tensors_have_other_names_too) {
  const auto weight = tensors.of.at(words), bias = tensors.of.at("lm_head.bias");
  tensors.of["lm_head.decoder.weight"] = weight;
  tensors.of["lm_head.decoder.bias"] = bias;
  rewrite();
  BOOST_TEST(is_whole(load()));
  tensors.of.erase(words);
  tensors.of.erase("lm_head.bias");
  rewrite();
  BOOST_TEST(is_whole(load()));
  tensors.of[words] = weight;
  tensors.of.at("lm_head.decoder.weight").bytes[2] ^= std::byte{1};
  rewrite();
  BOOST_CHECK_EXCEPTION(load(), FileError, says({"not equal", "lm_head.decoder.weight", words}));
}

BOOST_AUTO_TEST_CASE(what_belongs_to_other_heads_is_passed_over) {
  tensors.set("roberta.embeddings.position_ids", io::DType::I64, {1, 2}, std::vector<std::int64_t>{0, 1});
  tensors.set("roberta.pooler.dense.weight", io::DType::F32, {1}, std::vector<float>{1});
  rewrite();
  BOOST_TEST(is_whole(load()));
  tensors.set("classifier.dense.weight", io::DType::F32, {1}, std::vector<float>{1});
  rewrite();
  BOOST_CHECK_EXCEPTION(load(), FileError, says({"unexpected", "classifier.dense.weight"}));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_named) {
  tensors.of.erase("lm_head.dense.bias");
  tensors.of.at(first_query + "weight").shape = {16};
  rewrite();
  BOOST_CHECK_EXCEPTION(load(), FileError,
                        says({"missing", "lm_head.dense.bias [4]", "wrong shape", first_query + "weight [16]"}));
}

BOOST_AUTO_TEST_CASE(projections_start_warm_or_fresh) {
  const double before = loss(backend, model);
  io::LoadOptions how;
  how.projections = io::LoadOptions::Projections::Warm;
  BOOST_TEST(loss(backend, load<Paper>(how)) == before, boost::test_tools::tolerance(1e-5));
  BOOST_TEST(report.warm_started.projectors.size() == 6u);  // query, key and value of two layers
  how.projections = io::LoadOptions::Projections::Fresh;
  BOOST_TEST(std::abs(loss(backend, load<Paper>(how)) - before) > 5e-5);  // warm starts are 1e-5 at most off
  BOOST_CHECK_EXCEPTION(load<Paper>(), FileError, says({"missing", first_query + "0.weight"}));
}

BOOST_AUTO_TEST_CASE(keys_of_a_config_are_kept) {
  auto json = io::read_json(folder / "config.json");
  json["classifier_dropout"] = nullptr;
  json["my_key"] = {1, 2};
  json.erase("use_cache");
  io::write_json(folder / "config.json", json);
  const auto again = load();
  io::save_model(folder.path.string(), backend, again);
  BOOST_TEST(io::read_json(folder / "config.json") == json);
}

BOOST_AUTO_TEST_CASE(pre_norm_is_hugging_faces_roberta_prelayernorm) {
  auto config = tiny::roberta_config(2);
  config.normalize_before = true;
  Stock pre_norm(backend, config, 7);
  fill_with_noise(backend, pre_norm);
  io::save_model(folder.path.string(), backend, pre_norm);
  const auto json = io::read_json(folder / "config.json");
  BOOST_TEST(json.at("model_type") == "roberta-prelayernorm");
  BOOST_TEST(json.at("architectures").at(0) == "RobertaPreLayerNormForMaskedLM");
  BOOST_TEST(!json.contains("normalize_before"));  // Hugging Face has no such key
  const auto bytes = contents(folder / "model.safetensors");
  for (const char* const name :
       {"roberta_prelayernorm.embeddings.LayerNorm.weight",
        "roberta_prelayernorm.encoder.layer.1.attention.LayerNorm.bias",
        "roberta_prelayernorm.encoder.layer.0.intermediate.LayerNorm.weight", "roberta_prelayernorm.LayerNorm.weight"})
    BOOST_TEST((pre_norm.parameters().find(name) != nullptr), name);

  tensors = ModelTensors(backend, pre_norm);
  tensors.of["lm_head.decoder.weight"] = tensors.of.at("roberta_prelayernorm.embeddings.word_embeddings.weight");
  tensors.set("roberta_prelayernorm.embeddings.position_ids", io::DType::I64, {1, 2}, std::vector<std::int64_t>{0, 1});
  rewrite();
  const auto again = load();
  BOOST_TEST(again.config().normalize_before);
  BOOST_TEST(loss(backend, again) == loss(backend, pre_norm));
  BOOST_TEST(loss(backend, again) != loss(backend, model));
  io::save_model(folder.path.string(), backend, again);
  BOOST_TEST((contents(folder / "model.safetensors") == bytes));
  BOOST_TEST(io::read_json(folder / "config.json") == json);
}

BOOST_AUTO_TEST_CASE(other_kinds_of_model_are_refused) {
  const auto refused = [&](const char* key, const nlohmann::json& value, std::initializer_list<std::string> parts) {
    auto json = io::read_json(folder / "config.json");
    json[key] = value;
    folder.write("other.json", json.dump());
    BOOST_CHECK_EXCEPTION(io::load_roberta_config(folder.file("other.json")), FileError, says(parts));
  };
  refused("model_type", "bert", {"other.json", "\"bert\"", "roberta"});
  refused("normalize_before", "yes", {"other.json", "normalize_before"});
  refused("is_decoder", true, {"other.json", "is_decoder"});
  refused("tie_word_embeddings", false, {"other.json", "tie_word_embeddings"});
  refused("position_embedding_type", "relative_key", {"other.json", "relative_key", "absolute"});
  refused("hidden_size", 0, {"other.json", "hidden_size must be at least 1, not 0"});
  refused("max_position_embeddings", 2, {"other.json", "max_position_embeddings is 2"});
  refused("hidden_act", "tanh", {"other.json", "tanh", "gelu"});
}

BOOST_AUTO_TEST_SUITE_END()
