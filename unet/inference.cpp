#include "unet/inference.h"

#include <algorithm>
#include <limits>

#include "engine/softmax.h"

namespace unet {
namespace {

using engine::Shape;
using engine::Tensor;

/// One symmetry of the square: transpose first, then flips.
struct Symmetry {
  bool transpose = false, flip_y = false, flip_x = false;
};

std::vector<Symmetry> symmetries(Averaging averaging) {
  std::vector<Symmetry> list{{}};
  if (averaging == Averaging::none) return list;
  list = {{false, false, false}, {false, false, true}, {false, true, false}, {false, true, true}};
  if (averaging == Averaging::d4) {
    for (size_t i = 0; i < 4; ++i) list.push_back({true, list[i].flip_y, list[i].flip_x});
  }
  return list;
}

/// out(y,x) = in(s(y,x)); with `inverse` out(s(y,x)) = in(y,x). Both sides have the shape of their own side.
Image apply(const Symmetry& s, const Image& in, bool inverse) {
  Image out(s.transpose ? in.width : in.height, s.transpose ? in.height : in.width, in.channels);
  const Image& untouched = inverse ? out : in;  // the side that the symmetry maps from
  const int64_t height = s.transpose ? untouched.width : untouched.height;
  const int64_t width = s.transpose ? untouched.height : untouched.width;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t fy = s.flip_y ? height - 1 - y : y, fx = s.flip_x ? width - 1 - x : x;
      const int64_t sy = s.transpose ? fx : fy, sx = s.transpose ? fy : fx;
      for (int64_t c = 0; c < in.channels; ++c) {
        if (inverse) {
          out.at(sy, sx, c) = in.at(y, x, c);
        } else {
          out.at(y, x, c) = in.at(sy, sx, c);
        }
      }
    }
  }
  return out;
}

/// Scores [h,w,classes] of one tile.
Image scores(const Network& network, const Image& tile, DType precision) {
  const auto& device = network.device();
  const Tensor x = Tensor::from(device, Shape{1, tile.height, tile.width, tile.channels}, tile.data);
  const Tensor y = network.forward(x, precision);
  Image out;
  out.height = y.shape().h(), out.width = y.shape().w(), out.channels = y.shape().c();
  out.data = y.to_vector();
  return out;
}

Image probabilities(const Network& network, const Image& tile, const InferenceOptions& options) {
  const std::vector<Symmetry> list = symmetries(options.averaging);
  Image sum;
  for (const Symmetry& s : list) {
    Image one = list.size() == 1 ? scores(network, tile, options.precision)
                                 : apply(s, scores(network, apply(s, tile, false), options.precision), true);
    if (sum.data.empty()) {
      sum = std::move(one);
    } else {
      for (size_t i = 0; i < sum.data.size(); ++i) sum.data[i] += one.data[i];
    }
  }
  const auto count = static_cast<float>(list.size());
  for (float& v : sum.data) v /= count;
  const Tensor p =
      engine::softmax(Tensor::from(network.device(), Shape{1, sum.height, sum.width, sum.channels}, sum.data));
  sum.data = p.to_vector();
  return sum;
}

}  // namespace

size_t inference_bytes(const NetworkConfig& config, Size tile, DType precision) {
  // Follows Network::forward: at each convolution its inputs, its output and the skip connections below are alive.
  const auto bytes = [&](int64_t height, int64_t width, int64_t channels) {
    return static_cast<size_t>(height * width) * static_cast<size_t>(round_up(channels, kernels::kChannelBlock)) *
           size_of(precision);
  };
  int64_t h = tile.height, w = tile.width;
  std::vector<size_t> skip;
  size_t held = 0, peak = 0;
  size_t input = static_cast<size_t>(h * w * config.in_channels) * sizeof(float);
  for (int64_t level = 0; level <= config.depth; ++level) {
    const int64_t channels = config.width << level;
    const size_t first = bytes(h - 2, w - 2, channels), second = bytes(h - 4, w - 4, channels);
    peak = std::max({peak, held + input + first, held + first + second});
    h -= 4, w -= 4;
    if (level == config.depth) {
      input = second;
      break;
    }
    skip.push_back(second);
    held += second;
    h /= 2, w /= 2;
    input = bytes(h, w, channels);
  }
  for (int64_t level = config.depth - 1; level >= 0; --level) {
    const int64_t channels = config.width << level;
    const int64_t raised = level == 0 && config.last_up_channels > 0 ? config.last_up_channels : channels;
    h *= 2, w *= 2;
    const size_t up = bytes(h, w, raised);
    const size_t first = bytes(h - 2, w - 2, channels), second = bytes(h - 4, w - 4, channels);
    peak = std::max({peak, held + input + up, held + up + first});
    held -= skip[static_cast<size_t>(level)];
    peak = std::max(peak, held + first + second);
    h -= 4, w -= 4;
    input = second;
  }
  return peak;
}

