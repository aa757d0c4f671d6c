#include "unet/model.h"

#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet {
namespace {

ModelInfo info() {
  return {
      .network = {.in_channels = 3, .classes = 2, .depth = 1, .width = 2, .up_relu = true, .last_up_channels = 3},
      .normalisation = InputNormalisation::min_max,
      .labels = LabelKind::instances,
      .class_values = {0, 255},
      .tile = 48,
      .pixel_size = {.width_um = 0.5, .height_um = 0.25, .depth_um = 2},
      .scale = 0.5,
      .threshold = 0.375,
      .instances = {
          .connectivity = Connectivity::eight, .fill_holes = true, .min_area_px = 500, .split = 0.75, .regrow = true}};
}

/// info() as JSON after `change`, read back.
template <class Change>
ModelInfo changed(Change change) {
  engine::Metadata metadata = to_metadata(info());
  auto json = nlohmann::json::parse(metadata.at("unet.model"));
  change(json);
  metadata["unet.model"] = json.dump();
  return model_info(metadata);
}

}  // namespace

TEST_CASE("model: what a file says comes back") {
  const test::TemporaryFolder folder;
  const auto device = engine::Device::make({.threads = 1});
  const Network network(device, info().network, 7);
  save_model(folder / "model.safetensors", network, info());
  const Model model = load_model(folder / "model.safetensors", device);
  CHECK(model.info == info());
  CHECK(model.info.pixel_size.depth_um == 2);
  CHECK(model.info.instances.connectivity == Connectivity::eight);
  CHECK(model.info.instances.min_area_px == 500);
  CHECK(model.info.instances.fill_holes);
  CHECK(model.info.instances.split == 0.75);
  CHECK(model.info.threshold == 0.375);
  CHECK(model.info.instances.regrow);
  const auto saved = network.parameters(), loaded = model.network.parameters();
  REQUIRE(saved.size() == loaded.size());
  for (size_t i = 0; i < saved.size(); ++i) CHECK(saved[i].value.to_vector() == loaded[i].value.to_vector());
}

TEST_CASE("model: files without a word about instances have plain ones") {
  const ModelInfo older = changed([](nlohmann::json& json) { json.erase("instances"), json.erase("threshold"); });
  CHECK(older.instances.connectivity == Connectivity::four);
  CHECK(older.instances.min_area_px == 0);
  CHECK_FALSE(older.instances.fill_holes);
  CHECK_FALSE(older.instances.regrow);
  CHECK(older.threshold == 0.5);
  CHECK(older.tile == 48);
}

TEST_CASE("model: a description that cannot be used is refused with the reason") {
  const auto refused = [](auto change, const char* reason) {
    CHECK_THROWS_AS(changed(change), CheckpointError);
    CHECK_THROWS_WITH(changed(change), Catch::Contains(reason));
  };
  refused([](nlohmann::json& json) { json["instances"]["connectivity"] = 6; }, "expected 4 or 8, got 6");
  refused([](nlohmann::json& json) { json["instances"].erase("regrow"); }, "regrow");
  refused([](nlohmann::json& json) { json["network"]["depth"] = "deep"; }, "cannot be read");
  refused([](nlohmann::json& json) { json["network"]["depth"] = 99; }, "cannot be used");
  refused([](nlohmann::json& json) { json["normalisation"] = "none"; }, "min_max");
  refused([](nlohmann::json& json) { json["threshold"] = 1.5; }, "threshold: expected 0 .. 1, got 1.5");
  refused([](nlohmann::json& json) { json["instances"]["split"] = -0.5; }, "instances.split: expected 0 .. 1");
  refused([](nlohmann::json& json) { json["instances"]["min_area"] = -1; }, "instances.min_area: expected 0 ..");
  refused([](nlohmann::json& json) { json["scale"] = 0; }, "scale: expected 0.01 .. 100, got 0");
  refused([](nlohmann::json& json) { json["tile"] = 0; }, "tile: expected 1 ..");
  CHECK_THROWS_WITH(model_info({}), Catch::Contains("expected a model written by unet_train"));
}

}  // namespace unet
