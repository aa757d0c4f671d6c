#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can show, in one command: correctness first, then speed.
#
# Usage: gpu_check.sh [--quick | --full] [--binaries DIR] [--output DIR] [--data DIR] [--part NAME]... [--dry-run]
#        gpu_check.sh --pack DIR [--binaries DIR]
#   --quick        ends within nine minutes (default); --full takes what it needs, about an hour
#   --binaries DIR prebuilt programs: a build folder, or what --pack made. Without it the preset `cuda` is built here,
#                  which takes nvcc; on the machine with the GPU no compiler is needed then
#   --data DIR     real images for the part `experiments`: any of the folders isbi2012 and DIC-C2DH-HeLa, as the scripts in
#                  tools/experiments/ take them
#   --output DIR   where logs, documents and summary.md go (default: gpu-check)
#   --part NAME    only this part, with all the time of its form; may be repeated
#   --dry-run      print the plan, run nothing
#   --pack DIR     collect programs and the libraries they need into DIR, to be copied to another machine
# Nothing is downloaded. A part whose program or tool is missing is reported as skipped.
# Exit status: 0 all that ran passed, 1 a part failed or did not end in time, 2 wrong usage, 3 no GPU.
set -euo pipefail

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
root=$(dirname "$(dirname "$self")")
form=quick binaries='' output=gpu-check data='' dry_run=false pack='' inner='' only=()
usage() { sed -n '2,18p' "$self" | sed 's/^# \{0,1\}//'; }
while (($# > 0)); do
  case $1 in
    --quick | --full) form=${1#--} ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    --binaries | --output | --data | --part | --pack | --run-part)
      [[ $# -ge 2 ]] || { echo "gpu_check.sh: $1 takes a value" >&2; exit 2; }
      case $1 in
        --binaries) binaries=$2 ;;
        --output) output=$2 ;;
        --data) data=${2:+$(realpath -m "$2")} ;;
        --part) only+=("$2") ;;
        --pack) pack=$2 ;;
        --run-part) inner=$2 ;;  # how a part runs under its time limit
      esac
      shift ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
is_quick() { [[ $form == quick ]]; }

# Parts in their order: name, seconds in the quick and in the full form, what passing shows.
parts='device       20   60  a GPU, driver and memory that the programs can use
tests       110 1800  every operation on the GPU against its definition; engine and training on the GPU
conformance  20  120  recorded results of every PTX wrapper, for the emulated target
determinism  60  600  200 launches and graph replays give the same bits, of each layer and of training
training     80  900  loss curves on made-up micrographs in f32, tf32 and bf16 agree with each other and with the CPU
sanitizer    60 1800  compute-sanitizer finds no bad access, race, uninitialised read or misused barrier
layers      100 1500  time and error of every layer and pass beside cuDNN, ceilings of this GPU
network      60 1800  time of forward pass and training step beside PyTorch, after the losses agree
report       10   60  tables and charts of the measurements
experiments   0 3600  results at full width on real images, with --data: scores of ISBI 2012 and DIC-C2DH-HeLa'

# ---------------------------------------------------------------------------------------------------------- programs
programs=(cudnn_tests conformance_record gpu_determinism_check gpu_op_benchmark
          network_benchmark make_synthetic_data unet_eval unet_infer unet_train)

# Path of a program in $binaries or a folder below it; empty where it is not there.
program() {
  [[ -n $binaries ]] || return 0
  find -L "$binaries" -maxdepth 3 -type f -name "$1" -perm -u+x 2>/dev/null | sort | head -n 1
}
# All test programs that need a GPU.
gpu_tests() { find -L "$binaries" -maxdepth 3 -type f -name 'gpu*_tests' -perm -u+x 2>/dev/null | sort; }
# The same, or the end of the part as skipped.
needed_program() {
  local path
  path=$(program "$1")
  [[ -n $path ]] || { echo "skipped: $binaries holds no program $1"; return 77; }
  echo "$path"
}

