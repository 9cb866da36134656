// The training programs under mpirun as their users meet them: the same flags, the losses of one process, resumption on
// another number of ranks, and runs that end with one sentence whatever happens to a rank.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mpi_training_programs
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "examples/both_programs.hpp"
#include "examples/character_study.hpp"
#include "examples/metrics.hpp"
#include "faults/faulty_folder.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/trainer/checkpoint_folder.hpp"

using namespace programs;

namespace {

using Clock = std::chrono::steady_clock;

/// The arguments of mpirun for a program.
Arguments ranks(int count, const std::string& program, const Arguments& arguments) {
  return joined({"-n", std::to_string(count), (fs::path(NEURAL_ATTENTION_BIN_DIR) / program).string()}, arguments);
}

struct Ranks : Workplace {
  Outcome mpirun(const Arguments& arguments) const { return run(NEURAL_ATTENTION_MPIEXEC, arguments); }

  Arguments training(const std::string& output, const Arguments& more = {}) const {
    return Workplace::training(output, joined({"--logging_steps", "1", "--warmup_steps", "5"}, more));
  }
  /// Two ranks of one run that get different flags.
  Arguments two_trainings(const Arguments& first, const Arguments& second) const {
    const auto program = (fs::path(NEURAL_ATTENTION_BIN_DIR) / "translation").string();
    return joined(joined(joined({"-n", "1", program}, training("run", first)), {":", "-n", "1", program}),
                  training("run", second));
  }
  Arguments mlm_training(const std::string& output, const Arguments& more = {}) const {
    return Workplace::mlm_training(output, joined({"--logging_steps", "1", "--warmup_steps", "5"}, more));
  }
  Arguments causal_training(const std::string& output, const Arguments& more = {}) const {
    write(folder / "tiny_gpt2.json", R"({"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32})");
    return joined({"train", "--data", path("data"), "--config", path("tiny_gpt2.json"), "--tokenizer", "characters",
                   "--threads", "1", "--warmup_steps", "5", "--logging_steps", "1", "--output_dir", path(output)},
                  more);
  }

  /// {step, loss} of a run's rows, of training and validation, and BLEU.
  std::map<std::pair<long, std::string>, double> losses(const std::string& output) const {
    std::map<std::pair<long, std::string>, double> found;
    for (const auto& row : metrics(folder / output))
      for (const char* const name : {"loss", "valid_loss", "valid_bleu"})
        if (row.contains("step") && row.contains(name)) found[{row["step"].get<long>(), name}] = row[name];
    return found;
  }

  void check_losses(const std::string& output, const std::string& expected) const {
    const auto found = losses(output), wanted = losses(expected);
    BOOST_TEST_REQUIRE(found.size() == wanted.size());
    for (const auto& [row, loss] : wanted) {
      BOOST_TEST_REQUIRE(found.contains(row));
      BOOST_TEST(std::abs(found.at(row) - loss) <= 1e-4 * std::abs(loss),
                 output << ", step " << row.first << ": " << found.at(row) << " for " << loss);
    }
  }

  inline static const Arguments long_run = {"--max_steps",     "100000", "--save_steps",        "5",
                                            "--eval_strategy", "no",     "--lr_scheduler_type", "constant"};

  void wait_for_checkpoint(const std::string& output) const {
    const auto begin = Clock::now();
    while (neural_attention::list_checkpoints(path(output)).empty() && Clock::now() - begin < std::chrono::seconds(120))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    BOOST_TEST_REQUIRE(!neural_attention::list_checkpoints(path(output)).empty());
  }

  /// Of the process of a rank, known by a variable that Open MPI and MPICH set; 0 if it has not begun.
  int pid_of(int rank, const std::string& output) const {
    for (const auto& process : fs::directory_iterator("/proc")) {
      const auto environment = content(process.path() / "environ"), command = content(process.path() / "cmdline");
      const auto of_rank = [&](const char* name) {
        return contains(environment, std::string(name) + "=" + std::to_string(rank) + std::string(1, '\0'));
      };
      if (contains(command, path(output)) && (of_rank("OMPI_COMM_WORLD_RANK") || of_rank("PMI_RANK")))
        return std::stoi(process.path().filename());
    }
    return 0;
  }

