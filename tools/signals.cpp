#include "tools/signals.h"

#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace unet::tools {
namespace {

volatile sig_atomic_t received = 0;

extern "C" void on_stop_signal(int signal_number) {
  if (received != 0) _exit(128 + signal_number);
  received = signal_number;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction stop {};
  stop.sa_handler = on_stop_signal;
  sigemptyset(&stop.sa_mask);
  stop.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    struct sigaction inherited {};
    const bool is_ignored = sigaction(number, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN;
    if (!is_ignored) sigaction(number, &stop, nullptr);  // nohup asks to live on
  }

  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  for (const int number : {SIGPIPE, SIGXFSZ}) sigaction(number, &ignore, nullptr);
}

int stop_signal() { return received; }

}  // namespace unet::tools
