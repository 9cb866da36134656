// The CPU backend: the coarse operations that models are made of, each with its backward, over Eigen and own threads.
// T is float for work and double for gradient checks. Rows are [tokens, width]; weights are [out, in], as in PyTorch.
// Gradients of parameters accumulate (+=); gradients of inputs are written, or added where `accumulate` says so.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cpu/kept_weights.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/core/threads.hpp"

namespace neural_attention {

namespace cpu_gemm {
template <class T>
struct Operand;
template <class T>
struct Addend;
}  // namespace cpu_gemm

// Header-only and compiled instantiations have different symbol names, so one program may hold both.
#if defined(NEURAL_ATTENTION_COMPILED)
inline namespace compiled {
#else
inline namespace header_only {
#endif

/// Owned memory of a CPU backend, 64-byte aligned. Large blocks are whole huge pages where the system has them: a step
/// touches gigabytes, and with small pages waits for their addresses. Throws OutOfMemory.
class CpuMemory {
 public:
  CpuMemory() = default;
  explicit CpuMemory(std::size_t bytes) {
    if (bytes == 0) return;
    const std::size_t alignment = bytes >= huge_page ? huge_page : cache_line;
    void* const memory = ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
    if (!memory)
      throw OutOfMemory("the system has no " + sizes::bytes_text(static_cast<std::int64_t>(bytes)) + " of memory left");
    data_ = {memory, {alignment}};
#if defined(__linux__)
    if (bytes >= huge_page) madvise(data_.get(), bytes / huge_page * huge_page, MADV_HUGEPAGE);  // a hint: may fail
#endif
  }

  void* data() const { return data_.get(); }

 private:
  static constexpr std::size_t cache_line = 64, huge_page = std::size_t{1} << 21;
  struct Free {
    std::size_t alignment;
    void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{alignment}); }
  };
  std::unique_ptr<void, Free> data_;
};

template <class T>
class Cpu {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                "Cpu<T> computes in float or double; for products of bfloat16 numbers make a Cpu<float> with "
                "Precision::BFloat16");

 public:
  using Scalar = T;  ///< activations and gemm operands
  using Real = T;    ///< parameter gradients, statistics, losses, optimizer state
  using Memory = CpuMemory;
  using Matrix = RowsOf<T>;

  /// `threads` as in ThreadPool: 0 means available_threads(). With BFloat16 the operands of all products are rounded to
  /// bfloat16 and summed in float; everything else stays in float. Throws ConfigError for BFloat16 where T is not
  /// float.
  explicit Cpu(int threads = 0, Precision precision = Precision::Float32)
      : threads_(threads),
        precision_(precision),
        workspaces_(static_cast<std::size_t>(threads_.threads())),
        packing_(static_cast<std::size_t>(threads_.threads())) {
    if (precision != Precision::Float32 && !std::is_same_v<T, float>)
      throw ConfigError("products of bfloat16 numbers need the backend Cpu<float>");
  }

  int threads() const { return threads_.threads(); }
  Precision precision() const { return precision_; }
  /// What computes the large products, for people: "packed kernel, AVX SSE, …" or "oneDNN 2.6.3".
  static std::string engine();

  // ---- Memory ----
  Memory allocate(std::size_t bytes) { return Memory(bytes); }
  /// y = x, where y may overlap x if both are contiguous.
  void copy(Matrix x, Matrix y);
  /// y_i = x_i for many pairs of matrices at once, of which no y overlaps another or an x.
  void copy(std::span<const Matrix> x, std::span<const Matrix> y);
  void fill(Matrix x, T value);
  /// y += x
  void add(Matrix x, Matrix y);
  /// x *= factor
  void scale(Matrix x, double factor);
  /// From host memory to x, row after row, and back. `values` holds x.size() numbers.
  void upload(std::span<const T> values, Matrix x);
  void download(Matrix x, std::span<T> values);
  /// y = x, where y has the type of activations and x that of parameters: rounded where these differ.
  void convert(Matrix x, Matrix y) { copy(x, y); }
  /// y_i = x_{rows[i]}; gathers rows.
  void gather(Matrix x, std::span<const int> rows, Matrix y);
  /// y_{rows[i]} += x_i; the rows differ.
  void scatter_add(Matrix x, std::span<const int> rows, Matrix y);

