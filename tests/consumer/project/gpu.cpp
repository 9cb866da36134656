// The component cuda in a program that g++ compiles: it computes on the GPU, or says in a sentence why it cannot.
#include <cstdio>
#include <neural_attention/core/arena.hpp>
#include <neural_attention/cuda.hpp>
#include <vector>

namespace na = neural_attention;

template <class T>
bool multiplies() {
  na::Cuda<T> gpu;
  na::Arena<na::Cuda<T>> arena(gpu);
  const auto x = arena.rows(2, 3), w = arena.rows(4, 3), y = arena.rows(2, 4);
  gpu(na::ops::Fill<na::Cuda<T>>{.x = x, .value = T(2)});
  gpu(na::ops::Fill<na::Cuda<T>>{.x = w, .value = T(3)});
  gpu(na::ops::Linear<na::Cuda<T>>{.x = x, .w = w, .y = y});
  std::vector<T> host(8);
  gpu(na::ops::Download<na::Cuda<T>>{.x = y, .values = host});
  return host == std::vector<T>(8, T(18));
}

bool multiplies_on_gpu();

bool multiplies_on_gpu() {
  try {
    return multiplies<float>() && multiplies<na::bf16>();
  } catch (const na::DeviceError& error) {
    std::printf("%s\n", error.what());
    return true;
  }
}
