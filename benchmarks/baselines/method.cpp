#include "benchmarks/baselines/method.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "benchmarks/baselines/fcn.h"
#include "engine/adam.h"
#include "engine/autograd.h"
#include "engine/softmax.h"
#include "engine/softmax_cross_entropy.h"
#include "unet/network.h"
#include "unet/random.h"
#include "unet/tile.h"

namespace unet::baselines {
namespace {

using engine::Shape;
using engine::Tensor;

constexpr int64_t kMaxTilePixels = 1 << 20;
constexpr auto kPatchPosition = static_cast<Purpose>(0x200);  // a stream that the training of U-Nets does not use

/// Scores of images; with a key as in training.
using Forward = std::function<Tensor(const Tensor& images, const kernels::PhiloxKey* dropout)>;

Tensor tensor_of(const std::shared_ptr<engine::Device>& device, const Image& image) {
  return Tensor::from(device, Shape{1, image.height, image.width, image.channels}, image.data);
}

TilePlan plan_part(const TileRule& rule, const Rect& part) {
  const Size size{part.height, part.width};
  return plan_tiles(rule, size, choose_tile(rule, size, kMaxTilePixels));
}

/// A method of a network that segments whole tiles, of the sizes of a U-Net.
Method tile_method(std::string name, const std::shared_ptr<engine::Device>& device, const TrainingConfig& config,
                   engine::ParameterList parameters, const Forward& forward) {
  const TileRule rule(static_cast<int>(config.network.depth));
  const int64_t classes = config.network.classes, channels = config.network.in_channels;
  return {
      .name = std::move(name),
      .device = device,
      .parameters = std::move(parameters),
      .loss =
          [=](const Sample& sample, int64_t step) {
            const kernels::PhiloxKey dropout{.seed = static_cast<uint64_t>(config.run.seed),
                                             .purpose = static_cast<uint32_t>(Purpose::dropout),
                                             .step = static_cast<uint32_t>(step)};
            const Shape out{1, sample.labels.height, sample.labels.width, 1};
            return engine::softmax_cross_entropy(
                forward(tensor_of(device, sample.image), &dropout), Tensor::from(device, out, sample.labels.data),
                Tensor::from(device, out, sample.weights.data),
                config.loss.normalisation == LossNormalisation::mean ? engine::LossNormalization::valid_pixels
                                                                     : engine::LossNormalization::weight_sum);
          },
      .segment =
          [=](const Image& page, const Rect& part) {
            const engine::NoGrad no_grad(*device);
            const TilePlan plan = plan_part(rule, part);
            Image out(part.height, part.width, classes);
            for (const auto& [input, keep] : plan.tiles) {
              const Image tile = extract_tile(page, {part.y + input.y, part.x + input.x, input.height, input.width});
              Image p(plan.output.height, plan.output.width, classes);
              p.data = engine::softmax(forward(tensor_of(device, tile), nullptr)).to_vector();
              for (int64_t y = keep.y; y < keep.y + keep.height; ++y) {
                std::copy_n(&p.at(y - input.y - plan.margin, keep.x - input.x - plan.margin), keep.width * classes,
                            &out.at(y, keep.x));
              }
            }
            return out;
          },
      .multiply_adds =
          [=](const Rect& part) {
            const TilePlan plan = plan_part(rule, part);
            const Tensor x = Tensor::zeros(device, Shape{1, plan.input.height, plan.input.width, channels});
            return static_cast<double>(count_multiply_adds(forward(x, nullptr))) *
                   static_cast<double>(plan.tiles.size());
          },
  };
}

Duration now() {
  return {.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(),
          .cpu_s = static_cast<double>(std::clock()) / CLOCKS_PER_SEC};
}

}  // namespace

Method unet_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config) {
  const auto network = std::make_shared<Network>(device, config.network, static_cast<uint64_t>(config.run.seed));
  return tile_method(
      "U-Net", device, config, network->parameters(config.optimizer.bias_lr_factor),
      [network](const Tensor& x, const kernels::PhiloxKey* key) { return network->forward(x, DType::f32, key); });
}

Method fcn_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config) {
  const auto fcn = std::make_shared<Fcn>(device, config.network, static_cast<uint64_t>(config.run.seed));
  return tile_method("FCN", device, config, fcn->parameters(config.optimizer.bias_lr_factor),
                     [fcn](const Tensor& x, const kernels::PhiloxKey* key) { return fcn->forward(x, key); });
}

