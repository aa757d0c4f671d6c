#include "unet/object_table.h"

#include "tests/catch.h"

namespace unet {

TEST_CASE("object table: by hand") {
  LabelMap ids(3, 4);
  ids.data = {0, 1, 1, 0,  //
              2, 0, 1, 0,  //
              2, 2, 0, 0};
  Image image(3, 4, 2);
  for (size_t i = 0; i < 12; ++i) image.data[2 * i] = static_cast<float>(i), image.data[2 * i + 1] = 40000.125F;
  const std::vector<ObjectRow> rows = measure_objects(ids, 2, image, 7);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].area_px == 3);
  CHECK(objects_csv(rows) ==
        "page,id,area_px,centroid_x_px,centroid_y_px,left_px,top_px,width_px,height_px,mean_intensity_1,"
        "mean_intensity_2\n"
        "7,1,3,1.666666667,0.3333333333,1,0,2,2,3,40000.125\n"
        "7,2,3,0.3333333333,1.666666667,0,1,2,2,7,40000.125\n");
}

TEST_CASE("object table: square micrometres where pixels have a size, one intensity of gray images") {
  LabelMap ids(1, 2, 1, 1);
  const Image image(1, 2, 1, 5.0F);
  const auto rows = measure_objects(ids, 1, image, 0);
  CHECK(objects_csv(rows, {.width_um = 0.5, .height_um = 0.25}) ==
        "page,id,area_px,area_um2,centroid_x_px,centroid_y_px,left_px,top_px,width_px,height_px,mean_intensity\n"
        "0,1,2,0.25,0.5,0,0,0,2,1,5\n");
  CHECK(objects_csv({}).find("mean_intensity\n") != std::string::npos);
}

}  // namespace unet
