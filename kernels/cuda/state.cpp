#include "kernels/cuda/state.h"

#include <limits>

#include "kernels/cuda/address_space.h"

namespace unet::kernels::cuda {
namespace {

constexpr int kLowestCapability = 80;
constexpr unsigned long long kNoBadPixel = std::numeric_limits<unsigned long long>::max();

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

/// Throws ConfigError that says why no GPU can be used and what to do.
[[noreturn]] void refuse_device(cudaError_t status) {
  (void)cudaGetLastError();
  switch (status) {
    case cudaErrorInsufficientDriver: {
      int driver = 0;
      cudaDriverGetVersion(&driver);
      if (driver == 0) throw ConfigError("device: no NVIDIA driver is installed; install one, or use --device cpu");
      throw ConfigError(concat("device: the NVIDIA driver is for CUDA ", version_text(driver), ", this build needs ",
                               version_text(CUDART_VERSION), "; update the driver, or use --device cpu"));
    }
    case cudaErrorNoDevice:
      throw ConfigError(
          "device: no NVIDIA GPU found; see what nvidia-smi lists and CUDA_VISIBLE_DEVICES allows, or use --device "
          "cpu");
    default:
      throw ConfigError(concat("device: the GPU cannot be used: ", cudaGetErrorName(status), ": ",
                               cudaGetErrorString(status), "; see nvidia-smi, or use --device cpu"));
  }
}

void require_usable(cudaError_t status) {
  if (status != cudaSuccess) refuse_device(status);
}

/// The GPU of this number, made the current one. Throws ConfigError where it cannot be used.
cudaDeviceProp open_device(int device) {
  int count = 0;
  require_usable(cudaGetDeviceCount(&count));
  if (device < 0 || device >= count) {
    throw ConfigError(concat("device: expected a GPU from cuda:0 to cuda:", count - 1, ", got cuda:", device));
  }
  cudaDeviceProp properties{};
  require_usable(cudaGetDeviceProperties(&properties, device));
  if (10 * properties.major + properties.minor < kLowestCapability) {
    throw ConfigError(concat("device: expected a GPU of compute capability 8.0 (Ampere) or newer, got ",
                             properties.name, " with ", properties.major, ".", properties.minor, "; use --device cpu"));
  }
  require_usable(cudaSetDevice(device));
  require_usable(cudaFree(nullptr));  // makes the context: a GPU that is taken or broken shows here
  return properties;
}

class Stream {
 public:
  Stream() { require(cudaStreamCreateWithFlags(&raw_, cudaStreamNonBlocking), "a stream"); }
  ~Stream() { cudaStreamDestroy(raw_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t raw() const { return raw_; }

 private:
  cudaStream_t raw_ = nullptr;
};

class Event {
 public:
  Event() { require(cudaEventCreateWithFlags(&raw_, cudaEventDisableTiming), "an event"); }
  ~Event() { cudaEventDestroy(raw_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t raw() const { return raw_; }

 private:
  cudaEvent_t raw_ = nullptr;
};

class Graph final : public CapturedGraph {
 public:
  /// Takes `recorded` over; launches go to `stream`.
  Graph(cudaGraph_t recorded, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&raw_, recorded, 0);
    cudaGraphDestroy(recorded);
    require(status, "instantiating a captured graph");
  }
  ~Graph() override {
    cudaStreamSynchronize(stream_);  // launches may be under way
    cudaGraphExecDestroy(raw_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() const { require(cudaGraphLaunch(raw_, stream_), "launching a captured graph"); }

 private:
  cudaGraphExec_t raw_ = nullptr;
  cudaStream_t stream_;
};

std::shared_ptr<void> allocate_pinned(size_t bytes) {
  void* block = nullptr;
  require(cudaHostAlloc(&block, bytes, cudaHostAllocDefault), "host memory for uploads");
  return {block, [](void* p) { cudaFreeHost(p); }};
}

class GpuState final : public State {
 public:
  explicit GpuState(int device) : properties_(open_device(device)) {
    device_.name = properties_.name;
    device_.capability = 10 * properties_.major + properties_.minor;
    device_.multiprocessors = properties_.multiProcessorCount;
    device_.shared_bytes_per_block = properties_.sharedMemPerBlockOptin;
    device_.total_bytes = properties_.totalGlobalMem;
    found_bad_pixel_ = allocate_pinned(sizeof(kNoBadPixel));
    require(cudaMalloc(&bad_pixel_, sizeof(kNoBadPixel)), "memory");
    forget_bad_pixel();
  }
  ~GpuState() override {
    cudaStreamSynchronize(stream_.raw());
    cudaFree(bad_pixel_);
  }
  GpuState(const GpuState&) = delete;
  GpuState& operator=(const GpuState&) = delete;

  cudaStream_t stream() const override { return stream_.raw(); }
  const DeviceInfo& device() const override { return device_; }
  unsigned long long* bad_pixel() const override { return static_cast<unsigned long long*>(bad_pixel_); }

  std::unique_ptr<AddressSpace> reserve(size_t bytes) override { return cuda::reserve(bytes, stream()); }

  DeviceInfo info() const override {
    DeviceInfo info = device_;
    require(cudaMemGetInfo(&info.free_bytes, &info.total_bytes), "the memory that is free");
    return info;
  }

  void upload(void* to, const void* from, size_t bytes) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()), "upload");
    if (!is_pinned(from)) require(cudaStreamSynchronize(stream()), "upload");
  }
  void download(void* to, const void* from, size_t bytes) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "download");
    synchronize();
  }
  std::shared_ptr<void> allocate_staging(size_t bytes) override { return allocate_pinned(bytes); }
  void upload_beside(void* to, const void* from, size_t bytes) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, uploads_.raw()), "upload");
  }
  void join_uploads() override {
    require(cudaEventRecord(uploaded_.raw(), uploads_.raw()), "an event");
    require(cudaStreamWaitEvent(stream(), uploaded_.raw(), 0), "an event");
  }

  void synchronize() override {
    auto& found = *static_cast<unsigned long long*>(found_bad_pixel_.get());
    require(cudaMemcpyAsync(&found, bad_pixel_, sizeof(found), cudaMemcpyDeviceToHost, stream()), "download");
    require(cudaStreamSynchronize(stream()), "computing");
    if (found == kNoBadPixel) return;
    const unsigned long long n = found >> 48, h = found >> 24 & 0xffffff, w = found & 0xffffff;
    forget_bad_pixel();
    throw DataError(
        concat("softmax_cross_entropy: expected labels from -1 (ignore) to the number of classes less one "
               "and finite weights from 0, got another in image ",
               n, ", row ", h, ", column ", w));
  }

  bool can_capture() const override { return true; }
  void begin_capture() override {
    require(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "capturing");
  }
  std::unique_ptr<CapturedGraph> end_capture() override {
    cudaGraph_t graph = nullptr;
    require(cudaStreamEndCapture(stream(), &graph), "capturing");
    return std::make_unique<Graph>(graph, stream());
  }
  void replay(const CapturedGraph& graph) override { dynamic_cast<const Graph&>(graph).launch(); }

 private:
  static bool is_pinned(const void* host) {
    cudaPointerAttributes attributes{};
    return cudaPointerGetAttributes(&attributes, host) == cudaSuccess && attributes.type == cudaMemoryTypeHost;
  }
  void forget_bad_pixel() const {
    require(cudaMemsetAsync(bad_pixel_, 0xff, sizeof(kNoBadPixel), stream()), "clearing memory");
  }

  cudaDeviceProp properties_;  // first: opens the device
  DeviceInfo device_;
  Stream stream_, uploads_;
  Event uploaded_;
  void* bad_pixel_ = nullptr;              // in the device's memory
  std::shared_ptr<void> found_bad_pixel_;  // in the host's
};

}  // namespace

std::shared_ptr<TargetState> make_state(int device) { return std::make_shared<GpuState>(device); }

State& state_of(const Context& context) {
  auto* state = dynamic_cast<State*>(context.state.get());
  if (state == nullptr) {
    throw ConfigError("device: expected the state of target cuda; make it by make_target_state(Target::cuda)");
  }
  return *state;
}

void require(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // a refusal that is not final must not come up again in the next call
  const std::string text = concat("device: ", what, ": ", cudaGetErrorName(status), ": ", cudaGetErrorString(status));
  if (status == cudaErrorMemoryAllocation) {
    size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    throw OutOfMemory(concat(text, " (", free_bytes, " bytes free of ", total_bytes, ")"), 0, 0);
  }
  throw DeviceError(text + "; start the program again");
}

}  // namespace unet::kernels::cuda
