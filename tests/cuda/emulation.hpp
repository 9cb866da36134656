// CUDA's words for g++: kernels run unchanged on the CPU, each thread of a block as a fiber. Blocks run one after
// another. A warp runs until all of its threads wait or have ended, a thread until it waits: the greediest schedule, in
// which a missing barrier shows as a wrong result. Three orders of threads and warps are offered; a kernel must not
// tell them apart. Where no thread can go on, or a shuffle names threads that have ended, emulation::Error is thrown.
//
// Not shown: races between blocks, the speed, and what only hardware rejects (too many registers, too much memory).
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

// Tells the kernels' headers that the words are here: include this one before them.
#define NEURAL_ATTENTION_CUDA_EMULATION

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one at a time

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace emulation {

/// What threads and their scheduler share is atomic, or ThreadSanitizer would find those races and not a kernel's.
struct Coordinate {
  std::atomic<unsigned> value{0};
  operator unsigned() const { return value.load(std::memory_order_relaxed); }
};
struct Place {
  Coordinate x, y, z;
  void set(dim3 to) {
    x.value.store(to.x, std::memory_order_relaxed);
    y.value.store(to.y, std::memory_order_relaxed);
    z.value.store(to.z, std::memory_order_relaxed);
  }
};

}  // namespace emulation

/// Set before a thread goes on.
inline emulation::Place threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

// What ThreadSanitizer knows of the order of threads: a barrier, a shuffle, the start and the end of a kernel.
#if defined(__SANITIZE_THREAD__)
inline void release(void* at) { __tsan_release(at); }
inline void acquire(void* at) { __tsan_acquire(at); }
#else
inline void release(void*) {}
inline void acquire(void*) {}
#endif

struct Error : std::logic_error {
  using std::logic_error::logic_error;
};

/// How often the host waited for the device, or would have: allocating and freeing do so too.
inline long waits = 0;

/// In which order warps and their threads get their turn.
enum class Order { Forward, Reverse, Random };

inline constexpr int warp_size = 32;

/// Where a fiber left off. swapcontext() asks the kernel for the signal mask at each switch, which takes most of its
/// time: where the compiler can jump between stacks and no sanitizer watches them, only the first entry needs it.
struct Suspended {
  ucontext_t context{};
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  static constexpr bool jumps = true;
#else
  static constexpr bool jumps = false;
#endif
  void* registers[5]{};  // as __builtin_setjmp leaves them
  bool left = false;     // and they are those of a fiber that has run
};

[[noreturn, gnu::noinline]] inline void go_on(Suspended& fiber) {
  if (fiber.left) __builtin_longjmp(fiber.registers, 1);
  setcontext(&fiber.context);
  std::abort();
}

/// Comes back when another fiber switches to `from`.
[[gnu::noinline]] inline void switch_fibers(Suspended& from, Suspended& to) {
  if constexpr (Suspended::jumps) {
    from.left = true;
    if (__builtin_setjmp(from.registers) == 0) go_on(to);
  } else {
    swapcontext(&from.context, &to.context);
  }
}

/// One block at a time.
class Block {
 public:
  Block(dim3 size, std::size_t shared_bytes, Order order, const std::function<void()>& kernel)
      : size_(size), order_(order), kernel_(kernel), shared_(shared_bytes / sizeof(std::max_align_t) + 1) {
    std::memset(shared_.data(), 0xff, shared_bytes);  // NaN as float and bfloat16: on a GPU nothing is zeroed
    const int threads = static_cast<int>(size.x * size.y * size.z);
    while (idle.size() < static_cast<std::size_t>(threads)) idle.push_back(std::make_unique<Thread>());
    threads_.assign(std::move_iterator(idle.end() - threads), std::move_iterator(idle.end()));
    idle.resize(idle.size() - static_cast<std::size_t>(threads));
    warps_.resize(static_cast<std::size_t>((threads + warp_size - 1) / warp_size));
  }

  ~Block() {  // after all that its threads have done
    acquire(this);
    for (auto& warp : warps_) acquire(&warp);
    for (auto& thread : threads_) {
      acquire(thread.get());
      if (thread->state == State::Ended) idle.push_back(std::move(thread));
    }
  }

