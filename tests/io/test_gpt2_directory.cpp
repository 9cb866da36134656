// Model directories of GPT-2: those that Hugging Face wrote (tests/reference/gpt2_directories.py) are read, compute
// what they compute there and are written with the same bytes; old files; fresh and warm projections; and what is
// refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE io_gpt2_directory
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "golden_file.hpp"
#include "io/model_tensors.hpp"
#include "models/tiny_gpt2.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/trainer/checkpoint.hpp"
#include "scratch.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;
using Any = Gpt2<B, AnyProjections>;
using Stock = Gpt2<B, LinearProjections>;

const std::string first_map = "transformer.h.0.attn.c_attn";

/// The tensors of a file, to be changed and written again.
ModelTensors tensors_of(const std::filesystem::path& path) {
  const io::SafetensorsFile file(path);
  ModelTensors tensors;
  for (const auto& tensor : file.tensors()) {
    const auto bytes = file.data(tensor);
    tensors.of[tensor.name] = {tensor.dtype, tensor.shape, {bytes.begin(), bytes.end()}};
  }
  return tensors;
}

template <class Model>
Model load(B& backend, const std::string& folder, const io::LoadOptions& how = {}, io::LoadReport* report = nullptr) {
  const auto config = io::load_gpt2_config(folder + "/config.json");
  io::check_model_files<Model>(folder, config, how);
  Model model(backend, config, std::nullopt, Purpose::Inference);
  auto found = io::load_model(folder, backend, model, how);
  if (report) *report = std::move(found);
  return model;
}

/// A stock model with random values everywhere, saved.
struct Saved {
  Saved() : model(backend, tiny::gpt2_config(2), 5) {
    fill_with_noise(backend, model);
    io::save_model(folder.path.string(), backend, model);
    tensors = tensors_of(folder / "model.safetensors");
  }

  Stock load() { return ::load<Stock>(backend, folder.path.string()); }
  void rewrite() const { tensors.write(folder / "model.safetensors"); }
  bool is_whole(const Stock& other) {
    return std::ranges::all_of(model.parameters().entries(), [&](const auto& entry) {
      return tensor(backend, other, entry.name) == tensor(backend, model, entry.name);
    });
  }

  B backend{1};
  Scratch folder;
  Stock model;
  ModelTensors tensors;
};

double loss(B& backend, const auto& model) {
  PassMemory<B> memory(backend);
  typename std::remove_cvref_t<decltype(model)>::Saved saved;
  const auto sums = model.loss(memory.begin_inference(), tiny::causal_batch(tiny::texts()), 0.0, saved);
  return sums.negative_log_likelihood / double(sums.tokens);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(of_hugging_face)

BOOST_AUTO_TEST_CASE(are_read_and_written_again) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden::folder() / "gpt2_directories"))
    BOOST_TEST_CONTEXT(entry.path().filename().string()) {
      ++cases;
      const auto from = entry.path();
      B backend(2);
      const auto model = load<Any>(backend, from.string());
      const auto expected = io::read_json(from / "expected.json");
      CausalBatch batch;
      for (std::vector<int> ids : expected.at("texts")) {
        ids.push_back(0);  // no text of its own, but what the last token would predict
        batch.push(ids);
      }
      PassMemory<B> memory(backend);
      Any::Saved saved;
      const auto pass = memory.begin_inference();
      const auto states = model.decode(pass, batch, saved);
      const auto logits = pass.scratch.aligned_rows(states.rows, model.config().vocab_size);
      model.logits(pass, states, logits);
      std::vector<float> found(static_cast<std::size_t>(logits.size()));
      backend(ops::Download<B>{.x = logits, .values = found});
      BOOST_TEST(golden::difference(found, expected.at("logits").get<std::vector<double>>()) < 1e-5);

      const Scratch scratch;
      const auto to = scratch.path.string();
      io::save_model(to, backend, model, io::load_generation_config(from.string(), model.config()));
      BOOST_TEST((contents(scratch / "model.safetensors") == contents(from / "model.safetensors")));
      auto config = io::read_json(scratch / "config.json");
      BOOST_TEST(config.at("torch_dtype") == "float32");
      config.erase("torch_dtype");
      BOOST_TEST(config == io::read_json(from / "config.json"));
      const auto generation = io::load_generation_config(to, model.config());
      BOOST_TEST(generation.eos_token_id == 3);

      // In shards, each tensor is still whole.
      io::save_model(to, backend, model, {}, 1000);
      BOOST_TEST(std::filesystem::exists(scratch / "model.safetensors.index.json"));
      const auto again = load<Any>(backend, to);
      for (const auto& one : model.parameters().entries())
        BOOST_TEST((tensor(backend, again, one.name) == tensor(backend, model, one.name)), one.name);
    }
  BOOST_TEST(cases == 5);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(reading_and_writing, Saved)

