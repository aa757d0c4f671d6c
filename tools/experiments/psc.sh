#!/usr/bin/env bash
# PhC-C2DL-PSC: small touching cells in phase contrast.
# Usage: psc.sh DATA OUT    DATA: the folder PhC-C2DL-PSC with 01, 01_GT, 01_ST. See docs/experiments/phc_c2dl_psc.md
#   STEPS [1200], SCALES [1 2]: enlargements to compare; the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2 steps=${STEPS:-1200} scales=${SCALES:-1 2}

frames() {  # frames FOLDER TRUTH FRAME...
  local folder=$1 truth=$2
  shift 2
  link_pages "$folder/images" "${@/#/$data/01/t}"
  link_pages "$folder/labels" "${@/#/$data/$truth/SEG/man_seg}"
}
# Sparse frames with gold truth and the densest frame with silver truth are held out; 150 and 234, next to them, are left out.
frames "$out/training" 01_ST 162.tif 174.tif 186.tif 198.tif 210.tif 222.tif
frames "$out/gold" 01_GT 098.tif 122.tif
frames "$out/dense" 01_ST 246.tif

collected=() table=''
for scale in $scales; do
  run=$out/scale_$scale
  say "Train at scale $scale, $steps steps"
  train "$run" --images "$out/training/images" --labels "$out/training/labels" instances --val-fraction 0 \
    --preset tiny --steps "$steps" --set run.validation_interval="$steps" \
    --set data.scale="$scale" --set data.margin=25
  for frames in gold dense; do
    infer "$run" --input "$out/$frames/images" --output "$run/$frames/" --write instances \
      --tta d4 --min-area 15 --split 0.95
    json=$run/$frames.json
    "$bin/unet_eval" --metric all --margin 25 --truth "$out/$frames/labels" --prediction "$run/$frames" \
      --json "$json" --quiet >/dev/null
    table+=$(printf '%-6s %-6s %7s %9.4f %9.4f' "$scale" "$frames" "$(score "$json" objects)" "$(score "$json" seg)" \
      "$(score "$json" ap_50)")$'\n'
    collected+=("scale_${scale}_$frames=$json")
  done
done
say "Held-out frames: gold 098 and 122, silver 246"
printf '%-6s %-6s %7s %9s %9s\n%s' scale frames cells SEG AP@0.5 "$table"
collect "$out/scores.json" "${collected[@]}"
echo "scores: $out/scores.json"
