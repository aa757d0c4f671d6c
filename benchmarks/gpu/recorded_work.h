// Work on a GPU, captured as a CUDA graph and timed by its events.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>
#include <vector>

namespace unet::benchmarks {

/// A graph of launches on a stream; operands and scratch memory of the captured work must outlive it.
class RecordedWork {
 public:
  /// Captures work(0), .., work(launches - 1). Throws DeviceError.
  RecordedWork(cudaStream_t stream, int launches, const std::function<void(int)>& work);
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

  /// Executes the graph once and waits: microseconds per launch.
  double time_us() const;
  /// The same without timing, and without waiting.
  void replay() const;

  /// Names of the kernels of all launches in the order of their recording, as far as the driver tells them.
  const std::vector<std::string>& kernels() const { return kernels_; }

 private:
  cudaStream_t stream_;
  int launches_;
  cudaGraphExec_t executable_ = nullptr;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
  std::vector<std::string> kernels_;
};

/// Milliseconds that work queued by `run` takes on the stream.
double event_ms(cudaStream_t stream, const std::function<void()>& run);

}  // namespace unet::benchmarks
