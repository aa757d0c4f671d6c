// From an image file to result files: probabilities, classes, instances, overlays, tables.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "unet/components.h"
#include "unet/inference.h"
#include "unet/model.h"

namespace unet {

/// A kind of result.
enum class Output : uint8_t {
  probability,  // float32 TIFF: of the last class, or one page a class where there are more than two
  classes,      // uint8 TIFF: the values of the training labels where they fit, else class numbers
  instances,    // uint16 or uint32 TIFF: connected objects, 0 is background
  overlay,      // PNG a page: outlines over the image
  objects       // CSV: one line an instance
};
template <>
struct EnumNames<Output> {
  static constexpr std::array<std::string_view, 5> value{"probability", "classes", "instances", "overlay", "objects"};
};

struct SegmentationOptions {
  std::vector<Output> outputs{Output::probability};
  InferenceOptions inference;   // its max_memory_bytes is set from the one below
  size_t max_memory_bytes = 0;  // of the whole process, and on a device of its own; 0: half of the machine's memory
  double threshold = 0.5;       // two classes: probability of the last from which a pixel belongs to it
  int64_t min_area_px = 0;      // smaller instances are left out
  Connectivity connectivity = Connectivity::four;
};

/// File that a kind of result goes to: NAME_probability.tif, NAME_classes.tif, NAME_instances.tif, NAME_overlay.png,
/// NAME_objects.csv with NAME the input's stem.
std::filesystem::path output_path(const std::filesystem::path& folder, const std::filesystem::path& input,
                                  Output output);

/// An object of an instance map.
struct ObjectRow {
  int64_t page = 0;
  int32_t id = 0;
  int64_t area_px = 0;
  double centroid_x = 0, centroid_y = 0;             // px
  int64_t left = 0, top = 0, width = 0, height = 0;  // px, bounding box
  double mean_intensity = 0;                         // of the first channel, as in the file
};

/// Segments every page of `input` into `files`, one for each of options.outputs. Files appear complete when the last
/// page is done, or not at all. `progress` counts tiles over all pages and may throw to end the run. probability and
/// classes stream in bounded memory; instances, overlay and objects hold one page's labels. Throws DataError where the
/// image does not fit the model, and what reading, predicting and writing throw.
void segment_file(const Model& model, const std::filesystem::path& input,
                  const std::vector<std::filesystem::path>& files, const SegmentationOptions& options,
                  const TileProgress& progress = {});

}  // namespace unet
