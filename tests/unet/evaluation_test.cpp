#include "unet/evaluation.h"

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/png_io.h"

namespace unet {
namespace {

/// One row of pixels as an 8-bit PNG.
std::string row(const std::vector<uint8_t>& values) {
  Grid<uint8_t> image(1, static_cast<int64_t>(values.size()));
  image.data = values;
  return encode_png(image);
}

std::vector<Score> scores_of(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& prediction,
                             const DataConfig& config = {}) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "truth.png", row(truth));
  test::write_text(folder / "prediction.png", row(prediction));
  return evaluate(pair_pages(list_pages(folder / "prediction.png"), list_pages(folder / "truth.png")), config,
                  {.metrics = {Metric::iou, Metric::dice, Metric::pixel}});
}

double value_of(const std::vector<Score>& scores, const std::string& name) {
  for (const Score& score : scores) {
    if (score.name == name) return score.value;
  }
  FAIL("no score " << name);
  return 0;
}

}  // namespace

// Truth has 3 cells and 5 background pixels, the prediction finds 2 of them and claims one more.
TEST_CASE("evaluation: counts by hand") {
  const auto scores = scores_of({0, 0, 0, 0, 0, 255, 255, 255}, {0, 0, 0, 0, 255, 255, 255, 0});
  CHECK(value_of(scores, "iou_class_1") == 2.0 / 4);
  CHECK(value_of(scores, "iou_class_0") == 4.0 / 6);
  CHECK(value_of(scores, "dice_class_1") == 4.0 / 6);
  CHECK(value_of(scores, "pixel_accuracy") == 6.0 / 8);
  CHECK(value_of(scores, "pixel_error") == Approx(1 - 4.0 / 6));
  CHECK(scores.size() == 6);
}

TEST_CASE("evaluation: gray values are probabilities, and their best threshold counts") {
  const auto scores = scores_of({0, 0, 1, 1}, {10, 40, 90, 200});  // of 255; separable at 0.2 and 0.3, not at 0.5
  CHECK(value_of(scores, "pixel_error") == 0);
  CHECK(value_of(scores, "pixel_accuracy") == 0.75);
}

TEST_CASE("evaluation: ignored pixels do not count") {
  const auto scores = scores_of({0, 255, 7, 7}, {0, 255, 0, 255}, {.ignore = 7});
  CHECK(value_of(scores, "pixel_accuracy") == 1);
  CHECK(value_of(scores, "pixel_error") == 0);
}

TEST_CASE("evaluation: more than two classes") {
  const auto scores = scores_of({0, 5, 9, 9}, {0, 5, 9, 5});
  CHECK(value_of(scores, "iou_class_2") == 0.5);
  CHECK(value_of(scores, "iou_mean") == 0.5);
  CHECK(value_of(scores, "pixel_accuracy") == 0.75);
  CHECK_THROWS_AS(scores_of({0, 5, 9, 9}, {0, 5, 9, 6}), DataError);
}

TEST_CASE("evaluation: instances are one class of objects") {
  const auto scores = scores_of({0, 1, 2, 2}, {0, 4, 4, 0}, {.labels = LabelKind::instances});
  CHECK(value_of(scores, "iou_class_1") == 2.0 / 3);
}

TEST_CASE("evaluation: scores as JSON") {
  CHECK(scores_json({{"iou_class_1", 0.5, "x"}}, 3) ==
        "{\n  \"pages\": 3,\n  \"scores\": {\n    \"iou_class_1\": 0.5\n  }\n}\n");
}

}  // namespace unet
