// Weights in files, written and read by the CUDA backend, whose kernels run on the CPU here.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cuda_files
#include <boost/test/unit_test.hpp>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/cuda.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "scratch.hpp"

using namespace neural_attention;

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(weights_go_from_one_backend_to_the_other) {
  const Scratch scratch;
  const auto path = scratch.file("model.safetensors");
  Cuda<float> cuda(1);
  Cpu<float> cpu(1);
  Marian<Cuda<float>, tiny::Mixed> model(cuda, tiny::config(), 5), again(cuda, tiny::config(), 7);
  Marian<Cpu<float>, tiny::Mixed> on_cpu(cpu, tiny::config(), 6);
  io::save_parameters(path, cuda, model.parameters());
  io::load_parameters(path, cpu, on_cpu.parameters());
  io::load_parameters(path, cuda, again.parameters());
  const auto values = tiny::values(cuda, model.parameters());
  BOOST_TEST((tiny::values(cpu, on_cpu.parameters()) == values));
  BOOST_TEST((tiny::values(cuda, again.parameters()) == values));
}

BOOST_AUTO_TEST_SUITE_END()
