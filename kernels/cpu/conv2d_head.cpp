#include "kernels/cpu/conv2d_head.h"

#include <algorithm>

#include "kernels/cpu/blocked.h"
#include "kernels/cpu/lanes.h"

namespace unet::kernels::cpu {
namespace {

constexpr int64_t kLanes = kChannelBlock;

// Sum of the lanes: halves are added until four are left.
float sum_of(Float16Lanes v) {
  const auto v8 = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                  __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto v4 = __builtin_shufflevector(v8, v8, 0, 1, 2, 3) + __builtin_shufflevector(v8, v8, 4, 5, 6, 7);
  return (v4[0] + v4[2]) + (v4[1] + v4[3]);
}

// w rounded to T and padded to whole channel blocks: [K][round_up(C, 16)].
template <class T>
class HeadFilter {
 public:
  HeadFilter(const Context& context, const View<const float>& w)
      : padded_(round_up(w.c, kLanes)), data_(*context.workspace, w.n * padded_) {
    for (int64_t k = 0; k < w.n; ++k)
      for (int64_t c = 0; c < padded_; ++c)
        data_[k * padded_ + c] = c < w.c ? static_cast<float>(static_cast<T>(w(k, 0, 0, c))) : 0.0F;
  }
  // Channels [c, c+16) of filter k.
  Float16Lanes operator()(int64_t k, int64_t c) const { return load(&data_[k * padded_ + c], kLanes); }

 private:
  int64_t padded_;
  Scratch<float> data_;
};

template <class T, class Y>
void forward(const Context& context, const Conv2d<T>& o, const View<Y>& y) {
  const BlockedInput<T> input(context, o.x);
  const View<const T>& x = input.view();
  const HeadFilter<T> filter(context, o.w);
#pragma omp parallel for collapse(2) num_threads(context.threads)
  for (int64_t n = 0; n < y.n; ++n) {
    for (int64_t h = 0; h < y.h; ++h) {
      for (int64_t w = 0; w < y.w; ++w) {
        const T* const pixel = &x(n, h, w, 0);
        for (int64_t k = 0; k < y.c; ++k) {
          Float16Lanes products{};
          for (int64_t block = 0; block < x.blocks(); ++block) {
            products += load(pixel + block * x.stride_block, kLanes) * filter(k, block * kLanes);
          }
          const float value = sum_of(products) + (o.b ? o.b(0, 0, 0, k) : 0.0F);
          y(n, h, w, k) = Y(o.relu && value < 0 ? 0.0F : value);
        }
      }
    }
  }
}

template <class T>
bool is_head_shape(const View<const T>& x2, const View<const float>& w) {
  return w.h == 1 && w.w == 1 && w.n < kLanes && !x2;
}

}  // namespace

template <class T>
bool is_head(const Conv2d<T>& o) {
  return is_head_shape(o.x2, o.w) && !o.y.is_blocked() && !o.y_wide.is_blocked();
}

template <class T>
bool is_head(const Conv2dBackward<T>& o) {
  return is_head_shape(o.x2, o.w) && !o.dy.is_blocked() && !o.dy_wide.is_blocked();
}

template <class T>
void execute_head(const Context& context, const Conv2d<T>& o) {
  if (o.y) {
    forward(context, o, o.y);
  } else {
    forward(context, o, o.y_wide);
  }
}

template <class T>
void execute_head(const Context& context, const Conv2dBackward<T>& o) {
  const BlockedInput<T> input(context, o.x);
  const View<const T>& x = input.view();
  std::optional<BlockedOutput<T>> output;
  if (o.dx) output.emplace(context, o.dx);
  const HeadFilter<T> filter(context, o.w);
  const int64_t k_count = o.w.n;
  const int64_t c_count = round_up(x.c, kLanes);
  const int64_t rows = x.n * x.h;
  // Per row of pixels: g[w][k], and the row's parts of dw [k][c] and db [k].
  const Scratch<float> gradients(*context.workspace, rows * x.w * k_count);
  const Scratch<float> dw_rows(*context.workspace, rows * k_count * c_count);
  const Scratch<float> db_rows(*context.workspace, rows * k_count);

#pragma omp parallel for num_threads(context.threads)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / x.h;
    const int64_t h = row % x.h;
    float* const g = &gradients[row * x.w * k_count];
    float* const db = &db_rows[row * k_count];
    std::fill_n(db, k_count, 0.0F);
    for (int64_t w = 0; w < x.w; ++w) {
      for (int64_t k = 0; k < k_count; ++k) {
        const float dy = o.dy ? static_cast<float>(o.dy(n, h, w, k)) : o.dy_wide(n, h, w, k);
        const bool passes = !o.y || static_cast<float>(o.y(n, h, w, k)) > 0;
        db[k] += g[w * k_count + k] = passes ? dy : 0.0F;
      }
    }
    for (int64_t c = 0; c < c_count; c += kLanes) {
      for (int64_t k = 0; k < k_count && o.dw; ++k) {
        Float16Lanes sum{};
        for (int64_t w = 0; w < x.w; ++w) sum += load(&x(n, h, w, c), kLanes) * g[w * k_count + k];
        store(sum, &dw_rows[(row * k_count + k) * c_count + c], kLanes);
      }
      for (int64_t w = 0; w < x.w && output; ++w) {
        Float16Lanes sum{};
        for (int64_t k = 0; k < k_count; ++k) sum += filter(k, c) * g[w * k_count + k];
        store(sum, &output->view()(n, h, w, c), kLanes);
      }
    }
  }

  if (output) output->store();
  for (int64_t k = 0; k < k_count; ++k) {
    if (o.db) {
      double sum = 0;
      for (int64_t row = 0; row < rows; ++row) sum += static_cast<double>(db_rows[row * k_count + k]);
      o.db(0, 0, 0, k) = static_cast<float>(sum);
    }
    for (int64_t c = 0; c < x.c && o.dw; ++c) {
      double sum = 0;
      for (int64_t row = 0; row < rows; ++row) sum += static_cast<double>(dw_rows[(row * k_count + k) * c_count + c]);
      o.dw(k, 0, 0, c) = static_cast<float>(sum);
    }
  }
}

template bool is_head(const Conv2d<float>&);
template bool is_head(const Conv2d<bf16>&);
template bool is_head(const Conv2dBackward<float>&);
template bool is_head(const Conv2dBackward<bf16>&);
template void execute_head(const Context&, const Conv2d<float>&);
template void execute_head(const Context&, const Conv2d<bf16>&);
template void execute_head(const Context&, const Conv2dBackward<float>&);
template void execute_head(const Context&, const Conv2dBackward<bf16>&);

}  // namespace unet::kernels::cpu
