#include "tools/spinning.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace unet::tools {

void bound_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::error_code error;  // by the link itself, the process would be called "exe"
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && setenv("GOMP_SPINCOUNT", "1000", 1) == 0) execv(program.c_str(), argv);
}

}  // namespace unet::tools
