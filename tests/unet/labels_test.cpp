#include "unet/labels.h"

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/image_writer.h"
#include "unet/output_file.h"
#include "unet/png_io.h"

namespace unet {
namespace {

using Catch::Contains;
using test::TemporaryFolder;

class LabelFolder : public TemporaryFolder {
 public:
  void add(const std::string& name, const std::vector<int32_t>& values, SampleType type) const {
    LabelMap labels(1, std::ssize(values));
    labels.data = values;
    write_labels(*this / name, labels, type);
  }
  LabelSurvey survey(LabelKind kind = LabelKind::automatic, int64_t ignore = -1) const {
    return survey_labels(list_pages(path().string()), {.labels = kind, .ignore = ignore});
  }
};

LabelMap translated(const LabelSurvey& survey, const std::vector<int32_t>& values) {
  LabelMap labels(1, std::ssize(values));
  labels.data = values;
  survey.translate(labels);
  return labels;
}

}  // namespace

TEST_CASE("two values are classes, the higher one class 1") {
  for (const SampleType type : {kUint8, kUint16, kFloat32}) {
    const LabelFolder folder;
    folder.add("a.tif", {0, 255, 255, 0}, type);
    folder.add("b.tif", {255, 255, 255, 255}, type);
    const LabelSurvey survey = folder.survey();
    CHECK(survey.kind == LabelKind::classes);
    CHECK(survey.detected);
    CHECK(survey.classes() == 2);
    CHECK(survey.class_values == std::vector<int32_t>{0, 255});
    CHECK(survey.histogram == std::map<int32_t, int64_t>{{0, 2}, {255, 6}});
    CHECK(translated(survey, {255, 0}).data == std::vector<int32_t>{1, 0});
    CHECK_THROWS_AS(translated(survey, {1}), DataError);
    CHECK_THAT(survey.describe(), Contains("classes (detected") && Contains("class 1 is value 255: 75.00 %"));
  }
}

TEST_CASE("several values are classes in 8 bits and instances in 16, unless forced") {
  const std::vector<int32_t> values = {0, 3, 3, 1, 1, 2};
  const LabelFolder narrow, wide;
  narrow.add("a.tif", values, kUint8);
  wide.add("a.tif", values, kUint16);
  wide.add("b.tif", {0, 1, 0, 7}, kUint16);
  CHECK(narrow.survey().kind == LabelKind::classes);
  CHECK(narrow.survey(LabelKind::instances).kind == LabelKind::instances);
  CHECK_FALSE(narrow.survey(LabelKind::instances).detected);
  CHECK(wide.survey(LabelKind::classes).class_values == std::vector<int32_t>{0, 1, 2, 3, 7});

  const LabelSurvey survey = wide.survey();
  CHECK(survey.kind == LabelKind::instances);
  CHECK(survey.objects == 5);
  CHECK(survey.classes() == 2);
  CHECK(translated(survey, {0, 7, 9}).data == std::vector<int32_t>{0, 7, 9});
  CHECK_THROWS_AS(translated(survey, {-2}), DataError);
  CHECK_THAT(survey.describe(), Contains("5 objects: 70.00 %, background: 30.00 %"));
}

TEST_CASE("many values are instances in 8 bits too") {
  const LabelFolder folder;
  std::vector<int32_t> values(17);
  for (int32_t i = 0; i < 17; ++i) values[static_cast<size_t>(i)] = i;
  folder.add("a.tif", values, kUint8);
  CHECK(folder.survey().kind == LabelKind::instances);
  CHECK(folder.survey(LabelKind::automatic, 16).kind == LabelKind::classes);
}

TEST_CASE("pixels of the ignore value become -1 and are no class") {
  const LabelFolder folder;
  folder.add("a.tif", {0, 1, 255, 255}, kUint16);
  const LabelSurvey survey = folder.survey(LabelKind::automatic, 255);
  CHECK(survey.class_values == std::vector<int32_t>{0, 1});
  CHECK(translated(survey, {255, 1, 0}).data == std::vector<int32_t>{-1, 1, 0});
  CHECK_THAT(survey.describe(), Contains("ignored (value 255): 50.00 %"));
  CHECK(folder.survey(LabelKind::instances, 255).objects == 1);
}

TEST_CASE("the background of classes is chosen: masks that are white between objects") {
  const LabelFolder folder;
  folder.add("a.tif", {0, 255, 100, 255}, kUint8);
  const auto survey = [&](int64_t background, LabelKind kind = LabelKind::automatic) {
    return survey_labels(list_pages(folder.path().string()), {.labels = kind, .background = background});
  };
  CHECK(survey(255).class_values == std::vector<int32_t>{255, 0, 100});
  CHECK(translated(survey(255), {0, 100, 255}).data == std::vector<int32_t>{1, 2, 0});
  CHECK(survey(255).class_of(100) == 2);
  CHECK(survey(255).class_of(7) == -1);
  CHECK(survey(0).class_values == survey(-1).class_values);
  CHECK_THROWS_WITH(survey(7), Contains("data.background: expected a value of the labels, got 7"));
  CHECK_THROWS_WITH(survey(255, LabelKind::instances), Contains("expected 0 or none with instances"));
}

TEST_CASE("labels that cannot teach anything are refused") {
  const LabelFolder empty, many;
  empty.add("a.tif", {0, 0, 255}, kUint8);
  CHECK_THROWS_WITH(empty.survey(LabelKind::automatic, 255), Contains("only 0"));
  std::vector<int32_t> values(256);
  for (int32_t i = 0; i < 256; ++i) values[static_cast<size_t>(i)] = i;
  many.add("a.tif", values, kUint16);
  CHECK_THROWS_WITH(many.survey(LabelKind::classes), Contains("256") && Contains("instances?"));
}

TEST_CASE("masks saved as color pictures count by one channel if all agree") {
  const TemporaryFolder folder;
  Grid<uint8_t> rgba(1, 2, 4, 255);
  rgba.data = {0, 0, 0, 255, 7, 7, 7, 255};
  write_file(folder / "a.png", encode_png(rgba));
  ImageReader reader(folder / "a.png");
  CHECK(read_label_values(reader, 0).data == std::vector<int32_t>{0, 7});
  rgba.at(0, 1, 2) = 8;
  write_file(folder / "b.png", encode_png(rgba));
  ImageReader other(folder / "b.png");
  CHECK_THROWS_WITH(read_label_values(other, 0), Contains("row 0, column 1"));
}

TEST_CASE("an image is no label map, unless it is said to be one") {
  LabelMap image(40, 50), disks(40, 50), dots(40, 50), outlined(40, 50);
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 50; ++x) {
      image.at(y, x) = static_cast<int32_t>(100 + (x * x + 7 * y + x * y) % 60);
      disks.at(y, x) = static_cast<int32_t>(1 + y / 5 * 10 + x / 5);  // 80 objects that touch
      // Cells among 400 fragments of an ignored value, which are no objects.
      outlined.at(y, x) = y < 8 ? 100 + x / 2 : y % 2 == 1 && x % 2 == 1 ? 255 : 0;
      dots.at(y, x) = y % 4 == 0 && x % 3 == 0 ? static_cast<int32_t>(50 * y + x) : 0;  // single pixels
    }
  }
  const auto survey = [](const LabelMap& labels, LabelKind kind, SampleType type) {
    const LabelFolder folder;
    write_labels(folder / "a.tif", labels, type);
    return folder.survey(kind);
  };
  CHECK_THROWS_WITH(survey(image, LabelKind::automatic, kUint8),
                    Contains("a.tif") && Contains("regions of each value, got ") && Contains("as in an image"));
  CHECK_THROWS_AS(survey(image, LabelKind::automatic, kUint16), DataError);
  CHECK(survey(image, LabelKind::instances, kUint16).kind == LabelKind::instances);
  CHECK(survey(disks, LabelKind::automatic, kUint16).objects == 80);
  const LabelFolder folder;
  write_labels(folder / "a.tif", outlined, kUint16);
  CHECK(folder.survey(LabelKind::automatic, 255).objects == 25);
  CHECK_THROWS_AS(folder.survey(), DataError);
  CHECK(survey(dots, LabelKind::automatic, kUint16).kind == LabelKind::instances);
}

}  // namespace unet