  /// Sends a signal to a rank. Without it there would be a signal to the test itself.
  static void signal_rank(int pid, int signal) {
    BOOST_TEST_REQUIRE(pid > 0);
    BOOST_TEST_REQUIRE(kill(pid, signal) == 0);
  }

  /// A run that has met a fault now: it ends soon.
  static Outcome ended(Child& child) {
    const auto begin = Clock::now();
    const auto outcome = child.wait();
    BOOST_TEST(std::chrono::duration<double>(Clock::now() - begin).count() < 30.0);
    BOOST_TEST(outcome.code != 0);
    return outcome;
  }

  /// The step of the last whole checkpoint, or 0.
  long last_checkpoint(const std::string& output) const {
    const auto whole = neural_attention::list_checkpoints(path(output));
    return whole.empty() ? 0 : whole.back();
  }

  /// Three more steps on two ranks, behind the last checkpoint or, if there is none, from the beginning.
  void check_resumption(const std::string& output) const {
    const auto resumed =
        mpirun(ranks(2, "translation",
                     training(output, {"--max_steps", std::to_string(last_checkpoint(output) + 3), "--eval_strategy",
                                       "no", "--lr_scheduler_type", "constant", "--resume_from_checkpoint", "auto"})));
    BOOST_TEST(resumed.code == 0, resumed.err);
  }

