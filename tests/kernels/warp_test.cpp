#include "kernels/warp.h"

#include <numbers>

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

constexpr Shape kPages{2, 23, 31, 1};

/// A pose in the memory of the target under test.
class Pose {
 public:
  explicit Pose(const WarpPose& pose) : bytes_(Storage::nhwc, {1, 1, 1, sizeof(WarpPose)}, of(pose)) {}
  operator const WarpPose*() const { return reinterpret_cast<const WarpPose*>(bytes_.view().data); }  // NOLINT

 private:
  static Values of(const WarpPose& pose) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&pose);
    return {bytes, bytes + sizeof pose};
  }
  Buffer<uint8_t> bytes_;
};

WarpPose turned(double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  WarpPose pose{.page = 1, .base_y = 9, .base_x = 14, .centre_y = 0.25F, .centre_x = 0.5F};
  pose.yy = static_cast<float>(std::cos(angle)), pose.yx = static_cast<float>(std::sin(angle));
  pose.xy = -pose.yx, pose.xx = pose.yy;
  return pose;
}

}  // namespace

TEST_CASE("warp: without displacement a tile on whole pixels is a mirrored window, labels and values alike") {
  for (const Target target : kTargets) {
    const Values x = integers(kPages, 1, -99, 99);
    const Buffer<float> values(Storage::nhwc, kPages, x);
    const Buffer<int32_t> labels(Storage::nhwc, kPages, x);
    for (const int64_t side : {8, 9}) {
      // The centre of a tile of even side lies between pixels.
      const float half = static_cast<float>(side - 1) / 2;
      const Pose pose(WarpPose{.page = 1, .base_y = -3, .base_x = 27, .centre_y = half, .centre_x = half});
      const Shape part{1, side - 2, side - 4, 1};
      Values expected;
      for (int64_t h = 0; h < part.h; ++h) {
        for (int64_t w = 0; w < part.w; ++w) {
          const int64_t y = mirror(-3 + 1 + h, kPages.h), z = mirror(27 + 2 + w, kPages.w);
          expected.push_back(x[static_cast<size_t>((kPages.h + y) * kPages.w + z)]);
        }
      }
      const Buffer<float> y(Storage::nhwc_crop, part);
      const Buffer<int32_t> nearest(Storage::nhwc, part);
      Runner run(target);
      run(Warp<float>{
          .x = values, .pose = pose, .nodes = {}, .side_y = side, .side_x = side, .top = 1, .left = 2, .y = y});
      run(Warp<int32_t>{
          .x = labels, .pose = pose, .nodes = {}, .side_y = side, .side_x = side, .top = 1, .left = 2, .y = nearest});
      require_equal(y.values(), expected);
      require_equal(nearest.values(), expected);
      REQUIRE((y.intact() && nearest.intact()));
    }
  }
}

TEST_CASE("warp: displaced and turned as the reference target defines it, on smooth pages") {
  const int64_t side = 20;
  const Shape pages{2, 23, 31, 3}, part{1, 12, 14, 3};
  Values x(static_cast<size_t>(pages.size()));
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<double>(i) * 0.11);
  struct Case {
    FieldBasis basis;
    Shape nodes;
    float spacing;
  };
  const std::vector<Case> cases{{FieldBasis::catmull_rom, {1, 5, 5, 2}, static_cast<float>(side - 1) / 2},
                                {FieldBasis::b_spline, {1, 9, 9, 2}, 3.5F},
                                {FieldBasis::dense, {1, side, side, 2}, 1},
                                {FieldBasis::none, {1, 1, 1, 2}, 1}};
  for (const Case& c : cases) {
    const Buffer<float> nodes(Storage::nhwc, c.nodes, randoms<float>(c.nodes, 3, -3, 3));
    const Pose pose(turned(33));
    const auto warped = [&](Target target) {
      const Buffer<float> pages_buffer(Storage::nhwc, pages, x), y(Storage::nhwc, part);
      Runner{target}(Warp<float>{.x = pages_buffer,
                                 .pose = pose,
                                 .basis = c.basis,
                                 .nodes = c.basis == FieldBasis::none ? View<const float>{} : View<const float>(nodes),
                                 .spacing_y = c.spacing,
                                 .spacing_x = c.spacing,
                                 .side_y = side,
                                 .side_x = side,
                                 .top = 4,
                                 .left = 3,
                                 .y = y});
      return y.values();
    };
    const Values expected = warped(Target::reference);
    for (const Target target : kTargets) {
      CAPTURE(name_of(target), static_cast<int>(c.basis));
      // Positions are off by some 1e-6 px, and neighbouring values of the page differ by at most 2.
      require_close(warped(target), expected, 2e-5);
    }
  }
}

