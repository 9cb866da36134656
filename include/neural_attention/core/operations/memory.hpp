// Operations that move numbers: between host and backend, from place to place, and from type to type.
#pragma once

#include <span>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y = x. y may overlap x if both are contiguous.
template <class T>
struct CopyOf {
  static constexpr std::string_view name = "copy";
  RowsOf<T> x;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Copy = CopyOf<typename B::Scalar>;

/// y_i = x_i for many pairs of matrices at once. No y may overlap another y or an x. The spans lie on the host.
template <class T>
struct CopyPairsOf {
  static constexpr std::string_view name = "copy_pairs";
  std::span<const RowsOf<T>> x;
  std::span<const RowsOf<T>> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using CopyPairs = CopyPairsOf<typename B::Scalar>;

/// Sets every element of x to value.
template <class T>
struct FillOf {
  static constexpr std::string_view name = "fill";
  RowsOf<T> x;
  T value;

  static void visit(auto& self, auto&& operand) { operand("x", Access::Write, self.x); }
};
template <class B>
using Fill = FillOf<typename B::Scalar>;

/// From the host: x = values, row after row. `values` holds x.size() numbers and may be freed when the call returns.
template <class T>
struct UploadOf {
  static constexpr std::string_view name = "upload";
  std::span<const T> values;
  RowsOf<T> x;

  static void visit(auto& self, auto&& operand) {
    operand("values", Access::Read, self.values);
    operand("x", Access::Write, self.x);
  }
};
template <class B>
using Upload = UploadOf<typename B::Scalar>;

/// To the host: values = x, row after row. Waits for the copy.
template <class T>
struct DownloadOf {
  static constexpr std::string_view name = "download";
  RowsOf<T> x;
  std::span<T> values;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("values", Access::Write, self.values);
  }
};
template <class B>
using Download = DownloadOf<typename B::Scalar>;

/// y = x, from the type of parameters to the type of activations; rounds if these differ.
template <class T>
struct ConvertOf {
  static constexpr std::string_view name = "convert";
  RowsOf<RealOf<T>> x;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Convert = ConvertOf<typename B::Scalar>;

/// y_i = x_{rows[i]}
template <class T>
struct GatherOf {
  static constexpr std::string_view name = "gather";
  RowsOf<T> x;
  std::span<const int> rows;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("rows", Access::Read, self.rows);
    operand("y", Access::Write, self.y);
  }
  double bytes() const { return 2.0 * detail::operand_bytes(y) + detail::operand_bytes(rows); }
};
template <class B>
using Gather = GatherOf<typename B::Scalar>;

/// y_{rows[i]} += x_i; no row may occur twice.
template <class T>
struct ScatterAddOf {
  static constexpr std::string_view name = "scatter_add";
  RowsOf<T> x;
  std::span<const int> rows;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("rows", Access::Read, self.rows);
    operand("y", Access::Update, self.y);
  }
  double bytes() const { return 3.0 * detail::operand_bytes(x) + detail::operand_bytes(rows); }
};
template <class B>
using ScatterAdd = ScatterAddOf<typename B::Scalar>;

/// x[rows_i][cols_i] = value. An element may occur twice.
template <class T>
struct AssignOf {
  static constexpr std::string_view name = "assign";
  RowsOf<T> x;
  std::span<const int> rows;
  std::span<const int> cols;
  T value;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Update, self.x);
    operand("rows", Access::Read, self.rows);
    operand("cols", Access::Read, self.cols);
  }
  double bytes() const { return static_cast<double>(rows.size()) * (2 * sizeof(int) + sizeof(T)); }
};
template <class B>
using Assign = AssignOf<typename B::Scalar>;

template <class T>
using MemoryOperations = OperationList<CopyOf<T>, FillOf<T>, UploadOf<T>, DownloadOf<T>, CopyPairsOf<T>, ConvertOf<T>,
                                       GatherOf<T>, ScatterAddOf<T>, AssignOf<T>>;

}  // namespace neural_attention::ops
