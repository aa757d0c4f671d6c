// State of the cuda target: one GPU, one stream.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/context.h"

namespace unet::kernels::cuda {

/// What launchers need besides the operation.
class State : public TargetState {
 public:
  virtual cudaStream_t stream() const = 0;
  virtual const DeviceInfo& device() const = 0;  // info() without asking for free memory
  /// Device memory that kernels lower by atomicMin to report input that cannot be used; see report_bad_pixel.
  virtual unsigned long long* bad_pixel() const = 0;
};

/// A GPU of those that the process sees (CUDA_VISIBLE_DEVICES chooses), made the current one of the calling thread,
/// which is the only one to use the state. Throws ConfigError where there is none that can be used.
std::shared_ptr<TargetState> make_state(int device = 0);

/// The context's state. Throws ConfigError where it is missing or belongs to another target.
State& state_of(const Context& context);

/// Throws DeviceError (OutOfMemory for lack of memory) unless `status` is success: "what: name: text".
void require(cudaError_t status, const char* what);

}  // namespace unet::kernels::cuda
