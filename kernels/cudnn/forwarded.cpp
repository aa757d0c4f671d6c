// What cuDNN is no baseline for: the kernels of the cuda target.
#include "kernels/adam.h"
#include "kernels/add.h"
#include "kernels/cast.h"
#include "kernels/crop_concat.h"
#include "kernels/dropout.h"
#include "kernels/fill.h"
#include "kernels/max_pool2d.h"
#include "kernels/mirror_gather.h"
#include "kernels/reduce.h"
#include "kernels/relu.h"
#include "kernels/sgd.h"
#include "kernels/softmax.h"
#include "kernels/softmax_cross_entropy.h"
#include "kernels/warp.h"

namespace unet::kernels {

#define UNET_FORWARD(Operation)                                         \
  template <class T>                                                    \
  void execute(Cudnn, const Context& context, const Operation<T>& op) { \
    execute(Cuda{}, context, op);                                       \
  }
#define UNET_FORWARD_F32(Operation) \
  UNET_FORWARD(Operation)           \
  template void execute(Cudnn, const Context&, const Operation<float>&);
#define UNET_FORWARD_FLOATS(Operation) \
  UNET_FORWARD_F32(Operation)          \
  template void execute(Cudnn, const Context&, const Operation<bf16>&);

UNET_FORWARD_F32(Adam)
UNET_FORWARD_FLOATS(Add)
UNET_FORWARD_FLOATS(CropConcat)
UNET_FORWARD_FLOATS(CropConcatBackward)
UNET_FORWARD_FLOATS(Dropout)
UNET_FORWARD_FLOATS(Fill)
template void execute(Cudnn, const Context&, const Fill<uint8_t>&);
template void execute(Cudnn, const Context&, const Fill<int32_t>&);
UNET_FORWARD_FLOATS(MaxPool2dBackward)
UNET_FORWARD_FLOATS(MirrorGather)
UNET_FORWARD_FLOATS(Reduce)
UNET_FORWARD_FLOATS(Relu)
UNET_FORWARD_FLOATS(ReluBackward)
UNET_FORWARD_F32(Sgd)
UNET_FORWARD_F32(Softmax)
UNET_FORWARD_F32(SoftmaxCrossEntropy)
UNET_FORWARD_F32(SumOfSquares)
UNET_FORWARD_F32(Warp)
template void execute(Cudnn, const Context&, const Warp<int32_t>&);

template <class From, class To>
void execute(Cudnn, const Context& context, const Cast<From, To>& op) {
  execute(Cuda{}, context, op);
}
#define UNET_INSTANTIATE(From, To) template void execute(Cudnn, const Context&, const Cast<From, To>&);
UNET_FOR_EACH_CAST(UNET_INSTANTIATE)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels
