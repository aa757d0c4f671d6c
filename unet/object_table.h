// Measurements of the objects of an instance map.
#pragma once

#include <string>
#include <vector>

#include "unet/image.h"
#include "unet/image_metadata.h"

namespace unet {

/// An object of an instance map.
struct ObjectRow {
  int64_t page = 0;
  int32_t id = 0;
  int64_t area_px = 0;
  double centroid_x = 0, centroid_y = 0;             // px
  int64_t left = 0, top = 0, width = 0, height = 0;  // px, bounding box
  std::vector<double> mean_intensity{};              // of each channel, as in the file
};

/// A row for each of the ids 1 .. count, all of which occur.
std::vector<ObjectRow> measure_objects(const LabelMap& ids, int32_t count, const Image& image, int64_t page);

/// As CSV with a header line; with areas in square micrometres where the pixel size is known.
std::string objects_csv(const std::vector<ObjectRow>& rows, const PixelSize& pixel_size = {});

}  // namespace unet
