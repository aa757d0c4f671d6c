#include "kernels/cpu/target.h"

namespace unet::kernels {

std::shared_ptr<TargetState> make_target_state(Target target) {
  return target == Target::cpu ? cpu::make_state() : nullptr;
}

}  // namespace unet::kernels
