#!/usr/bin/env bash
# Every rule of lint.sh fails on a planted breach and names its place.
set -euo pipefail

lint=$(cd "$(dirname "$0")" && pwd)/lint.sh
root=$(dirname "$lint")/../..
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
skipped=0

fresh_copy() {
  rm -rf "$scratch/tree"
  mkdir "$scratch/tree"
  (cd "$root" && cp -r kernels engine unet tools tests cmake ./*.txt ./*.md .clang-format "$scratch/tree")
}

# expect RULE PLACE [TREE]: the rule breaks there, and did not before the planting.
expect() {
  local rule=$1 place=$2 tree=${3:-$scratch/tree} output status=0
  output=$("$lint" "$rule" "$tree" 2>&1) || status=$?
  if ((status == 77)); then
    echo "skipped: $rule: $output"
    skipped=1
  elif ((status != 1)) || ! grep -qF "$rule: $place" <<<"$output"; then
    echo "FAILED: $rule did not report $place: status $status: $output"
    failures=$((failures + 1))
  else
    echo "ok: $rule reports $place"
  fi
}

# plant RULE FILE LINE PLACE: appends the line to a file of a fresh copy.
plant() {
  fresh_copy
  printf '%b\n' "$3" >>"$scratch/tree/$2"
  expect "$1" "$4"
}

plant layers kernels/planted.cpp '#include "engine/tensor.h"' kernels/planted.cpp:1
plant layers kernels/planted.h '#include "kernels/cpu/target.h"' kernels/planted.h:1
plant layers kernels/reference/planted.cpp '#include "kernels/cpu/target.h"' kernels/reference/planted.cpp:1
plant layers engine/planted.h '#include "unet/network.h"' engine/planted.h:1
plant layers engine/planted.cpp '\n  #  include "kernels/cpu/target.h"' engine/planted.cpp:2
plant layers unet/planted.cpp '#include "tools/exit_code.h"' unet/planted.cpp:1
plant layers unet/planted.cpp '#include "kernels/conv2d.h"' unet/planted.cpp:1
plant layers tools/planted.cpp '#include "kernels/relu.h"' tools/planted.cpp:1
plant paths docs.md "see /wor""k/main" ./docs.md:
plant paths engine/planted.h "// ../share""d/spec.md" engine/planted.h:1
plant paths tests/planted.sh "cp /tm""p/build-mine/x ." tests/planted.sh:1
plant unfinished unet/planted.cpp "// TO""DO: later" unet/planted.cpp:1
plant unfinished tools/planted.sh "# FIX""ME" tools/planted.sh:1
plant silent kernels/planted.cpp '  std::cerr << 1;' kernels/planted.cpp:1
plant silent unet/planted.h '  exit(1);' unet/planted.h:1
plant listed kernels/cpu/planted.cpp '' kernels/cpu/planted.cpp:1
plant listed kernels/cudnn/planted.cpp '' kernels/cudnn/planted.cpp:1
plant layers kernels/cuda/planted.cu '#include "kernels/cpu/target.h"' kernels/cuda/planted.cu:1
plant layers kernels/cudnn/planted.cpp '#include "kernels/cuda/device.cuh"' kernels/cudnn/planted.cpp:1
plant kernels kernels/cuda/planted.cu '  asm volatile("nop;");' kernels/cuda/planted.cu:1
plant kernels kernels/cuda/planted.cuh '  extern __shared__ float tile[];' kernels/cuda/planted.cuh:1
plant kernels kernels/cuda/planted.cu '  kernel<<<1, 1>>>();' kernels/cuda/planted.cu:1
plant kernels kernels/cuda/planted.cu '__global__ void kernel() {}' kernels/cuda/planted.cu:1
plant listed kernels/planted.h 'TEST_CASE("first; second") {' kernels/planted.h:1
plant listed engine/planted.cpp '' engine/planted.cpp:1
plant listed unet/planted.cpp '' unet/planted.cpp:1
plant listed tools/planted.cpp '' tools/planted.cpp:1
plant listed tests/kernels/planted_test.cpp '' tests/kernels/planted_test.cpp:1
plant listed tests/engine/planted_test.cpp '' tests/engine/planted_test.cpp:1
plant format engine/planted.cpp 'int  a;' engine/planted.cpp:1
plant size unet/planted.cpp "$(printf '\\n%.0s' {1..600})" unet/planted.cpp:60

fresh_copy
sed -i 's/^set(UNET_OPERATIONS$/&\n    planted/' "$scratch/tree/kernels/ops.cmake"
expect operations kernels/planted.h:1
fresh_copy
rm "$scratch/tree/tests/kernels/relu_test.cpp"
expect operations tests/kernels/relu_test.cpp:1
fresh_copy
touch "$scratch/tree/kernels/reference/planted.cpp"
expect operations kernels/reference/planted.cpp:1

# A kernel whose live values do not fit into the registers that its bounds leave.
planted=$scratch/planted.cu
cat >"$planted" <<'KERNEL'
__global__ void __launch_bounds__(1024) hungry(const float* x, float* y) {
  float values[120];
#pragma unroll
  for (int i = 0; i < 120; ++i) values[i] = x[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 120; ++i) y[i * 1024 + threadIdx.x] = values[i] * values[119 - i] + values[(i * 7) % 120];
}
KERNEL
status=0
output=$("$(dirname "$lint")/kernel_resources.sh" "$planted" 2>&1) || status=$?
if ((status == 77)); then
  echo "skipped: kernel resources: $output"
elif ((status != 1)) || ! grep -q 'spills: .*hungry' <<<"$output"; then
  echo "FAILED: a spilling kernel was not reported: status $status: $output"
  failures=$((failures + 1))
else
  echo "ok: kernel resources reports a spill"
fi

# The table of kernel resources, with a stand-in for nvcc that counts how often it compiles.
resources=$scratch/resources
mkdir -p "$resources/tests/lint" "$resources/kernels/cuda" "$resources/docs"
cp "$(dirname "$lint")/kernel_resources.sh" "$resources/tests/lint"
echo '#include "kernels/cuda/a.cuh"' >"$resources/kernels/cuda/a.cu"
echo '// one' >"$resources/kernels/cuda/a.cuh"
echo '// host code alone' >"$resources/kernels/cuda/b.cu"
cat >"$resources/nvcc" <<'NVCC'
#!/usr/bin/env bash
[[ $1 == --version ]] && { echo 'release 1.0, V1.0.1'; exit; }
here=$(dirname "$0")
echo "$*" >>"$here/compiled"
[[ $* == *a.cu* ]] || exit 0
echo "ptxas info : Compiling entry function '_Z3onev' for 'sm_80'" >&2
echo "    8 bytes stack frame, 0 bytes spill stores, $(grep -c spill "$here/kernels/cuda/a.cuh") bytes spill loads" >&2
echo 'ptxas info : Used 32 registers, used 1 barriers, 64 bytes smem' >&2
NVCC
chmod +x "$resources/nvcc"
# table STATUS COMPILATIONS [--write]: the script's exit status, and how often it had to compile.
table() {
  local status=0 compiled=0
  rm -f "$resources/compiled"
  output=$(CCACHE_DISABLE=1 NVCC=$resources/nvcc "$resources/tests/lint/kernel_resources.sh" "${@:3}" 2>&1) || status=$?
  [[ ! -e $resources/compiled ]] || compiled=$(wc -l <"$resources/compiled")
  if ((status == $1 && compiled == $2)); then
    echo "ok: kernel resources: status $1 after $2 compilations"
  else
    echo "FAILED: kernel resources ${*:3}: expected status $1, $2 compilations, got $status, $compiled: $output"
    failures=$((failures + 1))
  fi
}
table 1 4                                                 # no table
table 0 4 --write
table 0 0                                                 # up to date: nothing is compiled
grep -q '| `one` | sm_80 | 32 | 64 | 0 |' "$resources/docs/kernel-resources.md" || { echo "FAILED: no row"; failures=$((failures + 1)); }
echo '// two' >>"$resources/kernels/cuda/a.cuh"
table 1 2                                                 # a header changed: the checksum has to be recorded
table 0 2 --write
echo '// spill' >>"$resources/kernels/cuda/a.cuh"
table 1 2 --write                                         # a spill fails even where it is recorded
table 1 0

mkdir -p "$scratch/include/unet"
expect leaks '.: no installed header' "$scratch/include"
echo '#include <nlohmann/json.hpp>' >"$scratch/include/unet/a.h"
expect leaks ./unet/a.h:1 "$scratch/include"
echo '#include <tiffio.h>' >"$scratch/include/unet/a.h"
expect leaks ./unet/a.h:1 "$scratch/include"
echo '#include "unet/private.h"' >"$scratch/include/unet/a.h"
expect leaks ./unet/a.h:1 "$scratch/include"

if "$lint" no_such_rule 2>/dev/null || "$lint" layers "$scratch/include" 2>/dev/null; then
  echo "FAILED: wrong usage passes"
  failures=$((failures + 1))
fi
if ((failures > 0)); then exit 1; fi
((skipped == 0)) || exit 77
