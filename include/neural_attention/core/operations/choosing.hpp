// Choose tokens from logits x [n, vocabulary]. The results come to the host, so each of these operations waits.
#pragma once

#include <span>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// sums_r = log Σ exp of row r, in double; -inf where all elements are, NaN where one is or where one is +inf.
template <class T>
struct LogSumExpOf {
  static constexpr std::string_view name = "log_sum_exp";
  RowsOf<T> x;
  std::span<double> sums;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("sums", Access::Write, self.sums);
  }
};
template <class B>
using LogSumExp = LogSumExpOf<typename B::Scalar>;

/// The k ≤ vocabulary largest elements of each row and their columns, in descending order, equal elements by column:
/// values, columns [n, k], row after row. Elements that are -inf do not count; missing entries have the value -inf and
/// the column -1. In a row with NaN or +inf, all entries are missing: LogSumExp distinguishes it from a row that is all
/// -inf.
template <class T>
struct TopKOf {
  static constexpr std::string_view name = "top_k";
  RowsOf<T> x;
  int k;
  std::span<T> values;
  std::span<int> columns;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("values", Access::Write, self.values);
    operand("columns", Access::Write, self.columns);
  }
};
template <class B>
using TopK = TopKOf<typename B::Scalar>;

/// Draws a column of each row from softmax(x), as `how` says. In the order of columns, each column owns a part of [0,
/// 1) as large as its probability; the row takes the column whose part holds uniforms_i. -1 if all elements are -inf,
/// or one is NaN or +inf.
template <class T>
struct SampleOf {
  static constexpr std::string_view name = "sample";
  RowsOf<T> x;
  SamplingShape how;
  std::span<const double> uniforms;
  std::span<int> columns;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("uniforms", Access::Read, self.uniforms);
    operand("columns", Access::Write, self.columns);
  }
};
template <class B>
using Sample = SampleOf<typename B::Scalar>;

template <class T>
using ChoosingOperations = OperationList<LogSumExpOf<T>, TopKOf<T>, SampleOf<T>>;

}  // namespace neural_attention::ops
