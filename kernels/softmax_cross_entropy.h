// Pixel-weighted softmax cross-entropy: loss and gradient in one pass.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// What the weighted sum is divided by.
enum class LossNormalization : uint8_t {
  valid_pixels,  // number of pixels that are not ignored (Caffe's VALID): the default
  weight_sum,    // sum of the weights of those pixels
  none
};

/// Label of a pixel without truth: no loss, no gradient, not counted.
inline constexpr int32_t kIgnoreLabel = -1;

/// loss = (1/Z) sum_x -w(x) log max(p_{label(x)}(x), FLT_MIN),  p = softmax over K;  Z by `normalization` (1 if 0).
/// dx[k] = scale * w (p_k - [k = label]) / Z, overwritten; zero for ignored pixels and for weight 0.
///
/// A pixel of weight 0 is ignored as well. Sums run in double in a fixed order, so the loss does not depend on the
/// number of threads. dx may alias x. Throws ShapeError; DataError, before anything is written, where a label lies
/// outside [-1, K) or a weight is negative or not finite. On a target that works later than it is told, the DataError
/// comes from the next download() or synchronize() of its state and names the first such pixel; loss is NaN then and dx
/// is zero.
/// Source: Ronneberger et al. 2015, equation 1; minus sign added.
template <class T>
struct SoftmaxCrossEntropy {
  using Element = T;  // float or double
  static constexpr const char* kName = "softmax_cross_entropy";

  View<const T> x;             // [N,H,W,K] scores
  View<const int32_t> labels;  // [N,H,W,1] in [0,K), or kIgnoreLabel
  View<const float> weights;   // [N,H,W,1] >= 0, or empty (all 1)
  View<T> loss;                // [1]
  View<T> dx;                  // [N,H,W,K], or empty
  LossNormalization normalization = LossNormalization::valid_pixels;
  double scale = 1;  // factor on dx alone: upstream gradient or loss scale

  void check() const;

  /// Throws DataError unless label and weight of this pixel can be used.
  void require_valid_pixel(int64_t n, int64_t h, int64_t w) const;

  /// Z, from the number of valid pixels and the sum of their weights.
  UNET_HOST_DEVICE double divisor(double valid, double weight_sum) const {
    const double z = normalization == LossNormalization::valid_pixels ? valid
                     : normalization == LossNormalization::weight_sum ? weight_sum
                                                                      : 1;
    return z > 0 ? z : 1;
  }
};

UNET_DECLARE_OPERATION(SoftmaxCrossEntropy);

}  // namespace unet::kernels
