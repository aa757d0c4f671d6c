// The operation graphs that stand for one pass of a convolution layer.
#pragma once

#include <compare>

#include "kernels/cudnn/descriptor.h"
#include "kernels/view.h"

namespace unet::kernels::cudnn {

enum class Stage : uint8_t {
  forward,         // y = act(conv(x, w) + b)
  backward_data,   // x = act(conv^T(y, w) + b): the gradient of x, or an up-convolution
  backward_filter  // w = the gradient for images x and gradients y
};

/// A channels-last image as cuDNN is told of it.
struct Image {
  DType type = DType::f32;
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t stride_n = 0, stride_h = 0, stride_w = 0;
  int64_t alignment = 0;  // bytes

  template <class T>
  explicit Image(const View<T>& v);
  Image() = default;
  auto operator<=>(const Image&) const = default;
};

/// All that a plan depends on. Filters are dense [C_y, r, s, C_x] with x's channels innermost.
struct Problem {
  Stage stage = Stage::forward;
  Image x, y;  // input and output of the convolution, whichever of them the stage computes
  int64_t r = 0, s = 0, stride = 1;
  DType filter_type = DType::f32;
  bool bias = false, relu = false;  // follow the convolution; not in backward_filter
  DType bias_type = DType::f32;
  bool tf32 = false;  // f32 products may be made by tensor cores

  auto operator<=>(const Problem&) const = default;
};

/// Names of the operands in a plan's execution.
enum class Operand : int64_t { x = 1, y, w, b };

/// The finished operation graph, and the descriptors it refers to.
struct Graph {
  std::vector<Descriptor> parts;
  Descriptor operations{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};
};

/// `handle` may be null: the graph then serves plans for a described device (see Planner). Throws DeviceError.
Graph build_graph(const Problem& problem, cudnnHandle_t handle);

cudnnDataType_t data_type(DType type);

template <class T>
Image::Image(const View<T>& v)
    : type(DTypeOf<std::remove_const_t<T>>::value),
      n(v.n),
      h(v.h),
      w(v.w),
      c(v.c),
      stride_n(v.stride_n),
      stride_h(v.stride_h),
      stride_w(v.stride_w) {
  const auto address = reinterpret_cast<uintptr_t>(v.data);
  for (alignment = 16; address % static_cast<uintptr_t>(alignment) != 0;) alignment /= 2;
}

}  // namespace unet::kernels::cudnn
