// Model directories: what is written is read back to the bit, shards and half precision included; what a file may have
// otherwise (aliases, position tables, missing buffers); fresh and warm projections; and what is refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE io_model_directory
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attention/attention_option_cases.hpp"
#include "io/model_tensors.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/io/staged_files.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using io::DType;
using Projections_ = io::LoadOptions::Projections;

namespace {

using B = Cpu<float>;
using Stock = Marian<B, LinearProjections>;
using Plain = Marian<B, tiny::AllPlain>;
using Paper = Marian<B, paper::marian>;
using Baseline = Marian<B, paper::marian_baseline>;

constexpr std::uint64_t some_seed = 5, other_seed = 6;
const std::string shared = "model.shared.weight";
const std::string first_query = "model.encoder.layers.0.self_attn.q_proj.";

/// A stock model with random values everywhere, saved, and its tensors as they were.
struct Saved {
  Saved() : backend(1), model(backend, tiny::config(), some_seed), tensors(backend, model) {
    fill_with_noise(backend, model);
    tensors = ModelTensors(backend, model);
    io::save_model(folder.path.string(), backend, model);
  }

  void write() const { tensors.write(folder / "model.safetensors"); }
  template <class Model = Stock>
  Model load(const io::LoadOptions& how = {}, std::optional<std::uint64_t> seed = std::nullopt) {
    Model other(backend, tiny::config(), seed, Purpose::Inference);
    report = io::load_model(folder.path.string(), backend, other, how);
    return other;
  }
  void require_refused(std::initializer_list<std::string> parts) {
    BOOST_CHECK_EXCEPTION(load(), FileError, says(parts));
  }
  bool equal(const Stock& other) {
    return tiny::values(backend, other.parameters()) == tiny::values(backend, model.parameters());
  }

