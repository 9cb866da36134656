// After one epoch of warm-up a training step allocates nothing: malloc and its kin are replaced by counting ones.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE train_allocations
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/text/batches.hpp"
#include "neural_attention/train/training_step.hpp"

// Sanitizers replace malloc themselves, and other C libraries have no second name for theirs.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define NEURAL_ATTENTION_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NEURAL_ATTENTION_COUNTS_ALLOCATIONS 0
#else
#define NEURAL_ATTENTION_COUNTS_ALLOCATIONS 1
#endif
#else
#define NEURAL_ATTENTION_COUNTS_ALLOCATIONS 1
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<long> allocations{0};

[[maybe_unused]] void count() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

#if NEURAL_ATTENTION_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* memory, std::size_t size) {
  count();
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  count();
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? 12 : 0;  // ENOMEM
}
void free(void* memory) { __libc_free(memory); }
}
#endif

using namespace neural_attention;

namespace {

text::TokenizedPairs corpus(int vocabulary) {
  RandomStream random({17, 0, 0});
  text::TokenizedPairs pairs;
  const auto sentence = [&](std::uint32_t longest) {
    std::vector<int> ids(1 + random.below(longest));
    for (auto& id : ids) id = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 2)));
    ids.back() = 0;
    return ids;
  };
  for (int i = 0; i < 400; ++i) {
    const auto longest = 5 + random.below(60);
    const auto source = sentence(longest);
    pairs.add(source, sentence(longest));
  }
  return pairs;
}

/// The number of allocations within the steps of the epoch after the warm-up.
template <class P>
long allocations_of_second_epoch(int threads, bool checkpointing, int epoch) {
  using B = Cpu<float>;
  constexpr int vocabulary = 301;
  auto config = tiny::config(2, 32, 0.1);
  config.vocab_size = vocabulary;
  config.pad_token_id = vocabulary - 1;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 64;
  config.max_position_embeddings = 80;
  config.gradient_checkpointing = checkpointing;
  B backend(threads);
  Marian<B, P> model(backend, config, 3);
  StepOptions options;
  options.label_smoothing = 0.1;
  TrainingStep<Marian<B, P>> training(backend, model, options, {});
  const auto pairs = corpus(vocabulary);
  TranslationBatch batch(config.pad_token_id);
  long steps = 0, counted = 0;
  for (const int current : {0, epoch}) {
    text::BatchOptions how;
    how.tokens = 500;
    how.maxi_batches = 8;
    how.epoch = current;
    const auto plan = text::plan_batches(pairs, how);
    const bool second = steps > 0;
    for (std::size_t i = 0; i < plan.size(); ++i, ++steps) {
      batch.clear();
      for (const int sentence : plan[i])
        batch.push(pairs.source(static_cast<std::size_t>(sentence)), pairs.target(static_cast<std::size_t>(sentence)));
      allocations = 0;
      counting = second;
      training.run(std::span(&batch, 1));
      counting = false;
      if (allocations > 0) BOOST_TEST_MESSAGE("step " << steps << " allocated " << allocations << " times");
      counted += allocations;
    }
  }
  BOOST_TEST(steps > 20);
  return counted;
}

template <class P>
void check() {
  if (!NEURAL_ATTENTION_COUNTS_ALLOCATIONS) {
    std::puts("SKIPPED: allocations cannot be counted in this build");
    return;
  }
  BOOST_TEST(allocations_of_second_epoch<P>(1, false, 0) == 0);
  BOOST_TEST(allocations_of_second_epoch<P>(1, false, 1) == 0);
  BOOST_TEST(allocations_of_second_epoch<P>(1, true, 1) == 0);
  BOOST_TEST(allocations_of_second_epoch<P>(2, false, 1) == 0);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(a_warm_training_step_allocates_nothing)

// Else the zeros below would show nothing.
BOOST_AUTO_TEST_CASE(the_counter_counts) {
  if (!NEURAL_ATTENTION_COUNTS_ALLOCATIONS) {
    std::puts("SKIPPED: allocations cannot be counted in this build");
    return;
  }
  allocations = 0;
  counting = true;
  std::vector<int>* const vector = new std::vector<int>(100);
  CpuMemory memory(1000);
  counting = false;
  delete vector;
  BOOST_TEST(memory.data() != nullptr);
  BOOST_TEST(allocations == 3);
}

BOOST_AUTO_TEST_CASE(linear_projectors) { check<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(neural_projectors) { check<paper::marian>(); }

BOOST_AUTO_TEST_SUITE_END()
