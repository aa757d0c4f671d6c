// Signals that ask a program to stop.
#pragma once

namespace unet::tools {

/// From now on the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 (which schedulers send before they take a machine back)
/// only sets what stop_signal() returns, and a second one ends the process at once with 128 + its number. SIGPIPE and
/// SIGXFSZ are ignored: writing then fails with an error that can be reported.
void catch_stop_signals();

/// The signal that asked to stop; 0: none yet.
int stop_signal();

}  // namespace unet::tools
