#include "kernels/cuda/narrow_convolution.cuh"

#include "kernels/cuda/implicit_gemm_epilogue.cuh"

namespace unet::kernels::gpu {
namespace {

constexpr int kThreads = 128;

// A block of few_channels: 4 x 32 pixels and 64 columns, 8 pixels of a row and 8 columns a thread.
constexpr int kBlockRows = 4, kBlockWidth = 32, kBlockColumns = 64, kRun = 8;

// A filter's factor as the products see it: rounded to T.
template <class T>
__device__ __forceinline__ float factor(const FilterOrder& order, int column, int tap, int channel) {
  return static_cast<float>(T(order.w[order.column(column) + tap * order.tap_stride + channel * order.channel_stride]));
}

// A block first brings the pixels that it reads and the filter of its columns into shared memory, as floats. For each
// term of its sums a thread loads 8 pixels, the same for 8 neighbours, and 32 bytes of filter for 64 multiplications.
//   shared  (3 + R) * (31 + S) pixels of C channels and R * S * C * 64 factors: 3.1 KiB for 3x3 of one channel
//   traffic every result is written once, eight threads together 64 columns of a pixel; the input is about 1/64 of it
//   bound   memory for bf16; within a factor of two of it also FFMA
template <int kLength, class X, class T, class O>
__global__ void __launch_bounds__(kThreads) few_channels(const View<const X> x, const Convolution<T, O> c) {
  const int channels = static_cast<int>(x.c), terms = c.taps_h * c.taps_w * channels;
  float* factors = dynamic_shared<float>();         // [terms][kBlockColumns]
  float* pixels = factors + terms * kBlockColumns;  // [kBlockRows + R - 1][kBlockWidth + S - 1][C]
  const int height = kBlockRows + c.taps_h - 1, width = kBlockWidth + c.taps_w - 1;
  const int64_t across = (c.width() + kBlockWidth - 1) / kBlockWidth, down = (c.height() + kBlockRows - 1) / kBlockRows;
  const auto n = static_cast<int>(blockIdx.x / (across * down));
  const auto p = static_cast<int>(blockIdx.x / across % down) * kBlockRows;
  const auto q = static_cast<int>(blockIdx.x % across) * kBlockWidth;
  const int column = blockIdx.y * kBlockColumns;

  for (int i = threadIdx.x; i < terms * kBlockColumns; i += kThreads) {
    const int term = i / kBlockColumns, j = column + i % kBlockColumns;
    factors[i] = j < c.columns ? factor<T>(c.filter, j, term / channels, term % channels) : 0.0F;
  }
  for (int i = threadIdx.x; i < height * width * channels; i += kThreads) {
    const int pixel = i / channels, h = p - c.pad_h + pixel / width, w = q - c.pad_w + pixel % width;
    const bool is_inside = h >= 0 && h < x.h && w >= 0 && w < x.w;
    pixels[i] = is_inside ? static_cast<float>(pixel_of(x, n, h, w)[i % channels]) : 0.0F;
  }
  __syncthreads();

  const int j = threadIdx.x % (kBlockColumns / kRun) * kRun, run = threadIdx.x / (kBlockColumns / kRun);
  const int row = run / (kBlockWidth / kRun), left = run % (kBlockWidth / kRun) * kRun;
  float sums[kRun][kRun];  // [pixel][column]
#pragma unroll
  for (int e = 0; e < kRun; ++e) {
    const float bias = c.bias(column + j + e);
#pragma unroll
    for (int i = 0; i < kRun; ++i) sums[i][e] = bias;
  }
  int term = 0;
  for (int r = 0; r < c.taps_h; ++r) {
    for (int s = 0; s < c.taps_w; ++s) {
      for (int channel = 0; channel < channels; ++channel, ++term) {
        const float* from = pixels + ((row + r) * width + left + s) * channels + channel;
        const auto low = load_vector<4>(factors + term * kBlockColumns + j);
        const auto high = load_vector<4>(factors + term * kBlockColumns + j + 4);
#pragma unroll
        for (int i = 0; i < kRun; ++i) {
          const float value = from[i * channels];
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            sums[i][e] += value * low.values[e];
            sums[i][e + 4] += value * high.values[e];
          }
        }
      }
    }
  }

  if (p + row >= c.height()) return;
#pragma unroll
  for (int first = 0; first < kRun; first += kLength) {
    if (column + j + first >= c.columns) return;
    const ColumnTarget<T, O> target(c, column + j + first);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      if (q + left + i >= c.width()) break;
      Vector<float, kLength> results;
#pragma unroll
      for (int e = 0; e < kLength; ++e) results.values[e] = activate(sums[i][first + e], c.relu);
      target.store(n, p + row, q + left + i, rounded<O>(results));
    }
  }
}

// Pixels of a thread and of a block of few_columns.
constexpr int kPixels = 4, kBlockPixels = kPixels * kThreads / 8;

