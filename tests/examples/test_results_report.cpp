// The report of training runs on a small made-up folder of runs, and its complaints about folders that are not right.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE results_report
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "results_report/report.hpp"

namespace fs = std::filesystem;
namespace na = neural_attention;
using namespace examples;

namespace {

/// A folder of its own, gone at the end.
struct Runs {
  Runs() {
    static int made = 0;
    path = fs::temp_directory_path() /
           ("neural_attention_report_" + na::io::platform::process_id() + "_" + std::to_string(made++));
    fs::create_directories(path);
  }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;
  ~Runs() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }

  void write(const std::string& name, std::string_view text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path path;
};

std::string final_row(int seed, double loss, double bleu, double seconds, long parameters = 1234567) {
  return R"({"final":true,"projector":"x","parameters":)" + std::to_string(parameters) + R"(,"seed":)" +
         std::to_string(seed) + R"(,"steps":200,"valid_loss":)" + std::to_string(loss) + R"(,"valid_bleu":)" +
         std::to_string(bleu) + R"(,"seconds":)" + std::to_string(seconds) + R"(,"target_tokens_per_second":4321.5})" +
         "\n";
}

std::string evaluation(int step, double seconds, double loss, double bleu) {
  return R"({"step":)" + std::to_string(step) + R"(,"epoch":1.0,"valid_loss":)" + std::to_string(loss) +
         R"(,"seconds":)" + std::to_string(seconds) + R"(,"valid_bleu":)" + std::to_string(bleu) + "}\n";
}

constexpr std::string_view step_row = R"({"step":50,"epoch":0.5,"loss":3.5,"learning_rate":0.001,"gradient_norm":1.5,)"
                                      R"("target_tokens_per_second":4000})"
                                      "\n";

std::string test_row(double bleu) {
  return R"({"test":"test_2016_flickr","bleu":)" + std::to_string(bleu) + R"(,"signature":"nrefs:1|tok:13a"})" + "\n";
}

/// The same rows as a masked language model's run has them.
std::string masked(std::string rows) {
  for (const auto& [from, to] :
       {std::pair<std::string_view, std::string_view>{"bleu", "perplexity"}, {"target_tokens", "tokens"}})
    for (auto at = rows.find(from); at != std::string::npos; at = rows.find(from, at))
      rows.replace(at, from.size(), to);
  return rows;
}

std::string masked_test_row(double perplexity) {
  return R"({"test":"wikitext-103 valid","perplexity":)" + std::to_string(perplexity) + "}\n";
}

/// Two seeds of one arm and one of another.
void fill(const Runs& runs) {
  runs.write("alone/linear-seed1/metrics.jsonl", std::string(step_row) + evaluation(100, 60, 2.5, 20) +
                                                     evaluation(200, 120, 2.0, 30) + final_row(1, 2.0, 30, 120) +
                                                     test_row(31.25));
  runs.write("alone/linear-seed2/metrics.jsonl", std::string(step_row) + evaluation(100, 66, 2.7, 18) +
                                                     evaluation(200, 132, 2.2, 33) + final_row(2, 2.2, 33, 132) +
                                                     test_row(34.25));
  runs.write("alone/neural-seed1/metrics.jsonl", evaluation(100, 90, 2.4, 22) + evaluation(200, 180, 1.9, 34) +
                                                     final_row(1, 1.9, 34, 180, 7654321) + test_row(35.0));
  runs.write("alone/about.md", "# Captions\n\nMade with `translation train`.\n");
}

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

auto says(std::string part) {
  return [part = std::move(part)](const std::exception& error) {
    BOOST_TEST_MESSAGE(error.what());
    return std::string_view(error.what()).find(part) != std::string_view::npos;
  };
}

void refused(const Runs& runs, const std::string& message) {
  BOOST_CHECK_EXCEPTION(read_experiments(runs.path), na::FileError, says(message));
}

void rows_refused(const std::string& rows, const std::string& message) {
  const Runs runs;
  runs.write("e/a-seed1/metrics.jsonl", rows);
  refused(runs, message);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(numbers)

BOOST_AUTO_TEST_CASE(spread_of_a_sample) {
  const auto spread = spread_of({2.0, 4.0, 9.0});
  BOOST_TEST(spread.mean == 5.0);
  BOOST_TEST(spread.deviation == std::sqrt(13.0), boost::test_tools::tolerance(1e-12));  // (9 + 1 + 16) / 2
  BOOST_TEST(spread.smallest == 2.0);
  BOOST_TEST(spread.largest == 9.0);
  BOOST_TEST(spread_of({7.0}).deviation == 0.0);
  BOOST_CHECK_THROW(spread_of({}), na::ConfigError);
}

BOOST_AUTO_TEST_CASE(curves_of_several_seeds_are_joined_where_all_have_values) {
  const auto curve = mean_curve("arm", {{{0, 0}, {10, 10}, {30, 30}}, {{5, 7}, {20, 22}}});
  BOOST_REQUIRE(curve.points.size() == 3u);  // at 5, 10 and 20
  BOOST_REQUIRE(curve.low.size() == 3u);
  BOOST_REQUIRE(curve.high.size() == 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const double x = std::array{5.0, 10.0, 20.0}[i];
    BOOST_TEST(curve.points[i].x == x);
    BOOST_TEST(curve.points[i].y == x + 1, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(curve.low[i] == x, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(curve.high[i] == x + 2, boost::test_tools::tolerance(1e-12));
  }
  BOOST_TEST(mean_curve("one", {{{1, 2}, {3, 4}}}).low.empty());
  BOOST_TEST(mean_curve("none", {{{1, 2}}, {}}).points.empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(report)

BOOST_AUTO_TEST_CASE(tables_prose_and_curves) {
  const Runs runs;
  fill(runs);
  runs.write("second/plain-seed7/metrics.jsonl", evaluation(10, 6, 3.0, 1) + final_row(7, 3.0, 1, 6));
  const auto experiments = read_experiments(runs.path);
  BOOST_REQUIRE(experiments.size() == 2u);
  BOOST_REQUIRE(experiments[0].arms.size() == 2u);
  BOOST_REQUIRE(experiments[0].arms[0].runs.size() == 2u);
  BOOST_TEST(experiments[0].arms[0].runs[1].seed == 2u);
  BOOST_TEST(experiments[0].arms[0].runs[1].evaluations.size() == 2u);

  const auto made = make_report(experiments, "results", "the command");
  const auto& text = made.markdown;
  BOOST_TEST_CONTEXT(text) {
    BOOST_TEST(text.starts_with("# Results\n\nGenerated by `the command`"));
    BOOST_TEST(count(text, "\n## Captions\n\nMade with `translation train`.\n\n| arm |") == 1u);
    BOOST_TEST(count(text, "\n## second\n\n| arm |") == 1u);
    BOOST_TEST(count(text,
                     "| linear | 1, 2 | 1,234,567 | 200 | 2.1 ± 0.1 (2.0 – 2.2) | 4,322 | "
                     "2.100 ± 0.141 (2.000 – 2.200) | 31.50 ± 2.12 (30.00 – 33.00) | "
                     "32.75 ± 2.12 (31.25 – 34.25) |\n") == 1u);
    BOOST_TEST(count(text, "| neural | 1 | 7,654,321 | 200 | 3.0 | 4,322 | 1.900 | 34.00 | 35.00 |\n") == 2u);
    BOOST_TEST(count(text, "| linear | 2 | 1,234,567 | 200 | 2.2 | 4,322 | 2.200 | 33.00 | 34.25 |\n") == 1u);
    BOOST_TEST(count(text, "Each run:") == 1u);
    BOOST_TEST(count(text, "BLEU signature: `nrefs:1|tok:13a`\n") == 1u);
    BOOST_TEST(count(text, "| plain | 7 | 1,234,567 | 200 | 0.1 | 4,322 | 3.000 | 1.00 |\n") == 1u);
    BOOST_TEST(count(text, "![validation loss over optimizer step](results/alone-loss.svg)\n") == 1u);
    BOOST_TEST(count(text, "(results/alone-bleu-time.svg)") == 1u);
    BOOST_TEST(text.ends_with(")\n"));
  }
  BOOST_REQUIRE(made.charts.size() == 8u);
  BOOST_TEST(made.charts[0].name == "alone-loss.svg");
  BOOST_TEST(count(made.charts[0].svg, "class=\"line ") == 2u);
  BOOST_TEST(count(made.charts[0].svg, "class=\"band ") == 1u);
}

BOOST_AUTO_TEST_CASE(masked_language_models_are_judged_by_perplexity) {
  const Runs runs;
  runs.write("masked/linear-seed1/metrics.jsonl", masked(std::string(step_row) + evaluation(0, 0, 9.0, 8103) +
                                                         evaluation(200, 120, 2.0, 7.5) + final_row(1, 2.0, 7.5, 120)) +
                                                      masked_test_row(12.25));
  runs.write("masked/linear-seed2/metrics.jsonl",
             masked(evaluation(0, 0, 9.5, 13360) + evaluation(200, 120, 2.0, 8.5) + final_row(2, 2.0, 8.5, 120)) +
                 masked_test_row(14.25));
  runs.write("masked/neural-seed1/metrics.jsonl",
             masked(evaluation(100, 90, 2.25, 9.5) + evaluation(200, 180, 1.75, 5.75) + final_row(1, 1.75, 5.75, 180)) +
                 masked_test_row(9.5));
  fill(runs);
  const auto made = make_report(read_experiments(runs.path), "results", "c");
  const auto text = made.markdown.substr(made.markdown.find("\n## masked\n"));
  BOOST_TEST_CONTEXT(text) {
    BOOST_TEST(count(text,
                     "| arm | seed | parameters | steps | minutes | tokens/s | valid loss at step 0 | valid loss | "
                     "valid perplexity | wikitext-103 valid perplexity |\n") == 2u);
    BOOST_TEST(count(text,
                     "| linear | 1, 2 | 1,234,567 | 200 | 2.0 | 4,322 | 9.2500 ± 0.3536 (9.0000 – 9.5000) | 2.000 | "
                     "8.00 ± 0.71 (7.50 – 8.50) | 13.25 ± 1.41 (12.25 – 14.25) |\n") == 1u);
    BOOST_TEST(count(text, "| neural | 1 | 1,234,567 | 200 | 3.0 | 4,322 | – | 1.750 | 5.75 | 9.50 |\n") == 2u);
    BOOST_TEST(count(text, "BLEU") == 0u);
    BOOST_TEST(count(text, "signature") == 0u);
    BOOST_TEST(count(text, "![validation perplexity over minutes of training](results/masked-perplexity-time.svg)\n") ==
               1u);
  }
  BOOST_TEST(count(made.markdown, "| target tokens/s | valid loss | valid BLEU | test_2016_flickr BLEU |\n") == 2u);
  BOOST_REQUIRE(made.charts.size() == 8u);
  BOOST_TEST(made.charts[2].name == "alone-bleu.svg");
  BOOST_TEST(made.charts[6].name == "masked-perplexity.svg");
  BOOST_TEST(count(made.charts[6].svg, ">masked: validation perplexity<") >= 1u);
  BOOST_TEST(count(made.charts[6].svg, "class=\"line ") == 2u);
}

BOOST_AUTO_TEST_CASE(a_signature_is_that_of_the_metric) {
  const Runs runs;
  runs.write("e/a-seed1/metrics.jsonl", masked(final_row(1, 2.0, 7.5, 60)) +
                                            R"({"test":"t","perplexity":7,"signature":"masks:fixed"})"
                                            "\n");
  BOOST_TEST(count(make_report(read_experiments(runs.path), "results", "c").markdown,
                   "\nperplexity signature: `masks:fixed`\n") == 1u);
}

BOOST_AUTO_TEST_CASE(runs_that_begin_with_a_trained_model_show_what_it_could_do_before) {
  const Runs runs;
  runs.write("warm-starts/linear-seed1/metrics.jsonl",
             evaluation(0, 0, 1.5, 30) + evaluation(100, 60, 1.25, 33) + final_row(1, 1.25, 33, 60));
  runs.write("warm-starts/warm_plain_neural-seed1/metrics.jsonl",
             evaluation(0, 0, 1.5, 30) + evaluation(100, 90, 1.125, 34) + final_row(1, 1.125, 34, 90));
  runs.write("warm-starts/fresh_neural-seed1/metrics.jsonl", evaluation(100, 90, 2.5, 20) + final_row(1, 2.5, 20, 90));
  const auto made = make_report(read_experiments(runs.path), "results", "c");
  BOOST_TEST_CONTEXT(made.markdown) {
    BOOST_TEST(count(made.markdown, "| target tokens/s | valid loss at step 0 | valid loss | valid BLEU |\n") == 1u);
    BOOST_TEST(count(made.markdown,
                     "| warm_plain_neural | 1 | 1,234,567 | 200 | 1.5 | 4,322 | 1.5000 | 1.125 | 34.00 "
                     "|\n") == 1u);
    BOOST_TEST(count(made.markdown, "| fresh_neural | 1 | 1,234,567 | 200 | 1.5 | 4,322 | – | 2.500 | 20.00 |\n") ==
               1u);
  }
  BOOST_REQUIRE(made.charts.size() == 4u);
  BOOST_TEST(count(made.charts[0].svg, ">warm_plain_neural<") >= 1u);
}

BOOST_AUTO_TEST_CASE(a_text_on_all_experiments_stands_above_them) {
  const Runs runs, out;
  fill(runs);
  runs.write("about.md", "# Recipes\n\nWhat they reach.\n");
  write_report(runs.path, out.path / "recipes.md", "c");
  const auto text = out.read("recipes.md");
  BOOST_TEST(text.starts_with("# Recipes\n\nGenerated by `c` from the metrics of the runs; do not edit.\n\n"
                              "What they reach.\n\n- **minutes**"),
             text);
}

BOOST_AUTO_TEST_CASE(files_are_the_same_every_time) {
  const Runs runs, out;
  fill(runs);
  write_report(runs.path, out.path / "results.md", "a");
  const auto first = out.read("results.md"), curve = out.read("results/alone-loss-time.svg");
  BOOST_TEST(first.size() > 500u);
  BOOST_TEST(curve.starts_with("<svg"));
  write_report(runs.path, out.path / "results.md", "a");
  BOOST_TEST(out.read("results.md") == first);
  BOOST_TEST(out.read("results/alone-loss-time.svg") == curve);
  BOOST_CHECK_THROW(write_report(runs.path, out.path / "results.html", "a"), na::ConfigError);
}

BOOST_AUTO_TEST_CASE(a_run_without_bleu_has_a_dash_and_no_curve) {
  const Runs runs;
  runs.write("e/a-seed1/metrics.jsonl",
             R"({"step":5,"valid_loss":2.0,"seconds":1.0})"
             "\n"
             R"({"final":true,"parameters":10,"seed":1,"steps":5,"valid_loss":2.0,"valid_bleu":null,"seconds":60,)"
             R"("target_tokens_per_second":7})"
             "\n");
  const auto made = make_report(read_experiments(runs.path), "results", "c");
  BOOST_TEST(count(made.markdown, "| a | 1 | 10 | 5 | 1.0 | 7 | 2.000 | – |\n") == 1u);
  BOOST_TEST(made.charts.size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(complaints)

BOOST_AUTO_TEST_CASE(what_is_missing_is_named) {
  const Runs runs;
  BOOST_CHECK_EXCEPTION(read_experiments(runs.path / "nowhere"), na::FileError, says("nowhere: cannot be listed"));
  refused(runs, "holds no experiments");
  runs.write("e/about.md", "prose");
  refused(runs, "e: holds no runs");
  fs::create_directories(runs.path / "e/a-seed1");
  refused(runs, "metrics.jsonl: cannot open");
  runs.write("e/a-seed1/metrics.jsonl", step_row);
  refused(runs, "has no final row");
}

BOOST_AUTO_TEST_CASE(folders_need_an_arm_and_a_seed) {
  for (const char* name : {"linear", "linear-seed", "linear-seedx", "linear-seed1x", "-seed1", "linear-seed-1"}) {
    const Runs runs;
    runs.write(std::string("e/") + name + "/metrics.jsonl", final_row(1, 1, 1, 1));
    refused(runs, "must be named <arm>-seed<N>");
  }
  const Runs runs;
  runs.write("e/a b-seed1/metrics.jsonl", final_row(1, 1, 1, 1));
  refused(runs, "must be named with letters");
}

BOOST_AUTO_TEST_CASE(rows_are_checked) {
  const auto good = final_row(1, 1, 1, 1);
  rows_refused("{\"step\":1}\n{\"st", "metrics.jsonl: line 2: is not valid JSON");
  rows_refused("[1]\n", "line 1: is not a JSON object");
  rows_refused("{\"x\":1}\n", "line 1: is neither");
  rows_refused("{\"valid_loss\":1.0,\"step\":1}\n", "line 1: lacks the key \"seconds\"");
  rows_refused("{\"final\":true,\"seed\":1}\n", "line 1: lacks the key \"parameters\"");
  rows_refused(good + good, "line 2: is a second final row");
  rows_refused(final_row(3, 1, 1, 1), "with seed 3, but its folder says seed 1");
  rows_refused(good + test_row(1) + test_row(2), "line 3: is a second result on \"test_2016_flickr\"");
  rows_refused(evaluation(20, 2, 1, 1) + evaluation(10, 3, 1, 1) + good, "not in the order of their steps");
}

BOOST_AUTO_TEST_CASE(a_run_has_one_metric) {
  const std::string common = R"({"final":true,"parameters":10,"seed":1,"steps":5,"valid_loss":2.0,"seconds":60)";
  rows_refused(common + R"(,"tokens_per_second":7})",
               R"(line 1: lacks the metric, "valid_bleu" or "valid_perplexity")");
  rows_refused(common + R"(,"valid_perplexity":7.4,"target_tokens_per_second":7})",
               R"(line 1: lacks the key "tokens_per_second")");
  rows_refused(masked(evaluation(5, 1, 1, 1)) + final_row(1, 1, 1, 1), "line 2: has BLEU in a run with perplexity");
  rows_refused(final_row(1, 1, 1, 1) + masked_test_row(2), "line 2: has perplexity in a run with BLEU");
  rows_refused(final_row(1, 1, 1, 1) + R"({"test":"t","chrf":60})", R"(line 2: lacks a score, "bleu" or "perplexity")");
}

BOOST_AUTO_TEST_CASE(runs_of_an_experiment_share_the_metric) {
  const Runs runs;
  runs.write("e/a-seed1/metrics.jsonl", final_row(1, 1, 1, 1));
  runs.write("e/b-seed1/metrics.jsonl", masked(final_row(1, 1, 1, 1)));
  const auto file = [&](const char* run) { return (runs.path / "e" / run / "metrics.jsonl").string(); };
  refused(runs, file("b-seed1") + ": is judged by perplexity, but " + file("a-seed1") + " by BLEU");
}

BOOST_AUTO_TEST_CASE(runs_of_an_arm_must_be_alike) {
  const Runs runs;
  runs.write("e/a-seed1/metrics.jsonl", final_row(1, 1, 1, 1));
  runs.write("e/a-seed2/metrics.jsonl", final_row(2, 1, 1, 1, 99));
  refused(runs, "with 99 parameters");
  runs.write("e/a-seed2/metrics.jsonl", final_row(2, 1, 1, 1) + test_row(5));
  refused(runs, "has no result on \"test_2016_flickr\"");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(committed)

BOOST_AUTO_TEST_CASE(the_report_in_the_documentation_is_that_of_its_runs) {
  const fs::path docs = fs::path(NEURAL_ATTENTION_GOLDEN_DIR).parent_path().parent_path() / "docs";
  if (!fs::exists(docs / "results" / "runs")) {
    BOOST_TEST_MESSAGE("SKIPPED: there are no runs in " << (docs / "results").string());
    return;
  }
  const auto runs = docs / "results" / "runs";
  const auto made = make_report(read_experiments(runs), "recipes",
                                report_command("docs/results/runs", "docs/results/recipes.md"), read_about(runs));
  std::ifstream file(docs / "results" / "recipes.md", std::ios::binary);
  const std::string written{std::istreambuf_iterator<char>(file), {}};
  BOOST_TEST((made.markdown == written), "docs/results/recipes.md is not what results_report makes of its runs");
  BOOST_TEST(!made.charts.empty());
  std::set<std::string> charts, kept;
  for (const auto& chart : made.charts) charts.insert(chart.name);
  for (const auto& chart : fs::directory_iterator(docs / "results" / "recipes"))
    kept.insert(chart.path().filename().string());
  BOOST_TEST(kept == charts, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
