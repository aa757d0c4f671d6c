// Device targets compute channels last; a blocked operand is refused before anything is written.
#include "kernels/add.h"
#include "kernels/cast.h"
#include "kernels/crop_concat.h"
#include "kernels/dropout.h"
#include "kernels/fill.h"
#include "kernels/max_pool2d.h"
#include "kernels/reduce.h"
#include "kernels/relu.h"
#include "kernels/softmax.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// The operation, one operand of which is blocked, throws a TypeError that names it and the layout.
template <class Operation>
void require_layout_refused(const Operation& operation, const std::string& operand) {
  using Catch::Matchers::Contains;
  const std::string name = std::string(Operation::kName) + ": ";
  CAPTURE(name, operand);
  Runner run(kTarget);
  REQUIRE_THROWS_AS(run(operation), TypeError);
  REQUIRE_THROWS_WITH(run(operation), Contains(name) && Contains("channels last") && Contains("blocked"));
}

TEST_CASE("device: blocked operands are refused, whichever they are") {
  const Shape shape{1, 4, 4, 5}, half{1, 2, 2, 5}, plane{1, 4, 4, 1}, both{1, 4, 4, 10};
  const Values zeros(static_cast<size_t>(shape.size()), 0);
  const Buffer<float> x(Storage::nhwc, shape, zeros), y(Storage::nhwc, shape), bad(Storage::blocked, shape, zeros);
  const Buffer<float> pooled(Storage::nhwc, half), bad_pooled(Storage::blocked, half), joined(Storage::nhwc, both),
      bad_joined(Storage::blocked, both), loss(Storage::nhwc, {});
  const Buffer<float> weights(Storage::nhwc, plane), bad_weights(Storage::blocked, plane);
  const Buffer<int32_t> labels(Storage::nhwc, plane), bad_labels(Storage::blocked, plane);
  const Buffer<uint8_t> code(Storage::nhwc, half), bad_code(Storage::blocked, half);
  const Buffer<double> result(Storage::nhwc, {});

  require_layout_refused(Fill<float>{.y = bad}, "y");
  require_layout_refused(Cast<float, float>{.x = bad, .y = y}, "x");
  require_layout_refused(Cast<float, float>{.x = x, .y = bad}, "y");
  require_layout_refused(Add<float>{.a = bad, .b = x, .y = y}, "a");
  require_layout_refused(Add<float>{.a = x, .b = bad, .y = y}, "b");
  require_layout_refused(Add<float>{.a = x, .b = x, .y = bad}, "y");
  require_layout_refused(Relu<float>{.x = bad, .y = y}, "x");
  require_layout_refused(Relu<float>{.x = x, .y = bad}, "y");
  require_layout_refused(ReluBackward<float>{.y = bad, .dy = x, .dx = y}, "y");
  require_layout_refused(ReluBackward<float>{.y = x, .dy = bad, .dx = y}, "dy");
  require_layout_refused(ReluBackward<float>{.y = x, .dy = x, .dx = bad}, "dx");
  require_layout_refused(Dropout<float>{.x = bad, .y = y, .key = {}}, "x");
  require_layout_refused(Dropout<float>{.x = x, .y = bad, .key = {}}, "y");
  require_layout_refused(CropConcat<float>{.x = bad, .x2 = x, .y = joined}, "x");
  require_layout_refused(CropConcat<float>{.x = x, .x2 = bad, .y = joined}, "x2");
  require_layout_refused(CropConcat<float>{.x = x, .x2 = x, .y = bad_joined}, "y");
  require_layout_refused(CropConcatBackward<float>{.dy = bad_joined, .dx = y, .dx2 = x, .c1 = 5}, "dy");
  require_layout_refused(CropConcatBackward<float>{.dy = joined, .dx = bad, .dx2 = x, .c1 = 5}, "dx");
  require_layout_refused(CropConcatBackward<float>{.dy = joined, .dx = y, .dx2 = bad, .c1 = 5}, "dx2");
  require_layout_refused(MaxPool2d<float>{.x = bad, .y = pooled, .code = {}}, "x");
  require_layout_refused(MaxPool2d<float>{.x = x, .y = bad_pooled, .code = {}}, "y");
  require_layout_refused(MaxPool2d<float>{.x = x, .y = pooled, .code = bad_code}, "code");
  require_layout_refused(MaxPool2dBackward<float>{.code = bad_code, .dy = pooled, .dx = y}, "code");
  require_layout_refused(MaxPool2dBackward<float>{.code = code, .dy = bad_pooled, .dx = y}, "dy");
  require_layout_refused(MaxPool2dBackward<float>{.code = code, .dy = pooled, .dx = bad}, "dx");
  require_layout_refused(MaxPool2dBackward<float>{.code = code, .dy = pooled, .dx = y, .skip = bad}, "skip");
  require_layout_refused(MaxPool2dBackward<float>{.code = code, .dy = pooled, .dx = y, .relu_y = bad}, "relu_y");
  require_layout_refused(Softmax<float>{.x = bad, .y = y}, "x");
  require_layout_refused(Softmax<float>{.x = x, .y = bad}, "y");
  require_layout_refused(Reduce<float>{.x = bad, .result = result.view().data}, "x");

  SoftmaxCrossEntropy<float> op{.x = x, .labels = labels, .weights = weights, .loss = loss, .dx = y};
  const auto refused = [&](auto change, const std::string& operand) {
    auto changed = op;
    change(changed);
    require_layout_refused(changed, operand);
  };
  refused([&](auto& o) { o.x = bad; }, "x");
  refused([&](auto& o) { o.labels = bad_labels; }, "labels");
  refused([&](auto& o) { o.weights = bad_weights; }, "weights");
  refused([&](auto& o) { o.dx = bad; }, "dx");
  for (const double value : y.values()) REQUIRE(std::isnan(value));
}

}  // namespace
}  // namespace unet::kernels::test
