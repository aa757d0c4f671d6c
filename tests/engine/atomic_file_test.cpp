#include "engine/atomic_file.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/engine/file_faults.h"
#include "tests/temporary_folder.h"

namespace unet::engine {
namespace {

using Catch::Matchers::Contains;
using test::Fault;
using test::FileFaults;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;
using Names = std::set<std::string>;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

const std::string kEarlier = "what was there before";
const std::string kLater(100'000, 'n');

void save(const std::filesystem::path& path) {
  AtomicFile file(path);
  file.reserve(kLater.size());
  file.write(bytes_of(kLater).first(10));
  file.write(bytes_of(kLater).subspan(10));
  file.commit();
}

TEST_CASE("atomic_file: a file appears when it is committed") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write(bytes_of("one "));
  file.write(bytes_of("two"));
  CHECK(folder.names().count("a") == 0);
  CHECK(file.size() == 7);
  file.commit();
  CHECK(read_text(folder / "a") == "one two");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("atomic_file: without commit the earlier file stays and nothing else") {
  const TemporaryFolder folder;
  write_text(folder / "a", kEarlier);
  {
    AtomicFile file(folder / "a");
    file.write(bytes_of("lost"));
    CHECK(folder.names().size() == 2);
  }
  CHECK(read_text(folder / "a") == kEarlier);
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("atomic_file: writes and reads at offsets") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write(bytes_of("0123456789"));
  file.write_at(2, bytes_of("ab"));
  file.write_at(12, bytes_of("z"));
  CHECK(file.size() == 13);
  std::string text(20, '-');
  CHECK(file.read_at(1, std::as_writable_bytes(std::span(text))) == 12);
  CHECK(text == std::string("1ab456789\0\0z--------", 20));
  file.commit();
  CHECK(read_text(folder / "a") == std::string("01ab456789\0\0z", 13));
}

TEST_CASE("atomic_file: two writers of one name do not meet") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first.write(bytes_of("first"));
  second.write(bytes_of("second"));
  second.commit();
  CHECK(read_text(folder / "a") == "second");
  first.commit();
  CHECK(read_text(folder / "a") == "first");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("atomic_file: a name of 255 bytes is fine, one of 256 is refused") {
  const TemporaryFolder folder;
  save(folder / std::string(255, 'x'));
  CHECK(read_text(folder / std::string(255, 'x')) == kLater);
  CHECK_THROWS_AS(save(folder / std::string(256, 'x')), IoError);
  CHECK(folder.names().size() == 1);
}

TEST_CASE("atomic_file: a symbolic link stays and its file is replaced") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "elsewhere");
  write_text(folder / "elsewhere/file", kEarlier);
  std::filesystem::create_symlink("elsewhere/file", folder / "link");
  save(folder / "link");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_text(folder / "elsewhere/file") == kLater);
}

TEST_CASE("atomic_file: the new file has the permissions that the umask gives") {
  const TemporaryFolder folder;
  const mode_t before = umask(027);
  save(folder / "a");
  umask(before);
  CHECK(static_cast<int>(std::filesystem::status(folder / "a").permissions()) == 0640);
}

TEST_CASE("atomic_file: the permissions of a replaced file are kept") {
  const TemporaryFolder folder;
  write_text(folder / "a", kEarlier);
  std::filesystem::permissions(folder / "a", std::filesystem::perms{0604});
  save(folder / "a");
  CHECK(static_cast<int>(std::filesystem::status(folder / "a").permissions()) == 0604);
}