  static long count_of(const std::string& part, const std::string& text) {
    long count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  /// The command ends soon after a rank was stopped in the midst of its work; one rank says it, once.
  void check_end_of_stopped(int victim, const std::string& program, const Arguments& arguments,
                            const std::string& model) const {
    fs::remove(folder / "stderr");  // of the program before
    Child child(folder, NEURAL_ATTENTION_MPIEXEC,
                ranks(3, program, joined(arguments, {"--model", path(model), "--threads", "1"})));
    const auto begin = Clock::now();  // rank 0 says what computes when all ranks have met
    while (!contains(content(folder / "stderr"), "1 thread") && Clock::now() - begin < std::chrono::seconds(60))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto pid = pid_of(victim, model);
    signal_rank(pid, SIGSTOP);
    const auto outcome = ended(child);
    kill(pid, SIGKILL);
    BOOST_TEST(count_of("has waited", outcome.err) == 1, outcome.err);
    BOOST_TEST(contains(outcome.err, " s for rank " + std::to_string(victim) + " on "), outcome.err);
  }

  /// Two ranks of a command with the same arguments, of two programs that are paths.
  static Arguments two_programs(const std::string& first, const std::string& second, const Arguments& arguments) {
    const auto of = [&](const std::string& program) { return joined({"-n", "1", program}, arguments); };
    return joined(joined(of(first), {":"}), of(second));
  }

  /// A run that fails with `code`, quickly, and says `part` once. Returns the code that mpirun has.
  int check_end(const Arguments& arguments, int code, const std::string& part) const {
    const auto start = Clock::now();
    const auto outcome = mpirun(arguments);
    BOOST_TEST(std::chrono::duration<double>(Clock::now() - start).count() < 30.0);
    // mpirun has the code of the rank that ends first, which is 1 where it has only heard of the fault.
    BOOST_TEST((outcome.code == code || outcome.code == 1), outcome.err);
    BOOST_TEST(count_of(part, outcome.err) == 1, outcome.err);
    return outcome.code;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(two_ranks, Ranks)

BOOST_AUTO_TEST_CASE(train_as_one_process_does) {
  const Arguments steps = {"--max_steps", "12", "--eval_steps", "6"};
  const auto one = run("translation", training("one", steps));
  BOOST_TEST_REQUIRE(one.code == 0, one.err);
  const auto two = mpirun(ranks(2, "translation", training("two", steps)));
  BOOST_TEST_REQUIRE(two.code == 0, two.err);
  check_losses("two", "one");
  BOOST_TEST(lines_of(two.out).size() == lines_of(one.out).size(), two.out);
  BOOST_TEST(content(folder / "two/config.json") == content(folder / "one/config.json"));
  BOOST_TEST(content(folder / "two/source.spm") == content(folder / "one/source.spm"));
}

BOOST_AUTO_TEST_CASE(with_other_flags_end_with_one_sentence) {
  check_end(two_trainings({"--max_steps", "9"}, {"--max_steps", "8"}), 2, "has max_steps \"8\", but rank 0 on ");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(programs_in_ranks_slow, Ranks)

BOOST_AUTO_TEST_CASE(train_language_models_as_one_process_does) {
  const Arguments steps = {"--max_steps", "12", "--eval_steps", "6"};
  const Arguments accumulated = joined(steps, {"--gradient_accumulation_steps", "3"});
  const auto mlm_one = run("masked_lm", mlm_training("mlm_one", accumulated));
  BOOST_TEST_REQUIRE(mlm_one.code == 0, mlm_one.err);
  const auto mlm_two = mpirun(ranks(2, "masked_lm", mlm_training("mlm_two", accumulated)));
  BOOST_TEST_REQUIRE(mlm_two.code == 0, mlm_two.err);
  check_losses("mlm_two", "mlm_one");

  const auto causal_one = run("causal_lm", causal_training("causal_one", steps));
  BOOST_TEST_REQUIRE(causal_one.code == 0, causal_one.err);
  const auto causal_two = mpirun(ranks(2, "causal_lm", causal_training("causal_two", steps)));
  BOOST_TEST_REQUIRE(causal_two.code == 0, causal_two.err);
  check_losses("causal_two", "causal_one");
}

BOOST_AUTO_TEST_CASE(train_on_lines_as_one_process_does) {
  const auto steps = [](const std::string& last) {
    return Arguments{
        "--windows",    "lines", "--gradient_accumulation_steps", "3",        "--max_steps", last, "--save_steps", "5",
        "--eval_steps", "10",    "--lr_scheduler_type",           "constant", "--dropout",   "0.1"};
  };
  const auto one = run("causal_lm", causal_training("one", steps("20")));
  BOOST_TEST_REQUIRE(one.code == 0, one.err);
  const auto two = mpirun(ranks(2, "causal_lm", causal_training("two", steps("20"))));
  BOOST_TEST_REQUIRE(two.code == 0, two.err);
  check_losses("two", "one");

  const Arguments resume = {"--resume_from_checkpoint", "last"};
  BOOST_TEST_REQUIRE(mpirun(ranks(2, "causal_lm", causal_training("many", steps("10")))).code == 0);
  BOOST_TEST_REQUIRE(mpirun(ranks(2, "causal_lm", causal_training("many", joined(steps("20"), resume)))).code == 0);
  BOOST_TEST((content(folder / "many/model.safetensors") == content(folder / "two/model.safetensors")));
  BOOST_TEST_REQUIRE(mpirun(ranks(3, "causal_lm", causal_training("others", steps("10")))).code == 0);
  const auto resumed = run("causal_lm", causal_training("others", joined(steps("20"), resume)));
  BOOST_TEST_REQUIRE(resumed.code == 0, resumed.err);
  check_losses("others", "one");
}

BOOST_AUTO_TEST_CASE(resume_on_another_number_of_ranks) {
  const auto steps = [](const std::string& last) {
    return Arguments{"--max_steps",     last, "--save_steps",        "4",
                     "--eval_strategy", "no", "--lr_scheduler_type", "constant"};
  };
  BOOST_TEST_REQUIRE(run("translation", training("one", steps("12"))).code == 0);
  BOOST_TEST_REQUIRE(mpirun(ranks(3, "translation", training("many", steps("4")))).code == 0);
  const Arguments resume = {"--resume_from_checkpoint", "last"};
  BOOST_TEST_REQUIRE(mpirun(ranks(2, "translation", training("many", joined(steps("8"), resume)))).code == 0);
  const auto outcome = run("translation", training("many", joined(steps("12"), resume)));
  BOOST_TEST_REQUIRE(outcome.code == 0, outcome.err);
  check_losses("many", "one");
}

// Shares of the optimizer are a matter of the ranks: a checkpoint has them whole, and any number of ranks goes on.
BOOST_AUTO_TEST_CASE(shard_the_optimizer) {
  const auto steps = [](const std::string& last) {
    return Arguments{"--max_steps",     last, "--save_steps",        "4",
                     "--eval_strategy", "no", "--lr_scheduler_type", "constant"};
  };
  const Arguments shard = {"--shard_optimizer"}, resume = {"--resume_from_checkpoint", "last"};
  BOOST_TEST_REQUIRE(run("translation", training("one", steps("12"))).code == 0);
  const auto three = mpirun(ranks(3, "translation", training("many", joined(steps("4"), shard))));
  BOOST_TEST_REQUIRE(three.code == 0, three.err);
  const auto two = mpirun(ranks(2, "translation", training("many", joined(steps("8"), joined(shard, resume)))));
  BOOST_TEST_REQUIRE(two.code == 0, two.err);
  BOOST_TEST_REQUIRE(run("translation", training("many", joined(steps("12"), resume))).code == 0);
  check_losses("many", "one");
}

// The results are those of one process, byte for byte, wherever the lines lie; also when nothing is left for a rank.
BOOST_AUTO_TEST_CASE(translate_and_evaluate) {
  const auto same = [&](const std::string& program, const Arguments& arguments, const std::string& input = {}) {
    const auto one = run(program, arguments, input);
    BOOST_TEST_REQUIRE(one.code == 0, one.err);
    BOOST_TEST(!one.out.empty());
    for (const int count : {2, 3}) {
      const auto many = run(NEURAL_ATTENTION_MPIEXEC, ranks(count, program, arguments), input);
      BOOST_TEST(many.code == 0, many.err);
      BOOST_TEST(many.out == one.out);
    }
  };
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "30"})).code == 0);
  const auto source = content(folder / "data/valid.de");
  const Arguments model = {"--model", path("run"), "--threads", "1"};
  same("translation", joined({"translate", "--num_beams", "3"}, model), source);
  same("translation", joined({"translate", "--do_sample", "--seed", "3"}, model), source);
  same("translation",
       joined({"translate", "--num_beams", "2", "--num_return_sequences", "2", "--batch_size", "1"}, model),
       source + "\n\n" + source);
  same("translation", joined({"translate"}, model), lines_of(source).front() + "\n");
  same("translation", joined({"translate", "--input", path("data/valid.de")}, model));
  same("translation",
       joined({"evaluate", "--source", path("data/valid.de"), "--reference", path("data/valid.en")}, model));

