// The definitions of backend/cuda/cuda.hpp: compute(device, operation) says which kernel an operation starts, and with
// what workspace.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cuda/attention.cuh"
#include "neural_attention/backend/cuda/attention_mma.cuh"
#include "neural_attention/backend/cuda/attention_mma_backward.cuh"
#include "neural_attention/backend/cuda/convolution.cuh"
#include "neural_attention/backend/cuda/cuda_device.cuh"
#include "neural_attention/backend/cuda/decoding.cuh"
#include "neural_attention/backend/cuda/dropout.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/embedding.cuh"
#include "neural_attention/backend/cuda/loss.cuh"
#include "neural_attention/backend/cuda/movement.cuh"
#include "neural_attention/backend/cuda/normalization.cuh"
#include "neural_attention/backend/cuda/optimizer.cuh"
#include "neural_attention/backend/cuda/products.cuh"
#include "neural_attention/backend/cuda/rational.cuh"
#include "neural_attention/backend/cuda/scale_groups.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/observer.hpp"

namespace neural_attention {

template <class T>
Cuda<T>::Cuda(int device) : device_(std::make_unique<CudaDevice<T>>(device)) {}
template <class T>
Cuda<T>::~Cuda() = default;

template <class T>
std::string Cuda<T>::engine() const {
  return cuda_backend::device_name() + ", cuBLASLt";
}

/// ReLU is part of the product. GELU is not: cuBLASLt's is the approximation with tanh, this library's the exact one.
template <class T>
void compute(CudaDevice<T>& device, const ops::LinearOf<T>& op) {
  using Product = cuda_backend::Product<T>;
  const bool relu = op.activation == Activation::Relu;
  auto bias = op.bias;
  if (!cuda_backend::suits_product(bias.data)) {
    bias = RowsOf<T>(device.template reserve<T>(static_cast<std::size_t>(bias.cols)), 1, bias.cols);
    device.copy_rows(op.bias, bias);
  }
  device.products.run(Product{.a = op.x, .b = op.w, .b_transposed = true, .c = op.y, .bias = bias, .relu = relu},
                      device.stream);
  if (!relu && op.activation != Activation::Identity)
    cuda_backend::activation(op.activation, op.y, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::LinearInputGradientOf<T>& op) {
  device.products.run(cuda_backend::Product<T>{.a = op.dy, .b = op.w, .c = op.dx, .accumulate = op.into == Into::Add},
                      device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::LinearWeightGradientOf<T>& op) {
  using Product = cuda_backend::Product<T, RealOf<T>>;
  device.products.run(Product{.a = op.dy, .a_transposed = true, .b = op.x, .c = op.dw, .accumulate = true},
                      device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::BiasGradientOf<T>& op) {
  const auto partials = static_cast<std::size_t>(cuda_backend::bias_gradient_partials(op.dy.rows));
  float* const sums = device.template reserve<float>(partials * op.dy.cols);
  cuda_backend::bias_gradient(op.dy, op.db, sums, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::LayerNormOf<T>& op) {
  cuda_backend::norm({.centred = true, .relu = op.relu}, op.x, op.gain, op.bias, op.epsilon, op.y, op.stats,
                     device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::LayerNormBackwardOf<T>& op) {
  float* const sums =
      device.template reserve<float>(std::size_t{2} * cuda_backend::norm_partials(op.x.rows) * op.x.cols);
  cuda_backend::norm_backward({.centred = true, .relu = op.relu}, op.dy, op.x, op.y, op.gain, op.stats, op.into, op.dx,
                              op.dgain, op.dbias, sums, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::RmsNormOf<T>& op) {
  cuda_backend::norm({.centred = false, .relu = op.relu}, op.x, op.gain, {}, op.epsilon, op.y, op.stats, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::RmsNormBackwardOf<T>& op) {
  float* const sums =
      device.template reserve<float>(std::size_t{1} * cuda_backend::norm_partials(op.x.rows) * op.x.cols);
  cuda_backend::norm_backward({.centred = false, .relu = op.relu}, op.dy, op.x, op.y, op.gain, op.stats, op.into, op.dx,
                              op.dgain, {}, sums, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::MultiplyOf<T>& op) {
  cuda_backend::multiply(op.a, op.b, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::MultiplyBackwardOf<T>& op) {
  cuda_backend::multiply_backward(op.dy, op.a, op.b, op.into, op.da, op.db, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ScaleGroupsOf<T>& op) {
  cuda_backend::scale_groups(op.x, op.f, op.sigmoid, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ScaleGroupsBackwardOf<T>& op) {
  cuda_backend::scale_groups_backward(op.dy, op.x, op.f, op.sigmoid, op.dx, op.df, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ActivateOf<T>& op) {
  cuda_backend::activation(op.f, op.x, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ActivateBackwardOf<T>& op) {
  cuda_backend::activation_backward(op.f, op.x, op.dy, op.dx, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::RationalOf<T>& op) {
  cuda_backend::rational(op.x, op.numerator, op.denominator, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::RationalBackwardOf<T>& op) {
  const auto coefficients = std::size_t{1} * op.denominator.rows * (op.numerator.cols + op.denominator.cols);
  float* const sums = device.template reserve<float>(cuda_backend::rational_blocks(op.x.rows) * coefficients);
  cuda_backend::rational_backward(op.dy, op.x, op.numerator, op.denominator, op.into, op.dx, op.dnumerator,
                                  op.ddenominator, sums, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::DropoutOf<T>& op) {
  if (!op.mask) return device.copy(op.x, op.y);
  cuda_backend::dropout(op.x, op.mask, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ResidualDropoutOf<T>& op) {
  cuda_backend::residual_dropout(op.residual, op.x, op.mask, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::EmbeddingOf<T>& op) {
  assert(std::ssize(op.ids) == op.y.rows);
  cuda_backend::gather(op.table, device.on_device(op.ids), op.factor, op.into, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::EmbeddingBackwardOf<T>& op) {
  assert(std::ssize(op.ids) == op.dy.rows);
  auto& groups = device.groups;
  groups.assign(op.ids, op.dtable.rows, op.padding);
  cuda_backend::embedding_backward(op.dy, groups.count(), device.on_device(groups.packed()), op.factor, op.dtable,
                                   device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::DepthwiseConvolutionOf<T>& op) {
  assert(op.x.rows == op.sequences.total() && op.x.data != op.y.data);
  if (op.x.size() == 0) return;
  const auto offsets = op.sequences.offsets();
  cuda_backend::convolve(op.x, op.kernel, op.ahead, -1, {device.on_device(offsets), op.sequences.sequences()},
                         Into::Write, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::DepthwiseConvolutionBackwardOf<T>& op) {
  assert(op.x.rows == op.sequences.total() && op.dx.data != op.dy.data);
  if (op.x.size() == 0) return;
  const auto offsets = op.sequences.offsets();
  const cuda_backend::SequenceOffsets sequences{device.on_device(offsets), op.sequences.sequences()};
  cuda_backend::convolve(op.dy, op.kernel, -op.ahead, 1, sequences, op.into, op.dx, device.stream);
  const auto partials = static_cast<std::size_t>(cuda_backend::bias_gradient_partials(op.x.rows)) * op.kernel.rows;
  float* const sums = device.template reserve<float>(partials * op.x.cols);
  cuda_backend::kernel_gradient(op.dy, op.x, op.ahead, sequences, op.dkernel, sums, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::AttentionOf<T>& op) {
  const auto q = op.q, k = op.k, v = op.v, out = op.out;
  const auto &queries = op.queries, &keys = op.keys;
  const auto& shape = op.shape;
  const auto& mask = op.mask;
  const auto log_sum_exp = op.log_sum_exp;
  assert(q.rows == queries.total() && k.rows == keys.total() && v.rows == k.rows && out.rows == q.rows);
  assert(queries.sequences() == keys.sequences() && q.cols % shape.heads == 0 && q.cols == k.cols);
  assert(v.cols % shape.heads == 0 && out.cols == v.cols);
  auto& tiles = device.tiles;
  tiles.clear();
  if constexpr (std::is_same_v<T, bfloat16>)
    if (v.cols == q.cols && cuda_backend::suits_mma(q.cols / shape.heads, q, k, v, out)) {
      const int count = cuda_backend::add_attention_tiles(queries, keys, cuda_backend::TilesOf::Queries,
                                                          cuda_backend::mma_queries, tiles);
      return cuda_backend::attention_mma(device.on_device(tiles), count, q, k, v, shape, mask, out, log_sum_exp,
                                         device.stream);
    }
  const int count = cuda_backend::add_attention_tiles(queries, keys, cuda_backend::TilesOf::Queries,
                                                      cuda_backend::attention_tile, tiles);
  cuda_backend::attention(device.on_device(tiles), count, q, k, v, shape, mask, out, log_sum_exp, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::AttentionBackwardOf<T>& op) {
  const auto dout = op.dout, q = op.q, k = op.k, v = op.v, out = op.out, dq = op.dq, dk = op.dk, dv = op.dv;
  const auto log_sum_exp = op.log_sum_exp;
  const auto &queries = op.queries, &keys = op.keys;
  const auto& shape = op.shape;
  const auto& mask = op.mask;
  auto& tiles = device.tiles;
  tiles.clear();
  bool tensor_cores = false;
  if constexpr (std::is_same_v<T, bfloat16>)
    tensor_cores = v.cols == q.cols && q.cols / shape.heads <= cuda_backend::widest_mma_backward &&
                   cuda_backend::suits_mma(q.cols / shape.heads, dout, q, k, v, dq, dk, dv);
  const int rows = tensor_cores ? cuda_backend::mma_queries : cuda_backend::attention_tile;
  const int of_queries = cuda_backend::add_attention_tiles(queries, keys, cuda_backend::TilesOf::Queries, rows, tiles);
  const int of_keys = cuda_backend::add_attention_tiles(queries, keys, cuda_backend::TilesOf::Keys, rows, tiles);
  const int* const query_tiles = device.on_device(tiles);
  const int* const key_tiles = query_tiles + of_queries * cuda_backend::AttentionTile::ints;
  float* const dots = device.template reserve<float>(static_cast<std::size_t>(q.rows) * shape.heads);
  if constexpr (std::is_same_v<T, bfloat16>)
    if (tensor_cores)
      return cuda_backend::attention_mma_backward(query_tiles, of_queries, key_tiles, of_keys, dout, q, k, v, out,
                                                  log_sum_exp, shape, mask, dq, dk, dv, dots, device.stream);
  cuda_backend::attention_backward(query_tiles, of_queries, key_tiles, of_keys, dout, q, k, v, out, log_sum_exp, shape,
                                   mask, dq, dk, dv, dots, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::CrossEntropyOf<T>& op) {
  assert(std::ssize(op.targets) == op.logits.rows);
  cuda_backend::cross_entropy(op.logits, op.bias, device.on_device(op.targets), op.smoothing, op.gradient_scale,
                              op.losses, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::SumLossesOf<T>& op) {
  cuda_backend::sum_losses(op.losses, op.into, op.outcome, device.stream);
}

template <class T>
double compute(CudaDevice<T>& device, const ops::SquaredNormOf<T>& op) {
  if (op.x.size() == 0) return 0.0;
  double* const sums =
      device.template reserve<double>(static_cast<std::size_t>(cuda_backend::squared_norm_partials(op.x.size())) + 1);
  cuda_backend::squared_norm(op.x, sums + 1, sums, device.stream);
  return device.on_host(sums, 1)[0];
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ClippingOf<T>& op) {
  if (op.has_norm) return cuda_backend::clipping(op.limit, op.outcome, device.stream);
  const auto partials = static_cast<std::size_t>(cuda_backend::squared_norm_partials(op.gradient.size()));
  double* const sums = device.template reserve<double>(partials);
  cuda_backend::clipping(op.gradient, op.limit, sums, op.outcome, device.stream);
}

template <class T, class Rule>
void compute(CudaDevice<T>& device, const ops::UpdateOf<T, Rule>& op) {
  cuda_backend::update(op, device.stream);
}

template <class T>
void Cuda<T>::start_reading(const StepOutcome* outcome) {
  device_->reading.start(outcome, device_->stream);
}

template <class T>
StepOutcome Cuda<T>::finish_reading() {
  return device_->reading.finish();
}

template <class T>
template <class Op>
ops::ResultOf<Op> Cuda<T>::run(const Op& op) {
  return observed(
      op, [&] { return compute(*device_, op); }, [&] { cuda_backend::wait(device_->stream); });
}

}  // namespace neural_attention
