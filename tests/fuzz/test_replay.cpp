// The corpora of the fuzzers as an ordinary test: files named good… are taken, files named bad… are refused, and what
// lies one cut or one changed byte away from them is no finding either.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE replay
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "fuzz/targets.hpp"

namespace {

namespace fs = std::filesystem;

/// The files of a target's corpus by name.
std::map<std::string, std::string> corpus(const fuzz::Target& target) {
  const auto folder = fs::path(NEURAL_ATTENTION_GOLDEN_DIR).parent_path() / "fuzz" / "corpus" / target.name;
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(in), {}};
  }
  return files;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(corpora)

BOOST_AUTO_TEST_CASE(files) {
  const fuzz::MemoryFile file;
  for (const auto& target : fuzz::targets) {
    int good = 0, bad = 0;
    for (const auto& [name, bytes] : corpus(target)) {
      BOOST_TEST_CONTEXT(target.name << "/" << name) {
        file.replace(bytes);
        bool taken = false;
        BOOST_CHECK_NO_THROW(taken = target.read(file.path()));
        if (name.starts_with("good")) BOOST_TEST(taken);
        if (name.starts_with("bad")) BOOST_TEST(!taken);
        ++(taken ? good : bad);
      }
    }
    BOOST_TEST_CONTEXT(target.name) BOOST_TEST((good >= 2 && bad >= 4));
  }
}

BOOST_AUTO_TEST_CASE(cuts_and_changed_bytes) {
  const fuzz::MemoryFile file;
  for (const auto& target : fuzz::targets) {
    for (const auto& [name, bytes] : corpus(target)) {
      BOOST_TEST_CONTEXT(target.name << "/" << name) {
        // One check for all: a passed check for each of these files would take longer than reading it.
        BOOST_CHECK_NO_THROW(for (std::size_t i = 0; i < bytes.size(); ++i) {
          file.replace(std::string_view(bytes).substr(0, i));
          target.read(file.path());
          auto changed = bytes;
          for (const char byte : {'\0', '0', '9', '"', '{', ']', ',', '\xff'}) {
            changed[i] = byte;
            file.replace(changed);
            target.read(file.path());
          }
        });
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(checks)

// The checks around the readers see an error without the file, one of another file, and an exception of another kind.
BOOST_AUTO_TEST_CASE(findings_are_noticed) {
  using neural_attention::ConfigError, neural_attention::FileError;
  const auto throwing = [](const auto& error) { return [&error](const std::string&) { throw error; }; };
  const FileError right("a.json", "is bad"), wrong("b.json", "is bad"), long_one("a.json", std::string(3000, 'x'));
  BOOST_TEST(!fuzz::reads("a.json", throwing(right)));
  BOOST_TEST(fuzz::reads("a.json", [](const std::string&) {}));
  BOOST_CHECK_THROW(fuzz::reads("a.json", throwing(wrong)), fuzz::Finding);
  BOOST_CHECK_THROW(fuzz::reads("a.json", throwing(long_one)), fuzz::Finding);
  BOOST_CHECK_THROW(fuzz::reads("a.json", throwing(ConfigError("no file"))), ConfigError);
  BOOST_CHECK_THROW(fuzz::reads("a.json", throwing(std::out_of_range("at"))), std::out_of_range);
}

BOOST_AUTO_TEST_SUITE_END()
