#include "kernels/cuda/mask_gradient.cuh"

#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {
namespace {

constexpr int kThreads = 256;

/// Grid (blocks over the elements of a row, rows of all images). A thread masks kLength neighbouring channels.
/// Traffic: y and dy read, g written, once each. Bound: memory.
template <class T, class G, int kLength>
__global__ __launch_bounds__(kThreads) void mask_row(const View<const T> y, const View<const G> dy, const View<G> g) {
  const int vectors = static_cast<int>(y.c) / kLength;  // of a pixel
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= y.w * vectors) return;
  const int64_t w = i / vectors, c = i % vectors * kLength;
  for (int64_t row = blockIdx.y; row < y.n * y.h; row += gridDim.y) {
    const int64_t n = row / y.h, h = row % y.h;
    const auto at = [&](const auto& view) {
      return view.data + n * view.stride_n + h * view.stride_h + w * view.stride_w + c;
    };
    const auto result = load_vector<kLength>(at(y));
    auto gradient = load_vector<kLength>(at(dy));
#pragma unroll
    for (int e = 0; e < kLength; ++e) {
      if (!(float(result.values[e]) > 0)) gradient.values[e] = G(0.0F);
    }
    store_vector(at(g), gradient);
  }
}

template <class T, class G, int kLength>
void launch_mask(const Context& context, const View<const T>& y, const View<const G>& dy, const View<G>& g) {
  const int64_t blocks = ceil_div(y.w * (y.c / kLength), kThreads), rows = y.n * y.h;
  launch(context, mask_row<T, G, kLength>,
         {.grid = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(rows < 65535 ? rows : 65535)),
          .block = dim3(kThreads)},
         y, dy, g);
}

}  // namespace

template <class T, class G>
void mask_gradient(const Context& context, const View<const T>& y, const View<const G>& dy, const View<G>& g) {
  constexpr int kVector = 16 / sizeof(G);
  if (is_aligned(y, kVector) && is_aligned(dy, kVector) && is_aligned(g, kVector)) {
    launch_mask<T, G, kVector>(context, y, dy, g);
  } else {
    launch_mask<T, G, 1>(context, y, dy, g);
  }
}

template void mask_gradient(const Context&, const View<const float>&, const View<const float>&, const View<float>&);
template void mask_gradient(const Context&, const View<const bf16>&, const View<const bf16>&, const View<bf16>&);
template void mask_gradient(const Context&, const View<const bf16>&, const View<const float>&, const View<float>&);

}  // namespace unet::kernels::gpu
