// NeuralAttention on one page: a small encoder-decoder learns to sort digits. It needs no files.
#include <algorithm>
#include <cstdio>

#include "neural_attention/neural_attention.hpp"

namespace na = neural_attention;

// The paper's attention: query, key and output projections are small networks, the value projection stays linear. Any
// other choice also takes one line: using Projectors = na::Projections<na::Linear, na::Neural, na::Linear, na::Linear>;
using Projectors = na::paper::marian;
// On a GPU: na::Cuda<na::bf16>, of "neural_attention/cuda.hpp" and neural_attention::cuda. Nothing else changes.
using Backend = na::Cpu<float>;
using Model = na::Marian<Backend, Projectors>;

constexpr int end_token = 0, pad_token = 11, token_count = 12;  // the digit d is the token d + 1

/// 6 to 8 random digits and, as their "translation", the same digits sorted.
struct Example {
  explicit Example(na::RandomStream& random) : digits(6 + random.below(3)) {
    for (int& digit : digits) digit = 1 + static_cast<int>(random.below(10));
    std::ranges::sort(sorted = digits);
  }
  std::vector<int> digits, sorted;
};

std::vector<int> ended(std::vector<int> tokens) { return tokens.push_back(end_token), tokens; }

int main() try {
  na::MarianConfig config = na::marian_small(token_count);  // sizes are plain numbers
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.0;
  Backend backend;
  Model model(backend, config);

  const na::Schedule schedule{na::Schedule::Kind::Linear, 30, 300};  // 30 steps of warm-up, then down to 0 at 300
  na::TrainingStep<Model> training(backend, model, {.learning_rate = 2e-3, .schedule = schedule}, {});
  na::RandomStream random({.seed = 1});
  for (int step = 1; step <= schedule.total_steps; ++step) {
    na::TranslationBatch batch(pad_token);  // packed: sequences of any length, no padding
    for (Example one(random); batch.sentences() < 64; one = Example(random))
      batch.push(ended(one.digits), ended(one.sorted));
    const auto loss = training.run(std::span(&batch, 1)).loss;
    if (step % 50 == 0) std::printf("step %d  loss %.3f\n", step, loss.smoothed / double(loss.tokens));
  }
  int right = 0, asked = 0;
  for (na::Generator<Model> generate(backend, model); asked < 200; ++asked) {
    const Example example(random);
    na::TranslationBatch question(pad_token);
    question.push(ended(example.digits), {});
    const auto answer = generate(question, na::generation_defaults(config)).front().front().ids;
    right += answer == example.sorted;
    if (asked >= 3) continue;
    for (const int token : example.digits) std::printf("%d ", token - 1);
    for (std::printf("->"); const int token : answer) std::printf(" %d", token - 1);
    std::puts(answer == example.sorted ? "  right" : "  wrong");
  }
  std::printf("%d of %d new sequences are sorted\n", right, asked);
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw na::FileError("standard output", "cannot be written");
  return right > 0.9 * asked ? 0 : 1;
} catch (const na::Error& error) {  // such as: there is no GPU
  std::fprintf(stderr, "quickstart: %s\n", error.what());
  return 1;
}