BOOST_AUTO_TEST_CASE(gives_the_same_bits) {
  BOOST_TEST(is_whole(load()));
  const auto config = io::read_json(folder / "config.json");
  BOOST_TEST(config.at("architectures").at(0) == "GPT2LMHeadModel");
  BOOST_TEST(config.at("model_type") == "gpt2");
  BOOST_TEST(config.at("n_inner") == 6);
  BOOST_TEST(config.at("pad_token_id").is_null());
  BOOST_TEST(!config.at("neural_attention").contains("bias"));
  BOOST_TEST((tensors.of.at(first_map + ".weight").shape == std::vector<std::int64_t>{4, 12}));
  BOOST_TEST((tensors.of.at(first_map + ".bias").shape == std::vector<std::int64_t>{12}));
  BOOST_TEST((tensors.of.at("transformer.h.1.mlp.c_fc.weight").shape == std::vector<std::int64_t>{4, 6}));
}

// As the files of the Hub, which have neither the prefix nor, in part, no masks.
BOOST_AUTO_TEST_CASE(old_files_are_read) {
  ModelTensors old;
  for (const auto& [name, one] : tensors.of) old.of[name.substr(std::string("transformer.").size())] = one;
  old.set("h.0.attn.bias", io::DType::U8, {1, 1, 2, 2}, std::vector<std::uint8_t>{1, 0, 1, 1});
  old.set("h.1.attn.masked_bias", io::DType::F32, {}, std::vector<float>{-1e4f});
  old.of["lm_head.weight"] = old.of.at("wte.weight");
  old.write(folder / "model.safetensors");
  BOOST_TEST(is_whole(load()));
  old.of.at("lm_head.weight").bytes[2] ^= std::byte{1};
  old.write(folder / "model.safetensors");
  BOOST_CHECK_EXCEPTION(load(), FileError, says({"not equal", "lm_head.weight", "transformer.wte.weight"}));
  old.of.erase("lm_head.weight");
  old.set("h.0.crossattention.c_attn.weight", io::DType::F32, {1}, std::vector<float>{1});
  old.write(folder / "model.safetensors");
  BOOST_CHECK_EXCEPTION(load(), FileError, says({"unexpected", "transformer.h.0.crossattention.c_attn.weight"}));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_named) {
  tensors.of.erase("transformer.ln_f.bias");
  tensors.of.erase(first_map + ".bias");
  tensors.set("transformer.h.1.attn.c_attn.weight", io::DType::F32, {4, 11}, std::vector<float>(44));
  tensors.set("transformer.h.1.mlp.c_fc.weight", io::DType::F32, {4, 5}, std::vector<float>(20));
  tensors.set("transformer.h.0.mlp.c_proj.weight", io::DType::F32, {24}, std::vector<float>(24));
  rewrite();
  BOOST_CHECK_EXCEPTION(load(), FileError,
                        says({"missing      transformer.ln_f.bias [4]", "missing      " + first_map + ".bias [12]",
                              "wrong shape  transformer.h.1.attn.c_attn.weight [4, 11], the model has [4, 12]",
                              "wrong shape  transformer.h.1.mlp.c_fc.weight [4, 5], the model has [4, 6]",
                              "wrong shape  transformer.h.0.mlp.c_proj.weight [24], the model has [6, 4]"}));
}

// The model's parts of a tensor have names that are not in the file.
BOOST_AUTO_TEST_CASE(what_does_not_fit_in_several_parts_is_named_as_the_file_names_it) {
  tensors.set(first_map + ".weight", io::DType::F32, {2, 12}, std::vector<float>(24));
  tensors.set(first_map + ".bias", io::DType::F32, {9}, std::vector<float>(9));
  rewrite();
  BOOST_CHECK_EXCEPTION(load(), FileError,
                        says({"wrong shape  " + first_map + ".weight [2, 12], the model has [4, 12]",
                              "wrong shape  " + first_map + ".bias [9], the model has [12]"}));
  BOOST_CHECK_EXCEPTION(load(), FileError, [](const FileError& error) {
    return std::string_view(error.what()).find("_proj.weight [4, 2]") == std::string_view::npos;
  });
  using Bent = Gpt2<B, Projections<PlainNeural, Linear, Linear, Linear>>;
  io::LoadOptions fresh;
  fresh.projections = io::LoadOptions::Projections::Fresh;
  BOOST_CHECK_EXCEPTION(
      ::load<Bent>(backend, folder.path.string(), fresh), FileError,
      says(first_map + ".k_proj.weight in " + first_map + ".weight [2, 12] [4, 2], the model has [4, 4]"));
}

