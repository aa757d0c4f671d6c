// Everything that decides a training run, as plain structs, and how it is read from presets, files and options.
//
// A configuration is made in four layers, each overriding the one before: preset, file, key=value settings, named
// options. Keys are `section.field`, the same in TOML files, in `--set` and in error messages. The defaults below are
// the preset `paper`; unet/presets/paper.toml explains every key and gives its source.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "unet/network_config.h"

namespace unet {

enum class LabelKind : uint8_t { automatic, classes, instances };
enum class InputNormalisation : uint8_t {
  unit,       // x / largest value of the type: 8-bit -> [0,1]
  centred,    // unit - 0.5
  min_max,    // per image and channel to [-0.5, 0.5]
  norm_image  // the 2015 release's `normImage`: per stack to [0,1], then minus the median of each page
};
enum class OptimizerKind : uint8_t { sgd, adam };
enum class ElasticKind : uint8_t { none, grid3, bspline, simard };
enum class TileSampling : uint8_t {
  uniform,  // tile centres anywhere on a page
  density   // by label: an object's pixel 10 times as often as one of the background, an ignored pixel never
};
enum class WeightMapKind : uint8_t { none, paper, falk };
enum class ClassBalance : uint8_t { none, inv, max1 };
enum class SeparationBorder : uint8_t { freiburg, thin, sym };  // see separate_instances()
enum class WeightMapUpdate : uint8_t {
  warp,      // the page's map, deformed with the image
  recompute  // made anew for each tile, from its deformed objects
};
enum class LossNormalisation : uint8_t { mean, sumw };
enum class Precision : uint8_t { f32, tf32, bf16 };
enum class Selection : uint8_t { loss, iou, pixel_error, latest };

template <>
struct EnumNames<LabelKind> {
  static constexpr std::array<std::string_view, 3> value{"auto", "classes", "instances"};
};
template <>
struct EnumNames<InputNormalisation> {
  static constexpr std::array<std::string_view, 4> value{"unit", "centred", "min_max", "norm_image"};
};
template <>
struct EnumNames<OptimizerKind> {
  static constexpr std::array<std::string_view, 2> value{"sgd", "adam"};
};
template <>
struct EnumNames<ElasticKind> {
  static constexpr std::array<std::string_view, 4> value{"none", "grid3", "bspline", "simard"};
};
template <>
struct EnumNames<TileSampling> {
  static constexpr std::array<std::string_view, 2> value{"uniform", "density"};
};
template <>
struct EnumNames<WeightMapKind> {
  static constexpr std::array<std::string_view, 3> value{"none", "paper", "falk"};
};
template <>
struct EnumNames<ClassBalance> {
  static constexpr std::array<std::string_view, 3> value{"none", "inv", "max1"};
};
template <>
struct EnumNames<SeparationBorder> {
  static constexpr std::array<std::string_view, 3> value{"freiburg", "thin", "sym"};
};
template <>
struct EnumNames<WeightMapUpdate> {
  static constexpr std::array<std::string_view, 2> value{"warp", "recompute"};
};
template <>
struct EnumNames<LossNormalisation> {
  static constexpr std::array<std::string_view, 2> value{"mean", "sumw"};
};
template <>
struct EnumNames<Precision> {
  static constexpr std::array<std::string_view, 3> value{"f32", "tf32", "bf16"};
};
template <>
struct EnumNames<Selection> {
  static constexpr std::array<std::string_view, 4> value{"loss", "iou", "pixel_error", "latest"};
};

/// How image and label files are understood.
struct DataConfig {
  LabelKind labels = LabelKind::automatic;
  int64_t ignore = -1;       // label value of pixels without truth; -1: none
  int64_t background = -1;   // of classes, the label value that is class 0; -1: the smallest
  int64_t connectivity = 4;  // 4 or 8: neighbours that join two pixels of a class to one object
  InputNormalisation normalisation = InputNormalisation::centred;
  double scale = 1;                  // factor by which images and labels are enlarged before training
  int64_t margin = 0;                // px: background nearer to a side is without truth; instances only
  double validation_fraction = 0.2;  // of the pages, taken from the end; 0: train on all. Unused with separate files
  bool labelled_only = false;        // leave images without labels out, by their names; otherwise they are an error
  double marker_radius = -1;         // px of the files around markers; -1: as far as labelled objects reach from theirs
  std::string validation_pages{};    // such as "0-4,10", from 0 over all pairs: instead of the fraction; empty: none
  bool operator==(const DataConfig&) const = default;
};

/// What one step sees.
struct TileConfig {
  int64_t input = 572;  // px, side of the input tile; valid sizes depend on the network's depth
  int64_t batch = 1;    // tiles a step
  bool operator==(const TileConfig&) const = default;
};

/// Caffe's update rules. SGD: V <- momentum V - lr g, W <- W + V.
struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double lr = 1e-3;
  double momentum = 0.99;     // SGD
  double beta1 = 0.9;         // Adam
  double beta2 = 0.999;       // Adam
  double epsilon = 1e-8;      // Adam
  double bias_lr_factor = 2;  // learning rate of biases relative to weights
  double weight_decay = 0;    // of weights, never of biases
  bool operator==(const OptimizerConfig&) const = default;
};

