// Sections on labels and separation borders.
#include <algorithm>
#include <array>

#include "unet/figure_parts.h"
#include "unet/png_io.h"
#include "unet/separation.h"

namespace unet {
namespace {

constexpr int32_t kColours = 6;  // of label_overlay()

int32_t largest_id(const LabelMap& ids) { return *std::max_element(ids.data.begin(), ids.data.end()); }

int64_t count_of(const LabelMap& labels, int32_t value) {
  return std::count(labels.data.begin(), labels.data.end(), value);
}

int64_t count_objects(const LabelMap& instances) {
  std::vector<int32_t> ids = instances.data;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return std::count_if(ids.begin(), ids.end(), [](int32_t id) { return id > 0; });
}

/// Classes of the page as they were before carving. With more than two classes, an object that was carved away whole
/// stays background.
LabelMap uncarved_classes(const FigureSubject& subject) {
  const TrainingPage& page = subject.page;
  if (page.uncarved.pixels() > 0) return page.uncarved;
  std::vector<int32_t> class_of(static_cast<size_t>(std::max(0, largest_id(page.instances)) + 1));
  if (subject.config.network.classes == 2) std::fill(class_of.begin(), class_of.end(), 1);
  for (size_t i = 0; i < page.classes.data.size(); ++i) {
    const int32_t id = page.instances.data[i];
    if (id > 0 && page.classes.data[i] > 0) class_of[static_cast<size_t>(id)] = page.classes.data[i];
  }
  LabelMap classes = page.classes;
  for (size_t i = 0; i < classes.data.size(); ++i) {
    const int32_t id = page.instances.data[i];
    if (id > 0 && classes.data[i] == 0) classes.data[i] = class_of[static_cast<size_t>(id)];
  }
  return classes;
}

/// Objects in colours that differ between most neighbours.
LabelMap object_colours(const LabelMap& instances) {
  LabelMap colours = instances;
  for (int32_t& id : colours.data) id = id > 0 ? (id - 1) % kColours + 1 : id;
  return colours;
}

/// What a border takes away from the objects.
struct Carving {
  LabelMap classes;
  int64_t pixels = 0;
};

Carving carve(const FigureSubject& subject, SeparationBorder border) {
  const LabelMap before = uncarved_classes(subject);
  Carving carving{.classes = separate_instances(subject.page.instances, before, border)};
  for (size_t i = 0; i < before.data.size(); ++i) carving.pixels += carving.classes.data[i] != before.data[i] ? 1 : 0;
  return carving;
}

/// Where the border lies in a part of the page: the classes tinted, carved pixels in white.
PagePicture carved_picture(const FigureSubject& subject, const Carving& carving, const std::string& caption) {
  const LabelMap instances = crop(subject.page.instances, subject.touching),
                 classes = crop(carving.classes, subject.touching);
  const LabelMap no_outlines(classes.height, classes.width);
  Grid<uint8_t> overlay = label_overlay(object_colours(instances), no_outlines);
  for (size_t i = 0; i < classes.data.size(); ++i) {
    if (instances.data[i] > 0 && classes.data[i] == 0) std::fill_n(&overlay.data[4 * i], 4, uint8_t{255});
  }
  return {.caption = caption,
          .png = to_png(gray_picture(subject, crop(subject.page.image, subject.touching))),
          .alternative = "magnified part of the page: " + caption,
          .overlay = encode_png(overlay),
          .drawing = outline_drawing(subject.page.instances, subject.touching, Ink::black).svg(),
          .magnified = true};
}

}  // namespace

std::string label_section(const FigureSubject& subject) {
  const TrainingPage& page = subject.page;
  const std::string png = to_png(gray_picture(subject, reduced(page.image)));
  const LabelMap classes = reduced(uncarved_classes(subject)), instances = reduced(page.instances);
  const int64_t ignored = count_of(page.classes, -1);
  std::string class_caption = "Classes:";
  for (size_t k = 0; k < static_cast<size_t>(subject.config.network.classes); ++k) {
    constexpr std::array<const char*, kColours> kNames{"yellow", "light blue", "green", "orange", "pink", "red"};
    class_caption += concat(k == 0 ? " " : ", ", class_name(subject, k), k == 0 ? " untinted" : " in ",
                            k == 0 ? "" : kNames[(k - 1) % kColours]);
  }
  class_caption += ignored == 0
                       ? ". No pixel is ignored."
                       : concat(". Hatched: ", number(static_cast<double>(ignored), 12), " ignored pixels (",
                                percent(static_cast<double>(ignored) / static_cast<double>(subject.size.pixels())),
                                "), which weigh nothing.");
  const std::string kind =
      subject.info.labels == LabelKind::instances
          ? "ids of the file"
          : concat("connected regions of a class (data.connectivity = ", subject.config.data.connectivity, ")");
  const Gallery gallery{
      .title = "Page, classes and objects",
      .explanation =
          "One training page and what its labels say. Borders and weights follow from the objects; the "
          "network learns the classes.",
      .pictures = {{.caption = concat(page.name, ", ", size_text(subject.size),
                                      ". Magnified below: where objects touch (orange), where a gap lies between them "
                                      "(yellow)."),
                    .png = png,
                    .alternative = "the training page in gray",
                    .drawing = Drawing({0, 0, subject.size.height, subject.size.width})
                                   .square(subject.touching, Ink::orange)
                                   .square(subject.gap, Ink::yellow)
                                   .svg()},
                   {.caption = class_caption,
                    .png = png,
                    .alternative = "the page with its classes tinted and outlined",
                    .overlay = encode_png(label_overlay(classes, instances))},
                   {.caption = concat(number(static_cast<double>(count_objects(page.instances)), 12),
                                      " objects, in colours that repeat: ", kind, "."),
                    .png = png,
                    .alternative = "the page with each object tinted and outlined",
                    .overlay = encode_png(label_overlay(object_colours(instances), instances))}},
      .columns = 3};
  return render(gallery);
}

std::string separation_section(const FigureSubject& subject) {
  struct Rule {
    SeparationBorder border;
    const char* text;
  };
  constexpr std::array<Rule, 3> kRules{
      Rule{SeparationBorder::freiburg,
           "takes a pixel where the one to the left or one of the three above is of another "
           "object, as in the authors' later plugin"},
      Rule{SeparationBorder::thin, "the same without what was taken before: gaps of one pixel"},
      Rule{SeparationBorder::sym, "takes every pixel that touches another object"}};
  Gallery gallery{.title = "Separation border",
                  .explanation =
                      "Where objects of a class touch, pixels become background, or the network could not "
                      "learn to tell them apart (Ronneberger et al. 2015, section 3: \"morphological "
                      "operations\"). White pixels are carved; black lines are the outlines of the objects "
                      "as labelled.",
                  .pictures = {carved_picture(subject, {.classes = uncarved_classes(subject)}, "Objects as labelled.")},
                  .columns = 4};
  int64_t carved = 0;
  for (const Rule& rule : kRules) {
    const Carving carving = carve(subject, rule.border);
    carved += carving.pixels;
    gallery.pictures.push_back(carved_picture(
        subject, carving,
        concat(name_of(rule.border), ": ", rule.text, ". ", number(static_cast<double>(carving.pixels), 12),
               " pixels of this page.", subject.config.weight_map.border == rule.border ? " Used in this run." : "")));
  }
  if (carved == 0) {
    gallery.explanation =
        "No objects of a class touch on this page, so that nothing has to be carved. The part of the "
        "page where they come closest, magnified; black lines are the objects' outlines.";
  }
  return render(gallery);
}

}  // namespace unet
