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

}  // namespace unet
