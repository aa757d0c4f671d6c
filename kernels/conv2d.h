// Unpadded two-dimensional convolution, forward and backward.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y[n,p,q,k] = act( b[k] + sum_{r,s,c} w[k,r,s,c] * cat(x, x2)[n, p+r, q+s, c] ),  act = ReLU or identity.
///
/// With x2 the input is the channel-wise concatenation of two sources that is never stored: U-Net's crop-concat, where
/// x2 is the skip connection already cropped (View::crop). Products of T are summed in Accumulate<T> or wider; the
/// filter is rounded to T first. Deterministic for a given number of threads; in ConvolutionMode::direct an output
/// value depends only on its own inputs, not on its position or the image size.
/// Outputs must not alias inputs. Without ReLU a NaN sum stays NaN; with it, it may become 0. Throws ShapeError.
/// With `pooled`, the 2x2 maxima of y are stored too, and y itself may be left out: bit for bit MaxPool2d of y.
/// Source: Ronneberger et al. 2015, section 2.
template <class T>
struct Conv2d {
  using Element = T;
  static constexpr const char* kName = "conv2d";

  View<const T> x;              // [N,H,W,C1]
  View<const T> x2;             // [N,H,W,C2], or empty (C2 = 0)
  View<const Accumulate<T>> w;  // [K,R,S,C1+C2], R,S odd or even, both >= 1
  View<const Accumulate<T>> b;  // [K], or empty
  View<T> y;                    // [N,H-R+1,W-S+1,K]; empty where y_wide is given
  View<Accumulate<T>> y_wide;   // [N,H-R+1,W-S+1,K] unrounded result; empty where y is given
  bool relu = false;
  FilterCache* cache = nullptr;  // keeps packed forms of w for later calls; null where w changes after each (training)
  View<T> pooled;                // [N,P/2,Q/2,K] for y [N,P,Q,K], or empty; y may then be empty
  View<uint8_t> pool_code;       // [N,P/2,Q/2,K] in the layout of pooled, see MaxPool2d; or empty

  void check() const;
};

/// Gradients of Conv2d. Each output is overwritten, and skipped where its view is empty.
///
///   g  = dy * [y > 0] where y is given (the forward pass applied ReLU), else dy
///   db[k] = sum_{n,p,q} g[n,p,q,k]
///   dw[k,r,s,c] = sum_{n,p,q} g[n,p,q,k] * cat(x,x2)[n,p+r,q+s,c]
///   cat(dx,dx2)[n,h,w,c] = sum_{k,r,s} g[n,h-r,w-s,k] * w[k,r,s,c]
///
/// dy is consumed: an implementation may leave g in it. Deterministic for a given number of threads.
/// Where x (x2) is itself the output of a ReLU, relu_x (relu_x2) multiplies dx by [x > 0], bit for bit as ReluBackward
/// would: the gradient arrives at the operation below as its g.
template <class T>
struct Conv2dBackward {
  using Element = T;
  static constexpr const char* kName = "conv2d_backward";

  View<const T> x;                    // [N,H,W,C1]
  View<const T> x2;                   // [N,H,W,C2], or empty
  View<const Accumulate<T>> w;        // [K,R,S,C1+C2]
  View<const T> y;                    // [N,P,Q,K] forward output where ReLU was on, or empty
  View<T> dy;                         // [N,P,Q,K] consumed; empty where dy_wide is given
  View<const Accumulate<T>> dy_wide;  // [N,P,Q,K]; empty where dy is given
  View<T> dx;                         // [N,H,W,C1], or empty
  View<T> dx2;                        // [N,H,W,C2], or empty
  View<Accumulate<T>> dw;             // [K,R,S,C1+C2], or empty
  View<Accumulate<T>> db;             // [K], or empty
  FilterCache* cache = nullptr;
  bool relu_x = false, relu_x2 = false;

  void check() const;
};

UNET_DECLARE_OPERATION(Conv2d);
UNET_DECLARE_OPERATION(Conv2dBackward);

}  // namespace unet::kernels
