// Gradients of filters and bias of Conv2d and ConvTranspose2d, called by the backward passes of both.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// Conv2d:           dw[k,r,s,c] = sum_{n,p,q} g[n,p,q,k] * cat(x,x2)[n,p+r,q+s,c]
/// ConvTranspose2d:  dw[k,r,s,c] = sum_{n,i,j} g[n,2i+r,2j+s,k] * x[n,i,j,c]
/// both:             db[k]       = sum_{n,p,q} g[n,p,q,k]
///
/// g is the gradient of the result before its ReLU: see mask_gradient. Outputs are overwritten, and skipped where their
/// view is empty. Factors of bf16, and of f32 with context.tf32, are multiplied on tensor cores; sums are f32. The
/// order of a sum depends on the shapes, on the pointers' alignment and on the device, and on nothing else. A value of
/// x that is not finite may reach the gradients of other taps than its own.
template <class T>
struct FilterGradient {
  View<const T> x;           // [N,H,W,C1]
  View<const T> x2;          // [N,H,W,C2], or empty
  View<const T> g;           // [N,P,Q,K]; empty where g_wide is given
  View<const float> g_wide;  // [N,P,Q,K]; empty where g is given
  View<float> dw;            // [K,R,S,C1+C2] dense, or empty
  View<float> db;            // [K], or empty
  bool transposed = false;   // ConvTranspose2d: P = 2H, Q = 2W, R = S = 2
};

/// Operands channels last and checked by the operation. T is float or bf16. Throws OutOfMemory, DeviceError.
template <class T>
void filter_gradient(const Context& context, const FilterGradient<T>& gradient);

}  // namespace unet::kernels::gpu
