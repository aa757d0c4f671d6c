#!/usr/bin/env bash
# benchmarks/baseline_benchmark on small made-up pages: a row and plausible figures for every method, the same scores
# from the same seed, and misuse is told.
# Usage: baseline_benchmark_test.sh BENCHMARK MAKE_SYNTHETIC_DATA
set -euo pipefail

benchmark=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
fail() { echo "FAILED: $1"; shift; cat "$@"; exit 1; }

"$2" --kind membranes --pages 3 --height 48 --width 64 --images images.tif --labels labels.tif --quiet
compare() {  # JSON [OPTION...]
  "$benchmark" --images images.tif --labels labels.tif --time-limit 0 --threads 1 --patch-maps 4 --json "$@" 2>log
}
compare first.json --steps 3 --val-pages 1 --published-rows 1 --picture first.png >table || fail "the comparison" log
for row in 'U-Net | 481,762 |' 'FCN | 293,758 |' 'sliding window 65 px, 4 maps |' \
  'sliding window 65 px, 4 maps, patch by patch |'; do
  grep -q "^| $row" table || fail "no row of $row" table
done
grep -q '"name": "sliding window 95 px, 48 maps, patch by patch"' first.json || fail "no published network" first.json
[[ $(grep -c '"steps": 3,' first.json) == 3 ]] || fail "not three steps each" first.json
grep -qE '"(training|page)_(cpu|wall)_s": (0\.0,|-)' first.json && fail "a time of nothing" first.json
grep -qE '"largest_difference": ([0-9.]+e-0?[5-9]|0\.0)' first.json || fail "patch by patch gives something else" first.json
[[ $(head -c 4 first.png | tail -c 3) == PNG ]] || fail "no picture"

scores() { grep -E '"(training_loss|pixel_error|v_rand|v_info|rand_error|warping_error)"' "$1"; }
compare second.json --steps 3 --val-pages 1 --published-rows 0 >table || fail "the second comparison" log
diff <(scores first.json) <(scores second.json) || fail "other scores from the same seed"
compare other.json --steps 3 --val-pages 1 --published-rows 0 --seed 2 >table || fail "another seed" log
diff -q <(scores first.json) <(scores other.json) >/dev/null && fail "the same scores from another seed"

compare no.json --steps 3 --val-pages 3 >table && fail "a page that does not exist is taken" log
grep -q 'validation_pages' log || fail "the message does not name the pages" log
compare no.json --val-pages 1 >table && fail "training without an end" log
grep -q 'steps or a time' log || fail "the message does not name the limits" log
echo "all as expected"
