// The training programs under mpirun as their users meet them: the same flags, the losses of one process, resumption on
// another number of ranks, and runs that end with one sentence whatever happens to a rank.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mpi_training_programs
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "examples/both_programs.hpp"
#include "examples/metrics.hpp"
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
  Arguments mlm_training(const std::string& output, const Arguments& more = {}) const {
    return Workplace::mlm_training(output, joined({"--logging_steps", "1", "--warmup_steps", "5"}, more));
  }
  Arguments causal_training(const std::string& output, const Arguments& more = {}) const {
    write(folder / "tiny_gpt2.json", R"({"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32})");
    return joined({"train", "--data", path("data"), "--config", path("tiny_gpt2.json"), "--tokenizer", "characters",
                   "--threads", "1", "--warmup_steps", "5", "--logging_steps", "1", "--output_dir", path(output)},
                  more);
  }

  /// {step, loss} of a run's rows, of training and validation.
  std::map<std::pair<long, std::string>, double> losses(const std::string& output) const {
    std::map<std::pair<long, std::string>, double> found;
    for (const auto& row : metrics(folder / output))
      for (const char* const name : {"loss", "valid_loss"})
        if (row.contains("step") && row.contains(name)) found[{row["step"].get<long>(), name}] = row[name];
    return found;
  }

  void check_losses(const std::string& output, const std::string& expected) const {
    const auto found = losses(output), wanted = losses(expected);
    BOOST_TEST_REQUIRE(found.size() == wanted.size());
    for (const auto& [row, loss] : wanted) {
      BOOST_TEST_REQUIRE(found.contains(row));
      BOOST_TEST(std::abs(found.at(row) - loss) <= 1e-4 * loss,
                 output << ", step " << row.first << ": " << found.at(row) << " for " << loss);
    }
  }

  /// A run that fails with `code`, quickly, and says `part` once.
  void check_end(const Arguments& arguments, int code, const std::string& part) const {
    const auto start = Clock::now();
    const auto outcome = mpirun(arguments);
    BOOST_TEST(std::chrono::duration<double>(Clock::now() - start).count() < 30.0);
    // mpirun has the code of the rank that ends first, which is 1 where it has only heard of the fault.
    BOOST_TEST((outcome.code == code || outcome.code == 1), outcome.err);
    const auto first = outcome.err.find(part);
    BOOST_TEST((first != std::string::npos && outcome.err.find(part, first + 1) == std::string::npos), outcome.err);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(programs_in_ranks, Ranks)

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

BOOST_AUTO_TEST_CASE(repeat_bit_by_bit) {
  for (const char* const output : {"first", "second"})
    BOOST_TEST_REQUIRE(mpirun(ranks(2, "translation", training(output, {"--max_steps", "6"}))).code == 0);
  BOOST_TEST((content(folder / "first/model.safetensors") == content(folder / "second/model.safetensors")));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(faults, Ranks)

BOOST_AUTO_TEST_CASE(of_flags_and_data_are_named) {
  const auto two = [&](const Arguments& first, const Arguments& second) {
    const auto program = (fs::path(NEURAL_ATTENTION_BIN_DIR) / "translation").string();
    return joined(joined(joined({"-n", "1", program}, training("run", first)), {":", "-n", "1", program}),
                  training("run", second));
  };
  check_end(two({"--max_steps", "9"}, {"--max_steps", "8"}), 2, "has max_steps \"8\", but rank 0 on ");
  check_end(two({}, {"--seed", "7"}), 2, "has seed \"7\", but rank 0 on ");
  check_end(two({}, {"--learning_rate", "0.5"}), 2, "has learning_rate \"0.5\", but rank 0 on ");
  check_end(two({}, {"--max_target_length", "5"}), 2, "has max_target_length \"5\", but rank 0 on ");
  check_end(two({}, {"--train_source", path("nowhere.de"), "--train_target", path("nowhere.en")}), 1, "rank 1 on ");
  BOOST_TEST(!fs::exists(folder / "run/model.safetensors"));
}

BOOST_AUTO_TEST_CASE(of_the_output_are_said_once) {
  BOOST_TEST_REQUIRE(mpirun(ranks(2, "translation", training("run", {"--max_steps", "2"}))).code == 0);
  check_end(ranks(3, "translation", training("run", {"--max_steps", "2"})), 2,
            "holds the checkpoints of an earlier run");
  write(folder / "file", "");
  check_end(ranks(3, "translation", training("file/run", {"--max_steps", "2"})), 1, "file/run");
}

BOOST_AUTO_TEST_CASE(of_numbers_name_the_rank) {
  check_end(ranks(2, "translation",
                  training("run", {"--max_steps", "50", "--learning_rate", "1e30", "--max_grad_norm", "0"})),
            1, "not finite");
}

BOOST_AUTO_TEST_CASE(that_kill_a_rank_end_the_run_and_leave_a_checkpoint) {
  const Arguments long_run = {"--max_steps",     "100000", "--save_steps",        "5",
                              "--eval_strategy", "no",     "--lr_scheduler_type", "constant"};
  for (const int victim : {0, 1, 2}) {
    const auto output = "killed_" + std::to_string(victim);
    const auto arguments = ranks(3, "translation", training(output, long_run));
    Child child(folder, NEURAL_ATTENTION_MPIEXEC, arguments);
    const auto begin = Clock::now();
    while (neural_attention::list_checkpoints(path(output)).empty() && Clock::now() - begin < std::chrono::seconds(120))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::string pid;
    for (const auto& process : fs::directory_iterator("/proc")) {  // by a variable that Open MPI and MPICH set
      const auto environment = content(process.path() / "environ"), command = content(process.path() / "cmdline");
      const auto of_rank = [&](const char* name) {
        return contains(environment, std::string(name) + "=" + std::to_string(victim) + std::string(1, '\0'));
      };
      if (contains(command, path(output)) && (of_rank("OMPI_COMM_WORLD_RANK") || of_rank("PMI_RANK")))
        pid = process.path().filename();
    }
    BOOST_TEST_REQUIRE(!pid.empty());
    BOOST_TEST_REQUIRE(kill(std::stoi(pid), SIGKILL) == 0);
    const auto killed = Clock::now();
    const auto outcome = child.wait();
    BOOST_TEST(std::chrono::duration<double>(Clock::now() - killed).count() < 30.0);
    BOOST_TEST(outcome.code != 0);
    BOOST_TEST(contains(outcome.err, "rank " + std::to_string(victim)), outcome.err);
    const auto whole = neural_attention::list_checkpoints(path(output));
    BOOST_TEST_REQUIRE(!whole.empty());
    const auto resumed =
        mpirun(ranks(2, "translation",
                     training(output, {"--max_steps", std::to_string(whole.back() + 3), "--eval_strategy", "no",
                                       "--lr_scheduler_type", "constant", "--resume_from_checkpoint", "last"})));
    BOOST_TEST(resumed.code == 0, resumed.err);
  }
}

BOOST_AUTO_TEST_CASE(of_commands_that_do_not_share_are_refused) {
  check_end(ranks(1, "translation", {"translate", "--model", path("nowhere")}), 1, "nowhere");
  const auto outcome = mpirun(ranks(2, "translation", {"translate", "--model", path("nowhere")}));
  BOOST_TEST(outcome.code == 2);
  BOOST_TEST(contains(outcome.err, "only train shares its work among processes"), outcome.err);
}

BOOST_AUTO_TEST_SUITE_END()
