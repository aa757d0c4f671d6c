#include "unet/instance_distance.h"

#include <utility>

namespace unet {
namespace {

// Note [Two nearest labels]
//
// Column by column, keep for each pixel the two nearest distinct labels of its column and their vertical distances. Two
// are enough: were the label that attains the second distance of pixel (y,p) through column x not among the two nearest
// of (y,x), then two other labels would be at least as near through that column, and one of them would attain it too.
//
// Row by row, the first distance is the minimum over columns x of (p-x)^2 + f(x), with f the squared vertical distance
// of the column's nearest label: the lower envelope of parabolas, linear in the row (Felzenszwalb and Huttenlocher
// 2012; integer break points as in Meijster et al. 2000).
//
// For the second distance, split the row into maximal runs [a,b] of one nearest label k. On a run, minimise over all
// columns' nearest labels other than k, again by an envelope. Sites are monotone in p, so only columns between the site
// of a-1 and the site of b+1 can attain the minimum; each column falls into a bounded number of such ranges and the row
// stays linear. Replaces one transform per instance, which costs the number of instances times as much.

/// A label and how far it is. Label 0: none.
struct Candidate {
  int32_t label = 0;
  int32_t distance = 0;  // px, along the column
};

/// The two nearest distinct labels of a column, seen from one pixel; `second` may be none.
struct Nearest {
  Candidate first, second;

  /// Moves one pixel on, to a pixel of label `label` (0 and below: none).
  void advance(int32_t label) {
    ++first.distance, ++second.distance;
    if (label <= 0) return;
    if (label != first.label) second = first;
    first = {label, 0};
  }

  /// Takes in another candidate.
  void add(Candidate other) {
    if (other.label == 0) return;
    if (first.label == 0 || other.distance < first.distance) {
      if (other.label != first.label) second = first;
      first = other;
    } else if (other.label != first.label && (second.label == 0 || other.distance < second.distance)) {
      second = other;
    }
  }
};

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }  // b > 0

/// Lower envelope of the parabolas (p - site)^2 + height for integer p >= begin.
class Envelope {
 public:
  explicit Envelope(int64_t capacity) : arcs_(static_cast<size_t>(capacity)) {}

  void restart(int64_t begin) { begin_ = begin, size_ = 0; }

  /// Sites come in ascending order.
  void add(int64_t site, int64_t height) {
    int64_t from = begin_;
    while (size_ > 0) {
      const Arc& last = arcs_[size_ - 1];
      // First p at which the new parabola lies strictly below the last one.
      from = floor_divide(site * site + height - last.site * last.site - last.height, 2 * (site - last.site)) + 1;
      if (from > last.from) break;
      from = begin_;
      --size_;
    }
    arcs_[size_++] = {.site = site, .height = height, .from = from};
  }

  bool empty() const { return size_ == 0; }

  /// Calls visit(p, site, value) for p = begin .. end-1.
  template <class Visit>
  void evaluate(int64_t end, Visit visit) const {
    for (size_t i = 0; i < size_; ++i) {
      const auto [site, height, from] = arcs_[i];
      const int64_t until = i + 1 < size_ && arcs_[i + 1].from < end ? arcs_[i + 1].from : end;
      for (int64_t p = from; p < until; ++p) visit(p, site, (p - site) * (p - site) + height);
    }
  }

 private:
  struct Arc {
    int64_t site, height, from;  // lowest from p = from on, up to the next arc
  };
  int64_t begin_ = 0;
  size_t size_ = 0;
  std::vector<Arc> arcs_;
};

int64_t square(int64_t v) { return v * v; }

/// Distances of one row from the candidates of its columns.
class RowTransform {
 public:
  explicit RowTransform(int64_t width)
      : width_(width), envelope_(width), site_(static_cast<size_t>(width)), label_(static_cast<size_t>(width)) {}

  void operator()(const std::vector<Nearest>& columns, int64_t* first, int64_t* second) {
    envelope_.restart(0);
    for (int64_t x = 0; x < width_; ++x) {
      const Candidate& candidate = columns[static_cast<size_t>(x)].first;
      if (candidate.label != 0) envelope_.add(x, square(candidate.distance));
    }
    if (envelope_.empty()) return;
    envelope_.evaluate(width_, [&](int64_t p, int64_t site, int64_t value) {
      first[p] = value;
      site_[static_cast<size_t>(p)] = site;
      label_[static_cast<size_t>(p)] = columns[static_cast<size_t>(site)].first.label;
    });
    for (int64_t a = 0, b = 0; a < width_; a = b) {  // runs [a,b) of one nearest label
      const int32_t nearest = label_[static_cast<size_t>(a)];
      while (b < width_ && label_[static_cast<size_t>(b)] == nearest) ++b;
      const int64_t left = a > 0 ? site_[static_cast<size_t>(a - 1)] : 0;
      const int64_t right = b < width_ ? site_[static_cast<size_t>(b)] : width_ - 1;
      envelope_.restart(a);
      for (int64_t x = left; x <= right; ++x) {
        const Nearest& column = columns[static_cast<size_t>(x)];
        const Candidate& candidate = column.first.label != nearest ? column.first : column.second;
        if (candidate.label != 0) envelope_.add(x, square(candidate.distance));
      }
      envelope_.evaluate(b, [&](int64_t p, int64_t, int64_t value) { second[p] = value; });
    }
  }

 private:
  int64_t width_;
  Envelope envelope_;
  std::vector<int64_t> site_;   // column through which the nearest instance is reached
  std::vector<int32_t> label_;  // the nearest instance
};

}  // namespace

InstanceDistances instance_distances(const LabelMap& instances) {
  if (instances.channels != 1) {
    throw ShapeError("instance_distances: expected an instance map of one channel, got " + instances.shape_text());
  }
  const int64_t height = instances.height, width = instances.width;
  InstanceDistances result{.first = Grid<int64_t>(height, width, 1, kNoInstance),
                           .second = Grid<int64_t>(height, width, 1, kNoInstance)};
  if (instances.pixels() == 0) return result;

  // Down: the labels at and above each pixel. Up, and at once row by row: those at and below it, then the row's
  // minimum.
  Grid<Nearest> above(height, width);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      if (y > 0) above.at(y, x) = above.at(y - 1, x);
      above.at(y, x).advance(instances.at(y, x));
    }
  }
  std::vector<Nearest> below(static_cast<size_t>(width)), columns(static_cast<size_t>(width));
  RowTransform transform(width);
  for (int64_t y = height - 1; y >= 0; --y) {
    for (int64_t x = 0; x < width; ++x) {
      const auto i = static_cast<size_t>(x);
      below[i].advance(instances.at(y, x));
      columns[i] = above.at(y, x);
      columns[i].add(below[i].first);
      columns[i].add(below[i].second);
    }
    transform(columns, &result.first.at(y, 0), &result.second.at(y, 0));
  }
  return result;
}

}  // namespace unet
