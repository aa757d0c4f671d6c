// report.html: what a training run did, as one file that opens anywhere without a network.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "unet/training_log.h"

namespace unet {

struct ReportPicture {
  std::string caption;
  std::string png;  // the file's bytes
};

/// A row of pictures with a heading: validation overlays, the weight map, augmented samples.
struct ReportGallery {
  std::string title;
  std::string explanation;  // what one sees and what the colours mean
  std::vector<ReportPicture> pictures;
};

struct Report {
  std::string name;                                        // of the run, such as its folder
  TrainingHistory history;                                 // of the log
  int64_t steps = 0;                                       // planned
  std::vector<std::pair<std::string, std::string>> facts;  // of data and network: "training images", "20 of 512 x 512"
  std::vector<ReportGallery> galleries;
};

/// The page: state and key numbers, curves of loss, validation metrics, learning rate and gradient norm, the galleries,
/// facts and the configuration. Reloads itself while the run has not ended. Charts work without script; with it they
/// show the values under the pointer and pictures enlarge.
std::string render_report(const Report& report);

/// Renders to a file that appears whole or not at all, so that it can be rewritten while somebody looks. Throws
/// IoError.
void write_report(const std::filesystem::path& path, const Report& report);

}  // namespace unet
