#include "unet/trainer.h"

#include <filesystem>
#include <limits>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/training_support.h"
#include "unet/training_run.h"

using namespace unet;

using test::disc_page;
using test::small_config;
using test::weights_of;

namespace {

Trainer make_trainer(const TrainingConfig& config, int threads = 2) {
  return test::make_trainer(engine::Device::make({.threads = threads}), config);
}

}  // namespace

TEST_CASE("trainer: learns, and validation sees it") {
  TrainingConfig config = small_config();
  config.run.steps = 150;
  Trainer trainer = make_trainer(config);
  const ValidationRecord before = trainer.validate();
  CHECK(before.best);
  while (!trainer.finished()) trainer.step();
  int seen = 0;
  const ValidationRecord after = trainer.validate([&](const TrainingPage&, const Image& p) {
    ++seen;
    CHECK(p.channels == 2);
  });
  CHECK(seen == 1);
  CHECK(after.best);
  CHECK(after.loss < 0.5 * before.loss);
  CHECK(after.metrics[0].first == "iou");
  CHECK(after.metrics[0].second > 0.8);
}

TEST_CASE("trainer: select = latest takes every model, others only better ones") {
  for (const Selection select : {Selection::latest, Selection::loss}) {
    TrainingConfig config = small_config();
    config.run.select = select;
    Trainer trainer = make_trainer(config);
    CHECK(trainer.validate().best);
    CHECK(trainer.validate().best == (select == Selection::latest));  // the same weights again: not better
  }
}

TEST_CASE("trainer: resumed at any step it goes on bit for bit, for one and two threads") {
  const test::TemporaryFolder folder;
  for (const int threads : {1, 2}) {
    Trainer whole = make_trainer(small_config(), threads);
    std::vector<StepRecord> records;
    for (int i = 0; i < 12; ++i) {
      whole.save_checkpoint(folder / concat(threads, "-", i));
      records.push_back(whole.step());
    }
    const std::vector<float> expected = weights_of(whole);
    for (int i = 0; i < 12; ++i) {
      CAPTURE(threads, i);
      Trainer resumed = make_trainer(small_config(), threads);
      resumed.load_checkpoint(folder / concat(threads, "-", i));
      REQUIRE(resumed.steps_done() == i);
      for (int k = i; k < 12; ++k) REQUIRE(resumed.step().loss == records[static_cast<size_t>(k)].loss);
      REQUIRE(weights_of(resumed) == expected);
    }
  }
}

TEST_CASE("trainer: a checkpoint made on other data is refused") {
  const test::TemporaryFolder folder;
  Trainer trainer = make_trainer(small_config());
  trainer.save_checkpoint(folder / "a");
  TrainingSet set = trainer.set();
  set.training[1].image.at(5, 5) += 0.01F;
  Trainer other(engine::Device::make({.threads = 2}), small_config(), std::move(set), trainer.info());
  CHECK_THROWS_AS(other.load_checkpoint(folder / "a"), CheckpointError);
}

TEST_CASE("trainer: objects of which weight maps are recomputed belong to the data of a checkpoint") {
  const test::TemporaryFolder folder;
  TrainingConfig config = small_config();
  config.weight_map.update = WeightMapUpdate::recompute;
  Trainer trainer = make_trainer(config);
  trainer.save_checkpoint(folder / "a");
  CHECK_NOTHROW(make_trainer(config).load_checkpoint(folder / "a"));
  for (LabelMap TrainingPage::*labels : {&TrainingPage::instances, &TrainingPage::uncarved}) {
    TrainingSet set = trainer.set();
    (set.training[1].*labels).at(5, 5) += 1;
    Trainer other(engine::Device::make({.threads = 2}), config, std::move(set), trainer.info());
    CHECK_THROWS_AS(other.load_checkpoint(folder / "a"), CheckpointError);
  }
}

TEST_CASE("training run: a folder in use is refused, and an error is the log's last word") {
  const test::TemporaryFolder folder;
  Trainer first = make_trainer(small_config()), second = make_trainer(small_config());
  const TrainingRunOptions options{
      .folder = folder / "run", .version = "test", .exit_code = [](const std::exception&) { return 42; }};
  const TrainingObserver observer{.on_step = [&](const StepRecord&, const Trainer&) {
    CHECK_THROWS_AS(run_training(second, {.folder = folder / "run", .resume = true}, {}), ConfigError);
    throw DataError("made up");
  }};
  CHECK_THROWS_AS(run_training(first, options, observer), DataError);
  const auto end = read_training_log(folder / "run" / "log.jsonl").end;
  REQUIRE(end);
  CHECK(end->reason == "made up");
  CHECK(end->exit_code == 42);
}

