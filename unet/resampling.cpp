#include "unet/resampling.h"

#include <algorithm>

namespace unet {
namespace {

/// Smallest and largest whole part.
struct Bounds {
  int32_t low, high;
};

/// value = whole + fraction, 0 <= fraction <= 1 (1 by rounding alone). Branch-free, so that the compiler vectorises it.
Bounds split(const float* value, size_t count, int32_t* whole, float* fraction) {
  for (size_t i = 0; i < count; ++i) {
    int32_t below = static_cast<int32_t>(value[i]);  // towards zero
    below -= value[i] < static_cast<float>(below) ? 1 : 0;
    whole[i] = below;
    fraction[i] = value[i] - static_cast<float>(below);
  }
  const auto [low, high] = std::minmax_element(whole, whole + count);
  return {*low, *high};
}

}  // namespace

void Resampler::MirrorTable::cover(int64_t first, int64_t last) {
  const auto end = first_ + static_cast<int64_t>(offsets_.size());
  if (!offsets_.empty() && first >= first_ && last < end) return;
  constexpr int64_t kSpare = 64;  // rows wander: grow seldom
  first = (offsets_.empty() ? first : std::min(first, first_)) - kSpare;
  last = (offsets_.empty() ? last : std::max(last, end - 1)) + kSpare;
  offsets_.clear();
  for (int64_t i = first; i <= last; ++i) offsets_.push_back(mirror(i, length_) * pitch_);
  first_ = first;
}

Resampler::Resampler(Size page, int64_t count)
    : page_(page),
      rows_(page.height, page.width),
      columns_(page.width, 1),
      y_(static_cast<size_t>(count)),
      x_(y_.size()),
      fraction_y_(y_.size()),
      fraction_x_(y_.size()) {}

void Resampler::place(int64_t base_y, int64_t base_x, const float* y, const float* x) {
  base_y_ = base_y, base_x_ = base_x;
  const Bounds rows = split(y, y_.size(), y_.data(), fraction_y_.data());
  const Bounds columns = split(x, x_.size(), x_.data(), fraction_x_.data());
  rows_.cover(base_y + rows.low, base_y + rows.high + 1);
  columns_.cover(base_x + columns.low, base_x + columns.high + 1);
}

void Resampler::bilinear(const Image& page, int64_t begin, int64_t n, float* out) const {
  const int64_t* const row = rows_.origin() + base_y_;
  const int64_t* const column = columns_.origin() + base_x_;
  const auto interpolate = [&](int64_t channels) {
    for (int64_t i = begin; i < begin + n; ++i) {
      const auto k = static_cast<size_t>(i);
      const int64_t top = row[y_[k]], bottom = row[y_[k] + 1], left = column[x_[k]], right = column[x_[k] + 1];
      const float fy = fraction_y_[k], fx = fraction_x_[k];
      const float* const a = page.data.data() + (top + left) * channels;
      const float* const b = page.data.data() + (top + right) * channels;
      const float* const c = page.data.data() + (bottom + left) * channels;
      const float* const d = page.data.data() + (bottom + right) * channels;
      for (int64_t channel = 0; channel < channels; ++channel) {
        const float above = a[channel] + fx * (b[channel] - a[channel]);
        const float below = c[channel] + fx * (d[channel] - c[channel]);
        *out++ = above + fy * (below - above);
      }
    }
  };
  page.channels == 1 ? interpolate(1) : interpolate(page.channels);
}

void Resampler::nearest(const LabelMap& page, int64_t begin, int64_t n, int32_t* out) const {
  const int64_t* const row = rows_.origin() + base_y_;
  const int64_t* const column = columns_.origin() + base_x_;
  for (int64_t i = begin; i < begin + n; ++i) {
    const auto k = static_cast<size_t>(i);
    const int64_t y = y_[k] + (fraction_y_[k] >= 0.5F ? 1 : 0), x = x_[k] + (fraction_x_[k] >= 0.5F ? 1 : 0);
    *out++ = page.data[static_cast<size_t>(row[y] + column[x])];
  }
}

}  // namespace unet