  static Block& current() { return *current_.load(std::memory_order_relaxed); }
  void* shared() { return shared_.data(); }

  void run() {
    current_.store(this, std::memory_order_relaxed);
    for (auto& thread : threads_) thread->begin();
    while (true) {
      for (const int warp : ordered(static_cast<int>(warps_.size()))) run_warp(warp);
      const auto all = [&](State state) {
        return std::all_of(threads_.begin(), threads_.end(),
                           [&](const auto& thread) { return thread->state == state || thread->state == State::Ended; });
      };
      if (all(State::Ended)) return;
      if (!all(State::AtBarrier)) throw Error("threads wait for each other: a shuffle that not all its threads reach");
      for (auto& thread : threads_)
        if (thread->state == State::AtBarrier) thread->state = State::Ready;
    }
  }

  void wait_at_barrier() { leave(State::AtBarrier); }

  /// Each thread of `mask` gives a value and takes that of the lane that it names. Two generations of values are kept:
  /// a fast thread may be one shuffle ahead.
  template <class T>
  T exchange(unsigned mask, T value, int from) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));
    const int i = running_;
    Thread& me = *threads_[static_cast<std::size_t>(i)];
    const int lane = i % warp_size;
    if (!(mask >> lane & 1u)) throw Error("a thread that is not in the mask of its shuffle");
    auto& values = warps_[static_cast<std::size_t>(i / warp_size)].values[me.turn++ % 2];
    std::memcpy(&values[lane], &value, sizeof(T));
    me.mask = mask;
    leave(State::AtShuffle);
    if (!(mask >> from & 1u)) throw Error("a shuffle from a thread that is not in its mask");
    std::memcpy(&value, &values[from], sizeof(T));
    return value;
  }

 private:
  enum class State { Ready, AtBarrier, AtShuffle, Ended };
  template <class T>
  struct Shared {
    std::atomic<T> value;
    Shared(T initial) : value(initial) {}
    operator T() const { return value.load(std::memory_order_relaxed); }
    void operator=(T to) { value.store(to, std::memory_order_relaxed); }
    T operator++(int) { return value.fetch_add(1, std::memory_order_relaxed); }
  };
  struct Thread {  // of one block after another: to make one takes long under sanitizers
    static constexpr std::size_t stack_bytes = 64 * 1024;
    Thread() {
      auto& context = suspended.context;
      getcontext(&context);
      context.uc_stack = {};
      context.uc_stack.ss_sp = stack.get();
      context.uc_stack.ss_size = stack_bytes;
      context.uc_link = nullptr;
      makecontext(&context, &Block::live, 0);
    }
    void begin() {
      state = State::Ready;
      mask = 0u;
      turn = 0u;
      failed = false;
      error = nullptr;
    }
    Suspended suspended;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    Shared<State> state = State::Ready;
    Shared<unsigned> mask = 0, turn = 0;
    Shared<bool> failed = false;
    std::exception_ptr error;
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
#endif
#if defined(__SANITIZE_THREAD__)
    std::unique_ptr<void, void (*)(void*)> fiber{__tsan_create_fiber(0), __tsan_destroy_fiber};
#endif
  };
  struct Warp {
    std::uint64_t values[2][warp_size];
  };

  std::vector<int> ordered(int n) {
    std::vector<int> result(static_cast<std::size_t>(n));
    std::iota(result.begin(), result.end(), 0);
    if (order_ == Order::Reverse) std::reverse(result.begin(), result.end());
    if (order_ == Order::Random) std::shuffle(result.begin(), result.end(), random_);
    return result;
  }

  static void live() {
    current().arrive(nullptr);
    while (true) {
      Block& block = current();
      Thread& me = *block.threads_[static_cast<std::size_t>(int{block.running_})];
      try {
        block.kernel_();
      } catch (...) {
        me.error = std::current_exception();
        me.failed = true;
      }
      block.leave(State::Ended);
    }
  }

  void run_warp(int warp) {
    const int first = warp * warp_size, count = std::min(warp_size, static_cast<int>(threads_.size()) - first);
    for (bool progress = true; progress;) {
      progress = false;
      for (const int lane : ordered(count)) {
        Thread& thread = *threads_[static_cast<std::size_t>(first + lane)];
        if (thread.state != State::Ready) continue;
        resume(first + lane);
        if (thread.failed) {
          acquire(&thread);
          std::rethrow_exception(thread.error);
        }
        progress = true;
      }
      for (int lane = 0; lane < count; ++lane) progress = release_shuffle(first, count, lane) || progress;
    }
  }

  /// Lets the shuffle that `lane` waits in take place if all its threads are there.
  bool release_shuffle(int first, int count, int lane) {
    const auto& me = *threads_[static_cast<std::size_t>(first + lane)];
    if (me.state != State::AtShuffle) return false;
    const auto of_mask = [&](auto&& visit) {
      for (int i = 0; i < warp_size; ++i)
        if (me.mask >> i & 1u) visit(i);
    };
    bool all = true;
    of_mask([&](int i) {
      if (i >= count || threads_[static_cast<std::size_t>(first + i)]->state == State::Ended)
        throw Error("a shuffle with a thread that has ended");
      const auto& other = *threads_[static_cast<std::size_t>(first + i)];
      all = all && other.state == State::AtShuffle && other.mask == me.mask && other.turn == me.turn;
    });
    if (all) of_mask([&](int i) { threads_[static_cast<std::size_t>(first + i)]->state = State::Ready; });
    return all;
  }

  void resume(int i) {
    running_ = i;
    const auto n = static_cast<unsigned>(i);
    threadIdx.set({n % size_.x, n / size_.x % size_.y, n / (size_.x * size_.y)});
    release(&running_);
    Thread& thread = *threads_[n];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&scheduler_fake_stack_, thread.stack.get(), Thread::stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(thread.fiber.get(), __tsan_switch_to_fiber_no_sync);
#endif
    switch_fibers(scheduler_, thread.suspended);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
#endif
  }

  void leave(State state) {
    const int i = running_;
    Thread& me = *threads_[static_cast<std::size_t>(i)];
    // Where threads wait for each other they are ordered; nothing else orders them.
    void* const meeting = state == State::AtBarrier ? static_cast<void*>(this)
                          : state == State::AtShuffle
                              ? static_cast<void*>(&warps_[static_cast<std::size_t>(i / warp_size)])
                              : static_cast<void*>(&me);
    me.state = state;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&me.fake_stack, scheduler_stack_, scheduler_stack_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    void* const scheduler = scheduler_fiber_;
    release(meeting);  // after this, an ended thread touches nothing of the block
    __tsan_switch_to_fiber(scheduler, __tsan_switch_to_fiber_no_sync);
#endif
    switch_fibers(me.suspended, scheduler_);
    current().arrive(&me);  // an ended thread is in another block now
    if (state != State::Ended) acquire(meeting);
  }

  /// A fiber goes on: with no thread, for the first time.
  void arrive([[maybe_unused]] Thread* me) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(me ? me->fake_stack : nullptr, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
    acquire(&running_);
  }

  static inline std::atomic<Block*> current_ = nullptr;
  static inline std::vector<std::unique_ptr<Thread>> idle;  // kept for the next block

  dim3 size_;
  Order order_;
  std::mt19937 random_{7};
  const std::function<void()>& kernel_;
  std::vector<std::max_align_t> shared_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  Suspended scheduler_;
  Shared<int> running_ = 0;
#if defined(__SANITIZE_ADDRESS__)
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_stack_bytes_ = 0;
#endif
#if defined(__SANITIZE_THREAD__)
  void* const scheduler_fiber_ = __tsan_get_current_fiber();
#endif
};

inline void run(dim3 grid, dim3 block, std::size_t shared_bytes, Order order, const std::function<void()>& kernel) {
  gridDim.set(grid);
  blockDim.set(block);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        Block one(block, shared_bytes, order, kernel);
        blockIdx.set({x, y, z});
        one.run();
      }
}

}  // namespace emulation

inline void __syncthreads() { emulation::Block::current().wait_at_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulation::Block::current().exchange(mask, 0, static_cast<int>(threadIdx.x) % emulation::warp_size);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  const int lane = static_cast<int>(threadIdx.x) % emulation::warp_size;
  return emulation::Block::current().exchange(mask, value, lane ^ lanes);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return emulation::Block::current().exchange(mask, value, lane);
}
