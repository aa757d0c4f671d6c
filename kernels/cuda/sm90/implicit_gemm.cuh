// A convolution as a product of filters and pixels, which are never gathered in memory: TMA loads patches of the image,
// wgmma multiplies.
//
// Note [Slab]  A tile of the result is a patch of `height` x `width` pixels, the width a multiple of 8, times kColumns
// columns. Its sum runs over slabs: one source, kBlock of its channels (128 bytes), one filter column s. TMA brings a
// slab as the (height + R - 1) x width pixels from (p - pad_h, q + s - pad_w) on, zero outside of the image: one pixel
// is one row of 128 bytes. The pixels of tap (r,s) are the slab from its row r of pixels on, a shift by a multiple of
// 8 * 128 bytes that leaves the swizzle in step. So R taps share one slab, and 3x3 filters read a pixel little more
// than three times instead of nine; the other factor is the packed filter of that tap, kColumns rows of 128 bytes.
//
// A block is persistent and has three warpgroups. One thread of the first, the producer, keeps a ring of slabs and a
// ring of filters full. The two others, the consumers, multiply: 64 columns x kN pixels each, sums in registers. A
// block has all of a multiprocessor's shared memory: see Tile.
//
// Traffic from L2 per slab of a 3x3 filter, bf16: 36 KB of pixels and 48 KB of filters for a tile of 256 pixels x 128
// columns, 12.6 MFLOP; 56 KB and 24 KB for 416 x 64, 10.2 MFLOP. Bound: tensor cores, and nearly so L2.
#pragma once

#include "kernels/cuda/sm90/epilogue.cuh"

namespace unet::kernels::gpu::sm90 {

#if UNET_SM90
/// Position in a ring of stages, and the parity of the barriers' phase there.
template <int kStages>
struct Position {
  int stage = 0;
  unsigned parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/// The barriers of a ring of stages: filled by TMA, emptied by each warp of the consumers.
template <int kStages>
struct Ring {
  uint64_t filled[kStages], emptied[kStages];

