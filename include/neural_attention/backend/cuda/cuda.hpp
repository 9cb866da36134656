// The CUDA backend: the operations of backend/cpu/cpu.hpp on one GPU, in one stream. This header is plain C++; the
// definitions are in cuda.cuh, which nvcc compiles. Memory that an operation gets lies on the device, spans lie on the
// host.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention {

/// Owned device memory, 256-byte aligned.
class CudaMemory {
 public:
  CudaMemory() = default;
  /// Throws OutOfMemory, which says how much is free.
  explicit CudaMemory(std::size_t bytes);
  void* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> data_;
};

/// T is float or bfloat16. All operations of one Cuda follow one another on the device; they may not be done when a
/// call returns, but are where results lie on the host. Those of several do not wait for each other.
template <class T>
class Cuda {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bfloat16>, "Cuda<T> computes in float or bfloat16");

 public:
  using Scalar = T;    ///< activations, and the weights that products read
  using Real = float;  ///< parameters and their gradients, statistics, losses, optimizer state
  using Memory = CudaMemory;
  using Matrix = RowsOf<T>;
  using RealMatrix = RowsOf<Real>;
  static constexpr bool rounds = !std::is_same_v<T, Real>;  ///< what is Real on its way to being Scalar

  /// Throws DeviceError where there is no such device. CUDA has a current device in each thread, which is that of the
  /// last Cuda made there, else 0: make those of one thread for one device, and use one in the thread that made it
  /// where its device is not 0.
  explicit Cuda(int device = 0);
  ~Cuda();

  /// What computes, for people: the device's name and "cuBLASLt".
  std::string engine() const;

  Memory allocate(std::size_t bytes) { return Memory(bytes); }

  // See backend/cpu/cpu.hpp for what each operation does.
  void copy(Matrix x, Matrix y);
  void copy(std::span<const Matrix> x, std::span<const Matrix> y);
  void fill(Matrix x, T value);
  void add(Matrix x, Matrix y);
  void scale(Matrix x, double factor);
  void upload(std::span<const T> values, Matrix x);
  void download(Matrix x, std::span<T> values);
  void gather(Matrix x, std::span<const int> rows, Matrix y);
  void scatter_add(Matrix x, std::span<const int> rows, Matrix y);
  // Memory of Real, where that is another type.
  void copy(RealMatrix x, RealMatrix y) requires rounds;
  void fill(RealMatrix x, Real value) requires rounds;
  void scale(RealMatrix x, double factor) requires rounds;
  void upload(std::span<const Real> values, RealMatrix x) requires rounds;
  void download(RealMatrix x, std::span<Real> values) requires rounds;
  void convert(RealMatrix x, Matrix y);

  void keep_weights(bool) {}
  void linear(Matrix x, Matrix w, Matrix bias, Activation activation, Matrix y);
  void linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx);
  void linear_weight_gradient(Matrix dy, Matrix x, RealMatrix dw);
  void bias_gradient(Matrix dy, RealMatrix db);

  void layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, RealMatrix stats);
  void layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, RealMatrix stats, bool relu, bool accumulate,
                           Matrix dx, RealMatrix dgain, RealMatrix dbias);
  void rms_norm(Matrix x, Matrix gain, double epsilon, bool relu, Matrix y, RealMatrix stats);
  void rms_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, RealMatrix stats, bool relu, bool accumulate,
                         Matrix dx, RealMatrix dgain);

  void activation(Activation f, Matrix x, Matrix y);
  void activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx);
  void dropout(Matrix x, const DropoutMask& mask, Matrix y);
  void residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y);

  void embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y);
  void embedding_backward(Matrix dy, std::span<const int> ids, double factor, int padding, RealMatrix dtable);

  void attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                 const DropoutMask& mask, Matrix out, RealMatrix log_sum_exp);
  void attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, RealMatrix log_sum_exp,
                          const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                          const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv);

  void attention_step(Matrix q, std::span<const Matrix> keys, std::span<const Matrix> values,
                      std::span<const int> lengths, const AttentionShape& shape, Matrix out);
  void attention_probabilities(Matrix q, Matrix k, const AttentionShape& shape, Matrix out);

  void assign(Matrix x, std::span<const int> rows, std::span<const int> cols, T value);
  void log_sum_exp(Matrix x, std::span<double> sums);
  void top_k(Matrix x, int k, std::span<T> values, std::span<int> columns);
  void sample(Matrix x, const SamplingShape& how, std::span<const double> uniforms, std::span<int> columns);

  void cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing, double gradient_scale,
                     RealMatrix losses);
  void sum_losses(RealMatrix losses, bool accumulate, StepOutcome* outcome);

  double squared_norm(RealMatrix x);
  void clipping(RealMatrix gradient, double limit, StepOutcome* outcome);
  void adam(const AdamStep& how, RealMatrix gradient, RealMatrix value, RealMatrix first_moment,
            RealMatrix second_moment, const StepOutcome* outcome);
  void sgd(const SgdStep& how, RealMatrix gradient, RealMatrix value, RealMatrix velocity, const StepOutcome* outcome);
  void start_reading(const StepOutcome* outcome);
  StepOutcome finish_reading();

 private:
  struct Device;  // the stream and what belongs to it
  std::unique_ptr<Device> device_;
};

}  // namespace neural_attention
