// Embedding lookup and its gradient: ids [n] in 0 … vocabulary-1, table [vocabulary, d], y [n, d].
#pragma once

#include <span>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y_i = factor · table[ids_i], or y_i += … If `quantized` is given, it is the table; only Cpu<float> can do that.
template <class T>
struct EmbeddingOf {
  static constexpr std::string_view name = "embedding";
  std::span<const int> ids;
  RowsOf<T> table = {};
  double factor = 1.0;
  Into into = Into::Write;
  RowsOf<T> y;
  const QuantizedRows* quantized = nullptr;

  static void visit(auto& self, auto&& operand) {
    operand("ids", Access::Read, self.ids);
    operand("table", Access::Read, self.table);
    operand("quantized", Access::Read, self.quantized);
    operand("y", access(self.into), self.y);
  }
  double bytes() const {
    return (into == Into::Add ? 3.0 : 2.0) * detail::operand_bytes(y) + detail::operand_bytes(ids);
  }
};
template <class B>
using Embedding = EmbeddingOf<typename B::Scalar>;

/// dtable[ids_i] += factor · dy_i, except for rows whose id is `padding` (-1: none). The order of the sums is fixed.
template <class T>
struct EmbeddingBackwardOf {
  static constexpr std::string_view name = "embedding_backward";
  RowsOf<T> dy;
  std::span<const int> ids;
  double factor = 1.0;
  int padding = -1;
  RowsOf<RealOf<T>> dtable;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("ids", Access::Read, self.ids);
    operand("dtable", Access::Update, self.dtable);
  }
  double bytes() const {
    return static_cast<double>(dy.size()) * (sizeof(T) + 2 * sizeof(RealOf<T>)) + detail::operand_bytes(ids);
  }
};
template <class B>
using EmbeddingBackward = EmbeddingBackwardOf<typename B::Scalar>;

template <class T>
using EmbeddingOperations = OperationList<EmbeddingOf<T>, EmbeddingBackwardOf<T>>;

}  // namespace neural_attention::ops
