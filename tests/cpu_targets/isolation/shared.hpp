// What a unit that is compiled for one instruction set may share with the rest of a program without knowing: inline
// functions and templates, a table of them, virtual functions, constructors, variables of functions, exceptions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Work {
  explicit Work(const std::vector<float>& x) : values(x) {
    for (auto& value : values) value = value * value + 1.0f;
  }
  virtual ~Work() = default;
  virtual float sum() const {
    float parts[16] = {};
    for (std::size_t i = 0; i < values.size(); ++i) parts[i % 16] += values[i];
    float all = 0;
    for (const float part : parts) all += part;
    return all;
  }
  std::vector<float> values;
};

template <int Power>
float power(const std::vector<float>& x) {
  std::vector<float> y = x;
  for (int i = 1; i < Power; ++i)
    for (std::size_t j = 0; j < x.size(); ++j) y[j] *= x[j];
  std::sort(y.begin(), y.end());
  return Work(y).sum();
}

using Kernel = float (*)(const std::vector<float>&);

template <int... I>
Kernel kernel_for(std::size_t index, std::integer_sequence<int, I...>) {
  static constexpr std::array<Kernel, sizeof...(I)> all{power<I + 1>...};
  return all[index];
}

inline float compute(const std::vector<float>& x, int index) {
  static const std::string name = "a name that lies on the heap, for a variable with a guard";
  if (x.empty()) throw Failure(name);
  return kernel_for(static_cast<std::size_t>(index), std::make_integer_sequence<int, 4>())(x);
}

using Computation = float (*)(const std::vector<float>&, int);
