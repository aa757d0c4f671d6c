// From an image file to result files: probabilities, classes, instances, overlays, tables.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "unet/inference.h"
#include "unet/instances.h"
#include "unet/model.h"
#include "unet/sample_type.h"

namespace unet {

/// A kind of result.
enum class Output : uint8_t {
  probability,  // TIFF: of the last class, or one page a class where there are more than two
  classes,      // uint8 TIFF: the values of the training labels where they fit, else class numbers
  instances,    // uint16 or uint32 TIFF: connected objects, 0 is background
  overlay,      // PNG a page: outlines of instances over the image
  objects,      // CSV: one line an instance
  rois          // ZIP of ImageJ ROIs: one an instance, named PAGE-ID from 1
};
template <>
struct EnumNames<Output> {
  static constexpr std::array<std::string_view, 6> value{"probability", "classes", "instances",
                                                         "overlay",     "objects", "rois"};
};

/// Whether one of these results needs instances.
bool makes_instances(const std::vector<Output>& outputs);

struct SegmentationOptions {
  std::vector<Output> outputs{Output::probability};
  SampleType probability_type = kFloat32;  // or kUint8, kUint16: probability times the type's largest value, rounded
  std::vector<int64_t> pages{};  // to segment, ascending; empty: all. They keep their numbers in tables, ROIs, names
  InferenceOptions inference;    // its max_memory_bytes is set from the one below
  size_t max_memory_bytes = 0;   // of the whole process, and on a device of its own; 0: half of the machine's memory
  double threshold = 0.5;        // two classes: probability of the last from which a pixel belongs to it
  InstanceOptions instances;
  /// Factor by which images are enlarged for the network beyond the training's own (ModelInfo::scale), and its
  /// probabilities reduced again before the threshold; 0: the one that makes pixels as large as in training.
  double scale = 1;
};

/// File that a kind of result goes to: NAME_probability.tif, NAME_classes.tif, NAME_instances.tif, NAME_overlay.png,
/// NAME_objects.csv, NAME_rois.zip with NAME the input's stem.
std::filesystem::path output_path(const std::filesystem::path& folder, const std::filesystem::path& input,
                                  Output output);

/// Segments the pages of `input` into `files`, one for each of options.outputs. Files appear complete when the last
/// page is done, or not at all. `progress` counts tiles over all pages and may throw to end the run. probability and
/// classes stream in bounded memory; the others hold one page, and OutOfMemory is thrown at once where max_memory_bytes
/// leaves no room for it. Throws DataError where the image does not fit the model and where the scale is to be found
/// without pixel sizes, and what reading, predicting and writing throw.
void segment_file(const Model& model, const std::filesystem::path& input,
                  const std::vector<std::filesystem::path>& files, const SegmentationOptions& options,
                  const TileProgress& progress = {});

}  // namespace unet