TEST_CASE("atomic_file: a moved file is committed once") {
  const TemporaryFolder folder;
  {
    AtomicFile first(folder / "a");
    first.write(bytes_of("text"));
    AtomicFile second(std::move(first));
    CHECK(read_text(second.temporary_path()) == "text");
    CHECK_THROWS_AS(first.commit(), IoError);
    second.commit();
  }
  CHECK(read_text(folder / "a") == "text");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("atomic_file: a path that cannot become a file is refused with the reason") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(save("/dev/null"), Contains("/dev/null") && Contains("expected a regular file"));
  CHECK_THROWS_WITH(save(folder.path()), Contains("expected a regular file"));
  CHECK_THROWS_WITH(save(folder / "folder/"), Contains("expected a regular file"));
  CHECK_THROWS_WITH(save(folder / "missing/a"), Contains("missing/a") && Contains("No such file or directory"));
  write_text(folder / "file", kEarlier);
  CHECK_THROWS_WITH(save(folder / "file/a"), Contains("Not a directory"));
  CHECK_THROWS_AS(save(""), IoError);
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("atomic_file: any failing system call leaves the earlier or the complete file, and no other") {
  const int error = GENERATE(ENOSPC, EIO);
  const Fault fault = GENERATE(Fault::once, Fault::for_ever);
  int failures = 0;
  for (int k = 1;; ++k) {
    const TemporaryFolder folder;
    write_text(folder / "a", kEarlier);
    bool failed = false, past_the_end = false;
    {
      const FileFaults faults(k, fault, error);
      try {
        save(folder / "a");
      } catch (const IoError&) {
        failed = true;
      }
      past_the_end = faults.calls() < k;
    }
    INFO("call " << k);
    const std::string text = read_text(folder / "a");
    CHECK((text == kLater || (failed && text == kEarlier)));
    CHECK(folder.names() == Names{"a"});
    if (past_the_end) {
      CHECK_FALSE(failed);
      break;
    }
    failures += failed ? 1 : 0;
  }
  // openat, fallocate, pwrite twice, fsync, close, renameat, fsync of the folder.
  CHECK(failures == 8);
}

TEST_CASE("atomic_file: interrupted calls and short writes do no harm") {
  for (int k = 1; k <= 8; ++k) {
    const TemporaryFolder folder;
    {
      const FileFaults faults(k == 7 ? 0 : k, Fault::once, EINTR);  // the seventh, renameat, is never interrupted
      save(folder / "a");
    }
    CHECK(read_text(folder / "a") == kLater);
  }
  const TemporaryFolder folder;
  {
    const FileFaults faults(0, Fault::half, 0);
    save(folder / "a");
    CHECK(faults.calls() > 20);
  }
  CHECK(read_text(folder / "a") == kLater);
}

TEST_CASE("atomic_file: file systems that cannot take room in advance are served all the same") {
  const TemporaryFolder folder;
  {
    const FileFaults faults(2, Fault::once, EOPNOTSUPP);
    save(folder / "a");
  }
  CHECK(read_text(folder / "a") == kLater);
}

TEST_CASE("atomic_file: a process killed at any call leaves the earlier or the complete file") {
  bool finished = false;
  for (int k = 1; !finished; ++k) {
    const TemporaryFolder folder;
    write_text(folder / "a", kEarlier);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const FileFaults faults(k, Fault::kill, 0);
      save(folder / "a");
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    finished = WIFEXITED(status);
    INFO("killed at call " << k);
    const std::string text = read_text(folder / "a");
    CHECK((text == kLater || (!finished && text == kEarlier)));

    const size_t left = folder.names().size() - 1;
    CHECK(remove_abandoned_files(folder.path()) == static_cast<int>(left));
    CHECK(folder.names() == Names{"a"});
  }
}

TEST_CASE("atomic_file: only files of its own making count as abandoned") {
  const TemporaryFolder folder;
  const Names kept{".tmp",      "a.tmp",    ".hidden",    ".a.tmp",     ".12-1.tmp",
                   ".a.-1.tmp", ".a.1.tmp", ".a.12-.tmp", "a.12-1.tmp", ".a.12-1.tmp2"};
  for (const std::string& name : kept) write_text(folder / name, "");
  write_text(folder / ".model.safetensors.12-1.tmp", "");
  CHECK(remove_abandoned_files(folder.path()) == 1);
  CHECK(folder.names() == kept);
  CHECK_THROWS_AS(remove_abandoned_files(folder / "missing"), IoError);
}

TEST_CASE("atomic_file: the limit on file sizes is an error, not the end of the process") {
  const TemporaryFolder folder;
  write_text(folder / "a", kEarlier);
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit tight{.rlim_cur = 50'000, .rlim_max = before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  CHECK_THROWS_WITH(save(folder / "a"), Contains("File too large"));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  signal(SIGXFSZ, handler);
  CHECK(read_text(folder / "a") == kEarlier);
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("atomic_file: a full disk keeps the earlier file and the message says what is needed and free") {
  const TemporaryFolder folder;
  if (mount("unet_test", folder.path().c_str(), "tmpfs", 0, "size=65536") != 0) {
    WARN("skipped: mounting a small file system takes root");
    return;
  }
  write_text(folder / "a", kEarlier);
  CHECK_THROWS_WITH(save(folder / "a"), Contains("No space left") && Contains("needs 100000 bytes") &&
                                            Contains(" 0 are written") && Contains(" more are free"));
  const auto save_without_reserve = [&] {
    AtomicFile file(folder / "a");
    file.write(bytes_of(kLater));
  };
  CHECK_THROWS_WITH(save_without_reserve(), Contains("No space left") && Contains(" are written and 0 more are free"));
  CHECK(read_text(folder / "a") == kEarlier);
  CHECK(folder.names() == Names{"a"});
  CHECK(umount(folder.path().c_str()) == 0);
}

}  // namespace
}  // namespace unet::engine
