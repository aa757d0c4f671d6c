#include "unet/config.h"

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/config_fields.h"

namespace unet {
namespace {

/// The message of the error that `action` must throw.
template <class Expected, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Expected& error) {
    return error.what();
  }
  FAIL("nothing of the expected type was thrown");
  return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TrainingConfig preset(const std::string& name) { return make_config({.preset = name}); }

}  // namespace

TEST_CASE("config: preset paper is the paper, sets every key and equals the defaults") {
  const TrainingConfig config = preset("paper");
  CHECK(config == TrainingConfig{});
  CHECK(config.network.depth == 4);
  CHECK(config.network.width == 64);
  CHECK(config.network.dropout == 0.5);
  CHECK_FALSE(config.network.up_relu);
  CHECK(config.network.upconv_fan == UpconvFan::cin);
  CHECK(config.tile.input == 572);
  CHECK(config.optimizer.kind == OptimizerKind::sgd);
  CHECK(config.optimizer.momentum == 0.99);
  CHECK(config.augmentation.elastic == ElasticKind::grid3);
  CHECK(config.augmentation.elastic_sigma == 10);
  CHECK(config.weight_map.w0 == 10);
  CHECK(config.weight_map.sigma == 5);
  CHECK(config.weight_map.class_balance == ClassBalance::inv);
  CHECK(config.schedule.decay_at == std::vector<double>{0.6, 0.85});

  const std::string text(preset_text("paper"));
  visit_fields(config, [&](std::string_view key, const auto&, Range) {
    const std::string field(key.substr(key.find('.') + 1));
    INFO(key);
    CHECK(contains(text, "\n" + field + " = "));
  });
}

TEST_CASE("config: the other presets change what they say") {
  const TrainingConfig release = preset("release");
  CHECK(release.network.up_relu);
  CHECK(release.network.last_up_channels == 128);
  CHECK(release.network.upconv_fan == UpconvFan::release);
  CHECK(release.augmentation.elastic == ElasticKind::bspline);
  CHECK(release.augmentation.elastic_spacing == 150);
  CHECK(release.data.normalisation == InputNormalisation::unit);
  CHECK(release.network.width == 64);
  CHECK(release.data.connectivity == 8);
  CHECK(release.instances == InstancesConfig{.min_area = 500});

  CHECK(preset("em").augmentation.flips);
  CHECK(preset("cells").data.connectivity == 8);
  CHECK(preset("cells").augmentation.sampling == TileSampling::density);
  CHECK(preset("tiny").network.width == 16);
  CHECK(preset("tiny").optimizer.kind == OptimizerKind::adam);
  CHECK(preset_names() == std::vector<std::string_view>{"paper", "cells", "em", "release", "tiny"});
}

TEST_CASE("config: every key of every preset says why") {
  for (const std::string_view name : preset_names()) {
    std::istringstream lines{std::string(preset_text(name))};
    for (std::string line; std::getline(lines, line);) {
      if (!contains(line, " = ") || line[0] == '#') continue;
      CAPTURE(name, line);
      CHECK(contains(line, " # "));
      CHECK(line.size() <= 120);
    }
  }
}

TEST_CASE("config: an unknown preset names the presets") {
  const std::string message = message_of<ConfigError>([] { preset("peper"); });
  CHECK(contains(message, "peper"));
  CHECK(contains(message, "paper, cells, em, release, tiny"));
}

TEST_CASE("config: file overrides preset, settings override file, the last setting wins") {
  const test::TemporaryFolder folder;
  const std::string file = folder / "my.toml";
  test::write_text(file, "[optimizer]\nlr = 0.25\nmomentum = 0.5\n[run]\nsteps = 7\n");
  const TrainingConfig config =
      make_config({.preset = "tiny", .file = file, .settings = {"optimizer.lr=0.125", "run.seed=3", "run.seed=4"}});
  CHECK(config.network.width == 16);
  CHECK(config.optimizer.momentum == 0.5);
  CHECK(config.run.steps == 7);
  CHECK(config.optimizer.lr == 0.125);
  CHECK(config.run.seed == 4);
}

