// Products of matrices: cuBLASLt on a device; for tests on the CPU, plain loops in double.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>

#include "neural_attention/backend/cuda/cublas_lt.cuh"
#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/runtime.cuh"

namespace neural_attention::cuda_backend {

/// Whether a bias begins at a multiple of 16 bytes. A bias of a product must: cuBLASLt reads it so, whatever its
/// address is, as its heuristic is told only how A, B and C are aligned.
inline bool suits_product(const void* bias) { return reinterpret_cast<std::uintptr_t>(bias) % 16 == 0; }

/// C [m, n] = f(op(A) op(B) + bias [1, n]), where f is ReLU or the identity, or C += op(A) op(B); op transposes or
/// leaves its operand as it is. Sums are float for every T.
template <class T, class Out = T>
struct Product {
  RowsOf<T> a;
  bool a_transposed = false;
  RowsOf<T> b;
  bool b_transposed = false;
  RowsOf<Out> c;
  RowsOf<Out> bias = {};
  bool relu = false;
  bool accumulate = false;

  int depth() const { return a_transposed ? a.rows : a.cols; }
  bool fits() const {
    return (a_transposed ? a.cols : a.rows) == c.rows && (b_transposed ? b.cols : b.rows) == depth() &&
           (b_transposed ? b.rows : b.cols) == c.cols && (!bias || bias.cols == c.cols) && suits_product(bias.data) &&
           !(accumulate && (bias || relu));
  }
};

#if defined(__CUDACC__)

/// Throws DeviceError, which names the call, if it failed.
inline void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError(std::string(call) + " failed: " + CublasLt::loaded().status_string(status));
}

/// The answers of cuBLASLt's heuristic for each shape so far, so that it is asked once and a shape always has the same
/// order of sums; and the memory that algorithms may use. float is not rounded to TF32.
class Products {
 public:
  Products() : workspace_(workspace_bytes) { check(lt_.create(&handle_), "cublasLtCreate"); }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  ~Products() { lt_.destroy(handle_); }

  /// Throws DeviceError, which says what was multiplied, if a call of cuBLASLt failed.
  template <class T, class Out>
  void run(const Product<T, Out>& product, Stream stream) {
    assert(product.fits());
    if (product.c.size() == 0 || (product.accumulate && product.depth() == 0)) return;
    try {
      start(product, stream);
    } catch (const DeviceError& error) {
      const auto shape = [](int rows, int cols) {
        return '[' + std::to_string(rows) + ", " + std::to_string(cols) + ']';
      };
      throw DeviceError(error.what() + (": a product " + shape(product.c.rows, product.c.cols)) + " = " +
                        shape(product.c.rows, product.depth()) + " · " + shape(product.depth(), product.c.cols) +
                        (std::is_same_v<T, float> ? " of float" : " of bfloat16"));
    }
  }

 private:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what cuBLAS itself takes on an H100

  template <class T>
  static constexpr cudaDataType_t type = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;

  template <class T, class Out>
  void start(const Product<T, Out>& product, Stream stream) {
    Description description(product);
    const auto known = algorithms_.find(key(product));
    const auto& algorithm = known != algorithms_.end()
                                ? known->second
                                : algorithms_.emplace(key(product), choose(description)).first->second;
    const float one = 1.0f, old = product.accumulate ? 1.0f : 0.0f;
    check(lt_.matmul(handle_, &description.operation, &one, product.b.data, &description.b, product.a.data,
                     &description.a, &old, product.c.data, &description.c, product.c.data, &description.c, &algorithm,
                     workspace_.data(), workspace_bytes, stream),
          "cublasLtMatmul");
  }

