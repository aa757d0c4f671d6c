// Segmentation of images of any size by overlapping tiles.
#pragma once

#include <functional>
#include <string>

#include "unet/enum_names.h"
#include "unet/network.h"
#include "unet/tile.h"

namespace unet {

/// Test-time averaging over versions of the image.
enum class Averaging : uint8_t {
  none,
  flips,  // identity, left-right, up-down, both: the authors' release
  d4,     // the eight symmetries of the square
  rot7    // turned by k * 360/7 degrees, k = 0 .. 6, and back: see Note [Seven rotations]
};
template <>
struct EnumNames<Averaging> {
  static constexpr std::array<std::string_view, 4> value{"none", "flips", "d4", "rot7"};
};

// Note [Seven rotations]: the paper averages "over 7 rotated versions of the input data" without saying which; seven
// equal parts of the circle are taken. The whole image is turned about its centre, and tiles of the turned image lie on
// the same multiples of 2^depth whatever they are needed for, so the result does not depend on the tiles: each tile of
// the image asks for the window of the turned image that covers it, up to 1.41 times as high and wide.

/// What is averaged over the versions.
enum class AverageOf : uint8_t {
  scores,        // before softmax: the authors' release
  probabilities  // after it
};
template <>
struct EnumNames<AverageOf> {
  static constexpr std::array<std::string_view, 2> value{"scores", "probabilities"};
};

struct InferenceOptions {
  Size tile;                     // input px; {0,0}: the size with the least work within max_memory_bytes
  size_t max_memory_bytes = 0;   // for the tile's activations and the output rows held back; 0: 4 GiB
  DType precision = DType::f32;  // f32 or bf16
  Averaging averaging = Averaging::none;
  AverageOf average_of = AverageOf::scores;
  int64_t batch = 1;  // tiles in one pass of the network
  TileStride stride = TileStride::phase;
  std::function<void(const std::string&)> on_message{};  // one line for the user, where another tile has to be taken
};

/// A band of whole rows, top to bottom: probabilities [rows, image width, classes] from row `top` on.
using WriteBand = std::function<void(int64_t top, const Image& probabilities)>;
/// Called after each tile; it may throw to end the run (a signal, say).
using TileProgress = std::function<void(int64_t done, int64_t total)>;

/// Bytes that one forward pass of a tile needs besides the parameters: activations at the worst moment. An estimate
/// from above by shapes alone, without the convolution's own scratch.
size_t inference_bytes(const NetworkConfig& config, Size tile, DType precision);

/// The tile that predict() starts with.
Size inference_tile(const NetworkConfig& config, Size image, const InferenceOptions& options);

/// Runs the network over an image that `read` delivers in windows, scaled as in training, and hands the probabilities
/// of all pixels to `write`. Neither image nor result is ever held whole. The image continues by mirroring at its
/// edges. With ConvolutionMode::direct on the network's device the result is bit for bit the one of a single tile
/// that covers the image (TileStride::phase).
///
/// Where a pass does not fit into the device's memory, half of the batch and then half of the tile is tried, before
/// anything is written; throws OutOfMemory if the smallest does not fit either. Returns the tile that was taken in the
/// end. Throws ConfigError unless the batch is at least 1.
Size predict(const Network& network, Size image, const ReadWindow& read, const InferenceOptions& options,
             const WriteBand& write, const TileProgress& progress = {});

/// The same for an image at hand [H,W,C]: probabilities [H,W,classes].
Image predict(const Network& network, const Image& image, const InferenceOptions& options = {});

}  // namespace unet
