#include "tools/spinning.h"

#include <unistd.h>

#include <cstdlib>

namespace unet::tools {

void bound_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (setenv("GOMP_SPINCOUNT", "100", 1) == 0) execv("/proc/self/exe", argv);
}

}  // namespace unet::tools
