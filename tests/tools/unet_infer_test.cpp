// Segments and scores as a user does.
#include <algorithm>
#include <filesystem>

#include "tests/catch.h"
#include "tests/tools/workplace.h"
#include "unet/image_reader.h"

namespace unet {
namespace {

namespace fs = std::filesystem;
using test::contains;
using Result = test::ProgramResult;
using test::Workplace;

}  // namespace

TEST_CASE("programs: pages held back are segmented and scored alone") {
  const Workplace place;
  REQUIRE(place.train("run").code == 0);
  const std::string infer = "--model run/model.safetensors --input images --probability-bits 8 ";
  for (const std::string& arguments : {infer + "--output all", infer + "--pages 1,3 --output some"}) {
    const Result result = place.run("unet_infer", arguments);
    INFO(result.error);
    REQUIRE(result.code == 0);
  }
  CHECK_FALSE(fs::exists(place.path("some/page0_probability.tif")));
  CHECK(ImageReader(place.path("some/page3_probability.tif")).info(0).type == kUint8);
  const std::string eval = "--truth labels --pages 1,3 --json scores.json --prediction ";
  const Result of_some = place.run("unet_eval", eval + "some");
  INFO(of_some.error);
  REQUIRE(of_some.code == 0);
  CHECK(contains(of_some.out, "2 pages, of 4 with truth"));
  const std::string scores = place.read("scores.json");
  CHECK(contains(scores, "\"pages\": 2"));
  CHECK(contains(place.run("unet_eval", eval + "all").out, "2 pages of 4 predicted, of 4 with truth"));
  CHECK(place.read("scores.json") == scores);
  CHECK(place.run("unet_eval", eval + "some/page1_probability.tif").code == 3);
  CHECK(place.run("unet_infer", infer + "--pages 4 --output some").code == 2);
}

TEST_CASE("programs: instances are made as the model says, unless an option says otherwise") {
  const Workplace place;
  REQUIRE(place.train("run", "--set data.connectivity=8 --set instances.min_area=100000 --set instances.regrow=true")
              .code == 0);
  const auto largest_id = [&](const std::string& options) {
    const Result result = place.run("unet_infer",
                                    "--model run/model.safetensors --input images/page0.png --write instances "
                                    "--output ids.tif --threshold 0 " +
                                        options);
    INFO(result.error);
    REQUIRE(result.code == 0);
    const LabelMap ids = ImageReader(place.path("ids.tif")).read_labels(0);
    return result.out + "largest " + std::to_string(*std::max_element(ids.data.begin(), ids.data.end()));
  };
  const std::string by_model = largest_id("");
  CHECK(contains(by_model, "instances: 8-connected, at least 100000 px, regrown\n"));
  CHECK(contains(by_model, "largest 0"));
  const std::string by_user = largest_id("--min-area 5 --connectivity 4 --fill-holes --no-regrow");
  CHECK(contains(by_user, "instances: 4-connected, at least 5 px, holes filled\n"));
  CHECK(contains(by_user, "largest 1"));
}

}  // namespace unet
