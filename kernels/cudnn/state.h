// State of the cudnn target: that of the cuda target with the handles of cuDNN and cuBLAS and the plans chosen so far.
#pragma once

#include <cublas_v2.h>

#include <functional>

#include "kernels/cuda/state.h"
#include "kernels/cudnn/plan.h"

namespace unet::kernels::cudnn {

/// How the plan of a problem is chosen on first use.
enum class Search : uint8_t {
  timed,     // every supported plan runs on the operands at hand, the fastest stays
  heuristic  // the first one of cuDNN's heuristics
};

struct Options : PlanOptions {
  Search search = Search::timed;
};

/// A chosen plan. What it executes is the problem asked for, or a variant of it: a bias rounded to the images' type, or
/// no bias and ReLU, which then follow as steps of their own.
struct Choice {
  std::shared_ptr<const Plan> plan;
  Problem variant;
  float us = 0;        // its time in the search, the following steps included; 0 without a search
  int candidates = 0;  // plans it was chosen from
};

class State final : public cuda::State {
 public:
  explicit State(int device);
  ~State() override;

  /// Forgets all choices.
  void set_options(const Options& options);
  const Options& options() const { return options_; }

  using Run = std::function<void(const Plan& plan, const Problem& variant)>;
  /// The choice for a problem. `run` executes it with a plan as the layer would, and may be called many times. While
  /// the stream is captured nothing can be timed, and the first plan is taken. Throws DeviceError where there is none.
  const Choice& choose(const Problem& problem, const Run& run);
  /// All choices so far.
  const std::map<Problem, Choice>& choices() const { return choices_; }

  cudnnHandle_t cudnn() const { return cudnn_; }
  cublasHandle_t cublas() const { return cublas_; }

  cudaStream_t stream() const override { return cuda_->stream(); }
  const DeviceInfo& device() const override { return cuda_->device(); }
  unsigned long long* bad_pixel() const override { return cuda_->bad_pixel(); }
  std::unique_ptr<AddressSpace> reserve(size_t bytes) override { return cuda_->reserve(bytes); }
  DeviceInfo info() const override { return cuda_->info(); }
  void upload(void* to, const void* from, size_t bytes) override { cuda_->upload(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { cuda_->download(to, from, bytes); }
  std::shared_ptr<void> allocate_staging(size_t bytes) override { return cuda_->allocate_staging(bytes); }
  void upload_beside(void* to, const void* from, size_t bytes) override { cuda_->upload_beside(to, from, bytes); }
  void join_uploads() override { cuda_->join_uploads(); }
  void synchronize() override { cuda_->synchronize(); }
  bool can_capture() const override { return cuda_->can_capture(); }
  void begin_capture() override { cuda_->begin_capture(); }
  std::unique_ptr<CapturedGraph> end_capture() override { return cuda_->end_capture(); }
  void replay(const CapturedGraph& graph) override { cuda_->replay(graph); }

 private:
  float time_us(const std::function<void()>& run) const;

  std::shared_ptr<cuda::State> cuda_;
  cudnnHandle_t cudnn_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  std::unique_ptr<const Planner> planner_;
  Options options_;
  std::map<Problem, Choice> choices_;
};

/// Throws ConfigError where there is no GPU that can be used, DeviceError where cuDNN or cuBLAS cannot be started.
std::shared_ptr<TargetState> make_state(int device = 0);

/// The context's state. Throws ConfigError where it is missing or belongs to another target.
State& state_of(const Context& context);

/// Throws DeviceError (OutOfMemory for lack of memory) unless `status` is success.
void require(cublasStatus_t status, const char* what);

}  // namespace unet::kernels::cudnn