# Where the programs look for shared libraries: beside them, and where Python packages keep those of NVIDIA.
add_library_paths() {
  local folder
  for folder in "$binaries/lib" $(python3 -c 'import glob, sysconfig
print(*glob.glob(sysconfig.get_paths()["purelib"] + "/nvidia/*/lib"))' 2>/dev/null || true); do
    [[ -d $folder ]] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
  done
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
}

build() {
  command -v cmake >/dev/null && { command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; } || {
    echo "gpu_check.sh: expected nvcc and cmake, or prebuilt programs; give --binaries DIR (see --pack)" >&2
    exit 2
  }
  export PATH=$PATH:/usr/local/cuda/bin
  command -v ninja >/dev/null && export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
  (cd "$root" && cmake --preset cuda && cmake --build --preset cuda --parallel "$(nproc)")
  binaries=$root/build-cuda
}

# Programs and those of their libraries that another machine may lack. The libraries of C and C++ and the driver are the
# machine's own, older ones would be in the way of its Python; cuDNN and cuBLAS are large, and come with CUDA or PyTorch.
pack_programs() {
  local name path library
  mkdir -p "$pack/lib"
  for name in "${programs[@]}"; do
    [[ -n $(program "$name") ]] || echo "left out: $name is not in $binaries" >&2
  done
  for path in $(for name in "${programs[@]}"; do program "$name"; done) $(gpu_tests); do
    cp -L "$path" "$pack/"
    while read -r library; do
      [[ $library =~ /(ld-linux|libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|libcuda|libcudnn[a-z_]*|libcublas[A-Za-z]*)[.-] ]] ||
        cp -Lu "$library" "$pack/lib/"
    done < <(ldd "$path" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }')
  done
  strip --strip-unneeded "$pack"/* 2>/dev/null || true
  du -sh "$pack" >&2
}

# ------------------------------------------------------------------------------------------------------------- parts
commit() { git -C "$root" rev-parse --short HEAD 2>/dev/null || cat "$binaries/commit" 2>/dev/null || echo unknown; }
by_form() { if is_quick; then echo "$1"; else echo "$2"; fi; }

part_device() {
  nvidia-smi || echo "nvidia-smi is not there"
  local benchmark
  benchmark=$(needed_program network_benchmark) || { echo "$benchmark"; return 77; }
  ldd "$benchmark" | grep 'not found' && { echo "the libraries above are missing; add their folder to LD_LIBRARY_PATH"; return 1; }
  "$benchmark" --target cuda --width 8 --size 188 --repeats 3
}

part_tests() {
  local path failed=''
  [[ -n $(gpu_tests) ]] || { echo "skipped: $binaries holds no tests for GPUs"; return 77; }
  path=$(program unet_train)
  [[ -z $path ]] || export UNET_PROGRAMS=${path%/*}  # some tests start the programs
  for path in $(gpu_tests) $(program cudnn_tests); do
    echo "== $path"
    "$path" || failed+=" ${path##*/}"
  done
  [[ -z $failed ]] || { echo "not passed:$failed"; return 1; }
}

part_conformance() {
  local record
  record=$(needed_program conformance_record) || { echo "$record"; return 77; }
  mkdir -p "$output/conformance"
  "$record" --output "$output/conformance"
  ls -l "$output/conformance"
}

part_determinism() {
  local check
  check=$(needed_program gpu_determinism_check) || { echo "$check"; return 77; }
  "$check" --launches 200 --width "$(by_form 32 64)" --size 188
}

# Losses of a run, one a line.
losses() { sed -n 's/.*"event":"step".*"loss":\([-+.0-9a-zA-Z]*\).*/\1/p' "$1/log.jsonl"; }

