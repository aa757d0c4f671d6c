#include "unet/inference.h"

#include <algorithm>
#include <limits>
#include <numbers>
#include <span>

#include "engine/softmax.h"
#include "unet/turning.h"

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

/// What the network says about tiles of one size: scores [h,w,classes] of each, or probabilities where these are to be
/// averaged.
std::vector<Image> run(const Network& network, const std::vector<Image>& tiles, const InferenceOptions& options) {
  const Image& first = tiles.front();
  std::vector<float> values;
  values.reserve(tiles.size() * first.data.size());
  for (const Image& tile : tiles) values.insert(values.end(), tile.data.begin(), tile.data.end());
  Tensor y = network.forward(
      Tensor::from(network.device(), Shape{std::ssize(tiles), first.height, first.width, first.channels}, values),
      options.precision);
  if (options.average_of == AverageOf::probabilities) y = engine::softmax(y);
  const std::vector<float> all = y.to_vector();
  std::vector<Image> out(tiles.size(), Image(y.shape().h(), y.shape().w(), y.shape().c()));
  auto from = all.begin();
  for (Image& image : out) {
    const auto end = from + std::ssize(image.data);
    std::copy(from, end, image.data.begin());
    from = end;
  }
  return out;
}

/// Probabilities from the sum over `count` versions, in place.
void finish(const Network& network, size_t count, const InferenceOptions& options, Image& sum) {
  for (float& v : sum.data) v /= static_cast<float>(count);
  if (options.average_of == AverageOf::probabilities) return;
  sum.data = engine::softmax(Tensor::from(network.device(), Shape{1, sum.height, sum.width, sum.channels}, sum.data))
                 .to_vector();
}

using Tiles = std::span<const TilePlan::Tile>;

Image cropped(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  Image out(height, width, image.channels);
  for (int64_t y = 0; y < height; ++y) std::copy_n(&image.at(top + y, left), width * image.channels, &out.at(y, 0));
  return out;
}

/// Probabilities [keep.height, keep.width, classes] of what each tile keeps, averaged over symmetries.
std::vector<Image> symmetric_probabilities(const Network& network, Size image, const ReadWindow& read, Tiles tiles,
                                           int64_t margin, const InferenceOptions& options) {
  const std::vector<Symmetry> list = symmetries(options.averaging);
  std::vector<Image> inputs, sums(tiles.size());
  for (const TilePlan::Tile& tile : tiles) inputs.push_back(extract_tile(read, image, tile.input));
  for (const Symmetry& s : list) {
    std::vector<Image> versions;
    for (const Image& input : inputs) versions.push_back(list.size() == 1 ? input : apply(s, input, false));
    const std::vector<Image> outputs = run(network, versions, options);
    for (size_t i = 0; i < tiles.size(); ++i) {
      const Rect &in = tiles[i].input, &keep = tiles[i].keep;
      const Image whole = list.size() == 1 ? outputs[i] : apply(s, outputs[i], true);
      Image one = cropped(whole, keep.y - in.y - margin, keep.x - in.x - margin, keep.height, keep.width);
      if (sums[i].data.empty()) {
        sums[i] = std::move(one);
      } else {
        for (size_t k = 0; k < one.data.size(); ++k) sums[i].data[k] += one.data[k];
      }
    }
  }
  for (Image& sum : sums) finish(network, list.size(), options, sum);
  return sums;
}

constexpr int kTurns = 7;

std::vector<Turn> seven_turns(Size image) {
  std::vector<Turn> turns;
  for (int k = 0; k < kTurns; ++k) turns.emplace_back(image, 2 * std::numbers::pi * k / kTurns);
  return turns;
}

/// What the network reads of a turned image for a tile that keeps at most `kept` pixels.
Size turned_input(const TileRule& rule, const Turn& turn, Size kept) {
  const Size window = turn.window_size(kept, rule.step());
  return {rule.input_covering(window.height), rule.input_covering(window.width)};
}

