// Max pooling by cuDNN where no gradient is needed; the codes of the maxima are the cuda target's.
#include "kernels/max_pool2d.h"

#include "kernels/cudnn/operands.h"

namespace unet::kernels {
namespace cudnn {
namespace {

// The descriptors of the older interface, each with its own pair of functions.
template <class D, cudnnStatus_t (*kCreate)(D*), cudnnStatus_t (*kDestroy)(D)>
class OldDescriptor {
 public:
  OldDescriptor() { require(kCreate(&raw_), "creating a descriptor"); }
  ~OldDescriptor() { kDestroy(raw_); }
  OldDescriptor(const OldDescriptor&) = delete;
  OldDescriptor& operator=(const OldDescriptor&) = delete;
  D raw() const { return raw_; }

 private:
  D raw_ = nullptr;
};
using TensorDescriptor =
    OldDescriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using PoolingDescriptor =
    OldDescriptor<cudnnPoolingDescriptor_t, cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor>;

template <class T>
void describe(const TensorDescriptor& descriptor, const View<T>& v) {
  const auto narrow = [](int64_t value) {
    if (value > INT32_MAX) throw ShapeError(concat("max_pool2d: cudnn: expected sizes below 2^31, got ", value));
    return static_cast<int>(value);
  };
  require(cudnnSetTensor4dDescriptorEx(descriptor.raw(), data_type(DTypeOf<std::remove_const_t<T>>::value), narrow(v.n),
                                       narrow(v.c), narrow(v.h), narrow(v.w), narrow(v.stride_n), 1, narrow(v.stride_h),
                                       narrow(v.stride_w)),
          "an image");
}

}  // namespace
}  // namespace cudnn

template <class T>
void execute(Cudnn, const Context& context, const MaxPool2d<T>& op) {
  using namespace cudnn;
  if (op.code) return execute(Cuda{}, context, op);
  require_nhwc(op.kName, "x", op.x);
  require_nhwc(op.kName, "y", op.y);
  const PoolingDescriptor pooling;
  require(cudnnSetPooling2dDescriptor(pooling.raw(), CUDNN_POOLING_MAX_DETERMINISTIC, CUDNN_PROPAGATE_NAN, 2, 2, 0, 0,
                                      2, 2),
          "a pooling");
  const TensorDescriptor x, y;
  describe(x, op.x);
  describe(y, op.y);
  const float one = 1, zero = 0;
  require(cudnnPoolingForward(state_of(context).cudnn(), pooling.raw(), &one, x.raw(), op.x.data, &zero, y.raw(),
                              op.y.data),
          "max pooling");
}

template void execute(Cudnn, const Context&, const MaxPool2d<float>&);
template void execute(Cudnn, const Context&, const MaxPool2d<bf16>&);

}  // namespace unet::kernels