# compare_losses NAME FIRST LAST A B: of runs A and B the first losses differ by less than the share FIRST, the means of the
# last fifth by less than LAST, and B's loss has fallen.
compare_losses() {
  paste <(losses "$4") <(losses "$5") | awk -v name="$1" -v first="$2" -v last="$3" '
    function share(a, b) { return (a > b ? a - b : b - a) / (a > 0 ? a : 1) }
    { a[NR] = $1; b[NR] = $2; if (NF != 2 || $1 != $1 + 0 || $2 != $2 + 0) bad = NR }
    END {
      if (NR < 20 || bad) { print name ": expected 20 losses or more, numbers all, got " NR " lines, bad line " bad + 0; exit 1 }
      tail = int(NR / 5)
      for (i = 1; i <= 3; ++i) if (share(a[i], b[i]) > worst) worst = share(a[i], b[i])
      for (i = NR - tail + 1; i <= NR; ++i) { end_a += a[i] / tail; end_b += b[i] / tail }
      for (i = 1; i <= tail; ++i) begin += b[i] / tail
      ok = worst <= first && share(end_a, end_b) <= last && end_b < 0.9 * begin
      printf "%s: first steps differ by %.2g (allowed %.2g), ends %.4f and %.4f differ by %.2g (allowed %.2g), from %.4f: %s\n",
        name, worst, first, end_a, end_b, share(end_a, end_b), last, begin, ok ? "ok" : "WRONG"
      exit !ok
    }'
}

part_training() {
  local make train runs=$output/training steps status=0
  make=$(needed_program make_synthetic_data) || { echo "$make"; return 77; }
  train=$(needed_program unet_train) || { echo "$train"; return 77; }
  steps=$(by_form 150 2000)
  rm -rf "$runs"
  mkdir -p "$runs"
  "$make" --kind membranes --pages 4 --height 384 --width 384 --seed 1 --images "$runs/images.tif" --labels "$runs/labels.tif"
  train_run() {  # NAME DEVICE PRECISION
    "$train" --images "$runs/images.tif" --labels "$runs/labels.tif" --preset tiny --set "run.steps=$steps" \
      --device "$2" --precision "$3" --out "$runs/$1" >"$runs/$1.log" 2>&1 || { tail -n 5 "$runs/$1.log"; return 1; }
  }
  train_run f32 cuda f32 && train_run f32-again cuda f32 && train_run tf32 cuda tf32 && train_run bf16 cuda bf16 || return 1
  diff <(losses "$runs/f32") <(losses "$runs/f32-again") >/dev/null && echo "f32 again: the same losses to the last digit" ||
    { echo "f32 again: the losses DIFFER"; status=1; }
  compare_losses tf32 0.01 0.1 "$runs/f32" "$runs/tf32" || status=1
  compare_losses bf16 0.03 0.1 "$runs/f32" "$runs/bf16" || status=1
  train_run cpu cpu f32 && compare_losses cpu 0.001 0.1 "$runs/cpu" "$runs/f32" || status=1
  return $status
}

part_sanitizer() {
  local tests tool status=0 cases=()
  tests=$(needed_program gpu_tests) || { echo "$tests"; return 77; }
  command -v compute-sanitizer >/dev/null || { echo "skipped: compute-sanitizer is not on the PATH"; return 77; }
  compute-sanitizer --tool memcheck "$tests" --list-tests >/dev/null 2>&1 || { echo "skipped: compute-sanitizer does not start"; return 77; }
  is_quick && cases=('conv2d*')  # the kernels with the most to get wrong
  for tool in $(by_form 'memcheck racecheck' 'memcheck racecheck initcheck synccheck'); do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$tests" "${cases[@]}" >"$output/$tool.log" 2>&1 || status=$?
    tail -n 3 "$output/$tool.log"
    grep -q 'Device not supported' "$output/$tool.log" && { echo "skipped: compute-sanitizer does not support this machine"; return 77; }
    ((status == 0)) || return 1
  done
}