/// The same averaged over seven rotations of the image.
std::vector<Image> turned_probabilities(const Network& network, Size image, const ReadWindow& read, Tiles tiles,
                                        Size kept, const InferenceOptions& options) {
  const TileRule rule(static_cast<int>(network.config().depth));
  std::vector<Image> sums;
  for (const TilePlan::Tile& tile : tiles) {
    sums.emplace_back(tile.keep.height, tile.keep.width, network.config().classes);
  }
  for (const Turn& turn : seven_turns(image)) {
    const Size input = turned_input(rule, turn, kept);
    std::vector<Image> versions;
    for (const TilePlan::Tile& tile : tiles) {
      const Rect window = turn.window(tile.keep, rule.step());
      versions.push_back(turn.turned(read, {.y = window.y - rule.margin(),
                                            .x = window.x - rule.margin(),
                                            .height = input.height,
                                            .width = input.width}));
    }
    const std::vector<Image> outputs = run(network, versions, options);
    for (size_t i = 0; i < tiles.size(); ++i) {
      turn.add_back(outputs[i], turn.window(tiles[i].keep, rule.step()), tiles[i].keep, sums[i]);
    }
  }
  for (Image& sum : sums) finish(network, kTurns, options, sum);
  return sums;
}

/// The most that a tile of the plan keeps.
Size largest_keep(const TileRule& rule, Size image, Size input) {
  return {std::min(rule.output(input.height), image.height), std::min(rule.output(input.width), image.width)};
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
    const Size kept = largest_keep(rule, image, tile);
    size_t pass = inference_bytes(config, tile, options.precision);
    if (options.averaging == Averaging::rot7) {
      for (const Turn& turn : seven_turns(image)) {
        pass = std::max(pass, inference_bytes(config, turned_input(rule, turn, kept), options.precision));
      }
    }
    return pass * static_cast<size_t>(options.batch) +
           static_cast<size_t>(2 * kept.height * image.width * config.classes) * sizeof(float);
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
  if (options.batch < 1) throw ConfigError(concat("predict: expected a batch of at least 1 tile, got ", options.batch));
  const engine::NoGrad no_grad(*network.device());
  const TileRule rule(static_cast<int>(network.config().depth));
  Size size = inference_tile(network.config(), image, options);
  TilePlan plan = plan_tiles(rule, image, size, options.stride);

  Image band;
  int64_t batch = options.batch;
  for (size_t i = 0; i < plan.tiles.size();) {
    const Tiles tiles = Tiles(plan.tiles).subspan(i, std::min(plan.tiles.size() - i, static_cast<size_t>(batch)));
    std::vector<Image> probabilities;
    try {
      probabilities = options.averaging == Averaging::rot7
                          ? turned_probabilities(network, image, read, tiles, largest_keep(rule, image, size), options)
                          : symmetric_probabilities(network, image, read, tiles, plan.margin, options);
    } catch (const OutOfMemory& error) {
      // All passes are of one size, or smaller at the end: if the first fits, all do.
      if (i != 0) throw;
      const auto say = [&](const auto&... parts) {
        if (options.on_message) options.on_message(concat(parts..., " (", error.what(), ")"));
      };
      if (batch > 1) {
        say("batches of ", batch, " tiles do not fit into memory, going on with ", batch / 2);
        batch /= 2;
      } else {
        const int64_t smallest = rule.smallest_input() + rule.step();
        const Size smaller = choose_tile(rule, image, std::max(size.pixels() / 2, smallest * smallest), options.stride);
        if (smaller.pixels() >= size.pixels()) {
          throw OutOfMemory(concat("predict: the smallest tile, ", size.height, " x ", size.width,
                                   " px, does not fit into memory; allow more (", error.what(), ")"),
                            error.requested_bytes, error.limit_bytes);
        }
        say("tiles of ", size.height, " x ", size.width, " px do not fit into memory, going on with ", smaller.height,
            " x ", smaller.width, " px");
        size = smaller;
        plan = plan_tiles(rule, image, size, options.stride);
      }
      network.device()->arena().trim();
      continue;
    }
    for (const Image& p : probabilities) {
      const Rect& keep = plan.tiles[i++].keep;
      if (keep.x == 0) band = Image(keep.height, image.width, p.channels);
      for (int64_t y = 0; y < keep.height; ++y) std::copy_n(&p.at(y, 0), keep.width * p.channels, &band.at(y, keep.x));
      if (keep.x + keep.width == image.width) write(keep.y, band);
      if (progress) progress(static_cast<int64_t>(i), static_cast<int64_t>(plan.tiles.size()));
    }
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
