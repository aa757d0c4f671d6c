#!/usr/bin/env bash
# DIC-C2DH-HeLa: large touching cells of low contrast. Two folds score the gold frames of sequence 01; a third run segments 02.
# Usage: hela.sh DATA OUT    DATA: the folder DIC-C2DH-HeLa with 01, 01_GT, 01_ST, 02. See docs/experiments/dic_c2dh_hela.md
#   STEPS [4000], SCALE [0.33]: reduction of the images; RUNS [early late final]; the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2 steps=${STEPS:-4000} scale=${SCALE:-0.33} runs=${RUNS:-early late final}

# Frames A .. B: gold truth where all cells have an outline there (not in 067), else silver truth.
frames() {  # frames FOLDER A B
  local folder=$1 images=() labels=() t truth
  for t in $(seq -f %03g "$2" "$3"); do
    truth=$data/01_GT/SEG/man_seg$t.tif
    [[ -e $truth && $t != 067 ]] || truth=$data/01_ST/SEG/man_seg$t.tif
    images+=("$data/01/t$t.tif") labels+=("$truth")
  done
  link_pages "$folder/images" "${images[@]}"
  link_pages "$folder/labels" "${labels[@]}"
}
gold() {  # gold FOLDER FRAME...
  local folder=$1
  shift
  link_pages "$folder/images" "${@/#/$data/01/t}"
  link_pages "$folder/labels" "${@/#/$data/01_GT/SEG/man_seg}"
}
# A run of frames never lies next to the frames that it is scored on: neighbouring frames are near copies.
frames "$out/early" 0 25
gold "$out/early_test" 031.tif 033.tif 034.tif 039.tif 054.tif
frames "$out/late" 28 83
gold "$out/late_test" 002.tif 005.tif 021.tif
frames "$out/final" 0 59
frames "$out/final_test" 60 83
link_pages "$out/02" "$data"/02/*.tif

segment() {  # segment RUN IMAGES FOLDER
  infer "$1" --input "$2" --output "$3/" --write instances --tta d4 --threshold 0.4 --split 0.8 --fill-holes --min-area 500
}

collected=() table=''
for run in $runs; do
  say "Run $run: $steps steps at scale $scale"
  train "$out/$run/run" --images "$out/$run/images" --labels "$out/$run/labels" instances --val-fraction 0 --preset tiny \
    --steps "$steps" --set data.scale="$scale" --set data.margin=50 \
    --set run.validation_interval="$steps"
  segment "$out/$run/run" "$out/${run}_test/images" "$out/$run/instances"
  json=$out/$run.json
  "$bin/unet_eval" --metric all --margin 50 --truth "$out/${run}_test/labels" --prediction "$out/$run/instances" \
    --json "$json" --quiet >/dev/null
  table+=$(printf '%-6s %7s %9.4f %9.4f' "$run" "$(score "$json" objects)" "$(score "$json" seg)" \
    "$(score "$json" ap_50)")$'\n'
  collected+=("$run=$json")
done
[[ ! -e $out/final/run/model.safetensors ]] || segment "$out/final/run" "$out/02" "$out/02_instances"

say "Held-out frames of 01: early and late against gold truth, final (060-083) against silver truth"
printf '%-6s %7s %9s %9s\n%s' run cells SEG AP@0.5 "$table"
collect "$out/scores.json" "${collected[@]}"
echo "scores: $out/scores.json   instances of 02: $out/02_instances"
