// What an operation of a backend is: a struct whose named fields are its operands and settings, which a backend runs as
// backend(op). Each says its name, and lists its operands once with their roles, so that a wrapper of a backend can
// treat all operations alike, those of later versions too.
//
// ops::Linear<B> is ops::LinearOf<typename B::Scalar>, as Rows<B> is RowsOf<typename B::Scalar>. Operands named d… are
// gradients. Matrices lie in memory of the backend, spans of numbers on the host; {} is no matrix.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention {

/// The numbers of parameters, their gradients, statistics and losses where activations are numbers T.
template <class T>
using RealOf = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;

/// Whether an operation writes over what its result had before, or adds to it.
enum class Into { Write, Add };

namespace ops {

/// What an operation does with an operand: it reads it, writes all of it, or does both, as where it adds to it.
enum class Role { Read, Write, Update };

constexpr Role role(Into into) { return into == Into::Write ? Role::Write : Role::Update; }

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
inline double operand_bytes(const StepOutcome*) { return sizeof(StepOutcome); }

}  // namespace detail

/// What backend(op) returns: Op::Result where the operation has one, else nothing.
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

/// The bytes that an operation reads and writes at least, each operand once. An operation that touches part of an
/// operand says so by a member bytes().
template <class Op>
double bytes(const Op& op) {
  if constexpr (requires { op.bytes(); }) {
    return op.bytes();
  } else {
    double sum = 0.0;
    Op::visit(op, [&](std::string_view, Role role, const auto& operand) {
      sum += (role == Role::Update ? 2.0 : 1.0) * detail::operand_bytes(operand);
    });
    return sum;
  }
}

/// The floating point operations of the products of matrices in an operation, two for each multiplication and its
/// addition; an operation without such products has none.
template <class Op>
double flop(const Op& op) {
  if constexpr (requires { op.flop(); })
    return op.flop();
  else
    return 0.0;
}

}  // namespace ops
}  // namespace neural_attention
