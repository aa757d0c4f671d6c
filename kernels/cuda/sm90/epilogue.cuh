// From a consumer's finished sums to results: bias, ReLU, mask, pooling.
#pragma once

#include <bit>

#include "kernels/cuda/implicit_gemm_epilogue.cuh"
#include "kernels/cuda/sm90/shape.cuh"
#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu::sm90 {

/// Stores two values, aligned as one.
template <class T>
__device__ __forceinline__ void store_pair(void* to, float low, float high) {
  if constexpr (sizeof(T) == 2) {
    *static_cast<uint32_t*>(to) = pack_bf16(low, high);
  } else {
    *static_cast<float2*>(to) = make_float2(low, high);
  }
}

#if UNET_SM90
/// The results of one consumer, whose 128 threads all call each function: kN pixels of the patch and 64 columns. They
/// go through `staging` in shared memory, kBlock columns at a time, one pixel a row in the swizzle that TMA undoes; TMA
/// leaves out what lies outside of image and range.
template <class T, class Tile>
class Epilogue {
 public:
  using Sums = float[Tile::kN / 2];

  /// `mask_filled`: a barrier of one arrival, of this consumer alone.
  __device__ __forceinline__ Epilogue(const Maps& maps, const Shape<T>& shape, int consumer, unsigned char* staging,
                                      uint64_t* mask_filled)
      : maps_(maps),
        shape_(shape),
        consumer_(consumer),
        staging_(staging),
        mask_filled_(mask_filled),
        is_leader_(threadIdx.x % 128 == 0) {}

  /// Before the sums are finished: starts loading the mask.
  __device__ __forceinline__ void begin(const Unit& unit) {
    if (shape_.splits == 1 && has_mask(first_block(unit))) prepare(unit, 0);
  }