part_layers() {
  local benchmark
  benchmark=$(needed_program gpu_op_benchmark) || { echo "$benchmark"; return 77; }
  local options=(--out "$output/ops.json" --commit "$(commit)")
  # The time limit is the part's; the programs' own budget ends it in good order before.
  if is_quick; then
    options+=(--precision bf16 tf32 --rounds 5 --max-plans 4 --budget "$((limit - 15))")
  else
    options+=(--rounds 11 --budget "$((limit - 60))")
  fi
  "$benchmark" "${options[@]}"
}

part_network() {
  local benchmark python=''
  benchmark=$(needed_program network_benchmark) || { echo "$benchmark"; return 77; }
  command -v python3 >/dev/null || { echo "skipped: no python3"; return 77; }
  python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null && python=$(command -v python3)
  [[ -n $python ]] || echo "no PyTorch with CUDA in python3: this project's targets alone"
  local options=(--unet "$benchmark" ${python:+--pytorch "$python"} --out "$output/network.json" --commit "$(commit)"
                 --budget "$((limit - 20))")
  # The search for cuDNN's plans alone would take longer than the quick form has.
  is_quick && options+=(--targets cuda --precisions bf16 --variants graph --passes 1 --repeats 100 --losses 3)
  "$root/benchmarks/peers/run_gpu.py" "${options[@]}"
}