Size inference_tile(const NetworkConfig& config, Size image, const InferenceOptions& options) {
  if (options.tile.height != 0) return options.tile;
  const TileRule rule(static_cast<int>(config.depth));
  const size_t memory = options.max_memory_bytes == 0 ? size_t{4} << 30 : options.max_memory_bytes;
  // Activations, and twice the band of rows that is held back until its last tile: here and with whoever writes it.
  const auto bytes_of = [&](Size tile) {
    const int64_t rows = std::min(rule.output(tile.height), image.height);
    return inference_bytes(config, tile, options.precision) +
           static_cast<size_t>(2 * rows * image.width * config.classes) * sizeof(float);
  };
  const int64_t smallest = rule.smallest_input() + rule.step();
  int64_t limit = std::numeric_limits<int64_t>::max();
  while (true) {
    const Size tile = choose_tile(rule, image, std::max(limit, smallest * smallest), options.stride);
    if (limit <= smallest * smallest || bytes_of(tile) <= memory) return tile;
    limit = tile.pixels() - 1 - tile.pixels() / 10;
  }
}

Size predict(const Network& network, Size image, const ReadWindow& read, const InferenceOptions& options,
             const WriteBand& write, const TileProgress& progress) {
  const engine::NoGrad no_grad(*network.device());
  const TileRule rule(static_cast<int>(network.config().depth));
  Size size = inference_tile(network.config(), image, options);
  TilePlan plan = plan_tiles(rule, image, size, options.stride);

  Image band;
  for (size_t i = 0; i < plan.tiles.size();) {
    const TilePlan::Tile& tile = plan.tiles[i];
    Image p;
    try {
      p = probabilities(network, extract_tile(read, image, tile.input), options);
    } catch (const OutOfMemory& error) {
      // All tiles have one size: if the first fits, all do.
      if (i != 0) throw;
      const int64_t smallest = rule.smallest_input() + rule.step();
      const Size smaller = choose_tile(rule, image, std::max(size.pixels() / 2, smallest * smallest), options.stride);
      if (smaller.pixels() >= size.pixels()) throw;
      if (options.on_message) {
        options.on_message(concat("tiles of ", size.height, " x ", size.width,
                                  " px do not fit into memory, going on with ", smaller.height, " x ", smaller.width,
                                  " px (", error.what(), ")"));
      }
      size = smaller;
      plan = plan_tiles(rule, image, size, options.stride);
      network.device()->arena().trim();
      continue;
    }
    if (tile.keep.x == 0) band = Image(tile.keep.height, image.width, p.channels);
    const int64_t top = tile.keep.y - tile.input.y - plan.margin, left = tile.keep.x - tile.input.x - plan.margin;
    for (int64_t y = 0; y < tile.keep.height; ++y) {
      std::copy_n(&p.at(top + y, left), tile.keep.width * p.channels, &band.at(y, tile.keep.x));
    }
    if (tile.keep.x + tile.keep.width == image.width) write(tile.keep.y, band);
    ++i;
    if (progress) progress(static_cast<int64_t>(i), static_cast<int64_t>(plan.tiles.size()));
  }
  return size;
}

Image predict(const Network& network, const Image& image, const InferenceOptions& options) {
  Image out(image.height, image.width, network.config().classes);
  predict(
      network, {image.height, image.width},
      [&](const Rect& r) {
        Image window(r.height, r.width, image.channels);
        for (int64_t y = 0; y < r.height; ++y) {
          std::copy_n(&image.at(r.y + y, r.x), r.width * image.channels, &window.at(y, 0));
        }
        return window;
      },
      options, [&](int64_t top, const Image& band) { std::copy(band.data.begin(), band.data.end(), &out.at(top, 0)); });
  return out;
}

}  // namespace unet
