// The shell commands of the README and its neighbours, of docs/ and of the programs' own help: their programs, flags,
// presets and files exist. The program of translation.md runs, after commands as the pages show them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE commands
#include <zlib.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "docs/documents.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

/// Each program and its commands.
const std::map<std::string, std::vector<std::string>> commands_of_programs = {
    {"translation", {"train", "evaluate", "translate", "quantize"}},
    {"masked_lm", {"train", "evaluate", "fill", "quantize"}},
    {"causal_lm", {"train", "evaluate", "generate", "tokenize", "quantize"}},
    {"projector_study", {"init", "plan", "run", "report", "summary"}},
    {"demo", {}},
    {"custom_projector", {}},
    {"results_report", {}},
    {"quickstart", {}}};

/// What the documents call beside them, whose words are not looked at.
const std::set<std::string> other_programs = {"sudo",  "git",          "mkdir", "cp",   "cd",   "export", "g++",
                                              "ctest", "pkg-config",   "for",   "do",   "done", "unzip",  "awk",
                                              "echo",  "my_projector", "curl",  "head", "tail"};

/// Flags of CMake, pkg-config, binutils and MPI's launchers that the prose names.
const std::set<std::string> other_flags = {"--workflow", "--preset", "--build",   "--target",   "--install",
                                           "--prefix",   "--cflags", "--libs",    "--test_dir", "--keep_global_symbol",
                                           "--host",     "--map_by", "--bind_to", "--mpi",      "--oversubscribe"};

/// `-` and `_` are alike.
std::string normalised(std::string flag) {
  std::replace(flag.begin() + 2, flag.end(), '-', '_');
  return flag;
}

/// Those that stand in `text`.
std::set<std::string> flags_in(const std::string& text) {
  static const std::regex flag(R"((^|[^A-Za-z0-9_-])(--[A-Za-z][A-Za-z0-9_-]*))");
  std::set<std::string> result;
  for (std::sregex_iterator found(text.begin(), text.end(), flag), end; found != end; ++found)
    result.insert(normalised((*found)[2]));
  return result;
}

/// Those that a help describes: the first word of a line, which may be several names.
std::set<std::string> flags_of_help(const std::string& help) {
  std::set<std::string> result;
  for (const auto& line : lines_of(help)) {
    const auto begin = line.find_first_not_of(' ');
    if (begin != std::string::npos && line[begin] == '-')
      result.merge(flags_in(line.substr(begin, line.find(' ', begin) - begin)));
  }
  return result;
}

struct Help : Folder {
  Help() {
    for (const auto& [program, commands] : commands_of_programs) {
      if (program == "quickstart") continue;  // it has no flags
      ask(program, {});
      for (const auto& command : commands) ask(program, {command});
    }
    std::ifstream file(documents::source_folder() / "CMakePresets.json");
    const auto known_presets = nlohmann::json::parse(file);
    for (const auto& preset : known_presets.at("workflowPresets")) presets.insert(preset.at("name").get<std::string>());
  }

  void ask(const std::string& program, Arguments arguments) {
    const auto name = program + (arguments.empty() ? "" : " " + arguments.front());
    arguments.emplace_back("--help");
    const auto outcome = run(program, arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, name << " --help: " << outcome.err);
    texts[name] = outcome.out;
    flags[name] = flags_of_help(outcome.out);
  }

