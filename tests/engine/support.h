// What engine and U-Net tests share: seeded tensors and a finite-difference check.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "engine/autograd.h"
#include "engine/tensor.h"
#include "kernels/philox.h"
#include "tests/catch.h"

namespace unet::test {

inline std::shared_ptr<engine::Device> reference_device() {
  return engine::Device::make({.target = kernels::Target::reference, .threads = 1});
}

/// N(0,1) values in double, the same for the same seed.
inline engine::Tensor random_tensor(const std::shared_ptr<engine::Device>& device, const engine::Shape& shape,
                                    uint32_t seed) {
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto block = kernels::philox({.seed = seed}, i);
    values[i] = kernels::normal(block.word[0], block.word[1]).a;
  }
  return engine::Tensor::from(device, shape, values);
}

inline engine::Tensor random_labels(const std::shared_ptr<engine::Device>& device, const engine::Shape& shape,
                                    int32_t classes, uint32_t seed) {
  std::vector<int32_t> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int32_t>(kernels::philox({.seed = seed}, i).word[0] % static_cast<uint32_t>(classes));
  }
  return engine::Tensor::from(device, shape, values);
}

/// d(loss)/d(input) of every element of every f64 input against central differences.
inline void check_gradients(const std::vector<engine::Tensor>& inputs, const std::function<engine::Tensor()>& loss,
                            double tolerance = 1e-6) {
  for (const auto& x : inputs) x.set_requires_grad();
  engine::backward(loss());
  for (size_t t = 0; t < inputs.size(); ++t) {
    const auto analytic = inputs[t].grad().to_double();
    const auto v = inputs[t].mutable_view<double>();
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < v.size(); ++i) {
      const double before = v.data[i], eps = 1e-6;
      const auto at = [&](double value) {
        inputs[t].mutable_view<double>().data[i] = value;
        const engine::NoGrad guard(*inputs[t].device());
        return loss().item();
      };
      const double numeric = (at(before + eps) - at(before - eps)) / (2 * eps);
      at(before);
      largest = std::max(largest, std::abs(numeric));
      worst = std::max(worst, std::abs(numeric - analytic[static_cast<size_t>(i)]));
    }
    INFO("input " << t << ": worst difference " << worst << ", largest gradient " << largest);
    CHECK(largest > 0);
    CHECK(worst <= tolerance * std::max(largest, 1e-3));
  }
}

}  // namespace unet::test
