#include "unet/training_log.h"

#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/input_file.h"
#include "kernels/error.h"

namespace unet {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN and no infinity: null.
Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// One line; text that is not UTF-8 (a file name, say) is written with replacement characters.
std::string line_of(const Json& record) { return record.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

double number(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

std::string read_whole(const std::filesystem::path& path) {
  const engine::InputFile file(path);
  std::string text(file.size(), '\0');
  text.resize(file.read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

/// Removes what a session before recorded from `step` on.
template <class Record>
void drop_from(std::vector<Record>& records, int64_t step) {
  while (!records.empty() && records.back().step >= step) records.pop_back();
}

void add_record(TrainingHistory& history, const Json& line) {
  const std::string event = line.at("event");
  if (event == "session") {
    SessionRecord record{.version = line.at("version"),
                         .configuration = line.at("configuration"),
                         .seed = line.at("seed"),
                         .threads = line.at("threads"),
                         .device = line.at("device"),
                         .first_step = line.at("first_step"),
                         .started = line.at("started")};
    drop_from(history.steps, record.first_step);
    drop_from(history.validations, record.first_step + 1);  // counted in steps done
    history.end.reset();
    history.sessions.push_back(std::move(record));
  } else if (event == "step") {
    const int64_t step = line.at("step");
    drop_from(history.steps, step);
    history.steps.push_back({.step = step,
                             .loss = number(line.at("loss")),
                             .learning_rate = number(line.at("lr")),
                             .gradient_norm = number(line.at("gradient_norm")),
                             .seconds = number(line.at("seconds")),
                             .wait_seconds = line.value("wait_seconds", 0.0),  // older logs are without
                             .skipped = line.at("skipped")});
  } else if (event == "validation") {
    ValidationRecord record{.step = line.at("step"), .loss = number(line.at("loss")), .best = line.at("best")};
    for (const auto& [name, value] : line.at("metrics").items()) record.metrics.emplace_back(name, number(value));
    drop_from(history.validations, record.step);
    history.validations.push_back(std::move(record));
  } else if (event == "end") {
    history.end = EndRecord{.reason = line.at("reason"), .exit_code = line.at("exit_code")};
  } else {
    throw DataError("unknown event " + event);
  }
}

}  // namespace

TrainingLog::TrainingLog(const std::filesystem::path& path) : file_(path) {
  const std::string text = read_whole(path);
  const size_t end = text.rfind('\n') + 1;  // npos + 1 is 0: no complete line
  if (end < text.size()) file_.truncate(end);
}

void TrainingLog::write(const SessionRecord& record) {
  file_.append(line_of({{"event", "session"},
                        {"version", record.version},
                        {"started", record.started},
                        {"device", record.device},
                        {"threads", record.threads},
                        {"seed", record.seed},
                        {"first_step", record.first_step},
                        {"configuration", record.configuration}}));
}

void TrainingLog::write(const StepRecord& record) {
  file_.append(line_of({{"event", "step"},
                        {"step", record.step},
                        {"loss", finite(record.loss)},
                        {"lr", finite(record.learning_rate)},
                        {"gradient_norm", finite(record.gradient_norm)},
                        {"seconds", finite(record.seconds)},
                        {"wait_seconds", finite(record.wait_seconds)},
                        {"skipped", record.skipped}}));
}

void TrainingLog::write(const ValidationRecord& record) {
  Json metrics = Json::object();
  for (const auto& [name, value] : record.metrics) metrics[name] = finite(value);
  file_.append(line_of({{"event", "validation"},
                        {"step", record.step},
                        {"loss", finite(record.loss)},
                        {"metrics", metrics},
                        {"best", record.best}}));
}

void TrainingLog::write(const EndRecord& record) {
  file_.append(line_of({{"event", "end"}, {"reason", record.reason}, {"exit_code", record.exit_code}}));
}

TrainingHistory read_training_log(const std::filesystem::path& path) {
  const std::string text = read_whole(path);
  TrainingHistory history;
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // torn: the record never counted
    ++line_number;
    try {
      add_record(history, Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                      text.begin() + static_cast<std::ptrdiff_t>(end)));
    } catch (const std::exception& error) {
      throw DataError(concat("training log: ", path.string(), ":", line_number, " is no record: ", error.what()));
    }
    begin = end + 1;
  }
  return history;
}

std::string utc_time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace unet
