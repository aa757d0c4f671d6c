#include "unet/training_set.h"

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/image_writer.h"

namespace unet {
namespace {

using Catch::Contains;

/// Images and labels of a few pages, each page of its own gray value.
class DataFolder : public test::TemporaryFolder {
 public:
  explicit DataFolder(int64_t pages) {
    for (int64_t page = 0; page < pages; ++page) {
      const std::string number = concat("t", page, ".tif");
      write_image(at("images", number), Image(8, 9, 1, static_cast<float>(page)), kUint8);
      LabelMap cells(8, 9);
      cells.at(3, 4) = 1;
      write_labels(at("labels", number), cells, kUint8);
    }
  }
  std::filesystem::path at(const std::string& side, const std::string& name) const {
    std::filesystem::create_directories(*this / side);
    return *this / (side + "/" + name);
  }
  TrainingInputs inputs() const { return {.images = *this / "images", .labels = *this / "labels"}; }
};

TrainingConfig small() {
  TrainingConfig config;
  config.network.depth = 1;
  config.tile.input = 34;
  return config;
}

using Numbers = std::vector<int64_t>;

Numbers numbers(const std::vector<NumberedPair>& pairs) {
  Numbers out;
  for (const NumberedPair& pair : pairs) out.push_back(pair.number);
  return out;
}

/// The gray value that a page was written with.
Numbers grays(const std::vector<TrainingPage>& pages) {
  Numbers out;
  for (const TrainingPage& page : pages) out.push_back(std::lround(page.image.data[0] * 255));
  return out;
}

}  // namespace

TEST_CASE("training data: the listed pages validate, the others train") {
  const DataFolder folder(6);
  TrainingConfig config = small();
  config.data.validation_pages = "3,0-1";
  const TrainingData data = load_training_data(folder.inputs(), config);
  CHECK(numbers(data.training_pairs) == Numbers{2, 4, 5});
  CHECK(numbers(data.validation_pairs) == Numbers{0, 1, 3});
  CHECK(grays(data.set.training) == Numbers{2, 4, 5});
  CHECK(grays(data.set.validation) == Numbers{0, 1, 3});
}

TEST_CASE("training data: without a list the last pages validate") {
  const DataFolder folder(6);
  TrainingConfig config = small();
  CHECK(numbers(load_training_data(folder.inputs(), config).validation_pairs) == Numbers{4, 5});
  config.data.validation_fraction = 0;
  CHECK(load_training_data(folder.inputs(), config).validation_pairs.empty());
  config.data.validation_fraction = 0.9;
  CHECK(numbers(load_training_data(folder.inputs(), config).training_pairs) == Numbers{0});
}

TEST_CASE("training data: lists that cannot be validated on are refused") {
  const DataFolder folder(3);
  const auto load = [&](const std::string& pages, TrainingInputs inputs) {
    TrainingConfig config = small();
    config.data.validation_pages = pages;
    return load_training_data(inputs, config);
  };
  CHECK_THROWS_WITH(load("1,3", folder.inputs()), "data.validation_pages: expected pages 0 to 2, got 3");
  CHECK_THROWS_WITH(load("0-2", folder.inputs()), Contains("expected some of the 3 pages, got all (0-2)"));
  CHECK_THROWS_AS(load("one", folder.inputs()), ConfigError);
  TrainingInputs both = folder.inputs();
  both.validation_images = both.images, both.validation_labels = both.labels;
  CHECK_THROWS_WITH(load("1", both), Contains("expected none beside separate validation images, got 1"));
  CHECK(load("", both).validation_pairs.size() == 3);
}

TEST_CASE("training data: images without labels are an error, or left out by name") {
  const DataFolder folder(4);
  std::filesystem::remove(folder.at("labels", "t1.tif"));
  TrainingConfig config = small();
  CHECK_THROWS_WITH(load_training_data(folder.inputs(), config),
                    Contains("no labels for ") && Contains("t1.tif") && Contains("--labelled-only"));
  config.data.labelled_only = true;
  config.data.validation_pages = "1";
  const TrainingData data = load_training_data(folder.inputs(), config);
  CHECK(data.left_out == 1);
  CHECK(grays(data.set.training) == Numbers{0, 3});
  CHECK(grays(data.set.validation) == Numbers{2});
}

TEST_CASE("training data: objects that are marked and not labelled are no background") {
  const DataFolder folder(3);  // the only labelled object of each page is its pixel (3,4)
  LabelMap marks(8, 9);
  marks.at(3, 4) = 1;
  write_labels(folder.at("markers", "m0.tif"), marks, kUint8);
  marks.at(0, 0) = 2;
  write_labels(folder.at("markers", "m1.tif"), marks, kUint8);
  write_labels(folder.at("markers", "m2.tif"), marks, kUint8);
  write_labels(folder.at("markers", "m3.tif"), marks, kUint8);  // of a frame that is not trained on
  TrainingConfig config = small();
  config.data.validation_pages = "2";
  config.data.marker_radius = 1;
  TrainingInputs inputs = folder.inputs();
  inputs.markers = folder / "markers";
  const TrainingData data = load_training_data(inputs, config);
  REQUIRE(data.markers);
  CHECK(data.markers->objects == 5);
  CHECK(data.markers->unlabelled_objects == 2);
  CHECK(data.markers->ignored == 6);
  CHECK_THAT(data.markers->describe(), Contains("2 of 5 marked objects have no label; within 1 px"));
  for (const TrainingPage* page : {&data.set.training[0], &data.set.training[1], &data.set.validation[0]}) {
    const bool complete = page == &data.set.training[0];
    for (int64_t y = 0; y < 8; ++y) {
      for (int64_t x = 0; x < 9; ++x) {
        const int32_t expected = y == 3 && x == 4 ? 1 : !complete && y + x <= 1 ? -1 : 0;
        CAPTURE(page->name, y, x);
        REQUIRE(page->classes.at(y, x) == expected);
        REQUIRE((page->weights.at(y, x) == 0) == (expected == -1));
      }
    }
  }
  // Class frequencies are those of the remaining training pixels: 2 object, 139 background.
  CHECK(data.set.class_weights == std::vector<float>{141.0F / (2 * 139), 141.0F / (2 * 2)});

  std::filesystem::remove(folder.at("markers", "m1.tif"));
  CHECK_THROWS_WITH(load_training_data(inputs, config),
                    Contains("pair markers and images: no markers for ") && Contains("t1.tif"));
}

TEST_CASE("training data: the marker radius is found from labelled objects, or asked for") {
  const DataFolder folder(2);
  LabelMap cells(8, 9), marks(8, 9);
  for (int64_t x = 2; x < 8; ++x) cells.at(2, x) = cells.at(3, x) = 1;  // reaches from its mark at x = 3 to x = 7
  marks.at(3, 3) = 1, marks.at(7, 0) = 2;
  write_labels(folder.at("labels", "t0.tif"), cells, kUint8);
  write_labels(folder.at("markers", "t0.tif"), marks, kUint8);
  write_labels(folder.at("markers", "t1.tif"), marks, kUint8);
  TrainingInputs inputs = folder.inputs();
  inputs.markers = folder / "markers";
  TrainingConfig config = small();
  config.data.validation_pages = "1";
  CHECK(load_training_data(inputs, config).config.data.marker_radius == std::sqrt(17.0));
  // At half the size the mark is a quarter of a pixel and still there, and the radius is told in pixels of the files.
  config.data.scale = 0.5;
  const TrainingData half = load_training_data(inputs, config);
  CHECK(half.markers->objects == 4);
  CHECK(half.config.data.marker_radius == Approx(4).margin(1));
  config.data.scale = 1;
  marks.at(3, 3) = 0;
  write_labels(folder.at("markers", "t0.tif"), marks, kUint8);
  CHECK_THROWS_WITH(load_training_data(inputs, config), Contains("data.marker_radius: expected a radius in px"));
}

}  // namespace unet
