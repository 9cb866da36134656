// Two translation units include everything: a function that is not inline would be defined twice, and both must see
// one and the same library.
#include <cstdio>
#include <neural_attention/neural_attention.hpp>

const void* other_version();

int main() {
  if (other_version() != &neural_attention::version_string) {
    std::puts("the two translation units see different libraries");
    return 1;
  }
  std::printf("neural_attention %s\n", neural_attention::version_string.data());
  return 0;
}
