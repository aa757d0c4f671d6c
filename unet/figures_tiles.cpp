// Sections on overlap-tiles, complete samples and where tiles are drawn.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/mirror.h"
#include "unet/figure_parts.h"
#include "unet/png_io.h"

namespace unet {
namespace {

constexpr int64_t kSamples = 3;
constexpr int64_t kPlacements = 20000;
constexpr int64_t kTiles = 2000;  // whose output is followed to the page
constexpr size_t kDots = 600;

Rect united(const Rect& a, const Rect& b) {
  const int64_t y = std::min(a.y, b.y), x = std::min(a.x, b.x);
  return {y, x, std::max(a.y + a.height, b.y + b.height) - y, std::max(a.x + a.width, b.x + b.width) - x};
}

/// Centres of tiles on the page, and how many pixels of each class lie under them.
struct Centres {
  std::vector<PagePoint> inside;
  std::vector<int64_t> of_class;  // [classes]
};

Centres draw_centres(const FigureSubject& subject, TileSampling sampling) {
  TrainingConfig config = subject.config;
  config.augmentation.sampling = sampling;
  Centres centres{.inside = {}, .of_class = std::vector<int64_t>(static_cast<size_t>(subject.config.network.classes))};
  if (sampling == TileSampling::density && subject.page.row_density.back() == 0) return centres;  // all is ignored
  for (int64_t i = 0; i < kPlacements; ++i) {
    const Placement placement = draw_placement(subject.pages, config, i);
    const auto y = static_cast<int64_t>(std::floor(placement.centre_y + 0.5));
    const auto x = static_cast<int64_t>(std::floor(placement.centre_x + 0.5));
    if (y < 0 || x < 0 || y >= subject.size.height || x >= subject.size.width) continue;
    centres.inside.push_back({placement.centre_y + 0.5, placement.centre_x + 0.5});
    const int32_t label = subject.page.classes.at(y, x);
    if (label >= 0) ++centres.of_class[static_cast<size_t>(label)];
  }
  return centres;
}

/// A count for every square bin of the page, about 32 bins along its longer side.
class PageHistogram {
 public:
  explicit PageHistogram(Size page)
      : bin_(ceil_div(std::max(page.height, page.width), int64_t{32})),
        page_(page),
        counts_(ceil_div(page.height, bin_), ceil_div(page.width, bin_)) {}

  void add(int64_t y, int64_t x) { ++counts_.at(y / bin_, x / bin_); }

  int64_t bin() const { return bin_; }  // px
  /// Counts times `factor`, by the pixels that a bin has: those at the rim may have fewer.
  Image per_pixel(double factor) const {
    Image values = counts_;
    for (int64_t y = 0; y < values.height; ++y) {
      for (int64_t x = 0; x < values.width; ++x) {
        const int64_t height = std::min(bin_, page_.height - y * bin_), width = std::min(bin_, page_.width - x * bin_);
        values.at(y, x) *= static_cast<float>(factor / static_cast<double>(height * width));
      }
    }
    return values;
  }