TEST_CASE("warp: a quarter turn and flips move pixels exactly") {
  const int64_t side = 6;
  const Shape page{1, side, side, 1};
  const Values x = integers(page, 1, -99, 99);
  WarpPose quarter{.centre_y = 2.5F, .centre_x = 2.5F, .yy = 0, .yx = 1, .xy = -1, .xx = 0};
  WarpPose flipped{.centre_y = 2.5F, .centre_x = 2.5F, .yy = -1, .xx = 1};
  for (const Target target : kTargets) {
    const Buffer<float> image(Storage::nhwc, page, x), y(Storage::nhwc, page);
    Values turned(x.size()), mirrored(x.size());
    for (int64_t i = 0; i < side; ++i) {
      for (int64_t j = 0; j < side; ++j) {
        turned[static_cast<size_t>(i * side + j)] = x[static_cast<size_t>(j * side + side - 1 - i)];
        mirrored[static_cast<size_t>(i * side + j)] = x[static_cast<size_t>((side - 1 - i) * side + j)];
      }
    }
    Runner run(target);
    run(Warp<float>{.x = image, .pose = Pose(quarter), .nodes = {}, .side_y = side, .side_x = side, .y = y});
    require_equal(y.values(), turned);
    run(Warp<float>{.x = image, .pose = Pose(flipped), .nodes = {}, .side_y = side, .side_x = side, .y = y});
    require_equal(y.values(), mirrored);
  }
}

TEST_CASE("warp: cubic weights add up to one, and those of Catmull-Rom interpolate") {
  for (const FieldBasis basis : {FieldBasis::catmull_rom, FieldBasis::b_spline}) {
    for (int i = 0; i <= 64; ++i) {
      const CubicWeights weights = cubic_weights(basis, static_cast<float>(i) / 64);
      const auto& w = weights.node;
      REQUIRE(std::abs(w[0] + w[1] + w[2] + w[3] - 1) < 1e-6F);
      const float mean = -w[0] + w[2] + 2 * w[3];  // reproduces positions
      REQUIRE(std::abs(mean - static_cast<float>(i) / 64) < 1e-6F);
    }
  }
  const CubicWeights first = cubic_weights(FieldBasis::catmull_rom, 0);
  CHECK((first.node[0] == 0 && first.node[1] == 1 && first.node[2] == 0 && first.node[3] == 0));
}

TEST_CASE("warp: refuses operands that do not fit") {
  const Buffer<float> x(Storage::nhwc, {1, 9, 9, 2}), y(Storage::nhwc, {1, 4, 4, 2}),
      other(Storage::nhwc, {1, 4, 4, 3});
  const Buffer<float> nodes(Storage::nhwc, {1, 5, 5, 2}), few(Storage::nhwc, {1, 4, 5, 2});
  const Pose pose(WarpPose{});
  const Warp<float> good{.x = x, .pose = pose, .nodes = {}, .side_y = 6, .side_x = 6, .top = 1, .left = 2, .y = y};
  good.check();
  const auto with = [&](auto change) {
    Warp<float> op = good;
    change(op);
    return op;
  };
  require_refused<ShapeError>(with([&](auto& o) { o.y = other; }), {"warp: y", "[1,4,4,2]", "[1,4,4,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.left = 3; }), {"6x6", "4x4 at (1,3)"});
  require_refused<ShapeError>(with([&](auto& o) { o.pose = nullptr; }), {"warp: pose"});
  require_refused<ShapeError>(with([&](auto& o) { o.basis = FieldBasis::b_spline; }), {"warp: nodes"});
  require_refused<ShapeError>(with([&](auto& o) { o.basis = FieldBasis::dense, o.nodes = nodes; }),
                              {"[1,6,6,2]", "[1,5,5,2]"});
  const auto cubic = [&](const Buffer<float>& field, float spacing) {
    return with(
        [&](auto& o) { o.basis = FieldBasis::catmull_rom, o.nodes = field, o.spacing_y = o.spacing_x = spacing; });
  };
  cubic(nodes, 2.5F).check();
  require_refused<ShapeError>(cubic(few, 2.5F), {"at least 5x5", "4x5"});
  require_refused<ShapeError>(cubic(nodes, 0), {"spacing", "0"});
}

}  // namespace unet::kernels::test
