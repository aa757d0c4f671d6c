#include "kernels/cpu/target.h"
#include "kernels/context.h"
#include "kernels/host_state.h"
#if UNET_WITH_CUDA
#include "kernels/cuda/state.h"
#endif
#if UNET_WITH_CUDNN
#include "kernels/cudnn/state.h"
#endif
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

namespace unet::kernels {

std::shared_ptr<TargetState> make_target_state(Target target, [[maybe_unused]] int device) {
  switch (target) {
    case Target::reference:
      return std::make_shared<HostState>();
    case Target::cpu:
      return cpu::make_state();
    case Target::cuda:
#if UNET_WITH_CUDA
      return cuda::make_state(device);
#else
      break;
#endif
    case Target::cudnn:
#if UNET_WITH_CUDNN
      return cudnn::make_state(device);
#else
      break;
#endif
    case Target::emulated:
#if UNET_WITH_EMULATED
      return emulated::make_state();
#else
      break;
#endif
  }
  const char* advice = "; build where nvcc (CUDA 12.4 or newer) is found";
  if (target == Target::emulated) advice = "; configure with -DUNET_EMULATED=ON";
  if (target == Target::cudnn) advice = "; configure with -DUNET_CUDA=ON -DUNET_CUDNN=ON where cuDNN 9 is found";
  throw ConfigError(concat("device: this build has no target ", name_of(target), advice));
}

}  // namespace unet::kernels
