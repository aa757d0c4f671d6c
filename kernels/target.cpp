#include "kernels/cpu/target.h"
#include "kernels/context.h"
#include "kernels/host_state.h"
#if UNET_WITH_CUDA
#include "kernels/cuda/state.h"
#endif
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

namespace unet::kernels {

std::shared_ptr<TargetState> make_target_state(Target target) {
  switch (target) {
    case Target::reference:
      return std::make_shared<HostState>();
    case Target::cpu:
      return cpu::make_state();
    case Target::cuda:
    case Target::cudnn:
#if UNET_WITH_CUDA
      return cuda::make_state();
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
  throw ConfigError(concat("device: this build has no target ", name_of(target),
                           target == Target::emulated ? "; configure with -DUNET_EMULATED=ON"
                                                      : "; build where nvcc (CUDA 12.4 or newer) is found"));
}

}  // namespace unet::kernels
