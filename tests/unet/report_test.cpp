#include "unet/report.h"

#include <array>
#include <cstdio>
#include <memory>

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet {
namespace {

// A PNG of one black pixel: 67 bytes, as any encoder makes it.
constexpr unsigned char kPixel[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
                                    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00,
                                    0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78,
                                    0x9c, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x48, 0xaf, 0xa4, 0x71, 0x00,
                                    0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

std::string pixel() { return {reinterpret_cast<const char*>(kPixel), sizeof kPixel}; }

Report example() {
  Report report{
      .name = "runs/<first>", .history = {}, .steps = 4000, .facts = {{"training images", "a & b"}}, .galleries = {}};
  report.history.sessions.push_back({.version = "0.1.0",
                                     .configuration = "[network]\nwidth = 16\n",
                                     .seed = 3,
                                     .threads = 2,
                                     .device = "cpu",
                                     .first_step = 0,
                                     .started = "2015-10-02T00:00:00Z"});
  for (int64_t step = 0; step < 1000; ++step) {
    report.history.steps.push_back({.step = step,
                                    .loss = 1.0 / static_cast<double>(step + 1),
                                    .learning_rate = 1e-3,
                                    .gradient_norm = 2,
                                    .seconds = 0.5,
                                    .wait_seconds = 0.01,
                                    .skipped = step == 10});
  }
  report.history.validations = {{.step = 500, .loss = 0.5, .metrics = {{"iou", 0.875}}, .best = true},
                                {.step = 1000, .loss = 0.625, .metrics = {{"iou", 0.75}}, .best = false}};
  report.galleries = {{.title = "Weight map", .explanation = "Bright is heavy.", .pictures = {{"page 1", pixel()}}}};
  return report;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// What a command prints; empty where it fails.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> block;
  while (const size_t count = pipe ? fread(block.data(), 1, block.size(), pipe.get()) : 0)
    text.append(block.data(), count);
  return text;
}

/// The document after its script ran.
std::string rendered_in_chromium(const std::string& html) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "page.html", html);
  const std::string home = folder.path();
  return output_of("HOME=" + home + " timeout 60 chromium --headless --no-sandbox --disable-gpu --dump-dom" +
                   " --user-data-dir=" + home + "/profile file://" + home + "/page.html 2>/dev/null");
}

}  // namespace

TEST_CASE("report: shows state, key numbers, curves, pictures and configuration") {
  const std::string html = render_report(example());
  CHECK(contains(html, "<h1>runs/&lt;first&gt;</h1>"));
  CHECK(contains(html, ">training</span>"));
  CHECK(contains(html, "<dt>steps</dt><dd>1,000<small>of 4,000</small>"));
  CHECK(contains(html, "<dt>validation iou</dt><dd>0.875<small>best, at step 500</small>"));
  CHECK(contains(html, "<dt>time</dt><dd>8 min 20 s"));
  CHECK(contains(html, "<dt>a step</dt><dd>500 ms"));
  CHECK(contains(html, "in training steps, 2 % of it waiting for samples"));
  CHECK(contains(html, "<dt>left</dt><dd>25 min 00 s"));
  CHECK(contains(html, "<dt>skipped steps</dt><dd>1<"));
  CHECK(contains(html, "width:25%"));
  for (const char* chart : {"loss", "metrics", "learning-rate", "gradient-norm"}) {
    CHECK(contains(html, std::string("<figure class=\"chart\" id=\"") + chart + "\">"));
  }
  CHECK(contains(html, "<th scope=\"row\">iou</th><td>0.875</td><td>0.75</td>"));
  CHECK(contains(html, "<th scope=\"row\">training images</th><td>a &amp; b</td>"));
  CHECK(contains(html, "src=\"data:image/png;base64,iVBORw0KGgo"));
  CHECK(contains(html, "<pre>[network]\nwidth = 16\n</pre>"));
}

TEST_CASE("report: reloads itself only while the run goes on") {
  Report report = example();
  CHECK(contains(render_report(report), "http-equiv=\"refresh\""));
  report.history.end = EndRecord{.reason = "all steps done", .exit_code = 0};
  const std::string done = render_report(report);
  CHECK_FALSE(contains(done, "http-equiv=\"refresh\""));
  CHECK(contains(done, "class=\"badge done\""));
  CHECK_FALSE(contains(done, "<dt>left</dt>"));
  CHECK(contains(done, "width:100%"));
  report.history.end = EndRecord{.reason = "signal", .exit_code = 75};
  CHECK(contains(render_report(report), "class=\"badge stopped\""));
  report.history.end = EndRecord{.reason = "ten steps in a row <bad>", .exit_code = 6};
  CHECK(contains(render_report(report),
                 "class=\"badge failed\">failed</span><span class=\"reason\">ten steps in a row &lt;bad"));
}

TEST_CASE("report: errors stand in the table, not among the metrics that rise to 1") {
  Report report = example();
  report.history.validations[1].metrics = {{"pixel_accuracy", 0.75}, {"pixel_error", 0.125}};
  const std::string html = render_report(report);
  CHECK(contains(html, ">pixel accuracy</li>"));
  CHECK_FALSE(contains(html, ">pixel error</li>"));
  CHECK(contains(html, "<th scope=\"row\">pixel error</th><td>-</td><td>0.125</td>"));
}

TEST_CASE("report: nothing is fetched from anywhere") {
  const std::string html = render_report(example());
  for (const char* link : {"http://", "https://", "src=\"/", "href=", "@import", "url("})
    CHECK_FALSE(contains(html, link));
}

TEST_CASE("report: its size does not grow with the number of steps") {
  Report report = example();
  const size_t before = render_report(report).size();
  for (int64_t step = 1000; step < 60000; ++step) {
    report.history.steps.push_back(
        {.step = step, .loss = 0.1, .learning_rate = 1e-4, .gradient_norm = 1, .seconds = 0.5});
  }
  CHECK(render_report(report).size() < before + 8192);
}

TEST_CASE("report: a run without any record is a page, too") {
  const std::string html = render_report({.name = "new", .history = {}, .steps = 100, .facts = {}, .galleries = {}});
  CHECK(contains(html, "No values yet"));
  CHECK_FALSE(contains(html, "nan"));
}

TEST_CASE("report: the file is replaced whole") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "report.html", "old");
  write_report(folder / "report.html", example());
  CHECK(contains(test::read_text(folder / "report.html"), "</html>"));
  CHECK(folder.names() == std::set<std::string>{"report.html"});
  CHECK_THROWS_AS(write_report("/nonexistent/report.html", example()), IoError);
}

TEST_CASE("report: a browser runs its script without errors") {
  if (std::system("command -v chromium > /dev/null") != 0) {
    WARN("skipped: chromium is not installed");
    return;
  }
  const std::string html = render_report(example());
  const std::string document = rendered_in_chromium(html);
  CHECK(contains(document, "data-ready=\"yes\""));  // set by the last line of the script
  size_t readouts = 0;
  for (size_t at = document.find("<output"); at != std::string::npos; at = document.find("<output", at + 1)) ++readouts;
  CHECK(readouts == 5);  // loss twice, metrics, learning rate, gradient norm

  // The check sees an error: points that are no JSON stop the script.
  std::string broken = html;
  broken.replace(broken.find("\"x\":["), 4, "\"x\"");
  CHECK_FALSE(contains(rendered_in_chromium(broken), "data-ready"));
}

}  // namespace unet