  __device__ __forceinline__ void init() {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(&filled[i], 1);
      mbarrier_init(&emptied[i], kConsumers * 4);
    }
  }
  /// Producer: waits until the stage may be overwritten, and announces `bytes`. Returns the barrier for TMA.
  __device__ __forceinline__ uint64_t* acquire(const Position<kStages>& at, unsigned bytes) {
    mbarrier_wait(&emptied[at.stage], at.parity ^ 1);
    mbarrier_arrive_expect(&filled[at.stage], bytes);
    return &filled[at.stage];
  }
  /// Consumer: waits for the stage.
  __device__ __forceinline__ void wait(const Position<kStages>& at) { mbarrier_wait(&filled[at.stage], at.parity); }
  /// Consumer: this warp's products have read the stage.
  __device__ __forceinline__ void release(int stage) {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(&emptied[stage]);
  }
};

/// A block's shared memory besides the staging rows.
template <class Tile>
struct Buffers {
  unsigned char* slabs;    // kSlabs * kSlabBytes
  unsigned char* filters;  // kFilters * kFilterBytes
  Ring<Tile::kSlabs>& slab_ring;
  Ring<Tile::kFilters>& filter_ring;
};

/// One thread: loads all that the block's units need, in the order in which consume() wants it.
template <class T, class Tile>
__device__ __forceinline__ void produce(const Maps& maps, const Shape<T>& shape, const Buffers<Tile>& buffers) {
  const unsigned slab_bytes = (shape.height + shape.taps_h - 1) * shape.width * kRowBytes;
  Position<Tile::kSlabs> slab_at;
  Position<Tile::kFilters> filter_at;
  for (int index = static_cast<int>(blockIdx.x); index < shape.units(); index += static_cast<int>(gridDim.x)) {
    const Unit unit(shape, index);
    for (int slab = unit.slab_begin; slab < unit.slab_end; ++slab) {
      const Place source(shape.slab_end, slab);
      const int channel = (slab - source.first) / shape.taps_w * kBlock<T>, s = (slab - source.first) % shape.taps_w;
      tma_load_4d(buffers.slabs + slab_at.stage * Tile::kSlabBytes, &maps.source[source.index],
                  buffers.slab_ring.acquire(slab_at, slab_bytes), channel, unit.q + s - shape.pad_w,
                  unit.p - shape.pad_h, unit.image);
      slab_at.advance();
      for (int r = 0; r < shape.taps_h; ++r) {
        tma_load_2d(buffers.filters + filter_at.stage * Tile::kFilterBytes, &maps.filter,
                    buffers.filter_ring.acquire(filter_at, Tile::kFilterBytes), (slab * shape.taps_h + r) * kBlock<T>,
                    unit.column_tile * Tile::kColumns);
        filter_at.advance();
      }
    }
  }
}

template <class T, int kN>
__device__ __forceinline__ void multiply(float (&sums)[kN / 2], uint64_t a, uint64_t b, bool accumulate) {
  if constexpr (sizeof(T) == 2) {
    wgmma_bf16<kN>(sums, a, b, accumulate);
  } else {
    wgmma_tf32<kN>(sums, a, b, accumulate);
  }
}

/// One warpgroup: multiplies its share of every tile and hands the sums to the epilogue.
template <class T, class Tile>
__device__ __forceinline__ void consume(const Shape<T>& shape, const Buffers<Tile>& buffers, int consumer,
                                        Epilogue<T, Tile>& epilogue) {
  const int column_group = consumer % Tile::kColumnGroups, pixel_group = consumer / Tile::kColumnGroups;
  const uint64_t first_filter = matrix_descriptor(buffers.filters + column_group * 64 * kRowBytes);
  const uint64_t first_pixel = matrix_descriptor(buffers.slabs + pixel_group * Tile::kN * kRowBytes);
  Position<Tile::kSlabs> slab_at;
  Position<Tile::kFilters> filter_at;
  float sums[Tile::kN / 2];
  for (int index = static_cast<int>(blockIdx.x); index < shape.units(); index += static_cast<int>(gridDim.x)) {
    const Unit unit(shape, index);
    epilogue.begin(unit);
    bool accumulate = false;
    int slab_before = -1, filter_before = -1;  // stages that the products in flight read
    for (int slab = unit.slab_begin; slab < unit.slab_end; ++slab) {
      buffers.slab_ring.wait(slab_at);
      for (int r = 0; r < shape.taps_h; ++r) {
        buffers.filter_ring.wait(filter_at);
        const uint64_t filters = first_filter + filter_at.stage * Tile::kFilterBytes / 16;
        const uint64_t pixels = first_pixel + (slab_at.stage * Tile::kSlabBytes + r * shape.width * kRowBytes) / 16;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kRowBytes; k += 32) {
          multiply<T, Tile::kN>(sums, filters + k / 16, pixels + k / 16, accumulate);
          accumulate = true;
        }
        wgmma_commit();
        wgmma_wait<1>();
        if (filter_before >= 0) buffers.filter_ring.release(filter_before);
        if (slab_before >= 0 && r == 0) buffers.slab_ring.release(slab_before);
        filter_before = filter_at.stage;
        filter_at.advance();
      }
      slab_before = slab_at.stage;
      slab_at.advance();
    }
    wgmma_wait<0>();
    keep_in_registers(sums);
    buffers.filter_ring.release(filter_before);
    buffers.slab_ring.release(slab_before);
    epilogue.finish(unit, sums);
  }
  epilogue.end();
}
#endif  // UNET_SM90

template <class T, class Tile>
__global__ void __launch_bounds__(kThreads, 1)
    implicit_gemm(const __grid_constant__ Maps maps, const __grid_constant__ Shape<T> shape) {
#if UNET_SM90
  UNET_SHARED(Ring<Tile::kSlabs>, slab_ring);
  UNET_SHARED(Ring<Tile::kFilters>, filter_ring);
  UNET_SHARED(uint64_t[kConsumers], mask_filled);
  unsigned char* shared = dynamic_shared();
  unsigned char* slabs = shared + (Tile::kAlignment - shared_address(shared) % Tile::kAlignment) % Tile::kAlignment;
  unsigned char* filters = slabs + Tile::kSlabs * Tile::kSlabBytes;
  unsigned char* staging = filters + Tile::kFilters * Tile::kFilterBytes;
  if (threadIdx.x == 0) {
    slab_ring.init();
    filter_ring.init();
    for (int i = 0; i < kConsumers; ++i) mbarrier_init(&mask_filled[i], 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  const Buffers<Tile> buffers{slabs, filters, slab_ring, filter_ring};
  if (threadIdx.x < 128) {
    lower_registers<40>();
    if (threadIdx.x < 32 && elect_one()) produce<T, Tile>(maps, shape, buffers);
  } else {
    raise_registers<232>();
    const int consumer = static_cast<int>(threadIdx.x) / 128 - 1;
    Epilogue<T, Tile> epilogue(maps, shape, consumer, staging + consumer * Tile::kStagingBytes, &mask_filled[consumer]);
    consume<T, Tile>(shape, buffers, consumer, epilogue);
  }
#endif
}

}  // namespace unet::kernels::gpu::sm90
