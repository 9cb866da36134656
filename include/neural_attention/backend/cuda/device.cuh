// What kernels need besides CUDA's own vocabulary: launching, vectors of neighbouring elements, sums over a warp and
// over a block. A host compiler can compile them too, behind a header that defines CUDA's vocabulary; the tests have
// one.
//
// Kernels compute in float for every element type T. Sums have one fixed order, given by the shape.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#elif !defined(NEURAL_ATTENTION_CUDA_EMULATION)
#error "compile this file with nvcc, or include neural_attention/cuda.hpp instead and link neural_attention::cuda"
#endif

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention::cuda_backend {

inline constexpr int warp_size = 32;
inline constexpr unsigned all_lanes = 0xffffffffu;

#if defined(__CUDACC__)
using Stream = cudaStream_t;
#else
struct Stream {
  emulation::Order order;
};
#endif

/// Starts a kernel. Throws DeviceError, which names the kernel, if the device refuses it.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            [[maybe_unused]] Stream stream, const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0) return;
#if defined(__CUDACC__)
  constexpr std::size_t given = 48 * 1024;  // more has to be asked for
  auto status = cudaSuccess;
  if (shared_bytes > given)
    status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  if (status == cudaSuccess) {
    kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
    status = cudaGetLastError();
  }
  if (status != cudaSuccess) {
    cudaGetLastError();  // otherwise the next kernel would report this error
    throw DeviceError(std::string("the kernel ") + name + " cannot be started: " + cudaGetErrorString(status));
  }
#else
  static_cast<void>(name);
  emulation::run(grid, block, shared_bytes, stream.order, [&] { kernel(static_cast<Parameters>(arguments)...); });
#endif
}

/// The memory of a block, whose size the launch sets.
template <class T>
__device__ T* shared_memory() {
#if defined(__CUDACC__)
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
#else
  return static_cast<T*>(emulation::Block::current().shared());
#endif
}

/// Elements that one thread takes at a time: the numbers of one Philox call, and 16 bytes of float.
inline constexpr int group = 4;

template <class T>
struct alignas(group * sizeof(T)) Group {
  T at[group];
};

/// The first `count` ≤ group elements from p on as floats, the rest 0. With `Aligned`, count is always `group`.
template <bool Aligned, class T>
__device__ Group<float> load(const T* p, int count) {
  Group<float> result{};
  if constexpr (Aligned) {
    const auto values = *reinterpret_cast<const Group<T>*>(p);
    for (int i = 0; i < group; ++i) result.at[i] = static_cast<float>(values.at[i]);
  } else {
    for (int i = 0; i < group; ++i)
      if (i < count) result.at[i] = static_cast<float>(p[i]);
  }
  return result;
}

template <bool Aligned, class T>
__device__ void store(T* p, int count, const Group<float>& values) {
  if constexpr (Aligned) {
    Group<T> result;
    for (int i = 0; i < group; ++i) result.at[i] = static_cast<T>(values.at[i]);
    *reinterpret_cast<Group<T>*>(p) = result;
  } else {
    for (int i = 0; i < group; ++i)
      if (i < count) p[i] = static_cast<T>(values.at[i]);
  }
}

/// Whether all rows of x begin aligned.
template <class T>
bool rows_aligned(RowsOf<T> x) {
  return (x.rows <= 1 || x.stride % group == 0) && reinterpret_cast<std::uintptr_t>(x.data) % sizeof(Group<T>) == 0;
}

/// Whether the groups of all rows of x are aligned and whole.
template <class T>
bool aligned(RowsOf<T> x) {
  return x.cols % group == 0 && rows_aligned(x);
}

/// load() and store() for rows that begin aligned but may end within a group, such as rows of logits.
template <bool Aligned, class T>
__device__ Group<float> load_of_row(const T* p, int count) {
  return Aligned && count == group ? load<Aligned>(p, count) : load<false>(p, count);
}
template <bool Aligned, class T>
__device__ void store_of_row(T* p, int count, const Group<float>& values) {
  if (Aligned && count == group)
    store<Aligned>(p, count, values);
  else
    store<false>(p, count, values);
}

/// The sum over each group of `Lanes` neighbouring threads of a warp, in every thread of the group.
template <int Lanes = warp_size, class T>
__device__ T warp_sum(T x) {
  for (int lanes = Lanes / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(all_lanes, x, lanes);
  return x;
}

template <int Lanes = warp_size>
__device__ float warp_max(float x) {
  for (int lanes = Lanes / 2; lanes > 0; lanes /= 2) x = fmaxf(x, __shfl_xor_sync(all_lanes, x, lanes));
  return x;
}

/// Calls body(0), …, body(Count - 1) with constants, because registers cannot be indexed at run time.
template <int Count, class Body>
__device__ void unrolled(Body&& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (body(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, Count>{});
}

/// Calls run.template operator()<…>() with run-time values as template arguments.
template <bool... Known, class Run>
void with_bools(Run&& run) {
  run.template operator()<Known...>();
}
template <bool... Known, class Run, class... Rest>
void with_bools(Run&& run, bool next, Rest... rest) {
  if (next)
    with_bools<Known..., true>(run, rest...);
  else
    with_bools<Known..., false>(run, rest...);
}

inline int pieces(std::ptrdiff_t n, std::ptrdiff_t size) { return static_cast<int>((n + size - 1) / size); }

}  // namespace neural_attention::cuda_backend