  B backend;
  Scratch folder;
  Stock model;
  ModelTensors tensors;
  io::LoadReport report;
};

double loss(B& backend, auto& model) {
  PassMemory<B> memory(backend);
  typename std::remove_cvref_t<decltype(model)>::Saved saved;
  const auto pass = memory.begin_inference();
  const auto sums = model.loss(pass, tiny::batch(tiny::pairs()), 0.0, saved);
  return sums.negative_log_likelihood / double(sums.tokens);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(round_trip, Saved)

BOOST_AUTO_TEST_CASE(gives_the_same_bits) {
  BOOST_TEST(equal(load()));
  BOOST_TEST(report.loaded.size() == model.parameters().entries().size());
  BOOST_TEST(report.reinitialised.empty());
  const auto config = io::load_marian_config(folder.file("config.json"));
  BOOST_TEST(config.d_model == tiny::config().d_model);
  BOOST_TEST(config.pad_token_id == tiny::config().pad_token_id);
  const auto how = io::load_generation_config(folder.path.string(), config);
  BOOST_TEST(how.eos_token_id == 0);
  BOOST_TEST(how.decoder_start_token_id == 8);
}

BOOST_AUTO_TEST_CASE(in_shards) {
  io::save_model(folder.path.string(), backend, model, generation_defaults(model.config()), 600);
  BOOST_TEST(!std::filesystem::exists(folder / "model.safetensors"));
  const auto index = nlohmann::json::parse(folder.read("model.safetensors.index.json"));
  std::set<std::string> shards;
  for (const auto& [name, shard] : index.at("weight_map").items()) shards.insert(shard.get<std::string>());
  BOOST_TEST(shards.size() >= 3u);
  BOOST_TEST(equal(load()));

  io::save_model(folder.path.string(), backend, model);  // one file again: nothing of the shards stays
  BOOST_TEST(!std::filesystem::exists(folder / "model.safetensors.index.json"));
  for (const auto& shard : shards) BOOST_TEST(!std::filesystem::exists(folder / shard));
  BOOST_TEST(equal(load()));
}

BOOST_AUTO_TEST_CASE(keeps_what_it_does_not_know) {
  auto json = nlohmann::json::parse(folder.read("config.json"));
  json["id2label"] = {{"0", "LABEL_0"}};
  json["torch_dtype"] = "float16";
  json["dtype"] = "float16";
  folder.write("config.json", json.dump());
  auto generation = nlohmann::json::parse(folder.read("generation_config.json"));
  generation["transformers_version"] = "4.34.1";
  folder.write("generation_config.json", generation.dump());

  const auto config = io::load_marian_config(folder.file("config.json"));
  const auto how = io::load_generation_config(folder.path.string(), config);
  io::save_model(folder.path.string(), backend, Stock(backend, config, 1), how);
  const auto again = nlohmann::json::parse(folder.read("config.json"));
  BOOST_TEST(again.at("id2label") == json.at("id2label"));
  // That of the weights beside it, not of those that were read.
  BOOST_TEST(again.at("torch_dtype") == "float32");
  BOOST_TEST(again.at("dtype") == "float32");
  BOOST_TEST(nlohmann::json::parse(folder.read("generation_config.json")).at("transformers_version") == "4.34.1");
}

BOOST_AUTO_TEST_CASE(of_pre_norm_is_hugging_faces_pegasus) {
  auto config = tiny::config();
  config.normalize_before = true;
  Stock pre_norm(backend, config, some_seed);
  fill_with_noise(backend, pre_norm);
  BOOST_TEST(pre_norm.parameters().find("model.encoder.layer_norm.weight") != nullptr);
  BOOST_TEST(pre_norm.parameters().find("model.decoder.layer_norm.bias") != nullptr);
  io::save_model(folder.path.string(), backend, pre_norm);
  const auto json = io::read_json(folder / "config.json");
  BOOST_TEST(json.at("model_type") == "pegasus");
  BOOST_TEST(json.at("architectures").at(0) == "PegasusForConditionalGeneration");
  BOOST_TEST((json.at("normalize_before") == true && json.at("add_final_layer_norm") == true));

  auto described = json;
  const auto read = [&] {
    folder.write("config.json", described.dump());
    return io::load_marian_config(folder.file("config.json"));
  };
  described.erase("normalize_before");  // as Hugging Face's own have it
  described.erase("add_final_layer_norm");
  Stock other(backend, read(), std::nullopt, Purpose::Inference);
  io::load_model(folder.path.string(), backend, other);
  BOOST_TEST(loss(backend, other) == loss(backend, pre_norm));
  io::save_model(folder.path.string(), backend, other);
  BOOST_TEST(!io::read_json(folder / "config.json").contains("normalize_before"));

  described["model_type"] = "marian";
  BOOST_TEST(!read().normalize_before);
  described["normalize_before"] = true;
  BOOST_TEST(read().normalize_before);
  BOOST_TEST(io::to_json(read()).at("model_type") == "pegasus");
  BOOST_TEST(io::to_json(read()).at("architectures").at(0) == "PegasusForConditionalGeneration");
  described["add_final_layer_norm"] = false;
  BOOST_CHECK_EXCEPTION(read(), FileError, says({"config.json", "add_final_layer_norm", "supported is true"}));
  described["normalize_before"] = false;
  BOOST_TEST(!read().normalize_before);
  auto turned = read();
  turned.normalize_before = true;
  for (const char* const key : {"model_type", "architectures", "normalize_before", "add_final_layer_norm"})
    BOOST_TEST(nlohmann::json(io::to_json(turned)).at(key) == json.at(key));
  described["model_type"] = "pegasus";
  BOOST_CHECK_EXCEPTION(read(), FileError, says({"config.json", "normalize_before", "supported is true"}));
}

BOOST_AUTO_TEST_CASE(of_options_of_attention) {
  for (const auto& how : all_option_cases()) {
    auto config = tiny::config(2);
    config.attention = how.options;
    Stock with(backend, config, some_seed);
    fill_with_noise(backend, with);
    io::save_model(folder.path.string(), backend, with);
    const auto again = io::load_marian_config(folder.file("config.json"));
    BOOST_TEST((again.attention == how.options), how.name);
    Stock loaded(backend, again, std::nullopt, Purpose::Inference);
    io::load_model(folder.path.string(), backend, loaded);
    BOOST_TEST((tiny::values(backend, loaded.parameters()) == tiny::values(backend, with.parameters())), how.name);
    BOOST_TEST(loss(backend, loaded) == loss(backend, with));
    BOOST_TEST(loss(backend, loaded) != loss(backend, model));
  }
}

BOOST_AUTO_TEST_CASE(without_options_of_attention_has_no_key_of_them) {
  const auto keys = nlohmann::json::parse(folder.read("config.json")).at("neural_attention");
  BOOST_TEST(keys.size() == 2u);  // projectors, xavier_init
  auto config = tiny::config();
  config.attention.soft_cap = 30;
  config.attention.qk_norm = QueryKeyNorm::Rms;
  const auto with = io::to_json(config).at("neural_attention");
  BOOST_TEST(with.size() == 4u);
  BOOST_TEST(with.at("attention_soft_cap") == 30.0);
  BOOST_TEST(with.at("qk_norm") == "rms");
}

BOOST_AUTO_TEST_CASE(with_wrong_options_of_attention_is_refused) {
  const auto refused = [&](const char* key, const nlohmann::json& value, std::initializer_list<std::string> parts) {
    auto json = nlohmann::json::parse(folder.read("config.json"));
    json["neural_attention"][key] = value;
    folder.write("other.json", json.dump());
    BOOST_CHECK_EXCEPTION(io::load_marian_config(folder.file("other.json")), FileError, says(parts));
  };
  refused("qk_norm", "layer", {"other.json", "qk_norm must be none, l2 or rms, not \"layer\""});
  refused("qk_norm", 2, {"other.json", "qk_norm"});
  refused("attention_soft_cap", -3, {"other.json", "attention_soft_cap must be at least 0, not -3"});
  refused("attention_gate", "all", {"other.json", "attention_gate must be none, per_head or per_element, not \"all\""});
  refused("value_residual", "all", {"other.json", "value_residual must be none, fixed or learned, not \"all\""});
  refused("value_residual", "learned", {"other.json", "value_residual is learned, but the model has no second layer"});
  refused("value_residual_first", 2, {"other.json", "value_residual_first is 2, but value_residual is none"});
  refused(
      "attention_value_width", 3,
      {"other.json", "an attention_value_width of 3 cannot be split into 2 attention heads (encoder_attention_heads)"});
  refused("attention_value_width", -2, {"other.json", "attention_value_width must be at least 0, not -2"});
  refused("attention_value_width", 2.5, {"other.json", "attention_value_width"});
}

// Nobody else reads this object, so a key that means nothing there is a slip.
BOOST_AUTO_TEST_CASE(with_unknown_keys_of_this_library_is_refused) {
  const auto read = [&](const char* own) {
    auto json = nlohmann::json::parse(folder.read("config.json"));
    json["neural_attention"] = nlohmann::json::parse(own);
    folder.write("other.json", json.dump());
    return io::load_marian_config(folder.file("other.json"));
  };
  const auto refused = [&](const char* own, std::initializer_list<std::string> parts) {
    BOOST_CHECK_EXCEPTION(read(own), FileError, says(parts));
  };
  refused(R"("neural")", {"other.json: must hold an object at \"neural_attention\", but has the string \"neural\""});
  refused(R"(["x"])", {"an object at \"neural_attention\", but has a list of 1 elements"});
  refused(R"({"projectors": "neural"})", {"an object at \"projectors\", but has the string"});
  refused(R"({"projector": {}})", {"unknown key \"projector\" (did you mean \"projectors\"?) in \"neural_attention\""});
  refused(R"({"qk_nrom": "rms"})", {"unknown key \"qk_nrom\" (did you mean \"qk_norm\"?)"});
  refused(R"({"d_model": 8})", {"unknown key \"d_model\" in"});
  refused(R"({"projectors": {"querry": {"type": "neural"}}})",
          {"\"querry\" (did you mean \"query\"?) in \"projectors\""});
  refused(R"({"projectors": {"query": {"type": "neural", "expansoin": 4}}})",
          {"\"expansoin\" (did you mean \"expansion\"?)"});
  for (const char* const own : {R"({"projectors": {"query": []}})", R"({"projectors": {"query": null}})",
                                R"({"projectors": {"query": {"expansion": 2}}})"})
    refused(own,
            {"other.json: has ", " for the projector of query; expected is an object such as {\"type\": \"neural\""});
  for (const char* const own :
       {"null", "{}", R"({"projectors": null})", R"({"projectors": {}, "layer_projectors": {}})"})
    BOOST_TEST(read(own).query.type == "linear", own);
}

BOOST_AUTO_TEST_CASE(of_half_precision) {
  // 1.5, -0.25 and 0 have exact halves: 0x3E00, 0xB400, 0 in F16 and 0x3FC0, 0xBE80, 0 in BF16.
  const std::string name = first_query + "bias";
  const std::vector<float> expected = {1.5f, -0.25f, 0.0f, 1.5f};
  tensors.set<std::uint16_t>(name, DType::F16, {4}, {0x3E00, 0xB400, 0, 0x3E00});
  write();
  BOOST_TEST(tensor(backend, load(), name) == expected);
  tensors.set<std::uint16_t>(name, DType::BF16, {4}, {0x3FC0, 0xBE80, 0, 0x3FC0});
  write();
  BOOST_TEST(tensor(backend, load(), name) == expected);
}

/// What happens to the names of a folder's files, in order, temporary ones left out: "-name" gone, "+name" there; a
/// file aside is "name.replaced".
class Watched {
 public:
  explicit Watched(const std::filesystem::path& folder) : descriptor_(inotify_init1(IN_NONBLOCK)) {
    BOOST_REQUIRE(inotify_add_watch(descriptor_, folder.c_str(), IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) >= 0);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() { close(descriptor_); }

  std::vector<std::string> names() const {
    std::vector<std::string> seen;
    alignas(inotify_event) char buffer[1 << 14];
    const auto size = read(descriptor_, buffer, sizeof buffer);
    for (ssize_t at = 0; at < size;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer + at);
      std::string name = event->name;
      if (const auto aside = name.find(".replaced."); aside != std::string::npos) name.resize(aside + 9);
      if (name.find(".tmp.") == std::string::npos)
        seen.push_back((event->mask & (IN_DELETE | IN_MOVED_FROM) ? "-" : "+") + name);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
    return seen;
  }

 private:
  int descriptor_;
};

// A kill between two of these events leaves no weights that another model's vocabulary could be read with, and all old
// files or all new ones.
BOOST_AUTO_TEST_CASE(takes_its_files_together) {
  const auto save = [&](std::uint64_t seed, const std::vector<io::NamedFile>& tokenizer) {
    const Stock other(backend, tiny::config(), seed);
    const Watched watched(folder.path);
    io::save_model(folder.path.string(), backend, other, {}, 0, tokenizer);
    return watched.names();
  };
  const std::string weights = "model.safetensors";
  const std::vector<io::NamedFile> old = {{"vocab.json", "{}"}, {"tokenizer.json", "{}"}},
                                   now = {{"vocab.json", "{\"a\": 0}"}, {"merges.txt", "a b"}};
  save(1, old);
  BOOST_TEST(folder.read("tokenizer.json") == "{}");
  const auto per_element = boost::test_tools::per_element();
  BOOST_TEST(save(2, old) == std::vector{"+" + weights}, per_element);  // nothing but weights changes, and at once
  const std::vector<std::string> expected = {"-" + weights,          "+" + weights + ".replaced",
                                             "-tokenizer.json",      "+tokenizer.json.replaced",
                                             "+merges.txt",          "+vocab.json",
                                             "+" + weights,          "-" + weights + ".replaced",
                                             "-vocab.json.replaced", "-tokenizer.json.replaced"};
  BOOST_TEST(save(3, now) == expected, per_element);
  BOOST_TEST(save(4, {}) == std::vector{"+" + weights}, per_element);  // the tokenizer is none of its business
  BOOST_TEST(folder.read("merges.txt") == "a b");
}

BOOST_AUTO_TEST_CASE(that_cannot_remove_an_old_file_leaves_them_all) {
  const auto weights = folder.read("model.safetensors");
  std::filesystem::create_directories(folder / "tokenizer.json/inside");
  const std::vector<io::NamedFile> tokenizer = {{"vocab.json", "{}"}};
  BOOST_CHECK_EXCEPTION(
      io::save_model(folder.path.string(), backend, Stock(backend, tiny::config(), other_seed), {}, 0, tokenizer),
      FileError, says({"tokenizer.json", "is a folder"}));
  BOOST_TEST((folder.read("model.safetensors") == weights));
  BOOST_TEST(!std::filesystem::exists(folder / "vocab.json"));
  std::filesystem::remove_all(folder / "tokenizer.json");
  BOOST_TEST(equal(load()));
}

// A file cannot take its name if its temporary file is gone.
BOOST_AUTO_TEST_CASE(that_fails_between_two_files_leaves_the_old_directory) {
  for (const char* name : {"vocab.json", "merges.txt"}) folder.write(name, "old");
  const auto files = [&] {
    std::map<std::string, std::string> all;
    for (const auto& item : std::filesystem::directory_iterator(folder.path))
      all[item.path().filename().string()] = contents(item.path());
    return all;
  };
  const auto before = files();
  const std::vector<std::filesystem::path> stale = {folder / "merges.txt"};
  const std::vector<std::string> description = {"config.json", "vocab.json", "added_tokens.json"};
  auto model_files = description;
  model_files.insert(model_files.begin(), "model.safetensors");
  for (const auto& names : {description, model_files})
    for (const auto& lost : names) {
      {
        io::detail::StagedFiles staged(folder.path);
        for (const auto& name : names) {
          auto& file = staged.add(name);
          file.write("new");
          if (name == lost) std::filesystem::remove(file.temporary_path());
        }
        BOOST_CHECK_EXCEPTION(staged.commit(stale), FileError, says(lost));
      }
      BOOST_TEST((files() == before), lost);
    }
  BOOST_TEST(equal(load()));
}

BOOST_AUTO_TEST_CASE(that_was_cut_off_says_what_the_old_files_are_called) {
  const std::string weights = "model.safetensors.replaced.77", vocabulary = "vocab.json.replaced.77.1";
  std::filesystem::rename(folder / "model.safetensors", folder / weights);
  for (const auto& name : {vocabulary, std::string("notes.replaced.by.me")}) folder.write(name, "{}");
  require_refused({"model.safetensors", "was cut off", weights, vocabulary});
  io::save_model(folder.path.string(), backend, model);
  BOOST_TEST(equal(load()));
  for (const auto& name : {weights, vocabulary}) BOOST_TEST(!std::filesystem::exists(folder / name), name);
  BOOST_TEST(folder.read("notes.replaced.by.me") == "{}");
  // Files without weights take along what was left of them, and of nothing else.
  for (const char* name : {"vocab.json.replaced.77", "merges.txt.replaced.77"}) folder.write(name, "{}");
  io::detail::StagedFiles staged(folder.path);
  for (const char* name : {"vocab.json", "added_tokens.json"}) staged.add(name).write("new");
  staged.commit();
  BOOST_TEST(!std::filesystem::exists(folder / "vocab.json.replaced.77"));
  BOOST_TEST(folder.read("merges.txt.replaced.77") == "{}");
}

BOOST_AUTO_TEST_CASE(that_fails_leaves_the_old_directory) {
  {
    const FileSizeLimit full_disk(256);
    BOOST_CHECK_THROW(io::save_model(folder.path.string(), backend, Stock(backend, tiny::config(), other_seed)),
                      FileError);
  }
  BOOST_TEST(equal(load()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(names, Saved)

BOOST_AUTO_TEST_CASE(of_the_tied_matrix) {
  const auto matrix = tensors.of.at(shared);
  for (const char* alias : {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"})
    tensors.of[alias] = matrix;
  write();
  BOOST_TEST(equal(load()));

  tensors.of.erase(shared);  // an alias alone stands for it
  write();
  BOOST_TEST(equal(load()));

  tensors.of.at("lm_head.weight").bytes.front() ^= std::byte{1};
  write();
  require_refused({"lm_head.weight", "not equal"});
}

BOOST_AUTO_TEST_CASE(of_what_may_be_missing_or_left_over) {
  tensors.of.erase("final_logits_bias");
  tensors.set<std::int64_t>("model.encoder.position_ids", DType::I64, {1, 2}, {0, 1});
  write();
  const auto loaded = load();
  const auto bias = tensor(backend, loaded, "final_logits_bias");
  BOOST_TEST(std::ranges::count(bias, 0.0f) == 9);

  Stock used(backend, tiny::config(), other_seed);  // one that had another bias
  fill_with_noise(backend, used);
  io::load_model(folder.path.string(), backend, used);
  BOOST_TEST((tensor(backend, used, "final_logits_bias") == bias));
}

BOOST_AUTO_TEST_CASE(of_position_tables) {
  std::vector<double> table;
  for (int p = 0; p < 16; ++p)
    for (int c = 0; c < 4; ++c) table.push_back(model.position_value(p, c));
  tensors.set("model.decoder.embed_positions.weight", DType::F64, {16, 4}, table);
  write();
  BOOST_TEST(equal(load()));
  table[7] += 1e-3;
  tensors.set("model.decoder.embed_positions.weight", DType::F64, {16, 4}, table);
  write();
  require_refused({"model.decoder.embed_positions.weight", "sines and cosines"});
  tensors.set("model.decoder.embed_positions.weight", DType::F64, {8, 8}, table);
  write();
  require_refused({"[8, 8]", "[16, 4]"});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(refusals, Saved)

BOOST_AUTO_TEST_CASE(name_all_that_does_not_fit) {
  tensors.of.erase(first_query + "bias");
  tensors.of.at(shared).shape = {4, 9};
  tensors.set<float>("surplus", DType::F32, {1}, {0.0f});
  write();
  require_refused({"model.safetensors", "missing      " + first_query + "bias [4]",
                   "wrong shape  model.shared.weight [4, 9], the model has [9, 4]", "unexpected   surplus [1]"});
}

BOOST_AUTO_TEST_CASE(leave_the_model_alone) {
  tensors.of.erase("model.decoder.layers.0.fc2.bias");
  write();
  Stock other(backend, tiny::config(), other_seed);
  const auto before = tiny::values(backend, other.parameters());
  BOOST_CHECK_THROW(io::load_model(folder.path.string(), backend, other), FileError);
  BOOST_TEST(tiny::values(backend, other.parameters()) == before);
}

BOOST_AUTO_TEST_CASE(of_directories_without_parameters) {
  std::filesystem::remove(folder / "model.safetensors");
  require_refused({"model.safetensors", "does not exist"});
  folder.write("pytorch_model.bin", "x");
  require_refused({"convert_pytorch_model.py"});
}

BOOST_AUTO_TEST_CASE(of_lying_indexes) {
  const auto index = [&](const nlohmann::json& json) {
    std::filesystem::rename(folder / "model.safetensors", folder / "a.safetensors");
    folder.write("model.safetensors.index.json", json.dump());
  };
  nlohmann::json map;
  for (const auto& [name, tensor] : tensors.of) map[name] = "a.safetensors";
  index({{"weight_map", map}});
  BOOST_TEST(equal(load()));

  auto wrong = map;
  wrong["surplus"] = "a.safetensors";
  folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", wrong}}.dump());
  require_refused({"index.json", "surplus", "a.safetensors"});
  wrong = map;
  wrong.erase(shared);
  folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", wrong}}.dump());
  require_refused({"index.json", shared});
  wrong = map;
  wrong[shared] = "../a.safetensors";
  folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", wrong}}.dump());
  require_refused({"index.json", "../a.safetensors"});
  for (auto& file : wrong) file = "b.safetensors";
  folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", wrong}}.dump());
  require_refused({"b.safetensors"});
  for (const nlohmann::json& broken : {nlohmann::json::object(), nlohmann::json{{"weight_map", 3}},
                                       nlohmann::json{{"weight_map", nlohmann::json::object()}}}) {
    folder.write("model.safetensors.index.json", broken.dump());
    require_refused({"index.json", "weight_map"});
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(projections, Saved)

BOOST_AUTO_TEST_CASE(of_another_kind_need_a_word) {
  BOOST_CHECK_EXCEPTION(load<Paper>(), FileError,
                        says({"missing", first_query + "0.weight", "unexpected", first_query + "weight"}));
}

BOOST_AUTO_TEST_CASE(that_start_fresh) {
  const auto paper = load<Paper>({.projections = Projections_::Fresh, .seed = other_seed});
  const Paper initial(backend, tiny::config(), other_seed);
  BOOST_TEST(tensor(backend, paper, first_query + "0.weight") == tensor(backend, initial, first_query + "0.weight"));
  const std::string value = "model.encoder.layers.0.self_attn.v_proj.weight";  // stays linear and is loaded
  for (const auto& name : {value, shared}) BOOST_TEST(tensor(backend, paper, name) == tensor(backend, model, name));
  for (const auto& name : report.reinitialised) {
    BOOST_TEST(name.find("_proj.") != std::string::npos);
    BOOST_TEST(name.find("v_proj") == std::string::npos);
  }
  // 3 attentions of 3 neural roles with 6 tensors each
  BOOST_TEST(report.reinitialised.size() == 54u);

  const auto baseline = load<Baseline>({.projections = Projections_::Fresh, .seed = other_seed});
  BOOST_TEST(tensor(backend, baseline, first_query + "0.weight") != tensor(backend, model, first_query + "weight"));
  BOOST_TEST(tensor(backend, baseline, value) == tensor(backend, model, value));
  BOOST_CHECK_EXCEPTION(load({.projections = Projections_::Fresh}), ConfigError, says({"sequential_linear"}));
}

// Norms, factors and gates are no projectors: they are loaded.
BOOST_AUTO_TEST_CASE(that_start_fresh_or_warm_leave_options_of_attention_alone) {
  auto config = tiny::config();
  config.attention = attention_option_cases().back().options;
  Stock stock(backend, config, some_seed);
  fill_with_noise(backend, stock);
  io::save_model(folder.path.string(), backend, stock);
  for (const auto how : {Projections_::Fresh, Projections_::Warm}) {
    Paper paper(backend, config, other_seed, Purpose::Inference);
    const auto loaded = io::load_model(folder.path.string(), backend, paper, {.projections = how, .seed = other_seed});
    if (how == Projections_::Fresh) BOOST_TEST(loaded.reinitialised.size() == 54u);
    for (const std::string name : {"q_norm.weight", "k_norm.weight", "scale", "gate_proj.weight"}) {
      const auto full = "model.decoder.layers.0.encoder_attn." + name;
      BOOST_TEST(tensor(backend, paper, full) == tensor(backend, stock, full));
    }
  }
}

BOOST_AUTO_TEST_CASE(that_start_warm) {
  const double expected = loss(backend, model);
  auto plain = load<Plain>({.projections = Projections_::Warm});
  BOOST_TEST(std::abs(loss(backend, plain) - expected) < 1e-5);
  BOOST_TEST(report.warm_started.projectors.size() == 12u);
  auto baseline = load<Baseline>({.projections = Projections_::Warm});
  BOOST_TEST(loss(backend, baseline) == expected);
  BOOST_TEST(report.warm_started.projectors.size() == 9u);  // the values have the file's type

  // From the names of a sequence too, and what has the same type is just loaded.
  io::save_model(folder.path.string(), backend, baseline);
  auto again = load<Plain>({.projections = Projections_::Warm});
  BOOST_TEST(std::abs(loss(backend, again) - expected) < 1e-5);
  io::save_model(folder.path.string(), backend, plain);
  auto same = load<Plain>({.projections = Projections_::Warm});
  BOOST_TEST(tiny::values(backend, same.parameters()) == tiny::values(backend, plain.parameters()));
  BOOST_TEST(report.warm_started.projectors.empty());
  BOOST_CHECK_EXCEPTION(load<Paper>({.projections = Projections_::Warm}), FileError, says({"no linear map", "_proj"}));
}

BOOST_AUTO_TEST_CASE(and_patterns_of_what_begins_anew) {
  const auto loaded = load({.reinitialise = {"*.fc1.weight"}, .seed = other_seed});
  const Stock initial(backend, tiny::config(), other_seed);
  BOOST_TEST(report.reinitialised.size() == 2u);
  for (const auto& name : report.reinitialised)
    BOOST_TEST(tensor(backend, loaded, name) == tensor(backend, initial, name));
  BOOST_TEST(tensor(backend, loaded, shared) == tensor(backend, model, shared));
  BOOST_CHECK_EXCEPTION(load({.reinitialise = {"*.fc7.*"}}), ConfigError, says({"*.fc7.*"}));
}

BOOST_AUTO_TEST_CASE(and_patterns_go_before_a_warm_start) {
  const auto warm = load<Plain>({.projections = Projections_::Warm, .seed = other_seed});
  const Plain initial(backend, tiny::config(), other_seed);
  const auto like = [&](const Plain& found, const Plain& expected, const std::string& name) {
    return tensor(backend, found, name) == tensor(backend, expected, name);
  };
  // Whole projectors
  const auto whole =
      load<Plain>({.projections = Projections_::Warm, .reinitialise = {"model.decoder.*q_proj*"}, .seed = other_seed});
  BOOST_TEST(report.warm_started.projectors.size() == 10u);
  for (const std::string attention : {"self_attn", "encoder_attn"})
    for (const std::string part : {".q_proj.0.weight", ".q_proj.0.bias", ".q_proj.2.weight", ".q_proj.2.bias"}) {
      const auto name = "model.decoder.layers.0." + attention + part;
      BOOST_TEST(like(whole, initial, name), name);
    }
  BOOST_TEST(like(whole, warm, first_query + "0.weight"));
  BOOST_TEST(like(whole, warm, "model.decoder.layers.0.self_attn.k_proj.0.weight"));

  // One tensor of a projector
  const auto part =
      load<Plain>({.projections = Projections_::Warm, .reinitialise = {"*.q_proj.0.bias"}, .seed = other_seed});
  BOOST_TEST(report.warm_started.projectors.size() == 12u);
  BOOST_TEST(like(part, initial, first_query + "0.bias"));
  BOOST_TEST(!like(part, warm, first_query + "0.bias"));
  BOOST_TEST(like(part, warm, first_query + "0.weight"));

  // Files without a linear map
  io::save_model(folder.path.string(), backend, warm);
  load<Paper>({.projections = Projections_::Warm, .reinitialise = {"*_proj.*"}, .seed = other_seed});
  BOOST_TEST(report.warm_started.projectors.empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(generation, Saved)

BOOST_AUTO_TEST_CASE(settings_of_older_models_lie_in_their_config) {
  std::filesystem::remove(folder / "generation_config.json");
  auto json = nlohmann::json::parse(folder.read("config.json"));
  json["num_beams"] = 6;
  json["bad_words_ids"] = {{8}, {3, 4}};
  folder.write("config.json", json.dump());
  const auto how = io::load_generation_config(folder.path.string(), io::load_marian_config(folder.file("config.json")));
  BOOST_TEST(how.num_beams == 6);
  BOOST_TEST((how.bad_words_ids == std::vector<std::vector<int>>{{8}, {3, 4}}));
  BOOST_TEST(how.forced_eos_token_id == 0);
}

namespace {

/// What judges the settings of a file and says why it refuses them.
std::string fault_of(const nlohmann::json& settings) {
  return io::generation_config(settings, "generation_config.json").fault();
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_not_used_is_not_judged) {
  for (const char* const settings :
       {R"({"do_sample": false, "temperature": 0.0, "top_k": -1, "top_p": 7.5, "min_p": 2})",
        R"({"suppress_tokens": [], "begin_suppress_tokens": [], "bad_words_ids": [], "forced_bos_token_id": null})",
        R"({"typical_p": 0.2, "epsilon_cutoff": 0.1, "eta_cutoff": 0.1, "top_h": 0.4})",
        R"({"num_beam_groups": 2, "diversity_penalty": 0.5})",
        R"({"num_beams": 4, "penalty_alpha": 0.6, "dola_layers": "low"})",
        R"({"repetition_penalty": 1, "encoder_no_repeat_ngram_size": 0, "token_healing": false, "low_memory": true})",
        R"({"do_sample": true, "typical_p": 1.5, "epsilon_cutoff": 0.0, "eta_cutoff": 1.0})"})
    BOOST_TEST(fault_of(nlohmann::json::parse(settings)) == "", settings);
}

BOOST_AUTO_TEST_CASE(what_changes_results_is_refused_by_name) {
  const std::map<std::string, std::string> refused = {
      {"repetition_penalty", R"({"repetition_penalty": 0})"},
      {"max_new_tokens", R"({"max_new_tokens": -1})"},
      {"encoder_repetition_penalty", R"({"encoder_repetition_penalty": 1.2})"},
      {"encoder_no_repeat_ngram_size", R"({"encoder_no_repeat_ngram_size": 3})"},
      {"num_beam_groups", R"({"num_beams": 4, "num_beam_groups": 2})"},
      {"penalty_alpha", R"({"penalty_alpha": 0.6})"},
      {"dola_layers", R"({"dola_layers": "low"})"},
      {"typical_p", R"({"do_sample": true, "typical_p": 0.2})"},
      {"epsilon_cutoff", R"({"do_sample": true, "epsilon_cutoff": 0.1})"},
      {"eta_cutoff", R"({"do_sample": true, "eta_cutoff": 0.1})"},
      {"top_h", R"({"do_sample": true, "top_h": 0.4})"},
      {"min_p", R"({"do_sample": true, "min_p": 1.5})"},
      {"temperature", R"({"do_sample": true, "temperature": 0.0})"},
      {"sequence_bias", R"({"sequence_bias": [[[3], -1.0]]})"},
      {"stop_strings", R"({"stop_strings": ["."]})"},
      {"max_time", R"({"max_time": 3.5})"},
      {"guidance_scale", R"({"guidance_scale": "two"})"},
      {"watermarking_config", R"({"watermarking_config": {}})"},
      {"token_healing", R"({"token_healing": true})"},
      {"cache_implementation", R"({"cache_implementation": "quantized"})"},
      {"num_beams", R"({"num_beams": 0})"},
      {"num_return_sequences", R"({"num_return_sequences": 3})"},
      {"suppress_tokens", R"({"suppress_tokens": [4, 0], "forced_eos_token_id": 0})"}};
  for (const auto& [key, settings] : refused)
    BOOST_TEST(fault_of(nlohmann::json::parse(settings)).find(key) != std::string::npos, settings);
}

BOOST_AUTO_TEST_CASE(stop_strings_are_for_models_that_continue_texts) {
  folder.write("generation_config.json", R"({"stop_strings": ["."]})");
  const auto how = io::load_generation_config(folder.path.string(), model.config());
  BOOST_CHECK_EXCEPTION(io::check_generation(how, how, 9), FileError, says({"generation_config.json", "stop_strings"}));
  BOOST_TEST(fault_of(nlohmann::json::parse(R"({"stop_strings": []})")) == "");
}

// A flag overrides what a file says, and only what comes of both is judged.
BOOST_AUTO_TEST_CASE(faults_are_the_files_or_the_callers) {
  const auto read = io::generation_config({{"num_return_sequences", 3}, {"do_sample", false}}, "there.json");
  auto how = read;
  BOOST_CHECK_EXCEPTION(io::check_generation(how, read, 9), FileError,
                        says({"there.json", "num_return_sequences is 3"}));
  BOOST_CHECK_EXCEPTION(how.validate(), ConfigError, says({"there.json", "num_return_sequences is 3"}));
  how.num_beams = 4;
  BOOST_CHECK_NO_THROW(io::check_generation(how, read, 9));
  how.min_length = -1;
  BOOST_CHECK_EXCEPTION(io::check_generation(how, read, 9), ConfigError, says({"min_length must be at least 0, not"}));
}

BOOST_AUTO_TEST_CASE(tokens_outside_the_vocabulary_are_the_files_fault) {
  const auto read = [&](const char* settings) {
    folder.write("generation_config.json", settings);
    return io::load_generation_config(folder.path.string(), model.config());
  };
  const int vocabulary = model.config().vocab_size;
  const std::map<const char*, std::string> faults = {
      {R"({"eos_token_id": [3, 99999]})", "a token of eos_token_id is 99999, outside the vocabulary of 9"},
      {R"({"pad_token_id": 9})", "pad_token_id is 9, outside the vocabulary of 9"},
      {R"({"bad_words_ids": [[3, 99999999]]})", "a token of bad_words_ids is 99999999"}};
  for (const auto& [settings, fault] : faults) {
    const auto how = read(settings);
    BOOST_CHECK_EXCEPTION(io::check_generation(how, how, vocabulary), FileError,
                          says({"generation_config.json", fault}));
    BOOST_CHECK_EXCEPTION(resolved(how, model.config()), ConfigError, says({"generation_config.json", fault}));
  }
  const auto usual = read("{}");
  auto how = usual;
  how.bad_words_ids = {{9}};
  BOOST_CHECK_EXCEPTION(io::check_generation(how, usual, vocabulary), ConfigError,
                        says({"a token of bad_words_ids is 9"}));
  // Hugging Face takes -1 for a token that never comes; here it would be the model's own.
  for (const char* const settings : {R"({"eos_token_id": -1})", R"({"eos_token_id": [3, -1]})",
                                     R"({"forced_bos_token_id": -1})", R"({"pad_token_id": -2})"})
    BOOST_CHECK_EXCEPTION(read(settings), FileError,
                          says({"generation_config.json", "ids of tokens are not negative"}));
}

BOOST_AUTO_TEST_CASE(lists_of_tokens_come_back) {
  const nlohmann::json settings = {{"eos_token_id", {0, 3, 3, 0, 5}},
                                   {"suppress_tokens", {7, 90}},
                                   {"begin_suppress_tokens", {4}},
                                   {"forced_bos_token_id", 6},
                                   {"min_p", 0.25},
                                   {"temperature", 0.0}};
  const auto how = io::generation_config(settings, "file");
  BOOST_TEST(how.eos_token_id == 0);
  BOOST_TEST((how.further_eos_token_ids == std::vector<int>{3, 5}));
  BOOST_TEST((how.ends(0) && how.ends(3) && how.ends(5) && !how.ends(4)));
  BOOST_TEST(how.forced_bos_token_id == 6);
  const auto checked = resolved(how, tiny::config());
  BOOST_TEST((checked.suppress_tokens == std::vector<int>{7}));  // there is no token 90 to suppress
  io::save_model(folder.path.string(), backend, model, how);
  const auto written = nlohmann::json::parse(folder.read("generation_config.json"));
  BOOST_TEST(written.at("eos_token_id") == nlohmann::json({0, 3, 5}));
  for (const char* key : {"suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "min_p", "temperature"})
    BOOST_TEST(written.at(key) == settings.at(key));
  BOOST_CHECK_THROW(io::generation_config({{"eos_token_id", nlohmann::json::array()}}, "file"), FileError);
  BOOST_CHECK_THROW(io::generation_config({{"forced_bos_token_id", {1, 2}}}, "file"), FileError);
  for (const auto& wrong : {nlohmann::json{{"eos_token_id", {0, 90}}}, nlohmann::json{{"forced_bos_token_id", 90}}})
    BOOST_CHECK_EXCEPTION(resolved(io::generation_config(wrong, "file"), tiny::config()), ConfigError, says({"90"}));
}

BOOST_AUTO_TEST_SUITE_END()
