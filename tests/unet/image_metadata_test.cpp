#include "unet/image_metadata.h"

#include <map>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/tiff_support.h"
#include "unet/image_reader.h"

namespace unet {
namespace {

using test::TemporaryFolder;
using test::write_tiff;

PixelSize size_of_file(const TemporaryFolder& folder, const test::TiffSpec& spec) {
  write_tiff(folder / "a.tif", spec);
  return ImageReader(folder / "a.tif").metadata().pixel_size;
}

}  // namespace

TEST_CASE("ImageJ descriptions") {
  const std::string text =
      "ImageJ=1.53t\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nmode=composite\nunit=micron\n"
      "finterval=0.5\nspacing=2.0\r\nloop=false\nmin=0.0\n";
  int64_t images = 0;
  const ImageMetadata metadata = parse_imagej_description(text, 5, 4, &images);
  CHECK(is_imagej_description(text));
  CHECK(images == 12);
  CHECK(metadata.axes.channels == 2);
  CHECK(metadata.axes.slices == 3);
  CHECK(metadata.axes.frames == 2);
  CHECK(metadata.axes.order == "CZT");
  CHECK(metadata.pixel_size.width_um == 0.2);
  CHECK(metadata.pixel_size.height_um == 0.25);
  CHECK(metadata.pixel_size.depth_um == 2);
  CHECK(metadata.frame_interval_s == 0.5);
}

TEST_CASE("ImageJ's units are lengths or mean nothing") {
  const std::map<std::string, double> width_um = {{"micron", 0.5}, {"nm", 0.0005},  {"mm", 500},  {"\\u00B5m", 0.5},
                                                  {"um", 0.5},     {"inch", 12700}, {"pixel", 0}, {"", 0}};
  for (const auto& [unit, expected] : width_um) {
    int64_t images = 0;
    const ImageMetadata metadata = parse_imagej_description("ImageJ=1.53t\nunit=" + unit + "\n", 2, 2, &images);
    CAPTURE(unit);
    CHECK(metadata.pixel_size.width_um == Approx(expected));
    CHECK(metadata.pixel_size.known() == (expected > 0));
    CHECK(images == 0);
  }
}

TEST_CASE("OME descriptions") {
  const ImageMetadata metadata = parse_ome_description(
      R"(<?xml version="1.0"?><!-- Pixels --><ome:OME xmlns:ome="x"><ome:Image ID="Image:0"><ome:Pixels ID="Pixels:0"
      DimensionOrder="XYZTC" SizeX="9" SizeC="2" SizeT="4" SizeZ="3" PhysicalSizeX="65" PhysicalSizeXUnit="nm"
      PhysicalSizeY="0.065" PhysicalSizeZ='0.3' TimeIncrement="2.5"></ome:Pixels></ome:Image>
      <ome:Image><ome:Pixels SizeC="7"/></ome:Image></ome:OME>)");
  CHECK(metadata.axes.channels == 2);
  CHECK(metadata.axes.slices == 3);
  CHECK(metadata.axes.frames == 4);
  CHECK(metadata.axes.order == "ZTC");
  CHECK(metadata.pixel_size.width_um == Approx(0.065));
  CHECK(metadata.pixel_size.height_um == 0.065);
  CHECK(metadata.pixel_size.depth_um == 0.3);
  CHECK(metadata.frame_interval_s == 2.5);
}

TEST_CASE("damaged descriptions give defaults") {
  int64_t images = 0;
  for (const std::string text :
       {"ImageJ=", "ImageJ=1\nimages", "ImageJ=1\nimages=x\nchannels=-3\nspacing=nan\nslices=1e300",
        "ImageJ=1\nunit=micron\nspacing=inf\nframes=0"}) {
    const ImageMetadata metadata = parse_imagej_description(text, -1, 0, &images);
    CHECK(metadata.axes.planes() == 1);
    CHECK_FALSE(metadata.pixel_size.known());
    CHECK(metadata.pixel_size.depth_um == 0);
    CHECK(images == 0);
  }
  for (const std::string text :
       {"<OME", "<OME><Pixels", "<OME><Pixels SizeC=", "<OME><Pixels SizeC=\"3", "<OME><Pixels >",
        "<OME><Pixels SizeC=\"-2\" DimensionOrder=\"XYZZZ\" PhysicalSizeX=\"1e999\">"}) {
    const ImageMetadata metadata = parse_ome_description(text);
    CHECK(metadata.axes.planes() == 1);
    CHECK(metadata.axes.order == "CZT");
    CHECK_FALSE(metadata.pixel_size.known());
  }
}

TEST_CASE("resolution tags are believed where no printer was meant") {
  const TemporaryFolder folder;
  const PixelSize centimetres = size_of_file(folder, {.resolution = 52632, .resolution_unit = RESUNIT_CENTIMETER});
  CHECK(centimetres.width_um == Approx(0.19).epsilon(1e-4));
  CHECK(centimetres.height_um == Approx(0.38).epsilon(1e-4));
  CHECK(size_of_file(folder, {.resolution = 25400, .resolution_unit = RESUNIT_INCH}).width_um == Approx(1));
  for (const float dpi : {72.0F, 96.0F, 300.0F, 1200.0F}) {
    CHECK_FALSE(size_of_file(folder, {.resolution = dpi, .resolution_unit = RESUNIT_INCH}).known());
  }
  CHECK_FALSE(size_of_file(folder, {.resolution = 25400, .resolution_unit = RESUNIT_NONE}).known());
  CHECK(size_of_file(folder, {.description = "ImageJ=1.53t\nunit=micron\n", .resolution = 4}).width_um == 0.25);
}

TEST_CASE("a quarter turn swaps width and height of pixels") {
  const TemporaryFolder folder;
  const PixelSize size = size_of_file(
      folder, {.orientation = ORIENTATION_RIGHTTOP, .resolution = 52632, .resolution_unit = RESUNIT_CENTIMETER});
  CHECK(size.height_um == Approx(0.19).epsilon(1e-4));
  CHECK(size.width_um == Approx(0.38).epsilon(1e-4));
}

}  // namespace unet
