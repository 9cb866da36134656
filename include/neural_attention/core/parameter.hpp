// A leaf of a model, and the walk that finds and names leaves. Every module has one static `visit(self, visitor)` that
// calls visitor(name, member); leaves are Parameter (trained), Buffer (saved, not trained) and RandomSite (a place that
// draws random numbers). Names join with dots, as in PyTorch.
#pragma once

#include <cmath>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/operations.hpp"
#include "neural_attention/core/quantized_rows.hpp"

namespace neural_attention {

/// The purpose of a model: training needs gradients, inference does not. For Int8Inference, the matrices that modules
/// multiply by or look up rows of are integers of eight bits, which take a quarter of the memory; this needs
/// Cpu<float>.
enum class Purpose { Training, Inference, Int8Inference };

/// Whether a backend computes with QuantizedRows.
template <class B>
concept HoldsInt8 = requires {
  requires B::holds_int8;
};

/// The distribution of a tensor's initial values: N(0, scale²), uniform in ±scale, the constant scale, or the same row
/// for every row.
struct Initial {
  enum class Kind { Normal, Uniform, Constant, Rows };
  Kind kind = Kind::Constant;
  double scale = 0.0;
  int row = -1;  ///< one that starts at another constant (the embedding of padding at zero), or -1
  double row_value = 0.0;
  std::span<const double> each_row = {};  ///< of Kind::Rows; it outlives the model

  static Initial normal(double deviation) { return {Kind::Normal, deviation}; }
  static Initial constant(double value) { return {Kind::Constant, value}; }
  static Initial rows_of(std::span<const double> row) { return {Kind::Rows, 0.0, -1, 0.0, row}; }
  /// The same with another constant in one row; in none if that is -1.
  Initial with_row(int other, double value) const {
    auto initial = *this;
    initial.row = other;
    initial.row_value = value;
    return initial;
  }
  /// Uniform with variance 2/(in+out): Glorot & Bengio 2010.
  static Initial xavier(int in, int out) { return {Kind::Uniform, std::sqrt(6.0 / (double(in) + out))}; }
};

/// One trained tensor: a matrix [rows, cols] or a vector [cols]. Views into the store, empty before it binds them.
template <class B>
struct Parameter {
  Parameter(int row_count, int col_count, Initial first) : rows(row_count), cols(col_count), initial(first) {}
  Parameter(int length, Initial first) : rows(1), cols(length), vector(true), initial(first) {}

  int rows;
  int cols;
  bool vector = false;
  Initial initial;
  /// Whether its module reads nothing but `quantized` if that is not null: it passes both on to operations.
  bool quantizable = false;
  const QuantizedRows* quantized = nullptr;  ///< of a model for Int8Inference, in the place of the value
  Rows<B> value;                             ///< what modules read
  RowsOf<typename B::Real> master;           ///< what is trained, saved and loaded; the same memory if Scalar is Real
  RowsOf<typename B::Real> gradient;         ///< empty if the store holds no gradients
};

/// A tensor that is saved but not trained.
template <class B>
struct Buffer : Parameter<B> {
  using Parameter<B>::Parameter;
};

/// A place that draws random numbers. Its number is a hash of its name, so every run and backend agrees on it.
struct RandomSite {
  std::uint32_t id = 0;
};

/// FNV-1a.
constexpr std::uint32_t name_hash(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// The name of a member of the module called `prefix`. Not inlined: a walk has a copy of its code for each type of
/// module.
[[gnu::noinline]] inline std::string member_name(const std::string& prefix, std::string_view name) {
  std::string full = prefix;
  if (!prefix.empty() && !name.empty()) full += '.';
  return full += name;
}

/// Calls leaf(name, member) for every leaf below `module` that `leaf` accepts, in visit order.
template <class Module, class Leaf>
void for_each_leaf(Module& module, Leaf&& leaf, const std::string& prefix = {}) {
  const auto enter = [&](std::string_view name, auto& member) {
    const auto full = member_name(prefix, name);
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (requires { leaf(full, member); }) {
      leaf(full, member);
    } else if constexpr (requires { std::begin(member); }) {
      int index = 0;
      for (auto& element : member) for_each_leaf(element, leaf, member_name(full, std::to_string(index++)));
    } else if constexpr (requires { Member::visit(member, [](std::string_view, auto&) {}); }) {
      for_each_leaf(member, leaf, full);
    }
  };
  std::remove_cvref_t<Module>::visit(module, enter);
}

}  // namespace neural_attention
