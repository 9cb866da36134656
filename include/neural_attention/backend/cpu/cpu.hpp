// The CPU backend: runs the operations of core/operations/ with Eigen and its own threads. T is float for work and
// double for gradient checks.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cpu/kept_weights.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/operations.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/core/threads.hpp"
#include "neural_attention/core/weights_version.hpp"

namespace neural_attention {

// Header-only and compiled instantiations have different symbol names, so one program may hold both.
#if defined(NEURAL_ATTENTION_COMPILED)
inline namespace compiled {
#else
inline namespace header_only {
#endif

/// Owned memory of a CPU backend, 64-byte aligned. Large blocks are whole huge pages if the system has them: a step
/// touches gigabytes, and with small pages it waits for address translation. Throws OutOfMemory.
class CpuMemory {
 public:
  CpuMemory() = default;
  explicit CpuMemory(std::size_t bytes) {
    if (bytes == 0) return;
    const std::size_t alignment = bytes >= huge_page ? huge_page : cache_line;
    void* const memory = ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
    if (!memory)
      throw OutOfMemory("the system has no " + sizes::bytes_text(static_cast<std::int64_t>(bytes)) + " of memory left");
    data_ = {memory, {alignment}};
#if defined(__linux__)
    if (bytes >= huge_page) madvise(data_.get(), bytes / huge_page * huge_page, MADV_HUGEPAGE);  // a hint: may fail
#endif
  }

  void* data() const { return data_.get(); }

 private:
  static constexpr std::size_t cache_line = 64, huge_page = std::size_t{1} << 21;
  struct Free {
    std::size_t alignment;
    void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{alignment}); }
  };
  std::unique_ptr<void, Free> data_;
};

/// The state that the operations of a Cpu<T> compute with: backend/cpu/ defines compute(engine, operation) for each of
/// them.
template <class T>
struct CpuEngine {
  CpuEngine(int thread_count, Precision of_products)
      : threads(thread_count),
        precision(of_products),
        workspaces(static_cast<std::size_t>(threads.threads())),
        packing(static_cast<std::size_t>(threads.threads())) {}

  /// Temporary memory of one worker; grows and is kept.
  struct Workspace {
    T* reserve(std::size_t count) {
      if (count > size) {
        memory = CpuMemory(count * sizeof(T));
        size = count;
      }
      return static_cast<T*>(memory.data());
    }
    CpuMemory memory;
    std::size_t size = 0;
  };

  /// Runs body(tile, worker) for every tile, then gives every worker as much temporary memory as the largest worker
  /// has. Chance decides which worker meets the largest tile, and no worker may allocate long after the first epoch.
  template <class Body>
  void run_tiles(int tiles, Body&& body) {
    threads.run(tiles, body);
    for (auto* const all : {&workspaces, &packing}) {
      std::size_t most = 0;
      for (const auto& workspace : *all) most = std::max(most, workspace.size);
      for (auto& workspace : *all) workspace.reserve(most);
    }
  }

  /// Runs body(first, count, worker) over 0 … n-1 in pieces of about `grain`, cut by shape.
  template <class Body>
  void split(std::ptrdiff_t n, std::ptrdiff_t grain, Body&& body) {
    if (n <= 0) return;
    const auto pieces = static_cast<int>((n + grain - 1) / grain);
    threads.run(pieces, [&](int piece, int worker) {
      const auto first = n * piece / pieces;
      body(first, n * (piece + 1) / pieces - first, worker);
    });
  }

  ThreadPool threads;
  Precision precision;
  std::vector<Workspace> workspaces;  // tiles and rows of the operation at work, one for each worker
  std::vector<Workspace> packing;     // packed panels of the gemm below it
  cpu_gemm::KeptWeights<T, Workspace> kept_weights;
  Workspace shared_packing;  // the packed right operand of a product that all threads work at
};

template <class T>
class Cpu {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                "Cpu<T> computes in float or double; for products of bfloat16 numbers make a Cpu<float> with "
                "Precision::BFloat16");

 public:
  using Scalar = T;        ///< activations and gemm operands
  using Real = RealOf<T>;  ///< parameter gradients, statistics, losses, optimizer state
  using Memory = CpuMemory;
  static constexpr bool holds_int8 = std::is_same_v<T, float>;  ///< computes with QuantizedRows
  using Matrix = RowsOf<T>;

  /// `threads` as in ThreadPool: 0 means available_threads(). With BFloat16, products round their operands to bfloat16
  /// and sum in float; everything else stays in float. Throws ConfigError for BFloat16 unless T is float. In the
  /// compiled form, also throws ConfigError if the environment variable NEURAL_ATTENTION_CPU names no instruction set
  /// that the program has kernels for and the processor has. NEURAL_ATTENTION_BFLOAT16 may ask for "amx",
  /// "instructions" or "float" in products of bfloat16 numbers; ConfigError for another value, and for what is not
  /// there.
  explicit Cpu(int threads = 0, Precision precision = Precision::Float32) : engine_(threads, precision) {
    if (precision != Precision::Float32 && !std::is_same_v<T, float>)
      throw ConfigError("products of bfloat16 numbers need the backend Cpu<float>");
    check_instructions();
    if (precision == Precision::BFloat16) engine(precision);
  }

  int threads() const { return engine_.threads.threads(); }
  Precision precision() const { return engine_.precision; }
  /// The engine of the large products, for display: "packed kernel, AVX SSE, …" or "oneDNN 2.6.3"; for BFloat16 also
  /// how such numbers are multiplied, ", bfloat16 multiplied as float", and with `int8_weights` what multiplies those,
  /// ", int8 by AVX2". If the program chose among several instruction sets, the chosen one stands in front: "avx2:
  /// packed kernel, …". Throws as the constructor does.
  static std::string engine(Precision precision, bool int8_weights = false);
  /// All of it.
  static std::string engine() { return engine(Precision::BFloat16, true); }
  /// The multiply-adds of the threads in registers, in 10⁹ floating point operations a second, measured now: what
  /// products of matrices of this precision can reach at most. Takes about a second.
  double peak_gflops();

  Memory allocate(std::size_t bytes) { return Memory(bytes); }
  /// Between keep_weights(true) and keep_weights(false), the values of all w that ops::Linear gets must not change, and
  /// the backend keeps packed copies of them, which take as much memory again. Those of weights in the memory of a
  /// version (ParameterStore::version()) serve again after the next keep_weights(true, version) with the same one.
  void keep_weights(bool kept, const WeightsVersion& version = {}) { engine_.kept_weights.keep(kept, version); }
  /// The memory of these copies, in bytes, which stays for the next ones. Weights of int8 are not packed.
  std::size_t packed_bytes() const { return engine_.kept_weights.bytes(); }
  /// start_reading begins to copy `outcome`, as the previous operations leave it, to the host; finish_reading waits for
  /// the copy. One copy at a time.
  void start_reading(const StepOutcome* outcome) { read_ = *outcome; }
  StepOutcome finish_reading() { return read_; }

  /// Runs an operation; core/operations/ describes what each computes.
  template <ops::OperationOf<T> Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    return run(op);
  }

 private:
  template <class, class>
  friend struct ops::Instances;
  static void check_instructions();
  template <class Op>
  ops::ResultOf<Op> run(const Op& op);

  CpuEngine<T> engine_;
  StepOutcome read_;  // between start_reading and finish_reading
};

}  // inline namespace
}  // namespace neural_attention

#if defined(NEURAL_ATTENTION_COMPILED)
extern template class neural_attention::Cpu<float>;
extern template class neural_attention::Cpu<double>;
#else
#include "neural_attention/backend/cpu/instantiate.hpp"
#endif
