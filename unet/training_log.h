// The record of a training run: one JSON object a line in log.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "unet/append_file.h"

namespace unet {

/// First record of every session; a resumed run has several.
struct SessionRecord {
  std::string version;        // of this software
  std::string configuration;  // resolved, TOML
  int64_t seed = 0;
  int64_t threads = 1;
  std::string device;      // such as "cpu"
  int64_t first_step = 0;  // what a session before recorded from here on is void
  std::string started;     // UTC, ISO 8601
};

struct StepRecord {
  int64_t step = 0;
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;  // over all parameters, before the update
  double seconds = 0;        // duration of the step
  double wait_seconds = 0;   // of these, until the sample was there
  bool skipped = false;      // loss or gradient was not finite: no update
};

struct ValidationRecord {
  int64_t step = 0;  // steps done
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics{};  // in the order of display
  bool best = false;                                      // best so far: the model was written
};

struct EndRecord {
  std::string reason;  // such as "all steps done"
  int exit_code = 0;
};

/// What a log holds after de-duplication: steps and validations ascend strictly.
struct TrainingHistory {
  std::vector<SessionRecord> sessions;
  std::vector<StepRecord> steps;
  std::vector<ValidationRecord> validations;
  std::optional<EndRecord> end;  // of the last session; empty while it runs and after a crash
};

/// Appends records to log.jsonl. A line reaches the operating system whole before the call returns, so that a killed
/// program leaves at most one torn line, and that only if the machine went down with it. Errors: IoError.
class TrainingLog {
 public:
  /// Opens for appending; creates the file where it is missing and cuts off a torn last line.
  explicit TrainingLog(const std::filesystem::path& path);

  void write(const SessionRecord& record);
  void write(const StepRecord& record);
  void write(const ValidationRecord& record);
  void write(const EndRecord& record);

 private:
  AppendFile file_;
};

/// Reads log.jsonl back. Where a step occurs twice (a resumed run repeats those after its checkpoint) the later record
/// holds. Numbers that were not finite read as NaN. Throws IoError; DataError naming the line that is no record,
/// except a torn last one.
TrainingHistory read_training_log(const std::filesystem::path& path);

/// The UTC time now as "2015-10-02T12:34:56Z".
std::string utc_time_text();

}  // namespace unet