  BOOST_TEST_REQUIRE(run("masked_lm", mlm_training("mlm", {"--max_steps", "3"})).code == 0);
  same("masked_lm", {"evaluate", "--model", path("mlm"), "--text", path("data/valid.de"), "--threads", "1"});
  BOOST_TEST_REQUIRE(run("causal_lm", causal_training("causal", {"--max_steps", "3"})).code == 0);
  same("causal_lm",
       {"evaluate", "--model", path("causal"), "--text", path("data/valid.txt"), "--threads", "1", "--stride", "20"});
  same("causal_lm", {"evaluate", "--model", path("causal"), "--text", path("data/valid.txt"), "--threads", "1",
                     "--windows", "lines", "--per_device_eval_batch_size", "3"});
}

BOOST_AUTO_TEST_CASE(repeat_bit_by_bit) {
  for (const char* const output : {"first", "second"})
    BOOST_TEST_REQUIRE(mpirun(ranks(2, "translation", training(output, {"--max_steps", "6"}))).code == 0);
  BOOST_TEST((content(folder / "first/model.safetensors") == content(folder / "second/model.safetensors")));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(faults_slow, Ranks)

BOOST_AUTO_TEST_CASE(of_flags_and_data_are_named) {
  const auto two = [&](const Arguments& first, const Arguments& second) { return two_trainings(first, second); };
  check_end(two({}, {"--seed", "7"}), 2, "has seed \"7\", but rank 0 on ");
  check_end(two({}, {"--learning_rate", "0.5"}), 2, "has learning_rate \"0.5\", but rank 0 on ");
  check_end(two({}, {"--shard_optimizer"}), 2, "has shard_optimizer \"true\", but rank 0 on ");
  check_end(two({}, {"--dropout", "0.5"}), 2, "has dropout \"0.5\", but rank 0 on ");
  check_end(two({}, {"--projector", "neural"}), 2, "has projector of query \"neural, ");
  check_end(two({}, {"--config", "base"}), 2, ", but rank 0 on ");
  check_end(two({}, {"--max_target_length", "5"}), 2, "has max_target_length \"5\", but rank 0 on ");
  check_end(two({}, {"--train_source", path("nowhere.de"), "--train_target", path("nowhere.en")}), 1, "rank 1 on ");
  BOOST_TEST(!fs::exists(folder / "run/model.safetensors"));
}

BOOST_AUTO_TEST_CASE(of_the_output_are_said_once) {
  BOOST_TEST_REQUIRE(mpirun(ranks(2, "translation", training("run", {"--max_steps", "2"}))).code == 0);
  check_end(ranks(3, "translation", training("run", {"--max_steps", "2"})), 2,
            "holds the checkpoints of an earlier run");
  check_end(ranks(3, "translation", training("run", {"--max_steps", "2"})), 2, "translation: rank 0 on ");
  write(folder / "file", "");
  check_end(ranks(3, "translation", training("file/run", {"--max_steps", "2"})), 1, "file/run");
}

BOOST_AUTO_TEST_CASE(of_numbers_name_the_rank) {
  // All ranks find the same number, so the code does not depend on which ends first.
  BOOST_TEST(check_end(ranks(2, "translation",
                             training("run", {"--max_steps", "50", "--learning_rate", "1e30", "--max_grad_norm", "0"})),
                       3, "not finite") == 3);
}

BOOST_AUTO_TEST_CASE(that_kill_a_rank_end_the_run_and_leave_a_checkpoint) {
  for (const int victim : {0, 1, 2}) {
    const auto output = "killed_" + std::to_string(victim);
    Child child(folder, NEURAL_ATTENTION_MPIEXEC, ranks(3, "translation", training(output, long_run)));
    wait_for_checkpoint(output);
    signal_rank(pid_of(victim, output), SIGKILL);
    const auto outcome = ended(child);
    BOOST_TEST(contains(outcome.err, "rank " + std::to_string(victim)), outcome.err);
    BOOST_TEST_REQUIRE(!neural_attention::list_checkpoints(path(output)).empty());
    check_resumption(output);
  }
}

BOOST_AUTO_TEST_CASE(that_stop_a_rank_end_the_run_behind_its_timeout) {
  for (const int victim : {0, 1}) {
    const auto output = "stopped_" + std::to_string(victim);
    Child child(folder, NEURAL_ATTENTION_MPIEXEC,
                ranks(3, "translation", training(output, joined(long_run, {"--rank_timeout", "2"}))));
    wait_for_checkpoint(output);
    const auto pid = pid_of(victim, output);
    signal_rank(pid, SIGSTOP);
    const auto outcome = ended(child);
    kill(pid, SIGKILL);
    BOOST_TEST(contains(outcome.err, "has waited 2 s for rank " + std::to_string(victim)), outcome.err);
    BOOST_TEST(count_of("has waited", outcome.err) == 1, outcome.err);
    check_resumption(output);
  }
}

// Where ranks may take long, they wait ten times as long.
BOOST_AUTO_TEST_CASE(that_stop_a_rank_end_evaluating_and_translating) {
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "2"})).code == 0);
  BOOST_TEST_REQUIRE(run("masked_lm", mlm_training("mlm", {"--max_steps", "2"})).code == 0);
  const auto repeated = [&](const std::string& name, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += content(folder / "data" / name);
    write(folder / name, text);
  };
  const Arguments slow = {"--num_beams", "8", "--min_length", "60", "--batch_size", "8", "--rank_timeout", "0.5"};
  for (const int victim : {0, 1}) {
    repeated("valid.de", 300);
    repeated("valid.en", 300);
    check_end_of_stopped(victim, "translation",
                         joined({"evaluate", "--source", path("valid.de"), "--reference", path("valid.en")}, slow),
                         "run");
    repeated("valid.de", 5000);
    check_end_of_stopped(victim, "translation", joined({"translate", "--input", path("valid.de")}, slow), "run");
    check_end_of_stopped(
        victim, "masked_lm",
        {"evaluate", "--text", path("valid.de"), "--per_device_eval_batch_size", "1", "--rank_timeout", "2"}, "mlm");
  }
}

