// The example programs as their users meet them: child processes with flags, files, exit codes and messages.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE programs
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "common/german_english_grammar.hpp"

namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Outcome {
  int code = -1;  ///< exit code, or -1 where a signal ended the program
  int signal = 0;
  std::string out, err;
};

/// A program that runs; its streams are files in `folder`.
class Child {
 public:
  Child(const fs::path& folder, const std::string& program, const Arguments& arguments, const std::string& input = {})
      : out_(folder / "stdout"), err_(folder / "stderr") {
    const auto path = (fs::path(NEURAL_ATTENTION_BIN_DIR) / program).string(), in = (folder / "stdin").string();
    BOOST_REQUIRE_MESSAGE(fs::exists(path), path << " has not been built");
    write(in, input);
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    BOOST_REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    redirect(in.c_str(), O_RDONLY, STDIN_FILENO);
    redirect(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    unsetenv("NEURAL_ATTENTION_DEMO_DATA");
    execv(argv[0], argv.data());
    _exit(127);
  }

  void kill_at_once() const { kill(pid_, SIGKILL); }

  Outcome wait() {
    int status = 0;
    BOOST_REQUIRE(waitpid(pid_, &status, 0) == pid_);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, content(out_),
            content(err_)};
  }

 private:
  static void redirect(const char* path, int flags, int descriptor) {
    const int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  }

  fs::path out_, err_;
  pid_t pid_ = -1;
};