  void check(const std::string& place, const std::vector<std::string>& words) {
    const auto complain = [&](const std::string& what) { BOOST_ERROR(place << ": " << what); };
    const auto program = fs::path(words.front()).filename().string();
    if (const auto known = commands_of_programs.find(program); known != commands_of_programs.end()) {
      auto name = program;
      if (!known->second.empty()) {
        if (words.size() < 2 || std::ranges::find(known->second, words[1]) == known->second.end())
          return complain(program + " has no such command");
        name += " " + words[1];
      }
      for (const auto& word : words)
        for (const auto& flag : word.starts_with("--") ? flags_in(word) : std::set<std::string>{})
          if (!flags[name].contains(flag)) complain(name + " has no flag " + flag);
      ++checked;
    } else if (program == "mpirun" || program == "srun") {
      const auto started =
          std::ranges::find_if(words, [](const auto& word) { return commands_of_programs.contains(word); });
      if (started == words.end()) return complain(program + " starts none of the programs");
      check(place, {started, words.end()});
    } else if (program == "cmake") {
      const auto preset = std::ranges::find(words, "--preset");
      if (preset != words.end() && (preset + 1 == words.end() || !presets.contains(preset[1])))
        complain("there is no such preset for workflows");
      ++checked;
    } else if (program.starts_with("python") || program == "pip" || words.front().starts_with("tests/")) {
      for (const auto& word : words)
        if ((word.ends_with(".py") || word.ends_with(".txt") || word.ends_with(".sh")) && word.find('/') != word.npos &&
            !fs::exists(documents::source_folder() / word))
          complain("there is no " + word);
      ++checked;
    } else if (!other_programs.contains(program)) {
      complain("this test does not know how to check " + program);
    }
  }

