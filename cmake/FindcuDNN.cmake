# Finds cuDNN 9: the imported target cuDNN::cuDNN, and cuDNN_VERSION. cuDNN_ROOT names an installation; otherwise the CUDA
# toolkit's own folder and the system's are searched.
find_package(CUDAToolkit QUIET)
find_path(cuDNN_INCLUDE_DIR cudnn_graph.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(cuDNN_LIBRARY NAMES cudnn libcudnn.so.9
             HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib64 lib lib/x86_64-linux-gnu)
mark_as_advanced(cuDNN_INCLUDE_DIR cuDNN_LIBRARY)

if(cuDNN_INCLUDE_DIR AND EXISTS ${cuDNN_INCLUDE_DIR}/cudnn_version.h)
  # The numbers stand in cudnn_version.h, or in a file of the major version that it includes.
  file(GLOB headers ${cuDNN_INCLUDE_DIR}/cudnn_version.h ${cuDNN_INCLUDE_DIR}/cudnn_version_v*.h)
  set(cuDNN_VERSION "")
  foreach(part MAJOR MINOR PATCHLEVEL)
    foreach(header ${headers})
      file(STRINGS ${header} line REGEX "^#define CUDNN_${part} +[0-9]+" LIMIT_COUNT 1)
      if(line)
        string(REGEX REPLACE ".* ([0-9]+).*" "\\1" number "${line}")
        list(APPEND cuDNN_VERSION ${number})
        break()
      endif()
    endforeach()
  endforeach()
  list(JOIN cuDNN_VERSION . cuDNN_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(cuDNN REQUIRED_VARS cuDNN_LIBRARY cuDNN_INCLUDE_DIR VERSION_VAR cuDNN_VERSION)

if(cuDNN_FOUND AND NOT TARGET cuDNN::cuDNN)
  add_library(cuDNN::cuDNN UNKNOWN IMPORTED)
  set_target_properties(cuDNN::cuDNN PROPERTIES IMPORTED_LOCATION ${cuDNN_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${cuDNN_INCLUDE_DIR})
endif()
