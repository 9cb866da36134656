// An operation of a backend is a struct whose named fields are its operands and settings; a backend runs it as
// backend(op). It says its name and lists each operand once with its access, so that a wrapper of a backend can treat
// all operations alike, including later additions.
//
// ops::Linear<B> is ops::LinearOf<typename B::Scalar>, as Rows<B> is RowsOf<typename B::Scalar>. Operands named d… are
// gradients. Matrices lie in memory of the backend, spans of numbers on the host; {} is no matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/quantized_rows.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention {

/// The type of parameters, their gradients, statistics and losses if activations are numbers of type T.
template <class T>
using RealOf = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;

/// Whether an operation overwrites its result or adds to it.
enum class Into { Write, Add };

namespace ops {

/// What an operation does with an operand: read it, write all of it, or both (for example, add to it).
enum class Access { Read, Write, Update };

constexpr Access access(Into into) { return into == Into::Write ? Access::Write : Access::Update; }

template <class... Operations>
struct OperationList {};

template <class... A, class... B>
constexpr OperationList<A..., B...> operator+(OperationList<A...>, OperationList<B...>) {
  return {};
}

namespace detail {

template <class T>
double operand_bytes(const RowsOf<T>& x) {
  return static_cast<double>(x.size()) * sizeof(T);
}
template <class T>
double operand_bytes(std::span<T> numbers) {
  return static_cast<double>(numbers.size_bytes());
}
template <class T>
double operand_bytes(std::span<const RowsOf<T>> matrices) {
  double sum = 0.0;
  for (const auto& x : matrices) sum += operand_bytes(x);
  return sum;
}
inline double operand_bytes(const QuantizedRows* x) {
  constexpr double of_row = sizeof(float) + sizeof(std::int32_t);
  return x ? static_cast<double>(x->size()) + x->rows * of_row : 0.0;
}
inline double operand_bytes(const StepOutcome*) { return sizeof(StepOutcome); }

}  // namespace detail

/// The return type of backend(op): Op::Result if the operation has one, otherwise void.
template <class Op>
struct ResultType {
  using type = void;
};
template <class Op>
requires requires { typename Op::Result; }
struct ResultType<Op> {
  using type = typename Op::Result;
};
template <class Op>
using ResultOf = typename ResultType<Op>::type;

/// The least number of bytes that an operation reads and writes, counting each operand once. An operation that touches
/// only part of an operand has a member bytes().
template <class Op>
double bytes(const Op& op) {
  if constexpr (requires { op.bytes(); }) {
    return op.bytes();
  } else {
    double sum = 0.0;
    Op::visit(op, [&](std::string_view, Access access, const auto& operand) {
      sum += (access == Access::Update ? 2.0 : 1.0) * detail::operand_bytes(operand);
    });
    return sum;
  }
}

/// The floating-point operations in the matrix products of an operation: two for each multiplication and its addition,
/// 0 for an operation without such products.
template <class Op>
double flop(const Op& op) {
  if constexpr (requires { op.flop(); })
    return op.flop();
  else
    return 0.0;
}

}  // namespace ops
}  // namespace neural_attention