  std::map<std::string, std::string> texts;
  std::map<std::string, std::set<std::string>> flags;
  std::set<std::string> presets;
  int checked = 0;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(flags, Help)

BOOST_AUTO_TEST_CASE(of_shell_blocks_exist) {
  for (const auto& document : documents::all())
    for (const auto& block : document.blocks)
      if (block.language == "sh")
        for (const auto& command : documents::commands_of(block.text)) check(block.place, command);
  BOOST_TEST(checked > 25);
}

// What it builds runs on other processors.
BOOST_AUTO_TEST_CASE(of_the_preset_portable_choose_no_instructions) {
  std::ifstream file(documents::source_folder() / "CMakePresets.json");
  const auto all = nlohmann::json::parse(file);
  std::map<std::string, nlohmann::json> known;
  for (const auto& preset : all.at("configurePresets")) known[preset.at("name").get<std::string>()] = preset;
  const auto value = [&](std::string preset, const std::string& variable) {
    for (;; preset = known.at(preset).at("inherits").get<std::string>())
      if (const auto own = known.at(preset).value("cacheVariables", nlohmann::json::object()); own.contains(variable))
        return own.at(variable).get<std::string>();
  };
  for (const char* const flags_of : {"CMAKE_CXX_FLAGS", "CMAKE_CXX_FLAGS_RELEASE"}) {
    BOOST_TEST(value("portable", flags_of).find("-m") == std::string::npos, flags_of);
    BOOST_TEST(value("release", flags_of).find("-O") == value("portable", flags_of).find("-O"));
  }
  BOOST_TEST(value("release", "CMAKE_CXX_FLAGS").find("-march=native") == 0u);
  BOOST_TEST(value("portable", "NEURAL_ATTENTION_CPU_TARGETS") == "AUTO");
  BOOST_TEST(value("portable", "NEURAL_ATTENTION_BUILD_EXAMPLES") == "ON");
}

BOOST_AUTO_TEST_CASE(of_the_prose_exist) {
  std::set<std::string> known = other_flags;
  for (const auto& [name, of_one] : flags) known.insert(of_one.begin(), of_one.end());
  for (const std::string scripts : {"tests/reference", "bench/peers", "examples/translation"})
    for (const auto& script : fs::directory_iterator(documents::source_folder() / scripts))
      if (script.path().extension() == ".py") known.merge(flags_in(documents::text_of(script.path())));
  std::size_t found = 0;
  for (const auto& document : documents::all()) {
    const bool of_others = document.path.filename() == "migration.md";  // its tables begin with flags of other programs
    for (const auto& code :
         documents::code_of(of_others ? documents::without_first_cells(document.prose) : document.prose))
      for (const auto& flag : flags_in(code)) {
        BOOST_TEST(known.contains(flag), document.path.filename() << ": no program has the flag " << flag);
        ++found;
      }
  }
  BOOST_TEST(found > 50u);
}

BOOST_AUTO_TEST_CASE(of_the_manual_pages_are_those_of_the_help) {
  std::map<std::string, std::set<std::string>> of_programs = {{"quickstart", {}}};
  for (const auto& [name, of_one] : flags)
    of_programs[name.substr(0, name.find(' '))].insert(of_one.begin(), of_one.end());
  for (const auto& [program, wanted] : of_programs) {
    const auto path = fs::path(NEURAL_ATTENTION_BIN_DIR).parent_path() / "share/man/man1" / (program + ".1");
    std::string described;  // the first words of tags
    auto page = documents::text_of(path);
    BOOST_TEST(!page.empty(), path << " is missing");
    for (auto found = page.find("\\-"); found != page.npos; found = page.find("\\-", found)) page.erase(found, 1);
    const auto lines = lines_of(page);
    for (std::size_t i = 1; i < lines.size(); ++i)
      if (lines[i - 1] == ".TP" && lines[i].starts_with("\\fB-"))
        described += lines[i].substr(3, lines[i].find("\\fR") - 3) + "\n";
    for (const auto& flag : wanted) BOOST_TEST(flags_in(described).contains(flag), path << " lacks " << flag);
    BOOST_TEST(flags_in(described).size() == wanted.size(), path << " describes a flag that does not exist");
  }
}

BOOST_AUTO_TEST_CASE(of_the_scripts_behind_the_results_exist) {
  for (const auto& [script, program] :
       {std::pair("run_multi30k.sh", "translation"), std::pair("run_tinyshakespeare.sh", "causal_lm")}) {
    auto known = flags[program + std::string(" train")];
    known.merge(std::set(flags[program + std::string(" evaluate")]));
    for (const auto& flag : flags_in(documents::text_of(documents::source_folder() / "docs/results" / script)))
      BOOST_TEST((known.contains(flag) || other_flags.contains(flag)), script << ": there is no flag " << flag);
  }
}

BOOST_AUTO_TEST_CASE(of_the_examples_in_the_help_exist) {
  for (const auto& [name, text] : texts)
    for (const auto& line : lines_of(text))
      for (const auto& command : line.starts_with("  ") && line.find("  -") != 0
                                     ? documents::commands_of(line)
                                     : std::vector<std::vector<std::string>>{})
        if (commands_of_programs.contains(command.front()) && command.size() > 1) check(name + " --help", command);
  BOOST_TEST(checked > 10);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(examples_of_the_documents)

BOOST_AUTO_TEST_CASE(stand_word_for_word_in_the_program_that_the_page_names) {
  const auto program = documents::text_of(documents::source_folder() / "examples/custom_projector.cpp");
  int found = 0;
  for (const auto& block : documents::read(documents::source_folder() / "docs/projectors.md").blocks)
    if (block.text.starts_with("template <") && !contains(block.text, "ProjectorName") &&
        !contains(block.text, "std::printf")) {  // the program prints by a function of its own
      BOOST_TEST(contains(program, block.text), block.place << " is not in examples/custom_projector.cpp");
      ++found;
    }
  BOOST_TEST(found == 2);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// A folder in which the commands of the documents find what they name, small. It is the current folder.
struct Reader : Folder {
  Reader() : before(fs::current_path()) {
    fs::current_path(folder);
    const auto parts = examples::split(examples::generate(500, 3), 200, 30, 30);
    save("multi30k/train", parts.train, "");
    save("multi30k/valid", parts.valid, "");
    save("multi30k/test_2016_flickr", parts.test, ".gz");
  }
  ~Reader() {
    std::error_code ignored;
    fs::current_path(before, ignored);
  }

  static void save(const std::string& name, const std::vector<examples::SentencePair>& pairs,
                   const std::string& ending) {
    std::string german, english;
    for (const auto& pair : pairs) german += pair.german + "\n", english += pair.english + "\n";
    put(name + ".de" + ending, german);
    put(name + ".en" + ending, english);
  }

  /// A file, compressed where its name says so.
  static void put(const fs::path& path, const std::string& text) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    if (path.extension() != ".gz") return write(path, text);
    const gzFile file = gzopen(path.c_str(), "wb");
    BOOST_REQUIRE(gzwrite(file, text.data(), unsigned(text.size())) == int(text.size()));
    gzclose(file);
  }

  void succeeds(const std::string& place, const std::string& program, const Arguments& arguments,
                const std::string& input = "Ein Hund schläft.\n") const {
    const auto outcome = run(program, arguments, input);
    std::string words;
    for (const auto& argument : arguments) words += " " + argument;
    BOOST_TEST(outcome.code == 0,
               place << ": " << program << words << " ends with " << outcome.code << ": " << outcome.err);
  }

  /// Training as the documents show it, but a step with a small vocabulary.
  static Arguments shortened(const std::string& program, Arguments arguments) {
    if (arguments.front() != "train") return arguments;
    arguments.insert(arguments.end(), {"--max_steps", "1"});
    const auto says = [&](const char* flag) { return std::ranges::find(arguments, flag) != arguments.end(); };
    const bool reads_tokens = program == "causal_lm" && (says("--tokenizer") || says("tokens"));
    if (!says("--model") && !reads_tokens)
      arguments.insert(arguments.end(), {"--vocab_size", program == "translation" ? "200" : "300"});
    return arguments;
  }

  fs::path before;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(programs_of_the_pages, Reader)

BOOST_AUTO_TEST_CASE(the_translator_translates_with_the_model_of_the_command_before) {
  succeeds("translation.md", "translation",
           {"train", "--data", "multi30k", "--config", "small", "--projector", "neural", "--output_dir", "runs/neural",
            "--vocab_size", "200", "--max_steps", "1", "--no_bleu"});
  const auto outcome = run("../tests/docs_translation_1", {});
  BOOST_TEST(outcome.code == 0, outcome.err);
  BOOST_TEST(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
}

BOOST_AUTO_TEST_SUITE_END()

// Each page from top to bottom, as a reader types it. What lies elsewhere is made here: data sets, and models of the
// Hugging Face hub with sizes of this library's own.
BOOST_FIXTURE_TEST_SUITE(shell_blocks_slow, Reader)

BOOST_AUTO_TEST_CASE(of_the_documents_run) {
  fs::create_directories("iwslt17");
  fs::copy("multi30k", "iwslt17", fs::copy_options::recursive);
  const auto german = content("multi30k/valid.de"), english = content("multi30k/valid.en");
  put("train.tags.de-en.de", "<url>u</url>\n" + german);
  put("train.tags.de-en.en", "<url>u</url>\n" + english);
  for (const std::string side : {"de", "en"})
    put("IWSLT17.TED.dev2010.de-en." + side + ".xml", "<set><doc docid=\"1\"><seg id=\"1\">ein Hund</seg></doc></set>");
  put("wikitext-2/train.txt", content("multi30k/train.en"));
  put("wikitext-2/valid.txt", english);
  put("tinyshakespeare/train.txt", content("multi30k/train.en") + "ROMEO:\n");
  put("tinyshakespeare/valid.txt", english);
  put("test.de", german);
  succeeds("opus-mt", "translation",
           shortened("translation", {"train", "--data", "multi30k", "--output_dir", "opus-mt-de-en"}));
  succeeds("roberta", "masked_lm",
           shortened("masked_lm", {"train", "--data", "wikitext-2", "--output_dir", "roberta-base"}));
  succeeds("gpt2", "causal_lm", shortened("causal_lm", {"train", "--data", "wikitext-2", "--output_dir", "gpt2"}));

  int ran = 0;
  for (const std::string page : {"README.md", "docs/translation.md", "docs/masked_lm.md", "docs/causal_lm.md",
                                 "docs/data.md", "docs/interchange.md"}) {
    fs::remove_all("runs");
    for (const auto& block : documents::read(documents::source_folder() / page).blocks) {
      if (block.language != "sh") continue;
      for (auto words : documents::commands_of(block.text)) {
        const auto program = words.front();
        if (!commands_of_programs.contains(program)) continue;
        std::string input = "Ein Hund schläft.\n";
        if (const auto from = std::ranges::find(words, "<"); from != words.end()) {
          BOOST_REQUIRE(from + 1 != words.end());
          input = content(from[1]);
          words.erase(from, words.end());
        }
        words.erase(words.begin());
        succeeds(block.place, program, shortened(program, words), input);
        ++ran;
      }
    }
  }
  BOOST_TEST(ran > 12);
}

BOOST_AUTO_TEST_SUITE_END()
