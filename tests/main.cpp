// Entry point of every Catch2 program here.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#if defined(UNET_TESTS_NEED_GPU)
#include <iostream>
#include <string_view>

#include "kernels/context.h"

// CTest knows a skipped test by this text. Listing the cases needs no GPU.
static bool is_skipped(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]).starts_with("--list")) return false;
  }
  try {
    unet::kernels::make_target_state(unet::kernels::Target::cuda);
    return false;
  } catch (const unet::ConfigError& error) {
    std::cout << "skipped: no GPU: " << error.what() << "\n";
    return true;
  }
}
#endif

int main(int argc, char** argv) {
#if defined(UNET_TESTS_NEED_GPU)
  if (is_skipped(argc, argv)) return 1;
#endif
  return Catch::Session().run(argc, argv);
}
