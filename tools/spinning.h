// How long threads that wait for each other spin before they sleep.
#pragma once

namespace unet::tools {

/// Bounds the spinning of OpenMP's threads to some microseconds. To be called first in main(); `argv` as given there.
///
/// GNU's OpenMP lets a waiting thread spin for milliseconds. Where another program holds a core, each of a training
/// step's hundreds of parallel loops then loses that time, and the step takes ten times as long and more. The bound is
/// read before main(), from GOMP_SPINCOUNT: where neither that nor OMP_WAIT_POLICY is set, this sets it and executes
/// the program anew. Where that is not possible, it returns and the program goes on as it is.
void bound_spinning(char** argv);

}  // namespace unet::tools
