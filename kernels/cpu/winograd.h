// Winograd convolution F(4x4,3x3) in f32 on blocked views: the cpu target's own, for processors with AVX-512.
#pragma once

#include "kernels/conv2d.h"

namespace unet::kernels::winograd {

// Unpadded 3x3 convolutions with a quarter of the multiplications: images fall into tiles of 4x4 outputs, tiles and
// filters are transformed to 6x6 points, each point is one matrix product over channels, and the products are
// transformed back (Lavin and Gray 2016). Work goes in blocks of tiles whose transforms stay in the caches: scratch is
// some megabytes for any image size.
//
// Numerics: relative error <= 2e-5 of the largest output. Results depend on the position of an output in its 4x4 tile,
// and neither on the number of threads nor on the batch. Views are blocked (View::blocked) and may be cropped; padded
// channels are read as the zeros they are and written as zeros.

/// True where this file computes the operation: AVX-512 build and processor, 3x3 filter, blocked activations, and C1 a
/// multiple of 16 where there is x2. Elsewhere use another algorithm.
bool supports(const Conv2d<float>& op);
bool supports(const Conv2dBackward<float>& op);

/// Floats of a transformed filter [K,3,3,C], both directions.
int64_t packed_filter_size(const View<const float>& w);

/// True where transforming the filter anew in each call costs over a tenth of the call: few tiles. Elsewhere a packed
/// filter saves nothing and is four times the size of w.
bool gains_from_packed_filter(const Conv2d<float>& op);
bool gains_from_packed_filter(const Conv2dBackward<float>& op);

/// Transforms w [K,3,3,C], dense, into packed[packed_filter_size(w)], aligned to 64 bytes.
void pack_forward(const Context& context, const View<const float>& w, float* packed);
void pack_backward_data(const Context& context, const View<const float>& w, float* packed);

/// op.y (or y_wide). `packed` comes from pack_forward, or is null: then op.w is transformed on the way.
void forward(const Context& context, const Conv2d<float>& op, const float* packed = nullptr);

/// op.dx and op.dx2, whichever are given, from op.dy (or dy_wide), which holds g: the ReLU mask op.y is applied before.
/// `packed` comes from pack_backward_data, or is null.
void backward_data(const Context& context, const Conv2dBackward<float>& op, const float* packed = nullptr);

/// op.dw from op.dy (or dy_wide), which holds g, and op.x, op.x2.
void backward_filter(const Context& context, const Conv2dBackward<float>& op);

}  // namespace unet::kernels::winograd
