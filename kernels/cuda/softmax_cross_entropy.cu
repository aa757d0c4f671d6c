#include "kernels/softmax_cross_entropy.h"

#include "kernels/cuda/reduction.cuh"
#include "kernels/cuda/softmax_group.cuh"
#include "kernels/cuda/walk.cuh"

// Four kernels, none of which waits for the host: counts (a partial result a block), the divisor Z, gradient and losses
// (a partial result a block), the loss. The number of blocks depends on the shape alone, so the loss is the same bits
// on every device and in every run.
namespace unet::kernels {
namespace gpu {
namespace {

using Op = SoftmaxCrossEntropy<float>;

constexpr float kLargestLoss = 87.3365448F;  // -log FLT_MIN
constexpr float kLargestFloat = 3.402823466e38F;

/// The operands, pixel by pixel.
struct LossPixels {
  Walk walk;
  Walked<const float> x;
  Walked<const int32_t> labels;
  Walked<const float> weights;  // or empty
  Walked<float> dx;             // or empty
  int64_t channels;

  explicit LossPixels(const Op& op)
      : walk(Walk::over_pixels(op.x, op.labels, op.weights, op.dx)),
        x(walk(op.x)),
        labels(walk(op.labels)),
        weights(walk(op.weights)),
        dx(walk(op.dx)),
        channels(op.x.c) {}

