// State of the cpu target: oneDNN convolutions, compiled once per problem and kept.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/context.h"
#include "kernels/host_state.h"

namespace unet::kernels::cpu {

enum class ConvolutionPass : uint8_t { forward, backward_data, backward_filter };

/// All that the compiled code of one oneDNN convolution depends on.
///
/// Images are dense blocked views (View::blocked) and `c` and `k` multiples of 16; a planar source is dense [N,C,H,W]
/// with one to three channels instead. Filters are f32 [K,R,S,C] whose rows of C lie `filter_stride` elements apart.
struct ConvolutionProblem {
  ConvolutionPass pass = ConvolutionPass::forward;
  bool planar = false;
  bool bias = false;          // forward: adds b[K]
  bool relu = false;          // forward: max(., 0)
  DType type = DType::f32;    // of x, dx and the packed filter
  DType y_type = DType::f32;  // of y and dy
  int threads = 1;
  int64_t n = 0, h = 0, w = 0, c = 0;  // x
  int64_t k = 0, r = 0, s = 0;         // filter
  int64_t filter_stride = 0;

  auto operator<=>(const ConvolutionProblem&) const = default;
};

/// A compiled convolution. Calls from several threads at a time are safe as long as operands differ.
class CompiledConvolution {
 public:
  virtual ~CompiledConvolution() = default;

  /// Equal for two convolutions if and only if they take filters packed in the same way.
  virtual int filter_format() const = 0;
  virtual size_t filter_bytes() const = 0;
  virtual size_t scratch_bytes() const = 0;

  /// packed = w in this convolution's order and type (forward and backward_data).
  virtual void pack(const float* w, void* packed) const = 0;
  /// dw = packed (backward_filter).
  virtual void unpack(const void* packed, float* dw) const = 0;

  /// Roles follow the pass: backward_data reads y (as dy) and writes x (as dx), backward_filter reads x and y (as dy)
  /// and writes the packed f32 filter gradient.
  struct Operands {
    void* x = nullptr;
    void* filter = nullptr;  // packed
    void* bias = nullptr;    // f32 [K]
    void* y = nullptr;
    void* scratch = nullptr;
  };
  virtual void execute(const Operands& operands) const = 0;
};

class State final : public HostState {
 public:
  State();
  ~State() override;

  /// The convolution for a problem, compiled on first use. Throws DeviceError where oneDNN has none.
  std::shared_ptr<const CompiledConvolution> convolution(const ConvolutionProblem& problem);

 private:
  struct Onednn;
  std::unique_ptr<Onednn> onednn_;
  std::mutex mutex_;
  std::map<ConvolutionProblem, std::shared_ptr<const CompiledConvolution>> compiled_;
};

std::shared_ptr<TargetState> make_state();

/// Executes with scratch memory of the context's workspace.
void execute(const Context& context, const CompiledConvolution& convolution, CompiledConvolution::Operands operands);

/// The context's state. Throws ConfigError where it is missing or belongs to another target.
State& state_of(const Context& context);

}  // namespace unet::kernels::cpu
