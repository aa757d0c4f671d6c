#include "kernels/cudnn/state.h"

#include <algorithm>
#include <limits>

namespace unet::kernels::cudnn {
namespace {

class Event {
 public:
  Event() { cuda::require(cudaEventCreate(&raw_), "an event"); }
  ~Event() { cudaEventDestroy(raw_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t raw() const { return raw_; }

 private:
  cudaEvent_t raw_ = nullptr;
};

// The problem itself and what a layer can make do with instead, the most complete first.
std::vector<Problem> variants(const Problem& problem) {
  std::vector<Problem> all{problem};
  if (problem.bias && problem.filter_type != DType::f32) {
    all.push_back(problem);
    all.back().bias_type = problem.filter_type;
  }
  if (problem.bias || problem.relu) {
    all.push_back(problem);
    all.back().bias = all.back().relu = false;
  }
  return all;
}

std::string text_of(const Problem& p) {
  const char* stage = p.stage == Stage::forward ? "forward" : p.stage == Stage::backward_data ? "data" : "filter";
  return concat("convolution (", stage, ") of [", p.x.n, ",", p.x.h, ",", p.x.w, ",", p.x.c, "] ", name_of(p.x.type),
                " to [", p.y.n, ",", p.y.h, ",", p.y.w, ",", p.y.c, "] ", name_of(p.y.type));
}

}  // namespace

void require(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string text = concat("cublas: ", what, ": ", cublasGetStatusString(status));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(text, 0, 0);
  throw DeviceError(text);
}

State::State(int device) : cuda_(std::dynamic_pointer_cast<cuda::State>(cuda::make_state(device))) {
  try {
    require(cudnnCreate(&cudnn_), "starting cuDNN");
    require(cudnnSetStream(cudnn_, stream()), "the stream of cuDNN");
    require(cublasCreate(&cublas_), "starting cuBLAS");
    require(cublasSetStream(cublas_, stream()), "the stream of cuBLAS");
    planner_ = std::make_unique<const Planner>(cudnn_);
  } catch (...) {
    if (cublas_ != nullptr) cublasDestroy(cublas_);
    if (cudnn_ != nullptr) cudnnDestroy(cudnn_);
    throw;
  }
}

State::~State() {
  choices_.clear();
  cublasDestroy(cublas_);
  cudnnDestroy(cudnn_);
}

void State::set_options(const Options& options) {
  options_ = options;
  choices_.clear();
}

float State::time_us(const std::function<void()>& run) const {
  run();
  float best = std::numeric_limits<float>::infinity();
  const Event start, stop;
  for (int i = 0; i < 3; ++i) {
    cuda::require(cudaEventRecord(start.raw(), stream()), "timing a plan");
    run();
    cuda::require(cudaEventRecord(stop.raw(), stream()), "timing a plan");
    cuda::require(cudaEventSynchronize(stop.raw()), "timing a plan");
    float ms = 0;
    cuda::require(cudaEventElapsedTime(&ms, start.raw(), stop.raw()), "timing a plan");
    best = std::min(best, 1000 * ms);
  }
  return best;
}

const Choice& State::choose(const Problem& problem, const Run& run) {
  if (const auto known = choices_.find(problem); known != choices_.end()) return known->second;
  cudaStreamCaptureStatus capture{};
  cuda::require(cudaStreamIsCapturing(stream(), &capture), "asking for the stream's state");
  const bool is_timed = options_.search == Search::timed && capture == cudaStreamCaptureStatusNone;

  Choice best;
  best.us = std::numeric_limits<float>::infinity();
  int candidates = 0;
  for (const Problem& variant : variants(problem)) {
    for (Plan& plan : planner_->plans(variant, options_)) {
      float us = 0;
      if (is_timed) {
        try {
          us = time_us([&] { run(plan, variant); });
        } catch (const OutOfMemory&) {
          continue;  // its workspace does not fit beside the rest
        } catch (const DeviceError&) {
          cuda::require(cudaStreamSynchronize(stream()),
                        "a plan's run");  // throws where it was not the plan that failed
          continue;
        }
      }
      ++candidates;
      if (us < best.us) best = {std::make_shared<const Plan>(std::move(plan)), variant, us, 0};
      if (!is_timed) break;
    }
    if (!is_timed && best.plan) break;
  }
  if (!best.plan) {
    throw DeviceError(concat("cudnn: ", text_of(problem), ": no plan within ", options_.workspace_limit_bytes >> 20,
                             " MiB of workspace", options_.deterministic ? " is deterministic" : "",
                             "; use target cuda"));
  }
  best.candidates = candidates;
  return choices_[problem] = std::move(best);
}

std::shared_ptr<TargetState> make_state(int device) { return std::make_shared<State>(device); }

State& state_of(const Context& context) {
  auto* state = dynamic_cast<State*>(context.state.get());
  if (state == nullptr) {
    throw ConfigError("cudnn target: expected a context with make_target_state(Target::cudnn), got another or none");
  }
  return *state;
}

}  // namespace unet::kernels::cudnn
