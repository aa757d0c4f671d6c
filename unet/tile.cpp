#include "unet/tile.h"

#include <algorithm>
#include <limits>

namespace unet {
namespace {

constexpr int kMaxDepth = 6;

void check_image(Size image) {
  if (image.height < 1 || image.width < 1) {
    throw ShapeError(concat("tile: expected an image of at least 1x1 pixels, got ", image.height, "x", image.width));
  }
}

/// Tiles along one axis.
struct Axis {
  int64_t input = 0, output = 0, stride = 0, count = 0;  // count is 0 where the tiles cannot cover the axis
};

Axis lay_out(const TileRule& rule, int64_t length, int64_t input, TileStride kind) {
  Axis axis{.input = input, .output = rule.output(input)};
  axis.stride = kind == TileStride::phase ? axis.output / rule.step() * rule.step() : axis.output;
  if (axis.output >= length) {
    axis.count = 1;
  } else if (axis.stride > 0) {
    axis.count = 1 + ceil_div(length - axis.output, axis.stride);
  }
  return axis;
}

/// For every number of tiles that can cover the axis, the smallest tile that does it with so many.
std::vector<Axis> axis_choices(const TileRule& rule, int64_t length, TileStride kind) {
  std::vector<Axis> choices;
  const int64_t last = rule.input_covering(length);
  for (int64_t input = rule.smallest_input(); input <= last; input += rule.step()) {
    const Axis axis = lay_out(rule, length, input, kind);
    if (axis.count > 0 && (choices.empty() || axis.count < choices.back().count)) choices.push_back(axis);
  }
  return choices;
}

/// The part of the axis that tile i decides: what its predecessors left over.
struct Span {
  int64_t begin, end;
};
Span kept_by(const Axis& axis, int64_t i, int64_t length) {
  return {i == 0 ? 0 : (i - 1) * axis.stride + axis.output, std::min(length, i * axis.stride + axis.output)};
}

/// Smallest range of true indices that the mirrored indices [begin, begin + count) touch.
Span mirrored_range(int64_t begin, int64_t count, int64_t length) {
  if (count >= 2 * length) return {0, length};
  Span range{length, 0};
  for (int64_t i = begin; i < begin + count; ++i) {
    const int64_t m = mirror(i, length);
    range = {std::min(range.begin, m), std::max(range.end, m + 1)};
  }
  return range;
}

}  // namespace

TileRule::TileRule(int depth) : depth_(depth) {
  if (depth < 1 || depth > kMaxDepth) {
    throw ConfigError(concat("tile: expected a network of depth 1 to ", kMaxDepth, ", got ", depth));
  }
}

int64_t TileRule::skip_crop(int level) const {
  if (level < 0 || level >= depth_) {
    throw ShapeError(concat("tile: expected a skip level of 0 to ", depth_ - 1, ", got ", level));
  }
  return 6 * (int64_t{1} << (depth_ - level)) - 8;
}

bool TileRule::is_valid(int64_t input_px) const { return input_px > 2 * margin() && (input_px + 4) % step() == 0; }

int64_t TileRule::output(int64_t input_px) const {
  if (is_valid(input_px)) return input_px - 2 * margin();
  const auto with_output = [&](int64_t valid) { return concat(valid, " (output ", valid - 2 * margin(), ")"); };
  const std::string fault =
      concat("tile: a U-Net of depth ", depth_, " cannot run on an input side of ", input_px, "; ");
  if (input_px < smallest_input()) throw ShapeError(fault + "the smallest is " + with_output(smallest_input()));
  const int64_t above = input_covering(input_px - 2 * margin());
  throw ShapeError(fault + "the nearest are " + with_output(above - step()) + " and " + with_output(above));
}

int64_t TileRule::input_covering(int64_t output_px) const {
  const int64_t smallest_output = std::min(int64_t{4}, step());
  return 2 * margin() + smallest_output + round_up(std::max(int64_t{0}, output_px - smallest_output), step());
}

double TileRule::work(Size input) const {
  double channels = 1, sum = 0;
  int64_t height = input.height, width = input.width;
  const auto convolution = [&](double inputs) {  // 3x3, unpadded
    height -= 2, width -= 2;
    sum += 9 * inputs * channels * static_cast<double>(height * width);
  };
  for (int level = 0; level <= depth_; ++level) {
    if (level > 0) height /= 2, width /= 2, channels *= 2;
    convolution(level > 0 ? channels / 2 : 0);
    convolution(channels);
  }
  for (int level = 0; level < depth_; ++level) {
    height *= 2, width *= 2, channels /= 2;
    sum += 2 * channels * channels * static_cast<double>(height * width);  // 2x2 stride 2: one tap for each output
    convolution(2 * channels);
    convolution(channels);
  }
  return sum;
}

TilePlan plan_tiles(const TileRule& rule, Size image, Size tile_input, TileStride stride) {
  check_image(image);
  const Axis rows = lay_out(rule, image.height, tile_input.height, stride);
  const Axis columns = lay_out(rule, image.width, tile_input.width, stride);
  if (rows.count == 0 || columns.count == 0) {
    throw ShapeError(concat("tile: tiles of ", tile_input.height, "x", tile_input.width,
                            " cannot advance over an image of ", image.height, "x", image.width,
                            "; use a side of at least ", rule.input_covering(rule.step())));
  }
  TilePlan plan{.input = tile_input, .output = {rows.output, columns.output}, .margin = rule.margin(), .tiles = {}};
  for (int64_t i = 0; i < rows.count; ++i) {
    const Span y = kept_by(rows, i, image.height);
    for (int64_t j = 0; j < columns.count; ++j) {
      const Span x = kept_by(columns, j, image.width);
      plan.tiles.push_back({.input = {.y = i * rows.stride - plan.margin,
                                      .x = j * columns.stride - plan.margin,
                                      .height = tile_input.height,
                                      .width = tile_input.width},
                            .keep = {.y = y.begin, .x = x.begin, .height = y.end - y.begin, .width = x.end - x.begin}});
    }
  }
  return plan;
}

Size choose_tile(const TileRule& rule, Size image, int64_t max_pixels, TileStride stride) {
  check_image(image);
  const std::vector<Axis> heights = axis_choices(rule, image.height, stride);
  const std::vector<Axis> widths = axis_choices(rule, image.width, stride);
  Size best;
  double least = std::numeric_limits<double>::infinity();
  for (const Axis& rows : heights) {
    for (const Axis& columns : widths) {
      const Size tile{rows.input, columns.input};
      if (tile.pixels() > max_pixels) break;  // widths ascend
      const double work = rule.work(tile) * static_cast<double>(rows.count * columns.count);
      if (work < least) least = work, best = tile;
    }
  }
  if (best.height == 0) {
    throw ConfigError(concat("tile: no tile for an image of ", image.height, "x", image.width, " fits in ", max_pixels,
                             " pixels; the smallest usable is ", heights.front().input, "x", widths.front().input));
  }
  return best;
}

Image extract_tile(const ReadWindow& read, Size image, const Rect& window) {
  check_image(image);
  const Span rows = mirrored_range(window.y, window.height, image.height);
  const Span columns = mirrored_range(window.x, window.width, image.width);
  const Image part = read(
      {.y = rows.begin, .x = columns.begin, .height = rows.end - rows.begin, .width = columns.end - columns.begin});
  Image tile(window.height, window.width, part.channels);
  std::vector<int64_t> column(static_cast<size_t>(window.width));
  for (int64_t x = 0; x < window.width; ++x)
    column[static_cast<size_t>(x)] = mirror(window.x + x, image.width) - columns.begin;
  for (int64_t y = 0; y < window.height; ++y) {
    const float* from = &part.at(mirror(window.y + y, image.height) - rows.begin, 0);
    float* to = &tile.at(y, 0);
    for (const int64_t x : column) to = std::copy_n(from + x * part.channels, part.channels, to);
  }
  return tile;
}

Image extract_tile(const Image& image, const Rect& window) {
  const auto read = [&](const Rect& part) {
    Image copy(part.height, part.width, image.channels);
    for (int64_t y = 0; y < part.height; ++y) {
      std::copy_n(&image.at(part.y + y, part.x), part.width * image.channels, &copy.at(y, 0));
    }
    return copy;
  };
  return extract_tile(read, {image.height, image.width}, window);
}

}  // namespace unet
