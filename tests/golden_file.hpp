// Golden tensors for tests: a safetensors file that remembers which tensors were used, and comparators that cannot pass
// on nothing. The folder is tests/golden, or the one that the environment names: there the parity preset keeps values
// that it has just made.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "neural_attention/io/safetensors.hpp"

namespace golden {

inline std::filesystem::path folder() {
  const char* const other = std::getenv("NEURAL_ATTENTION_GOLDEN_DIR");
  return other && *other ? other : NEURAL_ATTENTION_GOLDEN_DIR;
}

class File {
 public:
  explicit File(const std::string& relative) : file_(folder() / relative) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }

  template <class T>
  std::vector<T> read(const std::string& name) {
    const auto& tensor = info(name);
    std::size_t count = 1;
    for (const auto extent : tensor.shape) count *= static_cast<std::size_t>(extent);
    if (count == 0) throw std::runtime_error("the golden tensor " + name + " is empty");
    std::vector<T> result(count);
    file_.read(tensor, result.data());
    used_.insert(name);
    return result;
  }
  std::vector<std::int64_t> shape(const std::string& name) const {
    const auto& extents = info(name).shape;
    return {extents.begin(), extents.end()};
  }

  /// Packed sequences: `name` holds the ids, `name` with another ending the offsets.
  std::vector<std::vector<int>> sequences(const std::string& ids_name, const std::string& offsets_name) {
    const auto ids = read<int>(ids_name), offsets = read<int>(offsets_name);
    std::vector<std::vector<int>> result;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
      result.emplace_back(ids.begin() + offsets[i], ids.begin() + offsets[i + 1]);
    return result;
  }

  /// The names of all tensors that begin with `prefix`.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> result;
    for (const auto& tensor : file_.tensors())
      if (tensor.name.starts_with(prefix)) result.push_back(tensor.name);
    return result;
  }
  std::size_t size() const { return file_.tensors().size(); }
  /// Names that no test asked for.
  std::vector<std::string> unused() const {
    std::vector<std::string> result;
    for (const auto& tensor : file_.tensors())
      if (!used_.contains(tensor.name)) result.push_back(tensor.name);
    return result;
  }

 private:
  const neural_attention::io::SafetensorsFile::Tensor& info(const std::string& name) const {
    const auto* const tensor = file_.find(name);
    if (!tensor) throw std::runtime_error("there is no golden tensor " + name);
    return *tensor;
  }

  neural_attention::io::SafetensorsFile file_;
  std::set<std::string> used_;
};

/// The largest |found - expected| over max(1, the largest |expected|). Infinite where sizes differ, where there is
/// nothing to compare or where a number is not finite.
template <class A, class B>
double difference(const A& found, const B& expected) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  if (found.size() != expected.size() || expected.size() == 0) return infinite;
  double largest = 0.0, scale = 1.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto a = static_cast<double>(found[i]), b = static_cast<double>(expected[i]);
    if (!std::isfinite(a) || !std::isfinite(b)) return infinite;
    largest = std::max(largest, std::abs(a - b));
    scale = std::max(scale, std::abs(b));
  }
  return largest / scale;
}

/// ‖found - expected‖, infinite as above.
template <class A, class B>
double distance(const A& found, const B& expected) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  if (found.size() != expected.size() || expected.size() == 0) return infinite;
  double sum = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto d = static_cast<double>(found[i]) - static_cast<double>(expected[i]);
    sum += d * d;
  }
  return std::isfinite(sum) ? std::sqrt(sum) : infinite;
}

}  // namespace golden
