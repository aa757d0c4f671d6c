// The programs on a target with memory of its own.
#include "tests/catch.h"
#include "tests/tools/workplace.h"
#include "unet/image_reader.h"

namespace unet {

using test::contains;

#define UNET_TEXT_OF(name) #name
#define UNET_TEXT(name) UNET_TEXT_OF(name)
const std::string kDevice = " --device " UNET_TEXT(UNET_TEST_TARGET);

TEST_CASE("programs on a device: train, go on, segment with the tile that fits") {
  const test::Workplace place;
  const std::string few = kDevice + " --set run.validation_interval=100 --set tile.input=28 ";
  const auto trained = place.train("run", few + "--steps 3");
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "device: " UNET_TEXT(UNET_TEST_TARGET) ", "));
  CHECK(contains(trained.out, " free\n"));
  CHECK(contains(trained.out, "memory: "));
  CHECK(contains(place.read("run/log.jsonl"), "\"device\":\"" UNET_TEXT(UNET_TEST_TARGET) ", "));

  const auto resumed = place.train("run", few + "--steps 5 --resume");
  INFO(resumed.error);
  REQUIRE(resumed.code == 0);
  CHECK(std::filesystem::exists(place.path("run/checkpoints/ckpt-0000000005.safetensors")));

  const std::string infer = "--model run/model.safetensors --input images/page0.png --exact --output ";
  REQUIRE(place.run("unet_infer", infer + "one.tif --tile 88" + kDevice).code == 0);
  const auto tight = place.run("unet_infer", infer + "small.tif --tile 88 --max-memory 200kB" + kDevice);
  INFO(tight.out << tight.error);
  REQUIRE(tight.code == 0);
  CHECK(contains(tight.out, "tiles of 88 x 88 px do not fit into memory, going on with "));
  const Image one = ImageReader(place.path("one.tif")).read(0), small = ImageReader(place.path("small.tif")).read(0);
  CHECK(one.data == small.data);

  const auto none = place.run("unet_infer", infer + "none.tif --max-memory 10kB" + kDevice);
  CHECK(none.code == 5);
  CHECK(contains(none.error, "requested"));
  CHECK_FALSE(std::filesystem::exists(place.path("none.tif")));
}

}  // namespace unet