// Eight lanes share four pixels: lane l sums chunks l, l + 8, .. of 16 bytes of each; then they add their sums, in the
// same order for every pixel, loaded in chunks or element by element.
//   shared  the filter as floats, [C][kColumns]
//   traffic the input once, and kColumns results a pixel
//   bound   memory: 64 channels of bf16 are 128 bytes for 128 multiplications
template <int kColumns, bool kAligned, class T, class O>
__global__ void __launch_bounds__(kThreads, 4) few_columns(const Convolution<T, O> c) {
  constexpr int kLength = 16 / static_cast<int>(sizeof(T));
  const int channels = static_cast<int>(c.x.c);
  float* factors = dynamic_shared<float>();  // [channels][kColumns]
  for (int i = threadIdx.x; i < channels * kColumns; i += kThreads) {
    factors[i] = i % kColumns < c.columns ? factor<T>(c.filter, i % kColumns, 0, i / kColumns) : 0.0F;
  }
  __syncthreads();

  const int lane = threadIdx.x % 8;
  const int64_t count = c.n() * c.height() * c.width();
  const int64_t first = int64_t{blockIdx.x} * kBlockPixels + threadIdx.x / 8 * kPixels;
  int n[kPixels], p[kPixels], q[kPixels];
  const T* pixel[kPixels];
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    const int64_t index = first + i < count ? first + i : count - 1;
    n[i] = static_cast<int>(index / (c.height() * c.width()));
    p[i] = static_cast<int>(index / c.width() % c.height());
    q[i] = static_cast<int>(index % c.width());
    pixel[i] = pixel_of(c.x, n[i], p[i], q[i]);
  }
  float sums[kPixels][kColumns] = {};
  for (int channel = lane * kLength; channel < channels; channel += 8 * kLength) {
    Vector<T, kLength> values[kPixels];
#pragma unroll
    for (int i = 0; i < kPixels; ++i) {
      if constexpr (kAligned) {
        values[i] = load_vector<kLength>(pixel[i] + channel);
      } else {
#pragma unroll
        for (int e = 0; e < kLength; ++e) {
          values[i].values[e] = channel + e < channels ? pixel[i][channel + e] : T(0.0F);
        }
      }
    }
#pragma unroll
    for (int e = 0; e < kLength; ++e) {
      if (!kAligned && channel + e >= channels) break;
      const auto weights = load_vector<kColumns>(factors + (channel + e) * kColumns);
#pragma unroll
      for (int i = 0; i < kPixels; ++i) {
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sums[i][j] += static_cast<float>(values[i].values[e]) * weights.values[j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
#pragma unroll
      for (int apart = 4; apart > 0; apart /= 2) sums[i][j] += __shfl_xor_sync(0xffffffffU, sums[i][j], apart);
    }
    if (lane != i || first + i >= count) continue;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      if (j >= c.columns) break;
      const ColumnTarget<T, O> target(c, j);
      target.store(n[i], p[i], q[i], Vector<O, 1>{O(activate(c.bias(j) + sums[i][j], c.relu))});
    }
  }
}

}  // namespace

template <class X, class T, class O>
void convolve_few_channels(const Context& context, const View<const X>& x, const Convolution<T, O>& c) {
  constexpr int kLength = 16 / static_cast<int>(sizeof(O));
  const int64_t tiles = c.n() * ceil_div(c.height(), kBlockRows) * ceil_div(c.width(), kBlockWidth);
  const int64_t floats =
      x.c * c.taps_h * c.taps_w * kBlockColumns + x.c * (kBlockRows + c.taps_h - 1) * (kBlockWidth + c.taps_w - 1);
  launch(context, has_aligned_results(c, kLength) ? few_channels<kLength, X, T, O> : few_channels<1, X, T, O>,
         {.grid = dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(ceil_div(c.columns, kBlockColumns))),
          .block = dim3(kThreads),
          .shared_bytes = static_cast<size_t>(floats) * sizeof(float)},
         x, c);
}

template <class T, class O>
void convolve_few_columns(const Context& context, const Convolution<T, O>& c) {
  const int64_t blocks = ceil_div(c.n() * c.height() * c.width(), kBlockPixels);
  const auto start = [&](auto kernel, int columns) {
    launch(context, kernel,
           {.grid = dim3(static_cast<unsigned>(blocks)),
            .block = dim3(kThreads),
            .shared_bytes = static_cast<size_t>(c.x.c * columns) * sizeof(float)},
           c);
  };
  const bool aligned = is_aligned(c.x, 16 / static_cast<int64_t>(sizeof(T)));
  if (c.columns <= 2) {
    start(aligned ? few_columns<2, true, T, O> : few_columns<2, false, T, O>, 2);
  } else {
    start(aligned ? few_columns<4, true, T, O> : few_columns<4, false, T, O>, 4);
  }
}

template void convolve_few_channels(const Context&, const View<const float>&, const Convolution<float, float>&);
template void convolve_few_channels(const Context&, const View<const bf16>&, const Convolution<bf16, bf16>&);
template void convolve_few_channels(const Context&, const View<const bf16>&, const Convolution<bf16, float>&);
template void convolve_few_channels(const Context&, const View<const float>&, const Convolution<bf16, bf16>&);
template void convolve_few_columns(const Context&, const Convolution<float, float>&);
template void convolve_few_columns(const Context&, const Convolution<bf16, bf16>&);
template void convolve_few_columns(const Context&, const Convolution<bf16, float>&);

}  // namespace unet::kernels::gpu
