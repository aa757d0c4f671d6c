// What the values of label files mean: classes, or ids of objects.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "unet/config.h"
#include "unet/image_reader.h"
#include "unet/inputs.h"

namespace unet {

/// Meaning and statistics of the label values of a set of pages.
struct LabelSurvey {
  LabelKind kind = LabelKind::classes;   // classes or instances
  bool detected = false;                 // not forced by the configuration
  std::vector<int32_t> class_values;     // classes: the file's value of class 0, 1, ...; instances: empty
  int64_t ignore = -1;                   // as configured
  std::map<int32_t, int64_t> histogram;  // pixels of each value in the files, ignored ones too
  int64_t objects = 0;                   // instances: ids above 0, counted on each page

  /// Class of a value in the file, -1 where it stands for none.
  int32_t class_of(int32_t value) const;
  int64_t classes() const { return kind == LabelKind::classes ? std::ssize(class_values) : 2; }
  /// Class numbers or instance ids from the file's values, in place; -1 where ignored. Throws DataError for a value
  /// that the survey did not see or, with instances, for a negative id.
  void translate(LabelMap& labels) const;
  /// Some lines for people: meaning, how it was found, and share of every class.
  std::string describe() const;
};

/// One channel of label values. Color images are accepted where the channels agree (masks saved as RGB); transparency
/// is left out. Throws DataError for others and for values that are not 32-bit integers.
LabelMap read_label_values(ImageReader& reader, int64_t page);

/// Reads all label pages. Automatically, labels are classes where there are two values, or up to 16 in files of 1 to 8
/// bits; otherwise (16 bits and more: ids) they are instances, 0 being background. `config.ignore` does not count.
/// Class 0 is the smallest value, or config.background; the other classes ascend. Throws DataError for what looks like
/// an image (more than ten separate regions a value, on pages of more than 16 values) unless config.labels says what it
/// is, for labels without two different values, for more than 255 classes, for negative ids, and for a background that
/// no pixel has.
LabelSurvey survey_labels(const std::vector<InputPage>& pages, const DataConfig& config);

}  // namespace unet
