// One convolution layer with operands in a target's memory, for the operation benchmarks of all targets.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "benchmarks/layers.h"
#include "kernels/context.h"

namespace unet::benchmarks {

enum class Pass : uint8_t { forward, backward_data, backward_filter };

inline constexpr std::array kPasses{Pass::forward, Pass::backward_data, Pass::backward_filter};

constexpr const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward";
    case Pass::backward_data:
      return "backward_data";
    case Pass::backward_filter:
      break;
  }
  return "backward_filter";
}

/// Whether the paper's network takes this pass: its first layer has no use for the gradient of the image.
inline bool is_needed(const Layer& layer, Pass pass) { return pass != Pass::backward_data || layer.c1 > 1; }

/// The least bytes that a pass moves: every operand read or written once, images in a type of `bytes` bytes, filters
/// read so and their gradients written in f32.
int64_t least_bytes(const Layer& layer, Pass pass, int64_t bytes);

/// A layer at batch 1 with N(0,1) images and He-scaled filters, drawn from the seed: never zeros, which let a GPU run
/// at higher clocks.
class LayerCase {
 public:
  virtual ~LayerCase() = default;

  /// Executes a pass with the given context: any whose target reads the memory and layout of the context the case was
  /// made with. forward takes bias and ReLU along. backward_data takes the gradient as it is. backward_filter applies
  /// ReLU's mask, which forward leaves behind, and sums the bias gradient.
  virtual void run(const kernels::Context& context, Pass pass, kernels::FilterCache* cache) = 0;

  /// Relative L2 error of what the last run of the pass left behind, over `samples` elements at random places, against
  /// sums in f64 of the operands as stored. backward_filter needs forward before.
  virtual double error(Pass pass, int samples) = 0;

  /// What the last run of the pass left behind, bit for bit: y, dx and dx2, or dw and db.
  virtual std::vector<std::byte> result(Pass pass) = 0;

  /// Bytes of all operands.
  virtual int64_t bytes() const = 0;
};

/// T is float or bf16. Operands lie in the layout that the context's target prefers.
std::unique_ptr<LayerCase> make_layer_case(const kernels::Context& context, const Layer& layer, DType type,
                                           uint64_t seed);

}  // namespace unet::benchmarks
