#!/usr/bin/env bash
# The U-Net beside the networks before it, a sliding window and an FCN with additive skips, trained for the same time.
# Usage: baselines.sh DATA OUT    DATA: isbi2012, with train-volume.tif and train-labels.tif. See docs/experiments/baselines.md
#   TIME_LIMIT [4m]: processor time to train each for; UNET_BENCHMARKS [build-bench/benchmarks]: folder of the program;
#   the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2
benchmark=${UNET_BENCHMARKS:-$root/build-bench/benchmarks}/baseline_benchmark
require "$data/train-volume.tif" "$data/train-labels.tif" "$benchmark"
mkdir -p "$out"

say "Train on 20 pages and segment 5, method by method"
"$benchmark" --images "$data/train-volume.tif" --labels "$data/train-labels.tif" --val-pages 20-24 \
  --time-limit "${TIME_LIMIT:-4m}" --threads "$threads" --seed "$seed" \
  --json "$out/scores.json" --picture "$out/probabilities.png" | tee "$out/table.md"
echo "scores: $out/scores.json   probabilities of page 20: $out/probabilities.png"
