// Transposed 2x2 convolution with stride 2 ("up-convolution"), forward and backward.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y[n,2i+a,2j+d,k] = act( b[k] + sum_c w[k,a,d,c] * x[n,i,j,c] ),  act = ReLU or identity.
///
/// Filters lie as those of Conv2d, output channel first. Numerics, aliasing and errors as for Conv2d.
/// Source: Ronneberger et al. 2015, section 2 and figure 1.
template <class T>
struct ConvTranspose2d {
  using Element = T;
  static constexpr const char* kName = "conv_transpose2d";

  View<const T> x;              // [N,H,W,C]
  View<const Accumulate<T>> w;  // [K,2,2,C]
  View<const Accumulate<T>> b;  // [K], or empty
  View<T> y;                    // [N,2H,2W,K]
  bool relu = false;
  FilterCache* cache = nullptr;

  void check() const;
};

/// Gradients of ConvTranspose2d; conventions as for Conv2dBackward (y only where ReLU was on; dy is consumed).
///
///   dx[n,i,j,c] = sum_{k,a,d} g[n,2i+a,2j+d,k] * w[k,a,d,c]
///   dw[k,a,d,c] = sum_{n,i,j} g[n,2i+a,2j+d,k] * x[n,i,j,c],   db[k] = sum g[...,k]
template <class T>
struct ConvTranspose2dBackward {
  using Element = T;
  static constexpr const char* kName = "conv_transpose2d_backward";

  View<const T> x;              // [N,H,W,C]
  View<const Accumulate<T>> w;  // [K,2,2,C]
  View<const T> y;              // [N,2H,2W,K] forward output where ReLU was on, or empty
  View<T> dy;                   // [N,2H,2W,K] consumed
  View<T> dx;                   // [N,H,W,C], or empty
  View<Accumulate<T>> dw;       // [K,2,2,C], or empty
  View<Accumulate<T>> db;       // [K], or empty
  FilterCache* cache = nullptr;

  void check() const;
};

UNET_DECLARE_OPERATION(ConvTranspose2d);
UNET_DECLARE_OPERATION(ConvTranspose2dBackward);

}  // namespace unet::kernels
