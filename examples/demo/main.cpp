// demo: trains two translators side by side, stock linear projections against the paper's neural ones, and compares
// them.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <system_error>

#include "common/charts.hpp"
#include "common/command_line.hpp"
#include "common/compute.hpp"
#include "common/flags.hpp"
#include "common/interruption.hpp"
#include "common/output_directory.hpp"
#include "common/table.hpp"
#include "demo/arm.hpp"
#include "neural_attention/paper.hpp"

namespace examples {
namespace {

namespace fs = std::filesystem;

struct DemoOptions : Flags {
  const std::string& data = flag("data", "",
                                 "Your pairs: a folder with train.de, train.en, valid.de, valid.en, each plain or .gz. "
                                 "Without it, sentences from a grammar",
                                 {.environment = "NEURAL_ATTENTION_DEMO_DATA"});
  const std::string& source_lang = flag("source_lang", "de", "Ending of the source files");
  const std::string& target_lang = flag("target_lang", "en", "Ending of the target files");
  const std::string& output_dir = flag("output_dir", "demo-results", "Where models, metrics and curves go");
  DemoSettings settings;

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    settings.add_to(app);
  }
};

DemoTokenizer learn_tokenizer(const DemoCorpus& corpus, const DemoOptions& options, const fs::path& folder) {
  na::text::MarianTokenizerOptions described;
  described.source_lang = options.source_lang;
  described.target_lang = options.target_lang;
  const WorkFolder work(folder);
  auto learned = na::text::MarianTokenizer::train(corpus.train.source, corpus.train.target, options.settings.vocab_size,
                                                  work.path(), described);
  return {std::move(learned), marian_tokenizer_files(work.path())};
}

void write_curves(const fs::path& folder, std::span<const ArmResult> arms) {
  const auto draw = [&](const char* file, const char* title, const char* unit, auto curve) {
    std::vector<na::report::Series> series;
    for (const auto& arm : arms) series.push_back({arm.name, arm.*curve});
    na::report::ChartOptions chart;
    chart.title = title;
    chart.x_label = "optimizer step";
    chart.y_label = unit;
    if (const auto fault = draw_chart(folder / file, chart, series); !fault.empty())
      std::fprintf(stderr, "%s\n", fault.c_str());
  };
  draw("loss.svg", "Loss on held-out sentences", "nats per token", &ArmResult::losses);
  draw("bleu.svg", "BLEU on held-out sentences", "BLEU", &ArmResult::bleus);
}

void print_comparison(const DemoCorpus& corpus, std::span<const ArmResult> arms) {
  using enum Align;
  Table numbers({"projections", "parameters", "held-out loss", "BLEU", "target tokens/s", "minutes"},
                {left, right, right, right, right, right});
  for (const auto& arm : arms)
    numbers.add({arm.name, with_commas(arm.parameters), fixed(arm.valid_loss, 4), fixed(arm.bleu, 2),
                 with_commas(std::llround(arm.tokens_per_second)), clock_time(arm.seconds)});
  print("\n" + numbers.text() + "\n");

  Table samples({"", "held-out sentences"});
  constexpr std::size_t shown = 3;
  const auto count = corpus.held_out.size();
  for (std::size_t k = 0; k < std::min(shown, count); ++k) {
    const auto i = k * count / shown;
    if (k > 0) samples.add({});
    samples.add({"source", corpus.held_out.source[i]});
    samples.add({"reference", corpus.held_out.target[i]});
    for (const auto& arm : arms) samples.add({arm.name, arm.translations[i]});
  }
  print(samples.text(100) + "\n");
}

void print_hints(const std::string& folder, bool generated) {
  print_formatted("Models, metrics (metrics.jsonl) and curves (loss.svg, bleu.svg) are in %s\n\n", folder.c_str());
  print_formatted(
      "Where to go from here:\n"
      "  cmake --workflow --preset release\n"
      "  echo 'Der Mann liest ein Buch.' | build/release/bin/translation translate --model %s/neural\n",
      folder.c_str());
  if (generated)
    print_formatted(
        "  build/release/bin/translation train --data %s/corpus --output_dir longer --projector neural\n"
        "  NEURAL_ATTENTION_DEMO_DATA=DIR cmake --workflow --preset demo    (your train.de, train.en, valid.*)\n",
        folder.c_str());
}

/// Whether an earlier demo trained an arm in this folder.
bool has_log(const fs::path& arm) {
  std::error_code ignored;
  return fs::exists(arm / "metrics.jsonl", ignored);
}

/// Throws ConfigError if the demo would replace the files of a training run, or a model that is not of an earlier demo.
void require_place_for_arm(const OutputDirectory& output) {
  const auto name = output.path().string();
  if (output.holds_checkpoints())
    throw na::ConfigError(name +
                          " holds the checkpoints of a training run, whose files the demo would replace; give another "
                          "--output_dir");
  if (output.holds_model() && !has_log(output.path()))
    throw na::ConfigError(name + " holds a model that is not the demo's; give another --output_dir");
}

template <class B>
int run_demo(const DemoOptions& options) {
  B backend = make_backend<B>(options.settings.compute);
  const auto folder = fs::absolute(options.output_dir);
  const auto linear = folder / "linear", neural = folder / "neural";
  OutputDirectory outputs[] = {OutputDirectory(folder), OutputDirectory(linear), OutputDirectory(neural)};
  for (const auto& output : outputs) require_place_for_arm(output);
  const bool again = has_log(linear), generated = options.data.empty();
  for (auto& output : outputs) output.create();
  const auto corpus = generated ? generated_corpus(folder / "corpus", again)
                                : given_corpus(options.data, options.source_lang, options.target_lang);
  const auto tokenizer = learn_tokenizer(corpus, options, folder);
  std::fprintf(stderr, "%s: %s training pairs, %s held out, a joint vocabulary of %d pieces\n",
               corpus.description.c_str(), with_commas(std::ssize(corpus.train.source)).c_str(),
               with_commas(std::ssize(corpus.held_out.source)).c_str(), tokenizer.tokenizer.vocab_size());

  const Interruption interruption;
  const auto stop = [&] { return interruption.requested(); };
  std::vector<ArmResult> arms;
  arms.push_back(train_arm<B, na::LinearProjections>(backend, "linear", linear.string(), corpus, tokenizer,
                                                     options.settings, stop));
  if (!arms.back().cancelled)
    arms.push_back(
        train_arm<B, na::paper::marian>(backend, "neural", neural.string(), corpus, tokenizer, options.settings, stop));
  if (arms.back().cancelled) {
    std::fprintf(stderr, "interrupted; what was finished is in %s\n", folder.string().c_str());
    return interruption.exit_code();
  }
  print_comparison(corpus, arms);
  write_curves(folder, arms);
  print_hints(fs::relative(folder).string(), generated);
  return 0;
}

}  // namespace
}  // namespace examples

int main(int argc, char** argv) {
  CLI::App app("Trains two German-English translators, with linear and with neural projections, and compares them.",
               "demo");
  const examples::DemoOptions options;
  options.add_to(app);
  return examples::run_program(app, argc, argv, [&] {
    return examples::on_device(options.settings.compute, "the demo needs little: other programs hold the rest",
                               [&]<class B>() { return examples::run_demo<B>(options); });
  });
}
