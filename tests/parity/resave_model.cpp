// resave_model DIR [OUT]            loads the model directory DIR, prints what loading took, and saves it to OUT
// resave_model --random CONFIG OUT  saves a model with random weights, of the sizes and projectors in a config.json
// Prints {"seconds": .., "file_bytes": .., "anonymous_bytes": ..}: loading's wall time and the most anonymous memory
// (RssAnon) that the process had more than before. interchange.py and load_base_size.py run it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>

#include "common/any_model.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_directory.hpp"

namespace {

namespace na = neural_attention;

using AnyGpt2 = na::Gpt2<examples::Backend, na::AnyProjections>;

/// Of this process, from the kernel; 0 where the system does not tell.
std::int64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  return 0;
}

/// Watches anonymous memory from another thread for as long as it lives.
class MemoryWatch {
 public:
  MemoryWatch() : thread_([this] { watch(); }) {}
  ~MemoryWatch() {
    stop_ = true;
    thread_.join();
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  std::int64_t growth() const { return std::max(peak_.load(), anonymous_bytes()) - before_; }

 private:
  void watch() {
    while (!stop_) {
      peak_ = std::max(peak_.load(), anonymous_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  const std::int64_t before_ = anonymous_bytes();
  std::atomic<std::int64_t> peak_ = before_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses the others
};

std::uintmax_t weight_bytes(const std::string& directory) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("model") && name.ends_with(".safetensors")) bytes += entry.file_size();
  }
  return bytes;
}

/// How a directory's model generates, where it does.
template <class Model>
std::optional<na::GenerationConfig> generation(const std::string& directory, const Model& model) {
  if constexpr (na::Decodable<Model>)
    return na::io::load_generation_config(directory, model.config());
  else
    return std::nullopt;
}

template <class Model>
void resave(const std::string& from, const std::string& to) {
  examples::Backend backend(2);
  const MemoryWatch memory;
  const auto begin = std::chrono::steady_clock::now();
  Model model(backend, na::io::load_config<typename Model::Config>(from + "/config.json"), std::nullopt,
              na::Purpose::Inference);
  na::io::load_model(from, backend, model);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  const nlohmann::json report = {
      {"seconds", taken.count()}, {"file_bytes", weight_bytes(from)}, {"anonymous_bytes", memory.growth()}};
  std::cout << report.dump() << '\n';
  if (!to.empty()) na::io::save_model(to, backend, model, generation(from, model));
}

/// Every tensor random: initial values would hide a mix-up of biases, which all start at zero.
template <class Model>
void save_random(const std::string& config, const std::string& to) {
  examples::Backend backend(2);
  Model model(backend, na::io::load_config<typename Model::Config>(config), std::nullopt, na::Purpose::Inference);
  auto& parameters = model.parameters();
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0.0f, 0.3f);
  std::vector<float> numbers;
  for (const auto& entry : parameters.entries()) {
    numbers.resize(static_cast<std::size_t>(entry.size()));
    for (auto& x : numbers) x = normal(random);
    backend(na::ops::Upload<examples::Backend>{.values = numbers, .x = parameters.value(entry)});
  }
  na::io::save_model(to, backend, model);
}

/// Calls use.operator()<Model>() with the type of a config.json.
template <class Use>
void with_model_of(const std::string& config, Use&& use) {
  const auto type = na::io::get<std::string>(na::io::read_json(config), "model_type", config);
  if (type.starts_with("roberta"))
    use.template operator()<examples::AnyRoberta>();
  else if (type == "gpt2")
    use.template operator()<AnyGpt2>();
  else
    use.template operator()<examples::AnyMarian>();
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string first = count > 1 ? arguments[1] : "";
    if (count == 4 && first == "--random")
      with_model_of(arguments[2], [&]<class Model> { save_random<Model>(arguments[2], arguments[3]); });
    else if ((count == 2 || count == 3) && first != "--random")
      with_model_of(first + "/config.json", [&]<class Model> { resave<Model>(first, count == 3 ? arguments[2] : ""); });
    else
      throw na::ConfigError("usage: resave_model DIR [OUT], or resave_model --random CONFIG OUT");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