// Rank 0 says that it waits for its input, which may come line by line.
BOOST_AUTO_TEST_CASE(do_not_lie_in_input_that_comes_late) {
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "2"})).code == 0);
  Conversation talk(
      NEURAL_ATTENTION_MPIEXEC,
      ranks(2, "translation", {"translate", "--model", path("run"), "--threads", "1", "--rank_timeout", "0.5"}));
  talk.say("Der Hund.\n");
  BOOST_TEST(lines_of(talk.hear(1)).size() == 1u);
  std::this_thread::sleep_for(std::chrono::seconds(7));
  talk.say("Die Katze.\n");
  BOOST_TEST(lines_of(talk.hear(1)).size() == 1u);
}

BOOST_AUTO_TEST_CASE(of_rank_0_name_it) {
  check_end(two_trainings({"--train_source", path("nowhere.de"), "--train_target", path("nowhere.en")}, {}), 1,
            "translation: rank 0 on ");
}

BOOST_AUTO_TEST_CASE(of_other_weights_and_builds_are_named) {
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "2"})).code == 0);
  fs::copy(folder / "run", folder / "other");
  auto weights = content(folder / "other/model.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write(folder / "other/model.safetensors", weights);
  const auto program = (fs::path(NEURAL_ATTENTION_BIN_DIR) / "translation").string();
  const auto translating = [&](const std::string& model) {
    return Arguments{"-n", "1", program, "translate", "--model", path(model), "--input", path("data/valid.de")};
  };
  check_end(joined(joined(translating("run"), {":"}), translating("other")), 2, "rank 1 on ");

  // A program that differs in a byte that nothing reads.
  fs::copy(program, folder / "translation");
  write(folder / "translation", content(folder / "translation") + "x");
  check_end(two_programs(program, path("translation"), training("built", {"--max_steps", "2"})), 2,
            "runs another command, version or build than rank 0");
}

