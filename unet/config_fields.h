// The one list of configuration keys: reading, writing, checking and suggesting all walk over it.
#pragma once

#include <limits>

#include "unet/config.h"

namespace unet {

/// Values a number may take, both ends included.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// Calls visit(key, field, range) for every field of a (const) TrainingConfig, in the order of the file.
template <class Config, class Visitor>
void visit_fields(Config& config, Visitor&& visit) {
  constexpr Range any{};  // enumerations and switches; the network checks its own numbers
  constexpr Range fraction{0, 1};
  constexpr Range amount{0, 1e9};
  constexpr Range positive{1e-9, 1e9};
  constexpr Range count{0, 1e12};
  constexpr Range positive_count{1, 1e12};

  auto& network = config.network;
  visit("network.in_channels", network.in_channels, any);
  visit("network.classes", network.classes, any);
  visit("network.depth", network.depth, any);
  visit("network.width", network.width, any);
  visit("network.up_relu", network.up_relu, any);
  visit("network.last_up_channels", network.last_up_channels, any);
  visit("network.dropout", network.dropout, any);
  visit("network.upconv_fan", network.upconv_fan, any);

  auto& data = config.data;
  visit("data.labels", data.labels, any);
  visit("data.ignore", data.ignore, Range{-1, 4294967295.0});
  visit("data.background", data.background, Range{-1, 4294967295.0});
  visit("data.connectivity", data.connectivity, Range{4, 8});
  visit("data.normalisation", data.normalisation, any);
  visit("data.scale", data.scale, Range{0.01, 100});
  visit("data.margin", data.margin, Range{0, 1 << 20});
  visit("data.validation_fraction", data.validation_fraction, Range{0, 0.9});
  visit("data.labelled_only", data.labelled_only, any);
  visit("data.marker_radius", data.marker_radius, Range{-1, 1e6});
  visit("data.validation_pages", data.validation_pages, any);

  visit("tile.input", config.tile.input, Range{1, 1 << 20});
  visit("tile.batch", config.tile.batch, Range{1, 4096});

  auto& optimizer = config.optimizer;
  visit("optimizer.kind", optimizer.kind, any);
  visit("optimizer.lr", optimizer.lr, Range{0, 1e3});
  visit("optimizer.momentum", optimizer.momentum, Range{0, 0.999999});
  visit("optimizer.beta1", optimizer.beta1, Range{0, 0.999999});
  visit("optimizer.beta2", optimizer.beta2, Range{0, 0.999999});
  visit("optimizer.epsilon", optimizer.epsilon, Range{1e-30, 1});
  visit("optimizer.bias_lr_factor", optimizer.bias_lr_factor, Range{0, 1e3});
  visit("optimizer.weight_decay", optimizer.weight_decay, fraction);

  visit("schedule.warmup", config.schedule.warmup, count);
  visit("schedule.decay_at", config.schedule.decay_at, fraction);
  visit("schedule.decay", config.schedule.decay, fraction);

  auto& augmentation = config.augmentation;
  visit("augmentation.sampling", augmentation.sampling, any);
  visit("augmentation.rotation", augmentation.rotation, any);
  visit("augmentation.shift", augmentation.shift, Range{0, 1 << 20});
  visit("augmentation.flips", augmentation.flips, any);
  visit("augmentation.elastic", augmentation.elastic, any);
  visit("augmentation.elastic_sigma", augmentation.elastic_sigma, Range{0, 1e4});
  visit("augmentation.elastic_spacing", augmentation.elastic_spacing, Range{4, 1e6});
  visit("augmentation.simard_alpha", augmentation.simard_alpha, Range{0, 1e6});
  visit("augmentation.simard_sigma", augmentation.simard_sigma, Range{0.5, 1e4});
  visit("augmentation.gray", augmentation.gray, any);
  visit("augmentation.gray_shift", augmentation.gray_shift, Range{0, 0.45});
  visit("augmentation.gray_slope_min", augmentation.gray_slope_min, fraction);
  visit("augmentation.gray_slope_max", augmentation.gray_slope_max, Range{1, 100});

  auto& weight_map = config.weight_map;
  visit("weight_map.kind", weight_map.kind, any);
  visit("weight_map.w0", weight_map.w0, amount);
  visit("weight_map.sigma", weight_map.sigma, positive);
  visit("weight_map.class_balance", weight_map.class_balance, any);
  visit("weight_map.border", weight_map.border, any);
  visit("weight_map.everywhere", weight_map.everywhere, any);
  visit("weight_map.update", weight_map.update, any);

  visit("loss.normalisation", config.loss.normalisation, any);

  visit("instances.threshold", config.instances.threshold, fraction);
  visit("instances.min_area", config.instances.min_area, count);
  visit("instances.fill_holes", config.instances.fill_holes, any);
  visit("instances.split", config.instances.split, fraction);
  visit("instances.regrow", config.instances.regrow, any);

  auto& run = config.run;
  visit("run.steps", run.steps, positive_count);
  visit("run.time_limit", run.time_limit, amount);
  visit("run.early_stop", run.early_stop, count);
  visit("run.validation_interval", run.validation_interval, positive_count);
  visit("run.select", run.select, any);
  visit("run.checkpoint_interval", run.checkpoint_interval, positive_count);
  visit("run.seed", run.seed, count);
  visit("run.threads", run.threads, Range{0, 4096});
  visit("run.precision", run.precision, any);
}

}  // namespace unet
