#include "tools/cli.h"

#include <iostream>
#include <memory>
#include <new>
#include <sstream>

#include "kernels/error.h"
#include "tools/device.h"
#include "tools/signals.h"
#include "unet/readable.h"

namespace unet::tools {
namespace {

constexpr size_t kNameColumns = 28, kPageColumns = 100;  // of --help

/// Words of a text in lines that end before kPageColumns, each but the first after `indent` spaces.
std::string wrapped(const std::string& text, size_t indent) {
  std::istringstream words(text);
  std::string out, word;
  size_t column = indent;
  while (words >> word) {
    if (column > indent && column + 1 + word.size() > kPageColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) out += ' ';
    out += word;
    column += word.size() + (column > indent ? 1 : 0);
  }
  return out;
}

/// --help in two columns: "--option TYPE" and what it does with "[default]".
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = "Usage: " + name;
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_required()) usage += " " + heading(option);
    }
    return usage + " [options]\n\n";
  }
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override {
    std::string out = group + ":\n";
    for (const CLI::Option* option : options) out += make_option(option, is_positional);
    return out;
  }
  std::string make_option(const CLI::Option* option, bool) const override {
    std::string left = "  " + heading(option) + " ";
    left += left.size() > kNameColumns ? "\n" + std::string(kNameColumns, ' ')
                                       : std::string(kNameColumns - left.size(), ' ');
    const std::string preset = option->get_default_str();
    return left + wrapped(option->get_description() + (preset.empty() ? "" : " [" + preset + "]"), kNameColumns) + "\n";
  }

 private:
  static std::string heading(const CLI::Option* option) {
    const std::string type = option->get_type_name();
    std::string name = option->get_name(false, true);  // --x,--no-x{false} where there is a negative form
    if (const size_t value = name.find("{false}"); value != std::string::npos) name.erase(value);
    return name + (type.empty() ? "" : " " + type);
  }
};

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

void add_program_options(CLI::App& app, CommonOptions& options) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "Print this help")->group("Program");
  app.set_version_flag("--version", "unet " UNET_VERSION, "Print the version")->group("Program");
  app.add_flag("--quiet", options.quiet, "Print errors only")->group("Program");
  app.add_flag("--verbose", options.verbose, "Print more about what is done")->group("Program");
}

void add_seed_option(CLI::App& app, CommonOptions& options) {
  app.add_option_function<int64_t>(
         "--seed",
         [&options](const int64_t& seed) {
           options.seed = seed;
           options.has_seed = true;
         },
         "Start of all random numbers: the same seed gives the same bits [1]")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N")
      ->group("Computing");
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  add_program_options(app, options);
  app.add_option("--device", options.device, "Where to compute; auto: on a GPU where one can be used, else on the CPU")
      ->check(CLI::Validator(
          [](std::string& name) {
            return is_device_name(name) ? "" : concat("expected auto, cpu, cuda or cuda:N, got ", name);
          },
          ""))
      ->type_name("auto|cpu|cuda|cuda:N")
      ->capture_default_str()
      ->group("Computing");
  app.add_option(
         "--precision", options.precision,
         "Numbers that the network computes with; tf32, on GPUs: f32, but factors of products rounded to 10 bits "
         "[f32]")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}).description(""))
      ->type_name("f32|tf32|bf16")
      ->group("Computing");
  app.add_option("--threads", options.threads, "Threads [one a core]")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N")
      ->group("Computing");
  add_seed_option(app, options);
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
    return body();
  } catch (const CLI::Success& asked) {  // --help or --version
    return app.exit(asked, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    return fail(app, kUsageError, parse_message(app, error) + " (--help lists all options)");
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
