// The program of all tests. It tests nothing if NEURAL_ATTENTION_CPU or NEURAL_ATTENTION_BFLOAT16 asks for what Linux
// does not show of this processor. The library's own answer does not count: what it denies although Linux shows it is
// an error.
#define BOOST_TEST_MODULE kernels
#define BOOST_TEST_NO_MAIN
#include <boost/test/included/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

/// Linux's names of what kernels need.
const std::map<std::string, std::vector<std::string>> needed = {
    {"avx2", {"avx2", "fma", "bmi1", "bmi2"}},
    {"avx2_vnni", {"avx2", "fma", "bmi1", "bmi2", "avx_vnni"}},
    {"avx512", {"avx2", "fma", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
    {"avx512_vnni",
     {"avx2", "fma", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"}},
    {"avx512_bf16",
     {"avx2", "fma", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_bf16",
      "avx512_vnni"}},
    {"amx", {"amx_tile", "amx_bf16", "permission for amx"}}};

/// Whether the system lets processes use the tiles.
bool allows_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long supported_features = 0x1021, tile_data = 18;  // ARCH_GET_XCOMP_SUPP, XFEATURE_XTILEDATA
  unsigned long features = 0;
  return ::syscall(SYS_arch_prctl, supported_features, &features) == 0 && (features >> tile_data & 1) != 0;
#else
  return false;
#endif
}

/// What Linux shows of the first processor; nothing where there is no such file.
std::set<std::string> shown() {
  std::set<std::string> flags;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; flags.empty() && std::getline(file, line);)
    if (line.starts_with("flags")) {
      std::istringstream words(line.substr(line.find(':') + 1));
      flags.insert(std::istream_iterator<std::string>(words), {});
    }
  if (!flags.empty() && allows_tiles()) flags.insert("permission for amx");
  return flags;
}

/// The first thing that a variable asks for and that is not there.
std::string lacking() {
  const auto there = shown();
  if (there.empty()) return {};
  for (const char* const variable : {"NEURAL_ATTENTION_CPU", "NEURAL_ATTENTION_BFLOAT16"})
    if (const char* const value = std::getenv(variable))
      if (const auto found = needed.find(value); found != needed.end())
        for (const auto& flag : found->second)
          if (!there.contains(flag)) return flag;
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto flag = lacking(); !flag.empty()) {
    std::printf("skipped: /proc/cpuinfo and the system show no %s\n", flag.c_str());
    return 0;
  }
  return boost::unit_test::unit_test_main(&init_unit_test_suite, argc, argv);
}
