#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/image_writer.h"
#include "unet/training_set.h"

namespace unet {
namespace {

/// Columns of gray 20 and 220, four pixels wide, and an object on each bright one.
struct Stripes {
  explicit Stripes(int64_t pages = 2) {
    LabelMap gray(16, 24), ids(16, 24);
    for (int64_t y = 0; y < 16; ++y) {
      for (int64_t x = 0; x < 24; ++x) {
        const int64_t stripe = x / 4;
        gray.at(y, x) = stripe % 2 == 1 ? 220 : 20;
        ids.at(y, x) = stripe % 2 == 1 ? static_cast<int32_t>(stripe) : 0;
      }
    }
    write("images.tif", kUint8, gray, pages);
    write("labels.tif", kUint16, ids, pages);
  }
  void write(const std::string& name, SampleType type, const LabelMap& values, int64_t pages) const {
    ImageWriter writer(folder / name, {.pages = pages, .height = values.height, .width = values.width, .type = type});
    for (int64_t page = 0; page < pages; ++page) writer.write_rows(values);
    writer.commit();
  }
  TrainingData load(const std::vector<std::string>& settings) const {
    return load_training_data({.images = folder / "images.tif", .labels = folder / "labels.tif"},
                              make_config({.preset = "tiny", .settings = settings}));
  }

  test::TemporaryFolder folder;
};

}  // namespace

TEST_CASE("training data: images and labels are scaled before borders, and the model remembers") {
  const Stripes stripes;
  const TrainingData whole = stripes.load({}), half = stripes.load({"data.scale=0.5"});
  CHECK(whole.info.scale == 1);
  CHECK(half.info.scale == 0.5);
  CHECK(model_info(to_metadata(half.info)) == half.info);
  REQUIRE(half.set.training.size() == 1);
  const TrainingPage& page = half.set.training[0];
  CHECK(page.image.shape_text() == "[8,12,1]");
  for (const std::string& shape : {page.instances.shape_text(), page.classes.shape_text(), page.weights.shape_text()}) {
    CHECK(shape == "[8,12,1]");
  }
  CHECK(std::vector<int32_t>(page.instances.data.begin(), page.instances.data.begin() + 12) ==
        std::vector<int32_t>{0, 0, 1, 1, 0, 0, 3, 3, 0, 0, 5, 5});
  CHECK(page.image.at(0, 0) == Approx(0.0).margin(1e-6));
  CHECK(page.image.at(0, 1) == Approx(0.125));  // (0 + 3*0 + 3*0 + 1)/8 of the pixels 1 .. 4
  // The background between two objects is two pixels wide here, and four where the scale is 1.
  CHECK(page.weights.at(4, 4) > whole.set.training[0].weights.at(8, 9));
  CHECK_THROWS_WITH(stripes.load({"data.scale=0"}), Catch::Contains("data.scale: expected 0.01 .. 100"));
}

TEST_CASE("training data: background near the sides is without truth, objects there are not") {
  const Stripes stripes;
  const TrainingPage page = stripes.load({"data.margin=3", "weight_map.border=freiburg"}).set.training[0];
  int64_t ignored = 0;
  for (int64_t y = 0; y < 16; ++y) {
    for (int64_t x = 0; x < 24; ++x) {
      const bool near = y < 3 || y >= 13 || x < 3 || x >= 21, object = x / 4 % 2 == 1;
      CAPTURE(y, x);
      CHECK(page.classes.at(y, x) == (object ? 1 : near ? -1 : 0));
      CHECK((page.weights.at(y, x) == 0) == (near && !object));
      if (page.instances.at(y, x) < 0) ++ignored;
    }
  }
  CHECK(ignored == 12 * 16 - 9 * 10);  // of the background, all but its middle
  CHECK_THROWS_WITH(stripes.load({"data.margin=3", "data.labels=classes"}), Catch::Contains("data.margin: expected 0"));
}

}  // namespace unet