TEST_CASE("config: settings of every kind") {
  TrainingConfig config;
  apply_setting(config, "augmentation.elastic=simard");
  CHECK(config.augmentation.elastic == ElasticKind::simard);
  apply_setting(config, "augmentation.elastic=\"bspline\"");
  CHECK(config.augmentation.elastic == ElasticKind::bspline);
  apply_setting(config, "schedule.decay_at=[0.25, 0.5, 1]");
  CHECK(config.schedule.decay_at == std::vector<double>{0.25, 0.5, 1});
  apply_setting(config, "schedule.decay_at=[]");
  CHECK(config.schedule.decay_at.empty());
  apply_setting(config, "network.up_relu=true");
  CHECK(config.network.up_relu);
  apply_setting(config, "run.steps=6e4");
  CHECK(config.run.steps == 60000);
  apply_setting(config, "weight_map.w0=3");
  CHECK(config.weight_map.w0 == 3);
  for (const char* pages : {"0-4,10", "3", "\"0-4\"", "0, 2", ""}) {
    apply_setting(config, concat("data.validation_pages=", pages));
    CHECK(config.data.validation_pages == (pages[0] == '"' ? "0-4" : pages));
  }
}

TEST_CASE("config: the resolved configuration reads back equal, key by key") {
  for (const std::string_view name : preset_names()) {
    TrainingConfig config = preset(std::string(name));
    config.optimizer.lr = 0.1 + 0.2;  // needs all 17 digits
    config.schedule.decay_at = {1.0 / 3, 0.9};
    config.run.seed = 123456789012;
    config.data.validation_pages = "0-4, 10";
    TrainingConfig read;
    read.run.steps = 1;
    read.network.dropout = 0.125;
    apply_toml(read, to_toml(config), "config.toml");
    CHECK(read == config);
  }
}

TEST_CASE("config: an unknown key names the nearest one") {
  const auto unknown = [](const std::string& setting) {
    return message_of<ConfigError>([&] { make_config({.settings = {setting}}); });
  };
  CHECK(contains(unknown("optimizer.leaning_rate=1"), "unknown key optimizer.leaning_rate; did you mean optimizer."));
  CHECK(contains(unknown("network.widht=8"), "did you mean network.width?"));
  CHECK(contains(unknown("lr=1e-4"), "did you mean optimizer.lr?"));
  CHECK(contains(unknown("step=100"), "did you mean run.steps?"));

  TrainingConfig config;
  CHECK(contains(message_of<ConfigError>([&] { apply_toml(config, "\n[networks]\nwidth = 8\n", "my.toml"); }),
                 "my.toml:2: unknown section networks"));
  CHECK(contains(message_of<ConfigError>([&] { apply_toml(config, "width = 8\n", "my.toml"); }),
                 "my.toml:1: unknown key width; did you mean network.width?"));
}

TEST_CASE("config: values of the wrong kind are refused by key, place and value") {
  TrainingConfig config;
  const auto refused = [&](const std::string& text) {
    return message_of<ConfigError>([&] { apply_toml(config, text, "my.toml"); });
  };
  CHECK(refused("[run]\nsteps = \"many\"\n") == "my.toml:2: run.steps: expected a number, got \"many\"");
  CHECK(refused("[run]\nsteps = 1.5\n") == "my.toml:2: run.steps: expected a whole number, got 1.5");
  CHECK(refused("[run]\nsteps = 1e300\n") == "my.toml:2: run.steps: expected a whole number, got 1e+300");
  CHECK(refused("[network]\nup_relu = 1\n") == "my.toml:2: network.up_relu: expected true or false, got 1");
  CHECK(refused("[augmentation]\nelastic = \"grid4\"\n") ==
        "my.toml:2: augmentation.elastic: expected none, grid3, bspline or simard, got grid4");
  CHECK(refused("[augmentation]\nelastic = 3\n") ==
        "my.toml:2: augmentation.elastic: expected none, grid3, bspline or simard, got 3");
  CHECK(contains(refused("[schedule]\ndecay_at = 0.5\n"), "schedule.decay_at: expected a list of numbers"));
  CHECK(contains(refused("[schedule]\ndecay_at = [0.5, true]\n"), "schedule.decay_at: expected a number, got true"));
  CHECK(refused("[data]\nvalidation_pages = [1, 2]\n") ==
        "my.toml:2: data.validation_pages: expected text in quotes, got a list");
  CHECK(contains(refused("[run\nsteps = 1\n"), "my.toml:1: "));
  CHECK(contains(message_of<ConfigError>([&] { apply_setting(config, "optimizer.lr"); }), "expected KEY=VALUE"));
  CHECK(contains(message_of<ConfigError>([&] { apply_setting(config, "=1"); }), "expected KEY=VALUE"));
  CHECK(config == TrainingConfig{});
}

