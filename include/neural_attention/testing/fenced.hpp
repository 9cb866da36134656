// Fenced: a test backend whose memory no one can touch outside its operations, as if it lay on a device. Every block is
// a mapping of its own without access rights; an operation opens all of them for its duration. Model code that
// dereferences Rows on the host dies here (SIGSEGV), long before it meets a GPU. POSIX only.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention::testing {

/// All mappings of one backend, opened and closed together.
class Fence {
 public:
  struct Block {
    void* data;
    std::size_t bytes;
  };

  Block add(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes = std::max<std::size_t>(1, (bytes + page - 1) / page) * page;
    void* const data = ::mmap(nullptr, bytes, rights(), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    blocks_.push_back({data, bytes});
    return blocks_.back();
  }
  void remove(Block block) {
    std::erase_if(blocks_, [&](const Block& other) { return other.data == block.data; });
    ::munmap(block.data, block.bytes);
  }

  void open() {
    if (depth_++ == 0 && !protect()) throw std::bad_alloc();
  }
  void close() noexcept {
    if (--depth_ == 0) protect();  // taking rights away does not fail
  }
  /// How often the fence was opened.
  long openings() const { return openings_; }

 private:
  int rights() const { return depth_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE; }
  bool protect() noexcept {
    openings_ += depth_ > 0;
    return std::all_of(blocks_.begin(), blocks_.end(),
                       [this](const Block& block) { return ::mprotect(block.data, block.bytes, rights()) == 0; });
  }

  std::vector<Block> blocks_;
  int depth_ = 0;
  long openings_ = 0;
};

/// Owned memory behind a fence.
class FencedMemory {
 public:
  FencedMemory() = default;
  FencedMemory(std::shared_ptr<Fence> fence, std::size_t bytes)
      : fence_(std::move(fence)), block_(fence_->add(bytes)) {}
  FencedMemory(FencedMemory&& other) noexcept { swap(other); }
  FencedMemory& operator=(FencedMemory&& other) noexcept {
    FencedMemory(std::move(other)).swap(*this);
    return *this;
  }
  ~FencedMemory() {
    if (fence_) fence_->remove(block_);
  }

  void* data() const { return block_.data; }

 private:
  void swap(FencedMemory& other) {
    std::swap(fence_, other.fence_);
    std::swap(block_, other.block_);
  }

  std::shared_ptr<Fence> fence_;
  Fence::Block block_{nullptr, 0};
};

/// The operations of `Base`, which runs on the host, with their memory behind a fence. See Cpu for what they do.
template <class Base>
class Fenced {
 public:
  using Scalar = typename Base::Scalar;
  using Real = typename Base::Real;
  using Memory = FencedMemory;
  using Matrix = RowsOf<Scalar>;

  explicit Fenced(int threads = 0) : base_(threads) {}

  int threads() const { return base_.threads(); }
  long operations() const { return fence_->openings(); }

  Memory allocate(std::size_t bytes) { return bytes > 0 ? Memory(fence_, bytes) : Memory(); }

  void copy(Matrix x, Matrix y) {
    const Open open(*fence_);
    base_.copy(x, y);
  }
  void copy(std::span<const Matrix> x, std::span<const Matrix> y) {
    const Open open(*fence_);
    base_.copy(x, y);
  }
  void fill(Matrix x, Scalar value) {
    const Open open(*fence_);
    base_.fill(x, value);
  }
  void add(Matrix x, Matrix y) {
    const Open open(*fence_);
    base_.add(x, y);
  }
  void scale(Matrix x, double factor) {
    const Open open(*fence_);
    base_.scale(x, factor);
  }
  void upload(std::span<const Scalar> values, Matrix x) {
    const Open open(*fence_);
    base_.upload(values, x);
  }
  void download(Matrix x, std::span<Scalar> values) {
    const Open open(*fence_);
    base_.download(x, values);
  }
  void convert(Matrix x, Matrix y) {
    const Open open(*fence_);
    base_.convert(x, y);
  }
  void gather(Matrix x, std::span<const int> rows, Matrix y) {
    const Open open(*fence_);
    base_.gather(x, rows, y);
  }
  void scatter_add(Matrix x, std::span<const int> rows, Matrix y) {
    const Open open(*fence_);
    base_.scatter_add(x, rows, y);
  }

  void keep_weights(bool kept) { base_.keep_weights(kept); }
  void linear(Matrix x, Matrix w, Matrix bias, Activation activation, Matrix y) {
    const Open open(*fence_);
    base_.linear(x, w, bias, activation, y);
  }
  void linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
    const Open open(*fence_);
    base_.linear_input_gradient(dy, w, accumulate, dx);
  }
  void linear_weight_gradient(Matrix dy, Matrix x, Matrix dw) {
    const Open open(*fence_);
    base_.linear_weight_gradient(dy, x, dw);
  }
  void bias_gradient(Matrix dy, Matrix db) {
    const Open open(*fence_);
    base_.bias_gradient(dy, db);
  }

