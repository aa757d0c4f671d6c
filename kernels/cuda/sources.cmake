# Sources of the kernels, relative to kernels/cuda: one per operation and the files they share. nvcc compiles them for
# the cuda target, the host compiler for the emulated one.
list(TRANSFORM UNET_OPERATIONS APPEND .cu OUTPUT_VARIABLE UNET_DEVICE_SOURCES)
list(APPEND UNET_DEVICE_SOURCES filter_gradient.cu implicit_gemm.cu mask_gradient.cu narrow_convolution.cu sm90/convolution.cu)