BOOST_AUTO_TEST_CASE(of_a_full_disk_end_the_run_and_leave_a_checkpoint) {
  if (faults::skipped()) return;
  const auto environment = faults::fault_environment("bytes:5000000:ENOSPC", path("run"), path("counts"));
  Child child(folder, NEURAL_ATTENTION_MPIEXEC, ranks(3, "translation", training("run", long_run)), {}, [&] {
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  });
  const auto outcome = child.wait();
  BOOST_TEST(outcome.code != 0);
  BOOST_TEST(count_of("translation: rank 0 on ", outcome.err) == 1, outcome.err);
  BOOST_TEST(contains(outcome.err, "No space left on device"), outcome.err);
  BOOST_TEST_REQUIRE(!neural_attention::list_checkpoints(path("run")).empty());
  check_resumption("run");
}

BOOST_AUTO_TEST_CASE(of_translations_are_said_once) {
  check_end(ranks(3, "translation", {"translate", "--model", path("nowhere")}), 1, "nowhere");
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "2"})).code == 0);
  const Arguments model = {"--model", path("run"), "--threads", "1"};
  check_end(ranks(3, "translation", joined({"translate", "--input", path("nothing.de")}, model)), 1, "nothing.de");
  write(folder / "wrong.de", "Ein Haus.\n\xff\xfe\nEin Hund.\n");
  const auto outcome = mpirun(ranks(3, "translation", joined({"translate", "--input", path("wrong.de")}, model)));
  BOOST_TEST(outcome.code == 1);
  BOOST_TEST(lines_of(outcome.out).size() == 1u);
  BOOST_TEST(contains(outcome.err, "line 2"), outcome.err);
}

BOOST_AUTO_TEST_CASE(of_ranks_that_do_other_work_are_named) {
  BOOST_TEST_REQUIRE(run("translation", training("run", {"--max_steps", "2"})).code == 0);
  BOOST_TEST_REQUIRE(run("masked_lm", mlm_training("mlm", {"--max_steps", "2"})).code == 0);
  BOOST_TEST_REQUIRE(run("causal_lm", causal_training("causal", {"--max_steps", "2"})).code == 0);
  const auto two = [&](const std::string& program, const Arguments& both, const Arguments& first,
                       const Arguments& second) {
    const auto path = (fs::path(NEURAL_ATTENTION_BIN_DIR) / program).string();
    const auto of = [&](const Arguments& more) { return joined(joined({"-n", "1", path}, both), more); };
    return joined(joined(of(first), {":"}), of(second));
  };
  const Arguments model = {"--model", path("run"), "--threads", "1"};
  check_end(two("translation", joined({"translate", "--input", path("data/valid.de")}, model), {"--max_length", "3"},
                {"--max_length", "8"}),
            2, "all ranks need the same program, flags and data");
  check_end(two("translation", joined({"evaluate", "--reference", path("data/valid.en")}, model),
                {"--source", path("data/valid.de")}, {"--source", path("data/valid.en")}),
            2, "all ranks need the same program, flags and data");
  check_end(two("masked_lm", {"evaluate", "--model", path("mlm"), "--threads", "1"}, {"--text", path("data/valid.de")},
                {"--text", path("data/valid.en")}),
            2, "all ranks need the same program, flags and data");
  check_end(
      two("causal_lm", {"evaluate", "--model", path("causal"), "--text", path("data/valid.txt"), "--threads", "1"},
          {"--stride", "20"}, {"--stride", "10"}),
      2, "has stride \"10\", but rank 0 on ");
  auto text = content(folder / "data/valid.txt");
  write(folder / "one.txt", text);
  std::swap(text[0], text[1]);
  write(folder / "other.txt", text);
  check_end(two("causal_lm", {"evaluate", "--model", path("causal"), "--threads", "1"}, {"--text", path("one.txt")},
                {"--text", path("other.txt")}),
            2, "all ranks need the same program, flags and data");
}