/// Learning rate over a run: linear warm-up, then a factor at each milestone.
struct ScheduleConfig {
  int64_t warmup = 500;                     // steps
  std::vector<double> decay_at{0.6, 0.85};  // fractions of the run, ascending
  double decay = 0.1;                       // factor at each
  bool operator==(const ScheduleConfig&) const = default;

  /// What to multiply the learning rate with at `step` = 0, 1, ..., when this share of the run is done.
  double factor(int64_t step, double fraction_done) const;
};

/// Random changes of each training tile, in this order: elastic, rotation, shift, flips, gray values.
struct AugmentationConfig {
  TileSampling sampling = TileSampling::uniform;
  bool rotation = true;  // any angle
  double shift = 8;      // px, uniform jitter of the tile centre to either side
  bool flips = false;    // left-right and up-down
  ElasticKind elastic = ElasticKind::grid3;
  double elastic_sigma = 10;     // px, standard deviation at the nodes of grid3 and bspline
  double elastic_spacing = 150;  // px, between the nodes of bspline
  double simard_alpha = 720;     // px, amplitude of simard
  double simard_sigma = 24;      // px, smoothing of simard
  bool gray = true;              // random monotone gray-value curve
  double gray_shift = 0.05;      // how far black and white points move, of the range
  double gray_slope_min = 0.8;
  double gray_slope_max = 1.2;
  bool operator==(const AugmentationConfig&) const = default;
};

/// w(x) = w_c + w0 exp(-(d1+d2)^2 / (2 sigma^2)), section 3 of the paper.
struct WeightMapConfig {
  WeightMapKind kind = WeightMapKind::paper;
  double w0 = 10;
  double sigma = 5;  // px
  ClassBalance class_balance = ClassBalance::inv;
  SeparationBorder border = SeparationBorder::freiburg;  // how touching objects are separated
  bool everywhere = false;                               // border term also inside objects
  WeightMapUpdate update = WeightMapUpdate::warp;        // of the map when a tile is deformed
  bool operator==(const WeightMapConfig&) const = default;
};

struct LossConfig {
  LossNormalisation normalisation = LossNormalisation::mean;
  bool operator==(const LossConfig&) const = default;
};

/// How the model's classes become instances, unless a user decides otherwise; data.connectivity belongs to it. Goes
/// into the model file. See InstanceOptions.
struct InstancesConfig {
  double threshold = 0.5;  // two classes: probability of the last from which a pixel belongs to it
  int64_t min_area = 0;    // px, smaller ones are left out
  bool fill_holes = false;
  double split = 0;  // probability below which bridges divide; 0: never
  bool regrow = false;
  bool operator==(const InstancesConfig&) const = default;
};

/// How long to train, and what is written when.
struct RunConfig {
  int64_t steps = 60000;
  double time_limit = 0;               // s; 0: none
  int64_t early_stop = 0;              // validations without improvement; 0: never
  int64_t validation_interval = 500;   // steps
  Selection select = Selection::iou;   // what makes a model the best one on validation
  int64_t checkpoint_interval = 1000;  // steps
  int64_t seed = 1;
  int64_t threads = 0;  // 0: one a core
  Precision precision = Precision::f32;
  bool operator==(const RunConfig&) const = default;
};

struct TrainingConfig {
  NetworkConfig network{.in_channels = 0, .classes = 0};  // 0: as many as the images and labels have
  DataConfig data;
  TileConfig tile;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  AugmentationConfig augmentation;
  WeightMapConfig weight_map;
  LossConfig loss;
  InstancesConfig instances;
  RunConfig run;
  bool operator==(const TrainingConfig&) const = default;

  /// Throws ConfigError naming the key, its range and the value given.
  void validate() const;
};

/// Names that make_config() takes as preset.
std::vector<std::string_view> preset_names();
/// The preset's file as written, with its comments. Throws ConfigError naming the presets.
std::string_view preset_text(std::string_view name);

/// Where a configuration comes from.
struct ConfigSources {
  std::string preset = "paper";
  std::optional<std::string> file{};    // path of a TOML file with any subset of the keys
  std::vector<std::string> settings{};  // "section.field=value"
};

/// Reads the layers in order and validates the result. Throws ConfigError for an unknown key (naming the nearest one),
/// a value of the wrong kind or outside its range, and a malformed file (with its line); IoError for a missing file.
TrainingConfig make_config(const ConfigSources& sources);

/// Overrides what `text` (TOML) sets; `origin` names it in errors.
void apply_toml(TrainingConfig& config, std::string_view text, const std::string& origin);
/// Overrides one key: "optimizer.lr=1e-4", "optimizer.kind=adam", "schedule.decay_at=[0.5, 0.9]".
void apply_setting(TrainingConfig& config, std::string_view setting);

/// Every key and its value, in TOML that apply_toml() reads back to an equal configuration.
std::string to_toml(const TrainingConfig& config);

}  // namespace unet