 private:
  int64_t bin_;
  Size page_;
  Image counts_;
};

/// How often the pixels of the page are in the output of a tile, also in the mirrored parts, without elastic
/// deformation: a mean over every bin, for 100 tiles.
Image output_coverage(const FigureSubject& subject) {
  constexpr int64_t kSteps = 40;  // points along a side of the output
  const TileRule rule(static_cast<int>(subject.config.network.depth));
  const double side = static_cast<double>(rule.output(subject.config.tile.input)), spacing = side / kSteps;
  PageHistogram histogram(subject.size);
  for (int64_t i = 0; i < kTiles; ++i) {
    const Placement placement = draw_placement(subject.pages, subject.config, i);
    for (int64_t j = 0; j < kSteps * kSteps; ++j) {
      const double oy = (static_cast<double>(j / kSteps) + 0.5) * spacing - side / 2;
      const double ox = (static_cast<double>(j % kSteps) + 0.5) * spacing - side / 2;
      const double y = placement.centre_y + placement.yy * oy + placement.yx * ox;
      const double x = placement.centre_x + placement.xy * oy + placement.xx * ox;
      histogram.add(mirror(static_cast<int64_t>(std::floor(y + 0.5)), subject.size.height),
                    mirror(static_cast<int64_t>(std::floor(x + 0.5)), subject.size.width));
    }
  }
  return histogram.per_pixel(100 * spacing * spacing / static_cast<double>(kTiles));
}

struct Range {
  double low = 0, high = 0;
};

Range range_of(const Image& values) {
  const auto [low, high] = std::minmax_element(values.data.begin(), values.data.end());
  return {static_cast<double>(*low), static_cast<double>(*high)};
}

PagePicture map_picture(const std::string& caption, const Image& values, const std::string& unit) {
  const double high = range_of(values).high;
  return {.caption = caption,
          .png = to_png(heat_picture(values, std::max(static_cast<float>(high), 1e-20F))),
          .bar = ColourBar{.top = high, .unit = unit},
          .magnified = true};
}

std::string class_table(const FigureSubject& subject, const Centres& uniform, const Centres& density) {
  std::vector<int64_t> pixels(uniform.of_class.size());
  for (const int32_t label : subject.page.classes.data) {
    if (label >= 0) ++pixels[static_cast<size_t>(label)];
  }
  const auto share = [](const std::vector<int64_t>& counts, size_t k) {
    const int64_t all = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    return percent(static_cast<double>(counts[k]) / static_cast<double>(std::max<int64_t>(all, 1)));
  };
  std::vector<std::vector<std::string>> rows{{"", "pixels of the page", "centres, uniform", "centres, density"}};
  for (size_t k = 0; k < pixels.size(); ++k) {
    rows.push_back({class_name(subject, k), share(pixels, k), share(uniform.of_class, k), share(density.of_class, k)});
  }
  return table(rows);
}

PagePicture density_picture(const FigureSubject& subject, TileSampling sampling, const Centres& centres) {
  PageHistogram histogram(subject.size);
  for (const PagePoint& centre : centres.inside) {
    histogram.add(std::min(static_cast<int64_t>(centre.y), subject.size.height - 1),
                  std::min(static_cast<int64_t>(centre.x), subject.size.width - 1));
  }
  const double mean = 1000 * static_cast<double>(centres.inside.size()) / static_cast<double>(subject.size.pixels());
  return map_picture(concat(name_of(sampling), ": centres per 1,000 px, in squares of ", histogram.bin(), " px; ",
                            number(mean), " on average."),
                     histogram.per_pixel(1000), "");
}

}  // namespace

std::string overlap_tile_section(const FigureSubject& subject) {
  const int64_t side = subject.config.tile.input;
  const TileRule rule(static_cast<int>(subject.config.network.depth));
  const int64_t output = rule.output(side), margin = rule.margin();
  const Rect page{0, 0, subject.size.height, subject.size.width};
  const Rect input{-margin, -margin, side, side}, predicted{0, 0, output, output};
  const Rect window = united(input, {-margin, -margin, page.height + 2 * margin, page.width + 2 * margin});
  const Gallery gallery{
      .title = "Overlap-tile",
      .explanation =
          concat("Convolutions without padding lose ", margin, " px on each side: an input of ", side, " x ", side,
                 " px predicts the ", output, " x ", output,
                 " px in its middle. What lies outside of the page is mirrored (Ronneberger et al. 2015, section 2 "
                 "and Fig. 2)."),
      .pictures = {{.caption = concat("The tile at the page's corner. Blue: what the network reads; yellow: what it "
                                      "predicts; dashed: the page, ",
                                      size_text(subject.size), "; darker: mirrored."),
                    .png = to_png(mirrored_picture(subject, window)),
                    .alternative = "the page with its mirrored surroundings and the first tile",
                    .drawing = Drawing(window)
                                   .square(page, Ink::white, true)
                                   .square(input, Ink::blue)
                                   .square(predicted, Ink::yellow)
                                   .svg()},
                   {.caption = concat("That tile alone, ", side, " -> ", output, " px."),
                    .png = to_png(mirrored_picture(subject, input)),
                    .alternative = "the input tile at the page's corner, with the predicted part marked",
                    .drawing = Drawing(input).square(predicted, Ink::yellow).svg()}},
      .columns = 2};
  return render(gallery);
}

std::string sample_section(const FigureSubject& subject) {
  const TrainingConfig& config = subject.config;
  const int64_t side = config.tile.input;
  const TileRule rule(static_cast<int>(config.network.depth));
  const int64_t output = rule.output(side), margin = rule.margin();
  Gallery gallery{.title = "Samples",
                  .explanation =
                      "The first tiles of this run exactly as the network is fed them, all changes together: the image "
                      "with the predicted square, and inside it the classes to be learned and their weights.",
                  .pictures = {},
                  .columns = 3};
  for (int64_t i = 0; i < kSamples; ++i) {
    const Sample sample = draw_sample(subject.set.training, config, i);
    const Placement placement = draw_placement(subject.set.training, config, i);
    const TrainingPage& page = subject.set.training[placement.page];
    gallery.pictures.push_back(
        {.caption = concat("Sample ", i, ": ", page.name, ", ", placement_text(placement), "."),
         .png = to_png(gray_picture(subject, reduced(sample.image), page.centre)),
         .alternative = concat("image tile of sample ", i),
         .drawing = Drawing({0, 0, side, side}).square({margin, margin, output, output}, Ink::yellow).svg()});
    const Rect inside{margin, margin, output, output};
    const LabelMap labels = reduced(sample.labels);
    gallery.pictures.push_back({.caption = concat("Classes, ", size_text({output, output}), "."),
                                .png = to_png(gray_picture(subject, reduced(crop(sample.image, inside)), page.centre)),
                                .alternative = concat("classes of sample ", i),
                                .overlay = encode_png(label_overlay(labels, labels))});
    const float top = *std::max_element(sample.weights.data.begin(), sample.weights.data.end());
    const float low = *std::min_element(sample.weights.data.begin(), sample.weights.data.end());
    gallery.pictures.push_back({.caption = concat("Weights ", number(static_cast<double>(low), 4), " to ",
                                                  number(static_cast<double>(top), 4), "."),
                                .png = to_png(heat_picture(reduced(sample.weights), top)),
                                .alternative = concat("weights of sample ", i),
                                .bar = ColourBar{.top = static_cast<double>(top), .unit = ""}});
  }
  return render(gallery);
}

std::string sampling_section(const FigureSubject& subject) {
  const TileSampling used = subject.config.augmentation.sampling;
  const Centres uniform = draw_centres(subject, TileSampling::uniform);
  const Centres density = draw_centres(subject, TileSampling::density);
  const Centres& centres = used == TileSampling::uniform ? uniform : density;
  const Image coverage = output_coverage(subject);
  const Range times = range_of(coverage);
  std::vector<PagePoint> dots = centres.inside;
  dots.resize(std::min(dots.size(), kDots));
  const auto count = [](auto v) { return number(static_cast<double>(v), 12); };
  const Gallery gallery{
      .title = "Where tiles are drawn",
      .explanation = concat("Centres of ", count(kPlacements),
                            " tiles of this page. uniform: every pixel alike; density: objects ", label_density(1),
                            " times as often as background, ignored pixels never (Falk et al. 2019). Then a "
                            "jitter of up to ",
                            number(subject.config.augmentation.shift), " px moves them, some off the page: ",
                            count(centres.inside.size()), " lie on it. This run uses ", name_of(used), "."),
      .pictures = {{.caption = concat("The first ", dots.size(), " centres of this run on this page."),
                    .png = to_png(gray_picture(subject, reduced(subject.page.image))),
                    .alternative = "the page with the centres of tiles as dots",
                    .drawing = Drawing({0, 0, subject.size.height, subject.size.width}).dots(dots, Ink::yellow).svg()},
                   density_picture(subject, TileSampling::uniform, uniform),
                   density_picture(subject, TileSampling::density, density),
                   map_picture(concat("How often this run predicts a pixel in 100 tiles: ", number(times.low), " to ",
                                      number(times.high), " times, mirrored parts included."),
                               coverage, "times")},
      .columns = 4};
  return render(gallery) + class_table(subject, uniform, density);
}

}  // namespace unet
