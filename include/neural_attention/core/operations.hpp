// All operations of a backend, and the check that a backend runs them. See operations/operation.hpp for what an
// operation is.
#pragma once

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "neural_attention/core/operations/attention.hpp"
#include "neural_attention/core/operations/choosing.hpp"
#include "neural_attention/core/operations/convolution.hpp"
#include "neural_attention/core/operations/elementwise.hpp"
#include "neural_attention/core/operations/embedding.hpp"
#include "neural_attention/core/operations/linear.hpp"
#include "neural_attention/core/operations/loss.hpp"
#include "neural_attention/core/operations/memory.hpp"
#include "neural_attention/core/operations/normalization.hpp"
#include "neural_attention/core/operations/optimizer.hpp"
#include "neural_attention/core/operations/rational.hpp"

namespace neural_attention {

namespace ops {

/// Operations on parameters, gradients and moments, listed separately if these are not numbers of type T.
template <class T, class Real = RealOf<T>>
using RealOperations =
    std::conditional_t<std::is_same_v<T, Real>, OperationList<>,
                       OperationList<CopyOf<Real>, FillOf<Real>, UploadOf<Real>, DownloadOf<Real>, ScaleOf<Real>>>;

/// All operations of a backend whose activations are numbers of type T.
template <class T>
using AllOperationsOf = decltype(MemoryOperations<T>() + RealOperations<T>() + LinearOperations<T>() +
                                 NormalizationOperations<T>() + ElementwiseOperations<T>() + RationalOperations<T>() +
                                 EmbeddingOperations<T>() + ConvolutionOperations<T>() + AttentionOperations<T>() +
                                 ChoosingOperations<T>() + LossOperations<T>() + OptimizerOperations<T>());

template <class B>
using AllOperations = AllOperationsOf<typename B::Scalar>;

namespace detail {

template <class Op, class List>
inline constexpr bool listed = false;
template <class Op, class... All>
inline constexpr bool listed<Op, OperationList<All...>> = (std::is_same_v<Op, All> || ...);

}  // namespace detail

/// An operation of the list.
template <class Op, class T>
concept OperationOf = detail::listed<Op, AllOperationsOf<T>>;

/// The addresses of B::run for each operation of the list. An explicit instantiation compiles all of them.
template <class B, class List = AllOperations<B>>
struct Instances;
template <class B, class... All>
struct Instances<B, OperationList<All...>> {
  static const std::tuple<ResultOf<All> (B::*)(const All&)...> all;
};
// Doxygen cannot read this definition.
/// @cond
template <class B, class... All>
const std::tuple<ResultOf<All> (B::*)(const All&)...> Instances<B, OperationList<All...>>::all{
    &B::template run<All>...};
/// @endcond

}  // namespace ops

/// Whether backend(op) compiles.
template <class B, class Op>
concept Runs = requires(B& backend, const Op& op) {
  backend(op);
};

namespace ops::detail {

template <class B, class List>
inline constexpr bool runs_all = false;
template <class B, class... All>
inline constexpr bool runs_all<B, OperationList<All...>> = (Runs<B, All> && ...);

}  // namespace ops::detail

/// The number types of a backend: one for activations, one for parameters and for results that stay in memory.
template <class B>
concept HasBackendTypes = requires {
  typename B::Scalar;
  typename B::Memory;
}
&&std::same_as<typename B::Real, RealOf<typename B::Scalar>>;

/// The members of a backend that are not operations on matrices: memory, how long packed weights are kept, and reading
/// a StepOutcome on the host, which finishes long after it starts. See Cpu for each.
template <class B>
concept HasBackendMembers = requires(B& backend, std::size_t bytes, bool kept, const StepOutcome* outcome) {
  { backend.allocate(bytes) } -> std::same_as<typename B::Memory>;
  backend.keep_weights(kept);
  backend.start_reading(outcome);
  { backend.finish_reading() } -> std::same_as<StepOutcome>;
};

template <class B>
concept Backend = HasBackendTypes<B> && HasBackendMembers<B> && ops::detail::runs_all<B, ops::AllOperations<B>>;

template <class B, class Op>
struct CheckRuns {
  static_assert(Runs<B, Op>,
                "a backend needs operator()(const Op&) for every operation of ops::AllOperations: the one that it "
                "lacks is the second type of this CheckRuns");
};

/// Reports in one sentence what a backend lacks.
template <class B, class List = ops::AllOperations<B>>
struct CheckBackend;
template <class B, class... All>
struct CheckBackend<B, ops::OperationList<All...>> {
  static_assert(HasBackendTypes<B>, "a backend names types Scalar, Memory and Real, where Real is RealOf<Scalar>");
  static_assert(HasBackendMembers<B>,
                "a backend needs allocate, keep_weights, start_reading and finish_reading, as Cpu has them");
  static_assert((sizeof(CheckRuns<B, All>) && ...));
};

}  // namespace neural_attention
