// After one epoch of warm-up a training step takes nothing from the system: it allocates nothing, starts no thread and
// touches no new memory. malloc and its kin and pthread_create are replaced by counting ones.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE train_allocations
#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "models/every_role.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/causal_windows.hpp"
#include "neural_attention/train/training_step.hpp"
#include "sanitized.hpp"

// Sanitizers replace malloc themselves, other C libraries have no second name for theirs, and oneDNN allocates in every
// product.
#if !NEURAL_ATTENTION_SANITIZED && defined(__GLIBC__) && !defined(NEURAL_ATTENTION_ONEDNN)
#define NEURAL_ATTENTION_COUNTS 1
#else
#define NEURAL_ATTENTION_COUNTS 0
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<long> allocations{0}, threads_started{0};

[[maybe_unused]] void count(std::atomic<long>& counter = allocations) {
  if (counting.load(std::memory_order_relaxed)) counter.fetch_add(1, std::memory_order_relaxed);
}

/// Of the whole process so far: how often a page of memory was touched that was not there.
long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

}  // namespace

#if NEURAL_ATTENTION_COUNTS
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

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  count(threads_started);
  static const auto create = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, body, argument);
}
}
#endif

using namespace neural_attention;

namespace {

text::TokenizedPairs corpus(int vocabulary, int sentences) {
  RandomStream random({17, 0, 0});
  text::TokenizedPairs pairs;
  const auto sentence = [&](std::uint32_t longest) {
    std::vector<int> ids(1 + random.below(longest));
    for (auto& id : ids) id = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 2)));
    ids.back() = 0;
    return ids;
  };
  for (int i = 0; i < sentences; ++i) {
    const auto longest = 5 + random.below(60);
    const auto source = sentence(longest);
    pairs.add(source, sentence(longest));
  }
  return pairs;
}

/// What the steps of one epoch took from the system.
struct Taken {
  long steps = 0, allocations = 0, threads = 0, page_faults = 0;

  void add_step(auto&& step) {
    ::allocations = threads_started = 0;
    const long faults = ::page_faults();
    counting = true;
    step();
    counting = false;
    page_faults += ::page_faults() - faults;
    allocations += ::allocations;
    threads += threads_started;
    ++steps;
  }
};

/// A model in training, one epoch at a time. `projector` is that of a model whose roles are a Choice, where it can
/// stand.
template <class P>
class Training {
 public:
  Training(int threads, bool checkpointing, const AttentionOptions& attention, const std::string& projector)
      : backend_(threads),
        model_(backend_, config(checkpointing, attention, projector), 3),
        step_(backend_, model_, options(), {}),
        small_(!projector.empty()) {}

  Taken run(int epoch) {
    text::BatchOptions how;
    how.tokens = small_ ? 100 : 250;
    how.maxi_batches = 8;
    how.epoch = epoch;
    Taken taken;
    const auto plan = text::plan_batches(pairs_, how);
    for (std::size_t i = 0; i < plan.size(); ++i) {
      batch_.clear();
      for (const int sentence : plan[i])
        batch_.push(pairs_.source(static_cast<std::size_t>(sentence)),
                    pairs_.target(static_cast<std::size_t>(sentence)));
      taken.add_step([&] { step_.run(std::span(&batch_, 1)); });
    }
    return taken;
  }

 private:
  using B = Cpu<float>;
  static constexpr int vocabulary = 101;

  static MarianConfig config(bool checkpointing, const AttentionOptions& attention, const std::string& projector) {
    auto config = tiny::config(2, 16, 0.1);
    config.vocab_size = vocabulary;
    config.pad_token_id = vocabulary - 1;
    config.encoder_attention_heads = config.decoder_attention_heads = 4;
    config.encoder_ffn_dim = config.decoder_ffn_dim = 32;
    config.max_position_embeddings = 80;
    config.gradient_checkpointing = checkpointing;
    config.attention = attention;
    if (!projector.empty()) config = every_role::config_with<Marian<B, P>>(config, projector);
    return config;
  }
  static StepOptions options() {
    StepOptions options;
    options.label_smoothing = 0.1;
    return options;
  }

  B backend_;
  Marian<B, P> model_;
  TrainingStep<Marian<B, P>> step_;
  bool small_;  ///< fewer sentences in smaller batches
  text::TokenizedPairs pairs_ = corpus(vocabulary, small_ ? 80 : 200);
  TranslationBatch batch_{vocabulary - 1};
};

/// GPT-2 in training, on batches of the same texts in any order.
class CausalTraining {
 public:
  CausalTraining(int threads, bool checkpointing)
      : backend_(threads),
        model_(backend_, config(checkpointing), 3),
        step_(backend_, model_, {}, {}),
        tokens_(ids()),
        windows_(tokens_, {.batch_size = 9, .block_size = 64, .order = text::WindowOrder::Shuffled}) {}

