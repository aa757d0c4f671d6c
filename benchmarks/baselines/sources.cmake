# What the benchmark and its tests are made of.
set(UNET_BASELINES crop.cpp fcn.cpp layers.cpp method.cpp patch_classifier.cpp)
list(TRANSFORM UNET_BASELINES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
