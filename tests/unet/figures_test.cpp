#include "unet/figures.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/training_support.h"
#include "unet/drawing.h"
#include "unet/field_statistics.h"
#include "unet/picture.h"
#include "unet/readable.h"
#include "unet/separation.h"
#include "unet/synthetic.h"

namespace unet {
namespace {

/// A small network on made-up cells, some of which touch.
struct Example {
  TrainingSet set;
  TrainingConfig config;
  ModelInfo info{.labels = LabelKind::instances};

  explicit Example(int64_t height = 120, int64_t width = 150) {
    config = test::small_config();
    config.network.classes = 2;
    config.tile.input = 68;
    for (int64_t i = 0; i < 2; ++i) {
      const SyntheticPage page = synthetic_cells(height, width, 3, i);
      set.training.push_back({.name = concat("cells <", i, ">"), .image = page.image, .instances = page.labels});
      for (float& v : set.training.back().image.data) v /= 255;
      set.training.back().classes = page.labels;
      for (int32_t& v : set.training.back().classes.data) v = std::min(v, 1);
    }
  }

  std::string render() {
    prepare_weights(set, config.network.classes, config);
    return render_figures("run <a>", set, config, info);
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// The text without what lies from each `begin` to the next `end`.
std::string without(std::string text, const std::string& begin, const std::string& end) {
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    text.erase(at, text.find(end, at) - at);
  }
  return text;
}

std::string number(double value, int digits = 3) { return number_text(value, digits); }

constexpr const char* kSections[] = {
    "Page, classes and objects", "Separation border", "Weight maps",  "Elastic deformation",
    "Place, rotation and flips", "Gray values",       "Overlap-tile", "Samples",
    "Where tiles are drawn"};

void check_complete(const std::string& html) {
  for (const char* section : kSections) {
    INFO(section);
    CHECK(contains(html, concat("<h2>", section, "</h2>")));
  }
  CHECK(count_of(html, "<section") == count_of(html, "</section>"));
  CHECK(count_of(html, "<figure") == count_of(html, "</figure>"));
  CHECK(count_of(html, "<div") == count_of(html, "</div>"));
  CHECK(count_of(html, "<table") == count_of(html, "</table>"));
  CHECK(contains(html, "</html>"));
  // Numbers that could not be computed. Pictures are left out: their base64 text may hold anything.
  const std::string text = without(html.substr(html.find("<main>")), "base64,", "\"");
  for (const char* odd : {">nan", " nan", "-nan", "inf ", "1e+09"}) {
    INFO(odd);
    CHECK_FALSE(contains(text.substr(0, text.find("</main>")), odd));
  }
}

}  // namespace

TEST_CASE("figures: every step has its section, every picture its text, and nothing is fetched") {
  const std::string html = Example().render();
  check_complete(html);
  CHECK(contains(html, "<h1>run &lt;a&gt;</h1>"));
  CHECK(contains(html, "cells &lt;"));
  const size_t pictures = count_of(html, "<img");
  CHECK(pictures > 35);
  CHECK(count_of(html, "src=\"data:image/png;base64,iVBORw0KGgo") == pictures);
  CHECK(count_of(html, "<div class=\"picture") == count_of(html, "<figcaption>"));
  CHECK_FALSE(contains(html, "<figcaption></figcaption>"));
  CHECK(count_of(html, "alt=\"\"") == count_of(html, "<img class=\"over\" alt=\"\""));
  for (const char* link : {"http://", "https://", "src=\"/", "href=", "@import", "url("})
    CHECK_FALSE(contains(html, link));
}

TEST_CASE("figures: numbers are those of the functions that train") {
  Example example;
  example.config.weight_map.border = SeparationBorder::sym;
  const std::string html = example.render();
  // The page shown is the one with more carved pixels.
  int64_t shown = 0, most = -1, most_one_sided = 0;
  for (size_t i = 0; i < 2; ++i) {
    const LabelMap& ids = example.set.training[i].instances;
    const auto carved = [&](SeparationBorder border) {
      const LabelMap classes = separate_instances(ids, border);
      int64_t pixels = 0;
      for (size_t p = 0; p < ids.data.size(); ++p) pixels += ids.data[p] > 0 && classes.data[p] == 0 ? 1 : 0;
      return pixels;
    };
    if (carved(SeparationBorder::sym) > most) {
      most = carved(SeparationBorder::sym), shown = static_cast<int64_t>(i);
      most_one_sided = carved(SeparationBorder::freiburg);
    }
  }
  REQUIRE(most_one_sided > 0);
  CHECK(contains(html, concat("<td>cells &lt;", shown, "&gt;, 120 x 150 px, 1 channel</td>")));
  CHECK(contains(
      html, concat("touches another object. ", number(static_cast<double>(most), 12), " pixels of this page. Used")));
  CHECK(
      contains(html, concat("plugin. ", number(static_cast<double>(most_one_sided), 12), " pixels of this page.</f")));

  const auto& weights = example.set.training[static_cast<size_t>(shown)].weights.data;
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  CHECK(contains(html, concat("5\u00b2)). Weights ", number(static_cast<double>(*low), 4), " to ",
                              number(static_cast<double>(*high), 4), ".</figcaption>")));
  for (const float w : example.set.class_weights) {
    CHECK(contains(html, concat("<td>", number(static_cast<double>(w), 4), "</td>")));
  }
  AugmentationConfig augmentation = example.config.augmentation;
  for (const ElasticKind kind : {ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    augmentation.elastic = kind;
    const uint32_t fields = kind == ElasticKind::simard ? 4 : 64;
    const FieldStatistics all = measure_fields(augmentation, {68, 68}, 1, fields);
    CHECK(contains(
        html, concat("<th scope=\"row\">", name_of(kind), "</th><td>", number(rms_displacement(augmentation, {68, 68})),
                     " px</td><td>", number(all.rms), " px</td><td>", number(all.largest), " px</td><td>",
                     number(all.smallest_jacobian), "</td><td>", fields, "</td>")));
  }
  const Placement placement = draw_placement(example.set.training, example.config, 0);
  CHECK(contains(html,
                 concat("Sample 0: cells &lt;", placement.page, "&gt;, centre at row ", number(placement.centre_y, 4),
                        ", column ", number(placement.centre_x, 4), ", turned by ")));
  CHECK(contains(html, "an input of 68 x 68 px predicts the 52 x 52 px in its middle"));
}

TEST_CASE("figures: equal input gives an equal page") {
  const auto without_date = [](const std::string& html) { return without(html, "<footer>", "</footer>"); };
  CHECK(without_date(Example().render()) == without_date(Example().render()));
}

TEST_CASE("figures: pages smaller than the tile, and than the part that is magnified") {
  for (const Size size : {Size{31, 45}, Size{1, 1}, Size{3, 200}}) {
    Example example(size.height, size.width);
    example.set.training[0].classes.at(0, 0) = example.set.training[0].instances.at(0, 0) = 1;
    INFO(size.height << " x " << size.width);
    check_complete(example.render());
  }
}

TEST_CASE("figures: several classes, color and ignored pixels") {
  Example example;
  example.config.network.classes = 4;
  example.info = {.labels = LabelKind::classes, .class_values = {0, 10, 20, 77}};
  for (TrainingPage& page : example.set.training) {
    Image color(page.image.height, page.image.width, 3);
    for (size_t i = 0; i < color.data.size(); ++i) color.data[i] = page.image.data[i / 3] * (0.5F + 0.25F * (i % 3));
    page.image = color;
    for (size_t i = 0; i < page.classes.data.size(); ++i) {
      if (page.instances.data[i] > 0) page.classes.data[i] = 1 + page.instances.data[i] % 3;
      if (i % 150 < 20) page.classes.data[i] = page.instances.data[i] = -1;
    }
  }
  const std::string html = example.render();
  check_complete(html);
  CHECK(contains(html, "3 channels"));
  CHECK(contains(html, "class 3 (77 in the file) in green"));
  CHECK(contains(html, "Hatched: 2,400 ignored pixels (13.3 %)"));
}

TEST_CASE("figures: a page without objects, and nothing random") {
  Example example;
  for (TrainingPage& page : example.set.training) {
    std::fill(page.instances.data.begin(), page.instances.data.end(), 0);
    std::fill(page.classes.data.begin(), page.classes.data.end(), 0);
  }
  example.config.augmentation = {.rotation = false,
                                 .shift = 0,
                                 .elastic = ElasticKind::none,
                                 .elastic_sigma = 0,
                                 .simard_alpha = 0,
                                 .gray = false};
  const std::string html = example.render();
  check_complete(html);
  CHECK(contains(html, "nothing has to be carved"));
  CHECK(contains(html, "turned by 0\u00b0."));
  CHECK(contains(html, "rotation off, shift up to 0 px, flips off"));
}

TEST_CASE("figures: pages without any truth") {
  Example example;
  for (TrainingPage& page : example.set.training) {
    std::fill(page.instances.data.begin(), page.instances.data.end(), -1);
    std::fill(page.classes.data.begin(), page.classes.data.end(), -1);
  }
  check_complete(example.render());
}

TEST_CASE("figures: the file is named after its folder") {
  const test::TemporaryFolder folder;
  Example example(40, 40);
  prepare_weights(example.set, 2, example.config);
  std::filesystem::create_directory(folder / "third try");
  write_figures(folder / "third try/figures.html", example.set, example.config, example.info);
  CHECK(contains(test::read_text(folder / "third try/figures.html"), "<h1>third try</h1>"));
  CHECK_THROWS_AS(write_figures("/nonexistent/figures.html", example.set, example.config, example.info), IoError);
}

namespace {

/// dy = a y + b x, dx = c y + d x
class LinearField : public DisplacementField {
 public:
  LinearField(float a, float b, float c, float d, int64_t width) : a_(a), b_(b), c_(c), d_(d), width_(width) {}
  void row(int64_t y, float* dy, float* dx) const override {
    for (int64_t x = 0; x < width_; ++x) {
      dy[x] = a_ * static_cast<float>(y) + b_ * static_cast<float>(x);
      dx[x] = c_ * static_cast<float>(y) + d_ * static_cast<float>(x);
    }
  }

 private:
  float a_, b_, c_, d_;
  int64_t width_;
};

}  // namespace

TEST_CASE("field statistics: of linear fields, exactly") {
  const FieldStatistics one = measure_field(LinearField(0.5F, 0.25F, -0.5F, -0.25F, 3), {2, 3});
  CHECK(one.smallest_jacobian == 1.5 * 0.75 + 0.25 * 0.5);
  CHECK(one.largest == std::hypot(1.0, -1.0));
  CHECK(one.rms == Approx(std::sqrt(2 * (0.0625 + 0.25 + 0.25 + 0.5625 + 1) / 12)));
  CHECK(measure_field(LinearField(-1.5F, 0, 0, 0, 4), {4, 4}).smallest_jacobian == -0.5);  // turned over
  CHECK(measure_field(LinearField(0, 0, 0, 2, 1), {5, 1}).smallest_jacobian == 1);         // no neighbours
}

TEST_CASE("field statistics: closed forms are what many fields measure") {
  AugmentationConfig config;
  CHECK(measure_fields({.elastic = ElasticKind::none}, {60, 60}, 1, 3).rms == 0);
  config.elastic = ElasticKind::grid3;
  CHECK(measure_fields(config, {65, 65}, 2, 2000).rms == Approx(rms_displacement(config, {65, 65})).epsilon(0.01));
  config.elastic = ElasticKind::bspline, config.elastic_spacing = 20;
  CHECK(measure_fields(config, {100, 100}, 2, 1000).rms == Approx(rms_displacement(config, {100, 100})).epsilon(0.01));
  config.elastic = ElasticKind::simard, config.simard_alpha = 34, config.simard_sigma = 4;
  CHECK(measure_fields(config, {100, 100}, 2, 30).rms == Approx(rms_displacement(config, {100, 100})).epsilon(0.02));
}

TEST_CASE("drawing: in the coordinates of the page") {
  const std::string svg = Drawing({-5, 10, 40, 30})
                              .square({-5, 10, 20, 15}, Ink::blue)
                              .line({0, 11.26}, {2, 12}, Ink::black)
                              .text({1, 2}, "<a>", Ink::white)
                              .svg();
  CHECK(svg ==
        "<svg aria-hidden=\"true\" viewBox=\"10 -5 30 40\">"
        "<path class=\"edge solid\" d=\"M10 -5h15v20h-15Z\"/><path class=\"ink solid blue\" d=\"M10 -5h15v20h-15Z\"/>"
        "<path class=\"ink solid black\" d=\"M11.3 0L12 2\"/>"
        "<text class=\"white\" x=\"2\" y=\"1\" dy=\"0.35em\" font-size=\"2.2\">&lt;a&gt;</text></svg>");
}

TEST_CASE("drawing: outlines of objects, at their place") {
  LabelMap ids(3, 3);
  ids.at(1, 1) = 1;
  const std::string svg =
      Drawing({10, 20, 3, 3}).outlines(trace_outlines(ids, 1, Connectivity::four), {10, 20}, Ink::black).svg();
  CHECK(contains(svg, "d=\"M22 11L22 12L21 12L21 11Z\""));
}

TEST_CASE("label overlay: tints, outlines and hatching") {
  LabelMap classes(4, 12), objects(4, 12);
  for (int64_t x = 0; x < 12; ++x) classes.at(3, x) = -1;
  for (int64_t y = 0; y < 3; ++y) {
    for (int64_t x = 0; x < 6; ++x) classes.at(y, x) = 2, objects.at(y, x) = x < 3 ? 1 : 2;
  }
  const Grid<uint8_t> overlay = label_overlay(classes, objects);
  const auto colour = [&](int64_t y, int64_t x) { return std::vector<int>(&overlay.at(y, x), &overlay.at(y, x) + 4); };
  CHECK(colour(1, 1) == std::vector{86, 180, 233, 76});   // inside
  CHECK(colour(1, 2) == std::vector{86, 180, 233, 230});  // beside the other object
  CHECK(colour(1, 5) == std::vector{86, 180, 233, 230});  // beside the background
  CHECK(colour(2, 1) == std::vector{86, 180, 233, 230});  // beside ignored pixels
  CHECK(colour(0, 0) == std::vector{86, 180, 233, 76});   // the page's side is no outline
  CHECK(colour(1, 8) == std::vector{0, 0, 0, 0});
  CHECK(colour(3, 5) == std::vector{255, 255, 255, 150});
  CHECK(colour(3, 0) == std::vector{40, 40, 40, 150});
  CHECK_THROWS_AS(label_overlay(classes, LabelMap(4, 11)), ShapeError);
}

}  // namespace unet
