#include "unet/scaling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/types.h"

namespace unet {
namespace {

/// Smallest and largest value of each channel of a page, and values of evenly spaced pixels for the median.
struct PageStatistics {
  std::vector<float> low, high;
  std::vector<float> sample;
};

PageStatistics statistics(ImageReader& reader, int64_t page) {
  const PageInfo& info = reader.info(page);
  PageStatistics s;
  s.low.assign(static_cast<size_t>(info.channels), std::numeric_limits<float>::infinity());
  s.high.assign(static_cast<size_t>(info.channels), -std::numeric_limits<float>::infinity());
  constexpr int64_t max_sample = int64_t{1} << 24;
  const int64_t stride = ceil_div(info.height * info.width * info.channels, max_sample);
  const int64_t rows = std::clamp<int64_t>((int64_t{1} << 22) / (info.width * info.channels), 1, info.height);
  int64_t index = 0;
  for (int64_t top = 0; top < info.height; top += rows) {
    const Image band = reader.read(page, {top, 0, std::min(rows, info.height - top), info.width});
    for (size_t i = 0; i < band.data.size(); ++i, ++index) {
      const auto c = i % static_cast<size_t>(info.channels);
      s.low[c] = std::min(s.low[c], band.data[i]);
      s.high[c] = std::max(s.high[c], band.data[i]);
      if (index % stride == 0) s.sample.push_back(band.data[i]);
    }
  }
  return s;
}

float median(std::vector<float> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A page of one value has no range: it becomes 0.
void keep_apart(PixelScaling& scaling) {
  for (size_t c = 0; c < scaling.black.size(); ++c) {
    if (!(scaling.white[c] > scaling.black[c])) scaling.white[c] = scaling.black[c] + 1;
  }
}

}  // namespace

void PixelScaling::to_unit(Image& image) const {
  if (image.channels != static_cast<int64_t>(black.size())) {
    throw ShapeError(concat("scaling: expected ", black.size(), " channels, got ", image.shape_text()));
  }
  const size_t channels = black.size();
  for (size_t i = 0; i < image.data.size(); ++i) {
    const size_t c = i % channels;
    image.data[i] = (image.data[i] - black[c]) / (white[c] - black[c]);
  }
  if (page.empty()) return;
  const auto [low, high] = std::minmax_element(image.data.begin(), image.data.end());
  if (low == image.data.end() || (*low >= 0 && *high <= 1)) return;
  const size_t c = static_cast<size_t>(low - image.data.begin()) % channels;
  throw DataError(concat(page, ": expected values from 0 to ", white[c], ", got ", *low * white[c], " to ",
                         *high * white[c],
                         "; divide the image, or train with --set data.normalisation=min_max, which takes any values"));
}

void PixelScaling::apply(Image& image) const {
  to_unit(image);
  for (float& v : image.data) v -= centre;
}

std::vector<PixelScaling> pixel_scalings(InputNormalisation kind, ImageReader& reader) {
  std::vector<PixelScaling> scalings;
  if (kind == InputNormalisation::unit || kind == InputNormalisation::centred) {
    for (int64_t page = 0; page < reader.pages(); ++page) {
      const PageInfo& info = reader.info(page);
      const auto channels = static_cast<size_t>(info.channels);
      scalings.push_back({.black = std::vector<float>(channels, 0),
                          .white = std::vector<float>(channels, info.type.white()),
                          .centre = kind == InputNormalisation::centred ? 0.5F : 0.0F});
      const bool may_lie_outside = info.type.kind != SampleKind::unsigned_integer;
      if (may_lie_outside) scalings.back().page = concat(reader.path().string(), ", page ", page);
    }
    return scalings;
  }
  std::vector<PageStatistics> pages;
  for (int64_t page = 0; page < reader.pages(); ++page) pages.push_back(statistics(reader, page));
  if (kind == InputNormalisation::min_max) {
    for (const PageStatistics& s : pages) {
      scalings.push_back({.black = s.low, .white = s.high, .centre = 0.5F});
      keep_apart(scalings.back());
    }
    return scalings;
  }
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const PageStatistics& s : pages) {
    low = std::min(low, *std::min_element(s.low.begin(), s.low.end()));
    high = std::max(high, *std::max_element(s.high.begin(), s.high.end()));
  }
  for (const PageStatistics& s : pages) {
    PixelScaling scaling{.black = std::vector<float>(s.low.size(), low),
                         .white = std::vector<float>(s.low.size(), high)};
    keep_apart(scaling);
    scaling.centre = (median(s.sample) - low) / (scaling.white[0] - low);
    scalings.push_back(std::move(scaling));
  }
  return scalings;
}

}  // namespace unet
