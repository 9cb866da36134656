// Does the emulation find what it is there for? Kernels with planted errors.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cuda_emulation
#include <array>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <stdexcept>
#include <vector>

#include "cuda/mma_emulation.hpp"
#include "neural_attention/backend/cuda/mma.cuh"

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

// Each lane loads its parts of both operands as mma.cuh says, from rows of A and from columns or rows of B.
BOOST_AUTO_TEST_CASE(tensor_cores_multiply) {
  using namespace neural_attention;
  constexpr int m = 16, n = 16, depth = 16;
  alignas(16) std::array<bf16, m * depth> a;
  alignas(16) std::array<bf16, depth * n> b, b_transposed;
  const auto at = [](int row, int col) { return static_cast<std::size_t>(16 * row + col); };
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      a[at(i, j)] = bf16((i * 7 + j * 3) % 11 - 5);  // so small that sums are exact
      b[at(i, j)] = bf16((i * 5 + j * 13) % 17 - 8);
      b_transposed[at(j, i)] = b[at(i, j)];
    }
  for (const bool transposed : {false, true})
    for (const auto order : orders) {
      std::vector<float> d(m * n, 1.0f);
      emulation::run(dim3(1), dim3(32), 0, order, [&] {
        const int lane = static_cast<int>(threadIdx.x), g = lane / 4, p = lane % 4 * 2;
        cuda_backend::FragmentA left;
        cuda_backend::FragmentB right[2];
        for (int i = 0; i < 4; ++i) {
          const auto first = at(g + i % 2 * 8, i / 2 * 8 + p);
          left[i] = cuda_backend::pair_of(static_cast<float>(a[first]), static_cast<float>(a[first + 1]));
        }
        if (transposed)
          cuda_backend::load_fragments<cuda_backend::Holds::RowsOfB>(&b[at(lane % 16, lane / 16 * 8)], right[0],
                                                                     right[1]);
        else
          cuda_backend::load_fragments<cuda_backend::Holds::ColumnsOfB>(
              &b_transposed[at(lane % 8 + lane / 16 * 8, lane / 8 % 2 * 8)], right[0], right[1]);
        for (int half = 0; half < 2; ++half) {
          cuda_backend::FragmentD sums = {1.0f, 1.0f, 1.0f, 1.0f};
          cuda_backend::multiply_add(sums, left, right[half]);
          for (int i = 0; i < 4; ++i) d[at(g + i / 2 * 8, 8 * half + p + i % 2)] = sums[i];
        }
      });
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          float want = 1.0f;
          for (int k = 0; k < depth; ++k) want += static_cast<float>(a[at(i, k)]) * static_cast<float>(b[at(k, j)]);
          BOOST_TEST(d[at(i, j)] == want);
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