TEST_CASE("config: values out of range are named with the range") {
  const auto refused = [](const std::string& setting) {
    return message_of<ConfigError>([&] { make_config({.settings = {setting}}); });
  };
  CHECK(refused("network.dropout=1") == "network.dropout: expected 0 .. below 1, got 1");
  CHECK(refused("network.width=0") == "network.width: expected 1 .. 1024, got 0");
  CHECK(refused("network.classes=1") == "network.classes: expected 2 .. 255, got 1");
  CHECK(refused("optimizer.momentum=1") == "optimizer.momentum: expected 0 .. 0.999999, got 1");
  CHECK(contains(refused("optimizer.lr=nan"), "optimizer.lr: expected 0 .. 1000, got nan"));
  CHECK(contains(refused("run.steps=0"), "run.steps: expected 1 .. "));
  CHECK(contains(refused("schedule.decay_at=[0.5, 1.5]"), "schedule.decay_at: expected 0 .. 1, got 1.5"));
  CHECK(contains(refused("schedule.decay_at=[0.5, 0.25]"), "ascending"));
  CHECK(contains(refused("data.validation_pages=4-1"), "data.validation_pages: expected ranges"));
  CHECK(refused("data.connectivity=6") == "data.connectivity: expected 4 or 8, got 6");
}

TEST_CASE("config: tile sizes follow the depth, and the nearest ones are offered") {
  const auto accepted = [](int64_t depth, int64_t input) {
    TrainingConfig config;
    config.network.depth = depth;
    config.tile.input = input;
    try {
      config.validate();
    } catch (const ConfigError&) {
      return false;
    }
    return true;
  };
  // Sides that walk through the layers: two 3x3 convolutions lose 4 px, a pooling needs an even side.
  const auto walks = [](int64_t depth, int64_t side) {
    for (int64_t level = 0; level < depth; ++level) {
      side -= 4;
      if (side <= 0 || side % 2 != 0) return false;
      side /= 2;
    }
    side -= 4;
    for (int64_t level = 0; level < depth; ++level) side = 2 * side - 4;
    return side > 0;
  };
  for (int64_t depth = 1; depth <= 6; ++depth) {
    for (int64_t input = 1; input < 1000; ++input) {
      if (accepted(depth, input) != walks(depth, input)) FAIL(depth << " " << input);
    }
  }
  const auto refused = [](int64_t input) {
    return message_of<ConfigError>([&] { make_config({.settings = {concat("tile.input=", input)}}); });
  };
  CHECK(refused(512) == "tile.input: a network of depth 4 takes 188, 204, 220, ... px, got 512; use 508 or 524");
  CHECK(contains(refused(100), "use 188"));
}

TEST_CASE("config: a missing or unreadable file is an IoError with its path") {
  const std::string message = message_of<IoError>([] { make_config({.file = "/nonexistent/my.toml"}); });
  CHECK(contains(message, "/nonexistent/my.toml"));
  CHECK(contains(message, "No such file"));
  CHECK_THROWS_AS(make_config({.file = "/"}), IoError);
}

TEST_CASE("config: learning rate schedule") {
  const ScheduleConfig schedule{.warmup = 4, .decay_at = {0.5, 0.75}, .decay = 0.5};
  const std::vector<double> expected{0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25};
  for (int64_t step = 0; step < 16; ++step) {
    CHECK(schedule.factor(step, static_cast<double>(step) / 16) == expected[static_cast<size_t>(step)]);
  }
  CHECK(ScheduleConfig{.warmup = 0}.factor(0, 0) == 1);
}

}  // namespace unet
