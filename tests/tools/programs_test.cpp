// Runs the programs as a user does.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
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

TEST_CASE("programs: train, look at the run, segment") {
  const Workplace place;
  const Result trained = place.train("run");
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "width = 4"));
  CHECK(contains(trained.out, "tile: 48 -> 32 px"));
  CHECK(contains(trained.out, "validation loss"));
  for (const char* file : {"model.safetensors", "config.toml", "log.jsonl", "report.html", "checkpoints"}) {
    CHECK(fs::exists(place.path(std::string("run/") + file)));
  }
  CHECK(contains(place.read("run/config.toml"), "steps = 20"));

  const Result again = place.train("run");
  CHECK(again.code == 2);
  CHECK(contains(again.error, "--resume"));

  const Result one = place.run("unet_infer", "--model run/model.safetensors --input images/page0.png --output p.tif");
  INFO(one.error);
  REQUIRE(one.code == 0);
  const Image probability = ImageReader(place.path("p.tif")).read(0);
  CHECK(probability.shape_text() == "[64,72,1]");
  CHECK(std::all_of(probability.data.begin(), probability.data.end(), [](float p) { return p >= 0 && p <= 1; }));

  const Result all =
      place.run("unet_infer",
                "--model run/model.safetensors --input images --output results --write instances,objects --tta flips");
  INFO(all.error);
  REQUIRE(all.code == 0);
  for (int page = 0; page < 4; ++page) {
    const std::string stem = "results/page" + std::to_string(page);
    CHECK(fs::exists(place.path(stem + "_instances.tif")));
    CHECK(fs::exists(place.path(stem + "_objects.csv")));
  }

  const Result more = place.run("unet_infer",
                                "--model run/model.safetensors --input images --output more --write rois,probability "
                                "--tta rot7 --tta-average probabilities --scale 1.5 --batch 2 --fill-holes --regrow "
                                "--min-area 5");
  INFO(more.error);
  REQUIRE(more.code == 0);
  CHECK(contains(more.out, "page3_rois.zip"));
  CHECK(place.read("more/page0_rois.zip").substr(0, 2) == "PK");
  CHECK(ImageReader(place.path("more/page0_probability.tif")).read(0).shape_text() == "[64,72,1]");
}

TEST_CASE("programs: --check --figures draws what training does, and nothing else") {
  const Workplace place;
  const Result drawn = place.train("new/run", "--check --figures");
  INFO(drawn.error);
  REQUIRE(drawn.code == 0);
  CHECK(contains(drawn.out, "figures: new/run/figures.html\n"));
  CHECK(contains(place.read("new/run/figures.html"), "<h2>Elastic deformation</h2>"));
  CHECK_FALSE(fs::exists(place.path("new/run/log.jsonl")));
  const Result alone = place.train("run", "--figures");
  CHECK(alone.code == 2);
  CHECK(contains(alone.error, "--figures requires --check"));
  CHECK_FALSE(fs::exists(place.path("run")));
}

TEST_CASE("programs: --check validates, predicts and writes nothing") {
  const Workplace place;
  const Result checked = place.train("run", "--check");
  INFO(checked.error);
  REQUIRE(checked.code == 0);
  CHECK(contains(checked.out, "0: images/page0.png [64,72,1]"));
  CHECK(contains(checked.out, "training: 3 pages"));
  CHECK(contains(checked.out, "validation: 1 page\n"));
  CHECK(contains(checked.out, "memory: "));
  CHECK(contains(checked.out, " a step"));
  CHECK_FALSE(fs::exists(place.path("run")));
}

TEST_CASE("programs: a bad image is skipped, the others are done, the exit code says so") {
  const Workplace place;
  REQUIRE(place.train("run").code == 0);
  test::write_text(place.path("images/page1.png"), "no image");
  const Result result = place.run("unet_infer", "--model run/model.safetensors --input images --output results");
  CHECK(result.code == 3);
  CHECK(contains(result.error, "page1.png"));
  CHECK(contains(result.error, "1 of 4 images"));
  CHECK(fs::exists(place.path("results/page0_probability.tif")));
  CHECK_FALSE(fs::exists(place.path("results/page1_probability.tif")));
  CHECK(fs::exists(place.path("results/page3_probability.tif")));
}

TEST_CASE("programs: stopped by a signal and resumed, training ends with the same bits") {
  const Workplace place;
  REQUIRE(place.train("whole", "--steps 400 --quiet").code == 0);

  const pid_t child = fork();
  if (child == 0) {
    const std::string command = "cd '" + place.path("") +
                                "' && exec env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT " UNET_PROGRAMS "/unet_train " +
                                Workplace::kTraining + "parts --steps 400 --quiet";
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  while (!fs::exists(place.path("parts/checkpoints/ckpt-0000000005.safetensors"))) usleep(1000);
  CHECK(test::read_text(concat("/proc/", child, "/comm")) == "unet_train\n");  // what ps, top and killall call it
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 75);

  const Result resumed = place.run("unet_train", "--images images --labels labels --out parts --resume --threads 1");
  INFO(resumed.error);
  REQUIRE(resumed.code == 0);
  CHECK(place.read("parts/model.safetensors") == place.read("whole/model.safetensors"));
}

