// Tokens chosen from logits x [n, vocabulary]; what is chosen comes to the host, so each of these waits.
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
    operand("x", Role::Read, self.x);
    operand("sums", Role::Write, self.sums);
  }
};
template <class B>
using LogSumExp = LogSumExpOf<typename B::Scalar>;

/// The k ≤ vocabulary largest elements of each row and their columns, the largest first and of equals the first:
/// values, columns [n, k] row after row. Elements that are -inf do not count; in place of what is missing stand -inf
/// and the column -1. Of a row with NaN or +inf all are missing: LogSumExp tells it from one that is ruled out.
template <class T>
struct TopKOf {
  static constexpr std::string_view name = "top_k";
  RowsOf<T> x;
  int k;
  std::span<T> values;
  std::span<int> columns;

  static void visit(auto& self, auto&& operand) {
    operand("x", Role::Read, self.x);
    operand("values", Role::Write, self.values);
    operand("columns", Role::Write, self.columns);
  }
};
template <class B>
using TopK = TopKOf<typename B::Scalar>;

/// A column of each row, drawn from softmax(x) as `how` says: in the order of columns, each has a share of [0, 1) as
/// large as its probability, and the row takes the column in whose share uniforms_i lies. -1 where all is -inf, or
/// something is NaN or +inf.
template <class T>
struct SampleOf {
  static constexpr std::string_view name = "sample";
  RowsOf<T> x;
  SamplingShape how;
  std::span<const double> uniforms;
  std::span<int> columns;

  static void visit(auto& self, auto&& operand) {
    operand("x", Role::Read, self.x);
    operand("uniforms", Role::Read, self.uniforms);
    operand("columns", Role::Write, self.columns);
  }
};
template <class B>
using Sample = SampleOf<typename B::Scalar>;

template <class T>
using ChoosingOperations = OperationList<LogSumExpOf<T>, TopKOf<T>, SampleOf<T>>;

}  // namespace neural_attention::ops
