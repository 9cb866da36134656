// Fenced: a test backend whose memory only its operations can touch, as if it lay on a device. Every block is a mapping
// of its own without access rights; an operation opens all of them while it runs. Model code that dereferences Rows on
// the host dies here (SIGSEGV), long before it meets a GPU. POSIX only.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "neural_attention/core/operations.hpp"

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
    if (--depth_ == 0) protect();  // removing rights does not fail
  }
  /// The number of times that the fence was opened.
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

/// A backend that runs on the host, with its memory behind a fence.
template <class Base>
class Fenced : public Base {
 public:
  using Memory = FencedMemory;
  static constexpr bool holds_int8 = false;  ///< the host rounds weights

  explicit Fenced(int threads = 0) : Base(threads) {}

  long operations() const { return fence_->openings(); }

  Memory allocate(std::size_t bytes) { return bytes > 0 ? Memory(fence_, bytes) : Memory(); }

  template <ops::OperationOf<typename Base::Scalar> Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    const Open open(*fence_);
    return Base::operator()(op);
  }
  void start_reading(const StepOutcome* outcome) {
    const Open open(*fence_);
    Base::start_reading(outcome);
  }

 private:
  struct Open {
    explicit Open(Fence& f) : fence(f) { fence.open(); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    ~Open() { fence.close(); }
    Fence& fence;
  };

  std::shared_ptr<Fence> fence_ = std::make_shared<Fence>();
};

}  // namespace neural_attention::testing
