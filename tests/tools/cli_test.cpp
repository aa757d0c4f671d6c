#include "tools/cli.h"

#include <algorithm>
#include <iostream>
#include <sstream>

#include "kernels/error.h"
#include "tests/catch.h"

namespace unet::tools {
namespace {

/// Standard output and error while it lives.
class Captured {
 public:
  Captured() : out_(std::cout.rdbuf(out.rdbuf())), error_(std::cerr.rdbuf(error.rdbuf())) {}
  ~Captured() {
    std::cout.rdbuf(out_);
    std::cerr.rdbuf(error_);
  }
  std::ostringstream out, error;

 private:
  std::streambuf *out_, *error_;
};

struct Result {
  int code = -1;
  bool ran = false;
  std::string out, error;
  CommonOptions options;
};

/// A program with the common options and one of its own.
Result run(
    std::vector<const char*> arguments, const std::function<int()>& body = [] { return 0; }) {
  Result result;
  CLI::App app("Does nothing.", "example");
  add_common_options(app, result.options);
  int64_t steps = 0;
  app.add_option("--steps", steps, "Steps")->check(CLI::PositiveNumber);
  arguments.insert(arguments.begin(), "example");
  const Captured captured;
  result.code = run_program(app, static_cast<int>(arguments.size()), arguments.data(), [&] {
    result.ran = true;
    return body();
  });
  result.out = captured.out.str();
  result.error = captured.error.str();
  return result;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class Exception, class... Arguments>
Result thrown(Arguments... arguments) {
  return run({}, [&]() -> int { throw Exception(arguments...); });
}

}  // namespace

TEST_CASE("cli: common options and their defaults") {
  const Result plain = run({});
  CHECK(plain.code == 0);
  CHECK(plain.ran);
  CHECK(plain.error.empty());
  CHECK(plain.options.device == "auto");
  CHECK(plain.options.precision.empty());
  CHECK(plain.options.threads == 0);
  CHECK_FALSE(plain.options.has_seed);
  CHECK_FALSE(plain.options.quiet);
  CHECK_FALSE(plain.options.verbose);

  const Result given =
      run({"--device", "cpu", "--precision", "bf16", "--threads", "2", "--seed=0", "--quiet", "--verbose"});
  CHECK(given.code == 0);
  CHECK(given.options.device == "cpu");
  CHECK(given.options.precision == "bf16");
  CHECK(given.options.threads == 2);
  CHECK(given.options.has_seed);
  CHECK(given.options.seed == 0);
  CHECK(given.options.quiet);
  CHECK(given.options.verbose);
}

TEST_CASE("cli: the body's exit code is the program's") {
  CHECK(run({}, [] { return int{kStopped}; }).code == 75);
}

TEST_CASE("cli: help and version go to standard output with exit code 0") {
  const Result help = run({"--help"});
  CHECK(help.code == 0);
  CHECK_FALSE(help.ran);
  CHECK(help.error.empty());
  for (const char* option :
       {"--device", "--precision", "--threads", "--seed", "--quiet", "--verbose", "--version", "--steps"}) {
    CHECK(contains(help.out, option));
  }
  const Result version = run({"--version"});
  CHECK(version.code == 0);
  CHECK(version.out == "unet " UNET_VERSION "\n");
}

TEST_CASE("cli: wrong usage exits with 2, on one line, without running") {
  const auto refused = [](std::vector<const char*> arguments) {
    const Result result = run(std::move(arguments));
    CHECK(result.code == 2);
    CHECK_FALSE(result.ran);
    CHECK(result.out.empty());
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    CHECK(contains(result.error, "example: "));
    return result.error;
  };
  CHECK(contains(refused({"--stesp", "3"}), "unknown option --stesp; did you mean --steps?"));
  CHECK(contains(refused({"--thread=3"}), "unknown option --thread=3; did you mean --threads?"));
  CHECK(contains(refused({"stray"}), "unexpected argument stray"));
  CHECK(contains(refused({"--steps"}), "--steps"));
  CHECK(contains(refused({"--steps", "0"}), "--steps"));
  CHECK(contains(refused({"--steps", "many"}), "many"));
  CHECK(contains(refused({"--device", "abacus"}), "abacus"));
  CHECK(contains(refused({"--precision", "f16"}), "f16"));
  CHECK(contains(refused({"--threads", "0"}), "--threads"));
  CHECK(contains(refused({"--seed", "-1"}), "--seed"));
}

TEST_CASE("cli: every kind of error has its exit code and one clear line") {
  CHECK(thrown<ConfigError>("x").code == 2);
  CHECK(thrown<DataError>("x").code == 3);
  CHECK(thrown<ShapeError>("x").code == 3);
  CHECK(thrown<IoError>("x").code == 4);
  CHECK(thrown<OutOfMemory>("x", size_t{1}, size_t{0}).code == 5);
  CHECK(thrown<std::bad_alloc>().code == 5);
  CHECK(thrown<NumericError>("x").code == 6);
  CHECK(thrown<CheckpointError>("x").code == 7);
  CHECK(thrown<DeviceError>("x").code == 8);
  CHECK(thrown<Interrupted>(2).code == 130);
  CHECK(thrown<Interrupted>(15).code == 143);
  CHECK(thrown<TypeError>("x").code == 1);
  CHECK(thrown<std::logic_error>("x").code == 1);

  CHECK(thrown<IoError>("cannot open a.tif").error == "example: cannot open a.tif\n");
  CHECK(thrown<std::bad_alloc>().error == "example: out of memory\n");
  CHECK(thrown<std::logic_error>("odd").error == "example: internal error, please report it: odd\n");
}

}  // namespace unet::tools
