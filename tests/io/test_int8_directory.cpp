// Model directories with weights of int8: what is written is read back to the byte and is mapped, and what is refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE io_int8_directory
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/model_tensors.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "scratch.hpp"

using namespace neural_attention;
using io::DType;

namespace {

using B = Cpu<float>;
using Model = Marian<B, LinearProjections>;
const std::string matrix = "model.encoder.layers.0.fc1.weight";

/// Counts the bytes that are allocated.
struct Counted : B {
  struct Memory : B::Memory {
    std::shared_ptr<void> counted;
  };

  Counted() : B(1) {}
  Memory allocate(std::size_t bytes) {
    *live += bytes;
    return {B::allocate(bytes), std::shared_ptr<void>(nullptr, [live = live, bytes](void*) { *live -= bytes; })};
  }

  std::shared_ptr<std::size_t> live = std::make_shared<std::size_t>(0);
};

template <class M, class Batch>
double loss(B& backend, const M& model, const Batch& batch) {
  PassMemory<B> memory(backend);
  typename M::Saved saved;
  return model.loss(memory.begin_inference(), batch, 0.0, saved).negative_log_likelihood;
}

/// A float model, and a directory of it with weights of int8.
template <class M>
struct Quantized {
  template <class Config>
  explicit Quantized(const Config& config) : backend(1), model(backend, config, 5, Purpose::Inference) {
    fill_with_noise(backend, model);
    io::save_model(floats.path.string(), backend, model);
    M rounded(backend, config, std::nullopt, Purpose::Int8Inference);
    io::load_model(floats.path.string(), backend, rounded);
    io::save_model(folder.path.string(), backend, rounded);
  }
  M load() { return load(folder); }
  M load(const Scratch& from) {
    M other(backend, model.config(), std::nullopt, Purpose::Int8Inference);
    io::check_model_files<M>(from.path.string(), model.config());
    io::load_model(from.path.string(), backend, other);
    return other;
  }
  template <class Batch>
  void check_round_trip(const Batch& batch) {
    const auto loaded = load();
    M rounded(backend, model.config(), std::nullopt, Purpose::Int8Inference);
    io::load_model(floats.path.string(), backend, rounded);
    BOOST_TEST(loss(backend, loaded, batch) == loss(backend, rounded, batch));
    const Scratch again;
    io::save_model(again.path.string(), backend, loaded);
    for (const char* const name : {"model.safetensors", "config.json", "generation_config.json"})
      BOOST_TEST(contents(again.path / name) == contents(folder.path / name), name);
  }
  /// In files of at most so many bytes, so that a matrix and its scales may lie in different ones.
  template <class Batch>
  void check_shards(const Batch& batch, std::uint64_t largest) {
    const auto whole = load();
    const Scratch shards, again;
    io::save_model(shards.path.string(), backend, whole, {}, largest);
    BOOST_TEST(io::holds_int8(shards.path.string()));
    const auto weight_map = io::read_json(shards.path / "model.safetensors.index.json").at("weight_map");
    bool apart = false;
    for (const auto& [name, file] : weight_map.items())
      apart |= weight_map.contains(name + ".scale") && weight_map.at(name + ".scale") != file;
    BOOST_TEST((apart || largest > 1));
    const auto loaded = load(shards);
    std::filesystem::remove_all(shards.path);  // their memory stays
    BOOST_TEST(loss(backend, loaded, batch) == loss(backend, whole, batch));
    io::save_model(again.path.string(), backend, loaded);
    BOOST_TEST(contents(again.path / "model.safetensors") == contents(folder.path / "model.safetensors"));
  }

  B backend;
  Scratch floats, folder;
  M model;
};

struct Tiny : Quantized<Model> {
  Tiny() : Quantized(tiny::config(1, 8)), config(io::read_json(folder.path / "config.json")) {
    const io::SafetensorsFile file(folder.path / "model.safetensors");
    for (const auto& tensor : file.tensors()) {
      const auto bytes = file.data(tensor);
      tensors.push_back({tensor, {bytes.begin(), bytes.end()}});
    }
  }

