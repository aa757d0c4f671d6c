#include "unet/object_table.h"

#include <algorithm>
#include <sstream>

namespace unet {

std::vector<ObjectRow> measure_objects(const LabelMap& ids, int32_t count, const Image& image, int64_t page) {
  std::vector<ObjectRow> rows(static_cast<size_t>(count));
  std::vector<int64_t> right(rows.size()), bottom(rows.size());
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      const int32_t id = ids.at(y, x);
      if (id == 0) continue;
      const auto i = static_cast<size_t>(id - 1);
      ObjectRow& row = rows[i];
      if (row.area_px == 0) row.page = page, row.id = id, row.left = x, row.top = y, right[i] = x;
      ++row.area_px;
      row.centroid_x += static_cast<double>(x);
      row.centroid_y += static_cast<double>(y);
      row.mean_intensity.resize(static_cast<size_t>(image.channels));
      for (int64_t c = 0; c < image.channels; ++c) {
        row.mean_intensity[static_cast<size_t>(c)] += static_cast<double>(image.at(y, x, c));
      }
      row.left = std::min(row.left, x);
      right[i] = std::max(right[i], x);
      bottom[i] = y;
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto area = static_cast<double>(rows[i].area_px);
    rows[i].centroid_x /= area, rows[i].centroid_y /= area;
    for (double& mean : rows[i].mean_intensity) mean /= area;
    rows[i].width = right[i] - rows[i].left + 1, rows[i].height = bottom[i] - rows[i].top + 1;
  }
  return rows;
}

std::string objects_csv(const std::vector<ObjectRow>& rows, const PixelSize& pixel_size) {
  std::ostringstream out;
  out.precision(10);
  out << "page,id,area_px," << (pixel_size.known() ? "area_um2," : "")
      << "centroid_x_px,centroid_y_px,left_px,top_px,width_px,height_px";
  const size_t channels = rows.empty() ? 1 : rows[0].mean_intensity.size();
  for (size_t c = 1; c <= channels; ++c) out << ",mean_intensity" << (channels > 1 ? concat('_', c) : "");
  out << '\n';
  for (const ObjectRow& r : rows) {
    out << r.page << ',' << r.id << ',' << r.area_px << ',';
    if (pixel_size.known()) {
      out << static_cast<double>(r.area_px) * pixel_size.width_um * pixel_size.height_um << ',';
    }
    out << r.centroid_x << ',' << r.centroid_y << ',' << r.left << ',' << r.top << ',' << r.width << ',' << r.height;
    for (const double mean : r.mean_intensity) out << ',' << mean;
    out << '\n';
  }
  return out.str();
}

}  // namespace unet
