// A folder with images and labels in which tests run the programs as a user does.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/temporary_folder.h"
#include "unet/png_io.h"

namespace unet::test {

struct ProgramResult {
  int code = -1;
  std::string out, error;
};

class Workplace {
 public:
  /// Four pages of bright discs on dark ground, and their masks.
  Workplace() {
    std::filesystem::create_directory(folder_ / "images");
    std::filesystem::create_directory(folder_ / "labels");
    for (int page = 0; page < 4; ++page) {
      Grid<uint8_t> image(64, 72), label(64, 72);
      for (int64_t y = 0; y < 64; ++y) {
        for (int64_t x = 0; x < 72; ++x) {
          const int64_t dy = y % 24 - 12, dx = (x + 5 * page) % 24 - 12;
          const bool inside = dy * dy + dx * dx < 64;
          label.at(y, x) = inside ? 255 : 0;
          image.at(y, x) = static_cast<uint8_t>((inside ? 170 : 60) + (y * 7 + x * 13) % 31);
        }
      }
      const std::string name = "page" + std::to_string(page) + ".png";
      write_text(folder_ / ("images/" + name), encode_png(image));
      write_text(folder_ / ("labels/" + name), encode_png(label));
    }
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string read(const std::string& name) const { return read_text(folder_ / name); }

  ProgramResult run(const std::string& program, const std::string& arguments) const {
    const std::string command = "cd '" + folder_.path().string() + "' && timeout 60 '" + programs() + "/" + program +
                                "' " + arguments + " >out.txt 2>error.txt";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), read("out.txt"), read("error.txt")};
  }

  /// unet_train on the pages, with a network that takes milliseconds a step.
  ProgramResult train(const std::string& out, const std::string& more = "") const {
    return run("unet_train", kTraining + out + " " + more);
  }

  static inline const std::string kTraining =
      "--images images --labels labels --val-fraction 0.25 --preset tiny --threads 1 --set network.depth=1 "
      "--set network.width=4 --set tile.input=48 --set run.validation_interval=10 --set run.checkpoint_interval=5 "
      "--set run.steps=20 "
      "--out ";

  /// Where the programs are: where they were built, unless the environment says otherwise.
  static std::string programs() {
    const char* elsewhere = std::getenv("UNET_PROGRAMS");
    return elsewhere != nullptr ? elsewhere : UNET_PROGRAMS;
  }

 private:
  TemporaryFolder folder_;
};

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace unet::test