part_experiments() {
  local train runs=0 time_limit=600
  [[ -n $data ]] || { echo "skipped: no images were given by --data"; return 77; }
  train=$(needed_program unet_train) || { echo "$train"; return 77; }
  export UNET_BIN=${train%/*} UNET_INFER_OPTIONS='--device cuda' UNET_THREADS
  UNET_THREADS=$(nproc)  # half of them make samples
  [[ ! -d $data/isbi2012 ]] || runs=$((runs + 1))
  [[ ! -d $data/DIC-C2DH-HeLa ]] || runs=$((runs + 2))
  ((runs > 0)) || { echo "skipped: $data holds neither isbi2012 nor DIC-C2DH-HeLa"; return 77; }
  ((time_limit * runs + 60 <= limit)) || time_limit=$(((limit - 60) / runs))  # a minute to segment and score
  local device="--device cuda --precision bf16 --time-limit ${time_limit}s"
  if [[ -d $data/isbi2012 ]]; then
    PARTS=folds FOLDS=4 PRESET=em STEPS=60000 UNET_TRAIN_OPTIONS=$device \
      "$root/tools/experiments/isbi2012.sh" "$data/isbi2012" "$output/isbi2012" || return 1
  fi
  if [[ -d $data/DIC-C2DH-HeLa ]]; then
    RUNS='early late' SCALE=0.5 STEPS=60000 \
      UNET_TRAIN_OPTIONS="$device --set network.width=64 --set network.depth=4 --set network.dropout=0.5 --set tile.input=316" \
      "$root/tools/experiments/hela.sh" "$data/DIC-C2DH-HeLa" "$output/hela" || return 1
  fi
}

part_report() {
  local options=(--out "$output")
  [[ -s $output/ops.json ]] && options+=(--ops "$output/ops.json")
  [[ -s $output/network.json ]] && options+=(--network "$output/network.json")
  ((${#options[@]} > 2)) || { echo "skipped: nothing was measured"; return 77; }
  command -v python3 >/dev/null || { echo "skipped: no python3"; return 77; }
  "$root/benchmarks/report.py" "${options[@]}"
}

# --------------------------------------------------------------------------------------------------------- the check
has_gpu() {
  local list
  list=$(nvidia-smi -L 2>/dev/null) && [[ $list == *GPU* ]] && return 0
  compgen -G '/dev/nvidia[0-9]*' >/dev/null
}

if [[ -n $inner ]]; then  # one part, under the limit of the check that started it
  limit=${GPU_CHECK_LIMIT:?}
  add_library_paths
  "part_$inner"
  exit
fi

known() { awk '{ print $1 }' <<<"$parts"; }
for name in "${only[@]}"; do
  known | grep -qx "$name" || { echo "gpu_check.sh: --part: expected one of $(known | tr '\n' ' '), got $name" >&2; exit 2; }
done
if [[ -n $binaries ]]; then
  [[ -d $binaries ]] || { echo "gpu_check.sh: --binaries: expected a folder, got $binaries" >&2; exit 2; }
  binaries=$(cd "$binaries" && pwd)
fi
if [[ -n $pack ]]; then
  [[ -n $binaries ]] || build
  pack_programs
  commit >"$pack/commit"
  exit
fi

if $dry_run; then
  echo "form $form, programs from ${binaries:-a build of preset cuda}, results in $output"
  while read -r name quick full shows; do
    printf '%-12s %5s s  %s\n' "$name" "$(by_form "$quick" "$full")" "$shows"
  done <<<"$parts"
  echo "programs:"
  for name in $(gpu_tests); do printf '  %-22s %s\n' "$(basename "$name")" "$name"; done
  for name in "${programs[@]}"; do printf '  %-22s %s\n' "$name" "$(program "$name" | grep . || echo 'not there')"; done
  has_gpu || echo "This machine has no NVIDIA GPU: the check would end with exit status 3."
  exit 0
fi

gpu=true
has_gpu || gpu=false
$gpu || echo "No NVIDIA GPU found: nvidia-smi lists none and there is no /dev/nvidia0. Run this on a machine with a GPU and its driver;
in a container, start it with --gpus all. Parts are reported as not run." >&2
[[ -n $binaries ]] || ! $gpu || build
mkdir -p "$output"
output=$(cd "$output" && pwd)
started=$SECONDS
total=$(by_form 525 100000)  # of nine minutes, with room for what is between the parts
: >"$output/verdicts"
failed=0
while read -r name quick full shows; do
  if ((${#only[@]} > 0)) && [[ " ${only[*]} " != *" $name "* ]]; then continue; fi
  begin=$SECONDS
  left=$((total - (SECONDS - started)))
  limit=$(by_form "$quick" "$full")
  ((${#only[@]} == 0)) || limit=$(by_form 500 100000)
  ((limit <= left)) || limit=$left
  if ! $gpu; then
    verdict='not run: no GPU'
  elif ((limit == 0 && left > 5)); then
    verdict='left out of the quick form'
  elif ((limit < 5)); then
    verdict='not run: no time left'
    failed=1
  else
    echo "== $name: $shows (at most $limit s)"
    status=0
    GPU_CHECK_LIMIT=$limit timeout -k 10 "$limit" bash "$self" "--$form" --run-part "$name" --binaries "$binaries" \
      --data "$data" --output "$output" >"$output/$name.log" 2>&1 </dev/null || status=$?
    case $status in
      0) verdict=passed ;;
      77) verdict="skipped: $(grep -h '^skipped:' "$output/$name.log" | tail -n 1 | cut -d' ' -f2- || true)" ;;
      124 | 137) verdict="not finished within $limit s"; failed=1 ;;
      *) verdict="FAILED: $(grep -v '^ *$' "$output/$name.log" | tail -n 1 | cut -c1-160 | tr '|' '/')"; failed=1 ;;
    esac
    echo "   $verdict"
  fi
  printf '%s\t%s\t%s\t%s\n' "$name" "$verdict" "$((SECONDS - begin))" "$shows" >>"$output/verdicts"
done <<<"$parts"

{
  echo "# GPU check, $form"
  echo
  echo "* commit $(commit), $(date -u +%Y-%m-%dT%H:%M:%SZ), programs from ${binaries:-nowhere}"
  echo "* $($gpu && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo 'no GPU')"
  echo
  echo '| part | verdict | s | shows |'
  echo '|---|---|--:|---|'
  awk -F '\t' '{ print "| " $1 " | " $2 " | " $3 " | " $4 " |" }' "$output/verdicts"
  [[ -s $output/report.md ]] && printf '\nMeasurements: [report.md](report.md).\n'
} >"$output/summary.md"
rm "$output/verdicts"
cat "$output/summary.md"
$gpu || exit 3
exit $failed
