#include "kernels/softmax_cross_entropy.h"

#include <cfloat>
#include <cmath>

#include "kernels/cpu/rows.h"
#include "kernels/cpu/softmax_lanes.h"

namespace unet::kernels {
namespace {

using cpu::SoftmaxLanes;
using Op = SoftmaxCrossEntropy<float>;

constexpr float kLargestLoss = 87.3365448F;  // -log FLT_MIN

float weight_of(const Op& op, int64_t n, int64_t h, int64_t w) {
  const float weight = op.weights ? op.weights(n, h, w, 0) : 1;
  return op.labels(n, h, w, 0) == kIgnoreLabel ? 0 : weight;
}

/// Z. Throws DataError for the first pixel that cannot be used.
double divisor(const Context& context, const Op& op) {
  const int64_t rows = op.x.n * op.x.h;
  const Scratch<double> valid(*context.workspace, rows), weight_sum(*context.workspace, rows);
  bool has_bad = false;
#pragma omp parallel for num_threads(cpu::threads_for(context, op.x.size())) schedule(static) reduction(|| : has_bad)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / op.x.h, h = row % op.x.h;
    double row_valid = 0, row_weight = 0;
    for (int64_t w = 0; w < op.x.w; ++w) {
      const int32_t label = op.labels(n, h, w, 0);
      const float weight = op.weights ? op.weights(n, h, w, 0) : 1;
      const bool is_usable = label >= kIgnoreLabel && label < op.x.c && weight >= 0 && weight <= FLT_MAX;
      has_bad = has_bad || !is_usable;
      if (label == kIgnoreLabel) continue;
      row_valid += weight > 0 ? 1 : 0;
      row_weight += weight;
    }
    valid[row] = row_valid, weight_sum[row] = row_weight;
  }
  if (has_bad) {
    for (int64_t i = 0; i < op.x.pixels(); ++i) {
      op.require_valid_pixel(i / op.x.w / op.x.h, i / op.x.w % op.x.h, i % op.x.w);
    }
  }
  return op.divisor(cpu::tree_sum(valid.data(), rows), cpu::tree_sum(weight_sum.data(), rows));
}

/// Weighted loss of the pixels from (n,h,w) on, up to 64, before division by Z; their dx.
double lanes_loss(const Op& op, int64_t n, int64_t h, int64_t w, double dx_factor) {
  const SoftmaxLanes softmax(op.x, n, h, w);
  alignas(64) int32_t label[SoftmaxLanes::kLanes] = {};
  alignas(64) SoftmaxLanes::Lanes weight = {}, factor, score, own = {};
  for (int64_t i = 0; i < softmax.count; ++i) {
    label[i] = op.labels(n, h, w + i, 0);
    weight[i] = weight_of(op, n, h, w + i);
  }
  for (int64_t i = 0; i < SoftmaxLanes::kLanes; ++i) factor[i] = static_cast<float>(dx_factor * weight[i]);

  for (int64_t k = 0; k < op.x.c; ++k) {
    softmax.load(k, score);
    for (int64_t i = 0; i < SoftmaxLanes::kLanes; ++i) own[i] = label[i] == k ? score[i] : own[i];
  }
  double loss = 0;
#pragma omp simd reduction(+ : loss)
  for (int64_t i = 0; i < SoftmaxLanes::kLanes; ++i) {
    const float pixel = cpu::log_positive(softmax.sum[i]) - (own[i] - softmax.highest[i]);  // -log p
    const float bounded = pixel > kLargestLoss ? kLargestLoss : pixel;
    loss += weight[i] > 0 ? static_cast<double>(weight[i]) * static_cast<double>(bounded) : 0.0;
  }

  if (!op.dx) return loss;
  for (int64_t k = 0; k < op.x.c; ++k) {
    softmax.probabilities(k, score);
    for (int64_t i = 0; i < SoftmaxLanes::kLanes; ++i) {
      const float difference = score[i] - (label[i] == k ? 1.0F : 0.0F);
      score[i] = weight[i] > 0 ? factor[i] * difference : 0.0F;
    }
    softmax.store(op.dx, &op.dx(n, h, w, 0), k, score);
  }
  return loss;
}

}  // namespace

template <>
void execute(Cpu, const Context& context, const SoftmaxCrossEntropy<float>& op) {
  const double z = divisor(context, op);
  const int64_t rows = op.x.n * op.x.h;
  const Scratch<double> row_loss(*context.workspace, rows);
#pragma omp parallel for num_threads(cpu::threads_for(context, op.x.size())) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    double loss = 0;
    for (int64_t w = 0; w < op.x.w; w += SoftmaxLanes::kLanes) {
      loss += lanes_loss(op, row / op.x.h, row % op.x.h, w, op.scale / z);
    }
    row_loss[row] = loss;
  }
  *op.loss.data = static_cast<float>(cpu::tree_sum(row_loss.data(), rows) / z);
}

}  // namespace unet::kernels