  struct Stored {
    io::TensorInfo info;
    std::vector<std::byte> bytes;
  };
  Stored& find(const std::string& name) {
    return *std::ranges::find_if(tensors, [&](const Stored& one) { return one.info.name == name; });
  }
  void set_scale(float value) {
    std::memcpy(find(matrix + ".scale").bytes.data() + 2 * sizeof(float), &value, sizeof(float));
  }
  void write() const {
    std::vector<io::TensorToWrite> all;
    for (const auto& one : tensors) all.push_back({one.info.name, one.info.dtype, one.info.shape, one.bytes.data()});
    io::write_safetensors(folder.path / "model.safetensors", all);
    io::write_json(folder.path / "config.json", config);
  }
  void require_refused(std::initializer_list<std::string> parts) {
    write();
    BOOST_CHECK_EXCEPTION(load(), FileError, says(parts));
  }

  nlohmann::json config;
  std::vector<Stored> tensors;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(int8_round_trip)

BOOST_AUTO_TEST_CASE(to_the_byte) {
  Quantized<Model>(tiny::config(1, 8)).check_round_trip(tiny::batch(tiny::pairs()));
  // Its float files have maps transposed and joined; integers stay where they lie.
  Quantized<Gpt2<B, LinearProjections>>(tiny::gpt2_config()).check_round_trip(tiny::causal_batch(tiny::texts()));
}

BOOST_AUTO_TEST_CASE(in_shards) {
  for (const std::uint64_t largest : {1, 100}) {
    Quantized<Model>(tiny::config(1, 8)).check_shards(tiny::batch(tiny::pairs()), largest);
    Quantized<Gpt2<B, LinearProjections>>(tiny::gpt2_config()).check_shards(tiny::causal_batch(tiny::texts()), largest);
  }
}

// Half as wide as the paper's. Packed copies of weights count as well.
BOOST_AUTO_TEST_CASE(takes_less_than_a_third_of_the_file_and_of_the_memory) {
  auto config = tiny::config(1, 256);
  config.vocab_size = 1009;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 1024;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  constexpr double most = 0.30;
  const Quantized<Model> saved(config);
  const auto size = [](const Scratch& of) { return double(std::filesystem::file_size(of.path / "model.safetensors")); };
  BOOST_TEST(size(saved.folder) <= most * size(saved.floats));

  TranslationBatch batch(config.pad_token_id);
  for (int s = 0; s < 12; ++s) batch.push(std::array{1, 2, 0}, std::array{3, 4, 5, 0});
  const auto held = [&](const Scratch& from, Purpose purpose) {
    B backend(1);
    Model model(backend, config, std::nullopt, purpose);
    io::load_model(from.path.string(), backend, model);
    backend.keep_weights(true);
    loss(backend, model, batch);
    backend.keep_weights(false);
    BOOST_TEST((backend.packed_bytes() == 0) == (purpose == Purpose::Int8Inference));
    return double(model.parameters().value_bytes()) + double(backend.packed_bytes());
  };
  const double in_float = held(saved.floats, Purpose::Inference);
  std::ptrdiff_t numbers = 0;
  for (const auto& entry : saved.model.parameters().entries()) numbers += entry.size();
  const auto alone = saved.model.parameters().value_bytes();
  BOOST_TEST(alone >= 4 * numbers);
  BOOST_TEST(double(alone) <= 4.01 * double(numbers));
  BOOST_TEST(in_float > double(alone));
  BOOST_TEST(held(saved.folder, Purpose::Int8Inference) <= most * double(alone));
  BOOST_TEST(held(saved.floats, Purpose::Int8Inference) <= most * double(alone));
}

BOOST_FIXTURE_TEST_CASE(the_file_says_what_it_is, Tiny) {
  BOOST_TEST(io::holds_int8(folder.path.string()));
  BOOST_TEST(!io::holds_int8(floats.path.string()));
  BOOST_TEST((find(matrix).info.dtype == DType::I8));
  BOOST_TEST(find(matrix).info.shape == (std::vector<std::int64_t>{9, 8}), boost::test_tools::per_element());
  BOOST_TEST((find(matrix + ".scale").info.dtype == DType::F32));
  BOOST_TEST(find(matrix + ".scale").info.shape == std::vector<std::int64_t>{9}, boost::test_tools::per_element());
  BOOST_TEST((find("model.encoder.layers.0.fc1.bias").info.dtype == DType::F32));
}

// The numbers lie in the file, whose memory the model keeps, also when another file has taken its place.
BOOST_FIXTURE_TEST_CASE(the_file_is_mapped, Tiny) {
  const auto loaded = load();
  const auto batch = tiny::batch(tiny::pairs());
  const double before = loss(backend, loaded, batch);
  std::ranges::fill(find(matrix).bytes, std::byte{1});
  write();
  BOOST_TEST(loss(backend, loaded, batch) == before);
  BOOST_TEST(loss(backend, load(), batch) != before);
}

// Integers that were rounded go when all tensors have those of a file.
BOOST_FIXTURE_TEST_CASE(no_weights_are_held_twice, Tiny) {
  Counted counted;
  Marian<Counted, LinearProjections> other(counted, model.config(), std::nullopt, Purpose::Int8Inference);
  const auto of_floats = *counted.live;
  for (int repetition = 0; repetition < 2; ++repetition) {
    io::load_model(floats.path.string(), counted, other);
    BOOST_TEST(*counted.live > of_floats);
    io::load_model(folder.path.string(), counted, other);
    BOOST_TEST(*counted.live == of_floats);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(int8_refused, Tiny)

BOOST_AUTO_TEST_CASE(scales) {
  for (const auto& [value, text] : {std::pair{0.0f, "is 0"},
                                    {-1.0f, "is -1"},
                                    {std::numeric_limits<float>::infinity(), "is inf"},
                                    {std::numeric_limits<float>::quiet_NaN(), "nan"}}) {
    set_scale(value);
    require_refused({"model.safetensors", "scale 2 of " + matrix + ".scale", text, "positive and finite"});
  }
}

BOOST_AUTO_TEST_CASE(missing_scales) {
  std::erase_if(tensors, [](const Stored& one) { return one.info.name == matrix + ".scale"; });
  require_refused({"missing", matrix + ".scale [9]"});
}

BOOST_AUTO_TEST_CASE(scales_of_another_shape) {
  auto& scale = find(matrix + ".scale");
  scale.info.shape = {3, 3};
  require_refused({"wrong shape", matrix + ".scale [3, 3]", "[9]"});
}

BOOST_AUTO_TEST_CASE(other_types) {
  auto& scale = find(matrix + ".scale");
  scale.info.dtype = DType::I32;
  require_refused({"wrong type", matrix + ".scale I32, expected F32"});
  scale.info.dtype = DType::F32;
  auto& weights = find(matrix);
  weights.info.dtype = DType::U8;
  require_refused({"wrong type", matrix + " U8, expected I8"});
  weights.info.dtype = DType::I8;
  auto& bias = find("model.encoder.layers.0.fc1.bias");
  bias.info.dtype = DType::I8;
  bias.bytes.resize(9);
  require_refused({"wrong type", "fc1.bias I8, expected floats"});
}

BOOST_AUTO_TEST_CASE(integers_out_of_range) {
  find(matrix).bytes[5] = std::byte{0x80};
  require_refused({"model.safetensors", matrix, "-128"});
}

BOOST_AUTO_TEST_CASE(other_versions_and_methods) {
  config["quantization_config"]["version"] = 2;
  require_refused({"config.json", "version 2"});
  config["quantization_config"].erase("version");
  require_refused({"config.json", "version 0"});
  config["quantization_config"]["quant_method"] = "bitsandbytes";
  require_refused({"config.json", "\"bitsandbytes\""});
  config["quantization_config"] = 7;
  require_refused({"config.json", "quantization_config"});
  config.erase("quantization_config");
  require_refused({"unexpected", matrix + ".scale"});
}

BOOST_AUTO_TEST_CASE(no_training) {
  Model training(backend, tiny::config(1, 8), 3);
  BOOST_CHECK_EXCEPTION(io::load_model(folder.path.string(), backend, training), FileError,
                        says({"config.json", "int8", "Int8Inference"}));
  Model floats_only(backend, tiny::config(1, 8), 3, Purpose::Inference);
  BOOST_CHECK_THROW(io::load_model(folder.path.string(), backend, floats_only), FileError);
}

BOOST_AUTO_TEST_SUITE_END()
