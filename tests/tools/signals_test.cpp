#include "tools/signals.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.h"
#include "tools/cli.h"

namespace unet::tools {
namespace {

/// Runs `body` in a process of its own, which ignores no signal, and returns how that ended: its exit code, or 1000 +
/// the signal that killed it.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) signal(number, SIG_DFL);
    _exit(body());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("signals: the first one is only remembered") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CHECK(in_child([number] {
            catch_stop_signals();
            if (stop_signal() != 0) return 101;
            raise(number);
            return stop_signal();
          }) == number);
  }
}

TEST_CASE("signals: the second one ends the process at once") {
  CHECK(in_child([] {
          catch_stop_signals();
          raise(SIGTERM);
          raise(SIGINT);
          return 0;
        }) == 130);
}

TEST_CASE("signals: those that the caller had ignored (nohup) stay ignored") {
  CHECK(in_child([] {
          signal(SIGHUP, SIG_IGN);
          catch_stop_signals();
          raise(SIGHUP);
          return stop_signal();
        }) == 0);
}

TEST_CASE("signals: a closed pipe is an error to report, not the end") {
  CHECK(in_child([] {
          catch_stop_signals();
          int ends[2];
          if (pipe(ends) != 0) return 101;
          close(ends[0]);
          return write(ends[1], "x", 1) == -1 ? 0 : 102;
        }) == 0);
}

TEST_CASE("signals: work is interrupted at its next check") {
  CHECK(in_child([] {
          catch_stop_signals();
          throw_if_stopped();
          raise(SIGTERM);
          try {
            throw_if_stopped();
          } catch (const Interrupted& interrupted) {
            return exit_code_of(interrupted);
          }
          return 0;
        }) == 143);
}

}  // namespace unet::tools