BOOST_AUTO_TEST_CASE(projections_cannot_start_as_maps_of_other_widths) {
  using Bent = Gpt2<B, Projections<PlainNeural, PlainNeural, PlainNeural, Linear>>;
  io::LoadOptions warm;
  warm.projections = io::LoadOptions::Projections::Warm;
  const auto refused = [&](std::int64_t in, std::int64_t out, std::initializer_list<std::string> parts) {
    tensors.set(first_map + ".weight", io::DType::F32, {in, out}, std::vector<float>(std::size_t(in * out)));
    tensors.set(first_map + ".bias", io::DType::F32, {out}, std::vector<float>(std::size_t(out)));
    rewrite();
    BOOST_CHECK_EXCEPTION(::load<Bent>(backend, folder.path.string(), warm), FileError, says(parts));
  };
  refused(2, 12,
          {"model.safetensors: the linear map of " + first_map + ".weight [2, 12] does not fit the model: " + first_map,
           "k_proj: the projector maps 4 to 4 elements, the linear map 2 to 4"});
  refused(4, 48,
          {"model.safetensors: the linear map of " + first_map + ".weight [4, 48] does not fit the model: ",
           "4 to 4 elements, the linear map 4 to 16"});
  refused(0, 12, {"model.safetensors: has no linear map at " + first_map + ".k_proj"});
  refused(4, 0, {"model.safetensors: has no linear map at " + first_map + ".k_proj"});
}

BOOST_AUTO_TEST_CASE(projections_start_warm_or_fresh) {
  using Bent = Gpt2<B, Projections<PlainNeural, Linear, Linear, PlainNeural>>;
  const double before = loss(backend, model);
  io::LoadOptions how;
  how.projections = io::LoadOptions::Projections::Warm;
  io::LoadReport report;
  const auto warm = ::load<Bent>(backend, folder.path.string(), how, &report);
  BOOST_TEST(loss(backend, warm) == before, boost::test_tools::tolerance(1e-5));
  BOOST_TEST(report.warm_started.projectors.size() == 4u);
  for (const auto* const name :
       {"transformer.h.1.attn.c_attn.k_proj.weight", "transformer.h.0.attn.c_attn.v_proj.bias"})
    BOOST_TEST((tensor(backend, warm, name) == tensor(backend, model, name)), name);
  how.projections = io::LoadOptions::Projections::Fresh;
  BOOST_TEST(std::abs(loss(backend, ::load<Bent>(backend, folder.path.string(), how)) - before) > 1e-4);
  BOOST_CHECK_EXCEPTION(::load<Bent>(backend, folder.path.string()), FileError,
                        says({"missing", first_map + ".q_proj.0.weight", "unexpected", first_map + ".q_proj.weight"}));
}

BOOST_AUTO_TEST_CASE(projections_start_warm_without_biases) {
  auto config = tiny::gpt2_config(2);
  config.bias = false;
  Stock bare(backend, config, 5);
  fill_with_noise(backend, bare);
  io::save_model(folder.path.string(), backend, bare);
  BOOST_TEST(!tensors_of(folder / "model.safetensors").of.contains(first_map + ".bias"));
  io::LoadOptions how;
  how.projections = io::LoadOptions::Projections::Warm;
  io::LoadReport report;
  using Bent = Gpt2<B, Projections<PlainNeural, Linear, ResidualNeural, PlainNeural>>;
  const auto warm = ::load<Bent>(backend, folder.path.string(), how, &report);
  BOOST_TEST(loss(backend, warm) == loss(backend, bare), boost::test_tools::tolerance(1e-5));
  BOOST_TEST(report.warm_started.projectors.size() == 6u);
  using Normed = Gpt2<B, Projections<Neural, Linear, Linear, Linear>>;
  BOOST_CHECK_EXCEPTION(::load<Normed>(backend, folder.path.string(), how), ConfigError,
                        says({first_map + ".q_proj", "LayerNorm needs biases"}));
}

// A checkpoint has the same files, and the moments have their names.
BOOST_AUTO_TEST_CASE(checkpoints_are_such_directories) {
  Stock trained(backend, tiny::gpt2_config(2), 5);
  fill_with_noise(backend, trained);
  Adam<B> optimizer(backend, trained.parameters(), {});
  const auto path = save_checkpoint(folder.path.string(), backend, trained.parameters(), optimizer, {},
                                    [&](const std::string& directory) { io::save_description(directory, trained); });
  BOOST_TEST((contents(path + "/model.safetensors") == contents(folder / "model.safetensors")));
  BOOST_TEST(is_whole(::load<Stock>(backend, path)));
  const auto moments = tensors_of(path + "/optimizer.safetensors");
  BOOST_TEST(moments.of.contains("first_moment." + first_map + ".weight"));
  Stock other(backend, tiny::gpt2_config(2), 6);
  Adam<B> of_other(backend, other.parameters(), {});
  load_checkpoint(path, backend, other.parameters(), of_other);
  BOOST_TEST(is_whole(other));
}

