#include "tests/emulated/source_mutants/switch.h"

#include <cstdlib>

namespace unet {

const int kSourceMutant = [] {
  const char* const number = std::getenv("UNET_MUTANT");
  return number == nullptr ? 0 : std::atoi(number);
}();

}  // namespace unet
