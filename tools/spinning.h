// How long threads that wait for each other spin before they sleep.
#pragma once

namespace unet::tools {

/// Bounds the spinning of OpenMP's threads to some microseconds. To be called first in main(); `argv` as given there.
///
/// GNU's OpenMP lets a waiting thread spin for milliseconds. Where another program holds a core, each of a training
/// step's hundreds of parallel loops then loses that time, and the step takes ten times as long and more. The bound is
/// read before main(), from GOMP_SPINCOUNT: where neither that nor OMP_WAIT_POLICY is set, this sets it and executes
/// the program anew. Where that is not possible, it returns and the program goes on as it is.
///
/// Median training step of preset tiny, two threads on two cores of an AMD EPYC (Zen 5), idle and beside two busy
/// programs: 17.8 and 1,210 ms with OpenMP's own bound, 19.1 and 252 ms with this one, 26.6 and 296 ms without
/// spinning.
void bound_spinning(char** argv);

}  // namespace unet::tools
