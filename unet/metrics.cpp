#include "unet/metrics.h"

#include <algorithm>
#include <cmath>

namespace unet {
namespace {

template <class A, class B>
void require_same_size(const char* what, const A& prediction, const B& truth) {
  if (prediction.height == truth.height && prediction.width == truth.width) return;
  throw ShapeError(concat(what, ": expected a prediction of the truth's size ", truth.height, "x", truth.width,
                          ", got ", prediction.height, "x", prediction.width));
}

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void ConfusionMatrix::add(const LabelMap& predicted, const LabelMap& truth) {
  require_same_size("confusion matrix", predicted, truth);
  for (size_t i = 0; i < truth.data.size(); ++i) {
    const int32_t t = truth.data[i], p = predicted.data[i];
    if (t < 0) continue;
    if (t >= classes_ || p < 0 || p >= classes_) {
      throw DataError(
          concat("confusion matrix: expected classes 0 to ", classes_ - 1, ", got truth ", t, " and prediction ", p));
    }
    ++count_[static_cast<size_t>(t * classes_ + p)];
  }
}

void ConfusionMatrix::add_probabilities(const Image& probabilities, const LabelMap& truth) {
  if (probabilities.channels != classes_) {
    throw ShapeError(concat("confusion matrix: expected the probabilities of ", classes_, " classes, got ",
                            probabilities.shape_text()));
  }
  LabelMap predicted(probabilities.height, probabilities.width);
  const auto channels = static_cast<ptrdiff_t>(probabilities.channels);
  auto pixel = probabilities.data.begin();
  for (int32_t& label : predicted.data) {
    label = static_cast<int32_t>(std::max_element(pixel, pixel + channels) - pixel);
    pixel += channels;
  }
  add(predicted, truth);
}

int64_t ConfusionMatrix::truth_pixels(int64_t c) const {
  int64_t sum = 0;
  for (int64_t p = 0; p < classes_; ++p) sum += count(c, p);
  return sum;
}

int64_t ConfusionMatrix::predicted_pixels(int64_t c) const {
  int64_t sum = 0;
  for (int64_t t = 0; t < classes_; ++t) sum += count(t, c);
  return sum;
}

double ConfusionMatrix::iou(int64_t c) const {
  return ratio(count(c, c), truth_pixels(c) + predicted_pixels(c) - count(c, c));
}

double ConfusionMatrix::dice(int64_t c) const { return ratio(2 * count(c, c), truth_pixels(c) + predicted_pixels(c)); }

double ConfusionMatrix::mean_iou() const {
  double sum = 0;
  for (int64_t c = 1; c < classes_; ++c) sum += iou(c);
  return sum / static_cast<double>(classes_ - 1);
}

double ConfusionMatrix::mean_dice() const {
  double sum = 0;
  for (int64_t c = 1; c < classes_; ++c) sum += dice(c);
  return sum / static_cast<double>(classes_ - 1);
}

double ConfusionMatrix::pixel_accuracy() const {
  int64_t right = 0, all = 0;
  for (int64_t c = 0; c < classes_; ++c) right += count(c, c), all += truth_pixels(c);
  return ratio(right, all);
}

double PixelError::threshold(size_t i) {
  double t = 0;
  for (size_t k = 0; k < i; ++k) t += 0.1;  // as the challenge's loop: the last one is 0.9999999999999999
  return t;
}

void PixelError::add(const Image& probabilities, const LabelMap& truth) {
  require_same_size("pixel error", probabilities, truth);
  std::array<double, kThresholds> thresholds{};
  for (size_t k = 0; k < kThresholds; ++k) thresholds[k] = threshold(k);
  const auto channels = static_cast<size_t>(probabilities.channels);
  for (size_t i = 0; i < truth.data.size(); ++i) {
    if (truth.data[i] < 0) continue;
    const bool cell = truth.data[i] > 0;
    truth_ += cell;
    const auto p = static_cast<double>(probabilities.data[i * channels + channels - 1]);
    if (std::isnan(p)) throw NumericError(concat("pixel error: the probability of pixel ", i, " is not a number"));
    for (size_t k = 0; k < kThresholds && p > thresholds[k]; ++k) {  // thresholds ascend
      ++predicted_[k];
      true_positive_[k] += cell;
    }
  }
}

double PixelError::f1(size_t i) const {
  if (true_positive_[i] == 0) return 0;
  return 2.0 * static_cast<double>(true_positive_[i]) / static_cast<double>(predicted_[i] + truth_);
}

PixelError::Best PixelError::best() const {
  Best best;
  for (size_t k = 0; k < kThresholds; ++k) {
    if (1 - f1(k) < best.error) best = {1 - f1(k), threshold(k)};
  }
  return best;
}

}  // namespace unet
