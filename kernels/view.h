// A view of an image batch or a parameter: pointer, sizes, strides. It owns nothing.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <type_traits>

#include "kernels/error.h"
#include "kernels/types.h"

namespace unet::kernels {

/// Channels stored together in the blocked layout.
inline constexpr int64_t kChannelBlock = 16;

/// How the elements of an image batch lie in memory; see View.
enum class Layout : uint8_t { nhwc, blocked };

/// View of [N,H,W,C] elements. Channels lie in blocks of `block`: a pixel's block is contiguous.
///
///   offset(n,h,w,c) = n*stride_n + (c/block)*stride_block + h*stride_h + w*stride_w + c%block
///
/// Two layouts exist. Channels last (NHWC): block == C, one block. Blocked (N[C/16]HW16): block == 16, and channels
/// from C up to the next multiple of 16 are stored and hold zero, always; a kernel that writes a blocked view writes
/// those zeros too. Cropping is a change of pointer and sizes, so no kernel needs a crop parameter.
/// A filter [K,R,S,C] is a view with N=K, H=R, W=S; a vector [C] has N=H=W=1. An absent operand is an empty view.
template <class T>
struct View {
  T* data = nullptr;
  int64_t n = 0, h = 0, w = 0, c = 0;                                  // sizes
  int64_t stride_n = 0, stride_h = 0, stride_w = 0, stride_block = 0;  // in elements
  int64_t block = 0;                                                   // channels stored together

  View() = default;

  /// Dense channels-last view of [n,h,w,c].
  static View nhwc(T* data, int64_t n, int64_t h, int64_t w, int64_t c) {
    View v;
    v.data = data;
    v.n = n, v.h = h, v.w = w, v.c = c;
    v.block = c, v.stride_w = c, v.stride_h = w * c, v.stride_n = h * w * c, v.stride_block = 0;
    return v;
  }

  /// Dense blocked view of [n,h,w,c], stored as [n][ceil(c/16)][h][w][16].
  static View blocked(T* data, int64_t n, int64_t h, int64_t w, int64_t c) {
    View v;
    v.data = data;
    v.n = n, v.h = h, v.w = w, v.c = c;
    v.block = kChannelBlock, v.stride_w = kChannelBlock, v.stride_h = w * kChannelBlock;
    v.stride_block = h * v.stride_h, v.stride_n = ceil_div(c, kChannelBlock) * v.stride_block;
    return v;
  }

  /// View<T> reads as View<const T>.
  template <class U = T>
  requires(!std::is_const_v<U>) operator View<const U>() const {  // NOLINT(google-explicit-constructor)
    View<const U> v;
    v.data = data;
    v.n = n, v.h = h, v.w = w, v.c = c;
    v.stride_n = stride_n, v.stride_h = stride_h, v.stride_w = stride_w, v.stride_block = stride_block;
    v.block = block;
    return v;
  }

  UNET_HOST_DEVICE explicit operator bool() const { return data != nullptr; }

  UNET_HOST_DEVICE int64_t offset(int64_t in, int64_t ih, int64_t iw, int64_t ic) const {
    return in * stride_n + (ic / block) * stride_block + ih * stride_h + iw * stride_w + ic % block;
  }
  UNET_HOST_DEVICE T& operator()(int64_t in, int64_t ih, int64_t iw, int64_t ic) const {
    return data[offset(in, ih, iw, ic)];
  }

  int64_t blocks() const { return ceil_div(c, block); }
  int64_t pixels() const { return n * h * w; }
  int64_t size() const { return n * h * w * c; }  // logical elements, without channel padding
  bool is_blocked() const { return block == kChannelBlock && stride_w == kChannelBlock; }
  bool is_nhwc() const { return block == c; }
  /// True where no gap lies between rows, blocks and images.
  bool is_dense() const {
    return stride_h == w * stride_w && (blocks() == 1 || stride_block == h * stride_h) &&
           (n == 1 || stride_n == blocks() * h * stride_h) && stride_w == block;
  }

