#include "unet/training_log.h"

#include <cmath>
#include <fstream>
#include <limits>

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet {
namespace {

void append_text(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::app) << text; }

SessionRecord session(int64_t first_step) {
  return {.version = "0.1.0",
          .configuration = "[run]\nsteps = 4\n",
          .seed = 9007199254740993,  // not a double
          .threads = 2,
          .device = "cpu",
          .first_step = first_step,
          .started = "2015-10-02T00:00:00Z"};
}

void write_steps(TrainingLog& log, int64_t begin, int64_t end, double loss) {
  for (int64_t step = begin; step < end; ++step) {
    log.write(StepRecord{.step = step, .loss = loss, .learning_rate = 1e-3, .gradient_norm = 2, .seconds = 0.5});
  }
}

}  // namespace

TEST_CASE("training log: every record reads back") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  {
    TrainingLog log(path);
    log.write(session(0));
    log.write(StepRecord{.step = 0,
                         .loss = 0.1 + 0.2,
                         .learning_rate = 1e-3,
                         .gradient_norm = 12.5,
                         .seconds = 0.25,
                         .wait_seconds = 0.125,
                         .skipped = true});
    log.write(ValidationRecord{.step = 1, .loss = 0.5, .metrics = {{"iou", 0.75}, {"accuracy", 0.875}}, .best = true});
    log.write(EndRecord{.reason = "stopped \"early\"", .exit_code = 75});
  }
  const TrainingHistory history = read_training_log(path);
  REQUIRE(history.sessions.size() == 1);
  CHECK(history.sessions[0].version == "0.1.0");
  CHECK(history.sessions[0].configuration == "[run]\nsteps = 4\n");
  CHECK(history.sessions[0].seed == 9007199254740993);
  CHECK(history.sessions[0].threads == 2);
  CHECK(history.sessions[0].device == "cpu");
  CHECK(history.sessions[0].started == "2015-10-02T00:00:00Z");
  REQUIRE(history.steps.size() == 1);
  CHECK(history.steps[0].step == 0);
  CHECK(history.steps[0].loss == 0.1 + 0.2);
  CHECK(history.steps[0].learning_rate == 1e-3);
  CHECK(history.steps[0].gradient_norm == 12.5);
  CHECK(history.steps[0].seconds == 0.25);
  CHECK(history.steps[0].wait_seconds == 0.125);
  CHECK(history.steps[0].skipped);
  REQUIRE(history.validations.size() == 1);
  CHECK(history.validations[0].step == 1);
  CHECK(history.validations[0].loss == 0.5);
  CHECK(history.validations[0].best);
  CHECK(history.validations[0].metrics ==
        std::vector<std::pair<std::string, double>>{{"iou", 0.75}, {"accuracy", 0.875}});
  REQUIRE(history.end.has_value());
  CHECK(history.end->reason == "stopped \"early\"");
  CHECK(history.end->exit_code == 75);
}

TEST_CASE("training log: one line a record, readable while it is open") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  TrainingLog log(path);
  log.write(session(0));
  write_steps(log, 0, 3, 1);
  const std::string text = test::read_text(path);
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
  CHECK(text.back() == '\n');
  CHECK(text.find(R"({"event":"step","step":2,"loss":1.0,"lr":0.001,"gradient_norm":2.0,"seconds":0.5,)"
                  R"("wait_seconds":0.0,"skipped":false})") != std::string::npos);
  CHECK(read_training_log(path).steps.size() == 3);
  CHECK_FALSE(read_training_log(path).end.has_value());
}

TEST_CASE("training log: values that are not finite become NaN") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  TrainingLog log(path);
  log.write(StepRecord{.step = 0,
                       .loss = std::numeric_limits<double>::quiet_NaN(),
                       .gradient_norm = std::numeric_limits<double>::infinity(),
                       .skipped = true});
  const TrainingHistory history = read_training_log(path);
  CHECK(std::isnan(history.steps.at(0).loss));
  CHECK(std::isnan(history.steps.at(0).gradient_norm));
}

