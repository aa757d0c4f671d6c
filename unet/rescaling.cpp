#include "unet/rescaling.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>

namespace unet {
namespace {

/// A row [width * channels] at another width, from source columns that start at `left`.
void filter_row(const float* row, int64_t left, int64_t channels, const AxisFilter& filter, int64_t begin,
                int64_t count, float* out) {
  for (int64_t x = begin; x < begin + count; ++x) {
    const float* from = row + (filter.reach(x).first - left) * channels;
    std::fill_n(out, channels, 0.0F);
    for (const float weight : filter.weights(x)) {
      for (int64_t c = 0; c < channels; ++c) out[c] += weight * *from++;
    }
    out += channels;
  }
}

/// Rows of the source, already of the new width, and the next row that can be made of them.
class BandRescaler {
 public:
  BandRescaler(WriteBand write, Size from, Size to)
      : write_(std::move(write)), from_(from), to_(to), rows_(from.height, to.height), columns_(from.width, to.width) {}

  void operator()(int64_t top, const Image& band) {
    if (top == 0) held_.clear(), first_ = 0, next_ = 0;
    for (int64_t y = 0; y < band.height; ++y) {
      held_.emplace_back(static_cast<size_t>(to_.width * band.channels));
      filter_row(&band.at(y, 0), 0, band.channels, columns_, 0, to_.width, held_.back().data());
    }
    const int64_t begin = next_, available = top + band.height;
    int64_t end = begin;
    while (end < to_.height && rows_.reach(end).last < available) ++end;
    Image out(end - begin, to_.width, band.channels);
    for (; next_ < end; ++next_) {
      const int64_t first = rows_.reach(next_).first;
      drop_before(first);
      float* const to = &out.at(next_ - begin, 0);
      size_t i = 0;
      for (const float weight : rows_.weights(next_)) {
        const std::vector<float>& row = held_[i++];
        for (size_t k = 0; k < row.size(); ++k) to[k] += weight * row[k];
      }
    }
    if (end > begin) write_(begin, out);
  }

 private:
  void drop_before(int64_t row) {
    for (; first_ < row; ++first_) held_.pop_front();
  }

  WriteBand write_;
  Size from_, to_;
  AxisFilter rows_, columns_;
  std::deque<std::vector<float>> held_;  // source rows first_ and following
  int64_t first_ = 0, next_ = 0;
};

}  // namespace

Size rescaled_size(Size page, double rows, double columns) {
  for (const double factor : {rows, columns}) {
    if (!(factor >= 0.01 && factor <= 100)) {
      throw ConfigError(concat("scale: expected a factor of 0.01 to 100, got ", factor));
    }
  }
  const auto side = [](int64_t px, double factor) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(px) * factor));
  };
  return {side(page.height, rows), side(page.width, columns)};
}

AxisFilter::AxisFilter(int64_t from, int64_t to)
    : from_(from),
      to_(to),
      ratio_(static_cast<double>(from) / static_cast<double>(to)),
      radius_(std::max(1.0, ratio_)) {}

AxisFilter::Reach AxisFilter::reach(int64_t i) const {
  if (from_ == to_) return {i, i};
  const double centre = (static_cast<double>(i) + 0.5) * ratio_ - 0.5;
  return {std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - radius_)) + 1),
          std::min(from_ - 1, static_cast<int64_t>(std::ceil(centre + radius_)) - 1)};
}

std::vector<float> AxisFilter::weights(int64_t i) const {
  const double centre = (static_cast<double>(i) + 0.5) * ratio_ - 0.5;
  const Reach reached = reach(i);
  std::vector<double> raw;
  double sum = 0;
  for (int64_t k = reached.first; k <= reached.last; ++k) {
    raw.push_back(1 - std::abs(static_cast<double>(k) - centre) / radius_);
    sum += raw.back();
  }
  std::vector<float> weights;
  for (const double w : raw) weights.push_back(static_cast<float>(w / sum));
  return weights;
}

Image rescaled(const Image& image, Size to) {
  const Size from{image.height, image.width};
  if (from == to) return image;
  const ReadWindow read = [&image](const Rect& r) {
    Image window(r.height, r.width, image.channels);
    for (int64_t y = 0; y < r.height; ++y) {
      std::copy_n(&image.at(r.y + y, r.x), r.width * image.channels, &window.at(y, 0));
    }
    return window;
  };
  return rescaled(read, from, to)({.y = 0, .x = 0, .height = to.height, .width = to.width});
}

LabelMap rescaled(const LabelMap& labels, Size to) {
  LabelMap out(to.height, to.width, labels.channels);
  for (int64_t y = 0; y < to.height; ++y) {
    const int64_t row = (2 * y + 1) * labels.height / (2 * to.height);
    for (int64_t x = 0; x < to.width; ++x) {
      const int64_t column = (2 * x + 1) * labels.width / (2 * to.width);
      std::copy_n(&labels.at(row, column), labels.channels, &out.at(y, x));
    }
  }
  return out;
}

ReadWindow rescaled(const ReadWindow& read, Size from, Size to) {
  if (from == to) return read;
  return [read, rows = AxisFilter(from.height, to.height), columns = AxisFilter(from.width, to.width)](const Rect& r) {
    const int64_t top = rows.reach(r.y).first, bottom = rows.reach(r.y + r.height - 1).last;
    const int64_t left = columns.reach(r.x).first, right = columns.reach(r.x + r.width - 1).last;
    const Image source = read({.y = top, .x = left, .height = bottom - top + 1, .width = right - left + 1});
    Image narrow(source.height, r.width, source.channels);
    for (int64_t y = 0; y < source.height; ++y) {
      filter_row(&source.at(y, 0), left, source.channels, columns, r.x, r.width, &narrow.at(y, 0));
    }
    Image out(r.height, r.width, source.channels);
    for (int64_t y = 0; y < r.height; ++y) {
      int64_t row = rows.reach(r.y + y).first - top;
      for (const float weight : rows.weights(r.y + y)) {
        for (int64_t k = 0; k < r.width * source.channels; ++k) (&out.at(y, 0))[k] += weight * (&narrow.at(row, 0))[k];
        ++row;
      }
    }
    return out;
  };
}

WriteBand rescaled(const WriteBand& write, Size from, Size to) {
  if (from == to) return write;
  return [rescaler = std::make_shared<BandRescaler>(write, from, to)](int64_t top, const Image& band) {
    (*rescaler)(top, band);
  };
}

}  // namespace unet
