// Checkpoints: what was written comes back; damaged files are refused; a full disk costs nothing that was there.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE trainer_checkpoint
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/trainer/checkpoint.hpp"
#include "scratch.hpp"

using namespace neural_attention;
namespace fs = std::filesystem;

namespace {

using B = Cpu<float>;

/// `shape` changes its tensors, as a program with another configuration would.
struct Model {
  explicit Model(int shape = 0)
      : a(shape == 1 ? 3 : 2, shape == 1 ? 2 : 3, Initial::normal(1.0)),
        b(5, Initial::normal(1.0)),
        c(300, 40, Initial::normal(1.0)),
        renamed(shape == 1) {}

  Parameter<B> a, b, c;
  Buffer<B> fixed{1, 4, Initial::constant(3.0)};
  bool renamed;

  static void visit(auto& self, auto&& visitor) {
    visitor("a", self.a);
    visitor(self.renamed ? "new" : "gone", self.b);
    visitor("c", self.c);
    visitor("fixed", self.fixed);
  }
};

struct Run {
  explicit Run(int shape = 0, std::uint64_t seed = 1)
      : model(shape), store(backend, model, Purpose::Training), adam(backend, store, {}) {
    store.initialise(seed);
  }
  void train(int steps) {
    for (const auto& entry : store.entries())
      if (entry.trained) backend(ops::Fill<B>{.x = store.gradient(entry), .value = 0.25f});  // the gaps stay zero
    const StepOutcome unclipped;
    for (int i = 0; i < steps; ++i) adam.update(store, 0.01, &unclipped);
  }
  std::string save(const Scratch& scratch, const std::function<void(const std::string&)>& more = {}) {
    TrainingPosition position;
    position.step = adam.steps();
    position.epoch = 2;
    position.batch = 17;
    position.sequences = 68;
    position.run.set("learning_rate", 0.001);
    position.run.set("text", "Über \"alles\"");
    position.run.set("model", "runs/\xE4\xFF");  // a path of the file system, in Latin-1
    position.seed = 0xfedcba9876543210u;
    position.best_metric = -1.0 / 3.0;
    position.best_step = 4;
    position.evaluations_without_gain = 3;
    position.evaluation_due = true;
    position.seconds = 12.3456789;
    position.tokens = 5000000000;
    return save_checkpoint(scratch.path.string(), backend, store, adam, position, [&](const std::string& directory) {
      if (more) more(directory);
    });
  }
  std::vector<float> state() {
    std::vector<float> all;
    for (const auto& rows : {store.values(), adam.moments().at(0).numbers, adam.moments().at(1).numbers}) {
      std::vector<float> host(static_cast<std::size_t>(rows.size()));
      backend(ops::Download<B>{.x = rows, .values = host});
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  }
  TrainingPosition load(const std::string& directory) { return load_checkpoint(directory, backend, store, adam); }

  B backend{1};
  Model model;
  ParameterStore<B> store;
  Adam<B> adam;
};

/// A checkpoint with one file changed by `damage` cannot be loaded, and the error names the file.
void check_refused(const std::string& file, const std::function<void(const fs::path&)>& damage,
                   const std::string& expected = {}) {
  Scratch scratch;
  Run run;
  run.train(3);
  const auto directory = run.save(scratch);
  const auto path = fs::path(directory) / file;
  damage(path);
  Run fresh(0, 2);
  BOOST_CHECK_EXCEPTION(fresh.load(directory), FileError, says({path.string(), expected}));
  BOOST_TEST(fresh.adam.steps() == 0);
}

void replace(const fs::path& path, const std::string& what, const std::string& with) {
  auto text = contents(path);
  const auto place = text.find(what);
  BOOST_TEST_REQUIRE(place != std::string::npos, path << " lacks " << what);
  put(path, text.replace(place, what.size(), with));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(written)

BOOST_AUTO_TEST_CASE(comes_back) {
  Scratch scratch;
  Run run;
  run.train(5);
  const auto directory =
      run.save(scratch, [](const std::string& where) { put(fs::path(where) / "config.json", "{}"); });
  BOOST_TEST(directory == (scratch / "checkpoint-5").string());
  BOOST_TEST(scratch.entries() == 1u);
  BOOST_TEST(contents(fs::path(directory) / "config.json") == "{}");
  Run other(0, 9);
  BOOST_TEST((other.state() != run.state()));
  const auto position = other.load(directory);
  BOOST_TEST((other.state() == run.state()));
  BOOST_TEST(other.adam.steps() == 5);
  BOOST_TEST((position.step == 5 && position.epoch == 2 && position.batch == 17));
  BOOST_TEST((position.seed == 0xfedcba9876543210u && position.best_metric == -1.0 / 3.0 && position.best_step == 4));
  BOOST_TEST((position.evaluations_without_gain == 3 && position.evaluation_due));
  BOOST_TEST((position.seconds == 12.3456789 && position.tokens == 5000000000 && position.sequences == 68));
  BOOST_TEST((*position.run.find("learning_rate") == "0.001" && *position.run.find("text") == "Über \"alles\""));
  BOOST_TEST(*position.run.find("model") == "runs/\\xE4\\xFF");
  run.train(2);
  other.train(2);
  BOOST_TEST((other.state() == run.state()));
}

BOOST_AUTO_TEST_CASE(replaces_one_of_the_same_step_and_leftovers) {
  Scratch scratch;
  Run run;
  run.train(2);
  const auto directory = run.save(scratch, [](const std::string& where) { put(fs::path(where) / "old", "x"); });
  fs::create_directories(scratch / "checkpoint-2.incomplete");
  put(scratch / "checkpoint-2.incomplete/half", "x");
  BOOST_TEST((list_checkpoints(scratch.path.string()) == std::vector<long>{2}));
  run.save(scratch);
  BOOST_TEST(scratch.entries() == 1u);
  BOOST_TEST(!fs::exists(fs::path(directory) / "old"));
  BOOST_TEST(!fs::exists(fs::path(directory) / "half"));
}

BOOST_AUTO_TEST_CASE(is_listed_and_pruned) {
  Scratch scratch;
  const auto folder = scratch.path.string();
  for (const char* name : {"checkpoint-9", "checkpoint-10", "checkpoint-100", "checkpoint-20", "checkpoint-3"}) {
    fs::create_directories(scratch / name);
    put(scratch / name / "trainer_state.json", "{}");
    write_manifest(scratch / name);
  }
  for (const char* name : {"checkpoint-", "checkpoint-x", "checkpoint-5.incomplete", "checkpoint-7", "other-1",
                           "checkpoint-123456789012345678901234567890", "checkpoint--5", "checkpoint-05"})
    fs::create_directories(scratch / name);  // checkpoint-7 has no files
  put(scratch / "checkpoint-8", "a file");
  const auto list = [&] { return list_checkpoints(folder); };
  BOOST_TEST((list() == std::vector<long>{3, 9, 10, 20, 100}));
  BOOST_TEST(list_checkpoints((scratch / "nowhere").string()).empty());
  prune_checkpoints(folder, 0, 3, 100);
  BOOST_TEST(list().size() == 5u);
  prune_checkpoints(folder, 7, 3, 100);
  BOOST_TEST(list().size() == 5u);
  // A later checkpoint, of an earlier run, neither counts nor goes.
  prune_checkpoints(folder, 2, 9, 20);
  BOOST_TEST((list() == std::vector<long>{9, 10, 20, 100}));
  prune_checkpoints(folder, 2, 9, 100);
  BOOST_TEST((list() == std::vector<long>{9, 20, 100}));
  prune_checkpoints(folder, 1, 100, 100);
  BOOST_TEST((list() == std::vector<long>{100}));
  BOOST_TEST(fs::exists(scratch / "checkpoint-7"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(damaged)

BOOST_AUTO_TEST_CASE(tensors_are_refused) {
  for (const std::string file : {"model.safetensors", "optimizer.safetensors"}) {
    for (const int percent : {0, 1, 50, 99})
      check_refused(file, [&](const fs::path& path) {
        fs::resize_file(path, fs::file_size(path) * static_cast<std::uintmax_t>(percent) / 100);
      });
    check_refused(file, [](const fs::path& path) { fs::resize_file(path, fs::file_size(path) + 1); });
    check_refused(file, [](const fs::path& path) { put(path, std::string(5000, '\xff')); });
    check_refused(file, [](const fs::path& path) { put(path, "not tensors at all"); });
    check_refused(file, [](const fs::path& path) { replace(path, "\"dtype\"", "\"dtypo\""); });
    check_refused(file, [](const fs::path& path) { replace(path, "[2,3]", "[9,3]"); });
    check_refused(file, [](const fs::path& path) { fs::remove(path); });
  }
  check_refused(
      "optimizer.safetensors", [](const fs::path& path) { replace(path, "first_moment.a", "first_moment.z"); },
      "missing      first_moment.a");
}

BOOST_AUTO_TEST_CASE(position_is_refused) {
  const std::string file = "trainer_state.json";
  const auto change = [&](const std::string& what, const std::string& with, const std::string& expected) {
    check_refused(
        file, [&](const fs::path& path) { replace(path, what, with); }, expected);
  };
  change("\"format_version\": 2", "\"format_version\": 3", "version 3");
  change("\"format_version\": 2", "\"format_version\": 1", "resume with the release that wrote it");
  change("\"format_version\"", "\"version\"", "format_version");
  for (const std::string key :
       {"step", "epoch", "batch", "seed", "best_metric", "best_step", "evaluations_without_gain", "seconds", "tokens",
        "sequences", "evaluation_due", "optimizer", "run"})
    change("\"" + key + "\"", "\"no_" + key + "\"", "\"" + key + "\"");
  change("\"epoch\": 2", "\"epoch\": -2", "negative");
  change("\"epoch\": 2", "\"epoch\": 2.5", "epoch");
  change("\"epoch\": 2", "\"epoch\": \"2\"", "epoch");
  change("\"epoch\": 2", "\"epoch\": 2000000000000", "epoch");
  change("\"epoch\": 2", "\"epoch\": null", "epoch");
  change("\"evaluation_due\": true", "\"evaluation_due\": 1", "evaluation_due");
  change("\"learning_rate\": \"0.001\"", "\"learning_rate\": 0.001", "learning_rate");
  check_refused(file, [](const fs::path& path) { put(path, ""); });
  check_refused(file, [](const fs::path& path) { put(path, "[]"); });
  check_refused(file, [](const fs::path& path) { put(path, "\xff\xfe garbage"); });
  check_refused(file, [](const fs::path& path) { fs::resize_file(path, fs::file_size(path) / 2); });
  check_refused(file, [](const fs::path& path) { fs::remove(path); });
}

BOOST_AUTO_TEST_CASE(a_model_of_another_shape_gets_a_table) {
  Scratch scratch;
  Run run;
  run.train(1);
  const auto directory = run.save(scratch);
  Run other(1, 2);
  const auto before = other.state();
  BOOST_CHECK_EXCEPTION(other.load(directory), FileError,
                        says({"model.safetensors", "missing      new [5]", "unexpected   gone [5]",
                              "wrong shape  a [2, 3], the model has [3, 2]"}));
  BOOST_TEST((other.state() == before));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(killed)

void same_files(const fs::path& from, const fs::path& to) { fs::copy(from, to, fs::copy_options::recursive); }

BOOST_AUTO_TEST_CASE(a_torn_checkpoint_does_not_count) {
  Scratch scratch;
  Run run;
  run.train(2);
  const fs::path directory = run.save(scratch, [](const std::string& where) { put(fs::path(where) / "more", "text"); });
  const auto list = [&] { return list_checkpoints(scratch.path.string()); };
  for (const char* file : {"more", "model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
    const auto whole = contents(directory / file);
    fs::remove(directory / file);
    BOOST_TEST(list().empty(), file);
    put(directory / file, whole.substr(0, whole.size() - 1));
    BOOST_TEST(list().empty(), file);
    put(directory / file, whole);
    BOOST_TEST((list() == std::vector<long>{2}));
  }
  put(directory / "more", "tex");
  BOOST_CHECK_EXCEPTION(run.load(directory.string()), FileError,
                        says({(directory / "more").string(), "3 bytes", "says 4"}));
  fs::remove(directory / "manifest.json");
  BOOST_TEST(list().empty());
  BOOST_CHECK_EXCEPTION(run.load(directory.string()), FileError, says({"manifest.json"}));
}

BOOST_AUTO_TEST_CASE(a_finished_one_without_its_name_is_used_and_a_partial_one_goes) {
  Scratch scratch;
  Run run;
  run.train(2);
  run.save(scratch);
  run.train(1);
  const auto directory = run.save(scratch, [](const std::string& where) { put(fs::path(where) / "new", "x"); });
  const auto state = run.state();
  // Killed between the old one's leaving and the new one's coming; between writing and replacing; while writing.
  fs::rename(directory, directory + ".incomplete");
  same_files(scratch / "checkpoint-2", directory + ".removed");
  same_files(scratch / "checkpoint-2", scratch / "checkpoint-9.incomplete");
  fs::remove(scratch / "checkpoint-9.incomplete/manifest.json");
  same_files(scratch / "checkpoint-2", scratch / "checkpoint-2.incomplete");
  put(scratch / "checkpoint-2.incomplete/newer", "x");
  fs::create_directories(scratch / "checkpoint-7.mine");
  recover_checkpoints(scratch.path.string());
  BOOST_TEST(scratch.entries() == 3u);
  BOOST_TEST(fs::exists(scratch / "checkpoint-7.mine"));
  BOOST_TEST(fs::exists(scratch / "checkpoint-2/newer"));
  BOOST_TEST((list_checkpoints(scratch.path.string()) == std::vector<long>{2, 3}));
  Run fresh(0, 2);
  fresh.load(directory);
  BOOST_TEST((fresh.state() == state));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_replaced_stays) {
  Scratch scratch;
  Run run;
  run.train(2);
  const auto directory = run.save(scratch);
  BOOST_CHECK_EXCEPTION(place_checkpoint(scratch / "nothing", directory), FileError, says({"checkpoint-2"}));
  BOOST_TEST((list_checkpoints(scratch.path.string()) == std::vector<long>{2}));
}

BOOST_AUTO_TEST_CASE(the_last_and_the_best_are_kept) {
  const auto kept = [](int keep, long best_step, long step) {
    Scratch scratch;
    for (const std::string name : {"checkpoint-2", "checkpoint-4", "checkpoint-6", "checkpoint-8"}) {
      fs::create_directories(scratch / name);
      write_manifest(scratch / name);
    }
    prune_checkpoints(scratch.path.string(), keep, best_step, step);
    return list_checkpoints(scratch.path.string());
  };
  using Steps = std::vector<long>;
  BOOST_TEST((kept(1, 2, 8) == Steps{2, 8}));
  BOOST_TEST((kept(1, 8, 8) == Steps{8}));  // the best is one of the last
  BOOST_TEST((kept(2, 8, 8) == Steps{6, 8}));
  BOOST_TEST((kept(2, 6, 8) == Steps{6, 8}));
  BOOST_TEST((kept(2, 4, 8) == Steps{4, 6, 8}));
  BOOST_TEST((kept(2, 0, 8) == Steps{6, 8}));     // no evaluation yet
  BOOST_TEST((kept(1, 2, 6) == Steps{2, 6, 8}));  // later ones are not this run's
  for (const int all : {0, -1, 4, 9}) BOOST_TEST((kept(all, 2, 8) == Steps{2, 4, 6, 8}), all);
}

BOOST_AUTO_TEST_CASE(later_ones_are_set_aside) {
  Scratch scratch;
  const auto folder = scratch.path.string();
  for (const std::string name : {"checkpoint-2", "checkpoint-4", "checkpoint-6"}) {
    fs::create_directories(scratch / name);
    write_manifest(scratch / name);
  }
  abandon_checkpoints_after(folder, 4);
  BOOST_TEST((list_checkpoints(folder) == std::vector<long>{2, 4}));
  fs::create_directories(scratch / "checkpoint-6");
  write_manifest(scratch / "checkpoint-6");
  abandon_checkpoints_after(folder, 2);
  BOOST_TEST((list_checkpoints(folder) == std::vector<long>{2}));
  for (const char* name : {"checkpoint-4.abandoned", "checkpoint-6.abandoned", "checkpoint-6.abandoned.2"})
    BOOST_TEST(fs::exists(scratch / name), name);
  remove_checkpoints(folder);
  BOOST_TEST(scratch.entries() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(failing_disk)

BOOST_AUTO_TEST_CASE(leaves_what_was_there) {
  // The model has 48 KB of values; the limits stop its file at once, within, and in the optimizer's file.
  for (const rlim_t limit : {rlim_t{0}, rlim_t{20000}, rlim_t{60000}}) {
    Scratch scratch;
    Run run;
    run.train(3);
    const auto directory = run.save(scratch);
    const auto state = run.state();
    const auto model = contents(fs::path(directory) / "model.safetensors");
    const auto again = [&](int steps) {
      run.train(steps);
      const FileSizeLimit full(limit);
      run.save(scratch);
    };
    BOOST_CHECK_EXCEPTION(again(0), FileError, says({"checkpoint-3", "cannot"}));  // over the same name
    BOOST_CHECK_THROW(again(1), FileError);
    BOOST_TEST(scratch.entries() == 1u);
    BOOST_TEST((list_checkpoints(scratch.path.string()) == std::vector<long>{3}));
    BOOST_TEST((contents(fs::path(directory) / "model.safetensors") == model));
    Run fresh(0, 2);
    fresh.load(directory);
    BOOST_TEST((fresh.state() == state));
    run.save(scratch);  // once there is room
    BOOST_TEST((list_checkpoints(scratch.path.string()) == std::vector<long>{3, 4}));
  }
}

BOOST_AUTO_TEST_CASE(so_does_an_error_of_the_program) {
  Scratch scratch;
  Run run;
  run.train(1);
  BOOST_CHECK_THROW(run.save(scratch, [](const std::string&) { throw ConfigError("no"); }), ConfigError);
  BOOST_TEST(scratch.entries() == 0u);
}

BOOST_AUTO_TEST_CASE(a_folder_that_cannot_be_written) {
  Scratch scratch;
  Run run;
  run.train(1);
  fs::permissions(scratch.path,
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  {
    const OrdinaryUser ordinary;
    BOOST_CHECK_EXCEPTION(run.save(scratch), FileError, says({"checkpoint-1", "cannot be created"}));
  }
  fs::permissions(scratch.path, fs::perms::owner_all);
  BOOST_TEST(scratch.entries() == 0u);
  put(scratch / "file", "x");
  BOOST_CHECK_THROW(
      save_checkpoint((scratch / "file").string(), run.backend, run.store, run.adam, {}, [](const std::string&) {}),
      FileError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(names_from_files)

BOOST_AUTO_TEST_CASE(are_told_in_short) {
  Scratch scratch;
  Run run;
  run.train(1);
  const auto directory = run.save(scratch);
  const float one = 1.0f;
  std::vector<io::TensorToWrite> tensors;
  for (int i = 0; i < 500; ++i)
    tensors.push_back({"\x1b[31m" + std::string(20'000, 'x') + std::to_string(i), io::DType::F32, {1}, &one});
  io::write_safetensors(fs::path(directory) / "model.safetensors", tensors);
  write_manifest(directory);
  BOOST_CHECK_EXCEPTION(run.load(directory), FileError, [](const FileError& error) {
    const std::string_view message = error.what();
    return message.size() < 4000 && message.find('\x1b') == std::string_view::npos && says({"missing", "more"})(error);
  });
}

BOOST_AUTO_TEST_SUITE_END()
