#!/usr/bin/env bash
# tools/gpu_check.sh with stand-ins for the GPU and the programs: what it runs, what it calls a failure, how it exits.
set -euo pipefail

check=$(cd "$(dirname "$0")/../.." && pwd)/tools/gpu_check.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# stand_in NAME BODY: a program of that name for the check to find.
stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$scratch/bin/$1"
  chmod +x "$scratch/bin/$1"
}

fresh() {
  rm -rf "${scratch:?}"/*
  mkdir -p "$scratch/bin" "$scratch/path"
  printf '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: stand-in"\nexit 0\n' >"$scratch/path/nvidia-smi"
  chmod +x "$scratch/path/nvidia-smi"
  for name in gpu_tests gpu_determinism_check; do stand_in "$name" 'echo fine'; done
  stand_in gpu_tools_tests 'echo "programs in $UNET_PROGRAMS"'
  stand_in network_benchmark 'exit 0'
  stand_in conformance_record 'echo recorded >"$2/one"'
  stand_in make_synthetic_data 'exit 0'
  # Writes falling losses; $1.. are searched for the precision and the folder.
  stand_in unet_train '
while (($# > 0)); do case $1 in --precision) precision=$2 ;; --out) out=$2 ;; esac; shift; done
mkdir -p "$out"
for i in $(seq 100); do
  echo "{\"event\":\"step\",\"step\":$i,\"loss\":$(awk "BEGIN { print 0.2 + 0.5 / $i }"),\"learning_rate\":1}"
done >"$out/log.jsonl"'
}

# run STATUS ARGUMENTS...: the check exits so; its output is kept.
run() {
  local expected=$1 status=0
  shift
  PATH=$scratch/path:$PATH "$check" "$@" --output "$scratch/out" >"$scratch/log" 2>&1 || status=$?
  if ((status != expected)); then
    echo "FAILED: gpu_check.sh $*: expected status $expected, got $status:"
    cat "$scratch/log"
    failures=$((failures + 1))
  fi
}
# says PATTERN: of the summary, or of the output without one.
says() {
  local file=$scratch/out/summary.md
  [[ -e $file ]] || file=$scratch/log
  grep -qE "$1" "$file" || {
    echo "FAILED: expected /$1/ in:"
    cat "$file"
    failures=$((failures + 1))
  }
}

fresh
run 0 --binaries "$scratch/bin" --part device --part tests --part conformance --part determinism --part training
for part in device tests conformance determinism training; do says "^\\| $part \\| passed"; done
grep -q "programs in $scratch/bin" "$scratch/out/tests.log" || { echo "FAILED: tests do not find the programs"; failures=$((failures + 1)); }
[[ -s $scratch/out/conformance/one ]] || { echo "FAILED: no conformance record"; failures=$((failures + 1)); }

fresh
stand_in gpu_tests 'echo "3 assertions failed"; exit 1'
run 1 --binaries "$scratch/bin" --part tests --part determinism
says '^\| tests \| FAILED: not passed: gpu_tests \|'
says '^\| determinism \| passed'

fresh
rm "$scratch/bin/gpu_determinism_check"
run 0 --binaries "$scratch/bin" --part determinism
says '^\| determinism \| skipped: .* holds no program gpu_determinism_check'

# Real images are the user's to give; the scores end in the log.
fresh
run 0 --binaries "$scratch/bin" --part experiments
says '^\| experiments \| skipped: no images were given by --data'
run 0 --binaries "$scratch/bin" --part experiments --data "$scratch/path"
says '^\| experiments \| skipped: .* holds neither isbi2012 nor DIC-C2DH-HeLa'
mkdir -p "$scratch/data/isbi2012"
touch "$scratch/data/isbi2012/train-volume.tif" "$scratch/data/isbi2012/train-labels.tif"
stand_in unet_infer 'echo "$*" >>"$(dirname "$0")/infer"'
stand_in unet_eval 'while (($# > 0)); do [[ $1 != --json ]] || echo "{\"v_rand\": 0.75}" >"$2"; shift; done'
run 0 --binaries "$scratch/bin" --part experiments --data "$scratch/data"
says '^\| experiments \| passed'
grep -q '^fold4 *rot7 .* 0.75' "$scratch/out/experiments.log" || { echo "FAILED: no scores"; cat "$scratch/out/experiments.log"; failures=$((failures + 1)); }
grep -q -- '--tta rot7 .*--device cuda' "$scratch/bin/infer" || { echo "FAILED: not on the GPU"; failures=$((failures + 1)); }

# One precision that does not learn, one that tells no numbers, one that never repeats.
fresh
sed -i 's/print 0.2 + 0.5/print (\\"$precision\\" == \\"bf16\\" ? 0.7 : 0.2) + 0.5/' "$scratch/bin/unet_train"
run 1 --binaries "$scratch/bin" --part training
says '^\| training \| FAILED'
grep -q '^bf16: .*WRONG' "$scratch/out/training.log" || { echo "FAILED: bf16 was not named"; failures=$((failures + 1)); }
grep -q '^tf32: .*ok' "$scratch/out/training.log" || { echo "FAILED: tf32 was blamed"; failures=$((failures + 1)); }
fresh
sed -i 's/print 0.2 + 0.5 \/ $i/print \\"nan\\"/' "$scratch/bin/unet_train"
run 1 --binaries "$scratch/bin" --part training
fresh
sed -i 's/print 0.2 + 0.5/print 1e-5 * $RANDOM + 0.5/' "$scratch/bin/unet_train"
run 1 --binaries "$scratch/bin" --part training
grep -q 'f32 again: the losses DIFFER' "$scratch/out/training.log" || { echo "FAILED: not repeatable, not noticed"; failures=$((failures + 1)); }

# Without a GPU nothing is run, and that is no success.
fresh
printf '#!/bin/sh\nexit 9\n' >"$scratch/path/nvidia-smi"
if ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  run 3 --binaries "$scratch/bin"
  says '^\| tests \| not run: no GPU'
  grep -q 'No NVIDIA GPU found' "$scratch/log" || { echo "FAILED: no advice"; failures=$((failures + 1)); }
fi

fresh
run 0 --dry-run --binaries "$scratch/bin"
says 'gpu_tests +/'
says 'gpu_op_benchmark +not there'
[[ ! -e $scratch/out ]] || { echo "FAILED: a dry run leaves files"; failures=$((failures + 1)); }
run 2 --part nothing
run 2 --binaries "$scratch/missing"
run 2 --binaries

fresh
cp "$(command -v sort)" "$scratch/bin/gpu_tests"
run 0 --binaries "$scratch/bin" --pack "$scratch/packed"
[[ -x $scratch/packed/gpu_tests && -d $scratch/packed/lib ]] || { echo "FAILED: not packed"; failures=$((failures + 1)); }
[[ ! -e $(echo "$scratch"/packed/lib/libc.so*) ]] || { echo "FAILED: packs the C library"; failures=$((failures + 1)); }

((failures == 0)) && echo "all as expected"
exit $((failures > 0))
