// study.json: what it says, what is refused, and tuning by its grid.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE study_config
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "neural_attention/study/fingerprint.hpp"
#include "neural_attention/study/study_config.hpp"
#include "neural_attention/study/tuning.hpp"

namespace na = neural_attention;
using namespace neural_attention::study;

namespace {

nlohmann::json usual() {
  return nlohmann::json::parse(R"({
    "format": 1, "task": "causal_lm",
    "flags": {"data": "text", "max-steps": 100, "dropout": 0.1, "bias": false},
    "arms": [{"name": "linear", "flags": {"projector": "linear"}},
             {"name": "neural", "flags": {"projector": "neural", "dropout": 0}}],
    "control": "linear", "matchings": ["steps", "time"], "measure": "loss", "smallest_difference": 0.01,
    "tuning": {"flags": {"learning_rate": [0.001, 0.002], "warmup_steps": [10, 20, 30]}, "seeds": [9]},
    "seeds": [1, 2, 3]})");
}

StudyConfig read(const nlohmann::json& json) { return study_of(json.dump(), "study.json"); }

/// The sentence with which a changed study is refused.
std::string refusal(const std::string& pointer, const nlohmann::json& value) {
  auto json = usual();
  const nlohmann::json::json_pointer at(pointer);
  if (value.is_discarded())
    json.at(at.parent_pointer()).erase(at.back());
  else
    json[at] = value;
  try {
    read(json);
  } catch (const na::FileError& error) {
    BOOST_TEST(error.path() == "study.json");
    return error.what();
  }
  return "accepted";
}

void refused(const std::string& pointer, const nlohmann::json& value, const std::string& part) {
  const auto message = refusal(pointer, value);
  BOOST_TEST(message.find(part) != std::string::npos, "'" << part << "' is not in: " << message);
}

