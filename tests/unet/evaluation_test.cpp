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
                             const DataConfig& config = {},
                             const EvaluationOptions& options = {
                                 .metrics = {Metric::iou, Metric::dice, Metric::pixel}}) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "truth.png", row(truth));
  test::write_text(folder / "prediction.png", row(prediction));
  return evaluate(pair_pages(list_pages(folder / "prediction.png"), list_pages(folder / "truth.png")), config, options)
      .scores;
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

// 1 of 255 is hardly a cell, 1 of {0, 1} is one: all pages together tell what is meant, or the user.
TEST_CASE("evaluation: what predictions hold is found from all pages, or told") {
  const test::TemporaryFolder folder;
  for (const char* name :
       {"truth/a.png", "truth/b.png", "faint/a.png", "faint/b.png", "binary/a.png", "binary/b.png"}) {
    std::filesystem::create_directories((folder / name).parent_path());
    const bool has_gray = std::string(name) == "faint/b.png";
    test::write_text(folder / name, row({0, 1, static_cast<uint8_t>(has_gray ? 200 : 1), 0}));
  }
  const auto evaluated = [&](const char* predictions, PredictionKind told, const DataConfig& config = {}) {
    return evaluate(pair_pages(list_pages(folder / predictions), list_pages(folder / "truth")), config,
                    {.metrics = {Metric::pixel}, .predictions = told});
  };
  const Evaluation faint = evaluated("faint", PredictionKind::automatic);
  CHECK(faint.predictions == PredictionKind::probabilities);
  CHECK(value_of(faint.scores, "pixel_accuracy") == 5.0 / 8);
  const Evaluation binary = evaluated("binary", PredictionKind::automatic);
  CHECK(binary.predictions == PredictionKind::classes);
  CHECK(value_of(binary.scores, "pixel_accuracy") == 1);
  CHECK(value_of(evaluated("binary", PredictionKind::probabilities).scores, "pixel_accuracy") == 0.5);
  CHECK_THROWS_WITH(evaluated("faint", PredictionKind::classes),
                    Catch::Contains("b.png") && Catch::Contains("got 200"));

  const DataConfig instances{.labels = LabelKind::instances};
  CHECK(evaluated("faint", PredictionKind::automatic, instances).predictions == PredictionKind::instances);
  const Evaluation soft = evaluated("faint", PredictionKind::probabilities, instances);
  CHECK(value_of(soft.scores, "pixel_accuracy") == 5.0 / 8);
  CHECK_THROWS_WITH(evaluated("binary", PredictionKind::instances), Catch::Contains("truth is of classes"));
  CHECK_THROWS_WITH(evaluated("binary", PredictionKind::classes, instances), Catch::Contains("truth is of instances"));
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

TEST_CASE("evaluation: what suits the data is scored, once") {
  const auto names = [](const std::vector<Score>& scores) {
    std::string text;
    for (const Score& score : scores) text += score.name + " ";
    return text;
  };
  CHECK(names(scores_of({0, 255, 255}, {0, 255, 255}, {}, {})) ==
        "warping_error warping_error_classic rand_error pixel_error v_rand v_info iou_class_0 iou_class_1 dice_class_0 "
        "dice_class_1 "
        "pixel_accuracy ");
  CHECK(names(scores_of({0, 1, 2}, {0, 1, 1}, {.labels = LabelKind::instances}, {})) ==
        "seg ap_50 ap_50_95 panoptic_quality count_error iou_class_0 iou_class_1 dice_class_0 dice_class_1 "
        "pixel_accuracy pixel_error ");
  CHECK(names(scores_of({0, 255, 9}, {0, 255, 0}, {.ignore = 9}, {.metrics = {Metric::pixel}})) ==
        "pixel_accuracy pixel_error ");
}

TEST_CASE("evaluation: SEG of instances, within its field of interest") {
  const DataConfig config{.labels = LabelKind::instances};
  const std::vector<uint8_t> truth{1, 1, 0, 2, 2, 2}, prediction{5, 5, 5, 0, 7, 7};
  const auto scores = scores_of(truth, prediction, config, {.metrics = {Metric::seg}});
  REQUIRE(scores.size() == 1);
  CHECK(scores[0].value == Approx(2.0 / 3));
  CHECK(scores[0].remark() == "objects 2, matched 2");
  CHECK(value_of(scores_of(truth, prediction, config, {.metrics = {Metric::seg}, .margin_px = 1}), "seg") == 0);
}

TEST_CASE("evaluation: objects found") {
  const auto scores = scores_of({1, 1, 1, 0, 2, 2, 0, 3}, {5, 5, 0, 0, 7, 7, 0, 0}, {.labels = LabelKind::instances},
                                {.metrics = {Metric::objects}});
  CHECK(value_of(scores, "ap_50") == 2.0 / 3);
  CHECK(value_of(scores, "ap_50_95") == Approx((4 * (2.0 / 3) + 6 * (1.0 / 4)) / 10));  // IoU 2/3 up to 0.65
  CHECK(value_of(scores, "panoptic_quality") == Approx((2.0 / 3 + 1) / 2.5));
  CHECK(value_of(scores, "count_error") == Approx(1.0 / 3));
  CHECK(scores[0].remark() == "IoU from 0.5, mean over pages, precision 1, recall 0.6667, f1 0.8");
}

TEST_CASE("evaluation: metrics that do not suit the data are refused") {
  const EvaluationOptions isbi{.metrics = {Metric::isbi2012}}, seg{.metrics = {Metric::seg}};
  CHECK_THROWS_WITH(scores_of({0, 1, 2}, {0, 1, 2}, {}, isbi),
                    Catch::Contains("two classes, membrane and cell, got 3"));
  CHECK_THROWS_WITH(scores_of({0, 1, 2}, {0, 1, 2}, {.labels = LabelKind::instances}, isbi),
                    Catch::Contains("got instances"));
  CHECK_THROWS_WITH(scores_of({0, 1, 2}, {0, 1, 1}, {.ignore = 2}, isbi), Catch::Contains("--ignore"));
  CHECK_THROWS_WITH(scores_of({0, 1, 1}, {0, 1, 1}, {}, seg), Catch::Contains("--labels instances"));
}

TEST_CASE("evaluation: details follow the scores in JSON") {
  const std::string json = scores_json({{"iou", 0.5, ""}, {"rand_error", 0.25, "", {{"threshold", 0.5}}}}, 1);
  CHECK(json.find("\"details\": {\n    \"rand_error\": {\n      \"threshold\": 0.5\n    }\n  }") != std::string::npos);
  CHECK(Score{"rand_error", 0.25, "all", {{"threshold", 0.5}}}.remark() == "all, threshold 0.5");
}

TEST_CASE("evaluation: scores as JSON") {
  CHECK(scores_json({{"iou_class_1", 0.5, "x"}}, 3) ==
        "{\n  \"pages\": 3,\n  \"scores\": {\n    \"iou_class_1\": 0.5\n  }\n}\n");
}

}  // namespace unet
