#include "unet/segmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/bytes.h"
#include "unet/image_reader.h"
#include "unet/image_writer.h"

namespace unet {
namespace {

using test::big;

/// A network that passes gray values on: class 1 from the middle of the range on, sharply.
Model threshold_model() {
  ModelInfo info{.network = {.depth = 1, .width = 1}, .normalisation = InputNormalisation::unit};
  Network network(engine::Device::make({.threads = 2}), info.network, 1);
  for (const engine::Parameter& p : network.parameters()) {
    std::vector<float> values(static_cast<size_t>(p.value.shape().elements()), 0.0F);
    if (p.name == "encoder.0.conv1.weight" || p.name == "encoder.0.conv2.weight" ||
        p.name == "decoder.0.conv2.weight") {
      values.at(4) = 1;  // the middle of 3x3
    }
    if (p.name == "decoder.0.conv1.weight") values.at(9) = 1;  // the middle, of the skip connection
    if (p.name == "head.weight") values = {0, 40};
    if (p.name == "head.bias") values = {0, -20};
    p.value.assign(values);
  }
  return {info, std::move(network)};
}

/// Discs, one of them with a hole, at other places on each page; two blocks two pixels apart.
LabelMap mask(int64_t page) {
  LabelMap labels(60, 80);
  for (int64_t y = 0; y < 60; ++y) {
    for (int64_t x = 0; x < 80; ++x) {
      const auto within = [&](int64_t cy, int64_t cx, int64_t radius) {
        return (y - cy) * (y - cy) + (x - cx) * (x - cx) <= radius * radius;
      };
      const bool ring = within(15 + page, 20, 11) && !within(15 + page, 20, 4);
      const bool disc = within(18, 55 + 3 * page, 9),
                 block = y >= 40 && y < 55 && ((x >= 10 && x < 25) || (x >= 27 && x < 40));
      labels.at(y, x) = ring || disc || block || (y == 35 && x == 70) ? 1 : 0;
    }
  }
  return labels;
}

struct Scene {
  explicit Scene(const ImageMetadata& metadata = {}, int64_t pages = 3) {
    ImageWriter writer(folder / "cells.tif",
                       {.pages = pages, .height = 60, .width = 80, .type = kUint8, .metadata = metadata});
    for (int64_t page = 0; page < pages; ++page) {
      LabelMap gray = mask(page);
      for (int32_t& v : gray.data) v = v == 1 ? 230 : 20;
      writer.write_rows(gray);
    }
    writer.commit();
  }
  void segment(const std::vector<Output>& outputs, SegmentationOptions options = {}) const {
    options.outputs = outputs;
    std::vector<std::filesystem::path> files;
    for (const Output output : outputs) files.push_back(output_path(folder.path(), folder / "cells.tif", output));
    segment_file(model, folder / "cells.tif", files, options);
  }
  LabelMap labels(const std::string& name, int64_t page) const { return ImageReader(folder / name).read_labels(page); }

  test::TemporaryFolder folder;
  Model model = threshold_model();
};

/// Pixels inside of a ROI by the even-odd rule, from the bytes of its file.
LabelMap rasterised(const std::string& roi, int64_t height, int64_t width) {
  std::vector<std::vector<std::pair<double, double>>> paths(1);  // (x, y)
  if (big(roi, 36, 4) == 0) {
    const size_t n = big(roi, 16, 2);
    for (size_t i = 0; i < n; ++i) {
      paths[0].emplace_back(big(roi, 10, 2) + big(roi, 64 + 2 * i, 2), big(roi, 8, 2) + big(roi, 64 + 2 * (n + i), 2));
    }
  } else {
    const auto at = [&](size_t i) { return double{test::big_float(roi, 64 + 4 * i)}; };
    for (size_t i = 0; i < big(roi, 36, 4);) {
      if (at(i) == 4) {
        paths.emplace_back(), ++i;
      } else {
        paths.back().emplace_back(at(i + 1), at(i + 2)), i += 3;
      }
    }
  }
  LabelMap inside(height, width);
  for (const auto& path : paths) {
    for (size_t i = 0; i < path.size(); ++i) {
      const auto [x0, y0] = path[i];
      const auto [x1, y1] = path[(i + 1) % path.size()];
      for (int64_t y = 0; y < height; ++y) {
        const double centre = static_cast<double>(y) + 0.5;
        if ((y0 <= centre) == (y1 <= centre)) continue;
        const double crossing = x0 + (centre - y0) / (y1 - y0) * (x1 - x0);
        for (int64_t x = 0; x < width; ++x) inside.at(y, x) ^= static_cast<double>(x) + 0.5 > crossing ? 1 : 0;
      }
    }
  }
  return inside;
}

}  // namespace

TEST_CASE("segmentation: ROIs of all pages cover exactly the pixels of the instances") {
  const Scene scene;
  scene.segment({Output::instances, Output::rois, Output::objects});
  const auto rois = test::unzip(test::read_text(scene.folder / "cells_rois.zip"));
  CHECK(rois.size() == 3 * 5);
  for (int64_t page = 0; page < 3; ++page) {
    const LabelMap ids = scene.labels("cells_instances.tif", page), truth = mask(page);
    for (size_t i = 0; i < ids.data.size(); ++i) REQUIRE((ids.data[i] > 0) == (truth.data[i] == 1));
    for (int32_t id = 1; id <= 5; ++id) {
      const std::string& roi = rois.at(concat("000", page + 1, "-0000", id, ".roi"));
      CHECK(roi.substr(0, 4) == "Iout");
      CHECK(big(roi, 56, 4) == static_cast<uint32_t>(page + 1));
      const LabelMap inside = rasterised(roi, 60, 80);
      for (size_t i = 0; i < inside.data.size(); ++i) REQUIRE((inside.data[i] == 1) == (ids.data[i] == id));
    }
  }
  const std::string csv = test::read_text(scene.folder / "cells_objects.csv");
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 16);
}

