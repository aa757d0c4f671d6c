#include "unet/imagej_roi.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace unet {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr int64_t kLargestShort = std::numeric_limits<int16_t>::max();
constexpr size_t kMostCorners = std::numeric_limits<uint16_t>::max();

/// Bytes that grow to hold what is set at an offset.
class Buffer {
 public:
  explicit Buffer(size_t size) : bytes_(size, '\0') {}

  size_t size() const { return bytes_.size(); }
  void set_u16(size_t offset, int64_t value) { set(offset, static_cast<uint64_t>(value), 2); }
  void set_u32(size_t offset, int64_t value) { set(offset, static_cast<uint64_t>(value), 4); }
  void add_u16(int64_t value) { set_u16(size(), value); }
  void add_float(int64_t value) { set_u32(size(), std::bit_cast<int32_t>(static_cast<float>(value))); }
  void set_text(size_t offset, std::string_view text) { bytes_.replace(offset, text.size(), text); }
  void grow(size_t count) { bytes_.resize(bytes_.size() + count, '\0'); }
  std::string take() { return std::move(bytes_); }

 private:
  void set(size_t offset, uint64_t value, size_t count) {
    bytes_.resize(std::max(bytes_.size(), offset + count), '\0');
    for (size_t i = 0; i < count; ++i) bytes_[offset + i] = static_cast<char>(value >> (8 * (count - 1 - i)) & 0xff);
  }
  std::string bytes_;
};

struct Box {
  int64_t top = std::numeric_limits<int64_t>::max(), left = top, bottom = 0, right = 0;
};

Box bounding_box(const std::vector<Outline>& outlines) {
  Box box;
  for (const Outline& outline : outlines) {
    for (const Corner& c : outline) {
      box.top = std::min(box.top, c.y), box.bottom = std::max(box.bottom, c.y);
      box.left = std::min(box.left, c.x), box.right = std::max(box.right, c.x);
    }
  }
  return box;
}

/// Corners relative to the box: all x, then all y.
void add_traced(Buffer& out, const Outline& outline, const Box& box) {
  constexpr int64_t kTraced = 8;
  out.set_u16(6, kTraced << 8);
  out.set_u16(16, std::ssize(outline));
  for (const Corner& c : outline) out.add_u16(c.x - box.left);
  for (const Corner& c : outline) out.add_u16(c.y - box.top);
}

/// A path of absolute floats: what to do, and the point it goes to.
void add_composite(Buffer& out, const std::vector<Outline>& outlines) {
  constexpr int64_t kRectangle = 1, kMoveTo = 0, kLineTo = 1, kClose = 4;
  out.set_u16(6, kRectangle << 8);
  for (const Outline& outline : outlines) {
    for (size_t i = 0; i < outline.size(); ++i) {
      out.add_float(i == 0 ? kMoveTo : kLineTo);
      out.add_float(outline[i].x);
      out.add_float(outline[i].y);
    }
    out.add_float(kClose);
  }
  out.set_u32(36, static_cast<int64_t>((out.size() - kHeaderBytes) / sizeof(float)));
}

/// Position on each axis of a hyperstack, and the name.
void add_second_header(Buffer& out, const ImagejRoi& roi) {
  const size_t start = out.size(), name = start + kHeaderBytes;
  out.set_u32(60, static_cast<int64_t>(start));
  out.grow(kHeaderBytes);
  if (roi.is_hyperstack) {
    out.set_u32(start + 4, 1);
    out.set_u32(start + 8, roi.slice + 1);
    out.set_u32(start + 12, roi.frame + 1);
  }
  out.set_u32(start + 16, static_cast<int64_t>(name));
  out.set_u32(start + 20, std::ssize(roi.name));
  for (const char c : roi.name) out.add_u16(static_cast<unsigned char>(c));
}

}  // namespace

std::string encode_roi(const ImagejRoi& roi) {
  if (roi.outlines.empty()) throw ShapeError("encode_roi: expected at least one outline, got none");
  const Box box = bounding_box(roi.outlines);
  Buffer out(kHeaderBytes);
  out.set_text(0, "Iout");
  out.set_u16(4, 228);
  // Of a composite ROI ImageJ finds the box itself.
  out.set_u16(8, std::min(box.top, kLargestShort));
  out.set_u16(10, std::min(box.left, kLargestShort));
  out.set_u16(12, std::min(box.bottom, kLargestShort));
  out.set_u16(14, std::min(box.right, kLargestShort));
  out.set_u32(56, roi.page + 1);
  const bool fits =
      box.bottom <= kLargestShort && box.right <= kLargestShort && roi.outlines.front().size() <= kMostCorners;
  if (roi.outlines.size() == 1 && fits) {
    add_traced(out, roi.outlines.front(), box);
  } else {
    add_composite(out, roi.outlines);
  }
  add_second_header(out, roi);
  return out.take();
}

}  // namespace unet
