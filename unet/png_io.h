// PNG files through libpng.
#pragma once

#include <memory>
#include <string>

#include "engine/input_file.h"
#include "unet/image.h"
#include "unet/image_source.h"

namespace unet {

/// True if the file starts as a PNG does.
bool is_png(const engine::InputFile& file);

/// Gray, gray + alpha, RGB and RGBA of 1 to 16 bits, one page. Rows are decoded in order, in bands; going back starts
/// again from the top. Interlaced files are decoded whole. Palettes are refused.
class PngSource : public ImageSource {
 public:
  /// Throws DataError for what is damaged or not supported.
  explicit PngSource(const std::filesystem::path& path);
  ~PngSource() override;

  void decode(const ChunkIndex& chunk, std::span<std::byte> out) override;

 private:
  struct Decoder;
  void restart();

  engine::InputFile file_;
  std::unique_ptr<Decoder> decoder_;
};

/// A PNG file's bytes. image: [height,width,1|2|3|4] = gray, gray + alpha, RGB, RGBA. Throws ShapeError for others.
std::string encode_png(const Grid<uint8_t>& image);

}  // namespace unet