  // ---- Linear maps: x [n, in], w [out, in], bias [1, out] or none, y [n, out] ----
  /// Between keep_weights(true) and keep_weights(false) the values of all w that linear() gets stay as they are, and
  /// the backend keeps packed copies of them, which take as much memory again.
  void keep_weights(bool kept) { kept_weights_.keep(kept); }
  /// y = activation(x wᵀ + bias)
  void linear(Matrix x, Matrix w, Matrix bias, Activation activation, Matrix y);
  /// dx = dy w, or dx += dy w
  void linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx);
  /// dw += dyᵀ x
  void linear_weight_gradient(Matrix dy, Matrix x, Matrix dw);
  /// db += column sums of dy
  void bias_gradient(Matrix dy, Matrix db);

  // ---- LayerNorm: y = (x - mean) · rstd · gain + bias per row, then ReLU where `relu` says so ----
  /// gain, bias [1, n]; stats [rows, 2] receives mean and 1/sqrt(var + epsilon). y may be x.
  void layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, Matrix stats);
  /// y is the forward's output (read only with `relu`). dx may be dy; dgain, dbias accumulate.
  void layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                           Matrix dx, Matrix dgain, Matrix dbias);

  // ---- RMSNorm: y = x · rstd · gain per row, then ReLU where `relu` says so ----
  /// gain [1, n]; stats [rows, 1] receives 1/sqrt(mean(x²) + epsilon). y may be x.
  void rms_norm(Matrix x, Matrix gain, double epsilon, bool relu, Matrix y, Matrix stats);
  /// As layer_norm_backward.
  void rms_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                         Matrix dx, Matrix dgain);

  // ---- Element-wise ----
  /// y = f(x). y may be x.
  void activation(Activation f, Matrix x, Matrix y);
  /// dx = dy · f'(x). For ReLU x may be the input or the output. dx may be dy.
  void activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx);
  /// y = x · mask / (1 - rate). Its own backward. y may be x.
  void dropout(Matrix x, const DropoutMask& mask, Matrix y);
  /// y = residual + dropout(x). y may be x or residual.
  void residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y);

  // ---- Embedding: ids [n], table [vocabulary, d], y [n, d] ----
  /// y_i = factor · table[ids_i], or y_i += … with `accumulate`.
  void embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y);
  /// dtable[ids_i] += factor · dy_i, except for rows whose id is `padding`. The order of the sums is fixed.
  void embedding_backward(Matrix dy, std::span<const int> ids, double factor, int padding, Matrix dtable);

  // ---- Attention over packed sequences: softmax(scale · q kᵀ) v per head; a head is a block of columns ----
  /// q, out [queries.total(), d]; k, v [keys.total(), d]; log_sum_exp [queries.total(), heads]. Probabilities are never
  /// stored: the backward pass makes them anew, tile by tile. `mask` drops probabilities.
  void attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                 const DropoutMask& mask, Matrix out, Matrix log_sum_exp);
  void attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sum_exp,
                          const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                          const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv);
  /// One query a sequence, for decoding: q, out [n, d]; sequence i attends to the first lengths[i] rows of keys[i] and
  /// values[i], each [capacity, d].
  void attention_step(Matrix q, std::span<const Matrix> keys, std::span<const Matrix> values,
                      std::span<const int> lengths, const AttentionShape& shape, Matrix out);

  /// The probabilities of attention within one sequence, for looking at: q [n, d], k [m, d]; row head · n + i of
  /// out [heads · n, m] holds those of query i. Keys that it does not see have 0.
  void attention_probabilities(Matrix q, Matrix k, const AttentionShape& shape, Matrix out);

  // ---- Choosing tokens: logits [n, vocabulary], results on the host ----
  /// x[rows_i][cols_i] = value. A place may be named twice.
  void assign(Matrix x, std::span<const int> rows, std::span<const int> cols, T value);
  /// log Σ exp of each row, in double; -inf where all elements are, NaN where one is or where one is +inf.
  void log_sum_exp(Matrix x, std::span<double> sums);
  /// The k ≤ x.cols largest elements of each row and their columns, the largest first and of equals the first: values,
  /// columns [n, k] row after row. Elements that are -inf do not count; in place of what is missing stand -inf and the
  /// column -1. Of a row with NaN or +inf all are missing: log_sum_exp tells it from one that is ruled out.
  void top_k(Matrix x, int k, std::span<T> values, std::span<int> columns);
  /// A column of each row, drawn from softmax(x) as `how` says: in the order of columns, each has a share of [0, 1) as
  /// large as its probability, and the row takes the column in whose share uniforms_i lies. -1 where all is -inf, or
  /// something is NaN or +inf.
  void sample(Matrix x, const SamplingShape& how, std::span<const double> uniforms, std::span<int> columns);

  // ---- Loss ----
  /// Label-smoothed cross-entropy of logits [n, vocabulary] + bias [1, vocabulary] (or none):
  /// losses_i = (1-ε)·(-log p[target_i]) + ε·mean_j(-log p[j]). Where gradient_scale is not zero, the logits are
  /// replaced by gradient_scale · ∂losses_i/∂logits. losses [n, 2] holds the smoothed loss and the plain -log
  /// p[target].
  void cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing, double gradient_scale,
                     Matrix losses);
  /// The losses of `outcome` = column sums of losses [n, 2], or += …, in double in a fixed order.
  void sum_losses(Matrix losses, bool accumulate, StepOutcome* outcome);

  // ---- Optimizers: flat views [1, n]; a StepOutcome lies in memory of the backend ----
  /// Σ x², in double, in a fixed order. Not finite if any element is not.
  double squared_norm(Matrix x);
  /// The rest of `outcome`, whose losses are there: the gradient's squared norm, the scale that clips its norm to
  /// `limit` (0: no clipping), and whether all is finite.
  void clipping(Matrix gradient, double limit, StepOutcome* outcome);
  /// Both optimizers scale the gradient as `outcome` says, and do nothing where it is not finite.
  void adam(const AdamStep& how, Matrix gradient, Matrix value, Matrix first_moment, Matrix second_moment,
            const StepOutcome* outcome);
  /// `velocity` is all zeros before the first step; it may be none where the momentum is 0.
  void sgd(const SgdStep& how, Matrix gradient, Matrix value, Matrix velocity, const StepOutcome* outcome);
  /// Begins to bring `outcome`, as the operations before have left it, to the host, and waits until it is there. One at
  /// a time.
  void start_reading(const StepOutcome* outcome) { read_ = *outcome; }
  StepOutcome finish_reading() { return read_; }

 private:
  /// Temporary memory of one worker; grows and is kept.
  struct Workspace {
    T* reserve(std::size_t count) {
      if (count > size) {
        memory = CpuMemory(count * sizeof(T));
        size = count;
      }
      return static_cast<T*>(memory.data());
    }
    CpuMemory memory;
    std::size_t size = 0;
  };

  /// Runs body(tile, worker) for every tile, then gives every worker as much temporary memory as the one with the most
  /// has: which worker meets the largest tile is chance, and a worker must not allocate long after the first epoch.
  template <class Body>
  void run_tiles(int tiles, Body&& body) {
    threads_.run(tiles, body);
    for (auto* const all : {&workspaces_, &packing_}) {
      std::size_t most = 0;
      for (const auto& workspace : *all) most = std::max(most, workspace.size);
      for (auto& workspace : *all) workspace.reserve(most);
    }
  }

  /// C [m, n] = f(addend + op(A) [m, k] op(B) [k, n]), shared by the threads.
  using Operand = cpu_gemm::Operand<T>;
  void multiply(int m, int n, int k, Operand a, Operand b, cpu_gemm::Addend<T> addend, Activation f, Matrix c);

  /// The backward pass of both norms; without `Centred` there are no mean and no bias.
  template <bool Centred>
  void norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate, Matrix dx,
                     Matrix dgain, Matrix dbias);

  /// Runs body(first, count, worker) over 0 … n-1 in pieces of about `grain`, cut by shape.
  template <class Body>
  void split(std::ptrdiff_t n, std::ptrdiff_t grain, Body&& body) {
    if (n <= 0) return;
    const auto pieces = static_cast<int>((n + grain - 1) / grain);
    threads_.run(pieces, [&](int piece, int worker) {
      const auto first = n * piece / pieces;
      body(first, n * (piece + 1) / pieces - first, worker);
    });
  }

  ThreadPool threads_;
  Precision precision_;
  std::vector<Workspace> workspaces_;  // tiles and rows of the operation at work
  std::vector<Workspace> packing_;     // packed panels of the gemm below it
  cpu_gemm::KeptWeights<T, Workspace> kept_weights_;
  Workspace shared_packing_;  // the packed right operand of a product that all threads work at
  StepOutcome read_;          // between start_reading and finish_reading
};

}  // inline namespace
}  // namespace neural_attention

#if defined(NEURAL_ATTENTION_COMPILED)
extern template class neural_attention::Cpu<float>;
extern template class neural_attention::Cpu<double>;
#else
#include "neural_attention/backend/cpu/instantiate.hpp"
#endif