TEST_CASE("programs: waiting threads spin briefly, unless the user decides otherwise") {
  const Workplace work;
  const auto shown = [&](const std::string& environment) {  // what the program started with, by OpenMP itself
    const std::string program = Workplace::programs() + "/unet_infer";
    const std::string command = "env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_DISPLAY_ENV=verbose " + environment +
                                " '" + program + "' --version 2>'" + work.path("shown.txt") + "' >'" +
                                work.path("version.txt") + "'";
    CHECK(std::system(command.c_str()) == 0);
    CHECK(work.read("version.txt").starts_with("unet "));
    return work.read("shown.txt");
  };
  CHECK(shown("").find("GOMP_SPINCOUNT = '1000'") != std::string::npos);
  CHECK(shown("OMP_WAIT_POLICY=active").find("GOMP_SPINCOUNT = '1000'") == std::string::npos);
  CHECK(shown("GOMP_SPINCOUNT=77").find("GOMP_SPINCOUNT = '77'") != std::string::npos);
}

TEST_CASE("programs: fine-tuning starts from a model of the same kind, and says what is not the same") {
  const Workplace place;
  REQUIRE(place.train("first").code == 0);
  const std::string start = "--init first/model.safetensors --quiet ";
  CHECK(place.train("second", start).code == 0);
  const auto refused = [&](const std::string& setting, const std::string& named) {
    const Result result = place.train("other", start + "--set " + setting);
    INFO(result.error);
    CHECK(result.code == 7);
    CHECK(contains(result.error, named));
  };
  refused("data.normalisation=unit",
          "data.normalisation = unit as in this run, got min_max in first/model.safetensors");
  refused("network.width=5", "network.width = 5 as in this run, got 4");
  refused("network.up_relu=true", "network.up_relu = 1");
  refused("network.last_up_channels=6", "network.last_up_channels = 6 as in this run, got 4");
}

TEST_CASE("programs: errors have their exit code and name what is wrong") {
  const Workplace place;
  const auto refused = [&](const std::string& program, const std::string& arguments, int code,
                           const std::string& named) {
    const Result result = place.run(program, arguments);
    INFO(program << ' ' << arguments << '\n' << result.error);
    CHECK(result.code == code);
    CHECK(contains(result.error, program + ": "));
    CHECK(contains(result.error, named));
  };
  const std::string data = "--images images --labels labels --out run ";
  refused("unet_train", "", 2, "--images");
  refused("unet_train", "--images images --out run", 2, "--labels");
  refused("unet_train", data + "--stesp 3", 2, "did you mean --steps?");
  refused("unet_train", data + "--set lr=1", 2, "did you mean optimizer.lr?");
  refused("unet_train", data + "--set network.width=0", 2, "network.width: expected 1 .. 1024, got 0");
  refused("unet_train", data + "--preset peper", 2, "paper");
  refused("unet_train", data + "--time-limit soon", 2, "soon");
  refused("unet_train", data + "--set tile.input=100", 2, "tile.input");
  refused("unet_train", data + "--val-images images", 2, "--val-labels");
  refused("unet_train", data + "--val-pages 4", 2, "data.validation_pages: expected pages 0 to 3, got 4");
  refused("unet_train", data + "--val-pages 0-3", 2, "none to train on");
  refused("unet_train", data + "--val-pages 1 --val-fraction 0.5", 2, "--val-fraction");
  refused("unet_train", data + "--val-pages 1 --val-images images --val-labels labels", 2, "--val-images");
  refused("unet_train", data + "--config missing.toml", 4, "missing.toml");
  refused("unet_train", data + "--device cpu --precision tf32", 2, "tf32");
  refused("unet_train", data + "--resume", 2, "run holds no run to go on with");
  refused("unet_train", "--images labels --labels images --out run", 3, "as in an image");
  refused("unet_train", "--images nowhere --labels labels --out run", 4, "nowhere");
  fs::remove(place.path("labels/page3.png"));
  refused("unet_train", data, 3, "page3.png");
  refused("unet_train", data + "--labelled-only --markers labels/page0.png", 3, "pair markers and images");
  refused("unet_train", data + "--val-markers labels", 2, "--val-images");

  const std::string infer = "--input images --output results ";
  test::write_text(place.path("model.safetensors"), "no model");
  refused("unet_infer", infer + "--model model.safetensors", 7, "model.safetensors");
  refused("unet_infer", infer + "--model missing.safetensors", 4, "missing.safetensors");
  refused("unet_infer",
          "--model model.safetensors --write overlay --input images/page0.png --output labels/../images/page0.png", 2,
          "would be replaced");
  refused("unet_infer", infer + "--model model.safetensors --write colours", 2, "colours");
  refused("unet_infer", infer + "--model model.safetensors --tile some", 2, "--tile");
  refused("unet_infer", infer + "--model model.safetensors --max-memory much", 2, "much");
  refused("unet_infer", infer + "--model model.safetensors --device cuda:99", 2, "device: ");
  refused("unet_infer", infer + "--model model.safetensors --threshold 2", 2, "--threshold");
  refused("unet_infer", infer + "--model model.safetensors --scale big", 2, "--scale: expected auto or a factor");
  refused("unet_infer", infer + "--model model.safetensors --scale 0", 2, "--scale: expected auto or a factor");
  refused("unet_infer", infer + "--model model.safetensors --batch 0", 2, "--batch");
  refused("unet_infer", infer + "--model model.safetensors --tta rot8", 2, "rot7");
  refused("unet_infer", infer + "--model model.safetensors --tta-average logits", 2, "probabilities");
  refused("unet_infer", "--input nowhere --output results --model model.safetensors", 4, "nowhere");

  const std::string eval = "--truth labels --prediction ";
  refused("unet_eval", eval + "nowhere", 4, "nowhere");
  refused("unet_eval", eval + "images", 3, "page3.png");
  refused("unet_eval", eval + "labels --metric beauty", 2, "beauty");
  refused("unet_eval", eval + "labels --json nowhere/scores.json", 4, "nowhere");
}

}  // namespace unet
