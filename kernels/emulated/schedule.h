// In which order a kernel's threads run and its asynchronous operations finish. CUDA promises neither, so a kernel is
// right only if its results are the same under all of them.
#pragma once

#include <cstdint>
#include <string>

namespace unet::kernels::emulated {

/// Which thread goes on when one waits or ends.
enum class Order : uint8_t {
  ascending,  // the next one, around the block; blocks in order
  descending,
  random,
  priority  // that of the warp with the highest random priority, which changes now and then: a warp may stay far behind
};

/// When copies and matrix products that run beside the threads take place.
enum class Completion : uint8_t {
  eager,  // when they are started
  late,   // when somebody waits for them, or when nothing else can go on
  random
};

struct Schedule {
  Order order = Order::ascending;
  Completion completion = Completion::random;
  uint64_t seed = 1;
  unsigned base_shift = 0;  // bytes, a multiple of 16, by which dynamic shared memory starts behind an aligned address

  std::string name() const;
};

/// Schedules that differ in every respect; the first is the plainest.
inline constexpr Schedule kSchedules[] = {
    {Order::ascending, Completion::eager, 1, 0},    {Order::descending, Completion::late, 2, 16},
    {Order::random, Completion::random, 3, 112},    {Order::priority, Completion::late, 4, 528},
    {Order::priority, Completion::random, 5, 1008},
};

}  // namespace unet::kernels::emulated