  /// cuBLASLt stores matrices by columns. It therefore sees each matrix transposed and computes Cᵀ = op(B)ᵀ op(A)ᵀ.
  struct Description {
    template <class T, class Out>
    explicit Description(const Product<T, Out>& product) {
      static_assert(std::is_same_v<T, float> || std::is_same_v<T, bfloat16>);
      static_assert(std::is_same_v<Out, float> || std::is_same_v<Out, T>);
      check(lt.description_init(&operation, sizeof operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            "cublasLtMatmulDescInit");
      set(CUBLASLT_MATMUL_DESC_TRANSA, product.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
      set(CUBLASLT_MATMUL_DESC_TRANSB, product.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, product.bias
                                             ? product.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
                                         : product.relu ? CUBLASLT_EPILOGUE_RELU
                                                        : CUBLASLT_EPILOGUE_DEFAULT);
      if (product.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(product.bias.data));
      lay_out(a, product.a);
      lay_out(b, product.b);
      lay_out(c, product.c);
      alignments = {alignment(product.b.data), alignment(product.a.data), alignment(product.c.data)};
    }

    template <class Value>
    void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
      check(lt.description_set(&operation, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
    }
    template <class T>
    void lay_out(cublasLtMatrixLayoutOpaque_t& layout, RowsOf<T> rows) {
      const auto height = static_cast<std::uint64_t>(rows.cols), width = static_cast<std::uint64_t>(rows.rows);
      check(lt.layout_init(&layout, sizeof layout, type<T>, height, width,
                           std::max<std::int64_t>(rows.stride, rows.cols)),
            "cublasLtMatrixLayoutInit");
    }

    const CublasLt& lt = CublasLt::loaded();
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, c;
    std::array<std::uint32_t, 3> alignments;
  };

  /// The alignment of an address, at most 16 bytes: further alignment must not decide the order of sums.
  static std::uint32_t alignment(const void* p) {
    std::uint32_t result = 16;
    while (reinterpret_cast<std::uintptr_t>(p) % result != 0) result /= 2;
    return result;
  }

  using Key = std::array<std::int64_t, 12>;
  template <class T, class Out>
  static Key key(const Product<T, Out>& product) {
    const auto bits = [](auto... flags) {
      std::int64_t result = 0;
      ((result = 2 * result + (flags ? 1 : 0)), ...);
      return result;
    };
    return {product.c.rows,
            product.c.cols,
            product.depth(),
            product.a.stride,
            product.b.stride,
            product.c.stride,
            alignment(product.a.data),
            alignment(product.b.data),
            alignment(product.c.data),
            bits(product.a_transposed, product.b_transposed, product.accumulate, product.relu, product.bias),
            type<T>,
            type<Out>};
  }

  cublasLtMatmulAlgo_t choose(Description& description) const {
    cublasLtMatmulPreferenceOpaque_t preference;
    check(lt_.preference_init(&preference, sizeof preference), "cublasLtMatmulPreferenceInit");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(lt_.preference_set(&preference, attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    // Partial sums stay float, and a separate step joins them in one order.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, description.alignments[0]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, description.alignments[1]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, description.alignments[2]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, description.alignments[2]);
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    check(lt_.heuristic(handle_, &description.operation, &description.b, &description.a, &description.c, &description.c,
                        &preference, 1, &best, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0) throw DeviceError("cuBLASLt has no algorithm");
    check(best.state, "cublasLtMatmulAlgoGetHeuristic");
    return best.algo;
  }

  const CublasLt& lt_ = CublasLt::loaded();
  cublasLtHandle_t handle_ = nullptr;
  CudaMemory workspace_;
  std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

#else

class Products {
 public:
  template <class T, class Out>
  void run(const Product<T, Out>& product, Stream) {
    if (!product.fits()) throw emulation::Error("matrices that do not fit, or a bias where no product can read it");
    const auto& [a, a_transposed, b, b_transposed, c, bias, relu, accumulate] = product;
    for (int row = 0; row < c.rows; ++row)
      for (int col = 0; col < c.cols; ++col) {
        double sum = accumulate ? static_cast<double>(c.row(row)[col]) : bias ? static_cast<double>(bias.data[col]) : 0;
        for (int i = 0; i < product.depth(); ++i)
          sum += static_cast<double>(a_transposed ? a.row(i)[row] : a.row(row)[i]) *
                 static_cast<double>(b_transposed ? b.row(col)[i] : b.row(i)[col]);
        c.row(row)[col] = static_cast<Out>(relu && sum < 0.0 ? 0.0 : sum);  // NaN stays
      }
  }
};

#endif

}  // namespace neural_attention::cuda_backend