/// A folder of its own with a corpus of 200 + 20 pairs and a tiny config; gone at the end.
struct Workplace {
  Workplace() : folder(fs::temp_directory_path() / ("neural_attention_programs_" + std::to_string(getpid()))) {
    fs::create_directories(folder / "data");
    const auto parts = examples::split(examples::generate(220, 3), 200, 20, 0);
    const auto save = [&](const std::string& name, const std::vector<examples::SentencePair>& pairs) {
      std::string german, english;
      for (const auto& pair : pairs) german += pair.german + "\n", english += pair.english + "\n";
      write(folder / "data" / (name + ".de"), german);
      write(folder / "data" / (name + ".en"), english);
    };
    save("train", parts.train);
    save("valid", parts.valid);
    write(folder / "tiny.json",
          R"({"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
              "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
              "max_position_embeddings": 64})");
  }
  ~Workplace() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  Outcome run(const std::string& program, const Arguments& arguments, const std::string& input = {}) const {
    return Child(folder, program, arguments, input).wait();
  }

  /// `translation train` at tiny size; `more` comes last.
  Arguments training(const std::string& output, const std::string& steps, const Arguments& more = {}) const {
    Arguments arguments = {"train",
                           "--data",
                           path("data"),
                           "--config",
                           path("tiny.json"),
                           "--projector",
                           "neural",
                           "--vocab_size",
                           "200",
                           "--mini_batch_words",
                           "200",
                           "--max_steps",
                           steps,
                           "--warmup_steps",
                           "10",
                           "--logging_steps",
                           "10",
                           "--no_bleu",
                           "--output_dir",
                           path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// A model directory after a few steps.
  std::string small_model() const {
    const auto outcome = run("translation", training("model", "4"));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return path("model");
  }

  /// The program ends with `code`, and its message is one that contains every part.
  void refuses(int code, const std::string& program, const Arguments& arguments, const Arguments& parts) const {
    const auto outcome = run(program, arguments, "Der Hund schläft.\n");
    BOOST_TEST(outcome.code == code, program << " ended with " << outcome.code << ": " << outcome.err);
    BOOST_TEST(outcome.out == "");
    for (const auto& part : parts)
      BOOST_TEST(contains(outcome.err, part), "'" << part << "' is not in: " << outcome.err);
  }

  fs::path folder;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(small_examples, Workplace)

BOOST_AUTO_TEST_CASE(quickstart_learns_its_task) {
  const auto outcome = run("quickstart", {});
  BOOST_TEST(outcome.code == 0, outcome.out << outcome.err);
  BOOST_TEST(contains(outcome.out, "right"));
  BOOST_TEST(contains(outcome.out, "of 200 new sequences are sorted"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bad_input, Workplace)

BOOST_AUTO_TEST_CASE(wrong_usage_is_answered_with_help) {
  refuses(2, "translation", {"train", "--learning_rat", "1"}, {"--learning_rat", "did you mean --learning_rate?"});
  refuses(2, "translation", {"train", "--learning-rat=1"}, {"did you mean --learning_rate?"});
  refuses(2, "translation", {}, {"translation"});
  refuses(2, "translation", {"train", "--data", path("data")}, {"--output_dir"});
  refuses(2, "translation", training("out", "4", {"--projector_k", "quadratic"}), {"quadratic", "plain_neural"});
  refuses(2, "translation", training("out", "4", {"--learning_rate", "fast"}), {"fast"});
  refuses(2, "demo", {"--max_step", "1"}, {"did you mean --max_steps?"});
  BOOST_TEST(!fs::exists(folder / "out"));
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_read_are_named) {
  refuses(1, "translation", training("out", "4", {"--train_source", path("no_such_file.de")}), {"no_such_file.de"});
  refuses(1, "translation", {"train", "--data", path("no_such_folder"), "--output_dir", path("out")},
          {"no_such_folder", "train.de"});
  refuses(1, "translation", {"translate", "--model", path("no_such_model")}, {"no_such_model"});
  refuses(1, "demo", {"--data", path("no_such_folder"), "--output_dir", path("out")}, {"no_such_folder", "train."});

  write(folder / "short.en", "One line.\n");
  refuses(1, "translation", training("out", "4", {"--train_target", path("short.en")}), {"short.en", "200", "1 "});
  write(folder / "broken.de", content(folder / "data/valid.de") + "Ein \xFF Hund.\n");
  refuses(1, "translation", training("out", "4", {"--validation_source", path("broken.de")}),
          {"broken.de", "line 21", "0xFF"});
  write(folder / "empty.en", "");
  refuses(1, "translation", training("out", "4", {"--train_target", path("empty.en")}), {"empty.en", "empty"});
}

BOOST_AUTO_TEST_CASE(an_output_directory_that_cannot_be_made_is_named) {
  write(folder / "file", "not a directory\n");
  refuses(1, "translation", training("file/out", "4"), {path("file/out")});
  refuses(1, "demo", {"--data", path("data"), "--output_dir", path("file/out")}, {path("file/out")});
  BOOST_TEST(content(folder / "file") == "not a directory\n");
}

BOOST_AUTO_TEST_CASE(damaged_models_are_refused) {
  const auto model = fs::path(small_model());
  const auto whole = content(model / "model.safetensors");
  BOOST_REQUIRE(whole.size() > 1000);
  for (const auto size : {whole.size() / 2, whole.size() - 1, std::size_t{100}, std::size_t{4}, std::size_t{0}}) {
    write(model / "model.safetensors", whole.substr(0, size));
    refuses(1, "translation", {"translate", "--model", model.string()}, {"model.safetensors"});
  }
  write(model / "model.safetensors", whole);

  const auto config = content(model / "config.json");
  auto wider = config;
  wider.replace(wider.find("\"d_model\": 16"), 13, "\"d_model\": 32");
  write(model / "config.json", wider);
  refuses(1, "translation", {"translate", "--model", model.string()}, {"model.safetensors", "model.shared.weight"});
  write(model / "config.json", config.substr(0, config.size() / 2));
  refuses(1, "translation", {"translate", "--model", model.string()}, {"config.json"});
  write(model / "config.json", config);
  write(model / "vocab.json", R"({"</s>": 0, "<unk>": 1, "a": 2, "<pad>": 3})");
  refuses(1, "translation", {"translate", "--model", model.string()}, {"vocab"});
}

BOOST_AUTO_TEST_CASE(an_earlier_run_is_not_overwritten_unasked) {
  const auto model = fs::path(small_model());
  const auto before = content(model / "model.safetensors");
  refuses(2, "translation", training("model", "4", {"--seed", "7"}), {"--resume_from_checkpoint last"});
  BOOST_TEST(content(model / "model.safetensors") == before);
  const auto again = run("translation", training("model", "4", {"--seed", "7", "--overwrite_output_dir"}));
  BOOST_TEST(again.code == 0, again.err);
  BOOST_TEST(content(model / "model.safetensors") != before);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(reproducible_training, Workplace)

BOOST_AUTO_TEST_CASE(a_killed_run_resumes_to_the_same_bytes) {
  const Arguments saving = {"--save_steps", "5", "--threads", "1"};
  const auto whole = run("translation", training("whole", "120", saving));
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
  BOOST_TEST(contains(whole.out, "final valid_loss="));

  Child child(folder, "translation", training("killed", "120", saving));
  const auto saved = [&] {
    std::error_code ignored;
    for (const auto& item : fs::directory_iterator(folder / "killed", ignored))
      if (item.path().filename().string().starts_with("checkpoint-") && item.path().extension() != ".incomplete")
        return true;
    return false;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!saved() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  child.kill_at_once();
  const auto killed = child.wait();
  BOOST_REQUIRE_MESSAGE(killed.signal == SIGKILL, "the run was over before it was killed: " << killed.err);
  BOOST_TEST(!fs::exists(folder / "killed" / "model.safetensors"));

  auto more = saving;
  more.insert(more.end(), {"--resume_from_checkpoint", "last"});
  const auto resumed = run("translation", training("killed", "120", more));
  BOOST_REQUIRE_MESSAGE(resumed.code == 0, resumed.err);
  const auto expected = content(folder / "whole" / "model.safetensors");
  BOOST_REQUIRE(expected.size() > 1000);
  BOOST_TEST((content(folder / "killed" / "model.safetensors") == expected));
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_changes_nothing) {
  std::string expected;
  for (const std::string threads : {"1", "2", "7"}) {
    const auto outcome = run("translation", training("threads" + threads, "20", {"--threads", threads}));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    const auto bytes = content(folder / ("threads" + threads) / "model.safetensors");
    BOOST_REQUIRE(bytes.size() > 1000);
    if (expected.empty()) expected = bytes;
    BOOST_TEST((bytes == expected), threads << " threads give another model");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(using_models, Workplace)

BOOST_AUTO_TEST_CASE(translate_keeps_the_lines) {
  const auto model = small_model();
  const auto outcome = run("translation", {"translate", "--model", model, "--max_length", "10"},
                           "Der Hund schläft.\n\nEine Katze.\r\n   \nDas Haus");
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  std::vector<std::string> lines(1);
  for (const char c : outcome.out) c == '\n' ? lines.emplace_back() : lines.back() += c;
  BOOST_REQUIRE(lines.size() == 6u);  // five lines, each ended
  BOOST_TEST(lines[1] == "");
  BOOST_TEST(lines[3] == "");
  BOOST_TEST(lines[5] == "");
  const auto nothing = run("translation", {"translate", "--model", model});
  BOOST_TEST(nothing.code == 0);
  BOOST_TEST(nothing.out == "");
  refuses(1, "translation",
          {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference", path("data/train.en")},
          {"train.en", "200", "20"});
}

BOOST_AUTO_TEST_CASE(evaluate_reports_bleu_and_its_signature) {
  const auto model = small_model();
  const auto outcome =
      run("translation", {"evaluate", "--model", model, "--source", path("data/valid.de"), "--reference",
                          path("data/valid.en"), "--max_length", "10", "--hypotheses", path("hypotheses")});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(outcome.out.starts_with("BLEU = "));
  BOOST_TEST(contains(outcome.out, "\nnrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"));
  const auto hypotheses = content(folder / "hypotheses");
  BOOST_TEST(std::count(hypotheses.begin(), hypotheses.end(), '\n') == 20);
}

BOOST_AUTO_TEST_CASE(the_demo_compares_two_arms_and_leaves_models_for_translation) {
  const auto outcome = run("demo", {"--data", path("data"), "--output_dir", path("results"), "--max-steps", "2"});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  for (const std::string text : {"linear", "neural", "parameters", "BLEU", "source", "reference", "results"})
    BOOST_TEST(contains(outcome.out, text), text << " is missing in " << outcome.out);
  for (const std::string file : {"loss.svg", "bleu.svg", "linear/metrics.jsonl", "neural/metrics.jsonl"})
    BOOST_TEST(!content(folder / "results" / file).empty(), file << " is missing");
  for (const std::string arm : {"linear", "neural"}) {
    const auto translated =
        run("translation", {"translate", "--model", path("results/" + arm), "--max_length", "5"}, "Der Hund.\n");
    BOOST_TEST(translated.code == 0, translated.err);
    BOOST_TEST(std::count(translated.out.begin(), translated.out.end(), '\n') == 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()
