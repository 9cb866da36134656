// Projectors of your own: one made of the library's parts in one line, one written freely. The program checks their
// gradients numerically, then trains them to sort digits next to stock linear attention.
#include <algorithm>
#include <string>

#include "common/command_line.hpp"
#include "common/compute.hpp"
#include "common/table.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

namespace na = neural_attention;

// Sequential: widths follow from the role, d -> 2d -> d; the hidden width is MarianConfig::query.hidden and so on.
template <class B>
using Deep = na::Stack<B, na::Linear, na::Gelu, na::Linear>;
template <class B>
using Normed = na::Stack<B, na::Linear, na::RmsNorm, na::Mish, na::Linear>;

// Free-form: y = W₃ (silu(W₁ x) · W₂ x), a gated network (Shazeer 2020, "GLU Variants Improve Transformer"). It owns
// only its members; Saved holds the values that forward keeps for backward.
template <class B>
class Gated {
 public:
  struct Saved {
    typename na::Linear<B>::Saved gate, value, output;
    typename na::Silu<B>::Saved silu;
    na::Rows<B> opened, values;  // the factors
  };

  explicit Gated(const na::ProjectorConfig& config)
      : gate_(config.d_in, config.hidden_columns(), config.initial, config.bias),
        value_(config.d_in, config.hidden_columns(), config.initial, config.bias),
        output_(config.hidden_columns(), config.d_out, config.initial, config.bias) {}

  // Names the members, so that the library finds, initialises, saves and trains their parameters.
  static void visit(auto& self, auto&& visitor) {
    visitor("gate", self.gate_);
    visitor("value", self.value_);
    visitor("output", self.output_);
  }

  na::Rows<B> forward(const na::Pass<B>& pass, na::Rows<B> x, Saved& saved) const {  // x [n, d_in], result [n, d_out]
    saved.opened = silu_.forward(pass, gate_.forward(pass, x, saved.gate), saved.silu);
    saved.values = value_.forward(pass, x, saved.value);
    const auto product = pass.saved.rows(x.rows, saved.values.cols);
    pass.backend(na::ops::Multiply<B>{.a = saved.opened, .b = saved.values, .y = product});
    return output_.forward(pass, product, saved.output);
  }

  // Members add to a given dx; otherwise the first one makes it. `settle` drops the rows in between.
  na::Rows<B> backward(const na::Pass<B>& pass, na::Rows<B> dy, const Saved& saved, na::Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    const auto dproduct = output_.backward(pass, dy, saved.output);
    const auto dopened = pass.scratch.rows(dproduct.rows, dproduct.cols);
    const auto dvalues = pass.scratch.rows(dproduct.rows, dproduct.cols);
    pass.backend(na::ops::MultiplyBackward<B>{
        .dy = dproduct, .a = saved.opened, .b = saved.values, .da = dopened, .db = dvalues});
    const auto dgate = silu_.backward(pass, dopened, saved.silu);
    const auto result = gate_.backward(pass, dgate, saved.gate, value_.backward(pass, dvalues, saved.value, dx));
    return na::settle(pass, mark, dx, result);
  }

 private:
  na::Linear<B> gate_, value_, output_;
  na::Silu<B> silu_;
};

constexpr int end_token = 0, pad_token = 11, token_count = 12;

/// 6 to 8 random digits d (as tokens d + 1) and the same ones sorted, each with the end token.
void add_example(na::TranslationBatch& batch, na::RandomStream& random) {
  std::vector<int> digits(6 + random.below(3));
  for (int& digit : digits) digit = 1 + static_cast<int>(random.below(10));
  auto sorted = digits;
  std::ranges::sort(sorted);
  digits.push_back(end_token);
  sorted.push_back(end_token);
  batch.push(digits, sorted);
}

/// Trains one model with `P` as query, key and output projections, and adds its row to the table.
template <template <class> class P, class B>
void compare(const std::string& name, B& backend, examples::Table& table) {
  using Model = na::Marian<B, na::Projections<P, P, na::Linear, P>>;
  na::MarianConfig config = na::marian_small(token_count);
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.0;
  Model model(backend, config);
  const na::Schedule schedule{na::Schedule::Kind::Linear, 30, 200};
  na::TrainingStep<Model> training(backend, model, {.learning_rate = 2e-3, .schedule = schedule}, {});
  na::RandomStream random({.seed = 1});
  na::TranslationBatch batch(pad_token);
  for (int step = 0; step < schedule.total_steps; ++step) {
    batch.clear();
    while (batch.sentences() < 64) add_example(batch, random);
    training.run(std::span(&batch, 1));
  }
  batch.clear();
  while (batch.sentences() < 200) add_example(batch, random);
  const auto loss = training.evaluate(batch);
  const auto answers = na::Generator<Model>(backend, model)(batch, na::generation_defaults(model.config()));
  int right = 0;
  for (auto label = batch.labels.begin(); const auto& results : answers) {
    const auto& answer = results.front().ids;
    const auto end = std::find(label, batch.labels.end(), end_token);
    right += std::equal(answer.begin(), answer.end(), label, end);
    label = end + 1;
  }
  table.add({name, examples::with_commas(model.parameters().count()),
             examples::fixed(loss.negative_log_likelihood / double(loss.tokens), 4),
             examples::fixed(100.0 * right / double(answers.size()), 1) + " %"});
}

/// The library's gradient checker: double precision, every element of the input and of every parameter.
template <template <class> class P>
bool proved(const char* name) {
  using B = na::testing::Poisoned<na::Cpu<double>>;
  B backend(1);
  P<B> projector({.d_in = 5, .d_out = 5});
  const auto report = na::testing::check_module(backend, projector, 4, 5);
  examples::print("gradients of " + std::string(name) + ": " + (report.ok() ? "right" : "WRONG\n" + report.text()) +
                  "\n");
  return report.ok();
}

template <class B>
int prove_and_compare(const examples::Compute& compute) {
  B backend = examples::make_backend<B>(compute);
  if (!proved<Deep>("Deep") || !proved<Normed>("Normed") || !proved<Gated>("Gated")) return 1;
  using enum examples::Align;
  examples::Table table({"projector", "parameters", "loss", "sorted"}, {left, right, right, right});
  compare<na::Linear>("Linear", backend, table);
  compare<Deep>("Deep", backend, table);
  compare<Normed>("Normed", backend, table);
  compare<Gated>("Gated", backend, table);
  examples::print("\n" + table.text());
  return 0;
}

int main(int argc, char** argv) {
  CLI::App app("Checks the gradients of three custom projectors and trains them.", "custom_projector");
  examples::Compute compute;
  compute.add_to(app);
  return examples::run_program(app, argc, argv, [&] {
    return examples::on_device(compute, "the models here are small: other programs hold it",
                               [&]<class B>() { return prove_and_compare<B>(compute); });
  });
}
