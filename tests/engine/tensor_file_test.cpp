#include "engine/tensor_file.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet::engine {
namespace {

using Catch::Matchers::Contains;
using test::TemporaryFolder;

const std::vector<float> kWeight{0.5F, -1.0F, 2.0F, 3.5F, -4.25F, 1e-38F};
const std::vector<float> kBias{-7.0F, 0.25F};

std::shared_ptr<Device> make_device() { return Device::make({.target = kernels::Target::reference, .threads = 1}); }

ParameterList network(const std::shared_ptr<Device>& device) {
  return {{"weight", Tensor::from(device, {2, 1, 1, 3}, kWeight)}, {"bias", Tensor::from(device, {2}, kBias)}};
}

/// The same shapes with other values.
ParameterList blank(const std::shared_ptr<Device>& device) {
  return {{"weight", Tensor::zeros(device, {2, 1, 1, 3})}, {"bias", Tensor::zeros(device, {2})}};
}

bool is_blank(const ParameterList& list) {
  for (const Parameter& p : list) {
    for (const double value : p.value.to_double()) {
      if (value != 0) return false;
    }
  }
  return true;
}

TEST_CASE("tensor_file: values come back, bit for bit") {
  const TemporaryFolder folder;
  const auto device = make_device();
  save_tensors(folder / "a", network(device), {{"note", "text"}});
  const SafetensorsFile file(folder / "a");
  CHECK(file.metadata().at("note") == "text");
  CHECK(file.find("weight")->type_text() == "f32 [2,1,1,3]");
  CHECK(file.find("bias")->type_text() == "f32 [2]");
  const ParameterList loaded = blank(device);
  load_tensors(file, loaded);
  CHECK(loaded[0].value.to_vector() == kWeight);
  CHECK(loaded[1].value.to_vector() == kBias);
}

TEST_CASE("tensor_file: every element type, and layouts other than channels last") {
  const TemporaryFolder folder;
  const auto device = make_device();
  const std::vector<double> wide{1.0 / 3, -2e300};
  const std::vector<int32_t> labels{-1, 2147483647};
  const Tensor blocked = Tensor::zeros(device, {1, 2, 1, 20}, DType::bf16, Layout::blocked);
  std::vector<float> rising;
  for (int i = 0; i < 40; ++i) rising.push_back(static_cast<float>(i));
  blocked.assign(rising);
  const Tensor bytes = Tensor::zeros(device, {3}, DType::u8);
  bytes.mutable_view<uint8_t>()(0, 0, 0, 2) = 255;
  save_tensors(folder / "a", {{"wide", Tensor::from(device, {2}, wide)},
                              {"labels", Tensor::from(device, {2}, labels)},
                              {"blocked", blocked},
                              {"bytes", bytes}});

  const ParameterList loaded{{"wide", Tensor::zeros(device, {2}, DType::f64)},
                             {"labels", Tensor::zeros(device, {2}, DType::i32)},
                             {"blocked", Tensor::zeros(device, {1, 2, 1, 20}, DType::bf16, Layout::blocked)},
                             {"bytes", Tensor::zeros(device, {3}, DType::u8)}};
  load_tensors(SafetensorsFile(folder / "a"), loaded);
  CHECK(loaded[0].value.to_double() == wide);
  CHECK(loaded[1].value.to_double() == std::vector<double>{-1, 2147483647});
  CHECK(loaded[2].value.to_vector() == rising);
  CHECK(loaded[3].value.to_vector() == std::vector<float>{0, 0, 255});
}

TEST_CASE("tensor_file: parts of a file are told apart by a prefix") {
  const TemporaryFolder folder;
  const auto device = make_device();
  ParameterList all = with_prefix("model/", network(device));
  const ParameterList other = with_prefix("optimizer/", {{"bias", Tensor::from(device, {1}, std::vector<float>{5})}});
  all.insert(all.end(), other.begin(), other.end());
  save_tensors(folder / "a", all);
  const SafetensorsFile file(folder / "a");
  const ParameterList loaded = blank(device);
  load_tensors(file, loaded, "model/");
  CHECK(loaded[0].value.to_vector() == kWeight);
  CHECK_THROWS_WITH(load_tensors(file, loaded, "optimizer/"), Contains("'optimizer/weight'"));
}

TEST_CASE("tensor_file: a file for another network is refused and nothing changes") {
  const TemporaryFolder folder;
  const auto device = make_device();
  const ParameterList loaded = blank(device);
  const auto refuses = [&](const ParameterList& saved, const std::string& message) {
    save_tensors(folder / "a", saved);
    const SafetensorsFile file(folder / "a");
    CHECK_THROWS_AS(load_tensors(file, loaded), CheckpointError);
    CHECK_THROWS_WITH(load_tensors(file, loaded), Contains(message));
    CHECK(is_blank(loaded));
  };
  const Tensor weight = network(device)[0].value, bias = network(device)[1].value;
  refuses({{"weight", weight}}, "tensor 'bias': expected f32 [2], got none");
  refuses({{"weight", weight}, {"bias", bias}, {"more", bias}},
          "tensor 'more': expected none of that name, got f32 [2]");
  refuses({{"weight", weight}, {"bias", weight}}, "tensor 'bias': expected f32 [2], got f32 [2,1,1,3]");
  refuses({{"weight", weight}, {"bias", Tensor::from(device, {1, 2}, kBias)}}, "expected f32 [2], got f32 [1,2]");
  refuses({{"weight", weight}, {"bias", Tensor::from(device, {2}, kBias, DType::bf16)}}, "f32 [2], got bf16 [2]");
}

TEST_CASE("tensor_file: values that are not finite are neither written nor loaded") {
  const TemporaryFolder folder;
  const auto device = make_device();
  const ParameterList loaded = blank(device);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> values{1.0F, bad};
    const ParameterList saved{{"weight", network(device)[0].value}, {"bias", Tensor::from(device, {2}, values)}};
    CHECK_THROWS_AS(save_tensors(folder / "a", saved), NumericError);
    CHECK_THROWS_WITH(save_tensors(folder / "a", saved), Contains("'bias'") && Contains("finite"));
    CHECK(folder.names().empty());

    write_safetensors(folder / "b", {{"weight", DType::f32, {2, 1, 1, 3}, std::as_bytes(std::span(kWeight))},
                                     {"bias", DType::f32, {2}, std::as_bytes(std::span(values))}});
    CHECK_THROWS_AS(load_tensors(SafetensorsFile(folder / "b"), loaded), CheckpointError);
    CHECK_THROWS_WITH(load_tensors(SafetensorsFile(folder / "b"), loaded), Contains("'bias'") && Contains("finite"));
    CHECK(is_blank(loaded));
    std::filesystem::remove(folder / "b");
  }
}

TEST_CASE("tensor_file: saving and loading take no memory of the device") {
  const TemporaryFolder folder;
  const auto device = make_device();
  const ParameterList saved = network(device), loaded = blank(device);
  device->arena().fail_at(1, true);
  save_tensors(folder / "a", saved);
  load_tensors(SafetensorsFile(folder / "a"), loaded);
  CHECK(loaded[0].value.to_vector() == kWeight);
}

}  // namespace
}  // namespace unet::engine
