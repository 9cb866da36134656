// Does the emulation find what it is there for? Kernels with planted errors.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cuda_emulation
#include <array>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <stdexcept>
#include <vector>

#include "cuda/emulation.hpp"

namespace {

using emulation::Order;
constexpr std::array orders = {Order::Forward, Order::Reverse, Order::Random};
constexpr int threads = 96;

std::vector<int> run(Order order, const std::function<void(std::vector<int>&)>& kernel, unsigned blocks = 1) {
  std::vector<int> result(threads, -1);
  emulation::run(dim3(blocks), dim3(threads), threads * sizeof(int), order, [&] { kernel(result); });
  return result;
}

int neighbours(int i) { return 1000 * (10 + (i + 1) % threads) + 10 + (i + threads - 1) % threads; }

/// Every thread reads what its neighbours have written, with or without waiting for them.
template <bool Waits>
void pass_on(std::vector<int>& result) {
  int* const shared = static_cast<int*>(emulation::Block::current().shared());
  const int i = static_cast<int>(threadIdx.x);
  shared[i] = 10 + i;
  if constexpr (Waits) __syncthreads();
  const auto next = static_cast<unsigned>(shared[(i + 1) % threads]);  // of any size without the barrier
  const auto last = static_cast<unsigned>(shared[(i + threads - 1) % threads]);
  result[static_cast<std::size_t>(i)] = static_cast<int>(1000 * next + last);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(emulation_of_cuda)

BOOST_AUTO_TEST_CASE(barriers_order_a_block) {
  for (const auto order : orders) {
    const auto result = run(order, pass_on<true>);
    for (int i = 0; i < threads; ++i) BOOST_TEST(result[static_cast<std::size_t>(i)] == neighbours(i));
  }
}

#if !defined(__SANITIZE_THREAD__)  // which finds it too
BOOST_AUTO_TEST_CASE(a_missing_barrier_shows_in_every_order) {
  for (const auto order : orders) {
    const auto result = run(order, pass_on<false>);
    bool wrong = false;
    for (int i = 0; i < threads; ++i) wrong = wrong || result[static_cast<std::size_t>(i)] != neighbours(i);
    BOOST_TEST(wrong);
  }
}

#endif

BOOST_AUTO_TEST_CASE(shuffles_exchange_within_a_warp) {
  for (const auto order : orders) {
    const auto result = run(order, [](std::vector<int>& all) {
      int value = static_cast<int>(threadIdx.x);
      for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
      all[threadIdx.x] = value;
    });
    for (int i = 0; i < threads; ++i) {
      const int first = i / 32 * 32;
      BOOST_TEST(result[static_cast<std::size_t>(i)] == 32 * first + 31 * 16);
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_know_their_places) {
  constexpr unsigned blocks = 4, size = 12;
  std::vector<int> visits(blocks * size, 0);
  emulation::run(dim3(2, 2), dim3(3, 2, 2), 0, Order::Random, [&] {
    const bool sizes = blockDim.x == 3 && blockDim.y == 2 && blockDim.z == 2 && gridDim.x == 2 && gridDim.y == 2;
    if (!sizes) throw std::logic_error("the sizes of the launch");
    const auto block = blockIdx.y * 2 + blockIdx.x, thread = (threadIdx.z * 2 + threadIdx.y) * 3 + threadIdx.x;
    ++visits.at(block * size + thread);
  });
  for (const int count : visits) BOOST_TEST(count == 1);
}

BOOST_AUTO_TEST_CASE(mistakes_with_shuffles_are_errors) {
  for (const auto order : orders) {
    // Half of the warp never comes.
    BOOST_CHECK_THROW(run(order,
                          [](std::vector<int>&) {
                            if (threadIdx.x % 2) return;
                            __shfl_xor_sync(0xffffffffu, 1, 1);
                          }),
                      emulation::Error);
    // Half of the warp waits elsewhere.
    BOOST_CHECK_THROW(run(order,
                          [](std::vector<int>&) {
                            if (threadIdx.x % 2)
                              __syncthreads();
                            else
                              __shfl_xor_sync(0xffffffffu, 1, 2);
                          }),
                      emulation::Error);
    // A thread that its own mask does not name.
    BOOST_CHECK_THROW(run(order, [](std::vector<int>&) { __shfl_xor_sync(0x1u, 1, 0); }), emulation::Error);
  }
}

BOOST_AUTO_TEST_CASE(exceptions_leave_the_kernel) {
  BOOST_CHECK_THROW(run(Order::Forward,
                        [](std::vector<int>& all) {
                          __syncthreads();
                          if (threadIdx.x == 40) all.at(1000) = 1;
                        }),
                    std::out_of_range);
}

BOOST_AUTO_TEST_SUITE_END()
