// Small studies with the training programs themselves: a truth that was planted is found, kills change no number, and a
// translator's study runs from init to its report.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE real_studies
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>

#include "common/german_english_grammar.hpp"
#include "examples/character_study.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

struct Grammar : Folder {
  Grammar() {
    const auto pairs = examples::generate(600, 3);
    std::string german[3], english[3];
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const std::size_t part = i < 500 ? 0 : i < 550 ? 1 : 2;
      german[part] += pairs[i].german + "\n";
      english[part] += pairs[i].english + "\n";
    }
    fs::create_directories(folder / "data");
    const char* const parts[] = {"train", "valid", "test"};
    for (std::size_t i = 0; i < 3; ++i) {
      write(folder / "data" / (std::string(parts[i]) + ".de"), german[i]);
      write(folder / "data" / (std::string(parts[i]) + ".en"), english[i]);
      write(folder / "data" / (std::string(parts[i]) + ".txt"), english[i]);
    }
  }

  void works(const Arguments& arguments) const {
    const auto outcome = run("projector_study", arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  }
  std::string write_study(const std::string& name, const nlohmann::json& json) const {
    write(folder / (name + ".json"), json.dump(2));
    return path(name + ".json");
  }

  /// Models of characters, the second of which trains half as long.
  nlohmann::json half() const {
    auto study = character_study(
        path("data"), 120,
        {{"n_embd", 32}, {"learning_rate", 0.003}, {"warmup_steps", 5}, {"eval_steps", 20}, {"dropout", 0.1}});
    study["seeds"] = {1, 2, 3};
    return study;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(real_studies_slow, Grammar)

BOOST_AUTO_TEST_CASE(find_that_half_the_steps_are_worse) {
  const auto file = write_study("half", half());
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "half/report.md");
  BOOST_TEST(contains(report, "| half | linear | worse |"), report);
}

BOOST_AUTO_TEST_CASE(have_the_same_numbers_after_kills_at_random_moments) {
  const auto losses = [&](const std::string& name) {
    std::string text;
    for (const auto* const arm : {"linear", "half"})
      for (const auto* const seed : {"1", "2", "3"}) {
        const auto metrics =
            content(folder / name / "runs" / (std::string(arm) + "-seed" + seed) / "output/metrics.jsonl");
        for (const auto& line : lines_of(metrics)) {
          auto row = nlohmann::json::parse(line);
          for (const auto* const time : {"seconds", "tokens_per_second"}) row.erase(time);
          text += row.dump() + "\n";
        }
      }
    return text;
  };
  const auto undisturbed = write_study("undisturbed", half());
  works({"run", undisturbed});
  const auto killed = write_study("killed", half());
  works({"plan", killed});
  std::mt19937 random(5);
  for (int kills = 0; kills < 10; ++kills) {
    Child child(folder, "projector_study", {"run", killed});
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 900));
    child.kill_at_once();
    child.wait();
  }
  works({"run", killed});
  BOOST_TEST(losses("killed") == losses("undisturbed"));
}

BOOST_AUTO_TEST_CASE(of_translators_go_from_init_to_the_report) {
  const auto file = path("translators.json");
  works({"init", "--task", "translation", "--data", path("data"), "--arms", "linear,neural", "--output", file});
  auto json = nlohmann::json::parse(content(file));
  BOOST_TEST(json["test"]["source"] == path("data/test.de"));
  const nlohmann::json sizes = {
      {"d_model", 32},         {"encoder_layers", 1},          {"decoder_layers", 1},         {"encoder_ffn_dim", 64},
      {"decoder_ffn_dim", 64}, {"encoder_attention_heads", 2}, {"decoder_attention_heads", 2}};
  write(folder / "tiny.json", sizes.dump());
  json["flags"].update({{"config", path("tiny.json")},
                        {"vocab_size", 200},
                        {"max_steps", 40},
                        {"eval_steps", 20},
                        {"warmup_steps", 5},
                        {"save_steps", 20}});
  json["tuning"]["flags"]["learning_rate"] = {0.002, 0.004};
  json["seeds"] = {1, 2};
  json["test"]["flags"] = {{"num_beams", 1}, {"max_new_tokens", 40}};
  json["calibration_steps"] = 5;
  write(file, json.dump(2));
  works({"run", file, "--jobs", "2"});
  works({"report", file});
  const auto report = content(folder / "translators/report.md");
  for (const auto* const part : {"With equal parameters", "linear-parameters-of-neural", "linear-time-of-neural",
                                 "paired bootstrap", "## Samples", "## Tuning"})
    BOOST_TEST(contains(report, part), "'" << part << "' is not in " << report);
  works({"report", file});
  BOOST_TEST(content(folder / "translators/report.md") == report);
}

BOOST_AUTO_TEST_SUITE_END()