BOOST_AUTO_TEST_CASE(keys_of_a_config_are_kept) {
  auto json = io::read_json(folder / "config.json");
  json["summary_type"] = "cls_index";
  json["my_key"] = {1, 2};
  json["n_inner"] = nullptr;
  json["bos_token_id"] = nullptr;
  json.erase("use_cache");
  io::write_json(folder / "config.json", json);
  const auto config = io::load_gpt2_config(folder.file("config.json"));
  BOOST_TEST(config.feed_forward_width() == 16);
  BOOST_TEST(config.bos_token_id == -1);
  const Stock again(backend, config);
  io::save_model(folder.path.string(), backend, again);
  BOOST_TEST(io::read_json(folder / "config.json") == json);
}

BOOST_AUTO_TEST_CASE(stop_strings_are_read_and_written_again) {
  const auto to = folder.path.string();
  const auto read = [&](const nlohmann::json& stops) {
    nlohmann::json settings;
    settings["stop_strings"] = stops;
    folder.write("generation_config.json", settings.dump());
    return io::load_generation_config(to, model.config());
  };
  using Strings = std::vector<std::string>;
  const std::vector<std::pair<nlohmann::json, Strings>> cases = {
      {".", {"."}}, {Strings{"\n\n", "\u20ac"}, {"\n\n", "\u20ac"}}, {Strings{}, {}}, {nullptr, {}}};
  for (const auto& [stops, expected] : cases) {
    const auto how = read(stops);
    BOOST_TEST(how.stop_strings == expected, boost::test_tools::per_element());
    BOOST_TEST(how.fault() == "");
    io::save_model(to, backend, model, how);
    const auto again = io::load_generation_config(to, model.config());
    BOOST_TEST(again.stop_strings == expected, boost::test_tools::per_element());
    BOOST_TEST(io::read_json(folder / "generation_config.json").contains("stop_strings") == !expected.empty());
  }
  BOOST_CHECK_EXCEPTION(read(""), FileError, says({"generation_config.json", "\"stop_strings\" holds an empty"}));
  BOOST_CHECK_EXCEPTION(read(3), FileError, says({"generation_config.json", "stop_strings", "a list"}));
  PackedTokens prompts;
  prompts.push(std::vector<int>{1});
  BOOST_CHECK_EXCEPTION(Generator<Stock>(backend, model)(prompts, read(".")), ConfigError, says({"TextGenerator"}));
}

BOOST_AUTO_TEST_CASE(keys_that_are_missing_are_hugging_faces) {
  folder.write("bare.json", R"({"model_type": "gpt2"})");
  const auto config = io::load_gpt2_config(folder.file("bare.json"));
  BOOST_TEST(config.vocab_size == 50257);
  BOOST_TEST(config.max_position_embeddings == 1024);
  BOOST_TEST(config.feed_forward_width() == 3072);
  BOOST_TEST((config.activation_function == Activation::GeluTanh));
  BOOST_TEST(config.eos_token_id == 50256);
}

BOOST_AUTO_TEST_CASE(other_kinds_of_model_are_refused) {
  const auto refused = [&](const char* key, const nlohmann::json& value, std::initializer_list<std::string> parts) {
    auto json = io::read_json(folder / "config.json");
    json[key] = value;
    folder.write("other.json", json.dump());
    BOOST_CHECK_EXCEPTION(io::load_gpt2_config(folder.file("other.json")), FileError, says(parts));
  };
  refused("model_type", "gpt_neo", {"other.json", "\"gpt_neo\"", "expected \"gpt2\""});
  refused("add_cross_attention", true, {"other.json", "\"add_cross_attention\": true", "a decoder alone"});
  refused("tie_word_embeddings", false, {"other.json", "tie_word_embeddings"});
  refused("activation_function", "tanh", {"other.json", "activation_function", "tanh", "gelu_new"});
  refused("n_embd", 5, {"other.json", "a width of 5 cannot be split into 2 attention heads (n_head)"});
  refused("hidden_size", 64,
          {"other.json", "\"hidden_size\" is another name of \"n_embd\": give \"n_embd\" the value 64"});
  refused("n_positions", 0, {"other.json", "n_positions must be at least 1, not 0"});
  refused("n_inner", "wide", {"other.json", "n_inner"});
  refused("vocab_size", nullptr, {"other.json", "vocab_size"});
  refused("eos_token_id", 9, {"other.json", "eos_token_id is 9"});
}

BOOST_AUTO_TEST_SUITE_END()
