// A line of a kernel source, as calls pass it to the emulator.
#pragma once

namespace unet::kernels::emulated {

struct Site {
  const char* file = "";
  int line = 0;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

}  // namespace unet::kernels::emulated
