// What every program promises of its streams: descriptors that are missing, full or do not wait, files that results go
// to, and signals.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE streams
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "examples/both_programs.hpp"

using namespace programs;

namespace {

void open_at(int descriptor, const char* path, int flags) {
  const int file = open(path, flags);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(125);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(streams, Workplace)

BOOST_AUTO_TEST_CASE(that_are_missing_do_not_become_files) {
  translator();
  const std::string input = "Der Hund schläft.\nEin \xFF Hund.\nEine Katze.\n";
  const auto arguments = translating({"--on_error", "skip", "--output", path("translated")});
  const auto whole = run("translation", arguments, input);
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
  const auto expected = content(folder / "translated");
  for (const auto& missing : std::vector<std::vector<int>>{{2}, {1, 2}}) {
    write(folder / "translated", "old\n");
    const auto outcome = run("translation", arguments, input, [&] {
      for (const int descriptor : missing) close(descriptor);
    });
    BOOST_TEST(outcome.code == 0);
    BOOST_TEST(content(folder / "translated") == expected);
  }
  const auto nothing = run("translation", arguments, input, [] { close(0); });
  BOOST_TEST(nothing.code == 1);
  BOOST_TEST(contains(nothing.err, "standard input"), nothing.err);
}

BOOST_AUTO_TEST_CASE(that_take_no_more_are_an_error) {
  translator();
  const auto masked_directory = masked_lm();
  const std::vector<std::pair<std::string, Arguments>> writing = {
      {"translation", {"--help"}},
      {"translation", {"train", "--help"}},
      {"translation", {"train", "--dump_config"}},
      {"masked_lm", {"train", "--dump_config"}},
      {"translation", training("out", {"--max_steps", "1", "--overwrite_output_dir"})},
      {"translation", evaluating()},
      {"translation", translating()},
      {"masked_lm", {"evaluate", "--model", masked_directory, "--text", path("data/valid.txt")}},
      {"masked_lm", {"fill", "--model", masked_directory, "A <mask>."}},
      {"demo", {"--data", path("data"), "--output_dir", path("demo"), "--max_steps", "1"}},
      {"demo", {"--help"}},
      {"results_report", {"--help"}},
      {"custom_projector", {"--help"}}};
  for (const auto& [program, arguments] : writing)
    for (const bool missing : {false, true}) {
      const auto outcome = run(program, arguments, "Der Hund.\n",
                               [&] { missing ? static_cast<void>(close(1)) : open_at(1, "/dev/full", O_WRONLY); });
      const auto& last = arguments.back();
      BOOST_TEST(outcome.code == 1, program << " " << arguments[0] << " … " << last << " ended with " << outcome.code);
      BOOST_TEST(contains(outcome.err, program + ": standard output: cannot write: "), outcome.err);
    }
}

BOOST_AUTO_TEST_CASE(that_do_not_wait_are_waited_for) {
  translator();
  const auto expected = run("translation", {"train", "--help"}).out;
  BOOST_REQUIRE(expected.size() > 5000u);
  int pipe_ends[2];
  BOOST_REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  fcntl(pipe_ends[1], F_SETPIPE_SZ, 4096);
  std::string got;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    char buffer[1024];
    for (ssize_t count; (count = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      got.append(buffer, static_cast<std::size_t>(count));
  });
  Child writer(folder, "translation", {"train", "--help"}, {}, [&] {
    dup2(pipe_ends[1], 1);
    fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  });
  close(pipe_ends[1]);
  const auto written = writer.wait();
  reader.join();
  close(pipe_ends[0]);
  BOOST_TEST(written.code == 0, written.err);
  BOOST_TEST((got == expected));

  BOOST_REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  Child listener(folder, "translation", translating(), {}, [&] {
    dup2(pipe_ends[0], 0);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  });
  for (const std::string line : {"Der Hund.\n", "Eine ", "Katze.\n"}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    BOOST_TEST(::write(pipe_ends[1], line.data(), line.size()) == std::ssize(line));
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  const auto heard = listener.wait();
  BOOST_TEST(heard.code == 0, heard.err);
  BOOST_TEST(lines_of(heard.out).size() == 2u);
}

BOOST_AUTO_TEST_CASE(that_reach_a_limit_are_like_a_full_disk) {
  translator();
  const auto limited = [](rlim_t bytes) {
    return [bytes] {
      const rlimit limit{bytes, bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    };
  };
  std::string input;
  for (int i = 0; i < 50; ++i) input += "Der Hund schläft.\n";
  const auto translated = run(
      "translation", translating({"--num_beams", "2", "--num_return_sequences", "2", "--output", path("translated")}),
      input, limited(600));
  BOOST_TEST(translated.code == 1);
  BOOST_TEST(contains(translated.err, "translated: cannot write: File too large"), translated.err);
  const auto trained = run("translation", training("out", {"--max_steps", "1"}), {}, limited(5000));
  BOOST_TEST(trained.code == 1);
  BOOST_TEST(trained.signal == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(outputs, Workplace)

BOOST_AUTO_TEST_CASE(are_looked_at_before_the_work_begins) {
  translator();
  fs::create_directory(folder / "folder");
  for (const std::string bad : {"no_such_folder/x", "folder", "tiny.json/x"}) {
    refuses(1, "translation", evaluating({"--hypotheses", path(bad)}), {path(bad)});
    refuses(1, "translation", translating({"--output", path(bad)}), {path(bad)}, "Der Hund.\n");
    refuses(1, "translation", translating({"--attention", path(bad)}), {path(bad)}, "Der Hund.\n");
    BOOST_TEST(!contains(run("translation", evaluating({"--hypotheses", path(bad)})).err, "translating"));
  }
  BOOST_TEST(content(folder / "tiny.json") == marian);
}

BOOST_AUTO_TEST_CASE(are_no_inputs) {
  translator();
  const auto source = content(folder / "data/valid.de"), reference = content(folder / "data/valid.en");
  fs::create_symlink(folder / "data/valid.en", folder / "link");
  refuses(2, "translation", evaluating({"--hypotheses", path("data/valid.de")}), {"--hypotheses", "--source"});
  refuses(2, "translation", evaluating({"--hypotheses", path("link")}), {"--hypotheses", "--reference"});
  const Arguments input = {"--input", path("data/valid.de")};
  refuses(2, "translation", translating(joined(input, {"--output", path("data/valid.de")})), {"--output", "--input"});
  refuses(2, "translation", translating(joined(input, {"--attention", path("data/valid.de")})),
          {"--attention", "--input"});
  refuses(2, "translation", translating({"--output", path("new"), "--attention", path("data/../new")}),
          {"--attention", "--output"});
  BOOST_TEST(content(folder / "data/valid.de") == source);
  BOOST_TEST(content(folder / "data/valid.en") == reference);
}

BOOST_AUTO_TEST_CASE(go_where_links_lead_and_through_what_is_no_file) {
  translator();
  const auto plain = run("translation", evaluating({"--hypotheses", path("plain")}));
  BOOST_REQUIRE_MESSAGE(plain.code == 0, plain.err);
  const auto expected = content(folder / "plain");
  BOOST_TEST(lines_of(expected).size() == 20u);

  fs::create_directory(folder / "elsewhere");
  write(folder / "elsewhere/old", "old\n");
  fs::create_symlink("elsewhere/old", folder / "to_old");
  fs::create_symlink("elsewhere/new", folder / "to_new");
  fs::create_symlink("to_new", folder / "to_link");
  for (const auto& [link, target] : {std::pair{"to_old", "elsewhere/old"}, std::pair{"to_link", "elsewhere/new"}}) {
    const auto outcome = run("translation", evaluating({"--hypotheses", path(link)}));
    BOOST_TEST(outcome.code == 0, outcome.err);
    BOOST_TEST(fs::is_symlink(folder / link));
    BOOST_TEST(content(folder / target) == expected);
  }
  // Some machines have no link there.
  const std::string standard_output = fs::is_symlink("/dev/stdout") ? "/dev/stdout" : "/proc/self/fd/1";
  const auto streamed = run("translation", evaluating({"--hypotheses", standard_output}));
  BOOST_TEST(streamed.code == 0, streamed.err);
  BOOST_TEST(streamed.out == expected + plain.out);
  const auto lines = run("translation", translating({"--output", standard_output}), content(folder / "data/valid.de"));
  BOOST_TEST(lines.out == expected, lines.err);
  fs::create_symlink("circle", folder / "circle");
  refuses(1, "translation", evaluating({"--hypotheses", path("circle")}), {path("circle")});

  for (const auto& [command, flag] : {std::pair{evaluating(), "--hypotheses"}, std::pair{translating(), "--output"}}) {
    BOOST_REQUIRE(mkfifo(path("pipe").c_str(), 0600) == 0);
    std::string got;
    std::thread reader([&] { got = content(folder / "pipe"); });
    const auto outcome = run("translation", joined(command, {flag, path("pipe")}), content(folder / "data/valid.de"));
    BOOST_TEST(outcome.code == 0, outcome.err);
    const bool still = fs::is_fifo(folder / "pipe");
    BOOST_TEST(still);
    if (!still) std::thread([&] { write(folder / "pipe", ""); }).detach();
    reader.join();
    BOOST_TEST((got == expected));
    fs::remove(folder / "pipe");
  }
}

BOOST_AUTO_TEST_CASE(that_fail_late_do_not_take_the_results_along) {
  translator();
  fs::create_symlink("/dev/full", folder / "full");
  const auto outcome = run("translation", evaluating({"--hypotheses", path("full")}));
  BOOST_TEST(outcome.code == 1);
  BOOST_TEST(contains(outcome.out, "BLEU = "));
  const auto other = run("translation", evaluating({"--hypotheses", path("hypotheses")}), {},
                         [] { open_at(1, "/dev/full", O_WRONLY); });
  BOOST_TEST(other.code == 1);
  BOOST_TEST(lines_of(content(folder / "hypotheses")).size() == 20u);
  BOOST_TEST(contains(outcome.err, "full: cannot write: No space left on device"), outcome.err);
  BOOST_TEST(fs::is_character_file("/dev/full"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(signals, Workplace)

namespace {

/// Waits until the run has logged a step.
void wait_for_steps(const fs::path& output) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!contains(content(output / "metrics.jsonl"), "learning_rate") && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace

BOOST_AUTO_TEST_CASE(save_and_stop) {
  const Arguments endless = {"--max_steps", "1000000", "--eval_steps", "1000000", "--logging_steps", "1"};
  for (const auto& [program, arguments] :
       {std::pair{"translation", training("out", endless)}, std::pair{"masked_lm", mlm_training("out", endless)}})
    for (const int number : {SIGHUP, SIGUSR1, SIGTERM, SIGINT}) {
      fs::remove_all(folder / "out");
      Child child(folder, program, arguments);
      wait_for_steps(folder / "out");
      child.signal(number);
      const auto outcome = child.wait();
      BOOST_TEST(outcome.code == 128 + number, program << " " << number << ": " << outcome.err);
      BOOST_TEST(contains(outcome.err, "continue with --resume_from_checkpoint " + path("out/checkpoint-")));
      const bool saved = std::any_of(fs::directory_iterator(folder / "out"), fs::directory_iterator(), [](auto& item) {
        return item.path().filename().string().starts_with("checkpoint-") &&
               fs::exists(item.path() / "model.safetensors");
      });
      BOOST_TEST(saved);
    }
}

BOOST_AUTO_TEST_CASE(end_the_program_at_once_when_a_second_one_comes) {
  const auto arguments = training("out", {"--max_steps", "1000000", "--eval_steps", "1", "--logging_steps", "1"});
  for (const auto& [first, second] :
       {std::pair{SIGINT, SIGINT}, std::pair{SIGUSR1, SIGTERM}, std::pair{SIGTERM, SIGHUP}}) {
    fs::remove_all(folder / "out");
    Child child(folder, "translation", arguments);
    wait_for_steps(folder / "out");
    child.signal(first);
    child.signal(second);
    const auto outcome = child.wait();
    // Two equal ones that come together are one to the system.
    if (first != second || outcome.signal != 0) BOOST_TEST((outcome.signal == first || outcome.signal == second));
  }
}

BOOST_AUTO_TEST_CASE(that_were_ignored_stay_ignored) {
  Child child(folder, "translation", training("out", {"--max_steps", "300", "--logging_steps", "1"}), {},
              [] { std::signal(SIGHUP, SIG_IGN); });
  wait_for_steps(folder / "out");
  child.signal(SIGHUP);
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code == 0, outcome.err);
}

BOOST_AUTO_TEST_CASE(of_a_reader_who_has_gone_do_not_end_a_run) {
  int ends[2];
  BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Child child(folder, "translation",
              training("out", {"--max_steps", "40", "--logging_steps", "1", "--eval_steps", "1"}), {},
              [&] { dup2(ends[1], 2); });
  close(ends[1]);
  wait_for_steps(folder / "out");
  close(ends[0]);
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code == 0);
  BOOST_TEST(contains(outcome.out, "final valid_loss="));
  BOOST_TEST(fs::exists(folder / "out/model.safetensors"));
}

BOOST_AUTO_TEST_SUITE_END()
