// AtomicFile: the old file or the whole new one, whatever fails.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE atomic_file
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "neural_attention/io/atomic_file.hpp"
#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#endif

#include "scratch.hpp"

namespace fs = std::filesystem;
using neural_attention::FileError;
using neural_attention::io::AtomicFile;
using neural_attention::io::write_file_atomically;

BOOST_AUTO_TEST_SUITE(writing)

BOOST_AUTO_TEST_CASE(commit_puts_the_file_in_place) {
  const Scratch scratch;
  const auto path = scratch / "a.txt";
  {
    AtomicFile file(path);
    BOOST_TEST(file.temporary_path().string() == path.string() + ".tmp." + std::to_string(getpid()));
    file.write("one ");
    const std::string two("t\0o", 3);
    file.write(two.data(), two.size());
    BOOST_TEST(!fs::exists(path));
    BOOST_TEST(fs::exists(file.temporary_path()));
    file.commit();
    BOOST_CHECK_EXCEPTION(file.write("more"), FileError, says({path.string(), "closed"}));
    BOOST_CHECK_EXCEPTION(file.commit(), FileError, says({path.string(), "closed"}));
  }
  BOOST_TEST(contents(path) == std::string("one t\0o", 7));
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(without_commit_nothing_changes) {
  const Scratch scratch;
  put(scratch / "a.txt", "old");
  {
    AtomicFile file(scratch / "a.txt");
    file.write("new");
  }
  BOOST_TEST(contents(scratch / "a.txt") == "old");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(replaces_and_writes_empty_files) {
  const Scratch scratch;
  write_file_atomically(scratch / "a.txt", "a long first content");
  write_file_atomically(scratch / "a.txt", "short");
  BOOST_TEST(contents(scratch / "a.txt") == "short");
  write_file_atomically(scratch / "a.txt", "");
  BOOST_TEST(contents(scratch / "a.txt") == "");
}

BOOST_AUTO_TEST_CASE(relative_paths_work) {
  const Scratch scratch;
  const auto before = fs::current_path();
  fs::current_path(scratch.path);
  write_file_atomically("plain.txt", "here");
  fs::current_path(before);
  BOOST_TEST(contents(scratch / "plain.txt") == "here");
}

BOOST_AUTO_TEST_CASE(two_writers_of_one_path_do_not_mix) {
  const Scratch scratch;
  const auto path = scratch / "a.txt";
  AtomicFile first(path), second(path);
  BOOST_TEST(first.temporary_path() != second.temporary_path());
  first.write("first ");
  second.write("second");
  first.write("again");
  second.commit();
  BOOST_TEST(contents(path) == "second");
  first.commit();
  BOOST_TEST(contents(path) == "first again");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(survives_a_stale_temporary_of_the_same_process_id) {
  const Scratch scratch;
  put(scratch.path / ("a.txt.tmp." + std::to_string(getpid())), "left by a killed process");
  write_file_atomically(scratch / "a.txt", "new");
  BOOST_TEST(contents(scratch / "a.txt") == "new");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(failures)

BOOST_AUTO_TEST_CASE(a_missing_folder) {
  const Scratch scratch;
  const auto path = scratch.path / "none" / "a.txt";
  BOOST_CHECK_EXCEPTION(write_file_atomically(path, "x"), FileError,
                        says({path.string(), "cannot create", "No such file or directory"}));
}

BOOST_AUTO_TEST_CASE(a_file_where_a_folder_should_be) {
  const Scratch scratch;
  put(scratch / "file", "");
  BOOST_CHECK_EXCEPTION(write_file_atomically(scratch.path / "file" / "a.txt", "x"), FileError,
                        says({"a.txt", "Not a directory"}));
}

BOOST_AUTO_TEST_CASE(a_folder_where_the_file_should_be) {
  const Scratch scratch;
  fs::create_directory(scratch / "a.txt");
  BOOST_CHECK_EXCEPTION(write_file_atomically(scratch / "a.txt", "x"), FileError, says({"a.txt", "is a folder"}));
  BOOST_CHECK_EXCEPTION(write_file_atomically(scratch.path / "", "x"), FileError, says({"names no file"}));
  BOOST_CHECK_EXCEPTION(write_file_atomically("", "x"), FileError, says({"names no file"}));
}

BOOST_AUTO_TEST_CASE(rename_is_refused) {
  const Scratch scratch;
  AtomicFile file(scratch / "a.txt");
  file.write("x");
  fs::create_directory(scratch / "a.txt");  // after the constructor looked
  BOOST_CHECK_EXCEPTION(file.commit(), FileError, says({"a.txt", "cannot rename", "directory"}));
}

BOOST_AUTO_TEST_CASE(an_unwritable_folder) {
  const Scratch scratch;
  put(scratch / "a.txt", "old");
  fs::permissions(scratch.path, fs::perms::owner_read | fs::perms::owner_exec | fs::perms::group_read |
                                    fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec);
  {
    const OrdinaryUser user;
    BOOST_CHECK_EXCEPTION(write_file_atomically(scratch / "a.txt", "new"), FileError,
                          says({"a.txt", "cannot create", "Permission denied"}));
  }
  fs::permissions(scratch.path, fs::perms::owner_all);
  BOOST_TEST(contents(scratch / "a.txt") == "old");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_file_that_may_not_grow) {
  const Scratch scratch;
  put(scratch / "a.txt", "old");
  {
    const FileSizeLimit limit(1000);
    BOOST_CHECK_EXCEPTION(write_file_atomically(scratch / "a.txt", std::string(5000, 'x')), FileError,
                          says({"a.txt", "cannot write", "File too large"}));
    write_file_atomically(scratch / "b.txt", std::string(1000, 'x'));  // just fits
  }
  BOOST_TEST(contents(scratch / "a.txt") == "old");
  BOOST_TEST(contents(scratch / "b.txt").size() == 1000u);
  BOOST_TEST(scratch.entries() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(locks)

BOOST_AUTO_TEST_CASE(of_a_file_and_a_folder_have_one_holder) {
  namespace platform = neural_attention::io::platform;
  const Scratch scratch;
  const auto check = [](auto&& lock) {
    auto first = lock();
    BOOST_TEST(first.is_open());
    BOOST_TEST(!lock().is_open());
    first = platform::FileHandle();
    BOOST_TEST(lock().is_open());
  };
  check([&] { return platform::lock_file(scratch / "lock"); });
  check([&] { return platform::lock_folder(scratch.path); });
  BOOST_CHECK_THROW(platform::lock_file(scratch / "nowhere/lock"), FileError);
  BOOST_CHECK_THROW(platform::lock_folder(scratch / "nowhere"), FileError);
}

BOOST_AUTO_TEST_SUITE_END()

#if defined(__linux__)

BOOST_AUTO_TEST_SUITE(full_device)

BOOST_AUTO_TEST_CASE(writing_to_dev_full) {
  namespace platform = neural_attention::io::platform;
  const platform::FileHandle full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  BOOST_REQUIRE(full.is_open());
  BOOST_CHECK_EXCEPTION(platform::write_all(full, "xyz", 3, "model.bin"), FileError,
                        says({"model.bin", "cannot write", "No space left on device"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(full_tmpfs)

namespace {

/// In a child process, because it leaves the mount namespace: 0 passed, 2 not permitted here, 1 failed.
int fill_a_small_disk(const fs::path& folder) {
  if (unshare(CLONE_NEWNS) != 0) {  // not root: become root of a user namespace of our own
    const auto user = "0 " + std::to_string(getuid()) + " 1", group = "0 " + std::to_string(getgid()) + " 1";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 2;
    if (!(std::ofstream("/proc/self/uid_map") << user << std::flush)) return 2;
    if (!(std::ofstream("/proc/self/setgroups") << "deny" << std::flush)) return 2;
    if (!(std::ofstream("/proc/self/gid_map") << group << std::flush)) return 2;
  }
  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);  // nothing of this may show outside
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") != 0) return 2;
  const auto path = folder / "a.txt";
  write_file_atomically(path, std::string(20'000, 'a'));
  bool refused = false;
  try {
    write_file_atomically(path, std::string(200'000, 'b'));
  } catch (const FileError& error) {
    refused = std::string_view(error.what()).find("No space left on device") != std::string_view::npos;
  }
  const bool alone = std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1;
  const bool old = contents(path) == std::string(20'000, 'a');
  write_file_atomically(path, std::string(30'000, 'c'));  // the space of the failed attempt is free again
  return refused && alone && old && contents(path) == std::string(30'000, 'c') ? 0 : 1;
}

}  // namespace

BOOST_AUTO_TEST_CASE(keeps_the_old_file) {
  const Scratch scratch;
  const auto child = fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    int result = 1;
    try {
      result = fill_a_small_disk(scratch.path);
    } catch (...) {
    }
    _exit(result);
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) {
    BOOST_TEST_MESSAGE("SKIPPED: no right to mount a small file system here");
    std::printf("SKIPPED: no right to mount a small file system here\n");
    return;
  }
  BOOST_TEST(WEXITSTATUS(status) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

#endif
