// What all programs have in common: options, messages and exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>

namespace unet::tools {

/// Exit codes of every program, the same for the same cause.
enum ExitCode : int {
  kDone = 0,
  kInternalError = 1,    // a mistake in the program
  kUsageError = 2,       // options or configuration
  kDataError = 3,        // input that cannot be used
  kIoError = 4,          // missing file, permission, disk full
  kOutOfMemory = 5,      // of the machine, or the limit set
  kNumericError = 6,     // loss, gradient or weight not finite
  kCheckpointError = 7,  // model or checkpoint damaged or of another network
  kDeviceError = 8,      // accelerator or its driver
  kStopped = 75          // by a signal, after saving: start again with --resume
};

/// Options of every program. Empty and zero values mean that the option was not given.
struct CommonOptions {
  std::string device = "auto";
  std::string precision;  // f32, tf32 or bf16
  int threads = 0;        // 0: one a core
  int64_t seed = 0;       // counts where has_seed
  bool has_seed = false;
  bool quiet = false, verbose = false;
};

/// Adds --quiet, --verbose and --version, and sets the layout of --help. For programs that use no network.
void add_program_options(CLI::App& app, CommonOptions& options);

/// Adds --seed.
void add_seed_option(CLI::App& app, CommonOptions& options);

/// Adds these options, --device, --precision and --threads.
void add_common_options(CLI::App& app, CommonOptions& options);

/// A signal asked to stop: ends a program with 128 + its number.
struct Interrupted : std::exception {
  explicit Interrupted(int number) : signal_number(number) {}
  const char* what() const noexcept override { return "interrupted"; }
  int signal_number;
};

/// The exit code of what an exception stands for.
int exit_code_of(const std::exception& error);

/// Parses the command line and runs `body`, which returns the exit code. Exceptions become one line on standard error,
/// "NAME: what", and the exit code of their type.
int run_program(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& body);

/// Throws Interrupted once a signal asked to stop.
void throw_if_stopped();

}  // namespace unet::tools
