#include "engine/initializer.h"

#include <cmath>

namespace unet::engine {

void he_normal(const Tensor& t, double fan_in, const kernels::PhiloxKey& key) {
  if (!(fan_in > 0)) throw ConfigError(concat("he_normal: expected a fan-in above zero, got ", fan_in));
  const double deviation = std::sqrt(2.0 / fan_in);
  std::vector<float> values(static_cast<size_t>(t.shape().elements()));
  for (size_t i = 0; i < values.size(); i += 4) {
    const kernels::PhiloxBlock block = kernels::philox(key, i / 4);
    const kernels::NormalPair low = kernels::normal(block.word[0], block.word[1]);
    const kernels::NormalPair high = kernels::normal(block.word[2], block.word[3]);
    const double four[] = {low.a, low.b, high.a, high.b};
    for (size_t j = 0; j < 4 && i + j < values.size(); ++j) values[i + j] = static_cast<float>(deviation * four[j]);
  }
  t.assign(values);
}

}  // namespace unet::engine
