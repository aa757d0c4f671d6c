# Defects planted into copies of the kernels. mutant(NAME .. FILE <source with the text> UNIT <.cu to compile>
# [WITHIN <text that occurs once>] TEXT <statement with its semicolon, or expression> BY <replacement>
# EXPECT <defects, any of which is reported> TEST <cases of the operation's own tests>)

mutant(NAME "a block's sums overwrite those before" FILE kernels/cuda/reduction.cuh UNIT softmax_cross_entropy.cu
  WITHIN [[__syncthreads();  // whoever]] TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race TEST "softmax_cross_entropy: ignored*")
mutant(NAME "a block's sums are read too early" FILE kernels/cuda/reduction.cuh UNIT softmax_cross_entropy.cu
  WITHIN "= value;\n  __syncthreads();" TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race TEST "softmax_cross_entropy: ignored*")
mutant(NAME "a block has one warp's sum too many" FILE kernels/cuda/reduction.cuh UNIT softmax_cross_entropy.cu
  TEXT [[warp < kReductionWarps]] BY [[warp <= kReductionWarps]]
  EXPECT out_of_bounds_shared TEST "softmax_cross_entropy: ignored*")
mutant(NAME "partial counts are not stored" FILE kernels/cuda/softmax_cross_entropy.cu UNIT softmax_cross_entropy.cu
  TEXT [[if (threadIdx.x == 0) partial[blockIdx.x] = sum;]] BY ""
  EXPECT uninitialised_global TEST "softmax_cross_entropy: ignored*")
mutant(NAME "one partial count too many" FILE kernels/cuda/softmax_cross_entropy.cu UNIT softmax_cross_entropy.cu
  WITHIN "i < count; i += kReductionThreads) {\n    counts.valid" TEXT [[i < count]] BY [[i <= count]]
  EXPECT out_of_bounds_global TEST "softmax_cross_entropy: ignored*")
mutant(NAME "a gradient has one channel too many" FILE kernels/cuda/softmax_cross_entropy.cu
  UNIT softmax_cross_entropy.cu TEXT [[k < softmax.channels]] BY [[k <= softmax.channels]]
  EXPECT out_of_bounds_global|global_race TEST "softmax_cross_entropy: ignored*")

mutant(NAME "an element-wise thread too many" FILE kernels/cuda/elementwise.cuh UNIT max_pool2d.cu
  WITHIN [[i < count; i += step) body(i)]] TEXT [[i < count]] BY [[i <= count]]
  EXPECT out_of_bounds_global|global_race TEST "max_pool2d: pools and spreads*")
mutant(NAME "vectors without alignment" FILE kernels/cuda/vector.cuh UNIT max_pool2d.cu
  TEXT [[reinterpret_cast<uintptr_t>(v.data) % bytes == 0]] BY [[true]]
  EXPECT misaligned TEST "max_pool2d: pools and spreads*")
mutant(NAME "a window hangs over the edge" FILE kernels/cuda/max_pool2d.cu UNIT max_pool2d.cu
  WITHIN [[if (dx.has(row, column))]] TEXT [[dx.has(row, column)]] BY [[true]]
  EXPECT out_of_bounds_global|global_race TEST "max_pool2d: pools and spreads*")
mutant(NAME "gradients from outside of the image" FILE kernels/cuda/max_pool2d.cu UNIT max_pool2d.cu
  TEXT [[dy.has(i, j)]] BY [[true]]
  EXPECT out_of_bounds_global TEST "max_pool2d: pools and spreads*")

mutant(NAME "a slice is multiplied before its copies end" FILE kernels/cuda/implicit_gemm.cuh UNIT implicit_gemm.cu
  TEXT [[cp_async_wait<kStages - 2>();]] BY [[cp_async_wait<kStages - 1>();]]
  EXPECT unfinished_copy TEST "conv2d: integer data*")
mutant(NAME "a slice is multiplied before others' copies are seen" FILE kernels/cuda/implicit_gemm.cuh
  UNIT implicit_gemm.cu WITHIN [[__syncthreads();  // the slice]] TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race|unfinished_copy TEST "conv2d: integer data*")
mutant(NAME "a finished tile overwrites slices in use" FILE kernels/cuda/implicit_gemm.cuh UNIT implicit_gemm.cu
  WITHIN "cp_async_wait<0>();\n  __syncthreads();" TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race TEST "conv2d: integer data*")
mutant(NAME "a finished tile is stored before it is finished" FILE kernels/cuda/implicit_gemm.cuh UNIT implicit_gemm.cu
  WITHIN "__syncthreads();\n  const auto store" TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race TEST "conv2d: integer data*")
mutant(NAME "pixels are used before they are located" FILE kernels/cuda/implicit_gemm.cuh UNIT implicit_gemm.cu
  WITHIN "__syncthreads();\n\n  Gather" TEXT [[__syncthreads();]] BY ""
  EXPECT shared_race|uninitialised_shared TEST "conv2d: integer data*")
mutant(NAME "a tile has columns too many" FILE kernels/cuda/implicit_gemm_epilogue.cuh UNIT implicit_gemm.cu
  WITHIN "if (column + j >= c.columns) return;\n  ColumnTarget" TEXT [[column + j >= c.columns]] BY [[false]]
  EXPECT out_of_bounds_global|global_race TEST "conv2d: integer data*")

set(sm90 "conv2d of capability 9.0: bf16 results*")
mutant(NAME "barriers are not shown to TMA" FILE kernels/cuda/sm90/implicit_gemm.cuh UNIT sm90/convolution.cu
  TEXT [[mbarrier_init_fence();]] BY "" EXPECT mbarrier_unfenced TEST "${sm90}")
mutant(NAME "the producer waits for nobody" FILE kernels/cuda/sm90/implicit_gemm.cuh UNIT sm90/convolution.cu
  TEXT [[at.parity ^ 1]] BY [[at.parity]] EXPECT deadlock TEST "${sm90}")
mutant(NAME "registers are used without a fence" FILE kernels/cuda/sm90/implicit_gemm.cuh UNIT sm90/convolution.cu
  TEXT [[wgmma_fence();]] BY "" EXPECT missing_wgmma_fence TEST "${sm90}")
mutant(NAME "a stage is freed while it is read" FILE kernels/cuda/sm90/implicit_gemm.cuh UNIT sm90/convolution.cu
  TEXT [[wgmma_wait<1>();]] BY [[wgmma_wait<2>();]] EXPECT operand_in_use TEST "${sm90}")
mutant(NAME "sums are used before they are finished" FILE kernels/cuda/sm90/implicit_gemm.cuh UNIT sm90/convolution.cu
  TEXT [[wgmma_wait<0>();]] BY "" EXPECT accumulator_in_use TEST "${sm90}")
mutant(NAME "results are not shown to TMA" FILE kernels/cuda/sm90/epilogue.cuh UNIT sm90/convolution.cu
  TEXT [[fence_proxy_async();]] BY "" EXPECT missing_proxy_fence TEST "${sm90}")
mutant(NAME "results overwrite those that TMA reads" FILE kernels/cuda/sm90/epilogue.cuh UNIT sm90/convolution.cu
  TEXT [[tma_store_wait_read<0>();]] BY "" EXPECT unfinished_copy TEST "${sm90}")
mutant(NAME "a block ends before its stores" FILE kernels/cuda/sm90/epilogue.cuh UNIT sm90/convolution.cu
  WITHIN [[if (is_leader_) tma_store_wait<0>();]] TEXT [[tma_store_wait<0>();]] BY ""
  EXPECT unfinished_at_exit TEST "${sm90}")
