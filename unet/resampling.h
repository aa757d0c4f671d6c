// Values of a page between its pixels, a row of positions at a time.
#pragma once

#include "unet/tile.h"

namespace unet {

/// Positions on a page of one size, and the values there. The page continues by mirroring (see mirror()). Made once for
/// many rows: what is mirrored is looked up in tables that grow with the positions met.
class Resampler {
 public:
  Resampler(Size page, int64_t count);

  int64_t count() const { return static_cast<int64_t>(y_.size()); }

  /// Sets the positions: (base_y + y[i], base_x + x[i]) in px for i < count. Offsets below 2^30 in magnitude; keep them
  /// small, their precision is that of float.
  void place(int64_t base_y, int64_t base_x, const float* y, const float* x);

  /// Bilinear values at positions begin .. begin+n-1: out[n][channels].
  void bilinear(const Image& page, int64_t begin, int64_t n, float* out) const;
  /// Values of the nearest pixels, that is at floor(position + 0.5): out[n]. One channel.
  void nearest(const LabelMap& page, int64_t begin, int64_t n, int32_t* out) const;

 private:
  /// Where mirrored pixels lie: offset(i) = mirror(i) * pitch for i from some negative to some positive index.
  class MirrorTable {
   public:
    MirrorTable(int64_t length, int64_t pitch) : length_(length), pitch_(pitch) {}
    /// Prepares indices first .. last.
    void cover(int64_t first, int64_t last);
    /// Points to the offset of index 0.
    const int64_t* origin() const { return offsets_.data() - first_; }

   private:
    int64_t length_, pitch_, first_ = 0;
    std::vector<int64_t> offsets_;  // of first_ and the following
  };

  Size page_;
  MirrorTable rows_, columns_;
  int64_t base_y_ = 0, base_x_ = 0;
  std::vector<int32_t> y_, x_;                  // whole part of each position, less the base
  std::vector<float> fraction_y_, fraction_x_;  // in [0,1]
};

}  // namespace unet