BOOST_AUTO_TEST_CASE(of_commands_that_do_not_share_are_refused) {
  check_end(ranks(1, "masked_lm", {"fill", "--model", path("nowhere")}), 1, "nowhere");
  const auto refused = [&](const std::string& program, const Arguments& arguments) {
    const auto outcome = mpirun(ranks(2, program, arguments));
    BOOST_TEST(outcome.code == 2);
    BOOST_TEST(contains(outcome.err, "this command cannot share its work among processes"), outcome.err);
  };
  refused("masked_lm", {"fill", "--model", path("nowhere")});
  for (const char* const program : {"translation", "masked_lm", "causal_lm"})
    refused(program, {"quantize", "--model", path("nowhere"), "--output_dir", path("int8")});
  refused("causal_lm",
          {"tokenize", "--data", path("data"), "--tokenizer", "characters", "--output_dir", path("tokens")});
  for (const char* const output : {"int8", "tokens"}) BOOST_TEST(!fs::exists(folder / output));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(studies_slow, Ranks)

BOOST_AUTO_TEST_CASE(train_each_run_in_two_ranks) {
  const auto study = [&](const std::string& name, const nlohmann::json& launcher) {
    auto json = programs::character_study(path("data"), 8, {{"n_embd", 16}, {"warmup_steps", 2}, {"eval_steps", 4}});
    json["seeds"] = {1, 2};
    if (!launcher.is_null()) json["launcher"] = launcher;
    write(folder / (name + ".json"), json.dump());
    return path(name + ".json");
  };
  for (const auto& file :
       {study("alone", {}), study("shared", nlohmann::json::array({NEURAL_ATTENTION_MPIEXEC, "-n", "2"}))}) {
    const auto ran = run("projector_study", {"run", file});
    BOOST_TEST_REQUIRE(ran.code == 0, ran.err);
    const auto reported = run("projector_study", {"report", file});
    BOOST_TEST(reported.code == 0, reported.err);
  }
  for (const char* const one : {"linear-seed1", "linear-seed2", "half-seed1", "half-seed2"}) {
    const auto runs = [&](const std::string& name) { return name + "/runs/" + one + "/"; };
    const auto command = nlohmann::json::parse(content(folder / (runs("shared") + "run.json")))["command"];
    BOOST_TEST(contains(command.dump(), "-n 2"), command.dump());
    check_losses(runs("shared") + "output", runs("alone") + "output");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(kills_slow, Ranks)

// Some come before the first step, some inside a checkpoint.
BOOST_AUTO_TEST_CASE(at_any_moment_end_the_run_and_lose_no_checkpoint) {
  neural_attention::RandomStream random({11, 0, 0});
  for (int i = 0; i < 20; ++i) {
    const auto output = "run_" + std::to_string(i);
    const int count = 2 + static_cast<int>(random.below(2)),
              victim = static_cast<int>(random.below(static_cast<std::uint32_t>(count)));
    const Arguments shard = i % 2 == 0 ? Arguments{"--shard_optimizer"} : Arguments{};
    Child child(folder, NEURAL_ATTENTION_MPIEXEC,
                ranks(count, "translation", training(output, joined(long_run, shard))));
    const auto begin = Clock::now();
    int pid = 0;
    while (!(pid = pid_of(victim, output)) && Clock::now() - begin < std::chrono::seconds(60))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(2500)));
    const auto before = last_checkpoint(output);
    signal_rank(pid, SIGKILL);
    ended(child);
    BOOST_TEST(last_checkpoint(output) >= before);
    check_resumption(output);
  }
}

BOOST_AUTO_TEST_SUITE_END()