TEST_CASE("segmentation: hyperstacks tell ImageJ slice and frame, stacks only the page") {
  ImageMetadata metadata;
  metadata.axes = {.channels = 1, .slices = 2, .frames = 2};
  const Scene hyperstack(metadata, 4);
  hyperstack.segment({Output::rois});
  const auto rois = test::unzip(test::read_text(hyperstack.folder / "cells_rois.zip"));
  for (uint32_t page = 0; page < 4; ++page) {  // slices run first
    const std::string& roi = rois.at(concat("000", page + 1, "-00001.roi"));
    const size_t second = big(roi, 60, 4);
    CHECK(big(roi, 56, 4) == page + 1);
    CHECK(big(roi, second + 4, 4) == 1);
    CHECK(big(roi, second + 8, 4) == page % 2 + 1);
    CHECK(big(roi, second + 12, 4) == page / 2 + 1);
  }

  metadata.axes = {.channels = 1, .slices = 3, .frames = 1};
  const Scene stack(metadata);
  stack.segment({Output::rois});
  const std::string roi = test::unzip(test::read_text(stack.folder / "cells_rois.zip")).at("0003-00001.roi");
  CHECK(big(roi, 56, 4) == 3);
  CHECK(big(roi, big(roi, 60, 4) + 8, 4) == 0);
}

TEST_CASE("segmentation: chosen pages are those of the whole, under their numbers") {
  const std::vector<Output> outputs{Output::probability, Output::instances, Output::objects, Output::rois,
                                    Output::overlay};
  const Scene scene;
  scene.segment(outputs);
  const auto rois = test::unzip(test::read_text(scene.folder / "cells_rois.zip"));
  std::vector<Image> probabilities;
  std::vector<LabelMap> ids;
  std::vector<std::string> overlays;
  for (int64_t page = 0; page < 3; ++page) {
    probabilities.push_back(ImageReader(scene.folder / "cells_probability.tif").read(page));
    ids.push_back(scene.labels("cells_instances.tif", page));
    overlays.push_back(test::read_text(scene.folder / concat("cells_overlay_", page, ".png")));
    std::filesystem::remove(scene.folder / concat("cells_overlay_", page, ".png"));
  }

  SegmentationOptions options;
  options.pages = {0, 2};
  scene.segment(outputs, options);
  ImageReader probability(scene.folder / "cells_probability.tif");
  REQUIRE(probability.pages() == 2);
  CHECK(probability.read(1).data == probabilities[2].data);
  CHECK(scene.labels("cells_instances.tif", 1).data == ids[2].data);
  CHECK(test::read_text(scene.folder / "cells_overlay_2.png") == overlays[2]);
  CHECK_FALSE(std::filesystem::exists(scene.folder / "cells_overlay_1.png"));
  const auto chosen = test::unzip(test::read_text(scene.folder / "cells_rois.zip"));
  CHECK(chosen.size() == 10);
  for (const auto& [name, roi] : chosen) CHECK(roi == rois.at(name));
  const std::string csv = test::read_text(scene.folder / "cells_objects.csv");
  CHECK(csv.find("\n2,1,") != std::string::npos);
  CHECK(csv.find("\n1,1,") == std::string::npos);

  for (const std::vector<int64_t>& bad : {std::vector<int64_t>{3}, {-1}, {2, 0}, {1, 1}}) {
    options.pages = bad;
    CHECK_THROWS_WITH(scene.segment(outputs, options), Catch::Contains("expected pages from 0 to 2"));
  }
}

TEST_CASE("segmentation: as many result pages as input pages need not be the same slices and frames") {
  ImageMetadata metadata;
  metadata.axes = {.channels = 1, .slices = 2, .frames = 3};
  Scene scene(metadata, 6);
  scene.model.info.network.classes = 3;
  scene.model.network = Network(scene.model.network.device(), scene.model.info.network, 1);
  SegmentationOptions options;
  options.pages = {0, 3};
  scene.segment({Output::probability, Output::instances}, options);
  const ImageReader probability(scene.folder / "cells_probability.tif");
  REQUIRE(probability.pages() == 6);  // a page a class
  CHECK(probability.metadata().axes.frames == 1);
  options.pages = {};
  scene.segment({Output::instances}, options);
  CHECK(ImageReader(scene.folder / "cells_instances.tif").metadata().axes.frames == 3);
}

