// The libFuzzer entry of one target, FUZZ_TARGET. The readers open the bytes as a file: they are tested as they are,
// memory map included.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::MemoryFile file;
  file.replace({reinterpret_cast<const char*>(data), size});
  fuzz::FUZZ_TARGET(file.path());
  return 0;
}
