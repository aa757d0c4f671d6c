# The operations. A stem here is <stem>.h and <stem>.cpp (contract and its checks), reference/<stem>.cpp,
# cpu/<stem>.cpp, cuda/<stem>.cu, and tests/kernels/<stem>_test.cpp; a missing file fails the configuration.
set(UNET_OPERATIONS
    adam
    add
    cast
    conv2d
    conv_transpose2d
    crop_concat
    dropout
    fill
    max_pool2d
    mirror_gather
    reduce
    relu
    sgd
    softmax
    softmax_cross_entropy
    warp)
