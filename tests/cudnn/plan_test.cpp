// The graphs that the cudnn target builds are ones that cuDNN can execute: plans are made for described devices, so
// that no GPU is needed. Plans that cuDNN compiles at run time need a driver and are not seen here.
#include "kernels/cudnn/plan.h"

#include <algorithm>

#include "benchmarks/layers.h"
#include "tests/catch.h"
#include "tests/cudnn/devices.h"

namespace unet::kernels::cudnn {
namespace {

using benchmarks::Layer;
using benchmarks::LayerKind;

Image image(DType type, int64_t side, int64_t channels) {
  Image v;
  v.type = type;
  v.n = 1, v.h = v.w = side, v.c = channels;
  v.stride_w = channels, v.stride_h = side * channels, v.stride_n = side * side * channels;
  v.alignment = 16;
  return v;
}

Problem problem_of(const Layer& layer, Stage stage, DType type, bool tf32) {
  const bool is_up = layer.kind == LayerKind::up_convolution;
  const Image in = image(type, layer.size, layer.c()), out = image(type, layer.output_size(), layer.k);
  return {.stage = stage,
          .x = is_up ? out : in,
          .y = is_up ? in : out,
          .r = layer.side,
          .s = layer.side,
          .stride = is_up ? 2 : 1,
          .filter_type = type,
          .tf32 = tf32};
}

// A layer with a plain one of each kind: 64 channels into 128.
const Layer kLayer{.name = "plain", .size = 68, .c1 = 64, .k = 128};

std::vector<std::string> names(const std::vector<Plan>& plans) {
  std::vector<std::string> all;
  for (const Plan& plan : plans) all.push_back(plan.name());
  return all;
}

TEST_CASE("every pass of every layer has a deterministic plan in every precision", "[cudnn]") {
  const std::string device = GENERATE(std::string(test::kH200), std::string(test::kA100));
  const Planner planner(device);
  struct Precision {
    DType type;
    bool tf32;
  };
  for (const Precision precision : {Precision{DType::f32, false}, {DType::f32, true}, {DType::bf16, false}}) {
    for (const Layer& layer : benchmarks::unet_layers(64, 572)) {
      for (const Stage stage : {Stage::forward, Stage::backward_data, Stage::backward_filter}) {
        CAPTURE(device, layer.name, static_cast<int>(stage), name_of(precision.type), precision.tf32);
        const auto plans = planner.plans(problem_of(layer, stage, precision.type, precision.tf32), {.max_plans = 1});
        REQUIRE(plans.size() == 1);
      }
    }
  }
}

TEST_CASE("bias and ReLU follow a forward convolution inside its plan", "[cudnn]") {
  const Planner planner(test::kH200);
  Problem problem = problem_of(kLayer, Stage::forward, DType::f32, true);
  const auto plain = planner.plans(problem, {});
  problem.bias = true;
  const auto biased = planner.plans(problem, {});
  problem.relu = true;
  const auto fused = planner.plans(problem, {});
  REQUIRE(!biased.empty());
  REQUIRE(!fused.empty());
  REQUIRE(names(plain) != names(fused));
}

TEST_CASE("options leave plans out", "[cudnn]") {
  const Planner planner(test::kH200);
  const Problem problem = problem_of(kLayer, Stage::backward_filter, DType::f32, false);
  const auto any = planner.plans(problem, {.deterministic = false});
  const auto deterministic = planner.plans(problem, {.deterministic = true});
  REQUIRE(any.size() > deterministic.size());
  REQUIRE(!deterministic.empty());

  const auto by_bytes = [](const Plan& a, const Plan& b) { return a.workspace_bytes() < b.workspace_bytes(); };
  const size_t most = std::max_element(any.begin(), any.end(), by_bytes)->workspace_bytes();
  REQUIRE(most > 0);
  const auto small = planner.plans(problem, {.deterministic = false, .workspace_limit_bytes = most - 1});
  REQUIRE(small.size() < any.size());
  for (const Plan& plan : small) REQUIRE(plan.workspace_bytes() < most);

  REQUIRE(planner.plans(problem, {.max_plans = 2}).size() == 2);
}

TEST_CASE("f32 takes tensor cores only where tf32 is allowed", "[cudnn]") {
  const Planner planner(test::kH200);
  Problem problem = problem_of(kLayer, Stage::forward, DType::f32, false);
  const size_t strict = planner.plans(problem, {}).size();
  problem.tf32 = true;
  const size_t relaxed = planner.plans(problem, {}).size();
  REQUIRE(relaxed > strict);
  REQUIRE(strict > 0);
}

TEST_CASE("a plan is listed once", "[cudnn]") {
  const Planner planner(test::kH200);
  auto all = names(planner.plans(problem_of(kLayer, Stage::forward, DType::bf16, false), {}));
  REQUIRE(all.size() > 1);
  std::sort(all.begin(), all.end());
  REQUIRE(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("what cuDNN cannot execute has no plan, and a broken description is refused", "[cudnn]") {
  const Planner planner(test::kH200);
  Problem problem = problem_of(kLayer, Stage::forward, DType::bf16, false);
  problem.y.type = DType::f32;
  REQUIRE(planner.plans(problem, {}).empty());
  problem.y.h += 1;
  REQUIRE_THROWS_AS(planner.plans(problem, {}), DeviceError);
  REQUIRE_THROWS_AS(Planner("{}"), DeviceError);
}

}  // namespace
}  // namespace unet::kernels::cudnn
