#include "unet/picture.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace unet {
namespace {

using Colour = std::array<float, 3>;  // 0 .. 255

uint8_t to_byte(float v) { return static_cast<uint8_t>(std::clamp(v + 0.5F, 0.0F, 255.0F)); }

void put(Picture& picture, int64_t y, int64_t x, const Colour& colour, float opacity) {
  for (int64_t c = 0; c < 3; ++c) {
    uint8_t& v = picture.at(y, x, c);
    v = to_byte((1 - opacity) * static_cast<float>(v) + opacity * colour[static_cast<size_t>(c)]);
  }
}

/// Distinguishable also with the common forms of colour blindness (Okabe and Ito 2008).
Colour class_colour(int32_t label) {
  constexpr std::array<Colour, 6> colours{
      {{240, 228, 66}, {86, 180, 233}, {0, 158, 115}, {230, 159, 0}, {204, 121, 167}, {213, 94, 0}}};
  return colours[static_cast<size_t>(label - 1) % colours.size()];
}

constexpr std::array<Colour, 5> kHeat{{{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}}};

}  // namespace

Picture gray_picture(const Image& image, float black, float white) {
  Picture picture(image.height, image.width, 3);
  const int64_t channels = image.channels >= 3 ? 3 : 1;
  const float scale = 255 / std::max(white - black, 1e-20F);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) picture.at(y, x, c) = to_byte((image.at(y, x, c % channels) - black) * scale);
    }
  }
  return picture;
}

Picture heat_picture(const Image& values, float top) {
  Picture picture(values.height, values.width, 3);
  for (int64_t y = 0; y < values.height; ++y) {
    for (int64_t x = 0; x < values.width; ++x) {
      const float t =
          std::clamp(top > 0 ? values.at(y, x) / top : 0.0F, 0.0F, 1.0F) * static_cast<float>(kHeat.size() - 1);
      const auto low = std::min(static_cast<size_t>(t), kHeat.size() - 2);
      const float f = t - static_cast<float>(low);
      for (size_t c = 0; c < 3; ++c) {
        picture.at(y, x, static_cast<int64_t>(c)) = to_byte((1 - f) * kHeat[low][c] + f * kHeat[low + 1][c]);
      }
    }
  }
  return picture;
}

Grid<uint8_t> label_overlay(const LabelMap& classes, const LabelMap& objects) {
  if (classes.height != objects.height || classes.width != objects.width) {
    throw ShapeError(concat("label_overlay: expected classes and objects of one size, got ", classes.shape_text(),
                            " and ", objects.shape_text()));
  }
  Grid<uint8_t> overlay(classes.height, classes.width, 4);
  const auto set = [&](int64_t y, int64_t x, const Colour& colour, uint8_t opacity) {
    for (int64_t c = 0; c < 3; ++c) overlay.at(y, x, c) = to_byte(colour[static_cast<size_t>(c)]);
    overlay.at(y, x, 3) = opacity;
  };
  const auto differs = [&](int32_t id, int64_t y, int64_t x) {
    return y >= 0 && x >= 0 && y < objects.height && x < objects.width && objects.at(y, x) != id;
  };
  for (int64_t y = 0; y < classes.height; ++y) {
    for (int64_t x = 0; x < classes.width; ++x) {
      const int32_t label = classes.at(y, x), id = objects.at(y, x);
      const bool edge =
          id > 0 && (differs(id, y - 1, x) || differs(id, y + 1, x) || differs(id, y, x - 1) || differs(id, y, x + 1));
      if (label < 0) set(y, x, (x + y) % 8 < 3 ? Colour{255, 255, 255} : Colour{40, 40, 40}, 150);
      if (label > 0) set(y, x, class_colour(label), edge ? 230 : 76);
    }
  }
  return overlay;
}

std::string heat_gradient() {
  std::string stops;
  for (const Colour& colour : kHeat) stops += concat(",rgb(", colour[0], ',', colour[1], ',', colour[2], ')');
  return "linear-gradient(to right" + stops + ")";
}

LabelMap most_probable(const Image& probabilities) {
  LabelMap labels(probabilities.height, probabilities.width);
  const auto channels = static_cast<size_t>(probabilities.channels);
  for (size_t i = 0; i < labels.data.size(); ++i) {
    const auto first = probabilities.data.begin() + static_cast<ptrdiff_t>(i * channels);
    labels.data[i] = static_cast<int32_t>(std::max_element(first, first + static_cast<ptrdiff_t>(channels)) - first);
  }
  return labels;
}

Picture overlay_picture(const Image& image, const LabelMap& predicted, const LabelMap* truth) {
  Picture picture = gray_picture(image);
  if (predicted.height != image.height || predicted.width != image.width) {
    throw ShapeError(
        concat("overlay: expected classes of the image's size ", image.shape_text(), ", got ", predicted.shape_text()));
  }
  const auto label_at = [&](int64_t y, int64_t x) {
    return predicted.at(std::clamp<int64_t>(y, 0, image.height - 1), std::clamp<int64_t>(x, 0, image.width - 1));
  };
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const int32_t label = predicted.at(y, x);
      if (truth != nullptr) {
        const int32_t expected = truth->at(y, x);
        if (expected < 0) put(picture, y, x, {0, 0, 0}, 0.5F);
        if (expected >= 0 && label != expected)
          put(picture, y, x, label > expected ? Colour{230, 30, 30} : Colour{40, 90, 255}, 0.55F);
      }
      const bool edge = label != label_at(y - 1, x) || label != label_at(y + 1, x) || label != label_at(y, x - 1) ||
                        label != label_at(y, x + 1);
      if (label > 0 && edge) put(picture, y, x, class_colour(label), 0.85F);
    }
  }
  return picture;
}

}  // namespace unet
