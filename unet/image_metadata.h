// What a file says about its pixels beside their values: their size and the axes that its pages run over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace unet {

/// Size of one pixel in micrometres; 0 where the file does not say.
struct PixelSize {
  double width_um = 0, height_um = 0, depth_um = 0;

  bool known() const { return width_um > 0 && height_um > 0; }
};

/// How pages run over channels (C), slices (Z) and frames (T); `order` names the axes fastest first.
struct Axes {
  int64_t channels = 1, slices = 1, frames = 1;
  std::string order = "CZT";

  int64_t planes() const { return channels * slices * frames; }
};

struct ImageMetadata {
  PixelSize pixel_size;
  double frame_interval_s = 0;  // 0: not given
  Axes axes;
};

/// Reads the `key=value` lines of an ImageJ description. ImageJ keeps the pixel size as the resolution tags
/// (`pixels_per_unit_x`, `_y`; 0 where absent) and the unit in the text; sizes in pixels, or in a unit that is not a
/// length, count as unknown. `images` receives the number of planes named there, 0 if none.
/// Source: ij.io.FileInfo and TiffDecoder of ImageJ 1.x.
ImageMetadata parse_imagej_description(std::string_view text, double pixels_per_unit_x, double pixels_per_unit_y,
                                       int64_t* images);
bool is_imagej_description(std::string_view text);

/// Reads the first <Pixels> element of an OME-XML description: SizeC, SizeZ, SizeT, DimensionOrder, PhysicalSize*,
/// TimeIncrement. Planes are taken to lie in DimensionOrder. Source: OME model 2016-06, OME-TIFF specification.
ImageMetadata parse_ome_description(std::string_view text);
bool is_ome_description(std::string_view text);

/// Pixel size from a TIFF's or PNG's resolution alone. Resolutions are usually set for printing (72 or 300 dpi), so
/// only pixels below 20 um (over 1,270 dpi) are believed to be measured; otherwise the size is unknown.
PixelSize pixel_size_from_resolution(double pixels_per_um_x, double pixels_per_um_y);

/// An ImageJ description of `planes` single-channel planes with this pixel size; the counterpart of the parser. The
/// unit is micron, so the resolution tags are pixels per micrometre.
std::string imagej_description(const ImageMetadata& metadata, int64_t planes);

}  // namespace unet