const nlohmann::json nothing(nlohmann::json::value_t::discarded);

}  // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(is_read_with_flags_as_on_the_command_line) {
  const auto study = read(usual());
  BOOST_TEST(study.program == "causal_lm");
  BOOST_TEST((study.flags == FlagSet{{"data", "text"}, {"max_steps", "100"}, {"dropout", "0.1"}, {"bias", "false"}}));
  BOOST_TEST(merged(study.flags, study.arm("neural").flags).at("dropout") == "0");
  BOOST_TEST((study.matchings == std::vector{Matching::Steps, Matching::Time}));
  BOOST_TEST(study.match_by == "feed_forward_width");
  BOOST_TEST((study.grid.at("warmup_steps") == std::vector<std::string>{"10", "20", "30"}));
  BOOST_TEST((study.seeds == std::vector<std::uint64_t>{1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(is_the_same_when_it_is_written_and_read_again) {
  auto json = usual();
  json["test"] = {{"text", "test.txt"}, {"flags", {{"stride", 8}}}};
  json["program"] = "./mine";
  json["launcher"] = nlohmann::json::array({"mpirun", "-n", "2"});
  json["convergence"] = true;
  json["base"] = {{"max_steps", 5}};
  json["title"] = "Smörgåsbord, \"quoted\"";
  json["about"] = "What it asks.\nMore.";
  const auto study = read(json);
  BOOST_TEST(study.title == "Smörgåsbord, \"quoted\"");
  BOOST_TEST(study.about == "What it asks.\nMore.");
  BOOST_TEST(study.convergence);
  BOOST_TEST(study.base.value().at("max_steps") == "5");
  const auto again = study_of(study_text(study), "again.json");
  BOOST_TEST(study_text(again) == study_text(study));
  BOOST_TEST(changed_key(study, again) == "");
}

BOOST_AUTO_TEST_CASE(says_which_key_has_changed) {
  const auto study = read(usual());
  const auto changed = [&](const std::string& pointer, const nlohmann::json& value) {
    auto json = usual();
    json[nlohmann::json::json_pointer(pointer)] = value;
    return changed_key(study, read(json));
  };
  BOOST_TEST(changed("/smallest_difference", 0.02) == "smallest_difference");
  BOOST_TEST(changed("/arms/1/flags/dropout", 0.2) == "arms");
  BOOST_TEST(changed("/flags/max-steps", 200) == "flags");
  BOOST_TEST(changed("/program", "other") == "program");
  BOOST_TEST(changed("/launcher", nlohmann::json::array({"srun"})) == "launcher");
  BOOST_TEST(changed("/seeds", {1, 2, 3, 4}) == "seeds");
  // Words for readers change no run.
  BOOST_TEST(changed("/title", "A title") == "");
  BOOST_TEST(changed("/about", "What it asks") == "");
}

BOOST_AUTO_TEST_CASE(refuses_runs_that_cannot_be) {
  const auto message = [](nlohmann::json changes) {
    auto json = usual();
    json.merge_patch(changes);
    try {
      read(json);
    } catch (const na::FileError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const nlohmann::json base = {{"max_steps", 5}}, no_steps = {{"max-steps", nullptr}};
  const auto says = [&](const nlohmann::json& changes, const std::string& part) {
    const auto sentence = message(changes);
    BOOST_TEST(sentence.find(part) != std::string::npos, "'" << part << "' is not in: " << sentence);
  };
  says({{"convergence", true}}, "accepted");
  says({{"convergence", true}, {"flags", no_steps}}, "\"convergence\" doubles max_steps, so the control must set it");
  says({{"convergence", true}, {"flags", {{"max-steps", 0}}}}, "\"convergence\" doubles max_steps");
  // Batches of another size are other steps only where epochs count.
  const nlohmann::json batches = {{"flags", {{"per_device_train_batch_size", {8, 16}}}}}, steps = {"steps"};
  says({{"matchings", steps}, {"tuning", batches}}, "accepted");
  for (const auto& epochs : {no_steps, nlohmann::json({{"max-steps", -1}})})
    says({{"matchings", steps}, {"tuning", batches}, {"flags", epochs}},
         "\"tuning\" must not change \"per_device_train_batch_size\", which changes what arms and controls have in "
         "common");
  says({{"base", base}}, "accepted");
  says({{"base", base}, {"matchings", {"flops"}}}, "cannot have \"flops\" with \"base\"");
  says({{"base", base}, {"flags", {{"model", "x"}}}}, "no arm may have the flag \"model\"");
  const nlohmann::json unseen = {{"eval_strategy", "no"}};
  const std::string sentence = "no run may have the flag \"eval_strategy\" \"no\"";
  says({{"flags", {{"eval_strategy", "steps"}}}}, "accepted");
  says({{"flags", unseen}}, sentence);
  says({{"base", unseen}}, sentence);
  says({{"arms", {{{"name", "linear"}, {"flags", unseen}}, {{"name", "neural"}}}}}, sentence);
  says({{"tuning", {{"flags", {{"eval_strategy", {"epoch", "no"}}}}}}}, sentence);
}

BOOST_AUTO_TEST_CASE(refuses_every_wrong_key_by_its_name) {
  refused("/format", 2, "\"format\" must be 1");
  refused("/task", "casual_lm",
          "\"task\" must be translation, masked_lm or causal_lm, not \"casual_lm\" (did you mean");
  refused("/task", nothing, "lacks the key \"task\"");
  refused("/seedz", 1, "there is no key \"seedz\" (did you mean \"seeds\"?)");
  refused("/flags/seed", 1, "\"flags.seed\" must not have the flag \"seed\"");
  refused("/flags/data", "", "\"flags.data\" must be a string that is not empty");
  refused("/flags/data", nlohmann::json::array({1}), "\"flags.data\"");
  refused("/flags/--data", "x", "without dashes");
  refused("/arms", nlohmann::json::array(), "at least two arms");
  refused("/arms/1/name", "linear", "two arms have the name \"linear\"");
  refused("/arms/1/name", "paper::x", "unlike \"paper::x\"");
  refused("/arms/1/name", "tune-x", "unlike \"tune-x\"");
  refused("/arms/1/flags", {{"projector", "linear"}}, "have the same flags");
  refused("/arms/1/flag", 1, "did you mean \"flags\"?");
  refused("/control", "liner", "\"control\" must be one of the arms, not \"liner\" (did you mean \"linear\"?)");
  refused("/matchings/1", "flop", "did you mean \"flops\"?");
  refused("/matchings/1", "steps", "has \"steps\" twice");
  refused("/measure", "bleu", "does not belong to the task");
  refused("/measure", nothing, "lacks the key \"measure\"");
  refused("/smallest_difference", -0.1, "\"smallest_difference\" must be a number of at least 0");
  refused("/smallest_difference", nothing, "lacks the key \"smallest_difference\"");
  refused("/seeds", {1}, "2 to 1000 seeds");
  refused("/title", "", "\"title\" must be a string that is not empty");
  refused("/title", 1, "\"title\" must be a string");
  refused("/title", "two\nlines", "\"title\" must be one line");
  refused("/title", std::string(121, 'x'), "\"title\" must have at most 120 bytes, not 121");
  refused("/about", nlohmann::json::array(), "\"about\" must be a string");
  refused("/about", std::string(2001, 'x'), "\"about\" must have at most 2,000 bytes, not 2,001");
  nlohmann::json many = nlohmann::json::array();
  for (int seed = 10; seed < 1010; ++seed) many.push_back(seed);
  refused("/seeds", many, "accepted");
  many.push_back(1010);
  refused("/seeds", many, "2 to 1000 seeds, not 1001");
  refused("/seeds", {1, 1}, "has a seed twice");
  refused("/seeds", {1, -1}, "must be a list of seeds");
  refused("/tuning/seeds", {3}, "share the seed 3");
  refused("/tuning/flags/warmup_steps", {10, 10}, "has a value twice");
  refused("/tuning/flags/warmup_steps", 10, "\"tuning.flags.warmup_steps\" must be a list");
  refused("/tuning/flags", nlohmann::json::object(), "has no flag to tune");
  refused("/tuning/flags/dropout", {0, 0.1}, "must not change \"dropout\", which makes the arm \"neural\"");
  refused("/tuning/flags/max_steps", {10, 20},
          "must not change \"max_steps\", which changes what arms and controls have in common");
  refused("/tuning/flags/num_train_epochs", {1, 2}, "must not change \"num_train_epochs\"");
  for (const std::string flag : {"mini_batch_words", "block_size", "max_source_length", "threads"})
    refused("/tuning/flags/" + flag, {10, 20}, "must not change \"" + flag + "\"");
  refused("/tuning/seed", 1, "there is no key \"tuning\" > \"seed\" (did you mean \"seeds\"?)");
  refused("/test", {{"source", "a"}}, "there is no key");
  refused("/launcher", nlohmann::json::array(), "\"launcher\" must be a list of words");
  refused("/launcher", "mpirun", "\"launcher\" must be a list of words");
  refused("/launcher", nlohmann::json::array({"mpirun", ""}), "\"launcher\" must be a list of words");
  refused("/calibration_steps", 0, "from 1 to 10000");
  refused("/convergence", 1, "\"convergence\" must be true or false, but is");
  refused("/arms/1/name", "twice-x", "unlike \"twice-x\"");
  refused("/base", 1, "\"base\" must be an object");
  refused("/base", {{"seed", 1}}, "must not have the flag \"seed\"");
  BOOST_CHECK_THROW(study_of("[1]", "study.json"), na::FileError);
  BOOST_CHECK_THROW(study_of("", "study.json"), na::FileError);
}

BOOST_AUTO_TEST_CASE(of_translations_is_judged_by_what_can_be_measured) {
  auto json = usual();
  json["task"] = "translation";
  json["measure"] = "chrf";
  BOOST_CHECK_THROW(read(json), na::FileError);
  json["test"] = {{"source", "a"}, {"reference", "b"}};
  BOOST_TEST(read(json).test.source == "a");
  json["measure"] = "perplexity";
  BOOST_CHECK_THROW(read(json), na::FileError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(tuning)

const Grid grid = {{"a", {"1", "2", "3"}}, {"b", {"x", "y"}}};
constexpr double infinity = std::numeric_limits<double>::infinity();

BOOST_AUTO_TEST_CASE(tries_all_combinations) {
  const auto settings = settings_of(grid);
  BOOST_REQUIRE(settings.size() == 6u);
  BOOST_TEST((settings[0] == FlagSet{{"a", "1"}, {"b", "x"}}));
  BOOST_TEST((settings[1] == FlagSet{{"a", "1"}, {"b", "y"}}));
  BOOST_TEST((settings[5] == FlagSet{{"a", "3"}, {"b", "y"}}));
  BOOST_TEST(settings_of({}).size() == 1u);
}

BOOST_AUTO_TEST_CASE(chooses_the_smallest_mean) {
  const auto chosen = choose_setting(grid, {{5, 5}, {4, 4}, {1, 9}, {3, 4}, {6, 6}, {7, 7}});
  BOOST_REQUIRE(chosen.has_value());
  BOOST_TEST(chosen->setting == 3u);
  BOOST_TEST(chosen->mean_loss == 3.5);
  BOOST_TEST(chosen->at_edge.empty());  // a is 2, and b has no order
}

BOOST_AUTO_TEST_CASE(says_that_the_best_value_stands_at_the_edge) {
  for (const std::size_t best : {0u, 1u, 4u, 5u}) {
    std::vector<std::vector<double>> losses(6, {2.0});
    losses[best] = {1.0};
    BOOST_TEST((choose_setting(grid, losses)->at_edge == std::vector<std::string>{"a"}));
  }
}

BOOST_AUTO_TEST_CASE(never_chooses_what_diverged) {
  const auto chosen = choose_setting(grid, {{infinity, 0}, {2, 2}, {2, 2}, {9, 9}, {9, 9}, {9, 9}});
  BOOST_TEST(chosen->setting == 1u);
  BOOST_TEST(!choose_setting({}, {{infinity}}));
  BOOST_CHECK_THROW(choose_setting(grid, {{1.0}}), na::ShapeError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(fingerprint)

BOOST_AUTO_TEST_CASE(is_that_of_the_published_vectors) {
  // FNV-1a of the bytes "1:a", by the definition: an empty text leaves "0:".
  const auto of = [](const std::string& bytes) {
    std::uint64_t state = 14695981039346656037u;
    for (const char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211u;
    std::string digits(16, '0');
    for (std::size_t i = 16; i-- > 0; state >>= 4) digits[i] = "0123456789abcdef"[state & 15];
    return digits;
  };
  Fingerprint one, two;
  one.add("a");
  BOOST_TEST(one.text() == of("1:a"));
  one.add("bc");
  two.add("ab");
  two.add("c");
  BOOST_TEST(one.text() != two.text());
}

BOOST_AUTO_TEST_CASE(of_a_folder_changes_with_contents_and_names) {
  namespace fs = std::filesystem;
  const auto folder = fs::temp_directory_path() / ("na_fingerprint_" + std::to_string(getpid()));
  fs::create_directories(folder / "inner");
  const auto write = [&](const char* name, const char* text) { std::ofstream(folder / name) << text; };
  write("a", "one");
  write("b", "two");
  const auto before = fingerprint_of(folder);
  BOOST_TEST(fingerprint_of(folder) == before);
  write("b", "twO");
  const auto changed = fingerprint_of(folder);
  BOOST_TEST(changed != before);
  write("b", "two");
  BOOST_TEST(fingerprint_of(folder) == before);
  fs::rename(folder / "b", folder / "c");
  BOOST_TEST(fingerprint_of(folder) != before);
  BOOST_TEST(fingerprint_of(folder / "a") != fingerprint_of(folder / "c"));
  BOOST_CHECK_THROW(fingerprint_of(folder / "nothing"), na::FileError);
  const auto without = fingerprint_of(folder);
  write("study.json", "{}");
  BOOST_TEST(fingerprint_of(folder) != without);
  BOOST_TEST(fingerprint_of(folder, folder / "inner/../study.json") == without);
  BOOST_TEST(fingerprint_of(folder / "a", folder / "a") == fingerprint_of(folder / "a"));
  fs::remove_all(folder);
}

BOOST_AUTO_TEST_SUITE_END()
