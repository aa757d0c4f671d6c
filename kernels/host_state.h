// TargetState of targets that compute in host memory, at once.
#pragma once

#include "kernels/target_state.h"

namespace unet::kernels {

class HostState : public TargetState {
 public:
  std::unique_ptr<AddressSpace> reserve(size_t bytes) override;
  DeviceInfo info() const override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  std::shared_ptr<void> allocate_staging(size_t bytes) override;
  void synchronize() override {}
};

}  // namespace unet::kernels
