// MappedFile: the bytes of a file, and a clear refusal of what is no file.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE mapped_file
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "scratch.hpp"

namespace fs = std::filesystem;
using neural_attention::FileError;
using neural_attention::io::MappedFile;

namespace {

std::string text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string many_pages() {
  std::string bytes(100'003, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reading)

BOOST_AUTO_TEST_CASE(bytes_are_the_files) {
  const Scratch scratch;
  put(scratch / "a", many_pages());
  const MappedFile file(scratch / "a");
  BOOST_TEST(file.bytes().size() == 100'003u);
  BOOST_TEST((text(file) == many_pages()));
}

BOOST_AUTO_TEST_CASE(an_empty_file_has_no_bytes) {
  const Scratch scratch;
  put(scratch / "a", "");
  const MappedFile file(scratch / "a");
  BOOST_TEST(file.bytes().empty());
  file.release(0, 0);
}

BOOST_AUTO_TEST_CASE(released_bytes_stay_readable) {
  const Scratch scratch;
  put(scratch / "a", many_pages());
  const MappedFile file(scratch / "a");
  for (const std::size_t offset : {0u, 1u, 4095u, 4096u, 50'000u, 100'002u, 100'003u}) {
    for (const std::size_t size : {0u, 1u, 4096u, 9000u, 100'003u}) {
      if (offset + size <= 100'003u) file.release(offset, size);
    }
  }
  BOOST_TEST((text(file) == many_pages()));
  BOOST_CHECK_EXCEPTION(file.release(100'003, 1), FileError, says({"cannot release"}));
  BOOST_CHECK_EXCEPTION(file.release(100'004, 0), FileError, says({"cannot release"}));
  BOOST_CHECK_EXCEPTION(file.release(1, static_cast<std::size_t>(-1)), FileError, says({"cannot release"}));
}

#if defined(__linux__)
BOOST_AUTO_TEST_CASE(release_gives_memory_back) {
  const auto resident_file_pages = [] {  // of this process, in pages: the third number is shared with files
    std::ifstream in("/proc/self/statm");
    long size = 0, resident = 0, shared = 0;
    in >> size >> resident >> shared;
    return shared;
  };
  const Scratch scratch;
  put(scratch / "a", std::string(32u << 20, 'x'));
  const MappedFile file(scratch / "a");
  const auto page = sysconf(_SC_PAGESIZE), pages = (32l << 20) / page;
  const long before = resident_file_pages();
  BOOST_TEST((text(file) == std::string(32u << 20, 'x')));
  const long touched = resident_file_pages();
  BOOST_REQUIRE(touched - before > pages / 2);
  file.release(0, file.bytes().size());
  BOOST_TEST(resident_file_pages() - before < pages / 8);
}
#endif

BOOST_AUTO_TEST_CASE(moves_and_outlives_a_replaced_file) {
  const Scratch scratch;
  put(scratch / "a", "first");
  put(scratch / "b", "other");
  MappedFile a(scratch / "a");
  neural_attention::io::write_file_atomically(scratch / "a", "replaced");
  MappedFile moved(std::move(a));
  BOOST_TEST(text(moved) == "first");
  moved = MappedFile(scratch / "b");
  BOOST_TEST(text(moved) == "other");
  BOOST_TEST(moved.path() == scratch / "b");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(refusals)

BOOST_AUTO_TEST_CASE(what_is_no_file) {
  const Scratch scratch;
  BOOST_CHECK_EXCEPTION(MappedFile(scratch / "none"), FileError, says({"none", "No such file or directory"}));
  BOOST_CHECK_EXCEPTION(MappedFile{scratch.path}, FileError, says({scratch.path.string(), "is a folder"}));
  BOOST_CHECK_EXCEPTION(MappedFile(""), FileError, says({"No such file"}));
  BOOST_REQUIRE(mkfifo((scratch / "pipe").c_str(), 0600) == 0);
  BOOST_CHECK_EXCEPTION(MappedFile(scratch / "pipe"), FileError, says({"pipe", "not a regular file"}));
}

BOOST_AUTO_TEST_CASE(an_unreadable_file) {
  const Scratch scratch;
  put(scratch / "a", "secret");
  fs::permissions(scratch / "a", fs::perms::none);
  fs::permissions(scratch.path, fs::perms::all);
  const OrdinaryUser user;
  BOOST_CHECK_EXCEPTION(MappedFile(scratch / "a"), FileError, says({"cannot open", "Permission denied"}));
}

BOOST_AUTO_TEST_SUITE_END()
