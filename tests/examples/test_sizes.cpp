// Sizes that no computer has, from flags and from files: one sentence with the bytes, before anything is made.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE program_sizes
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/german_english_grammar.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

const Arguments translation = {"train", "--data", "nowhere", "--vocab_size", "400"};
const Arguments masked_lm = {"train", "--data", "nowhere", "--vocab_size", "400"};

Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Sizes of a config, as text, of which `key` is `value`.
std::string config(const char* key, const char* value) {
  nlohmann::json json = {{"d_model", 32},
                         {"encoder_layers", 1},
                         {"decoder_layers", 1},
                         {"encoder_ffn_dim", 32},
                         {"decoder_ffn_dim", 32},
                         {"max_position_embeddings", 64},
                         {"encoder_attention_heads", 2},
                         {"decoder_attention_heads", 2}};
  json[key] = nlohmann::json::parse(value);
  return json.dump();
}

/// A folder with a model directory of a tiny translator.
struct ModelFolder : Folder {
  ModelFolder() {
    std::string german, english;
    for (const auto& pair : examples::generate(60, 3)) german += pair.german + "\n", english += pair.english + "\n";
    for (const auto* part : {"train", "valid"}) {
      write(folder / (std::string(part) + ".de"), german);
      write(folder / (std::string(part) + ".en"), english);
    }
    write(folder / "tiny.json", config("d_model", "32"));
    const auto trained =
        run("translation", {"train", "--data", folder.string(), "--config", path("tiny.json"), "--vocab_size", "120",
                            "--max_steps", "1", "--no_bleu", "--threads", "1", "--output_dir", path("model")});
    BOOST_REQUIRE_MESSAGE(trained.code == 0, trained.err);
  }

  nlohmann::json config_of_model() const { return nlohmann::json::parse(content(folder / "model/config.json")); }
  void refuses_to_translate(const Arguments& parts, const Arguments& more = {}) const {
    refuses(1, "translation", with({"translate", "--model", path("model")}, more), parts, "ein Hund\n");
    refuses(1, "translation",
            {"train", "--model", path("model"), "--data", folder.string(), "--output_dir", path("out")}, parts);
    BOOST_TEST(!fs::exists(folder / "out"));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sizes)

BOOST_AUTO_TEST_CASE(an_expansion_that_would_wrap_is_refused) {
  const Folder place;
  for (const auto* expansion : {"2147483647", "134217727", "134217729", "16777216", "8388608"}) {
    for (const auto& [program, arguments] : {std::pair{"translation", translation}, {"masked_lm", masked_lm}})
      place.refuses(2, program,
                    with(arguments, {"--projector", "plain_neural", "--projector_expansion", expansion, "--output_dir",
                                     place.path("out")}),
                    {"which need", "iB; at most 2147483647 are supported"});
    BOOST_TEST(!fs::exists(place.folder / "out"));
  }
}

BOOST_AUTO_TEST_CASE(a_config_with_widths_that_would_wrap_is_refused_by_name) {
  const Folder place;
  const auto neural = [](int expansion) {
    const auto role = R"({"type": "neural", "expansion": )" + std::to_string(expansion) + "}";
    return R"({"projectors": {"query": )" + role + R"(, "key": )" + role + "}}";
  };
  const auto refuses = [&](const char* key, const std::string& value, const Arguments& parts) {
    write(place.folder / "evil.json", config(key, value.c_str()));
    for (const bool dump : {false, true}) {
      const auto more = dump ? Arguments{"--dump_config"} : Arguments{"--output_dir", place.path("out")};
      const auto outcome =
          place.run("translation", with(with(translation, {"--config", place.path("evil.json")}), more));
      BOOST_TEST((outcome.code == 1 || outcome.code == 2), outcome.code << " " << outcome.signal << " " << outcome.err);
      BOOST_TEST(lines_of(outcome.err).size() == 1u, outcome.err);
      for (const auto& part : parts)
        BOOST_TEST(contains(outcome.err, part), "'" << part << "' is not in " << outcome.err);
    }
    BOOST_TEST(!fs::exists(place.folder / "out"));
  };
  refuses("neural_attention", neural(134217727), {"evil.json: ", "4294967264 hidden columns, which need 511.9 GiB"});
  refuses("neural_attention", neural(134217729), {"evil.json: ", "hidden columns, which need"});
  refuses("neural_attention", neural(1 << 20), {"evil.json: ", "_proj.0.weight [33554432, 32]", "which need"});
  refuses("d_model", "2147483646", {"which need"});
  refuses("encoder_ffn_dim", "2147483647", {"fc1.weight [2147483647, 32]", "which need 5"});
  refuses("max_position_embeddings", "2147483647", {"which need 255.9 GiB"});
  refuses("encoder_layers", "2147483647", {"evil.json: ", "encoder_layers must be at most 4096, not 2147483647"});
  refuses("decoder_layers", "5000", {"evil.json: ", "decoder_layers must be at most 4096, not 5000"});
  refuses("encoder_attention_heads", "3", {"evil.json: ", "cannot be split into 3 attention heads"});
}

BOOST_AUTO_TEST_CASE(a_vocabulary_that_no_model_can_have_is_refused) {
  const Folder place;
  for (const auto& [program, arguments] : {std::pair{"translation", translation}, {"masked_lm", masked_lm}})
    place.refuses(2, program,
                  {"train", "--data", "nowhere", "--vocab_size", "10000000", "--output_dir", place.path("out")},
                  {"[10000000, 256]", "which need"});
}

BOOST_FIXTURE_TEST_CASE(a_config_that_claims_other_sizes_than_the_weights_allocates_nothing, ModelFolder) {
  const auto honest = config_of_model();
  const auto claims = [&](const char* key, int value, const Arguments& parts) {
    auto json = honest;
    json[key] = value;
    write(folder / "model/config.json", json.dump());
    refuses_to_translate(parts);
  };
  claims("encoder_ffn_dim", 2'000'000, {"model.safetensors: the tensors do not fit the model", "[2000000, 32]"});
  claims("encoder_ffn_dim", 2147483647, {"config.json: ", "which need"});
  claims("encoder_layers", 4000, {"model.safetensors: the tensors do not fit the model"});
  claims("max_position_embeddings", 2147483647, {"config.json: ", "which need 255.9 GiB"});
  auto json = honest;
  json["neural_attention"]["projectors"]["query"] = {{"type", "neural"}, {"expansion", 134217727}};
  write(folder / "model/config.json", json.dump());
  refuses_to_translate({"config.json: ", "hidden columns, which need 511.9 GiB"});
  json["neural_attention"]["projectors"]["query"]["expansion"] = 60000;
  write(folder / "model/config.json", json.dump());
  refuses_to_translate({"model.safetensors: the tensors do not fit the model", "[1920000, 32]"});

  // What cannot be read is found before a model is made, too.
  write(folder / "model/config.json", honest.dump());
  fs::remove(folder / "model/model.safetensors");
  refuses_to_translate({"model.safetensors: does not exist"});
}

BOOST_AUTO_TEST_SUITE_END()