TEST_CASE("training log: text that is not UTF-8 still makes a line") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  TrainingLog log(path);
  log.write(EndRecord{.reason = "cannot read \xff.tif", .exit_code = 4});
  CHECK(read_training_log(path).end->reason == "cannot read \xef\xbf\xbd.tif");
}

TEST_CASE("training log: a torn last line is ignored, and cut off before more is written") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  {
    TrainingLog log(path);
    write_steps(log, 0, 3, 1);
  }
  const std::string complete = test::read_text(path);
  const std::string torn = R"({"event":"step","step":3,"lo)";
  for (size_t length = 1; length <= torn.size(); ++length) {
    std::ofstream(path) << complete << torn.substr(0, length);
    CHECK(read_training_log(path).steps.size() == 3);
    { const TrainingLog log(path); }
    CHECK(test::read_text(path) == complete);
  }
  std::ofstream(path) << torn;  // torn in the very first line
  { const TrainingLog log(path); }
  CHECK(test::read_text(path).empty());
}

TEST_CASE("training log: a resumed session replaces what came after its checkpoint") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  {
    TrainingLog log(path);
    log.write(session(0));
    write_steps(log, 0, 10, 1);
    log.write(ValidationRecord{.step = 4, .loss = 1});
    log.write(ValidationRecord{.step = 8, .loss = 1});
    log.write(EndRecord{.reason = "interrupted", .exit_code = 75});
  }
  TrainingLog log(path);
  log.write(session(4));
  TrainingHistory history = read_training_log(path);
  CHECK(history.sessions.size() == 2);
  CHECK(history.steps.size() == 4);
  CHECK(history.validations.size() == 1);
  CHECK_FALSE(history.end.has_value());

  write_steps(log, 4, 6, 2);
  log.write(ValidationRecord{.step = 4, .loss = 2});
  history = read_training_log(path);
  REQUIRE(history.steps.size() == 6);
  for (int64_t step = 0; step < 6; ++step) {
    CHECK(history.steps[static_cast<size_t>(step)].step == step);
    CHECK(history.steps[static_cast<size_t>(step)].loss == (step < 4 ? 1 : 2));
  }
  REQUIRE(history.validations.size() == 1);
  CHECK(history.validations[0].loss == 2);
}

TEST_CASE("training log: a step that occurs twice counts once, the later one") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  TrainingLog log(path);
  write_steps(log, 0, 5, 1);
  write_steps(log, 3, 6, 2);
  const TrainingHistory history = read_training_log(path);
  REQUIRE(history.steps.size() == 6);
  CHECK(history.steps[2].loss == 1);
  CHECK(history.steps[3].loss == 2);
}

TEST_CASE("training log: a damaged line is a DataError with file and line") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  for (const char* bad : {"not json", "[]", "{}", R"({"event":"party"})", R"({"event":"step","step":"one"})",
                          R"({"event":"step","step":1})", "\xff"}) {
    INFO(bad);
    std::ofstream(path) << R"({"event":"end","reason":"","exit_code":0})" << '\n';
    append_text(path, std::string(bad) + "\n");
    try {
      read_training_log(path);
      FAIL("accepted");
    } catch (const DataError& error) {
      CHECK(std::string(error.what()).find("log.jsonl:2 is no record") != std::string::npos);
    }
  }
}

TEST_CASE("training log: errors of the operating system name path and reason") {
  CHECK_THROWS_AS(read_training_log("/nonexistent/log.jsonl"), IoError);
  try {
    const TrainingLog log("/nonexistent/log.jsonl");
    FAIL("opened");
  } catch (const IoError& error) {
    CHECK(std::string(error.what()) == "cannot open /nonexistent/log.jsonl: No such file or directory");
  }
}

TEST_CASE("training log: a full disk is an IoError") {
  AppendFile full("/dev/full");
  CHECK_THROWS_AS(full.append("x"), IoError);
}

}  // namespace unet
