// Segments and scores as a user does.
#include <algorithm>
#include <cstdlib>
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

/// A variable of the environment, as long as this lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

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

TEST_CASE("programs: a result's name says what it is, or is a folder") {
  const Workplace place;
  REQUIRE(place.train("run").code == 0);
  const std::string infer = "--model run/model.safetensors --input images/page0.png ";
  const Result wrong = place.run("unet_infer", infer + "--output result.png");
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.error, "expected a name that ends in .tif, which probability is written as"));
  CHECK_FALSE(fs::exists(place.path("result.png")));
  CHECK(place.run("unet_infer", infer + "--write overlay --output result.tif").code == 2);
  CHECK(place.run("unet_infer", infer + "--write overlay --output result.png").code == 0);
  CHECK(place.run("unet_infer", infer + "--output result.tiff").code == 0);
  CHECK(place.run("unet_infer", infer + "--output result").code == 0);
  CHECK(fs::exists(place.path("result/page0_probability.tif")));
}

TEST_CASE("programs: instances are made as the model says, unless an option says otherwise") {
  const Workplace place;
  REQUIRE(place
              .train("run",
                     "--set data.connectivity=8 --set instances.min_area=100000 --set instances.regrow=true "
                     "--set instances.threshold=0")
              .code == 0);
  const auto largest_id = [&](const std::string& options) {
    const Result result = place.run("unet_infer",
                                    "--model run/model.safetensors --input images/page0.png --write instances "
                                    "--output ids.tif " +
                                        options);
    INFO(result.error);
    REQUIRE(result.code == 0);
    const LabelMap ids = ImageReader(place.path("ids.tif")).read_labels(0);
    return result.out + "largest " + std::to_string(*std::max_element(ids.data.begin(), ids.data.end()));
  };
  const std::string by_model = largest_id("");
  CHECK(contains(by_model, "instances: probability from 0, 8-connected, at least 100000 px, regrown\n"));
  CHECK(contains(by_model, "largest 0"));
  const std::string by_user = largest_id("--min-area 5 --connectivity 4 --fill-holes --no-regrow");
  CHECK(contains(by_user, "instances: probability from 0, 4-connected, at least 5 px, holes filled\n"));
  CHECK(contains(by_user, "largest 1"));
  CHECK(contains(largest_id("--threshold 1 --min-area 1"), "largest 0"));
}

TEST_CASE("programs: models that come with the program have names") {
  const Workplace place;
  REQUIRE(place.train("run").code == 0);
  fs::create_directories(place.path("prefix/bin"));
  fs::create_directories(place.path("prefix/share/unet/models"));
  fs::copy_file(place.path("run/model.safetensors"), place.path("prefix/share/unet/models/discs.safetensors"));
  test::write_text(
      place.path("prefix/share/unet/models/discs.md"),
      "# Discs\n\n| | |\n|---|---|\n| data | bright discs |\n| licence | CC0-1.0 |\n| scores | SEG 0.9 |\n");
  const std::string apply = "--input images/page0.png --output p.tif --model ";
  const Result of_folder = place.run("unet_infer", apply + "run");
  INFO(of_folder.error);
  REQUIRE(of_folder.code == 0);
  const std::string expected = place.read("p.tif");

  const Result none = place.run("unet_infer", apply + "discs");
  CHECK(none.code == 2);
  CHECK(contains(none.error, "discs"));

  {
    const Variable chosen("UNET_MODELS", place.path("prefix/share/unet/models"));
    fs::remove(place.path("p.tif"));
    REQUIRE(place.run("unet_infer", apply + "discs").code == 0);
    CHECK(place.read("p.tif") == expected);
    const Result unknown = place.run("unet_infer", apply + "disks");
    CHECK(unknown.code == 2);
    CHECK(contains(unknown.error, "(discs), got disks"));
  }
  fs::copy_file(Workplace::programs() + "/unet_infer", place.path("prefix/bin/unet_infer"));
  const Variable installed("UNET_PROGRAMS", place.path("prefix/bin"));
  const Result listed = place.run("unet_infer", "--list-models");
  CHECK(listed.code == 0);
  CHECK(contains(listed.out, "1 model in " + place.path("prefix/share/unet/models") + "\n\ndiscs\n"));
  CHECK(contains(listed.out, "  data        bright discs\n  licence     CC0-1.0\n  scores      SEG 0.9\n"));
}

}  // namespace unet
