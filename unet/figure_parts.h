// What the figures of figures.html are made of and have in common.
#pragma once

#include <string>
#include <vector>

#include "unet/augment.h"
#include "unet/drawing.h"
#include "unet/instance_distance.h"
#include "unet/page.h"
#include "unet/picture.h"

namespace unet {

/// What is shown.
struct FigureSubject {
  FigureSubject(const TrainingSet& training_set, const TrainingConfig& training_config, const ModelInfo& model_info);

  const TrainingSet& set;
  const TrainingConfig& config;
  const ModelInfo& info;
  const std::vector<TrainingPage> pages;  // one: the training page that has most to show
  const TrainingPage& page;               // the same
  const Size size;                        // of the page, px
  const InstanceDistances distances;      // of its pixels
  const Rect touching;                    // part of the page where most objects touch, or come closest
  const Rect gap;                         // part with most background between near objects
  const float black, white;               // gray values that pictures show as black and white
};

// Sections of the page.
std::string label_section(const FigureSubject& subject);
std::string separation_section(const FigureSubject& subject);
std::string weight_section(const FigureSubject& subject);
std::string elastic_section(const FigureSubject& subject);
std::string placement_section(const FigureSubject& subject);
std::string gray_section(const FigureSubject& subject);
std::string overlap_tile_section(const FigureSubject& subject);
std::string sample_section(const FigureSubject& subject);
std::string sampling_section(const FigureSubject& subject);

/// A table with a row of heads; the first cell of a row is its head, too. Cells are texts.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// The size at which a picture of `size` pixels is put on the page: no more than 400 px a side.
Size shown_size(Size size);
/// Pixels averaged to the size shown; labels are those of the nearest pixels.
Image reduced(const Image& image);
LabelMap reduced(const LabelMap& labels);
Image crop(const Image& image, const Rect& part);
LabelMap crop(const LabelMap& labels, const Rect& part);

/// Gray levels of a page, as subject.black and white say; `centre` is what was subtracted from them.
Picture gray_picture(const FigureSubject& subject, const Image& image, float centre = 0);
/// A window of the page and its mirrored surroundings, which are darker.
Picture mirrored_picture(const FigureSubject& subject, const Rect& window);
/// As a file, with one channel where all are equal.
std::string to_png(const Picture& picture);

/// The configuration with every random change of a tile switched off but its place.
TrainingConfig without_changes(const FigureSubject& subject);
/// The number of a sample whose tile lies near the middle of the page.
int64_t central_sample(const FigureSubject& subject);
/// "class 1 (255 in the file)", or what instances are.
std::string class_name(const FigureSubject& subject, size_t label);
/// Outlines of the objects in a part of the page, in page coordinates, as a drawing for a picture of that part.
Drawing outline_drawing(const LabelMap& instances, const Rect& part, Ink ink);

/// "centre at row 31, column 200.5, turned by 30 degrees, mirrored"
std::string placement_text(const Placement& placement);
/// "12.5 %"
std::string percent(double share);
/// Of a page, "512 x 768 px".
std::string size_text(Size size);
std::string number(double value, int digits = 3);

}  // namespace unet
