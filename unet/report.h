// report.html: what a training run did, as one file that opens anywhere without a network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "unet/page.h"
#include "unet/training_log.h"

namespace unet {

struct Report {
  std::string name;                // of the run, such as its folder
  TrainingHistory history;         // of the log
  int64_t steps = 0;               // planned
  std::vector<Fact> facts;         // of data and network
  std::vector<Gallery> galleries;  // validation overlays, the weight map, augmented samples
};

/// The page: state and key numbers, curves of loss, validation metrics, learning rate and gradient norm, the galleries,
/// facts and the configuration. Reloads itself while the run has not ended.
std::string render_report(const Report& report);

/// Renders to a file that appears whole or not at all, so that it can be rewritten while somebody looks. Throws
/// IoError.
void write_report(const std::filesystem::path& path, const Report& report);

}  // namespace unet