TEST_CASE("trainer: a checkpoint of another configuration is refused, a longer run is not") {
  const test::TemporaryFolder folder;
  Trainer trainer = make_trainer(small_config());
  trainer.step();
  trainer.save_checkpoint(folder / "a");
  TrainingConfig other = small_config();
  other.optimizer.lr = 1e-4;
  Trainer different = make_trainer(other);
  CHECK_THROWS_AS(different.load_checkpoint(folder / "a"), CheckpointError);
  TrainingConfig longer = small_config();
  longer.run.steps = 4000;
  Trainer same = make_trainer(longer);
  CHECK_NOTHROW(same.load_checkpoint(folder / "a"));
  CHECK(same.steps_done() == 1);
}

TEST_CASE("trainer: steps without a finite gradient leave the weights alone, and ten in a row end the run") {
  TrainingConfig config = small_config();
  TrainingSet set;
  set.training.push_back(disc_page(0));
  prepare_weights(set, 2, config);
  for (float& v : set.training[0].image.data) v = std::numeric_limits<float>::quiet_NaN();
  config.augmentation.gray = false;
  Trainer trainer(engine::Device::make({.threads = 2}), config, std::move(set), ModelInfo{.network = config.network});
  const std::vector<float> before = weights_of(trainer);
  for (int i = 0; i < 9; ++i) {
    CHECK(trainer.step().skipped);
    CHECK(weights_of(trainer) == before);
  }
  CHECK_THROWS_AS(trainer.step(), NumericError);
  CHECK(trainer.skipped() == 10);
}

TEST_CASE("training run: folder, model, resume after a stop equals the run without one") {
  const test::TemporaryFolder folder;
  const auto run = [&](const std::string& name, bool resume, int stop_after) {
    Trainer trainer = make_trainer(small_config());
    int steps = 0;
    const TrainingObserver observer{.on_step = [&](const StepRecord&, const Trainer&) { ++steps; },
                                    .stop_requested = [&] { return stop_after > 0 && steps >= stop_after; }};
    const TrainingEnd end =
        run_training(trainer, {.folder = folder / name, .resume = resume, .version = "test"}, observer);
    return std::pair{end, weights_of(trainer)};
  };
  const auto [finished, expected] = run("whole", false, 0);
  CHECK(finished == TrainingEnd::finished);
  for (const char* file : {"model.safetensors", "config.toml", "log.jsonl", "report.html"}) {
    CHECK(std::filesystem::file_size(folder / "whole" / file) > 0);
  }
  CHECK(run("parts", false, 13).first == TrainingEnd::stopped);
  CHECK(run("parts", true, 9).first == TrainingEnd::stopped);
  const auto [end, weights] = run("parts", true, 0);
  CHECK(end == TrainingEnd::finished);
  CHECK(weights == expected);
  const TrainingHistory history = read_training_log(folder / "parts" / "log.jsonl");
  CHECK(history.sessions.size() == 3);
  CHECK(history.steps.size() == 40);
  CHECK(history.validations.size() == 2);

  CHECK_THROWS_AS(run("whole", false, 0), ConfigError);  // holds a run already

  const Model model = load_model(folder / "whole" / "model.safetensors", engine::Device::make({.threads = 1}));
  CHECK(model.info.network == small_config().network);
}

TEST_CASE("training run: a damaged newest checkpoint is told of and the one before it is used") {
  const test::TemporaryFolder folder;
  const auto start = [&](bool resume, int stop_after, std::vector<std::string>* messages) {
    Trainer trainer = make_trainer(small_config());
    int64_t first = -1;
    int steps = 0;
    run_training(trainer, {.folder = folder / "run", .resume = resume, .version = "test"},
                 {.on_step =
                      [&](const StepRecord& r, const Trainer&) {
                        if (first < 0) first = r.step;
                        ++steps;
                      },
                  .on_message = [&](const std::string& m) { messages->push_back(m); },
                  .stop_requested = [&] { return steps >= stop_after; }});
    return first;
  };
  std::vector<std::string> messages;
  start(false, 15, &messages);
  const std::filesystem::path newest = folder / "run" / "checkpoints/ckpt-0000000015.safetensors";
  REQUIRE(std::filesystem::exists(newest));
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1);
  CHECK(start(true, 1, &messages) == 10);
  CHECK(messages.size() == 2);
}
