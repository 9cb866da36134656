// oneDNN's single-precision product, one tile on one thread. Our threads share the tiles, so oneDNN must not use its
// own. It allocates its packed panels in every call.
#pragma once

#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <string>

#include "neural_attention/backend/cpu/gemm_kernel.hpp"
#include "neural_attention/core/errors.hpp"

namespace neural_attention::cpu_gemm {

/// C [m, n] = addend + op(A) [m, k] op(B) [k, n] on the calling thread.
inline void onednn_gemm(int m, int n, int k, Operand<float> a, Operand<float> b, Addend<float> addend, float* c,
                        std::ptrdiff_t c_stride) {
  if (m == 0 || n == 0) return;
  for (int i = 0; addend.data && addend.data != c && i < m; ++i)
    std::copy_n(addend.data + i * addend.stride, n, c + i * c_stride);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);  // of this thread alone, which may be the caller's
  const auto status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.0f, a.data, a.stride,
                                 b.data, b.stride, addend.data ? 1.0f : 0.0f, c, c_stride);
  omp_set_num_threads(threads);
  if (status != dnnl_success)
    throw Error("oneDNN cannot multiply [" + std::to_string(m) + ", " + std::to_string(k) + "] by [" +
                std::to_string(k) + ", " + std::to_string(n) + "]: status " + std::to_string(status));
}

}  // namespace neural_attention::cpu_gemm