  /// Rows [top, top+rows), columns [left, left+columns) of every image.
  View crop(int64_t top, int64_t left, int64_t rows, int64_t columns) const {
    if (top < 0 || left < 0 || rows < 1 || columns < 1 || top + rows > h || left + columns > w) {
      throw ShapeError(
          concat("crop: ", rows, "x", columns, " at (", top, ",", left, ") does not fit into ", h, "x", w));
    }
    View v = *this;
    v.data += top * stride_h + left * stride_w;
    v.h = rows, v.w = columns;
    return v;
  }

  /// The centred crop; an odd rest goes to the bottom and right.
  View centre_crop(int64_t rows, int64_t columns) const {
    return crop((h - rows) / 2, (w - columns) / 2, rows, columns);
  }

  /// One past the last stored element.
  T* end() const {
    return data + (n - 1) * stride_n + (blocks() - 1) * stride_block + (h - 1) * stride_h + (w - 1) * stride_w + block;
  }

  std::string shape_text() const { return concat("[", n, ",", h, ",", w, ",", c, "]"); }
};

template <class T, class U>
bool same_shape(const View<T>& a, const View<U>& b) {
  return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

/// Throws ShapeError "op: name: expected [..], got [..]" unless v has the given sizes.
template <class T>
void require_shape(const char* op, const char* name, const View<T>& v, int64_t n, int64_t h, int64_t w, int64_t c) {
  if (!v) throw ShapeError(concat(op, ": ", name, ": expected [", n, ",", h, ",", w, ",", c, "], got no data"));
  if (v.n != n || v.h != h || v.w != w || v.c != c) {
    throw ShapeError(concat(op, ": ", name, ": expected [", n, ",", h, ",", w, ",", c, "], got ", v.shape_text()));
  }
}
template <class T, class U>
void require_same_shape(const char* op, const char* name, const View<T>& v, const View<U>& like) {
  require_shape(op, name, v, like.n, like.h, like.w, like.c);
}

/// Throws unless v is present, has sizes above zero and fewer than 2^40 elements (ShapeError), and is channels last or
/// blocked (TypeError).
template <class T>
void require_present(const char* op, const char* name, const View<T>& v) {
  if (!v) throw ShapeError(concat(op, ": ", name, ": expected data, got none"));
  constexpr int64_t limit = (int64_t{1} << 40) - 1;
  const bool positive = v.n > 0 && v.h > 0 && v.w > 0 && v.c > 0;
  if (!positive || v.n > limit / v.h || v.n * v.h > limit / v.w || v.n * v.h * v.w > limit / v.c) {
    throw ShapeError(
        concat(op, ": ", name, ": expected sizes above zero and below 2^40 elements, got ", v.shape_text()));
  }
  if (v.block != v.c && v.block != kChannelBlock) {
    throw TypeError(concat(op, ": ", name, ": expected ", v.c, " or ", kChannelBlock, " channels stored together, got ",
                           v.block, " in ", v.shape_text(), "; make the view by View::nhwc or View::blocked"));
  }
}

/// True where both views are present and their address ranges meet.
template <class T, class U>
bool overlap(const View<T>& a, const View<U>& b) {
  const std::less<const void*> before;
  return a && b && before(a.data, b.end()) && before(b.data, a.end());
}

/// True where both views are the same elements in the same order.
template <class T, class U>
bool identical(const View<T>& a, const View<U>& b) {
  const auto layout = [](const auto& v) {
    return std::array{v.n, v.h, v.w, v.c, v.stride_n, v.stride_h, v.stride_w, v.stride_block, v.block};
  };
  return static_cast<const void*>(a.data) == b.data && layout(a) == layout(b);
}

/// Throws ShapeError where an output shares its address range with another operand.
template <class T, class U>
void require_apart(const char* op, const char* name, const View<T>& out, const char* other_name, const View<U>& other) {
  if (overlap(out, other)) {
    throw ShapeError(concat(op, ": expected ", name, " apart from ", other_name, ", got ", name, " ", out.shape_text(),
                            " over ", other_name, " ", other.shape_text(), "; give ", name, " memory of its own"));
  }
}

/// Throws ShapeError where an output shares its address range with another operand that is not the very same view.
template <class T, class U>
void require_apart_or_identical(const char* op, const char* name, const View<T>& out, const char* other_name,
                                const View<U>& other) {
  if (!identical(out, other)) require_apart(op, name, out, other_name, other);
}

}  // namespace unet::kernels
