// kernels [--quick]: every operation of the CUDA backend alone, at the shapes of the paper's models, as tables in
// Markdown. A rate is bytes that have to be read or written, as a part of what copies on the device reach, or floating
// point operations, as a part of a large product of matrices by cuBLASLt.
//
// This is one program with a stopwatch of its own, not one of Google Benchmark's: a machine with a GPU often has
// nothing but nvcc and a compiler (tests/run_on_gpu.sh), and calls here only start work, so they have to be timed many
// at a time, with one wait.
#include <cstdio>
#include <cstring>
#include <exception>

#include "bench.hpp"
#include "choosing.hpp"
#include "linear_algebra.hpp"
#include "neural_attention/cuda.hpp"
#include "passes.hpp"

namespace {

namespace na = neural_attention;
namespace device = bench::device;

template <class B>
void run(const device::Shapes& shapes, const device::Effort& effort, const char* numbers) {
  device::Bench<B> b(effort, numbers);
  device::products(b, shapes);
  device::attention(b, shapes);
  device::norms(b, shapes.tokens, shapes.width);
  device::norms(b, shapes.block_tokens, shapes.block_width);
  device::elementwise(b, shapes.tokens, shapes.width);
  device::elementwise(b, shapes.tokens, shapes.inner);
  device::elementwise(b, shapes.block_tokens, shapes.block_inner);
  device::embeddings(b, shapes);
  device::loss(b, shapes);
  device::optimizer(b, shapes);
  device::attention_round(b, shapes);
  device::choosing(b, shapes);
  std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
  const bool quick = count == 2 && std::strcmp(arguments[1], "--quick") == 0;
  if (count > 1 && !quick) {
    std::fprintf(stderr, "usage: kernels [--quick]\n");
    return 2;
  }
  try {
    const auto shapes = quick ? device::tiny : device::Shapes{};
    const auto effort = quick ? device::quick : device::Effort{};
    std::printf("%s\n\n", na::Cuda<float>().engine().c_str());
    run<na::Cuda<na::bfloat16>>(shapes, effort, "bfloat16");
    run<na::Cuda<float>>(shapes, effort, "float");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
