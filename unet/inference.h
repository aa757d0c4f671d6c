// Segmentation of images of any size by overlapping tiles.
#pragma once

#include <functional>
#include <string>

#include "unet/network.h"
#include "unet/tile.h"

namespace unet {

/// Test-time averaging over symmetric versions of each tile; scores are averaged, then softmax.
enum class Averaging : uint8_t {
  none,
  flips,  // identity, left-right, up-down, both: the authors' release
  d4      // the eight symmetries of the square
};

struct InferenceOptions {
  Size tile;                     // input px; {0,0}: the size with the least work within max_memory_bytes
  size_t max_memory_bytes = 0;   // for the tile's activations and the output rows held back; 0: 4 GiB
  DType precision = DType::f32;  // f32 or bf16
  Averaging averaging = Averaging::none;
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
/// Where a tile does not fit into the device's memory it is halved and tried again, before anything is written; throws
/// OutOfMemory if the smallest does not fit either. Returns the tile that was taken in the end.
Size predict(const Network& network, Size image, const ReadWindow& read, const InferenceOptions& options,
             const WriteBand& write, const TileProgress& progress = {});

/// The same for an image at hand [H,W,C]: probabilities [H,W,classes].
Image predict(const Network& network, const Image& image, const InferenceOptions& options = {});

}  // namespace unet
