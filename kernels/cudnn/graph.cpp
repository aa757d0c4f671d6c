#include "kernels/cudnn/graph.h"

#include <array>

namespace unet::kernels::cudnn {
namespace {

using Four = std::array<int64_t, 4>;

// Collects the descriptors of a graph; operations refer to tensors by their place.
class Builder {
 public:
  // Sizes and strides in the order N, C, H, W.
  size_t tensor(int64_t uid, DType type, const Four& sizes, const Four& strides, int64_t alignment,
                bool is_virtual = false) {
    Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(type))
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(sizes))
        .set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides))
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
    if (is_virtual) d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    d.finalize("a tensor");
    return keep(std::move(d));
  }
  size_t image(Operand operand, const Image& image) {
    return tensor(static_cast<int64_t>(operand), image.type, {image.n, image.c, image.h, image.w},
                  {image.stride_n, 1, image.stride_h, image.stride_w}, image.alignment);
  }
  // A value that stays on the chip: shaped as `image`, in f32.
  size_t intermediate(const Image& image) {
    return tensor(next_virtual_++, DType::f32, {image.n, image.c, image.h, image.w},
                  {image.h * image.w * image.c, 1, image.w * image.c, image.c}, 16, true);
  }

  size_t keep(Descriptor&& d) {
    graph_.parts.push_back(std::move(d));
    return graph_.parts.size() - 1;
  }
  const Descriptor& operator[](size_t place) const { return graph_.parts[place]; }
  void operation(Descriptor&& d) {
    d.finalize("an operation");
    operations_.push_back(std::move(d));
  }

  void pointwise(cudnnPointwiseMode_t mode, size_t x, const size_t* b, size_t y) {
    Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    how.finalize("a pointwise function");
    const size_t kept = keep(std::move(how));
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, graph_.parts[kept])
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, graph_.parts[x])
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, graph_.parts[y]);
    if (b != nullptr) d.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, graph_.parts[*b]);
    operation(std::move(d));
  }

  Graph finish(cudnnHandle_t handle) {
    graph_.operations.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations_));
    if (handle != nullptr) graph_.operations.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
    graph_.operations.finalize("an operation graph");
    for (Descriptor& d : operations_) graph_.parts.push_back(std::move(d));
    return std::move(graph_);
  }

 private:
  Graph graph_;
  std::vector<Descriptor> operations_;
  int64_t next_virtual_ = 100;
};

// The attributes of one of the three convolution operations.
struct ConvolutionOperation {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t how, x, w, y, alpha, beta;
};

ConvolutionOperation operation_of(Stage stage) {
  switch (stage) {
    case Stage::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Stage::backward_filter:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    case Stage::forward:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
}

}  // namespace

cudnnDataType_t data_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      throw TypeError(concat("cudnn: expected f32 or bf16, got ", name_of(type)));
  }
}

Graph build_graph(const Problem& p, cudnnHandle_t handle) {
  Builder builder;
  const bool is_followed = p.bias || p.relu;
  const bool into_x = p.stage == Stage::backward_data;
  const Image& result = into_x ? p.x : p.y;
  const size_t w = builder.tensor(static_cast<int64_t>(Operand::w), p.filter_type, {p.y.c, p.x.c, p.r, p.s},
                                  {p.r * p.s * p.x.c, 1, p.s * p.x.c, p.x.c}, 16);
  const size_t x = into_x && is_followed ? builder.intermediate(p.x) : builder.image(Operand::x, p.x);
  const size_t y = !into_x && is_followed ? builder.intermediate(p.y) : builder.image(Operand::y, p.y);

  Descriptor how(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  constexpr std::array<int64_t, 2> zeros{0, 0}, ones{1, 1};
  const std::array<int64_t, 2> strides{p.stride, p.stride};
  how.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const int64_t>(zeros))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const int64_t>(zeros))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const int64_t>(ones))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const int64_t>(strides));
  how.finalize("a convolution");
  const size_t kept = builder.keep(std::move(how));

  const ConvolutionOperation names = operation_of(p.stage);
  Descriptor convolution(names.type);
  convolution.set(names.how, builder[kept])
      .set(names.x, builder[x])
      .set(names.w, builder[w])
      .set(names.y, builder[y])
      .set(names.alpha, 1.0F)
      .set(names.beta, 0.0F);
  builder.operation(std::move(convolution));

  size_t last = into_x ? x : y;
  const Operand output = into_x ? Operand::x : Operand::y;
  if (p.bias) {
    const size_t b = builder.tensor(static_cast<int64_t>(Operand::b), p.bias_type, {1, result.c, 1, 1},
                                    {result.c, 1, result.c, result.c}, 16);
    const size_t sum = p.relu ? builder.intermediate(result) : builder.image(output, result);
    builder.pointwise(CUDNN_POINTWISE_ADD, last, &b, sum);
    last = sum;
  }
  if (p.relu) builder.pointwise(CUDNN_POINTWISE_RELU_FWD, last, nullptr, builder.image(output, result));
  return builder.finish(handle);
}

}  // namespace unet::kernels::cudnn
