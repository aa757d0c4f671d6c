// Descriptions of GPUs in cuDNN's JSON form: cuDNN 9.8 makes plans for a device that is not there.
#pragma once

namespace unet::kernels::cudnn::test {

inline constexpr const char* kH200 =
    R"({"deviceVer":900,"multiProcessorCount":132,"maxSharedMemoryPerBlockOptin":232448,"l2CacheSize":62914560,)"
    R"("totalGlobalMem":150109880320,"smClockRateKHz":1980000,"memClockRateKHz":3201000,"deviceName":"NVIDIA H200",)"
    R"("driverVer":13000,"warpSize":32,"maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
    R"("maxRegistersPerSM":65536,"regsPerBlock":65536,"pciDeviceId":0,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
    R"("maxThreadsPerSM":2048,"isTccDriver":0,"supportCoopLaunch":1,"cudaDeviceId":0,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64]})";

inline constexpr const char* kA100 =
    R"({"deviceVer":800,"multiProcessorCount":108,"maxSharedMemoryPerBlockOptin":166912,"l2CacheSize":41943040,)"
    R"("totalGlobalMem":42505273344,"smClockRateKHz":1410000,"memClockRateKHz":1215000,"deviceName":"NVIDIA A100",)"
    R"("driverVer":13000,"warpSize":32,"maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
    R"("maxRegistersPerSM":65536,"regsPerBlock":65536,"pciDeviceId":0,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
    R"("maxThreadsPerSM":2048,"isTccDriver":0,"supportCoopLaunch":1,"cudaDeviceId":0,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64]})";

}  // namespace unet::kernels::cudnn::test
