#include "tools/cli.h"

#include <iostream>
#include <new>

#include "kernels/error.h"
#include "tools/signals.h"
#include "unet/readable.h"

namespace unet::tools {
namespace {

/// The long option that a mistyped one most probably means.
std::string nearest_option(const CLI::App& app, const std::string& word) {
  std::string nearest;
  size_t smallest = std::string::npos;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const std::string candidate = "--" + name;
      const size_t distance = edit_distance(word.substr(0, word.find('=')), candidate);
      if (distance < smallest) {
        smallest = distance;
        nearest = candidate;
      }
    }
  }
  return nearest;
}

std::string parse_message(const CLI::App& app, const CLI::ParseError& error) {
  for (const std::string& word : app.remaining()) {
    if (word.starts_with("--"))
      return concat("unknown option ", word, "; did you mean ", nearest_option(app, word), "?");
    return "unexpected argument " + word;
  }
  return error.what();
}

int fail(const CLI::App& app, int code, const std::string& message) {
  std::cerr << app.get_name() << ": " << message << std::endl;
  return code;
}

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.get_formatter()->column_width(34);
  app.set_help_flag("-h,--help", "Print this help")->group("Program");
  app.set_version_flag("--version", "unet " UNET_VERSION)->group("Program");
  app.add_flag("--quiet", options.quiet, "Print errors only")->group("Program");
  app.add_flag("--verbose", options.verbose, "Print more about what is done")->group("Program");
  app.add_option("--device", options.device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu"}))
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--precision", options.precision, "Numbers of the network's activations [f32]")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->group("Computing");
  app.add_option("--threads", options.threads, "Threads [one a core]")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->group("Computing");
  app.add_option_function<int64_t>(
         "--seed",
         [&options](const int64_t& seed) {
           options.seed = seed;
           options.has_seed = true;
         },
         "Start of all random numbers: the same seed gives the same bits [1]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->group("Computing");
}

int exit_code_of(const std::exception& error) {
  const auto is = [&error]<class Type>() { return dynamic_cast<const Type*>(&error) != nullptr; };
  if (is.operator()<ConfigError>()) return kUsageError;
  if (is.operator()<DataError>() || is.operator()<ShapeError>()) return kDataError;
  if (is.operator()<IoError>()) return kIoError;
  if (is.operator()<OutOfMemory>() || is.operator()<std::bad_alloc>()) return kOutOfMemory;
  if (is.operator()<NumericError>()) return kNumericError;
  if (is.operator()<CheckpointError>()) return kCheckpointError;
  if (is.operator()<DeviceError>()) return kDeviceError;
  if (const auto* interrupted = dynamic_cast<const Interrupted*>(&error)) return 128 + interrupted->signal_number;
  return kInternalError;
}

int run_program(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& body) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help or --version
    return app.exit(asked, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    return fail(app, kUsageError, parse_message(app, error) + " (--help lists all options)");
  }
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(app, kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    const int code = exit_code_of(error);
    return fail(app, code, concat(code == kInternalError ? "internal error, please report it: " : "", error.what()));
  }
}

void throw_if_stopped() {
  if (const int number = stop_signal(); number != 0) throw Interrupted(number);
}

}  // namespace unet::tools