Method patch_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config,
                    PatchClassifierConfig patches, const PatchBatches& batches) {
  patches.in_channels = config.network.in_channels;
  patches.classes = config.network.classes;
  const auto classifier = std::make_shared<PatchClassifier>(device, patches, static_cast<uint64_t>(config.run.seed));
  const int64_t side = patches.side();
  Method method{
      .name = concat("sliding window ", side, " px, ", patches.maps, " maps"),
      .device = device,
      .parameters = classifier->parameters(config.optimizer.bias_lr_factor),
      .loss =
          [=](const Sample& sample, int64_t step) {
            RandomStream random(static_cast<uint64_t>(config.run.seed), kPatchPosition, static_cast<uint32_t>(step));
            const PatchBatch batch = draw_patches(sample, side, batches.training, random);
            const Shape shape{batches.training, side, side, sample.image.channels};
            return engine::softmax_cross_entropy(classifier->forward(Tensor::from(device, shape, batch.patches)),
                                                 Tensor::from(device, Shape{batches.training, 1, 1, 1}, batch.labels));
          },
      .segment = [=](const Image& page, const Rect& part) { return classifier->segment(page, part); },
      .multiply_adds = [=](const Rect& part) { return classifier->multiply_adds(part); },
  };
  Method patchwise = method;
  patchwise.name += ", patch by patch";
  patchwise.segment = [=](const Image& page, const Rect& part) {
    return segment_by_patches(*classifier, page, part, batches.inference);
  };
  patchwise.multiply_adds = [=](const Rect& part) {
    const Tensor x = Tensor::zeros(device, Shape{1, side, side, patches.in_channels});
    return static_cast<double>(count_multiply_adds(classifier->forward(x))) *
           static_cast<double>(part.height * part.width);
  };
  method.variants.push_back(std::move(patchwise));
  return method;
}

Stopwatch::Stopwatch() : start_(now()) {}

Duration Stopwatch::elapsed() const {
  const Duration end = now();
  return {.wall_s = end.wall_s - start_.wall_s, .cpu_s = end.cpu_s - start_.cpu_s};
}

TrainingCost train(const Method& method, const std::vector<TrainingPage>& pages, const TrainingConfig& config,
                   int64_t steps, double cpu_limit_s) {
  const OptimizerConfig& rates = config.optimizer;
  if (rates.kind != OptimizerKind::adam)
    throw ConfigError("baselines: expected optimizer.kind = \"adam\", got \"sgd\"");
  if (steps <= 0 && cpu_limit_s <= 0) throw ConfigError("baselines: expected a number of steps or a time, got neither");
  engine::Adam optimizer(
      method.parameters,
      {.beta1 = rates.beta1, .beta2 = rates.beta2, .eps = rates.epsilon, .weight_decay = rates.weight_decay});
  const Stopwatch watch;
  TrainingCost cost;
  std::vector<double> losses;
  const auto fraction_done = [&] {
    double fraction = 0;
    if (steps > 0) fraction = static_cast<double>(cost.steps) / static_cast<double>(steps);
    if (cpu_limit_s > 0) fraction = std::max(fraction, watch.elapsed().cpu_s / cpu_limit_s);
    return fraction;
  };
  for (double fraction = 0; fraction < 1; fraction = fraction_done()) {
    const Tensor loss = method.loss(draw_sample(pages, config, cost.steps), cost.steps);
    losses.push_back(loss.item());
    if (!std::isfinite(losses.back())) {
      throw NumericError(concat(method.name, ": the loss of step ", cost.steps, " is not finite; lower optimizer.lr"));
    }
    engine::backward(loss);
    optimizer.step(rates.lr * config.schedule.factor(cost.steps, fraction));
    engine::clear_gradients(method.parameters);
    ++cost.steps;
  }
  cost.time = watch.elapsed();
  const auto last = std::max<ptrdiff_t>(1, std::ssize(losses) / 10);
  for (auto loss = losses.end() - last; loss != losses.end(); ++loss) cost.loss += *loss / static_cast<double>(last);
  return cost;
}

}  // namespace unet::baselines