  __device__ __forceinline__ void finish(const Unit& unit, const Sums& sums) {
    if (shape_.splits > 1) {
      store_partial(unit, sums);
      return;
    }
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int block = first_block(unit) + chunk;
      if (block >= shape_.blocks()) continue;
      const Place range(shape_.block_end, block);
      const int channel = (block - range.first) * kBlock<T>;
      if (chunk > 0 || !has_mask(block)) prepare(unit, chunk);
      if (has_mask(block)) {
        mbarrier_wait(mask_filled_, mask_parity_);
        mask_parity_ ^= 1;
      } else {
        named_barrier(1 + consumer_, 128);
      }
      stage(chunk, range.index, channel, sums);
      fence_proxy_async();
      named_barrier(1 + consumer_, 128);
      if (is_leader_ && shape_.is_stored) {
        tma_store_4d(&maps_.range[range.index], staging_, channel, unit.q, first_p(unit), unit.image);
        tma_store_commit();
      }
      if (shape_.pooled) pool(unit, channel);
    }
  }

  /// After the last unit.
  __device__ __forceinline__ void end() {
    if (is_leader_) tma_store_wait<0>();
  }

 private:
  static constexpr int kChunks = 64 / kBlock<T>;

  __device__ __forceinline__ int first_p(const Unit& unit) const {
    return unit.p + consumer_ / Tile::kColumnGroups * (Tile::kN / shape_.width);
  }
  /// The block of the consumer's first column.
  __device__ __forceinline__ int first_block(const Unit& unit) const {
    return (unit.column_tile * Tile::kColumnGroups + consumer_ % Tile::kColumnGroups) * kChunks;
  }
  __device__ __forceinline__ bool has_mask(int block) const {
    return block < shape_.blocks() && shape_.is_masked[Place(shape_.block_end, block).index];
  }
  /// sums[4*j + 2*half + i] belongs to the consumer's column column(half) and pixel 8*j + pixel() + i.
  __device__ __forceinline__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ __forceinline__ static int warp() { return static_cast<int>(threadIdx.x) % 128 / 32; }
  __device__ __forceinline__ static int column(int half) { return warp() * 16 + half * 8 + lane() / 4; }
  __device__ __forceinline__ static int pixel() { return lane() % 4 * 2; }
  __device__ __forceinline__ static int swizzled(int row, int byte) { return row * kRowBytes + (byte ^ row % 8 * 16); }

  /// Waits until the staging rows may be overwritten, and starts loading the mask there.
  __device__ __forceinline__ void prepare(const Unit& unit, int chunk) {
    if (!is_leader_) return;
    tma_store_wait_read<0>();
    const int block = first_block(unit) + chunk;
    if (!has_mask(block)) return;
    const Place range(shape_.block_end, block);
    mbarrier_arrive_expect(mask_filled_, Tile::kStagingBytes);
    tma_load_4d(staging_, &maps_.mask[range.index], mask_filled_, (block - range.first) * kBlock<T>, unit.q,
                first_p(unit), unit.image);
  }

  __device__ __forceinline__ float bias_of(int range, int channel) const {
    return shape_.bias[range] != nullptr && channel < shape_.channels[range] ? shape_.bias[range][channel] : 0;
  }
  __device__ __forceinline__ static float masked(float value, T mask) {
    return static_cast<float>(mask) > 0 ? value : 0;
  }

  /// Writes kBlock columns of results, of which `channel` of the range is the first, to the staging rows, over the mask
  /// where there is one. Matrices of 8 columns x 8 pixels are turned on their way.
  __device__ __forceinline__ void stage(int chunk, int range, int channel, const Sums& sums) {
    if (column(0) / kBlock<T> != chunk) return;
    const int first = channel - chunk * kBlock<T>;  // channel of column 0
    const float bias[2] = {bias_of(range, first + column(0)), bias_of(range, first + column(1))};
    // Eight pixels on, the swizzle is the same: one address and constant offsets.
    if constexpr (sizeof(T) == 2) {
      unsigned char* row = staging_ + swizzled(lane() / 16 * 8 + lane() % 8, (warp() * 2 + lane() / 8 % 2) * 16);
#pragma unroll
      for (int j = 0; j < Tile::kN / 8; j += 2) {
        uint32_t mask[4], results[4];
        if (shape_.is_masked[range]) ldmatrix_x4_trans(mask, row + j * 8 * kRowBytes);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const int half = k % 2, i = 4 * (j + k / 2) + 2 * half;
          float low = activate(sums[i] + bias[half], shape_.relu);
          float high = activate(sums[i + 1] + bias[half], shape_.relu);
          if (shape_.is_masked[range]) {
            const auto pair = std::bit_cast<Vector<T, 2>>(mask[k]);
            low = masked(low, pair.values[0]), high = masked(high, pair.values[1]);
          }
          results[k] = pack_bf16(low, high);
        }
        stmatrix_x4_trans(row + j * 8 * kRowBytes, results);
      }
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int half = k / 2, c = column(half) - chunk * kBlock<T>;
        unsigned char* row = staging_ + swizzled(pixel() + k % 2, c * static_cast<int>(sizeof(T)));
#pragma unroll
        for (int j = 0; j < Tile::kN / 8; ++j) {
          T* to = reinterpret_cast<T*>(row + j * 8 * kRowBytes);
          const float result = activate(sums[4 * j + k] + bias[half], shape_.relu);
          *to = shape_.is_masked[range] ? masked(result, *to) : result;
        }
      }
    }
  }

  /// Stores the 2x2 maxima of the staging rows: a thread 16 bytes of one window at a time.
  __device__ __forceinline__ void pool(const Unit& unit, int channel) {
    constexpr int kLength = 16 / static_cast<int>(sizeof(T)), kAcross = kBlock<T> / kLength;
    const int windows_w = shape_.width / 2;
    for (int i = static_cast<int>(threadIdx.x) % 128; i < Tile::kN / 4 * kAcross; i += 128) {
      const int window = i / kAcross, j = i % kAcross;
      const int p = first_p(unit) / 2 + window / windows_w, q = unit.q / 2 + window % windows_w;
      const int c = channel + j * kLength;
      if (p >= shape_.result_h / 2 || q >= shape_.result_w / 2 || c >= shape_.channels[0]) continue;
      const int row = window / windows_w * 2 * shape_.width + window % windows_w * 2;
      const auto load = [&](int k) {
        const int at = swizzled(row + k / 2 * shape_.width + k % 2, j * 16);
        return load_vector<kLength>(reinterpret_cast<const T*>(staging_ + at));
      };
      auto best = load(0);
      Vector<uint8_t, kLength> code{};
#pragma unroll
      for (int k = 1; k < 4; ++k) {
        const auto other = load(k);
#pragma unroll
        for (int e = 0; e < kLength; ++e) {
          const auto value = static_cast<float>(other.values[e]), largest = static_cast<float>(best.values[e]);
          if (value > largest || (value != value && largest == largest)) {
            best.values[e] = other.values[e];
            code.values[e] = static_cast<uint8_t>(k);
          }
        }
      }
      store_vector(pixel_of(shape_.pooled, unit.image, p, q) + c, best);
      if (shape_.pool_code) store_vector(pixel_of(shape_.pool_code, unit.image, p, q) + c, code);
    }
  }

  /// Stores sums over a part of the slabs: see add_partial.
  __device__ __forceinline__ void store_partial(const Unit& unit, const Sums& sums) const {
    const int columns = shape_.blocks() * kBlock<T>, first = first_block(unit) * kBlock<T>;
    const int64_t image = int64_t{unit.split} * shape_.images + unit.image;
    int p = first_p(unit), q = unit.q;  // of eight pixels beside each other
#pragma unroll
    for (int j = 0; j < Tile::kN / 8; ++j) {
      float* row = shape_.partial + ((image * shape_.result_h + p) * shape_.result_w + q + pixel()) * columns + first;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int half = k / 2, c = column(half);
        if (p < shape_.result_h && q + pixel() + k % 2 < shape_.result_w && first + c < columns) {
          row[k % 2 * columns + c] = sums[4 * j + k];
        }
      }
      q += 8;
      if (q == unit.q + shape_.width) {
        q = unit.q;
        ++p;
      }
    }
  }

  const Maps& maps_;
  const Shape<T>& shape_;
  int consumer_;
  unsigned char* staging_;
  uint64_t* mask_filled_;
  unsigned mask_parity_ = 0;
  bool is_leader_;
};
#endif  // UNET_SM90

}  // namespace unet::kernels::gpu::sm90
