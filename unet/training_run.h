// A training run on disk: its folder, its checkpoints, its log and its report.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "unet/trainer.h"

namespace unet {

/// Called while a run goes on; each may be empty.
struct TrainingObserver {
  std::function<void(const StepRecord&, const Trainer&)> on_step;
  std::function<void(const ValidationRecord&, const Trainer&)> on_validation;
  std::function<void(const std::string&)> on_message;  // one line for the user
  std::function<bool()> stop_requested;                // asked after every step: true saves and ends
};

struct TrainingRunOptions {
  std::filesystem::path folder;  // made where missing
  bool resume = false;
  std::string version;                                    // of the program, for the log
  std::function<int(const std::exception&)> exit_code{};  // that the program ends with after an error, for the log
};

/// How a run ended.
enum class TrainingEnd : uint8_t { finished, time_limit, early_stop, stopped };

/// Trains until done. The folder gets config.toml, log.jsonl, events.out.tfevents.*, report.html,
/// checkpoints/ckpt-STEP.safetensors (the last three) and model.safetensors (the best on validation; the latest where
/// there are no validation pages).
///
/// One process at a time may use a folder; a second one is told so. With `resume` it goes on from the newest checkpoint
/// that can be loaded, or from the beginning where the run ended before its first; a folder without a run is an error.
/// Without `resume` a folder that holds a run is one. Throws ConfigError, CheckpointError, IoError,
/// NumericError; the last checkpoint stays usable whatever happens.
TrainingEnd run_training(Trainer& trainer, const TrainingRunOptions& options, const TrainingObserver& observer);

}  // namespace unet