  Taken run(int epoch) {
    Taken taken;
    windows_.begin_epoch(epoch);
    for (std::size_t i = 0; i < windows_.batches(); ++i)
      taken.add_step([&] {
        windows_.fill(i, batch_);
        step_.run(std::span(&batch_, 1));
      });
    return taken;
  }

 private:
  using B = Cpu<float>;
  using Model = Gpt2<B, published::karbevski2026_query>;
  static constexpr int vocabulary = 301;

  /// Of 20 batches, the last one smaller.
  static std::vector<int> ids() {
    std::vector<int> ids(9 * 64 * 19 + 200);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int>(i * i % vocabulary);
    return ids;
  }
  static Gpt2Config config(bool checkpointing) {
    auto config = tiny::gpt2_config(2, 0.1);
    config.vocab_size = vocabulary;
    config.n_embd = 32;
    config.max_position_embeddings = 80;
    config.gradient_checkpointing = checkpointing;
    config.attention.value_residual = ValueResidualKind::Learned;
    return config;
  }

  B backend_;
  Model model_;
  TrainingStep<Model> step_;
  text::TokenArray tokens_;
  text::CausalWindows<text::TokenArray> windows_;
  CausalBatch batch_;
};

void require_nothing_taken(auto& training, int epoch) {
  const auto warm_up = training.run(0), warm = training.run(epoch);
  auto steady = training.run(epoch);
  BOOST_TEST(warm_up.allocations > 0);
  for (const auto& taken : {warm, steady}) {
    BOOST_TEST(taken.steps > 15);
    BOOST_TEST(taken.allocations == 0);
    BOOST_TEST(taken.threads == 0);
  }
  // Memory that the last step of the warm-up had joined is touched for the first time in the epoch behind it. After
  // that nothing is new. A step that still took memory from the system would fault at least once in each epoch, and so
  // would each step; other faults are the system's, which moves pages now and then.
  for (int again = 0; again < 2 && steady.page_faults >= steady.steps; ++again) steady = training.run(epoch);
  BOOST_TEST(steady.page_faults < steady.steps);
}

template <class P>
void check(int threads, bool checkpointing, int epoch, const AttentionOptions& attention = {},
           const std::string& projector = {}) {
  if (!NEURAL_ATTENTION_COUNTS) {
    std::puts("SKIPPED: this build's allocations cannot be counted, or are oneDNN's");
    return;
  }
  Training<P> training(threads, checkpointing, attention, projector);
  require_nothing_taken(training, epoch);
}

template <class P>
void check() {
  check<P>(1, false, 0);
  check<P>(1, false, 1);
  check<P>(1, true, 1);
  check<P>(2, false, 1);
}

/// Every option of attention, two of which exclude each other.
template <class P>
void check_options() {
  for (const bool checkpointing : {false, true})
    check<P>(1, checkpointing, 1,
             {.learned_scale = LearnedScale::PerHead,
              .soft_cap = 5.0,
              .qk_norm = checkpointing ? QueryKeyNorm::L2 : QueryKeyNorm::Rms,
              .gate = GateKind::PerElement,
              .value_residual = checkpointing ? ValueResidualKind::Fixed : ValueResidualKind::Learned,
              .value_width = checkpointing ? 20 : 0});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(a_warm_training_step_takes_nothing)

// Else the zeros below would show nothing.
BOOST_AUTO_TEST_CASE(the_counters_count) {
  if (!NEURAL_ATTENTION_COUNTS) {
    std::puts("SKIPPED: this build's allocations cannot be counted, or are oneDNN's");
    return;
  }
  allocations = threads_started = 0;
  counting = true;
  std::vector<int>* const vector = new std::vector<int>(100);
  CpuMemory memory(1000);
  counting = false;
  delete vector;
  BOOST_TEST(memory.data() != nullptr);
  BOOST_TEST(allocations == 3);
  BOOST_TEST(threads_started == 0);

  const long faults = page_faults();
  CpuMemory large(std::size_t{16} << 20);
  std::memset(large.data(), 1, std::size_t{16} << 20);
  BOOST_TEST(page_faults() > faults);

  counting = true;
  const ThreadPool three(3);
  counting = false;
  BOOST_TEST(threads_started == 2);
}

BOOST_AUTO_TEST_CASE(linear_projectors) { check<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(neural_projectors) { check<paper::marian>(); }
BOOST_AUTO_TEST_CASE(causal_model) {
  if (!NEURAL_ATTENTION_COUNTS) return;
  for (const bool checkpointing : {false, true})
    for (const int threads : {1, 2}) {
      CausalTraining training(threads, checkpointing);
      require_nothing_taken(training, 1);
    }
}
BOOST_AUTO_TEST_CASE(options_of_attention) { check_options<LinearProjections>(); }
BOOST_AUTO_TEST_CASE(each_projector) {
  const auto check_one = [](std::string_view name) { check<AnyProjections>(2, false, 1, {}, std::string(name)); };
  for (const auto name : AnyProjector<Cpu<float>>::names) BOOST_TEST_CONTEXT(name) check_one(name);
}

BOOST_AUTO_TEST_SUITE_END()
