// The backends that operations are tested on: the CPU in float and double, and CUDA's kernels in float and bfloat16,
// run on the CPU or, alone, on a device. With NEURAL_ATTENTION_TESTS_ON_CPU the CPU alone.
#pragma once

#include <tuple>
#include <type_traits>

#include "backend/cpu_support.hpp"
#if !defined(NEURAL_ATTENTION_TESTS_ON_CPU)
#include "backend/gpu.hpp"
#endif

namespace cpu_support {

#if defined(NEURAL_ATTENTION_TESTS_ON_CPU)
using Backends = std::tuple<neural_attention::Cpu<float>, neural_attention::Cpu<double>>;
using RealBackends = Backends;
using FloatBackends = std::tuple<neural_attention::Cpu<float>>;
#elif defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)
using Backends = std::tuple<Gpu, GpuOf<neural_attention::bfloat16>>;
using RealBackends = std::tuple<Gpu>;
using FloatBackends = std::tuple<Gpu>;
#else
using Backends =
    std::tuple<neural_attention::Cpu<float>, neural_attention::Cpu<double>, Gpu, GpuOf<neural_attention::bfloat16>>;
/// For operations on numbers of Real alone, which Cuda<bfloat16> shares with Cuda<float>.
using RealBackends = std::tuple<neural_attention::Cpu<float>, neural_attention::Cpu<double>, Gpu>;
/// For whole models in float.
using FloatBackends = std::tuple<neural_attention::Cpu<float>, Gpu>;
#endif

/// Whether B's kernels run on the CPU, where they are slow: fewer of the same will do.
template <class B>
#if defined(NEURAL_ATTENTION_TESTS_ON_CPU)
inline constexpr bool emulated = false;
#else
inline constexpr bool emulated = std::is_same_v<B, neural_attention::Cuda<typename B::Scalar>>;
#endif

}  // namespace cpu_support
