// The files of a model directory: which names are theirs, which of them leave when others come, how tensors are divided
// into shards, and links that lead nowhere.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE io_model_files
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "neural_attention/io/model_file_names.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/io/save_model.hpp"
#include "neural_attention/io/staged_files.hpp"
#include "neural_attention/io/tensor_files.hpp"
#include "scratch.hpp"

namespace fs = std::filesystem;
using namespace neural_attention;
namespace files = neural_attention::io::detail;

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(of_shards_have_two_numbers) {
  for (const char* const name : {"model-00001-of-00002.safetensors", "model-1-of-12.safetensors"})
    BOOST_TEST(files::is_shard(name), name);
  for (const char* const name :
       {"model-average-of-5.safetensors", "model-00001-of-.safetensors", "model--of-2.safetensors",
        "model-.safetensors", "model-1-of-2", "model-1-of-2-of-3.safetensors", "my-model-1-of-2.safetensors",
        "model-safetensors", ""})
    BOOST_TEST(!files::is_shard(name), name);
}

BOOST_AUTO_TEST_CASE(of_other_files_stay) {
  const Scratch folder;
  const std::vector<std::string> kept = {"model-average-of-5.safetensors",        "results.replaced.2024",
                                         "model.safetensors.replaced.2024.11.02", "vocab.json.replaced.1.",
                                         "model.safetensors.replaced.",           "my.vocab.json"};
  for (const auto& name : kept) folder.write(name, "mine");
  BOOST_TEST(files::files_left_aside(folder.path).empty());
  BOOST_TEST(files::replaced_files(folder.path, files::NewFiles::ModelAndTokenizer).empty());
  for (const char* const name : {"model-00001-of-00002.safetensors", "vocab.json", "merges.txt.replaced.7",
                                 "model-00001-of-00002.safetensors.replaced.7.1", "config.json.replaced.8"})
    folder.write(name, "old");
  BOOST_TEST(files::files_left_aside(folder.path).size() == 3u);
  files::StagedFiles staged(folder.path);
  for (const char* const name : {"model.safetensors", "vocab.json"}) staged.add(name).write("new");
  staged.commit(files::replaced_files(folder.path, files::NewFiles::ModelAndTokenizer));
  BOOST_TEST(folder.entries() == kept.size() + 2);
  for (const auto& name : kept) BOOST_TEST(folder.read(name) == "mine", name);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(files_aside)

BOOST_AUTO_TEST_CASE(get_their_names_back) {
  const Scratch folder;
  folder.write("taken", "1");
  folder.write("kept", "2");
  {
    files::FilesAside aside;
    aside.take(folder / "taken");
    aside.keep(folder / "kept");
    BOOST_TEST(!fs::exists(folder / "taken"));
    BOOST_TEST(folder.read("kept") == "2");
  }
  BOOST_TEST(folder.read("taken") == "1");
  BOOST_TEST(folder.read("kept") == "2");
  BOOST_TEST(folder.entries() == 2u);
}

BOOST_AUTO_TEST_CASE(stay_there_if_their_names_are_taken) {
  const Scratch folder;
  folder.write("model.safetensors", "weights");
  {
    files::FilesAside aside;
    aside.take(folder / "model.safetensors");
    fs::create_directory(folder / "model.safetensors");
  }
  const auto left = files::files_left_aside(folder.path);
  BOOST_REQUIRE(left.size() == 1u);
  BOOST_TEST(folder.read(left.begin()->first) == "weights");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(shards)

// As huggingface_hub's split_torch_state_dict_into_shards divides tensors of these sizes.
BOOST_AUTO_TEST_CASE(are_divided_as_by_hugging_face) {
  using Shards = std::vector<std::vector<std::size_t>>;
  const std::vector<std::uint64_t> sizes = {60, 20, 150, 20, 40, 100, 101, 1, 0, 99, 2};
  BOOST_TEST((files::shards_of(sizes, 100) == Shards{{2}, {0, 1, 3}, {4}, {6}, {5}, {7, 8, 9}, {10}}));
  const Shards together = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  for (const std::uint64_t largest : {0, 593}) BOOST_TEST((files::shards_of(sizes, largest) == together));
  BOOST_TEST(files::shards_of({}, 100).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(links)

BOOST_AUTO_TEST_CASE(that_lead_nowhere_are_told) {
  const Scratch folder;
  BOOST_TEST(!io::is_there(folder / "config.json"));
  BOOST_TEST(!io::is_there(folder / "nowhere/config.json"));
  fs::create_symlink("gone", folder / "config.json");
  BOOST_CHECK_EXCEPTION(io::is_there(folder / "config.json"), FileError,
                        says({"config.json: is a link to \"gone\", which does not exist"}));
  folder.write("gone", "{}");
  BOOST_TEST(io::is_there(folder / "config.json"));
  fs::create_symlink("loop", folder / "loop");
  BOOST_CHECK_EXCEPTION(io::is_there(folder / "loop"), FileError, says({"loop: cannot be read: "}));
  for (const char* const name : {"model.safetensors.index.json", "model.safetensors"}) {
    fs::create_symlink("../blobs/0123", folder / name);
    BOOST_CHECK_EXCEPTION(io::TensorFiles::in_directory(folder.path), FileError,
                          says({std::string(name) + ": is a link to \"../blobs/0123\", which does not exist"}));
  }
}

BOOST_AUTO_TEST_SUITE_END()