TEST_CASE("segmentation: overlays outline the instances that are kept") {
  const Scene scene({}, 1);
  const auto coloured = [&](int64_t min_area_px) {
    SegmentationOptions options;
    options.instances.min_area_px = min_area_px;
    scene.segment({Output::overlay}, options);
    const Image picture = ImageReader(scene.folder / "cells_overlay.png").read(0);
    std::set<std::array<float, 3>> colours;
    for (int64_t y = 0; y < picture.height; ++y) {
      for (int64_t x = 0; x < picture.width; ++x) {
        const std::array<float, 3> rgb{picture.at(y, x, 0), picture.at(y, x, 1), picture.at(y, x, 2)};
        if (rgb[0] != rgb[1] || rgb[1] != rgb[2]) colours.insert(rgb);
      }
    }
    return colours.size();
  };
  CHECK(coloured(0) == 5);  // a colour each
  CHECK(coloured(2) == 4);
  CHECK(coloured(100000) == 0);
}

TEST_CASE("segmentation: probabilities of 8 and 16 bits are the floating-point ones, rounded") {
  const Scene scene;
  scene.segment({Output::probability});
  const std::filesystem::path file = scene.folder / "cells_probability.tif";
  std::vector<Image> expected;
  for (int64_t page = 0; page < 3; ++page) expected.push_back(ImageReader(file).read(page));
  for (const SampleType type : {kUint8, kUint16}) {
    SegmentationOptions options;
    options.probability_type = type;
    scene.segment({Output::probability}, options);
    ImageReader reader(file);
    CHECK(reader.info(0).type == type);
    for (int64_t page = 0; page < 3; ++page) {
      std::vector<float> rounded = expected[static_cast<size_t>(page)].data;
      for (float& p : rounded) p = std::nearbyint(p * (type == kUint8 ? 255.0F : 65535.0F));
      CHECK(reader.read(page).data == rounded);
    }
  }
}

TEST_CASE("segmentation: holes, small objects and the border between objects") {
  const Scene scene;
  SegmentationOptions options;
  options.instances = {.fill_holes = true, .min_area_px = 2, .regrow = true};
  scene.segment({Output::instances}, options);
  const LabelMap ids = scene.labels("cells_instances.tif", 0);
  CHECK(*std::max_element(ids.data.begin(), ids.data.end()) == 4);
  CHECK(ids.at(15, 20) == 1);
  CHECK(ids.at(35, 70) == 0);
  CHECK(ids.at(45, 25) == 3);
  CHECK(ids.at(45, 26) == 4);
  CHECK(ids.at(45, 40) == 0);
}

TEST_CASE("segmentation: at another scale results have the size of the image, and objects their places") {
  ImageMetadata metadata;
  metadata.pixel_size = {.width_um = 0.5, .height_um = 0.5};
  Scene scene(metadata);
  for (const double scale : {2.0, 0.5, 1.37}) {
    SegmentationOptions options;
    options.scale = scale;
    scene.segment({Output::classes, Output::probability}, options);
    for (int64_t page = 0; page < 3; ++page) {
      const LabelMap classes = scene.labels("cells_classes.tif", page), truth = mask(page);
      REQUIRE(classes.shape_text() == truth.shape_text());
      int64_t differ = 0;
      for (size_t i = 0; i < truth.data.size(); ++i) differ += classes.data[i] != truth.data[i] ? 1 : 0;
      CHECK(differ < 200);  // of 4800 pixels, and 300 lie at an edge of an object
    }
  }
  SegmentationOptions twice, automatic;
  twice.scale = 2, automatic.scale = 0;
  scene.segment({Output::probability}, twice);
  const std::string expected = test::read_text(scene.folder / "cells_probability.tif");
  CHECK_THROWS_WITH(scene.segment({Output::probability}, automatic), Catch::Contains("the model does not tell"));
  scene.model.info.pixel_size = {.width_um = 0.25, .height_um = 0.25};
  scene.segment({Output::probability}, automatic);
  CHECK(test::read_text(scene.folder / "cells_probability.tif") == expected);
  scene.model.info.pixel_size = {.width_um = 1, .height_um = 1};  // half of it, enlarged four times as in training
  scene.model.info.scale = 4;
  scene.segment({Output::probability}, automatic);
  CHECK(test::read_text(scene.folder / "cells_probability.tif") == expected);

  Scene unknown;
  unknown.model.info.pixel_size = {.width_um = 0.25, .height_um = 0.25};
  CHECK_THROWS_WITH(unknown.segment({Output::probability}, automatic), Catch::Contains("this image does not tell"));
}

TEST_CASE("segmentation: a page that does not fit into memory is refused at once, with what would do") {
  const Scene scene;
  SegmentationOptions options;
  options.max_memory_bytes = 1;
  CHECK_THROWS_WITH(scene.segment({Output::probability}, options),
                    Catch::Contains("cells.tif") && Catch::Contains("raise --max-memory"));
  CHECK_FALSE(std::filesystem::exists(scene.folder / "cells_probability.tif"));
}

}  // namespace unet
