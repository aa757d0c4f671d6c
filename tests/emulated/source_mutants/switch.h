// Which of the defects in copies of the kernels is switched on: see CMakeLists.txt.
#pragma once

namespace unet {

/// Number of a row of table.cmake; 0 for none. Environment variable UNET_MUTANT.
extern const int kSourceMutant;

}  // namespace unet
