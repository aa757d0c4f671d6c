// What this GPU can do at most, measured by kernels that do nothing else.
#pragma once

#include "kernels/context.h"

namespace unet::benchmarks {

/// Zero: the GPU has no such thing.
struct Ceilings {
  double copy_tbps = 0;    // read and written bytes of a copy from memory to memory, 1e12/s
  double l2_tbps = 0;      // bytes read again and again from a buffer that the L2 cache holds, 1e12/s
  double ffma_tflops = 0;  // f32 multiply-adds, each two operations
  double bf16_tflops = 0;  // tensor cores, bf16 factors and f32 sums: the better of mma.sync and wgmma
  double tf32_tflops = 0;  // the same with tf32 factors
  double mma_bf16_tflops = 0, mma_tf32_tflops = 0;  // mma.sync alone
};

/// Takes 1 GiB of the context's memory and about a second. Best of ten runs each.
Ceilings measure_ceilings(const kernels::Context& context);

}  // namespace unet::benchmarks