  void layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, Matrix stats) {
    const Open open(*fence_);
    base_.layer_norm(x, gain, bias, epsilon, relu, y, stats);
  }
  void layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                           Matrix dx, Matrix dgain, Matrix dbias) {
    const Open open(*fence_);
    base_.layer_norm_backward(dy, x, y, gain, stats, relu, accumulate, dx, dgain, dbias);
  }

  void rms_norm(Matrix x, Matrix gain, double epsilon, bool relu, Matrix y, Matrix stats) {
    const Open open(*fence_);
    base_.rms_norm(x, gain, epsilon, relu, y, stats);
  }
  void rms_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                         Matrix dx, Matrix dgain) {
    const Open open(*fence_);
    base_.rms_norm_backward(dy, x, y, gain, stats, relu, accumulate, dx, dgain);
  }

  void activation(Activation f, Matrix x, Matrix y) {
    const Open open(*fence_);
    base_.activation(f, x, y);
  }
  void activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx) {
    const Open open(*fence_);
    base_.activation_backward(f, x, dy, dx);
  }
  void dropout(Matrix x, const DropoutMask& mask, Matrix y) {
    const Open open(*fence_);
    base_.dropout(x, mask, y);
  }
  void residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y) {
    const Open open(*fence_);
    base_.residual_dropout(residual, x, mask, y);
  }

  void embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y) {
    const Open open(*fence_);
    base_.embedding(ids, table, factor, accumulate, y);
  }
  void embedding_backward(Matrix dy, std::span<const int> ids, double factor, int padding, Matrix dtable) {
    const Open open(*fence_);
    base_.embedding_backward(dy, ids, factor, padding, dtable);
  }

  void attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                 const DropoutMask& mask, Matrix out, Matrix log_sum_exp) {
    const Open open(*fence_);
    base_.attention(q, k, v, queries, keys, shape, mask, out, log_sum_exp);
  }
  void attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sum_exp,
                          const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                          const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv) {
    const Open open(*fence_);
    base_.attention_backward(dout, q, k, v, out, log_sum_exp, queries, keys, shape, mask, dq, dk, dv);
  }
  void attention_step(Matrix q, std::span<const Matrix> keys, std::span<const Matrix> values,
                      std::span<const int> lengths, const AttentionShape& shape, Matrix out) {
    const Open open(*fence_);
    base_.attention_step(q, keys, values, lengths, shape, out);
  }

  void attention_probabilities(Matrix q, Matrix k, const AttentionShape& shape, Matrix out) {
    const Open open(*fence_);
    base_.attention_probabilities(q, k, shape, out);
  }

  void assign(Matrix x, std::span<const int> rows, std::span<const int> cols, Scalar value) {
    const Open open(*fence_);
    base_.assign(x, rows, cols, value);
  }
  void log_sum_exp(Matrix x, std::span<double> sums) {
    const Open open(*fence_);
    base_.log_sum_exp(x, sums);
  }
  void top_k(Matrix x, int k, std::span<Scalar> values, std::span<int> columns) {
    const Open open(*fence_);
    base_.top_k(x, k, values, columns);
  }
  void sample(Matrix x, const SamplingShape& how, std::span<const double> uniforms, std::span<int> columns) {
    const Open open(*fence_);
    base_.sample(x, how, uniforms, columns);
  }

  void cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing, double gradient_scale,
                     Matrix losses) {
    const Open open(*fence_);
    base_.cross_entropy(logits, bias, targets, smoothing, gradient_scale, losses);
  }
  void sum_losses(Matrix losses, bool accumulate, StepOutcome* outcome) {
    const Open open(*fence_);
    base_.sum_losses(losses, accumulate, outcome);
  }

  double squared_norm(Matrix x) {
    const Open open(*fence_);
    return base_.squared_norm(x);
  }
  void clipping(Matrix gradient, double limit, StepOutcome* outcome) {
    const Open open(*fence_);
    base_.clipping(gradient, limit, outcome);
  }
  void adam(const AdamStep& how, Matrix gradient, Matrix value, Matrix first_moment, Matrix second_moment,
            const StepOutcome* outcome) {
    const Open open(*fence_);
    base_.adam(how, gradient, value, first_moment, second_moment, outcome);
  }
  void sgd(const SgdStep& how, Matrix gradient, Matrix value, Matrix velocity, const StepOutcome* outcome) {
    const Open open(*fence_);
    base_.sgd(how, gradient, value, velocity, outcome);
  }
  void start_reading(const StepOutcome* outcome) {
    const Open open(*fence_);
    base_.start_reading(outcome);
  }
  StepOutcome finish_reading() { return base_.finish_reading(); }

 private:
  struct Open {
    explicit Open(Fence& f) : fence(f) { fence.open(); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    ~Open() { fence.close(); }
    Fence& fence;
  };

  std::shared_ptr<Fence> fence_ = std::make_shared<Fence>();
  Base base_;
};

}  // namespace neural_attention::testing
