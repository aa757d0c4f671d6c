// The sliding-window network that won the ISBI 2012 challenge and that the U-Net was made to replace: it tells the
// class of the pixel in the middle of a patch. Source: Ciresan, Giusti, Gambardella and Schmidhuber, "Deep neural
// networks segment neuronal membranes in electron microscopy images", NIPS 2012.
#pragma once

#include "benchmarks/baselines/layers.h"
#include "unet/augment.h"
#include "unet/random.h"
#include "unet/tile.h"

namespace unet::baselines {

/// The defaults are the paper's network N4, Table 1: patches of 95 px.
struct PatchClassifierConfig {
  int64_t in_channels = 1;
  int64_t classes = 2;
  std::vector<int64_t> filters{4, 5, 4, 4};  // px, side of each unpadded convolution; 2x2 max pooling follows each
  int64_t last_side = 3;                     // px, of the maps that the fully connected layer sees
  int64_t maps = 48;                         // channels of every convolution
  int64_t hidden = 200;                      // neurons of the fully connected layer

  /// Side of a patch in px, from the last pooling upwards.
  int64_t side() const;
  /// Throws ConfigError unless all sizes are at least 1 and a patch has a middle pixel.
  void validate() const;

  /// Patches of 65 px, the side of the paper's other networks, with three convolutions of 4, 4 and 5 px.
  static PatchClassifierConfig small(int64_t maps) { return {.filters = {4, 4, 5}, .last_side = 5, .maps = maps}; }
};

/// Convolutions with ReLU and max pooling, a fully connected layer with ReLU, and one score a class.
class PatchClassifier {
 public:
  PatchClassifier(std::shared_ptr<engine::Device> device, const PatchClassifierConfig& config, uint64_t seed,
                  DType dtype = DType::f32);

  /// Scores [N,1,1,classes] of patches [N,side,side,in_channels]. Throws ShapeError for other sizes.
  engine::Tensor forward(const engine::Tensor& patches) const;

  /// Probabilities [part.height,part.width,classes] of a part of an image [H,W,C], each the one of the patch around the
  /// pixel, but what neighbouring patches have in common is computed once. See Note [Fragments].
  Image segment(const Image& image, const Rect& part) const;
  /// Multiply-adds of segment().
  double multiply_adds(const Rect& part) const;

  engine::ParameterList parameters(double bias_lr_factor = 1) const { return layers_.parameters(bias_lr_factor); }
  const PatchClassifierConfig& config() const { return config_; }
  const std::shared_ptr<engine::Device>& device() const { return layers_.device(); }

 private:
  /// Where the pixels of a fragment lie in a part of an image: at offset, offset + stride, ...
  struct Phase {
    int64_t y = 0, x = 0, stride = 1;  // px
  };
  Size fragment_input(Size fragment) const;
  void segment_fragment(const engine::Tensor& h, size_t level, const Phase& phase, Image& out) const;

  PatchClassifierConfig config_;
  LayerList layers_;
  std::vector<Layer> convolutions_;
  Layer hidden_, scores_;
};

// Note [Fragments]: convolutions give the same to all patches that share a pixel, but the windows of a pooling begin at
// the corner of a patch, which is even for one pixel and odd for the next. So each pooling is done four times, on maps
// that begin at an even or odd row and column; the four fragments go on separately, and after k poolings the 4^k
// fragments hold the patches of all pixels. Source: Giusti, Ciresan, Masci, Gambardella and Schmidhuber, "Fast image
// scanning with deep max-pooling convolutional neural networks", ICIP 2013.

/// Patches with the class of their middle pixels.
struct PatchBatch {
  std::vector<float> patches;   // [N,side,side,C]
  std::vector<int32_t> labels;  // [N,1,1,1]
};

/// `count` patches of a training sample around pixels drawn at random, from each class that it has as often as from the
/// others: Ciresan et al. train on as many patches of cells as of membranes. Only patches that lie in the sample whole
/// are drawn. Throws DataError where there is no labelled pixel to draw.
PatchBatch draw_patches(const Sample& sample, int64_t side, int64_t count, RandomStream& random);

/// Probabilities [part.height,part.width,classes] of a part of an image [H,W,C]: the network is run once for each of
/// its pixels, over `batch` patches at a time. The image continues by mirroring.
Image segment_by_patches(const PatchClassifier& classifier, const Image& image, const Rect& part, int64_t batch);

}  // namespace unet::baselines
