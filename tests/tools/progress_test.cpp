#include "tools/progress.h"

#include <algorithm>
#include <memory>

#include "tests/catch.h"

namespace unet::tools {
namespace {

/// What a progress display writes.
class Output {
 public:
  std::FILE* file() const { return file_.get(); }
  std::string text() const {
    std::rewind(file_.get());
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_.get()));
    return text;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{std::tmpfile(), std::fclose};
};

}  // namespace

TEST_CASE("progress: the bar fills, and says how long it takes") {
  CHECK(render_bar(0, -1, "step 0", 80, false) == "........................   0 %  step 0");
  CHECK(render_bar(0.5, 200, "step 5", 80, false) == "############............  50 %  step 5  3 min 20 s left");
  CHECK(render_bar(1, 0, "done", 80, false) == "######################## 100 %  done  0.0 s left");
  CHECK(render_bar(0.999, -1, "", 80, false).substr(25, 5) == " 99 %");
  CHECK(render_bar(7, -1, "", 80, false) == render_bar(1, -1, "", 80, false));
}

TEST_CASE("progress: the bar fits the terminal, counting characters, not bytes") {
  for (int columns = 0; columns < 70; ++columns) {
    const std::string bar = render_bar(0.5, 60, "\u00b5m, step 5", columns, true);
    const auto characters =
        std::count_if(bar.begin(), bar.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    CHECK(characters == std::min(columns, 59));
  }
}

TEST_CASE("progress: time left follows the average speed since the start") {
  TimeLeft time;
  CHECK(time.update(100, 0.5) < 0);  // resumed half way: nothing known yet
  CHECK(time.update(110, 0.6) == Approx(40));
  CHECK(time.update(120, 0.75) == Approx(20));
  CHECK(time.update(130, 1) == 0);
}

TEST_CASE("progress: plain lines where there is no terminal") {
  const Output output;
  Progress progress({.out = output.file(), .plain_interval_s = 3600});
  progress.update(0, "step 0");
  progress.update(0.5, "step 5");  // too soon
  progress.clear();
  progress.update(1, "step 10");
  CHECK(output.text() == "  0 %  step 0\n100 %  step 10  0.0 s left\n");
}

TEST_CASE("progress: one line is redrawn on a terminal, and removed at the end") {
  const Output output;
  {
    Progress progress({.out = output.file(), .terminal = true});
    progress.update(0.25, "a");
    progress.update(0.5, "b");  // sooner than an eye sees
  }
  CHECK(output.text() == "\r######..................  25 %  a\x1b[K\r\x1b[K");
}

TEST_CASE("progress: quiet means nothing") {
  const Output output;
  {
    Progress progress({.out = output.file(), .quiet = true, .terminal = true});
    progress.update(1, "a");
  }
  CHECK(output.text().empty());
}

}  // namespace unet::tools
