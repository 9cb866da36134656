// The tables of the benchmarks of the device's operations.
#pragma once

#include <cstdio>
#include <string>

namespace bench::device {

/// A table in Markdown, printed line by line as it is measured.
class Table {
 public:
  /// `numbers` names the type; the other two are what lines are compared with.
  Table(const std::string& numbers, double copy_gbs, double product_tflops)
      : copy_gbs_(copy_gbs), product_tflops_(product_tflops) {
    std::printf("%s: copies %.0f GB/s, a large product %.4g TFLOP/s.\n\n", numbers.c_str(), copy_gbs, product_tflops);
    std::printf("| operation | shape | µs | rate | of copies or the product |\n| --- | --- | --- | --- | --- |\n");
  }
  /// `bytes` have to be read or written.
  void bytes(const std::string& operation, const std::string& shape, double seconds, double bytes) {
    line(operation, shape, seconds, bytes / seconds / 1e9, "GB/s", copy_gbs_);
  }
  void flops(const std::string& operation, const std::string& shape, double seconds, double flops) {
    line(operation, shape, seconds, flops / seconds / 1e12, "TFLOP/s", product_tflops_);
  }

 private:
  static void line(const std::string& operation, const std::string& shape, double seconds, double rate,
                   const char* unit, double peak) {
    std::printf("| %s | %s | %.1f | %.4g %s | %.0f%% |\n", operation.c_str(), shape.c_str(), 1e6 * seconds, rate, unit,
                100.0 * rate / peak);
    std::fflush(stdout);
  }
  double copy_gbs_, product_tflops_;
};

}  // namespace bench::device
