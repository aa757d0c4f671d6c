// Device memory behind a range of addresses: mapped bit by bit where the driver can, else one block.
#pragma once

#include <memory>

#include "kernels/cuda/state.h"

namespace unet::kernels::cuda {

/// Address space of the current device for as much memory as it has, at most `bytes`. Work given to `stream` may use
/// it until it is destroyed. Throws OutOfMemory.
std::unique_ptr<AddressSpace> reserve(size_t bytes, cudaStream_t stream);

}  // namespace unet::kernels::cuda