  __device__ __forceinline__ float weight(const Place& place) const { return weights ? *weights(place) : 1.0F; }
};

/// What pixels add up to.
struct Counts {
  double valid, weight, unusable;
};

/// Sums over the block; thread 0 has them. Shared: 64 bytes.
__device__ __forceinline__ Counts block_sum(const Counts& counts) {
  UNET_SHARED(double[kReductionWarps], shared);
  return {block_reduce(counts.valid, Plus{}, shared), block_reduce(counts.weight, Plus{}, shared),
          block_reduce(counts.unusable, Plus{}, shared)};
}

// One thread a pixel. Reports the first pixel that cannot be used. Bound: memory, 8 bytes a pixel.
__global__ void __launch_bounds__(kReductionThreads)
    count_kernel(LossPixels pixels, int64_t h, int64_t w, Counts* partial, unsigned long long* bad_pixel) {
  Counts counts{};
  const int64_t step = int64_t{gridDim.x} * kReductionThreads;
  for (int64_t i = int64_t{blockIdx.x} * kReductionThreads + threadIdx.x; i < pixels.walk.count(); i += step) {
    const Place place = pixels.walk.place(i);
    const int32_t label = *pixels.labels(place);
    const float weight = pixels.weight(place);
    if (label < kIgnoreLabel || label >= pixels.channels || !(weight >= 0 && weight <= kLargestFloat)) {
      report_bad_pixel(bad_pixel, i / w / h, i / w % h, i % w);
      counts.unusable += 1;
    } else if (label != kIgnoreLabel) {
      counts.valid += weight > 0 ? 1 : 0;
      counts.weight += weight;
    }
  }
  const Counts sum = block_sum(counts);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// One block: *divisor = Z, or 0 where a pixel cannot be used.
__global__ void __launch_bounds__(kReductionThreads)
    divisor_kernel(Op op, const Counts* partial, int64_t count, double* divisor) {
  Counts counts{};
  for (int64_t i = threadIdx.x; i < count; i += kReductionThreads) {
    counts.valid += partial[i].valid;
    counts.weight += partial[i].weight;
    counts.unusable += partial[i].unusable;
  }
  const Counts sum = block_sum(counts);
  if (threadIdx.x == 0) *divisor = sum.unusable > 0 ? 0 : op.divisor(sum.valid, sum.weight);
}

// kLanes lanes take a pixel, as in softmax.cu; the lane that has the label's channel adds the loss, before it may
// overwrite the score. Bound: memory; x and dx once, 8 bytes a pixel of labels and weights.
template <int kLanes>
__global__ void __launch_bounds__(kReductionThreads)
    loss_kernel(LossPixels pixels, double scale, const double* divisor, double* partial) {
  UNET_SHARED(double[kReductionWarps], shared);
  constexpr int kPixels = kReductionThreads / kLanes;  // of a block at a time
  const double z = *divisor;
  const double dx_factor = z > 0 ? scale / z : 0;
  const int own = static_cast<int>(threadIdx.x) / kLanes;
  double loss = 0;
  const int64_t step = int64_t{gridDim.x} * kPixels;
  for (int64_t first = int64_t{blockIdx.x} * kPixels; first < pixels.walk.count(); first += step) {
    const bool has_pixel = first + own < pixels.walk.count();
    const Place place = pixels.walk.place(has_pixel ? first + own : first);
    const int32_t label = *pixels.labels(place);
    const float weight = z > 0 && has_pixel && label != kIgnoreLabel ? pixels.weight(place) : 0.0F;
    const SoftmaxGroup<kLanes> softmax(pixels.x(place), has_pixel ? pixels.channels : 0);
    if (weight > 0 && label % kLanes == softmax.lane()) {
      const float exact = logf(softmax.sum) - (softmax.scores[label] - softmax.highest);  // -log p
      loss += static_cast<double>(weight) * static_cast<double>(exact > kLargestLoss ? kLargestLoss : exact);
    }
    if (!pixels.dx) continue;
    float* const dx = pixels.dx(place);
    const auto factor = static_cast<float>(dx_factor * weight);
    for (int64_t k = softmax.lane(); k < softmax.channels; k += kLanes) {
      dx[k] = weight > 0 ? factor * (softmax.probability(k) - (k == label ? 1.0F : 0.0F)) : 0.0F;
    }
  }
  loss = block_reduce(loss, Plus{}, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = loss;
}

// One block: *loss = sum / Z, or NaN where a pixel cannot be used.
__global__ void __launch_bounds__(kReductionThreads)
    finish_loss_kernel(const double* partial, int64_t count, const double* divisor, float* loss) {
  UNET_SHARED(double[kReductionWarps], shared);
  const double sum = block_reduce(partial, count, 0.0, Plus{}, shared);
  if (threadIdx.x == 0) *loss = *divisor > 0 ? static_cast<float>(sum / *divisor) : NAN;
}

}  // namespace
}  // namespace gpu

template <>
void execute(DeviceTarget, const Context& context, const SoftmaxCrossEntropy<float>& op) {
  using gpu::launch;
  gpu::require_channels_last(gpu::Op::kName, op.x, op.labels, op.weights, op.dx);
  const gpu::LossPixels pixels(op);
  const dim3 one(1), block(gpu::kReductionThreads);
  const Scratch<double> divisor(*context.workspace, 1);
  {
    const int64_t blocks = gpu::reduction_blocks(op.x.pixels());
    const Scratch<gpu::Counts> partial(*context.workspace, blocks);
    launch(context, gpu::count_kernel, {.grid = dim3(static_cast<unsigned>(blocks)), .block = block}, pixels, op.x.h,
           op.x.w, partial.data(), gpu::bad_pixel(context));
    launch(context, gpu::divisor_kernel, {.grid = one, .block = block}, op, partial.data(), blocks, divisor.data());
  }
  gpu::with_lanes(op.x.c, [&](auto lanes) {
    const int64_t blocks = gpu::reduction_blocks(op.x.pixels() * lanes);
    const Scratch<double> partial(*context.workspace, blocks);
    launch(context, gpu::loss_kernel<lanes>, {.grid = dim3(static_cast<unsigned>(blocks)), .block = block}, pixels,
           op.scale, divisor.data(), partial.data());
    launch(context, gpu::finish_loss_kernel, {.grid = one, .block = block}, partial.data(), blocks, divisor.data(),
           op.loss.data);
  });
}

}  // namespace unet::kernels
