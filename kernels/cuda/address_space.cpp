#include "kernels/cuda/address_space.h"

#include <cuda.h>
#include <cudaTypedefs.h>

#include <algorithm>
#include <vector>

namespace unet::kernels::cuda {
namespace {

constexpr size_t kGranularity = size_t{32} << 20;  // a multiple of the driver's 2 MiB; one mapping each

/// The driver's functions for virtual memory, asked for at run time: nothing links the driver.
struct Driver {
  PFN_cuMemAddressReserve_v10020 address_reserve = nullptr;
  PFN_cuMemAddressFree_v10020 address_free = nullptr;
  PFN_cuMemCreate_v10020 create = nullptr;
  PFN_cuMemRelease_v10020 release = nullptr;
  PFN_cuMemMap_v10020 map = nullptr;
  PFN_cuMemUnmap_v10020 unmap = nullptr;
  PFN_cuMemSetAccess_v10020 set_access = nullptr;
  PFN_cuDeviceGetAttribute_v2000 get_attribute = nullptr;

  Driver() {
    find("cuMemAddressReserve", address_reserve);
    find("cuMemAddressFree", address_free);
    find("cuMemCreate", create);
    find("cuMemRelease", release);
    find("cuMemMap", map);
    find("cuMemUnmap", unmap);
    find("cuMemSetAccess", set_access);
    find("cuDeviceGetAttribute", get_attribute);
  }
  bool is_complete() const {
    return address_reserve && address_free && create && release && map && unmap && set_access && get_attribute;
  }

 private:
  template <class Function>
  static void find(const char* name, Function& function) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    const cudaError_t status = cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
#else
    const cudaError_t status = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
    if (status == cudaSuccess && result == cudaDriverEntryPointSuccess) function = reinterpret_cast<Function>(found);
  }
};

/// While it lives, this thread may map memory even though a stream is being captured: mapping is no work of a stream.
class RelaxedCapture {
 public:
  RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// Backed from the base on, as the arena does it.
class MappedSpace final : public AddressSpace {
 public:
  /// Null where this device or driver cannot map memory.
  static std::unique_ptr<AddressSpace> make(size_t bytes, int device, cudaStream_t stream) {
    const Driver driver;
    int supported = 0;
    if (!driver.is_complete() ||
        driver.get_attribute(&supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device) !=
            CUDA_SUCCESS ||
        supported == 0) {
      return nullptr;
    }
    CUdeviceptr base = 0;
    if (driver.address_reserve(&base, bytes, 0, 0, 0) != CUDA_SUCCESS) return nullptr;
    return std::unique_ptr<AddressSpace>(new MappedSpace(driver, base, bytes, device, stream));
  }
  ~MappedSpace() override {
    cudaStreamSynchronize(stream_);
    unmap_from(0);
    driver_.address_free(base_, size_);
  }
  MappedSpace(const MappedSpace&) = delete;
  MappedSpace& operator=(const MappedSpace&) = delete;

  char* base() const override { return reinterpret_cast<char*>(base_); }  // NOLINT: an address is an integer here
  size_t size() const override { return size_; }
  size_t granularity() const override { return kGranularity; }

  bool commit(size_t from, size_t to) noexcept override {
    if (to > size_ || from != mapped_ * kGranularity) return false;
    const RelaxedCapture relaxed;
    CUmemAllocationProp properties{};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = location();
    const CUmemAccessDesc access{.location = location(), .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    bool is_backed = true;
    for (size_t at = from; at < to && is_backed; at += kGranularity) {
      CUmemGenericAllocationHandle memory = 0;
      is_backed = driver_.create(&memory, kGranularity, &properties, 0) == CUDA_SUCCESS;
      if (!is_backed) break;
      is_backed = driver_.map(base_ + at, kGranularity, 0, memory, 0) == CUDA_SUCCESS;
      driver_.release(memory);  // a mapping keeps its memory
      if (is_backed) ++mapped_;
    }
    is_backed = is_backed && driver_.set_access(base_ + from, to - from, &access, 1) == CUDA_SUCCESS;
    if (!is_backed) unmap_from(from / kGranularity);
    return is_backed;
  }
  void decommit(size_t from, size_t /*to*/) noexcept override {
    cudaStreamSynchronize(stream_);  // earlier work may still use it
    unmap_from(from / kGranularity);
  }

 private:
  MappedSpace(const Driver& driver, CUdeviceptr base, size_t bytes, int device, cudaStream_t stream)
      : driver_(driver), base_(base), size_(bytes), device_(device), stream_(stream) {}

  CUmemLocation location() const {
    CUmemLocation location{};
    location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    location.id = device_;
    return location;
  }
  void unmap_from(size_t first) noexcept {
    while (mapped_ > first) driver_.unmap(base_ + --mapped_ * kGranularity, kGranularity);
  }

  Driver driver_;
  CUdeviceptr base_;
  size_t size_;
  int device_;
  cudaStream_t stream_;
  size_t mapped_ = 0;  // granules that are backed, from the base
};

/// All that is free, less a reserve, at once.
class WholeSpace final : public AddressSpace {
 public:
  explicit WholeSpace(size_t bytes) : size_(bytes / kGranularity * kGranularity) {
    void* block = nullptr;
    require(cudaMalloc(&block, size_), "memory");
    base_ = static_cast<char*>(block);
  }
  ~WholeSpace() override { cudaFree(base_); }
  WholeSpace(const WholeSpace&) = delete;
  WholeSpace& operator=(const WholeSpace&) = delete;

  char* base() const override { return base_; }
  size_t size() const override { return size_; }
  size_t granularity() const override { return kGranularity; }
  bool commit(size_t, size_t to) noexcept override { return to <= size_; }
  void decommit(size_t, size_t) noexcept override {}

 private:
  char* base_ = nullptr;
  size_t size_;
};

}  // namespace

std::unique_ptr<AddressSpace> reserve(size_t bytes, cudaStream_t stream) {
  int device = 0;
  size_t free_bytes = 0, total_bytes = 0;
  require(cudaGetDevice(&device), "the current device");
  require(cudaMemGetInfo(&free_bytes, &total_bytes), "its memory");
  const auto granules = [](size_t size) {
    return static_cast<size_t>(round_up(static_cast<int64_t>(size), kGranularity));
  };
  bytes = granules(bytes);
  if (auto mapped = MappedSpace::make(std::min(bytes, granules(total_bytes)), device, stream)) return mapped;
  return std::make_unique<WholeSpace>(std::min(bytes, free_bytes / 10 * 9));
}

}  // namespace unet::kernels::cuda
